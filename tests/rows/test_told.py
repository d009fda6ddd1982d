"""The entry of a row that a condition tells from the others: a stage of its own, written over that entry alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import sympy as sp

from symgen import generated
from symgen.arithmetic import PLAIN
from symgen.heads import Cases, weighted
from symgen.program import Program, Stage
from symgen.rows.derive import derive
from symgen.rows.doubt import doubtful, doubts
from symgen.rows.indices import index, read
from symgen.rows.precision import Facts
from symgen.rows.schedule import Schedule, _schedule
from symgen.rows.simulate import run
from symgen.rows.told import entry_of, told_apart
from tests.rows.hard import OPS

K, K1 = index("K"), index("K.1")
T, G = sp.Symbol("target", real=True), sp.Symbol("g", real=True)
X = read("x", [K])
AT = sp.Eq(K, T, evaluate=False)


def program(body: sp.Expr, *before: Stage) -> Program:
    return Program("test", (G, T, sp.Symbol("x")), (*before, Stage("dx", "=", ("K",), (), body)), ("dx",))


def texts(found: Program) -> list[str]:
    return [str(s) for s in found.stages]


def test_a_case_at_a_gathered_position_becomes_a_stage() -> None:
    """What all entries are is left of the result, and the number at the position is a result, too."""
    found = told_apart(program(G * (Cases(AT, -1, 0) + X)))
    assert texts(found) == ["dx[K] = g*x[K]", "dx[target] = g*(x[target] - 1)"]
    assert found.results == ("dx", "told_dx")
    assert [entry_of(s) for s in found.stages] == ["", "dx"]


def test_unequal_is_the_other_way_round() -> None:
    found = told_apart(program(Cases(sp.Ne(K, T, evaluate=False), X, G)))
    assert texts(found) == ["dx[K] = x[K]", "dx[target] = g"]


def test_one_condition_of_several_is_decided() -> None:
    """What else a case asks stays in it."""
    found = told_apart(program(Cases(sp.And(AT, G > 0), 1, X)))
    assert texts(found) == ["dx[K] = x[K]", "dx[target] = (1 if g > 0 else x[target])"]


def test_what_is_not_one_entry_stays() -> None:
    """Two positions, a number, sums and numbers of other stages are left as they are."""
    other = sp.Eq(K, sp.Symbol("second", real=True), evaluate=False)
    two = program(Cases(AT, 1, Cases(other, 2, X)))
    two = Program("test", (*two.inputs, sp.Symbol("second")), two.stages, two.results)
    number = program(Cases(sp.Eq(K, 0, evaluate=False), 1, X))
    inner = Stage("s0", "sum", (), ("K.1",), Cases(sp.Eq(K1, T, evaluate=False), 0, read("x", [K1])))
    sums = program(read("s0") * X, inner)
    for same in (two, number, sums):
        assert told_apart(same) == same


def test_a_sum_over_rows_is_only_added_to() -> None:
    """What is summed over rows has an entry of its own only where nothing is added to the others."""
    whole = program(Cases(AT, G, X))
    assert told_apart(whole, summed=True) == whole
    assert texts(told_apart(program(Cases(AT, G, 0)), summed=True)) == ["dx[K] = 0", "dx[target] = g"]


def schedule(made: Program) -> Schedule:
    return _schedule("test", (made, ()), "f32", PLAIN, Facts())


def test_a_position_that_no_row_has_is_not_written() -> None:
    """The ignored index is no place of the row, whatever the formula would give there."""
    made = program(Cases(AT, G, 2 * X))
    arrays = {"g": np.full(3, 7.0), "target": np.array([1, -100, 3]), "x": np.arange(9.0).reshape(3, 3)}
    got = run(schedule(told_apart(made)), arrays, {"K": 3})
    assert got["dx"].tolist() == [[0.0, 7.0, 4.0], [6.0, 8.0, 10.0], [12.0, 14.0, 16.0]]
    assert set(got) == {"dx"}
    assert np.array_equal(got["dx"], run(schedule(made), arrays, {"K": 3})["dx"])


def test_a_number_that_is_wrong_about_a_whole_row_is_asked_for_once() -> None:
    """All entries of a product are as wrong as its one inexact factor."""
    total = Stage("s0", "sum", (), ("K.1",), read("x", [K1]))
    found = doubtful(program(G * Cases(T > 0, weighted(read("s0"), X), 0), total))
    assert found is not None
    assert doubts(found) == ("doubt_s0",)
    assert str(found.stages[-2]) == "dx[K] = g*(weighted(s0, x[K]) if target > 0 else 0)"


def test_where_two_are_wrong_each_entry_is_asked() -> None:
    total = Stage("s0", "sum", (), ("K.1",), read("x", [K1]))
    found = doubtful(program(read("s0") * X + read("s0"), total))
    assert found is not None
    assert doubts(found) == ("doubt_dx",)


def test_losses_of_a_class_have_no_case_in_their_loops() -> None:
    """Their float32 gradients write the target's entry apart; a kernel is in doubt about numbers only."""
    for name in ("cross_entropy", "poly_cross_entropy", "generalized_cross_entropy", "multi_margin_loss", "nll_loss"):
        for output in derive(OPS[name], only="vjp").variants[0].outputs:
            made = output.schedules[-1].quick or output.schedules[-1]
            last = {s.stage.out: s.stage for s in made.steps}
            assert entry_of(last["told_dinput"]) == "dinput"
            assert not any(isinstance(c, sp.Eq) and K in c.args for c in last["dinput"].body.atoms(sp.Eq))


def test_what_is_added_to_one_class_costs_no_row() -> None:
    """The gradient in the weights of classes adds a number to one of them, without a loop over all."""
    text = Path(next(iter(generated.__path__)), "losses", "nll_loss.py").read_text("utf-8")
    kernel = text.split("def vjp_weight_f32(")[1].split("@loop")[0]
    assert "two_sum(" in kernel
    assert "for i in" not in kernel
