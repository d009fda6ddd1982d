"""float16 and bfloat16 as the integers that their bits are: loops to float32 and from float64, as vector code.

Numba has no type for either. Where float64 is narrowed it is rounded to odd as float32 first, after which the second
rounding, to nearest even, is as if done at once.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

U = np.uint32
SIGN, QUIET = U(0x8000), U(0x7FC0)  # of a bfloat16: the bit of its sign, and NaN
EXPONENT, LARGE, NAN = U(0x7C00), U(0x47800000), U(0x7E00)  # of a float16; as float32, the first beyond it; and NaN
LEAST, HALF = np.float32(2.0**-14), np.float32(0.5)  # least normal float16; its last bit is the least float16
LEAST_BITS, HALF_BITS = U(113 << 23), U(126 << 23)

_exact: Any = njit(nogil=True, error_model="numpy", fastmath=False, forceinline=True)
_loop: Any = njit(nogil=True, error_model="numpy", fastmath=False, cache=True)


@_exact
def _odd(value: float) -> Any:
    """The bits of a float64 rounded to odd as float32."""
    near = np.float64(np.float32(value))
    bits = np.float32(value).view(np.uint32)
    bits -= U(1 if abs(near) > abs(value) else 0)
    return bits | U(1 if near != value else 0)


@_loop
def widen_bfloat16(words: Any, result: Any) -> None:
    """The bits of each number as float32."""
    for i in range(words.size):
        result[i] = U(words[i]) << U(16)


@_loop
def narrow_bfloat16(values: Any, words: Any) -> None:
    """The words of float64 numbers, rounded to nearest even."""
    for i in range(values.size):
        bits = _odd(values[i])
        high = bits >> U(16)
        rounded = (bits + U(0x7FFF) + (high & U(1))) >> U(16)
        words[i] = high & SIGN | QUIET if np.isnan(values[i]) else rounded


@_loop
def widen_float16(words: Any, result: Any) -> None:
    """The bits of each number as float32."""
    for i in range(words.size):
        word = U(words[i])
        bits = ((word & U(0x7FFF)) << U(13)) + U(112 << 23)
        exponent = word & EXPONENT
        whole = bits + (U(112 << 23) if exponent == EXPONENT else U(0))
        small = np.uint32(bits + U(1 << 23)).view(np.float32) - LEAST
        found = np.float32(small).view(np.uint32) if exponent == U(0) else whole
        result[i] = found | (word & SIGN) << U(16)


@_loop
def narrow_float16(values: Any, words: Any) -> None:
    """The words of float64 numbers, rounded to nearest even."""
    for i in range(values.size):
        odd = _odd(values[i])
        bits = odd & U(0x7FFFFFFF)
        small = np.uint32(bits).view(np.float32) + HALF
        below = np.float32(small).view(np.uint32) - HALF_BITS
        normal = (bits - U(112 << 23) + U(0xFFF) + ((bits >> U(13)) & U(1))) >> U(13)
        finite = below if bits < LEAST_BITS else normal
        found = finite if bits < LARGE else NAN if np.isnan(values[i]) else EXPONENT
        words[i] = found | (odd >> U(16)) & SIGN
