"""What generated loops need beyond plain Numba: fused multiply-add, and sums that keep what rounding loses.

This file is copied beside a user's own kernels, so it imports NumPy and Numba only.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import njit, types
from numba.core.extending import intrinsic

# Without fastmath: a compiler that fuses or reorders here would destroy the error terms.
# fastmath=False is said, not left out: Numba lets a callee inherit what its caller has, and contraction would break
# error terms
_exact = njit(nogil=True, error_model="numpy", fastmath=False, forceinline=True)


_HALF_ROOT = np.int64(np.float64(2.0**-0.5).view(np.int64))


@intrinsic
def fma(_typing: Any, _a: Any, _b: Any, _c: Any) -> Any:
    """``a*b + c`` with one rounding, in float64, whatever the processor has."""

    def emit(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        return builder.fma(*arguments)

    return types.float64(types.float64, types.float64, types.float64), emit


@_exact
def pow2(k: float) -> float:
    """``2**n`` from ``k = 1.5 * 2**52 + 1023 + n``, whose last bits are the exponent's; for n from -1022 to 1023."""
    return np.int64(np.float64(k).view(np.int64) << 52).view(np.float64)


@_exact
def exponent(x: float) -> float:
    """The integer n for which ``x / 2**n`` lies between the roots of 1/2 and 2, for normal positive x."""
    return np.float64((np.float64(x).view(np.int64) - _HALF_ROOT) >> 52)


@_exact
def mantissa(x: float) -> float:
    """``x / 2**exponent(x)``."""
    bits = np.float64(x).view(np.int64)
    return np.int64(bits - (((bits - _HALF_ROOT) >> 52) << 52)).view(np.float64)


@_exact
def two_sum(a: float, b: float) -> tuple[float, float]:
    """``a + b`` rounded, and exactly what the rounding lost (Knuth, TAOCP volume 2, section 4.2.2)."""
    total = a + b
    back = total - a
    return total, (a - (total - back)) + (b - back)


@njit(nogil=True, error_model="numpy", fastmath=False)
def add_up(totals: Any, lost: Any, run: int, out: Any) -> None:
    """Sum running totals, and what each of them lost, into ``out``: right to about one rounding.

    The totals belong to the entries of ``out`` in turn, ``run`` neighbours to each. Infinities and NaN come through
    as plain summation gives them: there the error terms mean nothing.
    """
    missing = np.zeros(out.size)
    for c in range(out.size):
        out[c] = 0.0
    for k in range(totals.size):
        c = k // run % out.size
        out[c], error = two_sum(out[c], totals[k])
        missing[c] += error + lost[k]
    for c in range(out.size):
        if math.isfinite(missing[c]):
            out[c] += missing[c]
