"""Sums of long rows by stretches, each of which is summed in whatever order compilers like.

What rounding does to so few numbers does not show in float32; stretches are added with compensation, so that no error
grows with the length of a row. Copied beside a user's own kernels: it imports Numba only.
"""

from __future__ import annotations

from typing import Final

from numba import njit

STRETCH: Final = 1024


@njit(nogil=True, error_model="numpy", fastmath=False, forceinline=True)
def together(high: float, low: float) -> float:
    """The sum of all stretches, of which an infinity is missing nothing."""
    return high + low if low - low == 0.0 else high
