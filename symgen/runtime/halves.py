"""Kernels of rows on arrays of float16 and bfloat16: widened where they run, chunk by chunk, and rounded once.

A kernel reads them as float32, which holds every one of them, and writes float64, so that nothing is rounded twice.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any, Final

import numpy as np

from .dtypes import FLOAT16, FLOAT32, FLOAT64, Array, DType, Precision

Loop = Callable[..., None]
BLOCK: Final = 1 << 15  # entries that are widened at a time: in both formats they fit the second-level cache

def is_half(dtype: DType) -> bool:
    """Whether numbers of this dtype are widened: float16, or bfloat16."""
    return dtype.itemsize == 2 and dtype.kind not in "iu"


def stored(precision: Precision) -> Precision:
    """The precision of rows: half precision is kept as it is, and computed by what computes float32."""
    return Precision(precision.result, precision.result, "f32") if is_half(precision.result) else precision


def kept(array: Array, dtype: DType) -> DType:
    """The dtype in which an operand becomes rows of this dtype: one that half precision may not hold stays wider."""
    return FLOAT64 if is_half(dtype) and array.dtype != dtype else dtype


def read_as(dtype: DType) -> DType:
    """What a kernel takes an operand of this dtype as."""
    return FLOAT32 if is_half(dtype) else dtype


def written_as(dtype: DType) -> DType:
    """What a kernel gives a result of this dtype as."""
    return FLOAT64 if is_half(dtype) else dtype


def on_halves(loop: Loop, shared: Sequence[bool], rows: bool) -> Loop:
    """A kernel that takes and gives arrays of half precision.

    Args:
        loop: takes operands, numbers and outputs, those of half precision as ``read_as`` and ``written_as`` have it.
        shared: of each operand whether all rows share it.
        rows: whether outputs have as many rows as there are, so that a few can be computed at a time; sums of all
            rows do not, whatever their length.
    """
    count = len(shared)

    def run(*arguments: Any) -> None:
        taken, given = arguments[:count], arguments[count:]
        outputs = [a for a in given if isinstance(a, np.ndarray)]
        total = len(outputs[0])
        width = max(1, outputs[-1].size // max(1, total), _widest(taken, shared))
        step = max(1, BLOCK // width)
        parts = [slice(i, i + step) for i in range(0, total, step)] if rows else [slice(None)]
        for part in parts:
            read = [a if s or a is None or len(a) == 1 else a[part] for a, s in zip(taken, shared, strict=True)]
            targets = [a[part] if isinstance(a, np.ndarray) and rows else a for a in given]
            wide = [np.empty(a.shape) if isinstance(a, np.ndarray) and is_half(a.dtype) else a for a in targets]
            loop(*[widened(a) if a is not None and is_half(a.dtype) else a for a in read], *wide)
            for result, target in zip(wide, targets, strict=True):
                if result is not target:
                    narrowed(result, target)

    return run


def _widest(taken: Sequence[Array | None], shared: Sequence[bool]) -> int:
    """The most entries that an operand has in a row."""
    return max((a[0].size for a, s in zip(taken, shared, strict=True) if a is not None and not s and len(a)), default=1)


def widened(array: Array) -> Array:
    """A contiguous array of half precision as float32, exactly."""
    result = np.empty(array.shape, np.float32)
    _loops(array.dtype)[0](array.reshape(-1).view(np.uint16), result.reshape(-1).view(np.uint32))
    return result


def narrowed(values: Array, target: Array) -> None:
    """Round contiguous float64 numbers to half precision, to nearest even."""
    _loops(target.dtype)[1](values.reshape(-1), target.reshape(-1).view(np.uint16))


@cache
def _loops(dtype: DType) -> tuple[Loop, Loop]:
    """The loops from an array's words to the bits of float32, and from float64 to words."""
    from . import words  # needs Numba, which only a kernel that runs needs

    if dtype == FLOAT16:
        return words.widen_float16, words.narrow_float16
    return words.widen_bfloat16, words.narrow_bfloat16
