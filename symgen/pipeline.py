"""The pipeline from a definition to scalar kernels, one readable line, with every intermediate kept for inspection.

Op --lower--> Program --recognize--> vocabulary --derivative--> --rewrite--> stable form
   --choose--> Form, segments of the line --schedule--> scalar function
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from sympy import Expr, Symbol

from symgen.arithmetic import COMPENSATED, Pair
from symgen.calculus import derivative
from symgen.heads import Cases
from symgen.kernel import ScalarFunction, const, select, var
from symgen.lowering import Lowering
from symgen.oracle import Oracle
from symgen.program import Program, lower
from symgen.rules.rule import Step
from symgen.schedule import finish
from symgen.settings import first_tensor, free, settings
from symgen.spec import Argument, Op, Variant
from symgen.stabilize.candidates import attempt, candidates, hoist
from symgen.stabilize.form import Form, Region
from symgen.stabilize.inner import Inner, U, split
from symgen.stabilize.pieces import Fitter
from symgen.stabilize.probe import TARGETS, Floats, Probe, Target, between, error, grid, measure, merged, neighbours, roots
from symgen.stabilize.recognize import recognize
from symgen.stabilize.regimes import Choice, Problem, Unresolved, choose, evaluate
from symgen.stabilize.rewrite import rewrite

ARITHMETICS = {"f32": ("plain", "compensated", "halved"), "f64": ("plain", "compensated", "halved")}
INNER_ARITHMETICS = ("compensated", "halved")  # the scaled argument has a low part, which must not be dropped
REFINEMENTS = 2  # rounds of more points around the cuts
THIN = 3  # with free parameters every setting is measured, on a coarser grid


@dataclass(frozen=True)
class Output:
    """One scalar function of a variant: the value or a derivative, at every stage of its making."""

    name: str
    wrt: str | None
    order: int
    naive: Expr
    recognized: Expr
    stable: Expr
    trace: tuple[Step, ...]
    regions: tuple[Region, ...]
    cores: Mapping[str, ScalarFunction]
    forms: Mapping[str, Form]
    worst: Mapping[str, float]
    unresolved: Mapping[str, tuple[Unresolved, ...]]


@dataclass(frozen=True)
class DerivedVariant:
    """One variant of a definition with all that was derived from it."""

    variant: Variant
    program: Program
    outputs: tuple[Output, ...]

    def output(self, name: str) -> Output:
        return next(o for o in self.outputs if o.name == name)


@dataclass(frozen=True)
class Derivation:
    """Everything that the build knows of a function."""

    op: Op
    variants: tuple[DerivedVariant, ...]


def derive(op: Op) -> Derivation:
    """Derive, stabilise and schedule every variant of a definition.

    Raises:
        ProgramError: the definition needs kernels that this version does not have.
    """
    return Derivation(op, tuple(derive_variant(op, v) for v in op.variants))


@dataclass(frozen=True)
class Wanted:
    """An output before it is stabilised."""

    name: str
    wrt: str | None
    order: int
    naive: Expr
    recognized: Expr
    value: Expr  # recognised: what the oracle falls back to where the naive text needs absurd precision
    steps: tuple[Step, ...]
    also: tuple[Expr, ...] = ()


def derive_variant(op: Op, variant: Variant) -> DerivedVariant:
    program = lower(op, variant)
    plain = {a.name: finite(a) for a in op.arguments if a.role.kind != "choice"}
    naive = hoist(variant.value.xreplace({op.symbol(n): s for n, s in plain.items()}))
    x = plain[first_tensor(op).name]
    known, steps = recognize(naive)
    known = hoist(known)
    wanted = [Wanted("value", None, 0, naive, known, known, steps)]
    slope = derivative(known, x)
    slope_stable, _ = rewrite(slope)
    wanted.append(Wanted("grad", x.name, 1, naive, slope, known, steps))
    wanted.append(
        Wanted("grad2", x.name, 2, naive, derivative(slope, x), known, steps, (derivative(slope_stable, x),))
    )
    for a in free(op, variant):
        s = plain[a.name]
        wanted.append(Wanted(f"grad_{a.name}", a.name, 1, naive, derivative(known, s), known, steps))
    shop = Workshop(op, variant, x, plain)
    return DerivedVariant(variant, program, tuple(shop.output(w) for w in wanted))


def finite(argument: Argument) -> Symbol:
    """The symbol of an argument as a finite real with what its domain says of its sign."""
    limits = argument.role.limits
    if any((o == ">" and v >= 0) or (o == ">=" and v > 0) for o, v in limits):
        return Symbol(argument.name, positive=True)
    if any(o == ">=" and v == 0 for o, v in limits):
        return Symbol(argument.name, nonnegative=True)
    if ("!=", 0) in limits:
        return Symbol(argument.name, real=True, nonzero=True)
    return Symbol(argument.name, real=True)


@dataclass(frozen=True)
class Leaf:
    """A branch of the definition: its forms, and the conditions that lead to it."""

    stable: Expr
    shapes: tuple[Expr, ...]
    path: tuple[tuple[Expr, bool], ...]

    def branch(self, index: int) -> Leaf:
        """The branch that a case takes (1) or leaves (2)."""
        condition = self.stable.args[0]
        shapes = tuple(s.args[index] for s in self.shapes if isinstance(s, Cases) and s.condition == condition)
        return Leaf(self.stable.args[index], shapes, (*self.path, (condition, index == 1)))


class Workshop:
    """What the outputs of one variant share: names, settings of the parameters, and the truth on the grid."""

    def __init__(self, op: Op, variant: Variant, x: Symbol, plain: Mapping[str, Symbol]) -> None:
        self.x = x
        self.free = tuple(a.name for a in free(op, variant))
        self.settings = settings(op, variant)
        # every argument but choices is passed, whether this output reads it or not
        present = (x.name, *self.free)
        self.parameters = tuple(a.name for a in op.arguments if a.name in present)
        self.bound: dict[Symbol, Pair] = {plain[n]: Pair(var(n)) for n in self.parameters}
        self.plain = plain
        low, high = domain(first_tensor(op))
        self.points = grid(low, high, THIN if self.free else 1)
        self._probes: dict[tuple[Expr, str, int], Probe] = {}

    def oracle(self, wanted: Wanted) -> Oracle:
        """Jets along x, or along the parameter where the gradient is in one."""
        return Oracle(wanted.naive, self.plain[wanted.wrt] if wanted.wrt else self.x, 2, fallback=wanted.value)

    def probe(self, wanted: Wanted) -> Probe:
        """The truth on the grid, and around the roots of a function without parameters."""
        first = self.sample(wanted, self.points)
        if self.free:
            return first
        oracle = self.oracle(wanted)
        for r in roots(first):
            near = neighbours(self._refined(oracle, wanted.order, r, first))
            first = merged(first, self.sample(wanted, near[(near >= self.points[0]) & (near <= self.points[-1])]))
        return first

    def sample(self, wanted: Wanted, points: Floats) -> Probe:
        """The truth at any points, for every setting of the parameters."""
        if wanted.wrt and wanted.wrt != self.x.name:
            return self._parameter_sample(wanted, points)
        return measure(self.oracle(wanted), wanted.order, points, self.settings)

    def _refined(self, oracle: Oracle, order: int, guess: float, probe: Probe) -> float:
        i = int(np.searchsorted(probe.x, guess))
        a, b = float(probe.x[i - 1]), float(probe.x[i])
        va = oracle.ball(a, order, {}, 30)
        for _ in range(80):
            m = (a + b) / 2
            vm = oracle.ball(m, order, {}, 30)
            if m in (a, b) or va is None or vm is None:
                break
            a, b = (m, b) if (vm > 0) == (va > 0) else (a, m)
        return b

    def _parameter_sample(self, wanted: Wanted, points: Floats) -> Probe:
        """The gradient in a parameter: jets along the parameter, each with an x of its own."""
        oracle, inside = self.oracle(wanted), np.isfinite(points)
        high = np.full((len(self.settings), points.size), np.nan)
        low = np.zeros_like(high)
        for row, setting in enumerate(self.settings):
            others = {k: v for k, v in setting.items() if k != wanted.wrt}
            at = np.full(int(inside.sum()), setting[str(wanted.wrt)])
            (truth,) = oracle.truth(at, {**others, self.x.name: points[inside]}, orders=(1,))
            high[row, inside] = np.where(truth.unknown, np.nan, truth.high)
            low[row, inside] = truth.low
        return Probe(points, self.settings, high, low)

    def output(self, wanted: Wanted) -> Output:
        stable, steps = rewrite(wanted.recognized)
        probe = self.probe(wanted)
        forms, cores, worst, missed = {}, {}, {}, {}
        for target in TARGETS:
            form, unresolved = self.form(wanted, stable, probe, target)
            core = finish(
                f"{wanted.name}_{target.name}",
                self.parameters,
                self.x.name,
                form.node(self.x, self.bound),
                self.settings,
                self._below_zero(probe),
            )
            each = error(evaluate(core, probe), probe, target)
            if target.name == "f32":
                each = np.where(probe.single, each, np.nan)
            known = each[~np.isnan(each)]
            forms[target.name], cores[target.name], missed[target.name] = form, core, unresolved
            worst[target.name] = float(known.max()) if known.size else math.nan
        trace = wanted.steps + tuple(s for s in steps if s not in wanted.steps)
        regions = forms["f64"].regions()
        return Output(
            wanted.name, wanted.wrt, wanted.order, wanted.naive, wanted.recognized, stable, trace, regions,
            cores, forms, worst, missed,
        )  # fmt: skip

    def form(self, wanted: Wanted, stable: Expr, probe: Probe, target: Target) -> tuple[Form, tuple[Unresolved, ...]]:
        """Follow the cases of the definition; choose segments for each leaf."""
        shapes = (wanted.recognized, *(attempt(e) for e in wanted.also), *wanted.also)
        return self._branch(Leaf(stable, shapes, ()), wanted, probe, target)

    def _branch(
        self, leaf: Leaf, wanted: Wanted, probe: Probe, target: Target
    ) -> tuple[Form, tuple[Unresolved, ...]]:
        if isinstance(leaf.stable, Cases):
            condition, *_ = leaf.stable.args
            (then, a), (otherwise, b) = (
                self._branch(leaf.branch(index), wanted, probe, target) for index in (1, 2)
            )
            return Form((), condition, then, otherwise), a + b
        choice = self._choose(leaf, self._masked(leaf, probe), wanted, target)
        for _ in range(REFINEMENTS):
            near = between(choice.segments, probe.x)
            if not near.size:
                break
            probe = merged(probe, self.sample(wanted, near))
            choice = self._choose(leaf, self._masked(leaf, probe), wanted, target)
        return Form(choice.segments), choice.unresolved

    def _choose(self, leaf: Leaf, probe: Probe, wanted: Wanted, target: Target) -> Choice:
        fitter = None if self.free else Fitter(self.oracle(wanted), wanted.order, target)
        problem = Problem(self.x, self.bound, self.parameters, probe, target, fitter)
        choice = choose(problem, candidates(leaf.stable, leaf.shapes, self.x, ARITHMETICS[target.name]))
        if choice.unresolved and self.free:
            choice = min((choice, *self._inner(problem, (leaf.stable, *leaf.shapes))), key=lambda c: len(c.unresolved))
        return choice

    def _masked(self, leaf: Leaf, probe: Probe) -> Probe:
        """The probe with the truth only where the leaf's conditions hold."""
        high = probe.high
        for condition, truth in leaf.path:
            high = np.where(self._holds(condition, probe) == truth, high, np.nan)
        return Probe(probe.x, probe.settings, high, probe.low)

    def _inner(self, problem: Problem, shapes: tuple[Expr, ...]) -> list[Choice]:
        """The same leaf through the fixed function inside it, where there is one, measured like any other candidate."""
        found = next((s for s in (split(e, self.x) for e in shapes) if s is not None), None)
        if found is None:
            return []
        oracle = Oracle(found.g, U, 1)
        probe = measure(oracle, 0, grid(-math.inf, math.inf), ({},))
        for r in roots(probe):
            probe = merged(probe, measure(oracle, 0, neighbours(self._refined(oracle, 0, r, probe)), ({},)))
        fixed = Problem(U, {U: Pair(var("u"))}, ("u",), probe, problem.target, Fitter(oracle, 0, problem.target))
        chosen = choose(fixed, candidates(attempt(found.g), (found.g,), U, INNER_ARITHMETICS))
        body = Inner(found, Form(chosen.segments))
        return [choose(problem, [body])]

    def _holds(self, condition: Expr, probe: Probe) -> np.ndarray:
        chosen = Lowering(COMPENSATED, self.bound).condition(condition)
        flag = ScalarFunction("holds", self.parameters, (select(chosen, const(1.0), const(0.0)),))
        return evaluate(flag, probe) > 0

    @staticmethod
    def _below_zero(probe: Probe) -> float | None:
        """The sign just below zero of a function that is zero at zero; None where the settings disagree."""
        i = int(np.searchsorted(probe.x, 0.0))
        if i == 0 or i >= probe.x.size or probe.x[i] != 0 or np.any(probe.high[:, i] != 0):
            return None
        signs = set(np.sign(probe.high[:, max(i - 30, 0) : i]).ravel().tolist()) - {0.0}
        return signs.pop() if len(signs) == 1 else None


def domain(argument: Argument) -> tuple[float, float]:
    """The range of a tensor operand; an open end at a number is left out by one float."""
    low, high = -math.inf, math.inf
    for relation, value in argument.role.limits:
        if relation in (">", ">="):
            low = max(low, math.nextafter(float(value), math.inf) if relation == ">" else float(value))
        if relation in ("<", "<="):
            high = min(high, math.nextafter(float(value), -math.inf) if relation == "<" else float(value))
    return low, high
