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

from symgen.arithmetic import Pair, computing_in, parts
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
from symgen.stabilize.probe import DEVICE, TARGETS, Probe, Target, error, grid, kinks, neighbours, scaled
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
        device: the same for float32 arithmetic on a GPU; None where that was not asked for.
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
    device: Device | None = None


@dataclass(frozen=True)
class Device:
    """One output in float32 arithmetic; a number among the parameters comes as two, `NAME` and `NAME_low`."""

    core: ScalarFunction
    form: Form
    worst: float
    unresolved: tuple[Unresolved, ...]


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


def derive(op: Op, *, pieces: bool = True, only: str | None = None, device: bool = False) -> Derivation:
    """Derive, stabilise and schedule every variant of a definition.

    Args:
        op: the definition.
        pieces: whether polynomials may be fitted to the exact function where no algebra is good enough; without them
            such stretches are unresolved, which shows what the rules are worth.
        only: the name of one output, if the others are not wanted.
        device: whether graphs for float32 arithmetic on a GPU are derived too.

    Raises:
        ProgramError: the definition needs calculus, ball arithmetic or code that this version does not have; the
            message names file, line and expression.

    Example:
        >>> from symgen.catalogue import silu
        >>> [o.name for o in derive(silu).variants[0].outputs]
        ['value', 'grad', 'grad2']
    """
    try:
        variants = (derive_variant(op, v, pieces=pieces, only=only, device=device) for v in op.variants)
        return Derivation(op, tuple(variants))
    except (DerivativeError, LoweringError, OracleError) as missing:
        raise ProgramError(f"{op.source.file}:{op.source.line}: {op.name}: {missing}") from missing


def derive_variant(
    op: Op, variant: Variant, *, pieces: bool = True, only: str | None = None, device: bool = False
) -> DerivedVariant:
    """The outputs of one variant: its value, first and second derivatives, and gradients in all that is free."""
    program = lower(op, variant)
    shop = Workshop.of(op, variant, pieces, device)
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
    numbers: frozenset[str] | None = None  # parameters that are no arrays; None where no GPU is asked for

    @staticmethod
    def of(op: Op, variant: Variant, pieces: bool = True, device: bool = False) -> Workshop:
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
        numbers = frozenset(a.name for a in others if a.role.kind in {"real", "int"}) if device else None
        return Workshop(symbols, parameters, sampler, limits, tensors, pieces, numbers)

    def output(self, wanted: Wanted) -> Output:
        """Stabilise and schedule one output for both targets."""
        stable, steps = traced(wanted.recognized)
        probe, fresh = self.sampler.probe(wanted.question), self.sampler.fresh(wanted.question)
        bound = {self.symbols[n]: Pair(var(n)) for n in self.parameters}
        leaf = Leaf(stable, (wanted.recognized, *(attempt(e) for e in wanted.also), *wanted.also))
        forms, cores, worst, missed = {}, {}, {}, {}
        for target in TARGETS:
            form, core, most, stretches = self._core(wanted, leaf, probe, fresh, bound, target)
            forms[target.name], cores[target.name] = form, core
            worst[target.name], missed[target.name] = most, stretches
        trace = (*wanted.steps, *(s for s in steps if s not in wanted.steps))
        return Output(
            wanted.name, wanted.wrt, wanted.question.order, wanted.question.naive, wanted.recognized, stable,
            tuple(s for s in trace if str(s.before) != str(s.after)),  # a head that only changes its class is no step
            forms["f64"].regions(), cores, forms, worst, missed, replace(probe, memory={}),
            self.device(wanted, leaf, probe, fresh) if self.elementwise(wanted) else None,
        )  # fmt: skip

    def _core(
        self, wanted: Wanted, leaf: Leaf, probe: Probe, fresh: Probe, bound: Mapping[Symbol, Pair], target: Target
    ) -> tuple[Form, ScalarFunction, float, tuple[Unresolved, ...]]:
        """The form and the scalar function of one output for one target, its worst error and what it misses."""
        bench = Bench(self.sampler, wanted.question, self.parameters, bound, target, self.pieces)
        form, missed = bench.form(leaf, probe, fresh)
        name, x, sign = f"{wanted.name}_{target.name}", self.sampler.x, below_zero(probe)
        graph, settings_tried = form.node(x, bound), self.sampler.settings
        core = finish(name, self.parameters, x.name, graph, settings_tried, sign, self.limits, self.others)
        each = error(evaluate(core, probe, target.computes), probe, target)
        counted = each[~np.isnan(each) & (probe.single | (not target.single))]
        return form, core, float(counted.max()) if counted.size else math.nan, missed

    def elementwise(self, wanted: Wanted) -> bool:
        """Whether a GPU is asked for, and the output is no gradient that is summed over many elements."""
        return self.numbers is not None and wanted.wrt in {None, self.sampler.x.name, *self.others}

    def device(self, wanted: Wanted, leaf: Leaf, probe: Probe, fresh: Probe) -> Device:
        """The output for float32 arithmetic: arrays hold float32, and numbers come as two float32 each.

        An option is a float64, and no float32 near it would do: ``exp(x / alpha)`` multiplies its rounding error.
        """
        numbers = self.numbers or frozenset()
        arrays = [{n: v if n in numbers else float(np.float32(v)) for n, v in s.items()} for s in self.sampler.settings]
        sampler = replace(self.sampler, settings=tuple(arrays))
        if sampler.settings != self.sampler.settings:
            probe, fresh = sampler.probe(wanted.question), sampler.fresh(wanted.question)
        with computing_in(np.float32):
            split = tuple(_split(setting, numbers) for setting in arrays)
            bound = {self.symbols[n]: Pair(var(n), var(low(n)) if n in numbers else None) for n in self.parameters}
            parameters = tuple(p for n in self.parameters for p in ((n, low(n)) if n in numbers else (n,)))
            shop = replace(self, parameters=parameters, sampler=replace(sampler, settings=split))
            probe, fresh = (replace(p, settings=split, memory={}) for p in (probe, fresh))
            form, core, worst, missed = shop._core(wanted, leaf, probe, fresh, bound, DEVICE)
        return Device(core, form, worst, missed)


def low(name: str) -> str:
    """The parameter that carries what float32 leaves of a number."""
    return f"{name}_low"


def _split(setting: Mapping[str, float], numbers: frozenset[str]) -> dict[str, float]:
    """A setting with every number in two float32."""
    found = {}
    for name, value in setting.items():
        found[name], rest = parts(value, 0.0)
        if name in numbers:
            found[low(name)] = rest
    return found


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
