"""Sine and cosine of a sum of two floats in NumPy, for measuring a candidate without compiling it.

The same steps as in `symgen/runtime/trig.py`, which says why each of them is enough. The rare arguments that need the
exact reduction are reduced one by one in Python's integers, with bits of 2/pi of their own.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from fractions import Fraction
from functools import cache, lru_cache
from typing import Any

import flint
import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]

QUARTER_TURN = (1.5707963267948966, 6.123233995736766e-17, -1.4973849048591698e-33)
QUARTERS = 0.6366197723675814
DIRECT = 2.0**30
CANCELLED = 2.0**-60
FIRST_ORDER = 2.0**-30
SHRINK, SHIFT = 2.0**-512, 1024
LARGE = 2.0**900
NORMAL = 2.0**-1021  # products that are larger have all their bits

SINE = tuple((-1) ** k / math.factorial(2 * k + 1) for k in range(8, 1, -1))
COSINE = tuple((-1) ** k / math.factorial(2 * k) for k in range(9, 1, -1))
SIXTH = (-1 / 6, -9.25185853854297e-18)

BITS = 2304  # of 2/pi: the largest exponent of a product's last bit, 971 + 1024, and 256 more
WINDOW = 256  # of them make a difference to one number
LEAST = -254  # exponent of a last bit below which a number makes no difference to another


@cache
def two_over_pi() -> int:
    """2/pi in units of 2^-BITS, cut off."""
    with flint.ctx.workprec(BITS + 64):
        return int((flint.arb(2) ** (BITS + 1) / flint.arb.pi()).floor().unique_fmpz())


def sin_sum(h: Any, l: Any) -> Array:
    """The sine of the exact number ``h + l``, elementwise; see `symgen.runtime.trig.sin_sum`."""
    return _wave(h, l, 0)


def cos_sum(h: Any, l: Any) -> Array:
    """The cosine of the exact number ``h + l``, elementwise."""
    return _wave(h, l, 1)


def _wave(h: Any, l: Any, quarters: int) -> Array:
    h, l = np.broadcast_arrays(np.asarray(h, dtype=np.float64), np.asarray(l, dtype=np.float64))
    shape, h, l = h.shape, h.ravel(), l.ravel()
    finite = np.isfinite(h)
    with np.errstate(all="ignore"):
        quadrant, x, y = _reduce(np.where(finite, h, 0.0), np.where(np.isfinite(l), l, 0.0))
        value = np.where(finite, _turned(quadrant + quarters, x, y), np.nan)
    return value.reshape(shape)


def sin_product(a: Any, b: Any) -> Array:
    """The sine of the exact product ``a b``, elementwise; see `symgen.runtime.trig.sin_product`."""
    return _product_wave(a, b, 0)


def cos_product(a: Any, b: Any) -> Array:
    """The cosine of the exact product ``a b``, elementwise."""
    return _product_wave(a, b, 1)


def _product_wave(a: Any, b: Any, quarters: int) -> Array:
    a, b = np.broadcast_arrays(np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64))
    shape, a, b = a.shape, a.ravel(), b.ravel()
    with np.errstate(all="ignore"):
        h = a * b
        low = _lost(a, b)
        easy = (np.abs(a) < LARGE) & (np.abs(b) < LARGE) & (np.abs(h) < LARGE) & (np.abs(h) > 1 / LARGE)
        hard = np.isfinite(h) & ~easy
        low[hard] = _lost_far_out(a[hard], b[hard])
        rest = np.flatnonzero(hard & (np.abs(h) < NORMAL))
        low[rest] = [_exact_low(x, y, z) for x, y, z in zip(*(v[rest].tolist() for v in (a, b, h)), strict=True)]
        value = _wave(h, low, quarters)
        beyond = np.flatnonzero(~np.isfinite(h) & np.isfinite(a) & np.isfinite(b))
        if beyond.size:
            x, y = a[beyond] * SHRINK, b[beyond] * SHRINK
            product = x * y
            lost = [_exact_low(*each) for each in zip(x.tolist(), y.tolist(), product.tolist(), strict=True)]
            quadrant, high, last = _reduce_exactly(product.tolist(), lost, SHIFT)
            value[beyond] = _turned(quadrant + quarters, high, last)
    return value.reshape(shape)


def _lost_far_out(a: Array, b: Array) -> Array:
    """What rounding a product lost that is a normal number, where splitting would leave the range."""
    (a, m), (b, n) = np.frexp(a), np.frexp(b)
    return np.asarray(np.ldexp(_lost(a, b), m + n) + 0.0)


def _exact_low(a: float, b: float, product: float) -> float:
    """What rounding lost, where splitting would leave the range."""
    return float(Fraction(a) * Fraction(b) - Fraction(product))


def _turned(quadrant: Any, x: Array, y: Array) -> Array:
    value = np.where(quadrant & 1, _cosine(x, y), _sine(x, y))
    return np.where(quadrant & 2, -value, value)


def _two_sum(a: Array, b: Array) -> tuple[Array, Array]:
    total = a + b
    back = total - a
    return total, (a - (total - back)) + (b - back)


def _lost(a: Any, b: Any) -> Any:
    """What rounding ``a * b`` loses, by Veltkamp splitting: the factors here are far from overflow."""
    c, d = 134217729.0 * a, 134217729.0 * b
    ah, bh = c - (c - a), d - (d - b)
    al, bl = a - ah, b - bh
    return ((ah * bh - a * b) + ah * bl + al * bh) + al * bl


def _reduce(h: Array, l: Array) -> tuple[npt.NDArray[np.int64], Array, Array]:
    """The quadrant and the remainder, a pair, of finite arguments."""
    near = (np.abs(h) <= DIRECT) & (np.abs(l) <= DIRECT)
    x, y = _two_sum(np.where(near, h, 0.0), np.where(near, l, 0.0))
    x = np.where(near & (l == 0.0), h, x)  # -0.0 + 0.0 is 0.0
    n = np.rint(x * QUARTERS)
    p0, p1 = n * QUARTER_TURN[0], n * QUARTER_TURN[1]
    high, e0 = _two_sum(x, -p0)
    high, e1 = _two_sum(high, -_lost(n, QUARTER_TURN[0]))
    high, e2 = _two_sum(high, -p1)
    high, e3 = _two_sum(high, y)
    low = (e0 + e1 + e2 + e3) - (_lost(n, QUARTER_TURN[1]) + n * QUARTER_TURN[2])
    high, low = _two_sum(high, low)
    quadrant = n.astype(np.int64) & 3
    high, low = np.where(n == 0.0, x, high), np.where(n == 0.0, y, low)
    hard = ~near | ((n != 0.0) & (np.abs(high) < CANCELLED))
    if hard.any():
        quadrant[hard], high[hard], low[hard] = _reduced(h[hard].tobytes(), l[hard].tobytes())
    return quadrant, high, low


@lru_cache(maxsize=16)  # the sine and the cosine of the same points are asked for one after the other
def _reduced(h: bytes, l: bytes) -> tuple[npt.NDArray[np.int64], Array, Array]:
    return _reduce_exactly(*(np.frombuffer(each).tolist() for each in (h, l)))


def _reduce_exactly(
    h: Iterable[float], l: Iterable[float], shift: int = 0
) -> tuple[npt.NDArray[np.int64], Array, Array]:
    pairs = [_quarters(a, b, shift) for a, b in zip(h, l, strict=True)]
    quadrant, high, low = (np.array(column) for column in zip(*pairs, strict=True))
    r = high * QUARTER_TURN[0]
    rest = _lost(high, QUARTER_TURN[0]) + (high * QUARTER_TURN[1] + low * QUARTER_TURN[0])
    return quadrant, *_two_sum(r, rest)


@lru_cache(maxsize=1 << 16)  # each candidate is measured at the same points
def _quarters(h: float, l: float, shift: int) -> tuple[int, float, float]:
    """The quarter turn next to ``(h + l) 2^shift``, and how far away it is in quarter turns, as a pair."""
    return _remainder(_turns(h, shift) + _turns(l, shift))


def _turns(x: float, shift: int) -> int:
    """``x 2^shift / (2 pi)`` in units of 2^-256, but for whole turns."""
    significand, exponent = math.frexp(x)
    exponent += shift - 53
    if exponent < LEAST:
        return 0
    after = BITS - WINDOW + 2 - exponent  # bits of 2/pi below the window
    return int(significand * 2.0**53) * ((two_over_pi() >> after) & ((1 << WINDOW) - 1))


def _remainder(turns: int) -> tuple[int, float, float]:
    quadrant = ((turns + (1 << WINDOW - 3)) >> WINDOW - 2) & 3
    rest = (turns - (quadrant << WINDOW - 2)) & ((1 << WINDOW) - 1)
    rest -= (rest >> WINDOW - 1) << WINDOW
    high = float(rest)
    return quadrant, math.ldexp(high, 2 - WINDOW), math.ldexp(float(rest - int(high)), 2 - WINDOW)


def _sine(x: Array, y: Array) -> Array:
    z = x * x
    p = np.zeros_like(x)
    for coefficient in SINE:
        p = p * z + coefficient
    p *= z
    a = SIXTH[0] + p
    a_lost = (SIXTH[0] - a) + p + SIXTH[1]
    b = z * a
    b_lost = _lost(z, a) + (z * a_lost + _lost(x, x) * a)
    c = x * b
    c_lost = _lost(x, b) + x * b_lost
    s = x + c
    slope = 1.0 + z * (z * (1 / 24) - 0.5)
    return np.where(np.abs(x) < FIRST_ORDER, x, s + ((x - s) + c + (c_lost + y * slope)))


def _cosine(x: Array, y: Array) -> Array:
    z = x * x
    p = np.zeros_like(x)
    for coefficient in COSINE:
        p = p * z + coefficient
    half = 0.5 * z
    c = 1.0 - half
    slope = x * (z * (1 / 6) - 1.0)
    near = c + ((1.0 - c) - half + (z * (z * p) - 0.5 * _lost(x, x) + y * slope))
    return np.where(np.abs(x) < FIRST_ORDER, 1.0, near)
