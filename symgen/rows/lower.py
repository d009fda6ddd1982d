"""From a formula over axes to Stages: each reduction a let-binding, equal reductions one, indices named by depth."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from typing import Any

import sympy as sp
from sympy import Expr, Indexed, Symbol

from symgen.program import Program, ProgramError, Stage
from symgen.rows.indices import axis_of, base_of, free_symbols, index, is_index, lists_first, loops, read, reads
from symgen.spec import Op
from symgen.spec.axes import AxisMax, AxisMin

OPERATIONS: dict[type, str] = {sp.Sum: "sum", sp.Product: "prod", AxisMax: "max", AxisMin: "min"}


def is_row_function(op: Op) -> bool:
    """Whether a definition reduces or picks along an axis, so that elements of its result need whole rows."""
    return any(v.value.has(Indexed, *OPERATIONS) for v in op.variants)


@dataclass
class Stages:
    """Stages under construction; a reduction that is there already is read, not made again."""

    made: list[Stage] = field(default_factory=list)
    known: dict[tuple[Any, ...], str] = field(default_factory=dict)

    def reduce(self, op: str, body: Expr, over: Iterable[Symbol], name: str = "") -> Expr:
        """The read of a reduction of the body, at the indices that stay free."""
        bound = lists_first(over)
        free = tuple(i for i in loops(body) if i not in bound)
        return self.table(op, body, free, bound, name)

    def table(self, op: str, body: Expr, free: tuple[Symbol, ...], bound: tuple[Symbol, ...], name: str = "") -> Expr:
        """The read of a stage of the body, which may be there already."""
        stage = canonical(op, body, free, bound)
        if stage not in self.known:
            self.known[stage] = name or self.fresh()
            self.made.append(Stage(self.known[stage], *stage))
        return read(self.known[stage], free)

    def let(self, name: str, axes: Iterable[str], body: Expr) -> Expr:
        """A stage without reduction, and its read at its own indices."""
        stage = Stage(name, "=", tuple(axes), (), body)
        self.made.append(stage)
        return read(name, map(index, stage.axes))

    def fresh(self) -> str:
        """A name that no stage has; where some were left out, their number is not enough."""
        taken = {s.out for s in self.made}
        return next(name for n in itertools.count(len(self.made)) if (name := f"s{n}") not in taken)

    def lower(self, e: Any) -> Any:
        """An expression with every reduction in it made a stage."""
        if not e.args or isinstance(e, Indexed):
            return e
        if isinstance(e, (AxisMax, AxisMin)):
            return self.reduce(OPERATIONS[type(e)], self.lower(e.args[0]), (e.args[1],))
        if isinstance(e, (sp.Sum, sp.Product)):
            body = self.lower(e.function)
            return self.reduce(OPERATIONS[type(e)], self.tabled(body, loops(body)), (limit[0] for limit in e.limits))
        return e.func(*map(self.lower, e.args))

    def tabled(self, e: Any, around: Collection[Symbol]) -> Any:
        """An expression with a stage for each part of it that a loop around would compute again for the same entries.

        A part is worth one where it has two axes of its own and holds a reduction, as an entry of a scaled vector does
        of which all pairs are multiplied.
        """
        if not e.args or isinstance(e, (Indexed, sp.logic.boolalg.Boolean)):
            return e
        own = loops(e)
        holds = {s.out for s in self.made} & {base_of(r) for r in reads(e)}
        deeper = len(own) < len(around) or canonical("=", e, own, ()) in self.known
        if len(own) > 1 and holds and deeper:
            return self.table("=", e, own, ())
        return e.func(*(self.tabled(a, around) for a in e.args))


def canonical(op: str, body: Expr, free: tuple[Symbol, ...], bound: tuple[Symbol, ...]) -> tuple[Any, ...]:
    """What tells one stage from another: its operation, indices by depth, and its body at them."""
    names = by_depth(free, bound)
    return op, *(tuple(names[i].name for i in some) for some in (free, bound)), body.xreplace(names)


def by_depth(free: tuple[Symbol, ...], bound: tuple[Symbol, ...]) -> dict[Symbol, Symbol]:
    """Names by depth: what stays free first, then what is bound, counted along each axis; bound ones begin at one."""
    count: Counter[str] = Counter()
    names = {}
    for i in (*free, *bound):
        axis = axis_of(i.name)
        depth = count[axis] if i in free else max(count[axis], 1)
        names[i] = index(f"{axis}.{depth}" if depth else axis)
        count[axis] = depth + 1
    return names


def lower(op: Op, value: Expr, name: str = "out") -> Program:
    """The program of a formula over axes.

    Example:
        >>> from symgen.catalogue import softmax
        >>> print(lower(softmax.op, softmax.op.variants[0].value))  # doctest: +SKIP
        s0 = sum over C.1 of exp(x[C.1])
        out[C] = exp(x[C])/s0
    """
    stages = Stages()
    body = stages.lower(value)
    stages.let(name, (i.name for i in loops(body)), body)
    return verify(Program(op.name, _inputs(stages.made), tuple(stages.made), (name,)))


def _inputs(stages: Iterable[Stage]) -> tuple[Symbol, ...]:
    made, taken = set(), {}
    for stage in stages:
        for r in (r for e in stage.taken for r in free_symbols(e) if isinstance(r, Indexed | Symbol)):
            name = base_of(r)
            if name not in made and not is_index(r):
                taken[name] = Symbol(name)
        made.add(stage.out)
    return tuple(taken[name] for name in sorted(taken))


def verify(program: Program) -> Program:
    """Check that each stage reads operands and earlier stages only, and binds each of its indices once.

    Raises:
        ProgramError: with the stage and what is wrong with it.
    """
    known = {s.name for s in program.inputs}
    for stage in program.stages:
        here = {*stage.axes, *stage.over}
        if len(here) < len(stage.axes) + len(stage.over):
            raise ProgramError(f"{program.name}: stage {stage.out} binds an index twice: {stage}")
        for i in loops(stage.body):
            if i.name not in here:
                raise ProgramError(f"{program.name}: stage {stage.out} reads at {i}, which it does not bind: {stage}")
        names = {base_of(r) for e in stage.taken for r in free_symbols(e) if not is_index(r)}
        unknown = sorted(n for n in names - known if not n.startswith("|"))
        if unknown:
            raise ProgramError(f"{program.name}: stage {stage.out} reads {', '.join(unknown)}, which nothing defines")
        known.add(stage.out)
    missing = [r for r in program.results if r not in known]
    if missing:
        raise ProgramError(f"{program.name}: nothing computes {', '.join(missing)}")
    return program


def needed(program: Program) -> Program:
    """The program without stages that no result needs."""
    wanted, kept = set(program.results), []
    for stage in reversed(program.stages):
        if stage.out in wanted:
            kept.append(stage)
            wanted |= {base_of(r) for e in stage.taken for r in free_symbols(e)}
    return verify(Program(program.name, _inputs(kept[::-1]), tuple(kept[::-1]), program.results))
