"""Conversions between the types of PTX: ``cvt``, with its rounding, flushing and saturation."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from symgen.ptx.errors import PtxError
from symgen.ptx.rounding import flush, narrow, saturate
from symgen.ptx.types import TYPES, Array, Type

BF16 = TYPES["bf16"]
TO_INTEGER: dict[str, Callable[..., Array]] = {"rni": np.rint, "rzi": np.trunc, "rmi": np.floor, "rpi": np.ceil}


def converter(to: Type, of: Type, mode: str | None, ftz: bool, sat: bool) -> Callable[[Array], Array]:
    """The function that converts arrays of one type to another.

    Raises:
        PtxError: the conversion exists, but this interpreter does not round that way.
    """
    steps: list[Callable[[Array], Array]] = []
    if of is BF16:
        steps.append(from_bfloat16)
    if ftz and of.name == "f32":
        steps.append(flush)
    if mode in TO_INTEGER:
        steps.append(TO_INTEGER[mode])
    steps.append(_step(to, of, mode or "rn", sat))
    if sat and to.kind == "f":
        steps.append(saturate)
    if ftz and to.name == "f32":
        steps.append(flush)

    def convert(x: Array) -> Array:
        for step in steps:
            x = step(x)
        return x

    return convert


def _step(to: Type, of: Type, mode: str, sat: bool) -> Callable[[Array], Array]:
    """The one step that changes the type."""
    floating = of.kind == "f" or of is BF16
    if to is BF16:
        if mode != "rn":
            raise PtxError(f"conversion to bfloat16 in mode {mode} is not known")
        return to_bfloat16
    if floating and to.kind != "f":
        return lambda x: clamped(x, to)
    if to.name == "f32" and (of.name == "f64" or of.kind in "us"):
        return lambda x: narrow(_as_double(x), mode)
    if mode in {"rz", "rm", "rp"}:
        raise PtxError(f"conversion from {of.name} to {to.name} in mode {mode} is not known")
    if sat and to.kind in "us":
        return lambda x: np.clip(x, np.iinfo(to.dtype).min, np.iinfo(to.dtype).max).astype(to.dtype)
    return lambda x: x.astype(to.dtype)


def _as_double(x: Array) -> Array:
    """Integers as float64 such that one more rounding to float32 is right: the last bit remembers what was lost."""
    if x.dtype.kind == "f" or x.itemsize < 8:
        return x.astype(np.float64)
    # 64 bits do not fit: bits below the float32 result only tell that there was something
    low = np.asarray(x & x.dtype.type(0xFFF))
    kept = np.asarray(x - low)
    large = np.abs(x.astype(np.float64)) > 2.0**52
    sticky = np.where(low != 0, x.dtype.type(0x800), x.dtype.type(0))
    return np.where(large, (kept + sticky).astype(np.float64), x.astype(np.float64))


def clamped(x: Array, to: Type) -> Array:
    """Floats as integers: out of range becomes the nearest end, NaN becomes zero."""
    info = np.iinfo(to.dtype)
    whole = np.trunc(x.astype(np.float64))
    top = 2.0 ** (8 * to.size - (to.kind == "s"))
    inside = np.where(np.isnan(whole) | (whole >= top) | (whole < float(info.min)), 0.0, whole).astype(to.dtype)
    least, most = to.dtype.type(info.min), to.dtype.type(info.max)
    return np.where(whole >= top, most, np.where(whole < float(info.min), least, inside))


def from_bfloat16(bits: Array) -> Array:
    """The bits of bfloat16 as float32: they are its upper half."""
    return (bits.astype(np.uint32) << np.uint32(16)).view(np.float32)


def to_bfloat16(x: Array) -> Array:
    """The nearest bfloat16 of float32, ties to even, as bits."""
    bits = x.astype(np.float32).view(np.uint32)
    rounded = (bits + np.uint32(0x7FFF) + ((bits >> np.uint32(16)) & np.uint32(1))) >> np.uint32(16)
    return np.where(np.isnan(x), np.uint32(0x7FFF), rounded).astype(np.uint16)
