"""Reductions of a row in pair arithmetic: by halves, so that they are vector code and no error grows with the length.

Each takes a row of numbers and what each is missing, and uses both up. Copied beside a user's own kernels: it imports
NumPy and Numba only.
"""

from __future__ import annotations

import math
from typing import Any

from numba import njit

_exact = njit(nogil=True, error_model="numpy", fastmath=False, forceinline=True)
_whole = njit(nogil=True, error_model="numpy", fastmath=False)


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


@_whole
def sum_up(high: Any, low: Any) -> tuple[float, float]:
    """The sum of a row of pairs, of which at most the logarithm of the length times 2**-106 is lost."""
    n = high.size
    if n == 0:
        return 0.0, 0.0
    while n > 1:
        half = n // 2
        kept = n - half
        for i in range(half):
            a, b = high[i], high[kept + i]
            total = a + b
            back = total - a
            low[i] += low[kept + i] + ((a - (total - back)) + (b - back))
            high[i] = total
        n = kept
    total, missing = settled(high[0], low[0])
    return total, missing


@_whole
def largest(high: Any, low: Any) -> tuple[float, float]:
    """The largest pair of a row, NaN where there is one, minus infinity of an empty row."""
    n = high.size
    if n == 0:
        return -math.inf, 0.0
    while n > 1:
        half = n // 2
        kept = n - half
        for i in range(half):
            a, b = high[i], high[kept + i]
            stays = a > b or math.isnan(a) or (a == b and low[i] >= low[kept + i])
            low[i] = low[i] if stays else low[kept + i]
            high[i] = a if stays else b
        n = kept
    return high[0], low[0]


@_whole
def smallest(high: Any, low: Any) -> tuple[float, float]:
    """The smallest pair of a row, NaN where there is one, infinity of an empty row."""
    for i in range(high.size):
        high[i], low[i] = -high[i], -low[i]
    most, rest = largest(high, low)
    return -most, -rest


@_whole
def peak(high: Any, low: Any) -> tuple[float, float]:
    """A finite number near the largest: the largest itself, or zero where it is infinite or none."""
    most, _ = largest(high, low)
    return (most if math.isfinite(most) else 0.0), 0.0


@_whole
def scale(high: Any, low: Any) -> tuple[float, float]:
    """A power of two near the largest size, for exact divisions: one where that is zero or infinite."""
    for i in range(high.size):
        high[i], low[i] = abs(high[i]), 0.0
    most, _ = largest(high, low)
    if most == 0.0 or not math.isfinite(most):
        return 1.0, 0.0
    return math.ldexp(1.0, min(max(math.frexp(most)[1], -1000), 1000)), 0.0


@_whole
def multiply_up(high: Any, low: Any) -> tuple[float, float]:
    """The product of a row, each step rounded."""
    product = 1.0
    for i in range(high.size):
        product *= high[i] + low[i]
    return product, 0.0
