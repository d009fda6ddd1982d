"""What tests of rows share: row functions of the catalogue, and errors in ULP."""

from __future__ import annotations

from typing import Any

import numpy as np

from symgen.catalogue import folder
from symgen.layers import layer
from symgen.rows import samples
from symgen.rows.derive import places
from symgen.rows.lower import is_row_function
from symgen.rows.samples import hard_rows
from symgen.spec import Op, load
from symgen.spec.model import LISTED, Variant

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


def sample(op: Op, variant: Variant, n: int, seed: int) -> tuple[samples.Arrays, dict[str, int]]:
    """Operands of one sample and the lengths of all axes, those that run along lists among them."""
    arrays, lengths = samples.sample(op, variant, n, seed)
    lists = (p.name for p in places(op, variant) if p.role.kind == "labels")
    return arrays, lengths | {f"{LISTED}{name}": int((np.asarray(arrays[name]) < 0).argmax()) for name in lists}
