"""From the definition of a row function to its kernels, one readable line, with every intermediate kept.

Op --lower--> Program --recognize--> --pullback--> gradients --shift--> --share--> --schedule--> cores of stages
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from sympy import Eq, Expr, Symbol

from symgen.calculus import DerivativeError
from symgen.lowering import LoweringError
from symgen.program import Program, ProgramError
from symgen.rows.adjoint import COTANGENT, gradient_of, pullback
from symgen.rows.centre import centred
from symgen.rows.differences import without_differences
from symgen.rows.free import proved
from symgen.rows.lower import lower, needed
from symgen.rows.picked import factored
from symgen.rows.precision import Facts
from symgen.rows.recognize import recognized
from symgen.rows.schedule import TARGETS, Schedule, schedules
from symgen.rows.share import shared
from symgen.rows.shift import Family, shifted
from symgen.rows.tangent import pushforward
from symgen.rows.tidy import in_range, without_zeros
from symgen.rules.rule import Step
from symgen.spec import Argument, Op, Variant
from symgen.spec.model import Axis, Parts, Role, role_limits
from symgen.stabilize.form import Region

DIFFERENTIABLE = frozenset({"tensor", "param", "weight", "prob", "real"})


@dataclass(frozen=True)
class Place:
    """Where the elements of an argument lie: the axes of a sample, and whether all samples share them."""

    name: str
    role: Role
    axes: tuple[str, ...]

    @property
    def shared(self) -> bool:
        """Whether every sample has the same: parameters, weights of classes, and numbers."""
        return self.role.kind == "param" or (self.role.kind == "weight" and bool(self.axes)) or self.number

    @property
    def number(self) -> bool:
        return self.role.kind in ("real", "int")


@dataclass(frozen=True)
class RowMiss:
    """The largest error of an output in ULP, rounding included, and what is hard about the row."""

    error: float
    place: str


@dataclass(frozen=True)
class RowOutput:
    """One kernel of a variant, at every stage of its making.

    Attributes:
        name: "value", "vjp" (of all tensors), "vjp_NAME", "hvp_NAME"; of one number "value_and_grad"; of
            losses "share" and its own.
        recognized: its program in the vocabulary.
        stable: the same with free parameters, and what is shared computed once.
        families: the free parameters, in which the derivative of its results was shown to vanish.
        schedules: the code for float64 and for float32 results.
        trace: the rules that recognised it.
        unresolved: what misses its bar, see `symgen.rows.measure`.
        along: the operand that moves along a direction, of a second derivative times it.
    """

    name: str
    wrt: tuple[str, ...]
    recognized: Program
    stable: Program
    families: tuple[Family, ...]
    schedules: tuple[Schedule, ...]
    trace: tuple[Step, ...] = ()
    regions: tuple[Region, ...] = ()
    unresolved: Mapping[str, tuple[RowMiss, ...]] = field(default_factory=lambda: dict.fromkeys(TARGETS, ()))
    along: str = ""


@dataclass(frozen=True)
class DerivedRows:
    """One variant of a row function with all that was derived from it."""

    variant: Variant
    places: tuple[Place, ...]
    program: Program
    outputs: tuple[RowOutput, ...]

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(o.name for o in self.outputs)

    @property
    def axes(self) -> tuple[str, ...]:
        """The axes along which the value of a sample varies."""
        return self.program.stages[-1].axes

    def output(self, name: str) -> RowOutput:
        return next(o for o in self.outputs if o.name == name)


@dataclass(frozen=True)
class RowDerivation:
    """Everything that the build knows of a row function."""

    op: Op
    variants: tuple[DerivedRows, ...]


def derive(op: Op, *, only: str | None = None) -> RowDerivation:
    """Derive, shift and schedule every variant of a row function.

    Args:
        op: the definition.
        only: the name of one output, if the others are not wanted.

    Raises:
        ProgramError: the definition needs calculus or code that this version does not have; the message names file,
            line and expression.
    """
    try:
        return RowDerivation(op, tuple(derive_variant(op, v, only) for v in op.variants))
    except (DerivativeError, LoweringError, ProgramError) as missing:
        raise ProgramError(f"{op.source.file}:{op.source.line}: {op.name}: {missing}") from missing


def derive_variant(op: Op, variant: Variant, only: str | None = None) -> DerivedRows:
    """The kernels of one variant."""
    found = places(op, variant)
    light = [p.name for p in found if p.role.kind in ("weight", "prob")]
    known = pinned(variant)
    program = lower(op, variant.value.xreplace(known))
    wanted = [*kernels(recognized(program, light), found)]
    if variant.share is not None:
        wanted += shares(recognized(lower(op, variant.share.xreplace(known)), light), found)
    facts = facts_of(found)
    outputs = tuple(w.finished(facts) for w in wanted if only in (None, w.name))
    return DerivedRows(variant, found, program, outputs)


def is_nonnegative(place: Place) -> bool:
    """Whether an argument's domain says so."""
    limits = role_limits(place.role)
    return place.role.kind in ("weight", "prob") or any(o in (">", ">=") and v >= 0 for o, v in limits)


def facts_of(found: Sequence[Place]) -> Facts:
    """What the roles of arguments tell."""
    return Facts(
        nonnegative=tuple(p.name for p in found if is_nonnegative(p)),
        params=tuple(p.name for p in found if p.role.kind == "param"),
        tensors=tuple(p.name for p in found if p.role.kind in ("tensor", "prob")),
        places=tuple(p.name for p in found if p.role.kind in ("index", "labels", "mask")),
        options=tuple(p.name for p in found if p.number),
    )


def pinned(variant: Variant) -> dict[Symbol, Expr]:
    """The options that have one value in a variant: there they are numbers, and no derivative in them is known."""
    equalities = [c.args for c, truth in variant.conditions if truth and isinstance(c, Eq)]
    return {a: b for pair in equalities for a, b in (pair, pair[::-1]) if isinstance(a, Symbol) and b.is_number}


def places(op: Op, variant: Variant) -> tuple[Place, ...]:
    """The arguments that kernels of a variant take, arrays first."""
    settings = dict(variant.settings)
    found = [Place(a.name, role := chosen(a, settings), sample_axes(role)) for a in op.operands]
    found += [Place(a.name, a.role, ()) for a in op.options if a.role.kind != "choice"]
    return tuple(found)


def chosen(argument: Argument, settings: Mapping[str, object]) -> Role:
    """The role of an argument in a variant, which may have been one of several."""
    kinds = argument.role.kinds
    return next(k for k in kinds if k.kind == settings[argument.name]) if kinds else argument.role


def sample_axes(role: Role) -> tuple[str, ...]:
    """The axes of one sample; an axis of parts is two, the number of parts and what is left of it."""
    axes: list[str] = []
    for axis in role.axes:
        if isinstance(axis, Parts):
            axes += [str(axis.count), axis.axis.name]
        else:
            axes.append(axis.name if isinstance(axis, Axis) else str(axis))
    return tuple(axes)


Recognized = tuple[Program, tuple[Step, ...]]


@dataclass(frozen=True)
class Wanted:
    """A kernel before it is made: its program in the vocabulary, and how it was recognised."""

    name: str
    wrt: tuple[str, ...]
    program: Program
    trace: tuple[Step, ...]
    light: tuple[str, ...] = ()
    along: str = ""

    def finished(self, facts: Facts) -> RowOutput:
        """The kernel; a shift that is not proved to change nothing is left out."""
        program = without_differences(factored(self.program))
        centre = centred(program)
        # a second derivative of a norm is that of its squares: its scale would take minutes to prove
        stable, families = _stable(centre, facts.nonnegative, scaled=not self.along)
        short = stable, families
        if any(not f.exponential for f in families):
            unscaled = _stable(centred(without_zeros(program)), facts.nonnegative, scaled=False)
            short = unscaled if in_range(unscaled[0]) else short
        facts = replace(facts, light=self.light)
        once = bool(self.along) or not set(self.wrt) <= set(facts.tensors)  # sums over rows take each row once
        codes = schedules(self.name, (stable, families), short, facts, once)
        return RowOutput(self.name, self.wrt, self.program, stable, families, codes, self.trace, along=self.along)


def _stable(program: Program, nonnegative: Collection[str], scaled: bool) -> tuple[Program, tuple[Family, ...]]:
    """The program with the free parameters that are proved to change nothing, and what is shared computed once."""
    moved, families = shifted(program, nonnegative, scaled)
    if not proved(moved, families):
        moved, families = program, ()
    return shared(moved), families


def kernels(known: Recognized, found: tuple[Place, ...]) -> Iterator[Wanted]:
    """The value, the gradients in all tensors together, and those in everything else one by one."""
    program, trace = known
    tensors = {p.name: p.axes for p in found if p.role.kind == "tensor"}
    others = {p.name: p.axes for p in found if p.role.kind in DIFFERENTIABLE and p.name not in tensors}
    light = tuple(p.name for p in found if p.role.kind in ("weight", "prob"))
    yield Wanted("value", (), program, trace, light)
    yield Wanted("vjp", tuple(tensors), pullback(program, tensors), trace)
    if not program.stages[-1].axes:  # one number, whose gradient needs no cotangent
        yield Wanted("value_and_grad", tuple(tensors), pullback(program, tensors, value=True), trace)
    for name, axes in tensors.items():
        yield bent("hvp", known, name, axes)
    yield from single("vjp", known, others)
    yield from bends("hvp", known, {p.name: p.axes for p in found if p.name in others and not p.number})


def single(prefix: str, known: Recognized, wrt: Mapping[str, tuple[str, ...]]) -> Iterator[Wanted]:
    """The gradient in each of some arguments, if there is one."""
    program, trace = known
    for name, axes in wrt.items():
        back = pullback(program, {name: axes})
        if back.stages[-1].body != 0:
            yield Wanted(f"{prefix}_{name}", (name,), back, trace)


def bent(prefix: str, known: Recognized, name: str, axes: tuple[str, ...]) -> Wanted:
    """The second derivative in an operand, times a direction of its shape."""
    program, trace = known
    second = pullback(pushforward(program, name), {name: axes})
    return Wanted(f"{prefix}_{name}", (name,), second, trace, along=name)


def bends(prefix: str, known: Recognized, wrt: Mapping[str, tuple[str, ...]]) -> Iterator[Wanted]:
    """The second derivative in each of some operands, if there is one."""
    found = (bent(prefix, known, name, axes) for name, axes in wrt.items())
    yield from (second for second in found if second.program.stages[-1].body != 0)


def shares(known: Recognized, found: tuple[Place, ...]) -> Iterator[Wanted]:
    """A sample's share in the mean, and its gradients."""
    wrt = {p.name: p.axes for p in found if p.role.kind in DIFFERENTIABLE}
    yield Wanted("share", (), *known)
    yield from single("share_vjp", known, wrt)
    yield from bends("share_hvp", known, {p.name: p.axes for p in found if p.name in wrt and not p.number})


def body(output: RowOutput) -> Expr:
    """The formula of the last result of a kernel."""
    return needed(output.stable).stages[-1].body


__all__ = ["COTANGENT", "DerivedRows", "Place", "RowDerivation", "RowOutput", "derive", "gradient_of"]
