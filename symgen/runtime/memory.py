"""Which arrays share memory: results that would overwrite each other, and operands that a result would overwrite."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from typing import Any, Final

import numpy as np

from .dtypes import Array

WORK: Final = 100_000  # candidates that NumPy tries before it gives up; usual views need none
C_CONTIGUOUS: Final = 0x0001  # a bit of ndarray.flags.num
_shares_memory: Any = np.shares_memory  # whose stub knows two values of max_work


def share(a: Array, b: Array) -> bool:
    """Whether two arrays have an element in common; what takes too long to decide counts as yes."""
    if not np.may_share_memory(a, b):
        return False
    try:
        return bool(_shares_memory(a, b, max_work=WORK))
    except np.exceptions.TooHardError:
        return True


def overlaps_itself(array: Array) -> bool:
    """Whether two elements of an array share memory, as those of a broadcast array or a sliding window do."""
    if array.flags.num & C_CONTIGUOUS or not array.size:
        return False
    steps = sorted((abs(step), length) for step, length in zip(array.strides, array.shape, strict=True) if length > 1)
    reach, nested = array.itemsize, True
    for step, length in steps:
        nested = nested and step >= reach
        reach += step * (length - 1)
    if nested:
        return False
    if array.nbytes > reach:  # more elements than places; also keeps what follows as small as the memory itself
        return True
    places = np.zeros(1, np.int64)
    for step, length in steps:
        places = np.add.outer(places, step * np.arange(length)).ravel()
    places.sort()
    return bool((np.diff(places) < array.itemsize).any())


def check_apart(method: str, outs: Sequence[Any]) -> None:
    """Check that no result of a call would be written over another.

    Raises:
        ValueError: two of the outputs share memory.
    """
    given = [(i, out) for i, out in enumerate(outs) if isinstance(out, np.ndarray)]
    for (i, first), (j, second) in combinations(given, 2):
        if share(first, second):
            raise ValueError(
                f"{method}(): out[{i}] and out[{j}] share memory, so that one result would overwrite the other; "
                "pass arrays of their own"
            )


def unshared(array: Array, outs: Sequence[Any]) -> Array:
    """The array, or a copy of it where writing to one of the outputs might change it."""
    touched = any(isinstance(out, np.ndarray) and np.may_share_memory(array, out) for out in outs)
    return array.copy(order="K") if touched else array
