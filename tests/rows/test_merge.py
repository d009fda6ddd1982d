"""Reductions of a row from those of its parts: the factor is derived, the laws are proved, and wrong ones are not."""

from __future__ import annotations

import itertools
from dataclasses import replace
from functools import cache
from typing import Any

import mpmath
import numpy as np
import pytest
import sympy as sp

from symgen.program import Program
from symgen.rows.derive import RowOutput, derive
from symgen.rows.lower import needed
from symgen.rows.merge import Merged, _whole, holds, merged
from tests.rows.hard import OPS
from tests.rows.interpret import interpret


@cache
def value(name: str) -> RowOutput:
    return derive(OPS[name], only="value").variants[0].output("value")


def found(name: str) -> tuple[Merged, ...]:
    return merged(value(name).stable, value(name).families)


def axis(program: Program) -> str:
    return next(s for s in program.stages if s.over).over[0].partition(".")[0]


def test_softmax_in_one_pass() -> None:
    """The sum of exponentials of a part is multiplied by what its peak lacks to the row's."""
    (one,) = found("softmax")
    assert str(one) == "s0 of parts = sum of s0_part*exp(-m0 + m0_part), with m0 = max of m0_part"


def test_a_norm_in_one_pass() -> None:
    """Squares are of degree two in the scale, which is a reciprocal: the row's is the smallest."""
    first, second = found("cosine_similarity")
    assert str(first) == "s0 of parts = sum of m0**2*s0_part/m0_part**2, with m0 = min of m0_part"
    assert (second.stage, second.parameter) == ("s1", "m1")


@pytest.mark.parametrize("name", ["logsumexp", "softmax", "cosine_similarity", "rms_norm"])
@pytest.mark.parametrize("cuts", [(0, 3, 8), (0, 1, 5, 8), (0, 7, 8)])
def test_the_whole_is_what_its_parts_make(name: str, cuts: tuple[int, ...]) -> None:
    """In 60 digits, of rows with a dominant entry and tiny ones, however they are cut."""
    row = np.array([3.0, -700.0, 1e-3, 50.0, 49.5, -2.0, 0.25, 1e-30])
    assert found(name)
    for one in found(name):
        parts = [state(name, one, row[i:j]) for i, j in itertools.pairwise(cuts)]
        whole = state(name, one, row)
        factor = sp.lambdify((one.before, one.after), one.factor, "mpmath")
        with mpmath.workdps(60):
            total = mpmath.fsum(s * factor(m, whole[0]) for m, s in reversed(parts))
            assert mpmath.almosteq(total, whole[1], mpmath.mpf(10) ** -50)


def state(name: str, one: Merged, row: Any) -> tuple[Any, Any]:
    """The parameter and the sum of a part."""
    program = needed(replace(value(name).stable, results=(one.parameter, one.stage)))
    arrays = {s.name: {(i,): mpmath.mpf(float(v)) for i, v in enumerate(row)} for s in program.inputs}
    arrays |= {s.name: {(i,): mpmath.mpf(1) for i in range(len(row))} for s in program.inputs if s.name == "where"}
    with mpmath.workdps(60):
        got = interpret(program, arrays, {axis(program): len(row)})
    return got[one.parameter][()], got[one.stage][()]


@pytest.mark.parametrize("wrong", [
    lambda before, after: sp.exp(after - before),
    lambda before, after: 2 * sp.exp(before - after),
    lambda before, after: sp.exp(before - after) * (1 + before - after),
    lambda before, after: sp.S.One,
])  # fmt: skip
def test_a_factor_that_is_not_the_right_one_is_refuted(wrong: Any) -> None:
    (one,) = found("logsumexp")
    made = {s.out: s for s in value("logsumexp").stable.stages}
    body = _whole(made["s0"], made, "m0")
    assert body is not None
    assert holds(one, body)
    assert not holds(replace(one, factor=wrong(one.before, one.after)), body)


def test_a_sum_that_waits_for_another_is_none() -> None:
    """What reads a sum of the whole row cannot be made of parts in the same pass."""
    output = derive(OPS["log_softmax"], only="vjp").variants[0].output("vjp")
    names = {m.stage for m in merged(output.stable, output.families)}
    waiting = {s.out for s in output.stable.stages if s.op == "sum"} - names
    assert names == {"s0"}
    assert all(not any(r in str(s.body) for r in waiting) for s in output.stable.stages if s.out in names)
