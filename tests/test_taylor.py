"""Taylor series over points and balls: equal to the oracle's jets, and an enclosure of every point of a ball."""

import pytest
import sympy as sp
from flint import arb

from symgen import vocabulary
from symgen.heads import Cases
from symgen.oracle import Oracle, working_precision
from symgen.oracle_balls import OracleError, UndecidedError
from symgen.taylor import ELEMENTARY, taylor

X = sp.Symbol("x", real=True)
PLACES = (0.3, 1.7, 5.0, -0.6)


@pytest.mark.parametrize("head", ELEMENTARY, ids=lambda head: head.__name__)
def test_the_series_of_each_elementary_function_is_the_oracles_jet(head):
    formula, found = head(X, evaluate=False), 0
    oracle = Oracle(formula, X, 2)
    for place in PLACES:
        jet = oracle.jet(place, precision=200)
        if not all(j.is_finite() for j in jet):
            continue
        with working_precision(200):
            series = taylor(formula, X, arb(place), 6)
            assert all(j.overlaps(series[k] * (1, 1, 2)[k]) for k, j in enumerate(jet)), (head, place)
            assert all(c.rel_accuracy_bits() > 60 for c in series[:3] if not c.contains(0)), (head, place)
        found += 1
    assert found


@pytest.mark.parametrize("head", ELEMENTARY, ids=lambda head: head.__name__)
def test_coefficients_over_a_ball_enclose_those_at_its_points(head):
    formula = head(X, evaluate=False)
    with working_precision(200):
        for place in PLACES:
            over = taylor(formula, X, arb(place, 0.125), 6)
            for step in (-0.125, -0.03, 0.0, 0.1, 0.125):
                for wide, narrow in zip(over, taylor(formula, X, arb(place) + step, 6), strict=True):
                    assert not (wide.is_finite() and narrow.is_finite()) or wide.overlaps(narrow), (head, place, step)


def test_far_out_the_scaled_error_function_keeps_narrow_enclosures():
    with working_precision(160):
        over = taylor(vocabulary.erfcx(X), X, arb(2.0**30, 2.0**26), 3)
    assert over[0].rel_accuracy_bits() >= 2
    assert over[1] < 0 < over[2]


def test_a_kink_inside_a_ball_is_undecided_and_beside_it_the_branch_counts():
    formula = Cases(sp.Gt(X, 1, evaluate=False), X * X, 0)
    with pytest.raises(UndecidedError):
        taylor(formula, X, arb(1, 0.5), 3)
    assert [float(c) for c in taylor(formula, X, arb(2), 4)] == [4.0, 4.0, 1.0, 0.0]
    assert [float(c) for c in taylor(formula, X, arb(0), 2)] == [0.0, 0.0]


def test_an_unknown_function_is_named():
    with pytest.raises(OracleError, match="zeta"):
        taylor(sp.zeta(X), X, arb(2), 3)
