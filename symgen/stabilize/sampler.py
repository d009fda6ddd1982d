"""The truth for the outputs of one variant: which points, at which settings of the parameters, along which symbol."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from sympy import Expr, Symbol

from symgen.oracle import Oracle
from symgen.stabilize.probe import Floats, Probe, measure, merged, neighbours, roots


@dataclass(frozen=True)
class Question:
    """What the truth is asked for: one derivative of a formula, along x or along a parameter.

    Attributes:
        naive: the formula as the spec has it.
        known: the same, recognised: what the oracle falls back to where the naive text needs absurd precision.
        wrt: the symbol of the derivative; x itself for a value.
        order: 0, 1 or 2.
    """

    naive: Expr
    known: Expr
    wrt: Symbol
    order: int

    def oracle(self) -> Oracle:
        return Oracle(self.naive, self.wrt, 2, fallback=self.known)


@dataclass(frozen=True)
class Sampler:
    """Where the outputs of a variant are measured.

    Attributes:
        x: the operand that runs over the line.
        settings: values of everything else.
        points: the grid.
    """

    x: Symbol
    settings: tuple[Mapping[str, float], ...]
    points: Floats

    def sample(self, question: Question, points: Floats) -> Probe:
        """The truth at any points, for every setting."""
        if question.wrt != self.x:
            return self._along_parameter(question, points)
        return measure(question.oracle(), question.order, points, self.settings)

    def probe(self, question: Question) -> Probe:
        """The truth on the grid, and around the roots of a function without parameters."""
        first = self.sample(question, self.points)
        if self.settings != ({},):
            return first
        oracle = question.oracle()
        for guess in roots(first):
            near = neighbours(refined(oracle, question.order, guess, first))
            near = near[(near >= self.points[0]) & (near <= self.points[-1])]
            first = merged(first, self.sample(question, near))
        return first

    def _along_parameter(self, question: Question, points: Floats) -> Probe:
        """A derivative along a parameter: jets along it, each with an x of its own; no limits at infinity."""
        oracle, inside, name = question.oracle(), np.isfinite(points), question.wrt.name
        high = np.full((len(self.settings), points.size), np.nan)
        low = np.zeros_like(high)
        for row, setting in enumerate(self.settings):
            others = {k: v for k, v in setting.items() if k != name}
            at = np.full(int(inside.sum()), setting[name])
            (truth,) = oracle.truth(at, {**others, self.x.name: points[inside]}, orders=(question.order,))
            high[row, inside] = np.where(truth.unknown, math.nan, truth.high)
            low[row, inside] = truth.low
            # what has become zero at the largest floats is zero at infinity
            for end, last in ((0, 1), (-1, -2)):
                if not inside[end] and high[row, last] == 0:
                    high[row, end] = 0.0
        return Probe(points, self.settings, high, low)


def refined(oracle: Oracle, order: int, guess: float, probe: Probe) -> float:
    """The float next to a root, by bisection between the probe points around a guess."""
    i = int(np.searchsorted(probe.x, guess))
    a, b = float(probe.x[i - 1]), float(probe.x[i])
    left = oracle.ball(a, order, {}, 30)
    while left is not None:
        middle = (a + b) / 2
        value = oracle.ball(middle, order, {}, 30)
        if middle in (a, b) or value is None:
            break
        a, b = (middle, b) if (value > 0) == (left > 0) else (a, middle)
    return b
