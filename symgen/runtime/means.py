"""The second derivative of a mean whose divisor moves, too, as a weight is in the losses and in their divisor."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from .dtypes import Array
from .sums import total


class Bending(NamedTuple):
    """How a sum of samples changes with an operand: its gradient, and its second derivative times a vector."""

    slope: Array
    bend: Array


def of_quotient(losses: Bending, shares: Bending, vector: Array, mean: float, divisor: float) -> Array:
    """The second derivative of ``losses / shares`` times a vector; zero where nothing has a share.

    Deriving ``mean * divisor = losses`` twice leaves four terms, and no square or cube of the divisor.

    Args:
        losses: of their sum, in float64 and of the operand's shape, as all arrays here are.
        shares: of the sum of the shares.
        vector: the direction.
        mean: the quotient itself.
        divisor: the sum of the shares.
    """
    if not divisor:
        return np.zeros(vector.shape)
    with np.errstate(all="ignore"):
        slope = (losses.slope - mean * shares.slope) / divisor
        bent = losses.bend - mean * shares.bend
        turned = slope * _along(shares.slope, vector) + shares.slope * _along(slope, vector)
        found: Array = (bent - turned) / divisor
        return found


def _along(slope: Array, vector: Array) -> float:
    """How a sum changes along a direction; what does not move adds nothing, infinite as its slope may be."""
    return total(np.where(vector == 0, 0.0, slope * vector))
