"""Definitions over axes as stages: reductions are named, equal ones are one, and what a stage reads is checked."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import sympy as sp

from symgen.program import Program, ProgramError, Stage
from symgen.rows.indices import index, read
from symgen.rows.lower import is_row_function, lower, needed, verify
from symgen.spec import LANGUAGE, Op, load

HEADER = f"from symgen.spec import {', '.join(sorted(LANGUAGE))}\n"
AXES = 'B = Axis("B", at=0); C = Axis("C"); D = Axis("D", at=1); K = Axis("K", at=1)\n'


def spec(folder: Path, signature: str, body: str, decorator: str = "@activation()") -> Op:
    lines = "".join(f"    {line}\n" for line in body.splitlines())
    path = folder / "f.py"
    text = f'{HEADER}{AXES}{decorator}\ndef f({signature}):\n    """Something."""\n{lines}\n'
    path.write_text(text, encoding="utf-8")
    return load(path)["f"]


def program(op: Op) -> Program:
    return lower(op, op.variants[0].value)


def test_what_a_deeper_loop_would_compute_again_is_a_table(tmp_path: Path) -> None:
    """Entries over their row's length, of which all pairs are multiplied; not where the loop has no more turns."""
    unit = "s = sum(abs(x), D)\nu = 0 if s == 0 else x / s\n"
    body = "return sum(sum(sum(u[i] * u[j], D) for j in B) for i in B)"
    pairs = program(spec(tmp_path, "x: Tensor[B, D]", unit + body))
    assert str(pairs.stages[1]) == "s1[B, D] = (0 if Eq(s0[B], 0) else x[B, D]/s0[B])"
    assert str(pairs.stages[2]) == "s2 = sum over D.1, B.1, B.2 of s1[B.1, D.1]*s1[B.2, D.1]"
    alone = program(spec(tmp_path, "x: Tensor[B, D]", unit + "return sum(sum(u * u, D), B)"))
    assert [s.op for s in alone.stages] == ["sum", "sum", "="]


def test_equal_reductions_are_one_stage(tmp_path: Path) -> None:
    """A mean that is taken at two depths of nesting is computed once."""
    op = spec(tmp_path, "x: Tensor[C]", "d = x - mean(x, C)\nreturn d / sqrt(mean(d**2, C))")
    assert str(program(op)) == (
        "s0 = sum over C.1 of x[C.1]\n"
        "s1 = sum over C.1 of (-s0/|C| + x[C.1])**2\n"
        "out[C] = sqrt(|C|)*(-s0/|C| + x[C])/sqrt(s1)"
    )


def test_gather_and_condition_stay_in_the_body(tmp_path: Path) -> None:
    """A picked entry is a read at the target, and what is left out of a sum is a case of zero."""
    body = "return sum(max(0, 1 - x[t] + x[k]) for k in K if k != t)"
    op = spec(tmp_path, "x: Tensor[K], t: Index[K]", body, "@loss()")
    assert str(program(op)) == (
        "s0 = sum over K.1 of (first_max(0, x[K.1] - x[t] + 1) if Ne(K.1, t) else 0)\nout = s0"
    )


def test_extremes_and_products_are_reductions(tmp_path: Path) -> None:
    """Largest, smallest and product are stages with operations of their own."""
    op = spec(tmp_path, "x: Tensor[C]", "return amax(x, C) - amin(x, C) + prod(x, C)", "@loss()")
    assert sorted(s.op for s in program(op).stages) == ["=", "max", "min", "prod"]


@pytest.mark.parametrize(("body", "rows"), [("x / sum(x, C)", True), ("exp(x)", False), ("x * 2", False)])
def test_what_needs_rows(tmp_path: Path, body: str, rows: bool) -> None:
    """A formula over an axis that neither reduces nor picks is elementwise."""
    assert is_row_function(spec(tmp_path, "x: Tensor[C]", f"return {body}")) is rows


def test_a_stage_that_reads_what_is_not_there_is_refused() -> None:
    """Unknown names, indices that are not bound and indices bound twice are bugs that name the stage."""
    x, y = read("x", [index("C")]), read("y", [index("C")])
    good = Program("f", (sp.Symbol("x"),), (Stage("out", "=", ("C",), (), x),), ("out",))
    verify(good)
    for broken, what in [
        (Stage("out", "=", ("C",), (), y), "reads y"),
        (Stage("out", "=", (), (), x), "does not bind"),
        (Stage("out", "sum", ("C",), ("C",), x), "binds an index twice"),
        (Stage("other", "=", ("C",), (), x), "nothing computes out"),
    ]:
        with pytest.raises(ProgramError, match=what):
            verify(replace(good, stages=(broken,)))


def test_unread_stages_are_dropped() -> None:
    """What no result needs is not computed."""
    x = read("x", [index("C")])
    stages = (Stage("idle", "=", ("C",), (), x + 1), Stage("out", "=", ("C",), (), x))
    assert [s.out for s in needed(Program("f", (sp.Symbol("x"),), stages, ("out",))).stages] == ["out"]
