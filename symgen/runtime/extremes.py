"""The largest entry of a row, where compilers may take entries in any order: numbers of which NaN is none.

Copied beside a user's own kernels: it imports NumPy and Numba only.
"""

from __future__ import annotations

import math
from typing import Any

from numba import njit, types
from numba.extending import intrinsic

_exact: Any = njit(nogil=True, error_model="numpy", fastmath=False, forceinline=True)
_whole: Any = njit(nogil=True, error_model="numpy", fastmath=False)


@intrinsic
def _larger_number(_typing: Any, _a: Any, _b: Any) -> Any:
    """The larger of two numbers that are not NaN; compilers may compare them in any order, and zeros are alike."""

    def emit(_context: Any, builder: Any, _signature: Any, arguments: Any) -> Any:
        high, entry = arguments
        exceeds = builder.fcmp_ordered(">", entry, high, flags=("nnan", "nsz"))
        return builder.select(exceeds, entry, high, flags=("nnan", "nsz"))

    return types.float64(types.float64, types.float64), emit


@_exact
def nearer_number(high: float, entry: float) -> Any:
    """The larger of two numbers; NaN is passed over."""
    return _larger_number(high, max(-math.inf, entry))  # which compilers do not join with this


@_exact
def wider_number(high: float, entry: float) -> Any:
    """The larger size of two numbers; NaN is passed over."""
    return nearer_number(high, abs(entry))


@_exact
def settled_peak(most: float) -> float:
    """A finite number near the largest: the largest itself, or zero where it is infinite or none."""
    return most if math.isfinite(most) else 0.0


@_whole
def settled_scale(most: float) -> float:
    """One over a power of two near the largest size, for exact products: one where that is zero or infinite."""
    if most == 0.0 or not math.isfinite(most):
        return 1.0
    return math.ldexp(1.0, min(max(-math.frexp(most)[1], -1000), 1000))
