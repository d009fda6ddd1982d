"""From a stable expression to a form: follow the cases of the definition, and choose segments for each leaf.

After the first choice more points are measured around its cuts, where two bodies meet and nothing has been seen yet,
and the choice is made again. A formula with free parameters that no candidate serves is tried once more as a fixed
function of its scaled argument.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from sympy import Expr, Symbol

from symgen.arithmetic import COMPENSATED, Pair
from symgen.heads import Cases
from symgen.kernel import ScalarFunction, const, select, var
from symgen.lowering import Lowering
from symgen.oracle import Oracle
from symgen.stabilize.candidates import attempt, candidates, leading
from symgen.stabilize.form import Body, Form
from symgen.stabilize.free import choose_free
from symgen.stabilize.inner import Inner, U, split
from symgen.stabilize.pieces import Fitter
from symgen.stabilize.probe import Flags, Probe, Target, between, grid, measure, merged, neighbours, roots
from symgen.stabilize.regimes import Choice, Problem, Unresolved, choose, evaluate
from symgen.stabilize.sampler import Question, Sampler, refined

ARITHMETICS = ("plain", "compensated", "halved", "annihilating")  # cheapest first
INNER_ARITHMETICS = ARITHMETICS[1:]  # the scaled argument has a low part, which must not be dropped
REFINEMENTS = 2  # rounds of more points around the cuts


@dataclass(frozen=True)
class Leaf:
    """A branch of the definition: its stable form, other shapes of it, and the conditions that lead to it."""

    stable: Expr
    shapes: tuple[Expr, ...]
    path: tuple[tuple[Any, bool], ...] = ()

    def branch(self, taken: bool) -> Leaf:
        """The branch of the topmost case that its condition takes, or leaves."""
        condition, index = self.stable.args[0], 1 if taken else 2
        shapes = tuple(s.args[index] for s in self.shapes if isinstance(s, Cases) and s.condition == condition)
        return Leaf(self.stable.args[index], shapes, (*self.path, (condition, taken)))


@dataclass(frozen=True)
class Bench:
    """What is shared by the leaves of one output for one target."""

    sampler: Sampler
    question: Question
    parameters: tuple[str, ...]
    bound: Mapping[Symbol, Pair]
    target: Target
    pieces: bool = True

    def form(self, leaf: Leaf, probe: Probe) -> tuple[Form, tuple[Unresolved, ...]]:
        """Segments for every leaf, nested as the definition is, and the stretches that miss the target."""
        if isinstance(leaf.stable, Cases):
            then, missed_then = self.form(leaf.branch(True), probe)
            otherwise, missed_otherwise = self.form(leaf.branch(False), probe)
            return Form((), leaf.stable.condition, then, otherwise), missed_then + missed_otherwise
        choice = self._choose(leaf, probe)
        for _ in range(REFINEMENTS if self.sampler.settings == ({},) else 0):
            near = between(choice.segments, probe.x)
            if not near.size:
                break
            probe = merged(probe, self.sampler.sample(self.question, near))
            choice = self._choose(leaf, probe)
        return Form(choice.segments), choice.unresolved

    def _choose(self, leaf: Leaf, probe: Probe) -> Choice:
        free = self.sampler.settings != ({},)
        fitter = (
            None
            if free or not self.pieces
            else Fitter(self.sampler.x, self.question.oracle(), self.question.order, self.target)
        )
        x, masked = self.sampler.x, self._masked(leaf, probe)
        problem = Problem(x, self.bound, self.parameters, masked, self.target, fitter)
        bodies: list[Body] = [*candidates(leaf.stable, leaf.shapes, x, ARITHMETICS)]
        if not free:
            return choose(problem, bodies)
        choice = choose_free(problem, bodies)
        if choice.unresolved:
            choice = choose_free(problem, [*bodies, *self._inner(problem, (leaf.stable, *leaf.shapes))])
        return choice

    def _masked(self, leaf: Leaf, probe: Probe) -> Probe:
        """The probe with the truth only where the leaf's conditions hold."""
        high = probe.high
        for condition, taken in leaf.path:
            high = np.where(self._holds(condition, probe) == taken, high, np.nan)
        return Probe(probe.x, probe.settings, high, probe.low, probe.memory)

    def _holds(self, condition: Any, probe: Probe) -> Flags:
        chosen = Lowering(COMPENSATED, self.bound).condition(condition)
        flag = ScalarFunction("holds", self.parameters, (select(chosen, const(1.0), const(0.0)),))
        return np.asarray(evaluate(flag, probe) > 0)

    def _inner(self, problem: Problem, shapes: tuple[Expr, ...]) -> list[Inner]:
        """The leaf through the fixed function inside it, where there is one: one more candidate."""
        found = next((s for s in (split(e, problem.x) for e in shapes) if s is not None), None)
        if found is None:
            return []
        oracle = Oracle(found.g, U, 1)
        probe = measure(oracle, 0, grid(-math.inf, math.inf), ({},))
        for guess in roots(probe):
            near = neighbours(refined(oracle, 0, guess, probe))
            probe = merged(probe, measure(oracle, 0, near, ({},)))
        fitter = Fitter(U, oracle, 0, self.target) if self.pieces else None
        fixed = Problem(U, {U: Pair(var("u"))}, ("u",), probe, self.target, fitter)
        chosen = choose(fixed, candidates(attempt(found.g), (found.g,), U, INNER_ARITHMETICS))
        small = next(iter(leading(found.g, U)), None)
        return [Inner(found, Form(chosen.segments), small)]
