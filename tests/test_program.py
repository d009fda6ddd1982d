"""Programs: every catalogue function is one verified stage, and what is not elementwise is refused with its place."""

from __future__ import annotations

from pathlib import Path

import pytest
import sympy as sp

from symgen import catalogue
from symgen.program import OPERATIONS, Program, ProgramError, Stage, lower, verify
from symgen.rows.lower import is_row_function
from symgen.spec import load

OPS = {name: op for name, op in load(catalogue.folder()).items() if not is_row_function(op)}
x, s = sp.Symbol("x", real=True), sp.Symbol("s", real=True)


@pytest.mark.parametrize("name", OPS)
def test_an_elementwise_definition_is_one_stage(name: str) -> None:
    """The stage's body is the variant's value as written, and its inputs are the symbols in it, by name."""
    op = OPS[name]
    for variant in op.variants:
        program = lower(op, variant)
        (stage,) = program.stages
        assert (stage.op, stage.over, stage.body) == ("=", (), variant.value)
        assert set(program.inputs) == variant.value.free_symbols
        assert [i.name for i in program.inputs] == sorted(i.name for i in program.inputs)
        assert verify(program) is program


def test_a_program_prints_one_stage_a_line() -> None:
    """Names, axes and reductions can be read."""
    stages = (Stage("s", "sum", ("n",), ("c",), x**2), Stage("out", "=", ("n", "c"), (), x / s))
    assert str(Program("norm", (x,), stages)) == "s[n] = sum over c of x**2\nout[n, c] = x/s"
    assert str(Stage("out", "=", (), (), x)) == "out = x"


def test_a_stage_may_read_what_earlier_stages_define() -> None:
    """Order matters: the same two stages the other way round are refused."""
    total, scaled = Stage("s", "sum", (), ("c",), x), Stage("out", "=", ("c",), (), x / s)
    program = Program("f", (x,), (total, scaled))
    assert verify(program) is program
    with pytest.raises(ProgramError, match="f: stage out reads s, which nothing defines"):
        verify(Program("f", (x,), (scaled, total)))


@pytest.mark.parametrize("operation", ["mean", "", "SUM"])
def test_an_unknown_operation_is_refused(operation: str) -> None:
    """Only the operations of the stage language pass."""
    assert operation not in OPERATIONS
    with pytest.raises(ProgramError, match=f"f: stage out has the unknown operation '{operation}'"):
        verify(Program("f", (x,), (Stage("out", operation, (), (), x),)))


def test_a_sum_over_an_axis_is_refused_with_file_and_line(tmp_path: Path) -> None:
    """A row function loads, but has no elementwise kernel: the error says where and why."""
    text = '''from symgen.spec import Axis, Tensor, activation, exp

C = Axis("C")


@activation()
def shares(x: Tensor[C]):
    """Exponentials as shares of their sum."""
    return exp(x) / sum(exp(x), C)
'''
    (tmp_path / "shares.py").write_text(text, encoding="utf-8")
    op = load(tmp_path / "shares.py")["shares"]
    with pytest.raises(ProgramError, match=r"shares\.py:\d+: shares: the formula sums over an axis"):
        lower(op, op.variants[0])
