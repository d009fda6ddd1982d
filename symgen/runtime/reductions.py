"""Reductions of a row in pair arithmetic: LANES running results side by side, which compilers turn into vector code.

Lane k of a reduction takes every LANES-th entry of the row in turn, then the lanes are joined by halves: an order that
depends on the length alone, in which no error grows with it. Each lane is a number and what it is missing. Copied
beside a user's own kernels: it imports NumPy and Numba only.
"""

# ruff: noqa: FURB136  max() does not say which of two numbers it gives where one is NaN

from __future__ import annotations

import math
from typing import Any

from numba import njit

from . import intrinsics

LANES = 64  # eight vectors of eight: enough for an addition to end before its lane is wanted again

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


# -- one more entry, into a lane ------------------------------------------------------------------------------------


@_exact
def added(high: float, low: float, entry: float, rest: float) -> tuple[float, float]:
    """A sum with one more pair, exact but for the rounding of what is missing."""
    total, error = two_sum(high, entry)
    return total, low + (error + rest)


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


# -- the lanes of a whole row, joined -------------------------------------------------------------------------------


@_whole
def sum_up(high: Any, low: Any, count: int) -> tuple[float, float]:
    """The sum of the first lanes, of which at most the logarithm of the length times 2**-106 is lost."""
    while count > 1:
        kept = count - count // 2
        others, lows = high[kept:count], low[kept:count]
        for i in range(others.size):
            high[i], low[i] = added(high[i], low[i], others[i], lows[i])
        count = kept
    total, missing = settled(high[0], low[0])
    return total, missing


@_whole
def multiply_up(high: Any, low: Any, count: int) -> tuple[float, float]:
    """The product of the first lanes."""
    for i in range(1, count):
        high[0], low[0] = multiplied(high[0], low[0], high[i], low[i])
    total, missing = settled(high[0], low[0])
    return total, missing


@_whole
def largest(high: Any, low: Any, count: int) -> tuple[float, float]:
    """The largest pair of the first lanes, NaN where there is one, minus infinity of an empty row."""
    while count > 1:
        kept = count - count // 2
        others, lows = high[kept:count], low[kept:count]
        for i in range(others.size):
            high[i], low[i] = larger(high[i], low[i], others[i], lows[i])
        count = kept
    return high[0], low[0]


@_whole
def smallest(high: Any, low: Any, count: int) -> tuple[float, float]:
    """The smallest pair, of lanes that hold negatives; NaN where there is one, infinity of an empty row."""
    most, rest = largest(high, low, count)
    return -most, -rest


@_whole
def _most(high: Any, count: int) -> Any:
    while count > 1:
        kept = count - count // 2
        others = high[kept:count]
        for i in range(others.size):
            high[i] = nearer(high[i], others[i])
        count = kept
    return high[0]


@_whole
def peak(high: Any, count: int) -> float:
    """A finite number near the largest: the largest itself, or zero where it is infinite or none."""
    most = _most(high, count)
    return most if math.isfinite(most) else 0.0


@_whole
def scale(high: Any, count: int) -> float:
    """A power of two near the largest size, for exact divisions: one where that is zero or infinite."""
    most = _most(high, count)
    if most == 0.0 or not math.isfinite(most):
        return 1.0
    return math.ldexp(1.0, min(max(math.frexp(most)[1], -1000), 1000))
