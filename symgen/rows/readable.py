"""Stages as a reader has them: a sum stands where it is used once, a choice that may be nothing is a factor or a range.

Nothing here is evaluated; a card shows what comes out, the kernels keep the stages as they were.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import sympy as sp
from sympy import Expr, Indexed, Symbol
from sympy.logic.boolalg import to_nnf

from symgen.backends.latex_heads import iverson, reduction
from symgen.heads import Cases, weighted
from symgen.program import Program, Stage
from symgen.rows.indices import axis_of, base_of, index, is_index, loops, parts, places, replaced

NOTHING = {"sum": sp.S.Zero, "max": sp.S.NegativeInfinity, "peak": sp.S.NegativeInfinity, "min": sp.S.Infinity}


def readable(program: Program, fits: Callable[[Stage], bool]) -> tuple[Stage, ...]:
    """What is wanted first, then the stages that it names and that could not be put in their place.

    Args:
        program: stages in the order in which they are computed.
        fits: whether a formula is still short enough to be read.
    """
    wanted = program.results or (program.stages[-1].out,)
    used = Counter(base_of(r) for s in program.stages for r in _occurrences(s.body))
    kept: list[Stage] = []
    inside: dict[str, Stage] = {}
    for stage in program.stages:
        full = plain(stage)
        for name in dict.fromkeys(base_of(r) for r in _occurrences(full.body)):
            if name in inside:
                inner = inside.pop(name)
                opened = _put(full, inner)
                full, kept = (opened, kept) if fits(opened) else (full, [*kept, inner])
        if stage.out in wanted or used[stage.out] != 1:
            kept.append(full)
        else:
            inside[stage.out] = full
    return (*(s for s in kept if s.out in wanted), *(s for s in kept if s.out not in wanted))


def plain(stage: Stage) -> Stage:
    """One stage with what is chosen or left out as factors; cases stay where they are the whole formula."""
    return replace(stage, body=_whole(stage.body))


def restricted(stage: Stage) -> tuple[Any, Expr]:
    """Over what a reduction runs, as a condition, and the body; what is left out does not change the result."""
    body = stage.body
    if isinstance(body, Cases) and body.otherwise == NOTHING.get(stage.op):
        return body.condition, body.then
    conditions = [f.args[0] for f in sp.Mul.make_args(body) if isinstance(f, iverson)]
    if stage.op != "sum" or not conditions:
        return sp.true, body
    return sp.And(*conditions), sp.Mul(*(f for f in sp.Mul.make_args(body) if not isinstance(f, iverson)))


def _whole(e: Any) -> Any:
    if not isinstance(e, Cases):
        return _factored(e)
    return Cases(e.condition, _factored(e.then), _whole(e.otherwise))


def _factored(part: Any) -> Any:
    """Cases with nothing on one side are a factor that is one or zero."""
    if not part.args or isinstance(part, Indexed):
        return part
    args = tuple(map(_factored, part.args))
    if isinstance(part, weighted):
        return args[0] * args[1]
    if isinstance(part, Cases):
        condition, then, otherwise = args
        if otherwise == 0:
            return iverson(condition) * then
        return iverson(_opposite(condition)) * otherwise if then == 0 else Cases(condition, then, otherwise)
    return part if args == part.args else part.func(*args)


def _opposite(condition: Any) -> Any:
    """The negation, said of the parts: a != 0 and b != 0."""
    return to_nnf(sp.Not(condition), simplify=False)


def _put(stage: Stage, inner: Stage) -> Stage:
    """A stage with another one in place of what it reads of it."""
    there = {r: _at(inner, r, stage) for r in _occurrences(stage.body) if base_of(r) == inner.out}
    return replace(stage, body=replaced(stage.body, there))


def _at(inner: Stage, place: Expr, outer: Stage) -> Expr:
    """What a stage comes to at a place; its running indices are told apart from those around it."""
    taken = {s.name for e in (outer.body, *places(place)) for s in loops(e)} | {*outer.axes, *outer.over}
    moved: dict[Expr, Expr] = dict(zip(map(index, inner.axes), places(place), strict=True))
    running = [i for e in _reductions(inner.body) for i in e.args[3:]] + [index(i) for i in inner.over]
    for i in dict.fromkeys(running):
        depth = 1
        while (name := f"{axis_of(i.name)}.{depth}") in taken:
            depth += 1
        taken.add(name)
        moved[i] = index(name)
    if inner.op == "=":
        return replaced(inner.body, moved)
    condition, body = (replaced(e, moved) for e in restricted(inner))
    return reduction.of(inner.op, tuple(moved[index(i)] for i in inner.over), body, condition)


def _reductions(e: Any) -> list[Any]:
    return [part for part in parts(e) if isinstance(part, reduction)]


def _occurrences(e: Any) -> Iterator[Expr]:
    """Every read, as often as it is written."""
    pending = [e]
    while pending:
        part = pending.pop()
        if isinstance(part, Indexed) or (isinstance(part, Symbol) and not is_index(part)):
            yield part
            pending += part.indices if isinstance(part, Indexed) else ()
        else:
            pending += part.args
