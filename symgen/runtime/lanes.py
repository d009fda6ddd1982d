"""Sums over chunks in running totals; generated code does not inline them, so that its cache need not see this file."""

from __future__ import annotations

from typing import Any

from numba import njit

from .intrinsics import add_up, two_sum

__all__ = ["add_to_lanes", "add_up"]


@njit(nogil=True, error_model="numpy", fastmath=False, cache=True)
def add_to_lanes(values: Any, totals: Any, lost: Any) -> None:
    """Add values to running totals, each to the next one in turn, and what that loses to the totals' losses."""
    for start in range(0, values.size, totals.size):
        for i in range(min(totals.size, values.size - start)):
            totals[i], error = two_sum(totals[i], values[start + i])
            lost[i] += error
