"""Correctly rounded values with what the rounding left: how truth is passed to whoever measures against it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields
from functools import lru_cache
from typing import Any

import numpy as np
from flint import arb
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]

BITS = 70  # of relative accuracy; a float64 pair then misses at most 2^-65
ZERO_BELOW = -1150  # smaller than 2^this is zero in every dtype and cannot change a rounding
INFINITE_ABOVE = 1100
TINY = 2.0**-1022
ONE_OVER_SMALLEST = arb(2) ** 1074
PAIR_NEEDS_SCALING = 2.0**-960  # below, the second float64 of a pair would itself be subnormal


@dataclass(frozen=True)
class Truth:
    """Correctly rounded values and what the rounding left, for n points.

    Attributes:
        high: float64 (n,), the value rounded to nearest; +-inf beyond float64, NaN where undefined or unknown.
        low: float64 (n,), value - high as a float64 (zero where high is not finite).
        residual: float64 (n,), value - high in units in the last place of high: exact also where low is subnormal.
        unknown: bool (n,), the value may exist, but the highest precision was not enough.
    """

    high: Floats
    low: Floats
    residual: Floats
    unknown: Flags

    def __len__(self) -> int:
        return len(self.high)

    def __getitem__(self, index: Any) -> Truth:
        return Truth(*(getattr(self, f.name)[index] for f in fields(self)))

    @staticmethod
    def join(parts: Sequence[Truth]) -> Truth:
        """The truths of several sets of points, one after the other."""
        return Truth(*(np.concatenate([getattr(p, f.name) for p in parts]) for f in fields(Truth)))


class Table:
    """Truth of one order under construction: plain lists, because single items of an array are slow to write."""

    def __init__(self, n: int) -> None:
        self.high = [math.nan] * n
        self.low = [0.0] * n
        self.scaled: dict[int, float] = {}
        self.unknown_list = [True] * n
        self.unknown = np.ones(n, bool)

    def put(self, i: int, ball: arb) -> None:
        """Settle a point if it is not yet, and if the ball is good enough."""
        if not self.unknown_list[i]:
            return
        if ball.rel_accuracy_bits() >= BITS:
            high = float(ball)
            self.high[i] = high
            if PAIR_NEEDS_SCALING < abs(high) < math.inf:
                self.low[i] = float(ball - high)
            elif abs(high) < math.inf:
                rest = ball - high
                self.low[i] = float(rest)
                self.scaled[i] = float(rest * ONE_OVER_SMALLEST if abs(high) < TINY else rest / math.ulp(high))
        elif is_tiny(ball):
            self.high[i] = 0.0
        elif ball.abs_lower() > power_of_two(INFINITE_ABOVE):
            self.high[i] = math.inf if ball > 0 else -math.inf
        else:
            return
        self.unknown_list[i] = False

    def undefined(self, i: int) -> None:
        self.unknown_list[i] = False

    def adopt(self, points: NDArray[np.int64], others: Truth) -> None:
        """Settle those of some points that are not yet, and that another table has settled."""
        for i, high, low, residual, unknown in zip(
            points.tolist(), others.high.tolist(), others.low.tolist(), others.residual.tolist(),
            others.unknown.tolist(), strict=True,
        ):  # fmt: skip
            if self.unknown_list[i] and not unknown:
                self.high[i], self.low[i], self.scaled[i] = high, low, residual
                self.unknown_list[i] = False
        self.update()

    def update(self) -> None:
        self.unknown = np.array(self.unknown_list)

    def truth(self) -> Truth:
        high, low = np.array(self.high), np.array(self.low)
        with np.errstate(all="ignore"):
            residual = np.where(np.isfinite(high), low / np.spacing(np.abs(high)), 0.0)
        if self.scaled:
            residual[list(self.scaled)] = list(self.scaled.values())
        return Truth(high, low, residual, np.array(self.unknown_list))


def is_tiny(ball: arb) -> bool:
    return bool(ball.abs_upper() < power_of_two(ZERO_BELOW))


@lru_cache
def power_of_two(exponent: int) -> arb:
    return arb(2) ** exponent
