"""What tests of rows share: row functions of the catalogue, and errors in ULP."""

from __future__ import annotations

from typing import Any

import numpy as np

from symgen.catalogue import folder
from symgen.layers import layer
from symgen.rows.lower import is_row_function
from symgen.rows.samples import hard_rows, sample
from symgen.spec import Op, load

__all__ = ["LAYERS", "OPS", "hard_rows", "sample", "ulps"]

ROWS: dict[str, Op] = {name: op for name, op in load(folder()).items() if is_row_function(op)}
LAYERS = {name: op for name, op in ROWS.items() if layer(op) is not None}
OPS = {name: op for name, op in ROWS.items() if name not in LAYERS}


def ulps(got: Any, exact: tuple[Any, Any], dtype: Any) -> float:
    """The largest error of an entry, in ULP of the exact value in the dtype."""
    high, low = exact
    with np.errstate(all="ignore"):
        near = np.abs(high).astype(dtype)
        one = np.maximum(np.spacing(near).astype(np.float64), float(np.finfo(dtype).smallest_subnormal))
        found = np.abs((np.asarray(got, np.float64) - high) - low) / one
    return float(np.max(found, initial=0.0))
