"""Which dtypes are taken, which loop computes them, and how a result is rounded once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
DType = np.dtype[Any]

FLOAT64: Final[DType] = np.dtype(np.float64)
FLOAT32: Final[DType] = np.dtype(np.float32)
FLOAT16: Final[DType] = np.dtype(np.float16)
ACCEPTED: Final = "float64, float32, float16, bfloat16, an integer dtype or bool"


@dataclass(frozen=True, slots=True)
class Precision:
    """The dtype of a result, and the dtype and tag of the loop that computes it."""

    result: DType
    compute: DType
    tag: str


DOUBLE: Final = Precision(FLOAT64, FLOAT64, "f64")
SINGLE: Final = Precision(FLOAT32, FLOAT32, "f32")
# Half precision goes through float64: the f32 loop would round twice.
HALF: Final = Precision(FLOAT16, FLOAT64, "f64")

NATIVE: Final = frozenset({FLOAT64, FLOAT32})

# As np.exp: the smallest float that holds every integer of the type, and at least half precision.
BY_KIND_AND_SIZE: Final = {
    ("f", 8): DOUBLE,
    ("f", 4): SINGLE,
    ("f", 2): HALF,
    ("b", 1): HALF,
    ("i", 1): HALF,
    ("u", 1): HALF,
    ("i", 2): SINGLE,
    ("u", 2): SINGLE,
    ("i", 4): DOUBLE,
    ("u", 4): DOUBLE,
    ("i", 8): DOUBLE,
    ("u", 8): DOUBLE,
}


def is_bfloat16(dtype: DType) -> bool:
    """Whether a dtype is ml_dtypes' bfloat16; asked by name, as ml_dtypes may not be installed."""
    return dtype.itemsize == 2 and dtype.name == "bfloat16"


def precision_of(dtype: DType) -> Precision | None:
    """How a unary function of this dtype is computed, or None where it is not accepted."""
    found = BY_KIND_AND_SIZE.get((dtype.kind, dtype.itemsize))
    if found is None and is_bfloat16(dtype):
        return Precision(dtype, FLOAT64, "f64")
    return found


def is_float(dtype: DType) -> bool:
    """Whether results may be stored in this dtype."""
    return (dtype.kind == "f" and dtype.itemsize in (2, 4, 8)) or is_bfloat16(dtype)


def common_precision(dtypes: list[DType], weak: list[type]) -> Precision:
    """The precision of several operands: arrays by promotion, Python scalars only by kind (NEP 50).

    Raises:
        TypeError: NumPy knows no common dtype.
    """
    if not dtypes:
        return DOUBLE
    common = dtypes[0] if len(dtypes) == 1 else np.result_type(*dtypes)
    if common.kind in "biu" and weak:
        common = np.result_type(common, *(kind(0) for kind in weak))
    found = precision_of(common)
    if found is None:
        raise TypeError(f"no common floating dtype of {', '.join(map(str, dtypes))}")
    return found


def store(source: Array, target: Array) -> None:
    """Write ``source`` into ``target``, rounding once to nearest even."""
    if source.dtype == FLOAT64 and is_bfloat16(target.dtype):
        target[...] = _odd_float32(source).astype(target.dtype)
    else:
        np.copyto(target, source, casting="unsafe")


def _odd_float32(source: Array) -> Array:
    """float64 to float32 rounded to odd, after which rounding to bfloat16 is as if done at once.

    ml_dtypes casts float64 to bfloat16 through a float32 that is rounded to nearest: half of the values just beside
    a midpoint then land on the midpoint and go the wrong way.
    """
    nearest = np.atleast_1d(source.astype(np.float32))
    bits = nearest.view(np.uint32)
    bits -= np.abs(nearest) > np.abs(source)
    bits |= nearest != source
    return nearest.reshape(source.shape)
