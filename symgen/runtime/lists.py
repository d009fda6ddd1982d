"""Lists of classes that end before their arrays do: how long they are, and what reductions along them come to.

Copied beside a user's own kernels: it imports NumPy and Numba only.
"""

from __future__ import annotations

from typing import Any

from numba import njit

_exact: Any = njit(nogil=True, error_model="numpy", fastmath=False, forceinline=True)


@_exact
def listed(classes: Any) -> int:
    """How many classes a list has: those before the first negative number."""
    room: int = classes.shape[0]
    for i in range(room):
        if classes[i] < 0:
            return i
    return room


@_exact
def negated(high: float, low: float) -> tuple[float, float]:
    """The negative of a pair, as ``smaller`` keeps it."""
    return -high, -low
