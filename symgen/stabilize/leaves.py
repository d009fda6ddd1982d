"""From a stable expression to a form: follow the cases of the definition, and choose segments for each leaf.

After the first choice more points are measured around its cuts, where two bodies meet and nothing has been seen yet,
and the choice is checked at fresh points over the whole line; where it does not hold, it is made again. What misses the
bar in the end, at any of these points, is reported. A formula with free parameters that no candidate serves is tried
once more as a fixed function of its scaled argument.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import Any

import numpy as np
import sympy as sp
from sympy import Expr, Symbol

from symgen.arithmetic import COMPENSATED, Pair
from symgen.heads import Cases, weighted
from symgen.kernel import ScalarFunction, const, select
from symgen.lowering import Lowering
from symgen.oracle import Oracle
from symgen.rules import NARROW
from symgen.stabilize.candidates import attempt, candidates, leading, reduced, settled, sided, sides
from symgen.stabilize.form import ARITHMETICS as MEANING
from symgen.stabilize.form import Body, Constant, Form, Formula, Segment
from symgen.stabilize.free import choose_free
from symgen.stabilize.inner import Inner, U, split, split_argument
from symgen.stabilize.pieces import Fitter
from symgen.stabilize.probe import (
    TARGETS,
    Flags,
    Floats,
    Probe,
    Target,
    around,
    between,
    error,
    grid,
    measure,
    merged,
    neighbours,
    roots,
)  # fmt: skip
from symgen.stabilize.ratio import halves
from symgen.stabilize.regimes import (
    Choice,
    Problem,
    Table,
    Unresolved,
    all_errors,
    choose,
    chosen,
    errors,
    evaluate,
    missed,
)  # fmt: skip
from symgen.stabilize.relative import Range, keeps_precision
from symgen.stabilize.sampler import SIGN, Question, Sampler, refined

# cheapest first
ARITHMETICS = {
    "f32": ("short", "plain", "compensated", "halved", "annihilating"),
    "f64": ("plain", "compensated", "halved", "annihilating"),
    "cuda32": ("plain", "compensated", "halved", "annihilating"),
}
IN_FULL = ARITHMETICS["f32"][1:]  # without short functions
# of float32 results of several operands with data
SEVERAL = ("short", "short annihilating", "medium", "medium annihilating", *ARITHMETICS["f32"][2:])
INNER_ARITHMETICS = ARITHMETICS["f64"][1:]  # the scaled argument has a low part, which must not be dropped
RENEWING = frozenset({"f64", "f32"})  # where differences of near equals are multiplied; on GPUs it costs too much
INNER = 0.6  # of the error of a form is left to a function inside it
NEAR = sp.Integer(2) ** 16  # a ratio whose eighth power is a float32: up to there it is computed as it stands
REFINEMENTS = 2  # rounds of more points around the cuts
ROUNDS = 4  # and of points at which a choice did not hold
AT_ONCE = 4  # settings that are added in one round
MANY = 4096  # points of a stretch where results round to zero
MOST_SUSPECTS = 60  # of these in one round


@dataclass(frozen=True)
class Leaf:
    """A branch of the definition: its stable form, other shapes of it, and the conditions that lead to it."""

    stable: Expr
    shapes: tuple[Expr, ...]
    path: tuple[tuple[Any, bool], ...] = ()
    whole: bool = True  # whether it is not half of another leaf

    def branch(self, taken: bool) -> Leaf:
        """The branch of the topmost case that its condition takes, or leaves."""
        condition, index = self.stable.args[0], 1 if taken else 2
        shapes = tuple(s.args[index] for s in self.shapes if isinstance(s, Cases) and s.condition == condition)
        return replace(self, stable=self.stable.args[index], shapes=shapes, path=(*self.path, (condition, taken)))

    def narrowed(self) -> Leaf:
        """The same for arithmetic of a narrow range; what it was is another shape."""
        narrow = attempt(settled(NARROW, self.stable))
        if narrow == attempt(self.stable):
            return self
        return replace(self, stable=narrow, shapes=(self.stable, *self.shapes))

    def opened(self) -> Leaf | None:
        """The same with a case for a weight of zero, so that no head hides the product; None without such a head."""
        heads = sorted(self.stable.atoms(weighted), key=sp.default_sort_key)
        if not heads:
            return None
        weight = heads[0].args[0]

        def cases(e: Expr) -> Cases:
            mine = [h for h in e.atoms(weighted) if h.args[0] == weight]
            product = e.xreplace({h: weight * h.args[1] for h in mine})
            return Cases(sp.Eq(weight, 0, evaluate=False), e.xreplace(dict.fromkeys(mine, sp.S.Zero)), attempt(product))

        stable = cases(self.stable)
        if stable.has(sp.nan, sp.zoo):  # the logarithm of the product itself: no value can stand for it
            return None
        return replace(self, stable=stable, shapes=tuple(map(cases, self.shapes)))

    def hides(self, x: Symbol) -> bool:
        """Whether there are forms of its products that weights keep from being seen."""
        whole = self.stable.replace(weighted, lambda weight, value: weight * value)
        return attempt(whole) != whole or any(reduced(sided(whole, x, side)) for side in sides(x))

    def halved(self, x: Symbol) -> Iterator[Leaf]:
        """The same in two cases, where it is homogeneous in x and another: whether x is at most so many times that."""
        found: dict[Expr, list[tuple[Expr, Expr]]] = {}
        for shape in (self.stable, *self.shapes):
            for s, *two in halves(shape, x):
                found.setdefault(s, []).append((two[0], two[1]))
        for s, shapes in found.items():
            condition = sp.Le(sp.Abs(x), NEAR * s, evaluate=False)
            whole = [Cases(condition, attempt(near), attempt(far)) for near, far in shapes]
            yield replace(self, stable=whole[0], shapes=tuple(Cases(condition, *two) for two in shapes), whole=False)


@dataclass(frozen=True)
class Bench:
    """What is shared by the leaves of one output for one target."""

    sampler: Sampler
    question: Question
    parameters: tuple[str, ...]
    bound: Mapping[Symbol, Pair]
    target: Target
    pieces: bool = True
    arithmetics: tuple[str, ...] = ARITHMETICS["f64"]
    several: bool = False  # whether the formula is one of several operands with data
    ranges: Mapping[Symbol, Range] | None = None  # of what roots move with; None where they move with no data

    def form(self, leaf: Leaf, probe: Probe, fresh: Probe) -> tuple[Form, tuple[Unresolved, ...]]:
        """Segments for every leaf, nested as the definition is, and the stretches that miss the target.

        Args:
            leaf: what to compute.
            probe: where the choice is made.
            fresh: where it is checked, and made again if it does not hold.
        """
        if isinstance(leaf.stable, Cases):
            then, missed_then = self.form(leaf.branch(True), probe, fresh)
            otherwise, missed_otherwise = self.form(leaf.branch(False), probe, fresh)
            return Form((), leaf.stable.condition, then, otherwise), missed_then + missed_otherwise
        form, missed_here = self._form_of_leaf(leaf, probe, fresh)
        if missed_here and self.several and self.target.name in RENEWING:
            bench = replace(self, arithmetics=(*self.arithmetics, "renewed"))
            other, still_missed = bench._form_of_leaf(leaf, probe, fresh)
            if _worst(still_missed) < _worst(missed_here):
                form, missed_here = other, still_missed
        for opened in self._opened(leaf) if missed_here else ():
            other, still_missed = self.form(opened, probe, fresh)
            if _worst(still_missed) < _worst(missed_here):
                form, missed_here = other, still_missed
        return form, missed_here

    def _opened(self, leaf: Leaf) -> Iterator[Leaf]:
        """The same leaf in cases, which may be easier one by one."""
        cases = leaf.opened()
        if cases is not None and leaf.hides(self.sampler.x):
            yield cases
        if self.several and leaf.whole:
            yield from leaf.halved(self.sampler.x)

    def _form_of_leaf(self, leaf: Leaf, probe: Probe, fresh: Probe) -> tuple[Form, tuple[Unresolved, ...]]:
        free = self.sampler.settings != ({},)
        if free and self.target.single:  # no cuts are sought, so that only points that count are of use
            probe, fresh = probe.singles, fresh.singles
        problem, check = self._problem(leaf, probe), self._problem(leaf, fresh)
        bodies: list[Body] = self._candidates(leaf)
        if free:
            choice = self._chosen_free(leaf, problem, bodies)
            for _ in range(ROUNDS):
                wrong = self._failing(choice, problem, check)
                if not wrong:
                    break
                wider = replace(problem, probe=merged(problem.probe, check.probe.only(wrong)))
                other = self._chosen_free(leaf, wider, bodies)
                if self._failures(other, wider) >= self._failures(choice, wider):
                    break  # some settings are beyond every candidate
                problem, choice = wider, other
        else:
            table = Table.of(problem, bodies)
            choice = chosen(problem, table)
            for k in range(ROUNDS):
                more = self._further(choice, table.probe.x, check, k)
                more = np.union1d(more, self._noise(leaf, choice, check.probe)) if k == 0 else more
                if not more.size:
                    break
                table = table.extended(self._problem(leaf, self.sampler.sample(self.question, more)))
                choice = chosen(problem, table)
            problem = replace(problem, probe=table.probe)
        form = Form(choice.segments)
        everything = replace(problem, probe=merged(problem.probe, check.probe))
        return form, missed(everything, form)

    def _candidates(self, leaf: Leaf) -> list[Body]:
        """The candidates of a leaf; short functions only where it is certain that nothing they enter cancels."""
        found = candidates(leaf.stable, leaf.shapes, self.sampler.x, self.arithmetics)
        return [f for f in found if not MEANING[f.arithmetic].short or self._keeps_precision(f)]

    def _keeps_precision(self, formula: Formula) -> bool:
        if self.ranges is None:
            return True
        return keeps_precision(formula.expression, self.ranges)

    def _errors(self, choice: Choice, problem: Problem) -> Floats:
        """The error of a choice for each setting and point that counts."""
        each = np.nan_to_num(all_errors(problem, Form(choice.segments)), nan=0.0, posinf=math.inf)
        return np.where(problem.probe.single, each, 0.0) if self.target.single else each

    def _failures(self, choice: Choice, problem: Problem) -> tuple[int, int]:
        """At how many settings a choice gives what is no result at all, and at how many it misses the bar."""
        worst = self._errors(choice, problem).max(axis=1)
        return int(np.isinf(worst).sum()), int((worst > self.target.bar).sum())

    def _failing(self, choice: Choice, problem: Problem, check: Problem) -> tuple[int, ...]:
        """The settings, as rows of the check, that a choice misses the bar at and was not made by: the worst first."""
        worst = self._errors(choice, check).max(axis=1)
        wrong = np.flatnonzero(worst > self.target.bar).tolist()
        new = [k for k in wrong if check.probe.settings[k] not in problem.probe.settings]
        return tuple(sorted(new, key=lambda k: -worst[k])[:AT_ONCE])

    def _further(self, choice: Choice, known: Floats, check: Problem, k: int) -> Floats:
        """Points that the next choice should see: around cuts, and wherever this one does not hold."""
        near = between(choice.segments, known) if k < REFINEMENTS else np.empty(0)
        worst = np.nan_to_num(errors(check, Form(choice.segments)), nan=0.0, posinf=math.inf)
        if self.target.single:
            worst = np.where(check.probe.single, worst, 0.0)
        bad = worst > self.target.limits[-1]
        for stretch in choice.unresolved:
            bad &= ~((check.probe.x >= stretch.lower) & (check.probe.x <= stretch.upper))
        suspects = around(check.probe.x, np.flatnonzero(bad)[:MOST_SUSPECTS]) if bad.any() else np.empty(0)
        return np.setdiff1d(np.concatenate([near, suspects]), known)

    def _noise(self, leaf: Leaf, choice: Choice, probe: Probe) -> Floats:
        """Points at which a choice is not zero where results round to it, of many.

        What is left of two equal numbers there is zero at most points, and noise at others: a few do not show it.
        """
        least = 2.0 ** (self.target.least - self.target.digits)  # half of the smallest number
        points = self._vanishing(probe, least)
        noise = np.concatenate([np.empty(0), *(self._beyond(s, points, least) for s in choice.segments)])
        noise = noise[:MOST_SUSPECTS]
        if not noise.size:
            return noise
        sample = self._problem(leaf, self.sampler.sample(self.question, noise))
        worst = np.nan_to_num(errors(sample, Form(choice.segments)), nan=0.0, posinf=math.inf)
        wrong: Floats = noise[worst > self.target.limits[-1]]
        return wrong

    def _beyond(self, segment: Segment, points: Floats, least: float) -> Floats:
        """Those of the points in a segment at which its body is as large as the least, or no number."""
        points = points[(points >= segment.lower) & (points < segment.upper)]
        if isinstance(segment.body, Constant) or not points.size:  # one that vanishes is small everywhere
            return np.empty(0)
        core = ScalarFunction("segment", self.parameters, (segment.body.node(self.sampler.x, self.bound),))
        zero = np.zeros((1, points.size))
        got = evaluate(core, Probe(points, ({},), zero, zero), self.target.computes)[0]
        return np.asarray(points[~(np.abs(got) < least)])

    def _vanishing(self, probe: Probe, least: float) -> Floats:
        """Many points of each stretch, on one side of zero, whose truth at those of a probe is less than something."""
        gone = np.isfinite(probe.x) & (np.abs(probe.high[0]) < least)
        gone &= probe.single if self.target.single else True
        runs = np.flatnonzero(np.diff(np.concatenate([[False], gone, [False]]))).reshape(-1, 2)
        ends = [(float(probe.x[i]), float(probe.x[j - 1])) for i, j in runs]
        tried = [np.copysign(np.exp2(np.linspace(math.log2(abs(a)), math.log2(abs(b)), MANY)), a)
                 for a, b in ends if min(a, b) > 0 or max(a, b) < 0]
        points: Floats = np.concatenate([*tried, np.empty(0)])
        points = points.astype(np.float32).astype(np.float64) if self.target.single else points
        ascending: Floats = points[np.diff(points, prepend=-math.inf) != 0]  # as the stretches are, each once
        return ascending

    def _problem(self, leaf: Leaf, probe: Probe) -> Problem:
        fixed = self.pieces and self.sampler.settings == ({},)
        masked = self._masked(leaf, probe)
        fitter, ends = self.fitter if fixed else None, self.several and "short" in self.arithmetics
        return Problem(self.sampler.x, self.bound, self.parameters, masked, self.target, fitter, ends)

    @cached_property
    def fitter(self) -> Fitter:
        """One for all leaves and rounds, which remembers what it has covered."""
        return Fitter(self.sampler.x, self.question.oracle(), self.question.order, self.target)

    def _chosen_free(self, leaf: Leaf, problem: Problem, bodies: list[Body]) -> Choice:
        choice = choose_free(problem, bodies)
        if choice.unresolved or self._misses_an_end(problem, choice):
            inner = self._inner(problem, (leaf.stable, *leaf.shapes))
            choice = choose_free(problem, [*bodies, *inner]) if inner else choice
        return choice

    def _misses_an_end(self, problem: Problem, choice: Choice) -> bool:
        """Whether the result at an infinity is not the limit there."""
        ends = np.isinf(problem.probe.x)
        core = ScalarFunction("chosen", self.parameters, (Form(choice.segments).node(problem.x, self.bound),))
        missed = error(evaluate(core, problem.probe), problem.probe, self.target)[:, ends]
        return bool((missed > self.target.bar).any())

    def _masked(self, leaf: Leaf, probe: Probe) -> Probe:
        """The probe with the truth only where the leaf's conditions hold."""
        high = probe.high
        for condition, taken in leaf.path:
            high = np.where(self._holds(condition, probe) == taken, high, np.nan)
        return Probe(probe.x, probe.settings, high, probe.low, probe.memory)

    def _holds(self, condition: Any, probe: Probe) -> Flags:
        chosen = Lowering(COMPENSATED, self.bound).condition(condition)
        flag = ScalarFunction("holds", self.parameters, (select(chosen, const(1.0), const(0.0)),))
        holds = np.array(evaluate(flag, probe, self.target.computes) > 0)
        # an infinity lies in the case that leads there: both sides may be infinite at it, and tell nothing
        for end, beside in ((0, 1), (-1, -2)):
            if np.isinf(probe.x[end]) and probe.x.size > 1:
                holds[:, end] = holds[:, beside]
        return holds

    def _inner(self, problem: Problem, shapes: tuple[Expr, ...]) -> list[Inner]:
        """The leaf through the fixed function inside it, where there is one: one more candidate."""
        found = next((s for s in (split(e, problem.x) for e in shapes) if s is not None), None)
        if found is None:
            return []
        oracle = Oracle(found.g, U, 1)
        probe = measure(oracle, 0, grid(-math.inf, math.inf), ({},))
        for guess in roots(probe):
            near = neighbours(refined(partial(oracle.ball, order=0, bits=SIGN), guess, probe.x))
            probe = merged(probe, measure(oracle, 0, near, ({},)))
        fitter = Fitter(U, oracle, 0, self.target) if self.pieces else None
        # what the parameters contribute is rounded too, and it may scale up what float32 would take for zero
        least = self.target.least if self.target.computes is np.float32 else TARGETS[-1].least
        target = replace(self.target, limits=tuple(INNER * limit for limit in self.target.limits), least=least)
        fixed = Problem(U, {U: split_argument()}, ("u",), probe, target, fitter)
        chosen = choose(fixed, candidates(attempt(found.g), (found.g,), U, INNER_ARITHMETICS))
        small = next(iter(leading(found.g, U)), None)
        return [Inner(found, Form(chosen.segments), small)]


def _worst(missed: tuple[Unresolved, ...]) -> tuple[float, int]:
    """How bad what is missed is: the largest error, then the number of stretches."""
    return max((m.error for m in missed), default=0.0), len(missed)
