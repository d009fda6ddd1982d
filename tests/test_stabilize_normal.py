"""The exact normal form: equal to what it came from, without what cancels, and in t = exp(-c y) where tails are."""

from __future__ import annotations

import pytest
import sympy as sp
from sympy import Expr, Rational, Symbol, cosh, erf, exp, log, sinh, sqrt, tanh

from symgen.stabilize.form import MAGNITUDE as y
from symgen.stabilize.normal import normal_forms
from symgen.vocabulary import expand_heads, expm1, log1mexp, log1p, sigmoid, softplus

a = Symbol("a", positive=True)

FORMS = [
    (exp(2 * y) - exp(y), -exp(2 * y) * expm1(-y)),
    (exp(y) / (1 + exp(y)) ** 2, exp(-y) / (1 + exp(-y)) ** 2),
    (log((exp(y) + exp(-y)) / 2), y + log1p(exp(-2 * y)) - log(2)),
    (log(sinh(y) / y), y - log(y) + log1mexp(y) + log1p(exp(-y)) - log(2)),
    (y * log(1 + 1 / (1 + exp(y))), y * log1p(exp(-y) / (1 + exp(-y)))),
    (1 / sqrt(1 + y**2) - y**2 / (1 + y**2) ** Rational(3, 2), (y**2 + 1) ** Rational(-3, 2)),
    (1 / sqrt(1 + a * y**2) - a * y**2 / (1 + a * y**2) ** Rational(3, 2), (a * y**2 + 1) ** Rational(-3, 2)),
    (1 / (y + 1) - 1 / y, -1 / (y * (y + 1))),
]


@pytest.mark.parametrize(("naive", "want"), FORMS, ids=str)
def test_the_normal_form_of_a_formula(naive: Expr, want: Expr) -> None:
    """What cancels is gone, powers of t stand in front, logarithms of one plus something small are log1p."""
    assert want in normal_forms(naive)


@pytest.mark.parametrize(
    "e",
    [
        cosh(y) / sinh(y) - 1 / y,
        y * tanh(softplus(y)),
        sigmoid(-y) * log(sigmoid(y)) * (1 + erf(y / sqrt(2))),
        y * exp(-(y**2) / 2) - exp(-2 * y**2),
        (1 + exp(-2 * y)) ** Rational(-3, 2),
        y / (1 + exp(-Rational(63, 10) * y)),
        exp(3 * log(1 + exp(y)) + Rational(1, 2)),
        sqrt(y + 1) - sqrt(y),
        (y**2 / 3 + 1) ** Rational(1, 4) - 1,
    ],
    ids=str,
)
def test_every_form_is_equal_to_what_it_came_from(e: Expr) -> None:
    """At points to forty digits, roots conjugated or not."""
    forms = normal_forms(e)
    assert forms
    for form in forms:
        for at in (Rational(1, 7), Rational(5, 2), sp.Integer(11)):
            gap = (expand_heads(form) - expand_heads(e)).subs(y, at)
            assert abs(sp.N(gap, 40, chop=True)) < 1e-30


def test_conjugates_lose_the_difference_of_roots() -> None:
    assert normal_forms(sqrt(y**2 + 1) - 1)[1] == y**2 / (sqrt(y**2 + 1) + 1)
    assert normal_forms(sqrt(y + 1) - sqrt(y))[1] == 1 / (sqrt(y) + sqrt(y + 1))


@pytest.mark.parametrize("e", [sp.Integer(2), a**2, (1 + y) ** 300, sp.Abs(y - 1) ** y], ids=str)
def test_what_has_no_normal_form_of_reasonable_size_has_none(e: Expr) -> None:
    assert normal_forms(e) == ()
