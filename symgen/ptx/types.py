"""The scalar types of PTX and the NumPy types that hold their values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Type:
    """A type such as ``f32``; `kind` is f (float), s (signed), u (unsigned), b (bits) or p (predicate)."""

    name: str
    kind: str
    size: int
    dtype: np.dtype[Any]


BITS: dict[int, np.dtype[Any]] = {
    1: np.dtype(np.uint8),
    2: np.dtype(np.uint16),
    4: np.dtype(np.uint32),
    8: np.dtype(np.uint64),
}
SIGNED: dict[int, np.dtype[Any]] = {
    1: np.dtype(np.int8),
    2: np.dtype(np.int16),
    4: np.dtype(np.int32),
    8: np.dtype(np.int64),
}
FLOATS: dict[int, np.dtype[Any]] = {2: np.dtype(np.float16), 4: np.dtype(np.float32), 8: np.dtype(np.float64)}

TYPES: dict[str, Type] = {
    "pred": Type("pred", "p", 1, np.dtype(np.bool_)),
    **{f"{kind}{8 * n}": Type(f"{kind}{8 * n}", kind, n, dtype) for kind in "ub" for n, dtype in BITS.items()},
    **{f"s{8 * n}": Type(f"s{8 * n}", "s", n, dtype) for n, dtype in SIGNED.items()},
    **{f"f{8 * n}": Type(f"f{8 * n}", "f", n, dtype) for n, dtype in FLOATS.items()},
    "bf16": Type("bf16", "b", 2, BITS[2]),  # NumPy has no bfloat16: only conversions know what the bits mean
}

WIDER = {"u16": "u32", "s16": "s32", "u32": "u64", "s32": "s64"}
