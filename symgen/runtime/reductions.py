"""Reductions of a row in pair arithmetic: LANES running results side by side, which compilers turn into vector code.

Lane k of a reduction takes every LANES-th entry of the row in turn, then the lanes are joined by halves: an order that
depends on the length alone, in which no error grows with it. Each lane is a number and what it is missing. Copied
beside a user's own kernels: it imports NumPy and Numba only.
"""

# ruff: noqa: FURB136  max() does not say which of two numbers it gives where one is NaN

from __future__ import annotations

import math
from typing import Any, Final

import numpy as np
from numba import njit, types
from numba.extending import intrinsic, overload

from . import intrinsics

LANES = 128  # for an addition to end before its lane is wanted again, and for a tile to be worth its views

fma: Any = intrinsics.fma
two_sum: Any = intrinsics.two_sum

_exact: Any = njit(nogil=True, error_model="numpy", fastmath=False, forceinline=True)
_whole: Any = njit(nogil=True, error_model="numpy", fastmath=False)


@_exact
def inside(position: int, size: int) -> int:
    """A gathered position, or 0 where it is outside: what is read there is not used."""
    return position if 0 <= position < size else 0


@_exact
def settled(high: float, low: float) -> tuple[float, float]:
    """A pair with the high part rounded; of an infinity or NaN nothing is missing."""
    total = high + low
    rest = low - (total - high)
    known = rest - rest == 0.0
    return (total if known else high), (rest if known else 0.0)


def tile(operand: Any, start: int, stop: int) -> Any:
    """A part of an array; a number as it is."""
    return operand[start:stop] if isinstance(operand, np.ndarray) else operand


def entry(operand: Any, i: int) -> Any:
    """An entry of an array; a number as it is; true of a mask that is None."""
    return operand[i] if isinstance(operand, np.ndarray) else operand is None or operand


def row_of(operand: Any, row: int) -> Any:
    """A row of an array, the only one where it has one; None as it is."""
    return operand if operand is None else operand[row if operand.shape[0] > 1 else 0]


_OPTIONS: Final = {"nogil": True, "error_model": "numpy", "fastmath": False, "forceinline": True}


@overload(tile, jit_options=_OPTIONS)
def _tile(operand: Any, start: int, stop: int) -> Any:  # noqa: ARG001  Numba compares the signatures
    def part(operand: Any, start: int, stop: int) -> Any:
        return operand[start:stop]

    def number(operand: Any, start: int, stop: int) -> Any:  # noqa: ARG001
        return operand

    return part if isinstance(operand, types.Array) else number


@overload(entry, jit_options=_OPTIONS)
def _entry(operand: Any, i: int) -> Any:  # noqa: ARG001
    def one(operand: Any, i: int) -> Any:
        return operand[i]

    def number(operand: Any, i: int) -> Any:  # noqa: ARG001
        return operand

    def always(operand: Any, i: int) -> Any:  # noqa: ARG001
        return True

    return one if isinstance(operand, types.Array) else always if isinstance(operand, types.NoneType) else number


@overload(row_of, jit_options=_OPTIONS)
def _row_of(operand: Any, row: int) -> Any:  # noqa: ARG001
    def one(operand: Any, row: int) -> Any:
        return operand[row if operand.shape[0] > 1 else 0]

    def none(operand: Any, row: int) -> Any:  # noqa: ARG001
        return operand

    return none if isinstance(operand, types.NoneType) else one


# -- one more entry, into a lane ------------------------------------------------------------------------------------


@_exact
def added(high: float, low: float, entry: float, rest: float) -> tuple[float, float]:
    """A sum with one more pair, exact but for the rounding of what is missing."""
    total, error = two_sum(high, entry)
    return total, low + (error + rest)


@intrinsic
def plus(_typing: Any, _a: Any, _b: Any) -> Any:
    """A sum with one more number, where their order is left to compilers: they keep as many sums as vectors hold."""

    def emit(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return builder.fadd(*arguments, flags=("reassoc",))

    return types.float64(types.float64, types.float64), emit


@_exact
def beside_one(high: float, low: float, entry: float) -> tuple[float, float]:
    """The number of ones in a sum and the sum of all else, with one more entry."""
    one = entry == 1.0
    return plus(high, 1.0 if one else 0.0), plus(low, 0.0 if one else entry)


@_exact
def multiplied(high: float, low: float, entry: float, rest: float) -> tuple[float, float]:
    """A product with one more pair."""
    product = high * entry
    return product, fma(high, entry, -product) + (high * rest + low * entry)


@_exact
def larger(high: float, low: float, entry: float, rest: float) -> tuple[float, float]:
    """The larger of two pairs, NaN where there is one: by conditions of one comparison, which become vector code."""
    tied = low if low > rest else rest
    below = tied if high == entry else rest
    most = entry if entry > high else high
    least = below if entry >= high else low
    return (entry if math.isnan(entry) else most), (0.0 if math.isnan(entry) else least)


@_exact
def smaller(high: float, low: float, entry: float, rest: float) -> tuple[float, float]:
    """As ``larger``, of a lane that holds the negative of the smallest."""
    most, least = larger(high, low, -entry, -rest)
    return most, least


@_exact
def nearer(high: float, entry: float) -> float:
    """The larger of two numbers; NaN is passed over."""
    return entry if entry > high else high


@_exact
def wider(high: float, entry: float) -> float:
    """The larger size of two numbers; NaN is passed over."""
    size = abs(entry)
    return size if size > high else high


@_exact
def lanes_of(size: int) -> int:
    """How many lanes a row of this length needs: a power of two."""
    count = 1
    while count < size and count < LANES:
        count *= 2
    return count


@_exact
def cleared(lanes: Any, count: int, start: float) -> None:
    """Begin a reduction."""
    for i in range(count):
        lanes[i] = start


# -- the lanes of a whole row, joined -------------------------------------------------------------------------------
#
# Lanes that a row left alone are as they began, and each half has a length that compilers know.


@_exact
def _by_halves(step: Any, high: Any, low: Any, count: int) -> tuple[float, float]:
    if count > 64:
        _join(step, high, low, 64)
    if count > 32:
        _join(step, high, low, 32)
    if count > 16:
        _join(step, high, low, 16)
    if count > 8:
        _join(step, high, low, 8)
    if count > 4:
        _join(step, high, low, 4)
    if count > 2:
        _join(step, high, low, 2)
    if count > 1:
        _join(step, high, low, 1)
    return high[0], low[0]


@_exact
def _join(step: Any, high: Any, low: Any, half: int) -> None:
    for i in range(half):
        high[i], low[i] = step(high[i], low[i], high[half + i], low[half + i])


@_exact
def sum_up(high: Any, low: Any, count: int) -> tuple[float, float]:
    """The sum of the lanes, of which at most the logarithm of the length times 2**-106 is lost."""
    total, missing = _by_halves(added, high, low, count)
    total, missing = settled(total, missing)
    return total, missing


@_exact
def estimate(lanes: Any, count: int) -> Any:
    """The sum of the lanes."""
    total = 0.0
    for i in range(count):
        total = plus(total, lanes[i])
    return total


@_exact
def settled_sum(high: float, low: float) -> tuple[float, float]:
    """The sum of two numbers as a pair."""
    total, error = two_sum(high, low)
    total, error = settled(total, error)
    return total, error


@_exact
def one_and_more(high: Any, low: Any, count: int) -> tuple[float, float]:
    """The sum of the lanes, of ones and of all else."""
    ones, rest = estimate(high, count), estimate(low, count)
    total, error = settled_sum(ones, rest)
    return total, error


@_exact
def multiply_up(high: Any, low: Any, count: int) -> tuple[float, float]:
    """The product of the lanes."""
    product, missing = _by_halves(multiplied, high, low, count)
    product, missing = settled(product, missing)
    return product, missing


@_exact
def largest(high: Any, low: Any, count: int) -> tuple[float, float]:
    """The largest pair of the lanes, NaN where there is one, minus infinity of an empty row."""
    most, rest = _by_halves(larger, high, low, count)
    return most, rest


@_exact
def smallest(high: Any, low: Any, count: int) -> tuple[float, float]:
    """The smallest pair, of lanes that hold negatives; NaN where there is one, infinity of an empty row."""
    most, rest = _by_halves(larger, high, low, count)
    return -most, -rest


@_exact
def _most(high: Any, count: int) -> Any:
    if count > 64:
        _keep(high, 64)
    if count > 32:
        _keep(high, 32)
    if count > 16:
        _keep(high, 16)
    if count > 8:
        _keep(high, 8)
    if count > 4:
        _keep(high, 4)
    if count > 2:
        _keep(high, 2)
    if count > 1:
        _keep(high, 1)
    return high[0]


@_exact
def _keep(high: Any, half: int) -> None:
    for i in range(half):
        high[i] = nearer(high[i], high[half + i])


@_exact
def peak(high: Any, count: int) -> float:
    """A finite number near the largest: the largest itself, or zero where it is infinite or none."""
    most = _most(high, count)
    return most if math.isfinite(most) else 0.0


@_whole
def scale(high: Any, count: int) -> float:
    """One over a power of two near the largest size, for exact products: one where that is zero or infinite."""
    most = _most(high, count)
    if most == 0.0 or not math.isfinite(most):
        return 1.0
    return math.ldexp(1.0, min(max(-math.frexp(most)[1], -1000), 1000))
