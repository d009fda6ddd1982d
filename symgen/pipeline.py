"""The pipeline from a definition to scalar kernels, one readable line, with every intermediate kept for inspection.

Op --lower--> Program --recognize--> vocabulary --derivative--> --rewrite--> stable form
   --choose--> Form, segments of the line --finish--> scalar function
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np
from sympy import Expr, Symbol

from symgen.arithmetic import Pair
from symgen.calculus import DerivativeError, derivative
from symgen.kernel import ScalarFunction, var
from symgen.lowering import LoweringError
from symgen.oracle import OracleError
from symgen.program import Program, ProgramError, lower
from symgen.rules.rule import Step
from symgen.schedule import finish
from symgen.settings import first_tensor, free, settings
from symgen.spec import Argument, Op, Variant
from symgen.stabilize.candidates import attempt, hoist, traced
from symgen.stabilize.form import Form, Region
from symgen.stabilize.leaves import Bench, Leaf
from symgen.stabilize.probe import TARGETS, Probe, error, grid, kinks, neighbours, scaled
from symgen.stabilize.recognize import recognize
from symgen.stabilize.regimes import Unresolved, evaluate
from symgen.stabilize.sampler import Question, Sampler

SPREAD = 10  # of the dense grid, as many points are left out where an extreme parameter moves it
THIN = 3  # with free parameters every setting is measured, on a coarser grid


@dataclass(frozen=True)
class Output:
    """One scalar function of a variant: the value or a derivative, at every stage of its making.

    Attributes:
        name: "value", "grad", "grad2", or "grad_NAME" for another operand, a parameter or an option.
        wrt: what it is a derivative in; None for the value.
        order: of the derivative.
        naive: the formula of the variant, as written.
        recognized: this output after calculus, in the vocabulary.
        stable: after all rules.
        trace: the rules that were applied.
        regions: what computes which part of the line in float64, for people.
        cores: the scalar functions, "f32" and "f64".
        forms: the same before scheduling.
        worst: the largest error at the probe points, in ULP of the target (before rounding for "f32").
        unresolved: stretches on which the target's bar is missed.
        probe: where it was measured, and the truth there.
    """

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
    probe: Probe


@dataclass(frozen=True)
class DerivedVariant:
    """One variant of a definition with all that was derived from it."""

    variant: Variant
    program: Program
    outputs: tuple[Output, ...]
    names: tuple[str, ...] = ()  # of all outputs that there are, whether derived or not

    def output(self, name: str) -> Output:
        return next(o for o in self.outputs if o.name == name)


@dataclass(frozen=True)
class Derivation:
    """Everything that the build knows of a function."""

    op: Op
    variants: tuple[DerivedVariant, ...]


def derive(op: Op, *, pieces: bool = True, only: str | None = None) -> Derivation:
    """Derive, stabilise and schedule every variant of a definition.

    Args:
        op: the definition.
        pieces: whether polynomials may be fitted to the exact function where no algebra is good enough; without them
            such stretches are unresolved, which shows what the rules are worth.
        only: the name of one output, if the others are not wanted.

    Raises:
        ProgramError: the definition needs calculus, ball arithmetic or code that this version does not have; the
            message names file, line and expression.

    Example:
        >>> from symgen.catalogue import silu
        >>> [o.name for o in derive(silu).variants[0].outputs]
        ['value', 'grad', 'grad2']
    """
    try:
        return Derivation(op, tuple(derive_variant(op, v, pieces=pieces, only=only) for v in op.variants))
    except (DerivativeError, LoweringError, OracleError) as missing:
        raise ProgramError(f"{op.source.file}:{op.source.line}: {op.name}: {missing}") from missing


def derive_variant(op: Op, variant: Variant, *, pieces: bool = True, only: str | None = None) -> DerivedVariant:
    """The outputs of one variant: its value, first and second derivatives, and gradients in all that is free."""
    program = lower(op, variant)
    shop = Workshop.of(op, variant, pieces)
    naive = hoist(variant.value.xreplace({op.symbol(n): s for n, s in shop.symbols.items()}))
    known, steps = recognize(naive)
    wanted = tuple(Wanted.all_of(op, variant, shop.symbols, naive, hoist(known), steps))
    outputs = tuple(shop.output(w) for w in wanted if only in (None, w.name))
    return DerivedVariant(variant, program, outputs, tuple(w.name for w in wanted))


@dataclass(frozen=True)
class Wanted:
    """An output before it is stabilised; `also` are further shapes of the same function."""

    name: str
    wrt: str | None
    question: Question
    recognized: Expr
    steps: tuple[Step, ...]
    also: tuple[Expr, ...] = ()

    @staticmethod
    def all_of(
        op: Op, variant: Variant, symbols: Mapping[str, Symbol], naive: Expr, known: Expr, steps: tuple[Step, ...]
    ) -> Iterator[Wanted]:
        """Value, derivatives in every tensor, gradients in every parameter and number, in this order."""
        x = symbols[first_tensor(op).name]
        tensors = [a.name for a in op.operands if a.role.kind == "tensor"]
        yield Wanted("value", None, Question(naive, known, x, 0), known, steps)
        for name in tensors:
            s, suffix = symbols[name], "" if len(tensors) == 1 else f"_{name}"
            slope = bounded(derivative(known, s))
            bend = bounded(derivative(slope, s))
            again = derivative(attempt(slope), s)
            yield Wanted(f"grad{suffix}", name, Question(naive, known, s, 1), slope, steps)
            yield Wanted(f"grad2{suffix}", name, Question(naive, known, s, 2), bend, steps, (again,))
        for name in (a.name for a in free(op, variant) if a.name not in tensors):
            s = symbols[name]
            yield Wanted(f"grad_{name}", name, Question(naive, known, s, 1), derivative(known, s), steps)


LARGEST = 2000  # nodes of a derivative; the largest of the catalogue has 189


def bounded(expression: Expr) -> Expr:
    """The derivative itself, if it is small enough to be made accurate before anybody loses patience."""
    sizes: dict[Expr, int] = {}

    def size(e: Expr) -> int:
        if e not in sizes:
            sizes[e] = 1 + sum(map(size, e.args))
        return sizes[e]

    if size(expression) > LARGEST:
        raise DerivativeError(
            f"a derivative of this formula has {size(expression):,} terms and factors, more than {LARGEST:,}\n"
            "  hint: nest fewer calls, or leave out factors"
        )
    return expression


@dataclass(frozen=True)
class Workshop:
    """What the outputs of one variant share: the symbols, the kernel's parameters, and where truth is sampled."""

    symbols: Mapping[str, Symbol]
    parameters: tuple[str, ...]
    sampler: Sampler
    limits: tuple[tuple[str, float], ...]
    others: tuple[str, ...]  # tensors beside the first
    pieces: bool = True  # whether pieces of the exact function may fill what algebra leaves

    @staticmethod
    def of(op: Op, variant: Variant, pieces: bool = True) -> Workshop:
        symbols = {a.name: finite(a) for a in op.arguments if a.role.kind != "choice"}
        first, others = first_tensor(op), free(op, variant)
        present = {first.name, *(a.name for a in others)}
        low, high = domain(first)
        tried = settings(op, variant)
        more = scaled(tried, SPREAD)
        ends = (low, high, *kinks(variant.value, op.symbol(first.name)))
        more = np.concatenate([more, *map(neighbours, ends)])
        points = np.union1d(grid(low, high, THIN if others else 1), more[(more >= low) & (more <= high)])
        sampler = Sampler(symbols[first.name], tried, points)
        parameters = tuple(a.name for a in op.arguments if a.name in present)
        limits = tuple((r, float(v)) for r, v in first.role.limits)
        tensors = tuple(a.name for a in others if a.role.kind == "tensor")
        return Workshop(symbols, parameters, sampler, limits, tensors, pieces)

    def output(self, wanted: Wanted) -> Output:
        """Stabilise and schedule one output for both targets."""
        stable, steps = traced(wanted.recognized)
        probe, fresh = self.sampler.probe(wanted.question), self.sampler.fresh(wanted.question)
        bound = {self.symbols[n]: Pair(var(n)) for n in self.parameters}
        leaf = Leaf(stable, (wanted.recognized, *(attempt(e) for e in wanted.also), *wanted.also))
        forms, cores, worst, missed = {}, {}, {}, {}
        for target in TARGETS:
            bench = Bench(self.sampler, wanted.question, self.parameters, bound, target, self.pieces)
            form, missed[target.name] = bench.form(leaf, probe, fresh)
            forms[target.name], x = form, self.sampler.x
            name, graph = f"{wanted.name}_{target.name}", form.node(x, bound)
            settings_tried, sign = self.sampler.settings, below_zero(probe)
            core = finish(name, self.parameters, x.name, graph, settings_tried, sign, self.limits, self.others)
            cores[target.name] = core
            each = error(evaluate(core, probe), probe, target)
            counted = each[~np.isnan(each) & (probe.single | (target.name != "f32"))]
            worst[target.name] = float(counted.max()) if counted.size else math.nan
        trace = (*wanted.steps, *(s for s in steps if s not in wanted.steps))
        return Output(
            wanted.name, wanted.wrt, wanted.question.order, wanted.question.naive, wanted.recognized, stable,
            tuple(s for s in trace if str(s.before) != str(s.after)),  # a head that only changes its class is no step
            forms["f64"].regions(), cores, forms, worst, missed, replace(probe, memory={}),
        )  # fmt: skip


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


def domain(argument: Argument) -> tuple[float, float]:
    """The range of a tensor operand; an open end at a number is left out by one float."""
    low, high = -math.inf, math.inf
    for relation, value in argument.role.limits:
        if relation in (">", ">="):
            low = max(low, math.nextafter(float(value), math.inf) if relation == ">" else float(value))
        if relation in ("<", "<="):
            high = min(high, math.nextafter(float(value), -math.inf) if relation == "<" else float(value))
    return low, high


NEAR = 30  # probe points beside zero that tell how a function passes through it


def below_zero(probe: Probe) -> float | None:
    """How a function that is zero at zero gets there: its sign just below, or 0.0 where it is flat on both sides.

    None where the settings disagree, or where only one side is flat: then the code's own answer stands.
    """
    i = int(np.searchsorted(probe.x, 0.0))
    if i == 0 or i >= probe.x.size or probe.x[i] != 0 or np.any(probe.high[:, i] != 0):
        return None
    signs = set()
    for row in probe.high:
        sides = row[max(i - NEAR, 0) : i], row[i + 1 : i + 1 + NEAR]
        left, right = (np.sign(side[~np.isnan(side)]) for side in sides)
        below = {float(v) for v in left if v}
        signs.add(below.pop() if len(below) == 1 else math.nan if below or right.any() else 0.0)
    return signs.pop() if len(signs) == 1 and not any(map(math.isnan, signs)) else None
