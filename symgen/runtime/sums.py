"""Sums of many numbers, to about one rounding."""

from __future__ import annotations

from typing import Final

import numpy as np

from .dtypes import FLOAT64, Array
from .quick_losses import joined

LANES: Final = 256
SOME: Final = 64  # running totals of one sum: more are slower to add up than they help
FEW: Final = 64  # numbers that are summed in a microsecond without compiled code


class Total:
    """A sum over many chunks whose error does not grow with their number."""

    def __init__(self) -> None:
        self.sums, self.lost = np.zeros(LANES), np.zeros(LANES)

    def add(self, values: Array) -> None:
        """Add up 1-D contiguous float64 numbers."""
        from .lanes import add_to_lanes  # needs Numba, which only a kernel that runs needs

        add_to_lanes(values, self.sums, self.lost)

    @property
    def value(self) -> float:
        from .lanes import add_up

        result = np.zeros(1)
        add_up(self.sums, self.lost, 1, result)
        return float(result[0])


def total(values: Array) -> float:
    """The sum of an array of any shape.

    Example:
        >>> total(np.array([1e16, 1.0, -1e16]))
        1.0
    """
    if values.size <= FEW:
        return joined(values.ravel().tolist())
    from .lanes import total_of  # needs Numba, which only a kernel that runs needs

    return float(total_of(np.ascontiguousarray(values, FLOAT64).ravel(), SOME))
