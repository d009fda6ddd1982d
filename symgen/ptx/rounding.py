"""Sums, products and fused multiply-adds of floats as IEEE 754 rounds them, in every mode, by NumPy arrays.

float32 goes through float64, where a product of two float32 is exact; a sum is first rounded *to odd* there, which
makes one more rounding harmless (Boldo and Melquiond 2008). float64 goes through error-free transformations, and
where those could overflow or lose bits, element by element through fractions.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction

import numpy as np

from symgen.ptx.types import Array

SPLIT = 134217729.0  # 2**27 + 1: Veltkamp's splitting of a float64
# of a float64: the bits that a float32 lacks, those of a number halfway between two, and twice the least normal one
BELOW32, HALF32, NORMAL32 = (1 << 29) - 1, 1 << 28, 2.0**-125
SAFE = (2.0**-900, 2.0**450)  # operands for which float64's error-free transformations are exact


def flush(x: Array) -> Array:
    """Subnormal numbers to zero of their sign: the modifier ``.ftz``."""
    return np.where(np.abs(x) < np.finfo(x.dtype).tiny, np.copysign(x.dtype.type(0), x), x)


def saturate(x: Array) -> Array:
    """Into [0, 1], NaN to zero: the modifier ``.sat``."""
    one, zero = np.ones_like(x), np.zeros_like(x)
    return np.where(x > 0, np.minimum(x, one), zero)


def two_sum(a: Array, b: Array) -> tuple[Array, Array]:
    """a + b as a rounded sum and its exact error (Knuth)."""
    total = a + b
    back = total - a
    return total, (a - (total - back)) + (b - back)


def two_product(a: Array, b: Array) -> tuple[Array, Array]:
    """a * b as a rounded product and its exact error (Dekker)."""
    product = a * b
    c, d = SPLIT * a, SPLIT * b
    ah, bh = c - (c - a), d - (d - b)
    al, bl = a - ah, b - bh
    return product, ((ah * bh - product) + ah * bl + al * bh) + al * bl


def to_odd(total: Array, error: Array) -> Array:
    """``total + error`` rounded to odd: where the sum is not exact, the neighbour whose last bit is set."""
    bits = total.view(np.int64)
    inexact = (error != 0) & (bits & 1 == 0) & np.isfinite(total)
    away = np.where((error > 0) == (total > 0), 1, -1)
    return np.where(inexact, bits + away, bits).view(np.float64)


def narrow(x: Array, mode: str) -> Array:
    """float64 to float32 in a rounding mode."""
    return _towards(x.astype(np.float32), x, mode)


def _towards(nearest: Array, exact: Array, mode: str) -> Array:
    """From the nearest float32 to the one that a directed mode wants, given a float64 on the same side of it."""
    if mode == "rn":
        return nearest
    value = nearest.astype(np.float64)
    too_far = {"rz": np.abs(value) > np.abs(exact), "rm": value > exact, "rp": value < exact}[mode]
    target = {"rz": np.float32(0), "rm": np.float32(-np.inf), "rp": np.float32(np.inf)}[mode]
    return np.where(too_far & np.isfinite(exact), np.nextafter(nearest, target), nearest)


def _zero_sign(total: Array, a: Array, b: Array, mode: str) -> Array:
    """A sum of two terms; where it is exactly zero and their signs differ it is -0 when rounding down."""
    if mode != "rm":
        return total
    return np.where((total == 0) & (np.signbit(a) != np.signbit(b)), -0.0, total)


def _sum32(a: Array, b: Array, mode: str) -> Array:
    """A sum of float64 numbers as float32: rounded twice where that is the same as once, which it mostly is."""
    if mode != "rn":
        return _odd32(a, b, mode)
    total = a + b
    nearest = total.astype(np.float32)
    small = np.abs(total) < NORMAL32
    hard = (total.view(np.int64) & BELOW32 == HALF32) | (small & (total != 0))
    if hard.any():
        nearest[hard] = _odd32(np.broadcast_to(a, total.shape)[hard], np.broadcast_to(b, total.shape)[hard], mode)
    return nearest


def _odd32(a: Array, b: Array, mode: str) -> Array:
    """The same, rounded to odd in between."""
    total, error = two_sum(a, b)
    total = _zero_sign(total, a, b, mode)
    return narrow(to_odd(total, np.where(np.isnan(error), 0.0, error)), mode)


def add32(a: Array, b: Array, mode: str) -> Array:
    if mode == "rn":
        return a + b
    return _sum32(a.astype(np.float64), b.astype(np.float64), mode)


def mul32(a: Array, b: Array, mode: str) -> Array:
    return a * b if mode == "rn" else narrow(a.astype(np.float64) * b.astype(np.float64), mode)


def fma32(a: Array, b: Array, c: Array, mode: str) -> Array:
    return _sum32(a.astype(np.float64) * b.astype(np.float64), c.astype(np.float64), mode)


def _safe(*values: Array) -> Array:
    """Where each value is zero, or of a size that error-free transformations keep exact."""
    result = np.asarray(True)
    for v in values:
        size = np.abs(v)
        result = result & ((size == 0) | ((size > SAFE[0]) & (size < SAFE[1])))
    return result


def fma64(a: Array, b: Array, c: Array, mode: str) -> Array:
    a, b, c = np.broadcast_arrays(a, b, c)
    product, error = two_product(a, b)
    carried, low = two_sum(c, error)
    high, rest = two_sum(product, carried)
    lower, odd = two_sum(low, rest)
    result = high + to_odd(lower, odd)
    plain = _zero_sign(a * b + c, a * b, c, mode)  # right where a factor is zero or something is not finite
    trivial = (a == 0) | (b == 0) | ~(np.isfinite(a) & np.isfinite(b) & np.isfinite(c))
    known = _safe(a, b, c, product) & (product != 0) & (mode == "rn")
    return _elsewhere(np.where(trivial, plain, result), known | trivial, _fma_exact, (a, b, c), mode)


def add64(a: Array, b: Array, mode: str) -> Array:
    if mode == "rn":
        return a + b
    return fma64(a, np.ones(1), b, mode)


def mul64(a: Array, b: Array, mode: str) -> Array:
    if mode == "rn":
        return a * b
    # the sign of a zero product is the product's: minus zero added changes nothing
    return fma64(a, b, np.where(np.signbit(a) != np.signbit(b), -0.0, 0.0), mode)


def _elsewhere(result: Array, known: Array, exact: Callable[..., float], values: tuple[Array, ...], mode: str) -> Array:
    """The result where it is known, elsewhere computed element by element."""
    where = np.flatnonzero(~known.ravel())
    if where.size:
        result = result.ravel().copy()
        for i in where:
            result[i] = exact(*(float(v.ravel()[i]) for v in values), mode)
        result = result.reshape(known.shape)
    return result


def _fma_exact(a: float, b: float, c: float, mode: str) -> float:
    total = Fraction(a) * Fraction(b) + Fraction(c)
    if total == 0:
        return -0.0 if mode == "rm" else 0.0
    return round_fraction(total, mode)


def round_fraction(value: Fraction, mode: str) -> float:
    """The float64 nearest to a fraction that is not zero, or beside it where the mode is directed."""
    try:
        nearest = float(value)
    except OverflowError:
        nearest = math.inf if value > 0 else -math.inf
    over = Fraction(nearest) if math.isfinite(nearest) else 2 * value
    step = {"rn": 0.0, "rz": 0.0, "rm": -math.inf, "rp": math.inf}[mode]
    beyond = {"rn": False, "rz": abs(over) > abs(value), "rm": over > value, "rp": over < value}[mode]
    result = math.nextafter(nearest, step) if beyond else nearest
    return result if result or value > 0 else -0.0
