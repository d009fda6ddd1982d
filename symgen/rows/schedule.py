"""Each stage as one scalar core in pair arithmetic, and what it is called with at each place of a row.

Every number that a stage passes on is a pair: its float64 and what that is missing. So a loss that is the logarithm of
one and a little, or a gradient that is a probability less one, keeps all its bits, and sums do not lose any.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import sympy as sp
from sympy import Expr, Indexed

from symgen.arithmetic import COMPENSATED, ZERO, Pair
from symgen.kernel import Node, ScalarFunction, node, select, var, verify
from symgen.lowering import lower
from symgen.program import Program, Stage
from symgen.rows.indices import base_of, is_index, opened, places

LOW = "_l"  # what is missing goes by the name of the number and this


@dataclass(frozen=True)
class Step:
    """A stage with its code.

    Attributes:
        stage: what is computed.
        core: the number, or with a second result its missing part where later stages read it.
        reads: what the core's parameters stand for, in their order; a stage's read takes two parameters.
    """

    stage: Stage
    core: ScalarFunction
    reads: tuple[Expr, ...]


@dataclass(frozen=True)
class Schedule:
    """A program ready to print."""

    name: str
    program: Program
    steps: tuple[Step, ...]


def schedule(name: str, program: Program) -> Schedule:
    """The code of every stage of a program.

    Raises:
        LoweringError: a body holds what no backend has code for.
    """
    made = {s.out for s in program.stages}
    return Schedule(name, program, tuple(_step(s, made, s.out in program.results) for s in program.stages))


def _step(stage: Stage, made: Collection[str], result: bool) -> Step:
    body, back = opened(stage.body)
    taken = {s: back.get(s, s) for s in sorted(body.free_symbols, key=lambda s: sp.default_sort_key(back.get(s, s)))}
    bound, parameters = {}, []
    for symbol, what in taken.items():
        name = parameter(what)
        passed_on = base_of(what) in made
        bound[symbol] = Pair(var(name), var(name + LOW) if passed_on else None)
        parameters += [name, name + LOW] if passed_on else [name]
    pair = lower(body, bound, COMPENSATED)
    if result:
        results: tuple[Node, ...] = (COMPENSATED.rounded(pair),)
    else:
        pair = COMPENSATED.normal(pair)
        known = pair.low or ZERO
        # what is missing of an infinity is no number, and would take the whole row's with it
        results = (pair.high, select(node("eq", pair.high - pair.high, ZERO), known, ZERO))
    core = verify(ScalarFunction(stage.out, tuple(parameters), results))
    return Step(stage, core, tuple(taken.values()))


def parameter(e: Expr) -> str:
    """What a core calls something that it takes."""
    if is_index(e):
        return f"i_{e.name.replace('.', '')}"
    if isinstance(e, Indexed):
        return "_".join([str(e.base), *(_place(i) for i in places(e))])
    return f"n_{str(e).strip('|')}" if str(e).startswith("|") else str(e)


def _place(e: Expr) -> str:
    if is_index(e):
        return str(e.name).replace(".", "")
    return str(e) if e.is_Integer else parameter(e)
