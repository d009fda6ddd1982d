"""Forward mode over Stages: how a value changes when one operand moves along a direction.

Its gradient by reverse mode is the second derivative times that direction, and no calculus of second order is needed.
"""

from __future__ import annotations

from dataclasses import replace

import sympy as sp
from sympy import Expr

from symgen.heads import Cases, weighted
from symgen.program import Program, Stage
from symgen.rows.adjoint import shared_by_ties, slopes, times, within
from symgen.rows.indices import base_of, places, read
from symgen.rows.lower import Stages

DIRECTION = "direction"


def pushforward(program: Program, name: str, direction: str = DIRECTION) -> Program:
    """The derivative of the value along a direction, as the program's last stage.

    Args:
        program: one whose last stage is the value.
        name: the operand that moves.
        direction: what the array of its rates is called, which has the operand's axes.

    Returns:
        The stages of the program and of what each adds to the derivative; zero where nothing depends on the operand.

    Raises:
        ProgramError: a reduction without a derivative here.
    """
    stages, rates = Stages(list(program.stages)), {name: direction}
    for stage in program.stages:
        moving = slopes(stage, dict.fromkeys(rates, ()), {s.out for s in stages.made if s.op == "sum"})
        body = sp.Add(*(along(read(rates[base_of(what)], places(what)), slope) for what, slope in moving))
        if body == 0:
            continue
        op = stage.op
        if op not in ("=", "sum"):
            op, body = "sum", shared_by_ties(stages, stage, body)
        rates[stage.out] = f"{stage.out}_rate"
        stages.made.append(Stage(rates[stage.out], op, stage.axes, stage.over, body))
    out = program.stages[-1]
    if out.out not in rates:
        stages.let(f"{out.out}_rate", out.axes, sp.S.Zero)
    return replace(program, stages=tuple(stages.made), results=(f"{out.out}_rate",))


def along(rate: Expr, slope: Expr) -> Expr:
    """A slope times a rate: a weight of zero annihilates both, whatever the rate is."""
    if isinstance(slope, Cases):
        return within(slope, lambda v: along(rate, v))
    numbers, terms = zip(*(t.as_coeff_Mul() for t in sp.Add.make_args(slope)), strict=True)
    if all(isinstance(t, weighted) for t in terms):
        return sp.Add(*(n * times(rate, t) for n, t in zip(numbers, terms, strict=True)))
    return times(rate, slope)
