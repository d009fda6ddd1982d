"""Sums over chunks in running totals; generated code does not inline them, so that its cache need not see this file."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from .intrinsics import add_up, two_sum

__all__ = ["add_to_lanes", "add_up", "total_of"]


@njit(nogil=True, error_model="numpy", fastmath=False, cache=True)
def add_to_lanes(values: Any, totals: Any, lost: Any) -> None:
    """Add values to running totals, each to the next one in turn, and what that loses to the totals' losses."""
    for start in range(0, values.size, totals.size):
        for i in range(min(totals.size, values.size - start)):
            totals[i], error = two_sum(totals[i], values[start + i])
            lost[i] += error


@njit(nogil=True, error_model="numpy", fastmath=False, cache=True)
def total_of(values: Any, lanes: int) -> Any:
    """The sum of values in so many running totals."""
    totals, lost, result = np.zeros(lanes), np.zeros(lanes), np.zeros(1)
    add_to_lanes(values, totals, lost)
    add_up(totals, lost, 1, result)
    return result[0]
