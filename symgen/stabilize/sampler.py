"""The truth for the outputs of one variant: which points, at which settings of the parameters, along which symbol."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import cast

import numpy as np
import sympy as sp
from flint import arb
from sympy import Expr, Symbol

from symgen.kinks import switches
from symgen.oracle import Oracle, shared
from symgen.stabilize.probe import (
    DENSE,
    TOUCHING,
    Floats,
    Probe,
    measure,
    merged,
    neighbours,
    nested_kinks,
    powers,
    roots,
    together,
)  # fmt: skip
from symgen.truth import Truth
from symgen.ulp import log_spaced

LEAST = sp.Rational(2) ** -1022  # the smallest normal float64
SIGN = 30  # bits that tell the sign of a ball
MOST_MOVING = 2  # roots of each setting
THINNER = 3  # around them, every third neighbour
SPARSE = 5  # around other operands, every fifth
FRESH = 1600  # points of each kind at which a choice is checked; all settings together where there are several
PATIENCE = 128  # bits of the formula itself; what is chosen by these truths is certified by more patient ones


@dataclass(frozen=True)
class Question:
    """What the truth is asked for: one derivative of a formula, along x or along a parameter.

    Attributes:
        naive: the formula as the spec has it.
        known: the same, recognised: what the oracle falls back to where the naive text needs absurd precision.
        wrt: the symbol of the derivative; x itself for a value.
        order: 0, 1 or 2.
        beside: further orders along the same symbol that are asked for too, and are found at the same time.
    """

    naive: Expr
    known: Expr
    wrt: Symbol
    order: int
    beside: tuple[int, ...] = ()

    def oracle(self) -> Oracle:
        return shared(self.naive, self.wrt, 2, self.known, patience=PATIENCE)


@dataclass(frozen=True)
class Sampler:
    """Where the outputs of a variant are measured.

    Attributes:
        x: the operand that runs over the line.
        settings: values of everything else.
        points: the grid.
        products: switches of the formula that can underflow; where one does, its case is anybody's guess.
        held_out: values at which nothing is chosen, only checked.
    """

    x: Symbol
    settings: tuple[Mapping[str, float], ...]
    points: Floats
    products: tuple[Expr, ...] = ()
    held_out: tuple[Mapping[str, float], ...] = ()

    def sample(self, question: Question, points: Floats) -> Probe:
        """The truth at any points, for every setting."""
        if question.wrt != self.x:
            return self._told(self._along_parameter(question, points))
        return self._told(measure(question.oracle(), question.order, points, self.settings))

    def _told(self, probe: Probe) -> Probe:
        """Without the truth where a switch is smaller than any float64, so that no result tells its sign."""
        lost = np.zeros_like(probe.high, bool)
        for switch, (row, setting) in itertools.product(self.products, enumerate(self.settings)):
            given = {s: sp.Rational(setting[s.name]) for s in switch.free_symbols - {self.x}}
            with np.errstate(all="ignore"):
                rounded = _plainly(self.x, switch.xreplace({s: float(v) for s, v in given.items()}))(probe.x)
            for i in np.flatnonzero((rounded == 0) & (probe.x != 0)):
                exact = switch.xreplace({**given, self.x: sp.Rational(float(probe.x[i]))})
                lost[row, i] |= bool(0 < abs(exact) < LEAST)
        return replace(probe, high=np.where(lost, np.nan, probe.high))

    def _together(self, question: Question, points: Floats) -> Probe:
        """The same at points that several outputs are measured at: what one costs is little less than all cost."""
        if question.wrt != self.x:
            return self.sample(question, points)
        return self._told(together(question.oracle(), question.order, points, self.settings))

    def probe(self, question: Question) -> Probe:
        """The truth on the grid, and around the roots of a function without parameters."""
        first = self._together(question, self.points)
        if self.settings != ({},):
            return first
        oracle = question.oracle()
        centres = [refined(self._ball(question, {}), guess, first.x) for guess in roots(first)]
        for centre in (*centres, *self._double(oracle, question, first)):
            near = neighbours(centre)
            near = near[(near >= self.points[0]) & (near <= self.points[-1])]
            first = merged(first, self.sample(question, near))
        return first

    def with_moving_roots(self, question: Question, first: Probe) -> Probe:
        """A probe with points beside the roots of each setting, where they move; no other is asked for there."""
        if self.settings == ({},):
            return first
        near: list[Probe] = []
        for row, setting in enumerate(self.settings):
            alone = replace(self, settings=(setting,))
            guesses = sorted((r for r in roots(first.only([row])) if r), key=abs)[:MOST_MOVING]
            centres = [refined(self._ball(question, setting), guess, first.x) for guess in guesses]
            points = np.unique(np.concatenate([np.empty(0), *(neighbours(c, THINNER) for c in centres)]))
            points = points[(points >= self.points[0]) & (points <= self.points[-1])]
            near += [alone.sample(question, points)] if points.size else []
        return merged(first, *near)

    def where_operands_agree(self, question: Question, first: Probe, names: Collection[str]) -> Probe:
        """A probe with points beside what other operands are: a divergence of two has a root there that is no sign.

        Args:
            question: what the truth is asked for.
            first: the probe.
            names: the other operands.
        """
        if not any(name in setting for setting in self.settings for name in names):
            return first
        near: list[Probe] = []
        for setting in self.settings:
            there = {sign * setting[name] for name in names if name in setting for sign in (1, -1)}
            points = np.unique(np.concatenate([neighbours(at, SPARSE) for at in sorted(there)]))
            points = points[(points >= self.points[0]) & (points <= self.points[-1])]
            near += [replace(self, settings=(setting,)).sample(question, points)] if points.size else []
        return merged(first, *near)

    def _ball(self, question: Question, setting: Mapping[str, float]) -> Callable[[float], arb | None]:
        """The truth as a function of x, as a ball that knows its sign."""
        oracle, name = question.oracle(), question.wrt.name
        if question.wrt == self.x:
            return lambda at: oracle.ball(at, question.order, setting, SIGN)
        others = {k: v for k, v in setting.items() if k != name}
        return lambda at: oracle.ball(setting[name], question.order, {**others, self.x.name: at}, SIGN)

    def fresh(self, question: Question) -> Probe:
        """The truth at points and settings that no choice has seen: how well it holds between those it was made at."""
        low, high = self.points[0], self.points[-1]
        count = FRESH if self.settings == ({},) else FRESH // len(self.settings)
        random = np.random.default_rng(count)
        single = log_spaced(count, "float32", 1)
        double = log_spaced(count // 2, "float64", 1)
        octaves = random.uniform(*DENSE, count)
        bends = powers(octaves)
        bends = np.concatenate([bends, -bends])
        bends = np.concatenate([bends[::2], bends[1::2].astype(np.float32).astype(np.float64)])
        turns = np.array(nested_kinks(question.naive, self.x))
        beside = np.nextafter(turns, [[-np.inf], [np.inf]]).ravel()  # below a power of two floats are closer
        near = map(neighbours, turns, itertools.repeat(THINNER))
        points = np.unique(np.concatenate([single, double, bends, turns, beside, *near]))
        everywhere = replace(self, settings=(*self.settings, *self.held_out))
        return everywhere._together(question, points[(points >= low) & (points <= high)])

    def _double(self, oracle: Oracle, question: Question, first: Probe) -> list[float]:
        """Where the derivative has a root and the function, one there, is next to nothing."""
        if question.order == 2:
            return []
        slope = self._together(replace(question, order=question.order + 1), self.points)
        found = []
        for guess in roots(slope):
            at = refined(self._ball(replace(question, order=question.order + 1), {}), guess, slope.x)
            i = int(np.searchsorted(first.x, at))
            value = oracle.ball(at, question.order, {}, SIGN)
            around = np.abs(first.high[0, [max(i - 1, 0), min(i + 1, first.x.size - 1)]])
            if at and value is not None and float(abs(value)) < TOUCHING * float(np.nanmin(around)):
                found.append(at)
        return found

    def _along_parameter(self, question: Question, points: Floats) -> Probe:
        """A derivative along a parameter: jets along it, each with an x of its own; no limits at infinity."""
        oracle, inside, name = question.oracle(), np.isfinite(points), question.wrt.name
        finite, orders = points[inside].tobytes(), tuple(sorted({question.order, *question.beside}))
        high = np.full((len(self.settings), points.size), np.nan)
        low = np.zeros_like(high)
        for row, setting in enumerate(self.settings):
            others = tuple((k, v) for k, v in setting.items() if k != name)
            truth = _along(oracle, self.x.name, finite, setting[name], others, orders)[orders.index(question.order)]
            high[row, inside] = np.where(truth.unknown, math.nan, truth.high)
            low[row, inside] = truth.low
            # what has become zero at the largest floats is zero at infinity
            for end, last in ((0, 1), (-1, -2)):
                if not inside[end] and high[row, last] == 0:
                    high[row, end] = 0.0
        return Probe(points, self.settings, high, low)


@lru_cache(maxsize=1024)  # every output of a variant asks for the same ones
def _plainly(x: Symbol, switch: Expr) -> Callable[[Floats], Floats]:
    """A switch as NumPy computes it."""
    return cast(Callable[[Floats], Floats], sp.lambdify(x, switch))


def products(formula: Expr, x: Symbol) -> tuple[Expr, ...]:
    """The switches of a formula that are products of several symbols, x among them."""
    found = (s for s in switches(formula) if x in s.free_symbols and s.is_polynomial(*s.free_symbols))
    return tuple(s for s in found if sp.Poly(s, *s.free_symbols).total_degree() > 1 and len(s.free_symbols) > 1)


@lru_cache(maxsize=256)  # of one function at a time: float64 and float32 operands share most of their settings
def _along(
    oracle: Oracle, x: str, points: bytes, at: float, others: tuple[tuple[str, float], ...], orders: tuple[int, ...]
) -> tuple[Truth, ...]:
    """The truth along a parameter that is at one number, where x runs."""
    values = np.frombuffer(points)
    return oracle.truth(np.full(values.size, at), {**dict(others), x: values}, orders=orders)


def refined(ball: Callable[[float], arb | None], guess: float, x: Floats) -> float:
    """The float next to a root, by bisection between the probe points around a guess."""
    i = int(np.searchsorted(x, guess))
    a, b = float(x[i - 1]), float(x[i])
    left = ball(a)
    while left is not None and not left.contains(0):
        middle = (a + b) / 2
        value = ball(middle)
        if middle in (a, b) or value is None:
            break
        a, b = (middle, b) if (value > 0) == (left > 0) else (a, middle)
    return b
