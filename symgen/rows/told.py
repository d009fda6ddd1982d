"""The one entry of a row that a condition tells from the others, as a stage of its own: loops have no case left then.

A gradient of a class is one formula, and at the target it is another. Asked at every entry, the difference of the two
has to be computed at every entry; written over the one entry afterwards, it costs nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import sympy as sp
from sympy import Expr

from symgen.heads import Cases
from symgen.program import Program, Stage
from symgen.rows.indices import base_of, index, loops, parts, read, replaced
from symgen.rows.lower import verify

TOLD = "told_"  # what the stage of an entry is called: this, and the name of the result


def told_apart(program: Program, summed: bool = False) -> Program:
    """The program with a stage for each entry of a result that a gathered position tells from the others.

    Args:
        program: what to rewrite; only results along one axis of operands are.
        summed: whether a result may be a sum over rows: what was added to it cannot be written over, so all other
            entries have to be zero.
    """
    made: list[Stage] = []
    for stage in program.stages:
        found = tuple(_told(stage)) if stage.out in program.results else (stage,)
        made += (stage,) if summed and found[0].body != 0 else found
    entries = (s.out for s in made if s.entry is not None)
    return verify(Program(program.name, program.inputs, tuple(made), (*program.results, *entries)))


def _told(stage: Stage) -> Iterator[Stage]:
    here = index(*stage.axes) if stage.op == "=" and len(stage.axes) == 1 else None
    places = {p for e in parts(stage.body) if (p := _compared(e, here)) is not None}
    if here is None or len(places) != 1 or loops(*places):
        yield stage
        return
    (place,) = places
    yield replace(stage, body=_decided(stage.body, here, place, truth=False))
    there = replaced(_decided(stage.body, here, place, truth=True), {here: place})
    yield Stage(f"{TOLD}{stage.out}", "=", (), (), there, read(stage.out, (place,)))


def _compared(e: Any, here: Expr | None) -> Expr | None:
    """The position that an expression compares an index with, if it is one that is gathered."""
    if not isinstance(e, sp.Eq | sp.Ne) or here not in e.args:
        return None
    place = e.rhs if e.lhs == here else e.lhs
    return None if place.is_number else place


def _decided(e: Any, here: Expr, place: Expr, truth: bool) -> Any:
    """An expression where the index is at the place, or where it is not."""
    known: dict[Any, Any] = {}

    def walk(part: Any) -> Any:
        if part not in known:
            known[part] = decide(part)
        return known[part]

    def decide(part: Any) -> Any:
        if _compared(part, here) == place:
            return sp.sympify(truth == isinstance(part, sp.Eq))
        if isinstance(part, Cases) and (condition := walk(part.condition)) in (sp.true, sp.false):
            return walk(part.then if condition == sp.true else part.otherwise)
        args = tuple(map(walk, part.args))
        return part if args == part.args else part.func(*args)

    return walk(e)


def entry_of(stage: Stage) -> str:
    """The result that a stage is one entry of, empty if it is none."""
    return base_of(stage.entry) if stage.entry is not None else ""
