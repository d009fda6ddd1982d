"""Sine and cosine of a sum of two floats: a product such as omega*x is known better than one float64 can say.

From about 2^53 on, the rounding error of a product is larger than a whole turn, and near a multiple of pi/2 it decides
every digit of the result; so ``h + l`` is reduced as the exact number that it is. Up to 2^30 a value of pi/2 in three
parts is enough (Cody and Waite 1980); beyond, and where that cancels, 2/pi is multiplied in 256-bit integers (Payne and
Hanek 1983). The remainder stays a pair, and one rounding is left in the end.

    h or l                        result
    h = -0.0 and l = 0.0          -0.0 (sine), 1.0 (cosine)
    h infinite or NaN             NaN
    l infinite or NaN             as for l = 0: nothing is known of it, the product overflowed

This file is copied beside a user's own kernels, so it imports NumPy and Numba only.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np
from numba import njit, types
from numba.core.extending import intrinsic

from . import intrinsics
from .intrinsics import two_sum

fma: Callable[..., float] = intrinsics.fma  # to a type checker it takes the compiler's argument too

F = TypeVar("F", bound=Callable[..., Any])


def _exact(function: F) -> F:
    """Compile without fastmath, the caller's too: fusing or reordering would destroy the error terms."""
    compiled: F = njit(nogil=True, error_model="numpy", fastmath=False)(function)
    return compiled


# pi/2 as a sum of three floats: right to 2^-162.
QUARTER_TURN = (1.5707963267948966, 6.123233995736766e-17, -1.4973849048591698e-33)
QUARTERS = 0.6366197723675814  # 2/pi: how many quarter turns a radian is

# n = rint(x 2/pi) is below 2^31. After the first difference all partial sums of r = x - n pi/2 are below |r| + 2^-20,
# and what they lose is below 2^-72. Adding that up is wrong by 2^-122 at most: 62 bits of a remainder above 2^-60 are
# right. Only a sum whose low part cancels comes nearer to a multiple of pi/2 here; it is reduced exactly.
DIRECT = 2.0**30
CANCELLED = 2.0**-60

# A product of two floats is below 2^2048: each factor is divided by 2^512, and the reduction puts the exponent back.
SHRINK = 2.0**-512
SHIFT = 1024

# Below it the first neglected term, x^3/6 or x^2/2, is less than 2^-61 of the result.
FIRST_ORDER = 2.0**-30

# Taylor's series, highest power first: on [0, pi/4] the first term left out is below 2^-62 of sin(x) and of cos(x).
# sin(x) = x - x^3/6 + x^5 SINE(x^2) and cos(x) = 1 - x^2/2 + x^4 COSINE(x^2).
SINE = tuple((-1) ** k / math.factorial(2 * k + 1) for k in range(8, 1, -1))
COSINE = tuple((-1) ** k / math.factorial(2 * k) for k in range(9, 1, -1))
SIXTH = (-1 / 6, -9.25185853854297e-18)  # -1/6 in two parts

# The bits of 2/pi after the point, 64 a word, behind PADDING words of zeros for the window of small numbers. What lies
# below a window of 256 bits, times a significand of 53 bits, is less than 2^53 2^-256 turns. A float64 by itself leaves
# a remainder above 2^-61, the product of two above 2^-110 or so: at least 90 bits of it are right.
PADDING = 4
TWO_OVER_PI = np.array(
    (
        *(0,) * PADDING,
0xA2F9836E4E441529, 0xFC2757D1F534DDC0, 0xDB6295993C439041, 0xFE5163ABDEBBC561,
        0xB7246E3A424DD2E0, 0x06492EEA09D1921C, 0xFE1DEB1CB129A73E, 0xE88235F52EBB4484,
        0xE99C7026B45F7E41, 0x3991D639835339F4, 0x9C845F8BBDF9283B, 0x1FF897FFDE05980F,
        0xEF2F118B5A0A6D1F, 0x6D367ECF27CB09B7, 0x4F463F669E5FEA2D, 0x7527BAC7EBE5F17B,
        0x3D0739F78A5292EA, 0x6BFB5FB11F8D5D08, 0x56033046FC7B6BAB, 0xF0CFBC209AF4361D,
        0xA9E391615EE61B08, 0x6599855F14A06840, 0x8DFFD8804D732731, 0x06061556CA73A8C9,
        0x60E27BC08C6B47C4, 0x19C367CDDCE8092A, 0x8359C4768B961CA6, 0xDDAF44D15719053E,
        0xA5FF07053F7E33E8, 0x32C2DE4F98327DBB, 0xC33D26EF6B1E5EF8, 0x9F3A1F35CAF27F1D,
        0x87F121907C7C246A, 0xFA6ED5772D30433B, 0x15C614B59D19C3C2, 0xC4AD414D2C5D000C,
    ),
    dtype=np.uint64,
)  # fmt: skip

# Numba makes a float of an unsigned and a signed integer, so every constant beside a word is a word.
_ZERO, _ONE, _TWO = np.uint64(0), np.uint64(1), np.uint64(2)
_HALF, _TOP, _WORD = np.uint64(32), np.uint64(62), np.uint64(63)
_LOW = np.uint64(0xFFFFFFFF)
_EIGHTH = np.uint64(1 << 61)  # of a turn, in the first word of a fraction of a turn

Words = tuple[Any, Any, Any, Any]
"""A number modulo 1 as four words, the highest first: the unit of the last bit is 2^-256."""


def _multiply(_typing: Any, _a: Any, _b: Any) -> Any:
    """The upper 64 bits of the product of two words."""

    def emit(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        wide = type(arguments[0].type)(128)
        a, b = (builder.zext(word, wide) for word in arguments)
        return builder.trunc(builder.lshr(builder.mul(a, b), wide(64)), arguments[0].type)

    return types.uint64(types.uint64, types.uint64), emit


_high_word: Any = intrinsic(_multiply)


@_exact
def _add(a: Words, b: Words) -> Words:
    """``a + b`` modulo 1."""
    w3 = a[3] + b[3]
    c2 = _ONE if w3 < b[3] else _ZERO
    w2 = a[2] + b[2]
    c1 = _ONE if w2 < b[2] else _ZERO
    w2 += c2
    c1 += _ONE if w2 < c2 else _ZERO
    w1 = a[1] + b[1]
    c0 = _ONE if w1 < b[1] else _ZERO
    w1 += c1
    c0 += _ONE if w1 < c1 else _ZERO
    return a[0] + b[0] + c0, w1, w2, w3


@_exact
def _negative(a: Words) -> Words:
    """``-a`` modulo 1."""
    return _add((~a[0], ~a[1], ~a[2], ~a[3]), (_ZERO, _ZERO, _ZERO, _ONE))


@_exact
def _word(position: int) -> Any:
    """64 bits of 2/pi from a position of the padded table on."""
    index = position >> 6
    shift = np.uint64(position & 63)
    # twice, because a shift by all 64 bits is undefined
    return TWO_OVER_PI[index] << shift | TWO_OVER_PI[index + 1] >> _ONE >> (_WORD - shift)


@_exact
def _turns(x: float, shift: int) -> Words:
    """``x 2^shift / (2 pi)`` modulo 1, right to 2^-203; the caller rules out infinities and NaN."""
    significand, exponent = math.frexp(abs(x))
    exponent += shift - 53
    # |x| = m 2^exponent: bits of 2/pi that stand for 4 and more, times 2^exponent, give whole turns
    first = exponent - 2 + 64 * PADDING
    if first < 0:
        return _ZERO, _ZERO, _ZERO, _ZERO  # |x| < 2^-201
    m = np.uint64(np.int64(significand * 2.0**53))
    w = (_word(first), _word(first + 64), _word(first + 128), _word(first + 192))
    carried = (_high_word(w[1], m), _high_word(w[2], m), _high_word(w[3], m), _ZERO)
    product = _add((w[0] * m, w[1] * m, w[2] * m, w[3] * m), carried)
    return _negative(product) if x < 0.0 else product


@_exact
def _reduce_exactly(h: float, l: float, shift: int) -> tuple[Any, float, float]:
    """The quadrant and the remainder of any ``(h + l) 2^shift``, by Payne and Hanek."""
    turn = _add(_turns(h, shift), _turns(l, shift))
    quadrant = (turn[0] + _EIGHTH) >> _TOP
    w0, w1, w2, w3 = turn[0] - (quadrant << _TOP), turn[1], turn[2], turn[3]
    below = w0 >> _WORD != _ZERO
    if below:
        w0, w1, w2, w3 = _negative((w0, w1, w2, w3))
    scale = 2.0**-62  # of the last bit of w0, in quarter turns
    for _ in range(2):
        if w0 == _ZERO:
            w0, w1, w2, w3 = w1, w2, w3, _ZERO
            scale *= 2.0**-64
    # half words are exact floats; at least 97 bits follow the first that is not zero
    high, low = two_sum(float(w0 >> _HALF) * 2.0**32, float(w0 & _LOW))
    high, lost = two_sum(high, float(w1 >> _HALF) * 2.0**-32)
    low += lost + (float(w1 & _LOW) * 2.0**-64 + float(w2 >> _HALF) * 2.0**-96)
    scale = -scale if below else scale
    high, low = two_sum(high * scale, low * scale)
    r = high * QUARTER_TURN[0]
    rest = fma(high, QUARTER_TURN[0], -r) + (high * QUARTER_TURN[1] + low * QUARTER_TURN[0])
    high, low = two_sum(r, rest)
    return np.int64(quadrant), high, low


@_exact
def _reduce(h: float, l: float) -> tuple[Any, float, float]:
    """The quadrant q and the remainder r of ``h + l = q pi/2 + r``: q modulo 4, r as a pair, up to about pi/4."""
    if abs(h) <= DIRECT and abs(l) <= DIRECT:
        x, y = two_sum(h, l)
        x = h if l == 0.0 else x  # -0.0 + 0.0 is 0.0
        n = np.rint(x * QUARTERS)
        if n == 0.0:
            return 0, x, y
        p0, p1 = n * QUARTER_TURN[0], n * QUARTER_TURN[1]
        high, e0 = two_sum(x, -p0)
        high, e1 = two_sum(high, -fma(n, QUARTER_TURN[0], -p0))
        high, e2 = two_sum(high, -p1)
        high, e3 = two_sum(high, y)
        low = (e0 + e1 + e2 + e3) - (fma(n, QUARTER_TURN[1], -p1) + n * QUARTER_TURN[2])
        high, low = two_sum(high, low)
        if abs(high) >= CANCELLED:
            return np.int64(n) & 3, high, low
    return _reduce_exactly(h, l, 0)


@_exact
def _sine(x: float, y: float) -> float:
    """sin(x + y) for |x| up to about pi/4 and y below an ULP of it: one rounding, and 2^-57 besides."""
    if abs(x) < FIRST_ORDER:
        return x
    z = x * x
    p = 0.0
    for coefficient in SINE:
        p = p * z + coefficient
    p *= z
    # x + x z (p - 1/6), the product with what its three roundings lose
    a = SIXTH[0] + p
    a_lost = (SIXTH[0] - a) + p + SIXTH[1]
    b = z * a
    b_lost = fma(z, a, -b) + (z * a_lost + fma(x, x, -z) * a)
    c = x * b
    c_lost = fma(x, b, -c) + x * b_lost
    s = x + c
    slope = 1.0 + z * (z * (1 / 24) - 0.5)
    return s + ((x - s) + c + (c_lost + y * slope))


@_exact
def _cosine(x: float, y: float) -> float:
    """cos(x + y) likewise."""
    if abs(x) < FIRST_ORDER:
        return 1.0
    z = x * x
    p = 0.0
    for coefficient in COSINE:
        p = p * z + coefficient
    half = 0.5 * z
    c = 1.0 - half
    slope = x * (z * (1 / 6) - 1.0)
    return c + ((1.0 - c) - half + (z * (z * p) - 0.5 * fma(x, x, -z) + y * slope))


@_exact
def _wave(h: float, l: float, quarters: int) -> float:
    """The sine of ``h + l`` and some quarter turns."""
    if not abs(h) < np.inf:
        return np.nan
    quadrant, x, y = _reduce(h, l if abs(l) < np.inf else 0.0)
    return _turned(quadrant + quarters, x, y)


@_exact
def _turned(quadrant: Any, x: float, y: float) -> float:
    value = _cosine(x, y) if quadrant & 1 else _sine(x, y)
    return -value if quadrant & 2 else value


@_exact
def _product_wave(a: float, b: float, quarters: int) -> float:
    """The sine of ``a b`` and some quarter turns; a product beyond float64 is formed 2^1024 times smaller."""
    h = a * b
    if abs(h) < np.inf or not (abs(a) < np.inf and abs(b) < np.inf):
        return _wave(h, fma(a, b, -h), quarters)
    a, b = a * SHRINK, b * SHRINK
    h = a * b
    quadrant, x, y = _reduce_exactly(h, fma(a, b, -h), SHIFT)
    return _turned(quadrant + quarters, x, y)


@_exact
def sin_product(a: float, b: float) -> float:
    """The sine of the exact product ``a b``, right to 0.55 ULP for all finite factors.

    Args:
        a: A float64 scalar.
        b: Another; the product may be beyond float64.

    Returns:
        A float64 scalar; NaN if a factor is not finite.

    Example:
        >>> sin_product(30.0, 1e307)
        0.5415285296193767
    """
    return _product_wave(a, b, 0)


@_exact
def cos_product(a: float, b: float) -> float:
    """The cosine of the exact product ``a b``; otherwise as `sin_product`.

    Example:
        >>> cos_product(1e200, 0.0)
        1.0
    """
    return _product_wave(a, b, 1)


@_exact
def sin_sum(h: float, l: float) -> float:
    """The sine of the exact number ``h + l``, right to 0.55 ULP for all finite h.

    Args:
        h: A float64 scalar.
        l: What is to be added to it, of any size; not finite counts as zero.

    Returns:
        A float64 scalar; NaN if h is not finite.

    Example:
        >>> sin_sum(3.141592653589793, 1.2246467991473532e-16)  # pi to twice the precision
        -2.9947698097183397e-33
    """
    return _wave(h, l, 0)


@_exact
def cos_sum(h: float, l: float) -> float:
    """The cosine of the exact number ``h + l``, right to 0.55 ULP for all finite h; otherwise as `sin_sum`.

    Example:
        >>> cos_sum(1e300, 1e283)
        -0.4112080276649113
    """
    return _wave(h, l, 1)
