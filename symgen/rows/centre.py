"""Another parameter whose derivative vanishes: what is taken off an array that a program only compares with its mean.

The gradient of a softmax is ``p_c (g_c - sum(p_k g_k))``: where one entry has nearly all the weight, two numbers cancel
that agree in all their digits. Any number may be taken off every g; taking off the mean, rounded to one float64 so that
the differences are exact, leaves nothing to cancel. That no result changes is proved by the derivative in the number.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import sympy as sp
from sympy import Expr, Indexed, Symbol

from symgen.calculus import derivative
from symgen.heads import Cases, nearest
from symgen.program import Program, Stage
from symgen.rows.free import branches, is_zero
from symgen.rows.indices import axis_of, base_of, free_symbols, index, opened, places, read, reads, replaced, size
from symgen.rows.lower import Stages, verify


@dataclass(frozen=True)
class Mean:
    """``sum(w_k a_k)`` in a stage, at its running index.

    Attributes:
        stage: the sum that holds it.
        array: what is averaged, as it is read.
        weight: what it is weighted with, of which factors that do not depend on k are left out.
    """

    stage: Stage
    array: Indexed
    weight: Expr


def centred(program: Program) -> Program:
    """The program with the mean taken off every array of which only differences from it count; else as it is."""
    arrays = {s.name for s in program.inputs}
    for stage in program.stages:
        for mean in _means(stage, arrays):
            found = None if mean.weight.is_number else _without(program, mean)
            if found is not None:
                arrays.discard(base_of(mean.array))
                program = found
                break
    return program


def piloted(program: Program) -> Program:
    """The program with its first entry taken off every array of which only differences from the plain mean count.

    Sums of such differences are no larger than what the row varies by, times the root of its length, so that plain
    arithmetic loses no more of a row that lies far from zero than of one beside it.
    """
    arrays = {s.name for s in program.inputs}
    for mean in [m for s in program.stages for m in _means(s, arrays) if m.weight.is_number]:
        name = base_of(mean.array)
        if name not in arrays:
            continue
        arrays.discard(name)
        centre = _centre(program)
        first = Stage(str(centre), "=", (), (), nearest(read(name, [sp.S.Zero])))
        later = tuple(replace(s, body=_less(s.body, name, centre)) for s in program.stages)
        if Slopes(centre).vanish(Program(program.name, program.inputs, (first, *later), program.results)):
            axis = axis_of(mean.stage.over[0])
            own = f"{centre}_off"
            off = Stage(own, "=", (axis,), (), read(name, [index(axis)]) - centre)
            later = tuple(replace(s, body=_instead(s.body, name, own)) for s in program.stages)
            program = verify(Program(program.name, program.inputs, (first, off, *later), program.results))
    return program


def _instead(body: Expr, name: str, own: str) -> Expr:
    return replaced(body, {r: read(own, places(r)) for r in free_symbols(body) if base_of(r) == name})


def _means(stage: Stage, arrays: set[str]) -> Iterator[Mean]:
    """The means of operands that a sum over one index is proportional to."""
    if stage.op != "sum" or stage.axes or len(stage.over) != 1:
        return
    k = index(stage.over[0])
    body, back = opened(stage.body)
    for symbol, array in back.items():
        if base_of(array) not in arrays or array.indices != (k,):
            continue
        slope = derivative(body, symbol)
        if slope.has(symbol) or not _zero(body.xreplace({symbol: sp.S.Zero})):
            continue
        _, weight = _apart(slope.xreplace(back), {k})
        yield Mean(stage, array, weight)


def _without(program: Program, mean: Mean) -> Program | None:
    """The program with a mean taken off its array, None if that changes a result."""
    name, centre, (k,) = base_of(mean.array), _centre(program), map(index, mean.stage.over)
    at = next(i for i, s in enumerate(program.stages) if name in map(base_of, reads(s.body)))
    if {s.out for s in program.stages[at:]} & set(map(base_of, reads(mean.weight))):
        return None
    known = {(s.op, s.axes, s.over, s.body): s.out for s in program.stages[:at] if s.over}  # not what comes later
    made = Stages(list(program.stages), known)
    total, weights = (made.reduce("sum", e, [k]) for e in (mean.weight * mean.array, mean.weight))
    extra = made.made[len(program.stages):]
    extra.append(Stage(str(centre), "=", (), (), nearest(total / weights)))
    later = [replace(s, body=_less(s.body, name, centre)) for s in program.stages[at:]]
    found = Program(program.name, program.inputs, (*program.stages[:at], *extra, *later), program.results)
    return verify(found) if Slopes(centre).vanish(found) else None


def _centre(program: Program) -> Symbol:
    return Symbol(f"c{sum(s.out.startswith('c') for s in program.stages)}", real=True)


def _less(body: Expr, name: str, centre: Symbol) -> Expr:
    return body.xreplace({r: r - centre for r in reads(body) if base_of(r) == name})


JUMPS = (sp.core.relational.Relational, sp.sign, sp.floor, sp.ceiling, nearest)


@dataclass
class Slopes:
    """The derivatives of stages in one number; a sum that no stage computes is a number that nothing is known of.

    Args:
        parameter: the number; the stage that computes it is taken as free.
    """

    parameter: Symbol
    found: dict[str, Expr] = field(default_factory=dict)

    def vanish(self, program: Program) -> bool:
        """Whether no result changes with the number."""
        sums: dict[Any, Expr] = {}
        meaning: dict[Expr, Expr] = {}
        for stage in program.stages:
            if stage.op == "sum":
                outside, inside = _apart(stage.body, set(map(index, stage.over)))
                own = read(stage.out, map(index, stage.axes))
                meaning[own] = outside * _sum_of(stage, inside, sums)
        for stage in program.stages:
            slope = sp.S.One if stage.out == str(self.parameter) else self.of(stage)
            total = None if slope is None else self.total(slope, stage, sums)
            if total is None:
                return False
            if stage.out in program.results:
                for own, value in reversed(meaning.items()):
                    total = total.xreplace({own: value})
                if not _zero(total):
                    return False
            self.found[stage.out] = total
        return True

    def of(self, stage: Stage) -> Expr | None:
        """The derivative of a stage's body; None where a jump depends on the number: no derivative tells of it."""
        body, back = opened(stage.body)
        targets = {**back, **{s: s for s in body.free_symbols if s not in back}}
        moving = {s for s, t in targets.items() if self.found.get(base_of(t), sp.S.Zero) != 0 or t == self.parameter}
        if any(jump.free_symbols & moving for jump in body.atoms(*JUMPS)):
            return None
        terms = [derivative(body, self.parameter)]
        terms += [derivative(body, s) * self.found[base_of(targets[s])] for s in moving if targets[s] != self.parameter]
        return sp.Add(*terms).xreplace(back)

    def total(self, slope: Expr, stage: Stage, sums: dict[Any, Expr]) -> Expr | None:
        """The derivative of the stage, None where it is neither an entry nor a sum."""
        if slope == 0 or stage.op == "=":
            return slope
        if stage.op != "sum":
            return None
        bound, terms = set(map(index, stage.over)), []
        for term in sp.Add.make_args(sp.expand(slope)):
            outside, inside = _apart(term, bound)
            if inside == 1:
                terms.append(outside * sp.Mul(*map(size, stage.over)))
                continue
            terms.append(outside * _sum_of(stage, inside, sums))
        return sp.Add(*terms)


def _sum_of(stage: Stage, inside: Expr, sums: dict[Any, Expr]) -> Expr:
    """The sum of something over what a stage sums over: a number that nothing else is known of, the same each time."""
    return sums.setdefault((stage.axes, stage.over, inside), read(f"?{len(sums)}", map(index, stage.axes)))


def _apart(term: Expr, bound: set[Symbol]) -> tuple[Expr, Expr]:
    """A term as a product of what does not depend on an index and what does; a case or zero has factors, too."""
    outside, inside = [], []
    for factor in sp.Mul.make_args(term):
        if not factor.free_symbols & bound:
            outside.append(factor)
        elif isinstance(factor, Cases) and factor.otherwise == 0:
            apart, kept = _apart(factor.then, bound)
            outside.append(apart)
            inside.append(Cases(factor.condition, kept, sp.S.Zero))
        else:
            inside.append(factor)
    return sp.Mul(*outside), sp.Mul(*inside)


def _zero(slope: Expr) -> bool:
    body, _ = opened(slope)
    return all(is_zero(s) for s, _ in branches(body, body))
