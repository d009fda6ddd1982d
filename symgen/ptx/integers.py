"""Integer and bit operations of PTX on NumPy arrays: wide products, carries, shifts, bit fields."""

from __future__ import annotations

from typing import Any

import numpy as np

from symgen.ptx.errors import PtxError
from symgen.ptx.types import BITS, Array

LOW = np.uint64(0xFFFFFFFF)
HALF = np.uint64(32)


def _unsigned(x: Array) -> Array:
    return x.view(BITS[x.itemsize])


def product_high(a: Array, b: Array) -> Array:
    """The upper half of a product twice as wide as its factors."""
    if a.itemsize < 8:
        wide = np.dtype(f"{a.dtype.kind}{2 * a.itemsize}")
        shifted: Array = (a.astype(wide) * b.astype(wide)) >> wide.type(8 * a.itemsize)
        return shifted.astype(a.dtype)
    ua, ub = np.broadcast_arrays(_unsigned(a), _unsigned(b))
    al, ah, bl, bh = ua & LOW, ua >> HALF, ub & LOW, ub >> HALF
    middle = ah * bl + ((al * bl) >> HALF)
    cross = al * bh + (middle & LOW)
    high: Array = ah * bh + (middle >> HALF) + (cross >> HALF)
    if a.dtype.kind == "i":
        high = high - np.where(a < 0, ub, np.uint64(0)) - np.where(b < 0, ua, np.uint64(0))
    return high.view(a.dtype)


def product_wide(a: Array, b: Array) -> Array:
    wide = np.dtype(f"{a.dtype.kind}{2 * a.itemsize}")
    product: Array = a.astype(wide) * b.astype(wide)
    return product


def add_carry(a: Array, b: Array, carry: Array) -> tuple[Array, Array]:
    """a + b + carry and the carry out of it, on unsigned numbers."""
    ua, ub = _unsigned(a), _unsigned(b)
    first = ua + ub
    total = first + carry.astype(first.dtype)
    return total.view(a.dtype), (first < ua) | (total < first)


def sub_borrow(a: Array, b: Array, borrow: Array) -> tuple[Array, Array]:
    ua, ub = _unsigned(a), _unsigned(b)
    first = ua - ub
    total = first - borrow.astype(first.dtype)
    return total.view(a.dtype), (ua < ub) | (first < total)


def divide(a: Array, b: Array) -> Array:
    """Quotient towards zero."""
    return _divided(a, b)[0]


def remainder(a: Array, b: Array) -> Array:
    """What is left of `divide`; its sign is the dividend's."""
    return _divided(a, b)[1]


def _divided(a: Array, b: Array) -> tuple[Array, Array]:
    if np.any(b == 0):
        raise PtxError("integer division by zero: the result is not defined")
    if a.dtype.kind == "u":
        return a // b, a % b
    q = (_unsigned(np.abs(a)) // _unsigned(np.abs(b))).view(a.dtype)
    q = np.where((a < 0) != (b < 0), -q, q)
    return q, a - q * b


def shift_left(a: Array, count: Array) -> Array:
    width = 8 * a.itemsize
    kept: Array = a << np.minimum(count, width - 1).astype(a.dtype)
    return np.where(count >= width, np.zeros_like(kept), kept)


def shift_right(a: Array, count: Array) -> Array:
    """Signed numbers keep their sign, others get zeros; a count beyond the width counts as the width."""
    width = 8 * a.itemsize
    kept: Array = a >> np.minimum(count, width - 1).astype(a.dtype)
    return kept if a.dtype.kind == "i" else np.where(count >= width, np.zeros_like(kept), kept)


def funnel_left(low: Array, high: Array, count: Array, wrap: bool) -> Array:
    both, n = _funnel(low, high, count, wrap)
    return ((both << n) >> HALF).astype(np.uint32)


def funnel_right(low: Array, high: Array, count: Array, wrap: bool) -> Array:
    both, n = _funnel(low, high, count, wrap)
    return (both >> n).astype(np.uint32)


def _funnel(low: Array, high: Array, count: Array, wrap: bool) -> tuple[Array, Array]:
    n = count & np.uint32(31) if wrap else np.minimum(count, np.uint32(32))
    return (high.astype(np.uint64) << HALF) | low.astype(np.uint64), n.astype(np.uint64)


def field_extract(a: Array, position: Array, length: Array) -> Array:
    """Bits [position, position + length) of a; a signed field repeats its top bit."""
    width = 8 * a.itemsize
    pos, n = np.minimum(position & 0xFF, width), np.minimum(length & 0xFF, width)
    bits = shift_right(_unsigned(a), pos)
    kept = np.where(n >= width, bits, bits & (shift_left(np.ones_like(bits), n) - bits.dtype.type(1)))
    if a.dtype.kind == "u":
        return kept
    top = np.minimum(pos + n - np.minimum(n, 1), width - 1)
    negative = (shift_right(_unsigned(a), top) & bits.dtype.type(1) == 1) & (n > 0)
    inside = shift_left(np.ones_like(bits), np.minimum(n, width - pos)) - bits.dtype.type(1)
    return np.where(negative, kept | ~inside, kept).view(a.dtype)


def field_insert(a: Array, b: Array, position: Array, length: Array) -> Array:
    """b with the lowest `length` bits of a in its bits from `position` on."""
    pos, n = position & 0xFF, length & 0xFF
    mask = shift_left(shift_left(np.ones_like(b), n) - b.dtype.type(1), pos)
    return (b & ~mask) | (shift_left(a, pos) & mask)


def bit_count(a: Array) -> Array:
    return np.bitwise_count(a).astype(np.uint32)


def leading_zeros(a: Array) -> Array:
    width = 8 * a.itemsize
    smeared = a.copy()
    for step in (1, 2, 4, 8, 16, 32)[: width.bit_length() - 1]:
        smeared = smeared | (smeared >> a.dtype.type(step))
    return np.uint32(width) - bit_count(smeared)


def reversed_bits(a: Array) -> Array:
    width = 8 * a.itemsize
    result: Any = np.zeros_like(a)
    for i in range(width):
        result = result | (((a >> a.dtype.type(i)) & a.dtype.type(1)) << a.dtype.type(width - 1 - i))
    return np.asarray(result)


def logic(a: Array, b: Array, c: Array, table: Array) -> Array:
    """``lop3``: any function of three bits, by its truth table."""
    result: Any = np.zeros_like(a)
    for row in range(8):
        term = (a if row & 4 else ~a) & (b if row & 2 else ~b) & (c if row & 1 else ~c)
        result = result | np.where((table >> np.uint32(row)) & np.uint32(1), term, np.uint32(0))
    return np.asarray(result)


def permute(a: Array, b: Array, selection: Array) -> Array:
    """``prmt``: each byte of the result is one of the eight of a and b, or its sign repeated."""
    both = (b.astype(np.uint64) << HALF) | a.astype(np.uint64)
    result: Any = np.uint32(0)
    for i in range(4):
        pick = (selection >> np.uint32(4 * i)) & np.uint32(15)
        byte = (both >> ((pick & np.uint32(7)) * np.uint32(8)).astype(np.uint64)) & np.uint64(0xFF)
        sign = np.where(byte & np.uint64(0x80), np.uint64(0xFF), np.uint64(0))
        byte = np.where(pick & np.uint32(8), sign, byte).astype(np.uint32)
        result = result | (byte << np.uint32(8 * i))
    return np.asarray(result)
