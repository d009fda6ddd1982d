"""Calls of reduced losses on plain arrays, remembered: the loop and its divisor at once, without reading arguments.

The first call of a kind is fully checked; it leaves what later ones run. Arrays stand first among the arguments and
have one shape; whatever else a call is given is the same number for all elements, and part of the key.

Chunks have one length whatever the number of threads, and the sum of each is a number and what it is missing; those
are added up exactly. So results do not depend on the threads, not in a single bit.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import numpy as np

from .dtypes import Array, DType
from .execute import CONTIGUOUS, Loop, bare
from .threads import in_chunks

CHUNK: Final = 1 << 16  # elements of a chunk: a multiple of the lanes, and large against what handing it over costs
LARGEST: Final = {np.dtype(t): float(np.finfo(t).max) for t in (np.float32, np.float64)}


class Summing(NamedTuple):
    """How the losses of plain arrays are summed.

    Attributes:
        loop: takes the operands, the numbers, how many elements there are, a factor of the gradients, and where these
            go; it returns the sum and what that is missing.
        operands: 1-D arrays of one length, or numbers.
        numbers: the numeric options.
    """

    loop: Loop
    operands: tuple[Any, ...]
    numbers: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class ReadyLoss:
    """How a reduced loss of plain arrays is computed.

    Attributes:
        how: the loop, the operands that are numbers, and the options.
        dtype: of every array.
        share: what each sample adds to the divisor.
        by: what the divisor counts: "mean" samples, "batchmean" entries of the first axis, "sum" nothing.
        gradients: how many there are.
        with_value: whether the loss is returned.
    """

    how: Summing
    dtype: DType
    share: float
    by: str
    gradients: int
    with_value: bool
    results: int = 0  # no loop writes them, and they are not asked for element by element

    def run(self, inputs: tuple[Any, ...], out: Any) -> Any:
        """The result, or None where arrays are not as plain as they have to be."""
        dtype = self.dtype
        first = inputs[0]
        if out is not None or type(first) is not np.ndarray or not first.ndim or not (size := first.size):
            return None
        shape, flat = first.shape, []
        for a in inputs:
            if type(a) is not np.ndarray or a.dtype is not dtype or a.shape != shape:
                return None
            if a.flags.num & CONTIGUOUS != CONTIGUOUS:
                return None
            flat.append(a if a.ndim == 1 else a.reshape(-1))
        divisor = 1.0 if self.by == "sum" else self.share * (size if self.by == "mean" else shape[0])
        if not abs(divisor) >= 1.0:  # gradients would be multiplied with more than one
            return None
        outs = [np.empty(shape, dtype) for _ in range(self.gradients)]
        how = self.how._replace(operands=(*flat, *self.how.operands))
        number = add_up(how, size, 1.0 / divisor, [a.reshape(-1) for a in outs]) / divisor
        if not self.with_value:
            return bare(outs)
        if abs(number) > LARGEST[dtype] and not math.isinf(number):
            return None  # NumPy's conversion would warn, which the checked call does not
        loss = dtype.type(number)
        return (loss, bare(outs)) if outs else loss


def add_up(how: Summing, size: int, scale: float, outs: Sequence[Array]) -> float:
    """The sum of the losses of so many elements, whose scaled gradients are written to 1-D arrays."""
    loop, operands, numbers = how
    if size <= CHUNK:
        high, low = loop(*operands, *numbers, size, scale, *outs)
        return float(high + low)
    parts: list[Any] = [None] * -(-size // CHUNK)

    def task(start: int, stop: int) -> None:
        for c in range(start, stop):
            first, last = c * CHUNK, min((c + 1) * CHUNK, size)
            read = [a if type(a) is float else a[first:last] for a in operands]
            parts[c] = loop(*read, *numbers, last - first, scale, *[o[first:last] for o in outs])

    in_chunks(task, len(parts), CHUNK)
    return joined([number for part in parts for number in part])


def joined(numbers: Sequence[float]) -> float:
    """The sum of some numbers, rounded once; infinite or NaN as plain summation has it.

    Example:
        >>> joined([1e16, 1.0, -1e16])
        1.0
        >>> joined([math.inf, 1.0])
        inf
    """
    try:
        return math.fsum(numbers)
    except (OverflowError, ValueError):  # a partial sum is too large, or there are infinities of both signs
        return sum(numbers)
