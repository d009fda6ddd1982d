"""Where the code of a formula would take a case that no number told it to take."""

from __future__ import annotations

import sympy as sp
from sympy import Expr

from symgen import heads
from symgen.program import Program, Stage
from symgen.rows.defined import Flow, flow
from symgen.rows.indices import index, read
from symgen.rows.precision import Facts

C, D = index("C"), index("C.1")
x, y, label = read("x", (C,)), read("y"), read("label")
S = read("s")
WHOLE = Stage("s", "sum", (), ("C.1",), read("x", (D,)))


def flow_of(*stages: Stage, places: tuple[str, ...] = ()) -> Flow:
    names = sorted({str(s.base) if isinstance(s, sp.Indexed) else str(s) for s in (x, y, label)})
    inputs = tuple(sp.Symbol(n) for n in names)
    return flow(Program("f", inputs, stages, (stages[-1].out,)), Facts(places=places))


def asked_for(e: Expr) -> set[str]:
    return {str(d.args[0]) for d in e.atoms(heads.defined)}


def test_a_case_told_by_a_number_asks_for_it() -> None:
    body = heads.Cases(y < 1, x, 0)
    found = flow_of(Stage("out", "=", ("C",), (), body))
    assert found.defined(body) == heads.defined(y, body)


def test_what_comes_out_anyway_is_not_asked_for() -> None:
    """Of a NaN the condition is false, and the other case keeps it."""
    body = heads.Cases(y < 1, x, y)
    assert flow_of(Stage("out", "=", ("C",), (), body)).defined(body) == body
    body = heads.Cases(sp.Eq(S, 0), 0, x / S)
    assert flow_of(WHOLE, Stage("out", "=", ("C",), (), body)).defined(body) == body


def test_unequal_is_true_of_a_nan() -> None:
    body = heads.Cases(sp.Ne(y, 1), 0, y)
    assert asked_for(flow_of(Stage("out", "=", (), (), body)).defined(body)) == {"y"}


def test_the_sum_of_a_row_stands_for_its_entries() -> None:
    body = heads.Cases(S + x > 0, 1, 0)
    assert asked_for(flow_of(WHOLE, Stage("out", "=", ("C",), (), body)).defined(body)) == {"s"}


def test_an_entry_that_a_class_picks_stands_for_itself_alone() -> None:
    picked = Stage("n", "=", (), (), read("x", (label,)))
    body = heads.Cases(read("n") + x > 0, 1, 0)
    found = flow_of(picked, Stage("out", "=", ("C",), (), body), places=("label",))
    assert asked_for(found.defined(body)) == {"n", "x[C]"}


def test_what_a_class_or_a_weight_leaves_out_is_not_asked_for() -> None:
    """The tests stand inside the case in which the number is read."""
    told = heads.Cases(y > 0, 1, 0)
    body = heads.Cases(sp.Eq(label, 3), 0, told)
    found = flow_of(Stage("out", "=", (), (), body), places=("label",))
    assert found.defined(body) == heads.Cases(sp.Eq(label, 3), 0, heads.defined(y, told))
    body = heads.weighted(label, told)
    assert flow_of(Stage("out", "=", (), (), body)).defined(body) == heads.weighted(label, heads.defined(y, told))


def test_where_a_weight_is_zero_nothing_is_asked() -> None:
    weight = Stage("w", "=", (), (), heads.weighted(label, sp.Rational(1, 3)))
    body = heads.Cases(y > 0, read("w"), 0)
    found = flow_of(weight, Stage("out", "=", (), (), body)).defined(body)
    assert found == heads.defined(heads.weighted(read("w"), y), body)


def test_a_scale_is_a_number_whatever_the_row_holds() -> None:
    scale = Stage("m", "scale", (), ("C.1",), read("x", (D,)))
    body = heads.Cases(S / read("m") > 1, 1, 0)
    assert asked_for(flow_of(scale, WHOLE, Stage("out", "=", (), (), body)).defined(body)) == {"s"}


def test_signs_and_the_larger_of_two_lose_a_nan() -> None:
    body = sp.sign(y)
    assert flow_of(Stage("out", "=", (), (), body)).defined(body) == heads.defined(y, body)
    body = heads.first_max(y, label)  # of these the second comes out if a comparison fails
    assert asked_for(flow_of(Stage("out", "=", (), (), body)).defined(body)) == {"y"}
    body = heads.first_max(0, y)
    assert flow_of(Stage("out", "=", (), (), body)).defined(body) == body
