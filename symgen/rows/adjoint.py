"""Reverse mode over Stages: an adjoint is summed over the axes that its target lacks, and a gather's is a delta.

Only scalar calculus happens here, in `symgen.calculus`; everything about axes is which indices a target has. So a
weight shared by all classes, a picked class and a row's own sum need no case of their own.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import sympy as sp
from sympy import Dummy, Expr, Symbol

from symgen.calculus import derivative
from symgen.heads import Cases, weighted
from symgen.program import Program, ProgramError, Stage
from symgen.rows.indices import base_of, index, is_index, opened, places, read, reads, size
from symgen.rows.lower import Stages, needed

COTANGENT = "g"
Axes = Mapping[str, tuple[str, ...]]


def gradient_of(name: str) -> str:
    """The stage that holds the gradient in an operand."""
    return f"d{name}"


def pullback(program: Program, wrt: Axes, *, value: bool = False, cotangent: str = COTANGENT) -> Program:
    """The gradients of ``sum(g * out)`` in some operands, and the value before them where it is wanted.

    Args:
        program: one whose last stage is the value.
        wrt: operands (or options) and the axes along which each varies.
        value: whether the value is a result too.
        cotangent: what g is called.

    Returns:
        Stages that compute ``dNAME`` for each.

    Raises:
        ProgramError: a reduction without a derivative here.
    """
    out = program.stages[-1]
    tape = Tape.of(program, {**wrt, **{s.out: s.axes for s in program.stages}})
    g = read(cotangent, map(index, out.axes))
    # the cotangent of one number is a factor of every gradient: multiplied in last, it adds nothing that has to cancel
    inside, outside = (g, sp.S.One) if out.axes else (sp.S.One, g)
    tape.add(out.out, inside)
    for stage in reversed(program.stages):
        tape.back(stage)
    for name, axes in wrt.items():
        tape.stages.let(gradient_of(name), axes, times(outside, tape.adjoints.get(name, sp.S.Zero)))
    results = ((out.out,) if value else ()) + tuple(map(gradient_of, wrt))
    return needed(Program(program.name, (), tuple(tape.stages.made), results))


@dataclass
class Tape:
    """Adjoints as they are summed up, each at the canonical indices of what it belongs to."""

    axes: Axes
    stages: Stages
    adjoints: dict[str, Expr] = field(default_factory=dict)

    @staticmethod
    def of(program: Program, axes: Axes) -> Tape:
        known = {(s.op, s.axes, s.over, s.body): s.out for s in program.stages if s.over}
        return Tape(axes, Stages(list(program.stages), known))

    def add(self, name: str, term: Expr) -> None:
        self.adjoints[name] = plus(self.adjoints.get(name, sp.S.Zero), term)

    def back(self, stage: Stage) -> None:
        """Spread a stage's adjoint over what its body reads."""
        adjoint = self.adjoints.get(stage.out, sp.S.Zero)
        if adjoint == 0:
            return
        if adjoint.args and stage.over:
            kept = self.stages.let(self.stages.fresh(), stage.axes, adjoint)
            counted = weighted(kept, sp.S.One) if self.weighs(adjoint) else kept
            adjoint = where_counts(adjoint, counted) or counted
        sums = {s.out for s in self.stages.made if s.op == "sum" and not is_positive(s.body)}
        for target, slope in slopes(stage, self.axes, sums):
            self.spread(stage, target, times(self.through(stage, adjoint), slope))

    def weighs(self, e: Expr) -> bool:
        """Whether weights of zero make an adjoint zero: each of its terms has one, here or in the sum that it reads.

        What such a sample holds then counts for nothing, also where its slopes are no numbers.
        """
        if isinstance(e, Cases):
            return all(v == 0 or self.weighs(v) for v in (e.then, e.otherwise))
        if e.is_Add:
            return all(map(self.weighs, e.args))
        if e.is_Mul:
            return any(map(self.weighs, e.args))
        if isinstance(e, weighted):
            return not e.args[0].has(sp.exp)
        read_from = next((s for s in self.stages.made if s.out == base_of(e)), None)
        return read_from is not None and read_from.op in ("=", "sum") and self.weighs(read_from.body)

    def through(self, stage: Stage, adjoint: Expr) -> Expr:
        """The adjoint of a reduction's body, from that of the reduction."""
        if stage.op in ("=", "sum"):
            return adjoint
        return shared_by_ties(self.stages, stage, adjoint)

    def spread(self, stage: Stage, target: Expr, term: Expr) -> None:
        """Add a term to a target's adjoint: renamed to the target's indices, summed over all others."""
        if term == 0:
            return
        renamed: dict[Symbol, Symbol] = {}
        deltas: list[tuple[Symbol, Any]] = []
        for axis, place in zip(self.axes[base_of(target)], places(target), strict=True):
            if is_index(place) and place not in renamed:
                renamed[place] = index(axis)
            else:
                deltas.append((index(axis), place))
        others = [index(n) for n in (*stage.axes, *stage.over) if index(n) not in renamed]
        # the target's own index may have the name of one of the stage's, which is another index
        apart = {i: Dummy(i.name, integer=True, nonnegative=True) for i in others}
        names, bound = {**renamed, **apart}, list(apart.values())
        at = [(i, p.xreplace(names)) for i, p in deltas]
        inner = [(i, p) for i, p in at if set(bound) & p.free_symbols]
        outer = [(i, p) for i, p in at if not set(bound) & p.free_symbols]
        # what is scattered is summed before, over all that does not say where it goes
        steering = [i for i in bound if any(i in p.free_symbols for _, p in inner)]
        before = self.summed(term.xreplace(names), [i for i in bound if i not in steering])
        found = self.summed(guarded(before, inner), steering)
        self.add(base_of(target), guarded(found, outer))

    def summed(self, term: Expr, others: list[Symbol]) -> Expr:
        """The sum over other indices; over those that the term does not depend on it is a product."""
        if isinstance(term, Cases) and not set(others) & term.condition.free_symbols:
            inner = next((e for e in (term.then, term.otherwise) if e != 0), sp.S.Zero)
            whole = where_counts(term, self.summed(inner, others))
            if whole is not None:
                return whole
        varying = [i for i in others if i in term.free_symbols]
        for i in others:
            if i not in varying:
                term = times(size(i.name), term)
        # names by depth need the axis in front, which a dummy's own name gives
        return self.stages.reduce("sum", term, varying) if varying else term


def shared_by_ties(stages: Stages, stage: Stage, value: Expr) -> Expr:
    """What a largest or smallest entry passes on: the value where the entry is picked, a part of it at a tie.

    Raises:
        ProgramError: a reduction of another kind, which has no derivative here.
    """
    if stage.op not in ("max", "min"):
        raise ProgramError(f"{stage.out}: no derivative of a reduction by {stage.op!r}; write a sum of logarithms")
    here = sp.Eq(stage.body, read(stage.out, map(index, stage.axes)), evaluate=False)
    ties = stages.reduce("sum", Cases(here, 1, 0), map(index, stage.over))
    return Cases(here, value / ties, 0)


def guarded(term: Expr, deltas: list[tuple[Symbol, Any]]) -> Expr:
    """A term where an index is at its place, zero elsewhere: what scatters, as seen from where it goes."""
    for i, place in deltas:
        term = Cases(sp.Eq(i, place, evaluate=False), term, 0)
    return term


def slopes(stage: Stage, axes: Axes, sums: Collection[str] = ()) -> Iterator[tuple[Expr, Expr]]:
    """What a stage reads that has an adjoint, each with the derivative of the stage's body in it.

    Where a sum is zero its root has the derivative zero: that is the convention for a norm.
    """
    body, back = opened(stage.body)
    there = {**back, **{s: s for s in sorted(body.free_symbols, key=str) if str(s) in axes and s not in back}}
    for symbol, target in there.items():
        if base_of(target) in axes:
            slope = derivative(body, symbol)
            if base_of(target) in sums:
                slope = without_roots_of_zero(slope, symbol, {*bare_roots(body, symbol)})
            if slope != 0:
                yield target, slope.xreplace(back)


def is_zero(e: Expr) -> Expr:
    """The condition that an expression is zero."""
    return sp.Eq(e, 0, evaluate=False)


def is_positive(e: Any) -> bool:
    """Whether an expression is positive wherever it is a number, so that no sum of it is zero."""
    return bool(opened(e)[0].is_positive)


def bare_roots(e: Expr, symbol: Symbol) -> Iterator[Expr]:
    """The roots of a sum in an expression that are taken whether it is zero or not."""
    if isinstance(e, Cases) and e.condition == is_zero(symbol):
        return
    if isinstance(e, sp.Pow) and e.base == symbol and not e.exp.is_Integer:
        yield e
    for a in e.args:
        yield from bare_roots(a, symbol)


def without_roots_of_zero(slope: Expr, symbol: Symbol, known: Collection[Expr]) -> Expr:
    """A derivative with its roots of a sum zero where the sum is; those that are known already are left alone."""
    if isinstance(slope, Cases) and slope.condition == is_zero(symbol):
        return slope
    if isinstance(slope, sp.Pow) and slope.base == symbol and not slope.exp.is_Integer and slope not in known:
        return Cases(is_zero(symbol), 0, slope)
    if not slope.args or isinstance(slope, (sp.logic.boolalg.Boolean, sp.Indexed)):
        return slope
    return slope.func(*(without_roots_of_zero(a, symbol, known) for a in slope.args))


def times(a: Expr, b: Expr) -> Expr:
    """A product that a case of zero annihilates, and an exponential that is zero: a sum of such may be infinite."""
    if 0 in (a, b):
        return sp.S.Zero
    if isinstance(b, Cases):
        return within(b, lambda v: times(a, v))
    if isinstance(a, Cases):
        return within(a, lambda v: times(v, b))
    if isinstance(a, weighted):
        value = times(a.args[1], b)
        return a.args[0] * value if value.is_number else weighted(a.args[0], value)
    if isinstance(b, weighted):
        return within(b, lambda v: times(a, v))
    if isinstance(b, sp.exp) and not a.is_number:
        return weighted(b, a)
    return a * b


def within(e: Expr, change: Callable[[Expr], Expr]) -> Expr:
    """Cases, or a weighted value, with their values changed and the condition or the weight kept."""
    return e.func(e.args[0], *map(change, e.args[1:]))


def where_counts(e: Expr, value: Expr) -> Cases | None:
    """A value in place of the one case of an expression that is not zero, None if it has no such case.

    So what a condition leaves out stays out, whatever is computed of it: an ignored sample may hold anything.
    """
    if isinstance(e, Cases) and (e.then == 0) != (e.otherwise == 0):
        return Cases(e.condition, *((0, value) if e.then == 0 else (value, 0)))
    return None


def plus(a: Expr, b: Expr) -> Expr:
    """A sum; of what the same condition leaves out, under that condition."""
    if isinstance(a, Cases) and isinstance(b, Cases) and a.condition == b.condition:
        then, otherwise = a.then + b.then, a.otherwise + b.otherwise
        if 0 in (then, otherwise):
            return Cases(a.condition, then, otherwise)
    return a + b


def unread(program: Program, name: str) -> bool:
    """Whether no stage reads an array."""
    return not any(name in {base_of(r) for r in reads(s.body)} for s in program.stages)
