"""Calculus: every partial derivative against SymPy's, every convention at a kink, and errors that name the node."""

import pytest
import sympy as sp
from sympy import Abs, Function, Rational, S, Symbol, cos, exp, log, sign, sin

from symgen.calculus import PARTIALS, DerivativeError, derivative
from symgen.heads import Cases, first_max, first_min, maximum, minimum, straight_through, weighted
from symgen.prove_points import value
from symgen.vocabulary import HEADS, expand_heads, sigmoid, softplus

x = Symbol("x", real=True)
y = Symbol("y", real=True)
NOT_OF_ONE = (sp.Abs, sp.sign, sp.floor, sp.ceiling, sp.polygamma)


@pytest.mark.parametrize("function", [f for f in PARTIALS if f not in NOT_OF_ONE], ids=lambda f: f.__name__)
def test_a_partial_derivative_is_the_one_that_sympy_has(function):
    """The table agrees with SymPy's own derivative at points of the function's domain, to 50 digits."""
    point = Rational(5, 4) if function in {sp.acosh, sp.loggamma} else Rational(3, 8)
    ours, theirs = (value(e, {x: point}) for e in (derivative(function(x), x), sp.diff(function(x), x)))
    assert ours is not None
    assert ours.overlaps(theirs)


@pytest.mark.parametrize("head", HEADS, ids=lambda h: h.__name__)
def test_two_derivatives_of_a_head_stay_in_the_vocabulary_and_are_right(head):
    """The second derivative of every head equals that of its definition, and holds no unevaluated derivative."""
    arguments = (x, y)[: max(head.nargs)]
    twice = derivative(derivative(head(*arguments), x), x)
    assert not twice.has(sp.Derivative, sp.Subs)
    truth = sp.diff(expand_heads(head(*arguments)), x, 2)
    for point in (Rational(1, 3), Rational(7, 5)):
        at = {x: point, y: Rational(3, 4)}
        assert value(twice, at).overlaps(value(truth, at))


def at_zero(e):
    """The value at x = 0 with its conditions decided."""
    if isinstance(e, Cases):
        return at_zero(e.then if e.condition.subs(x, 0) == S.true else e.otherwise)
    return e.subs(x, 0)


@pytest.mark.parametrize(
    ("formula", "slope"),
    [
        (first_max(0, x), 0),
        (first_max(x, 0), 1),
        (first_min(0, x), 0),
        (first_min(x, 0), 1),
        (maximum(0, x), Rational(1, 2)),
        (minimum(x, 0), Rational(1, 2)),
        (Abs(x), 0),
        (x * sign(x), 0),
        (Cases(x > 0, x, 3 * x), 3),
        (Cases(x >= 0, x, 3 * x), 1),
        (straight_through(first_max(x, 0), 5 * x), 5),
    ],
    ids=str,
)
def test_a_kink_has_the_slope_that_its_definition_says(formula, slope):
    """At a tie: the first argument, a half each, the branch that holds, sign(0) = 0."""
    assert at_zero(derivative(formula, x)) == slope


def test_no_kink_becomes_a_distribution():
    """Second derivatives of kinks are plain zeros, never DiracDelta or Heaviside."""
    for formula in (Abs(x), first_max(0, x), maximum(x, -x), sign(x) * x, sp.floor(x)):
        second = derivative(derivative(formula, x), x)
        assert not second.has(sp.DiracDelta, sp.Heaviside, sp.Derivative)
        assert at_zero(second) == 0


def test_cases_stay_at_the_top_with_their_condition_untouched():
    """Cases(c, a, b)' is Cases(c, a', b'), and a condition is not evaluated on the way."""
    condition = sp.Gt(exp(x), 0, evaluate=False)
    assert derivative(Cases(condition, x**2, sin(x)), x) == Cases(condition, 2 * x, cos(x))


def test_the_order_of_first_max_decides_a_condition_that_is_not_folded():
    """The condition of a tie keeps the order of the arguments even where SymPy could decide it."""
    slope = derivative(first_max(0, exp(x)), x)
    assert slope == Cases(sp.Ge(0, exp(x), evaluate=False), 0, exp(x))


def test_branches_with_one_slope_need_no_condition():
    """A jump whose two sides have the same slope has that slope."""
    assert derivative(Cases(x >= 0, S.One, S.Zero), x) == 0
    assert derivative(Cases(x > 0, x, x + 1), x) == 1


def test_zero_weight_annihilates_the_derivative_too():
    """weighted(w, v)' in v is weighted(w, v'), and in w it is v."""
    assert derivative(weighted(y, log(x)), x) == weighted(y, 1 / x)
    assert derivative(weighted(y, log(x)), y) == log(x)
    assert derivative(weighted(2 * y, log(x)), y) == 2 * log(x)


def test_powers_differentiate_in_base_and_exponent():
    """x^y in both arguments, and a constant power without a logarithm."""
    p = Symbol("p", positive=True)
    assert derivative(p**y, y) == p**y * log(p)
    assert sp.expand(derivative(p**y, p) - y * p ** (y - 1)) == 0
    assert derivative(x**3, x) == 3 * x**2


def test_other_symbols_are_constants():
    """Nothing that lacks the symbol has a derivative in it."""
    assert derivative(softplus(y) * Abs(y), x) == 0
    assert derivative(S(3), x) == 0


def test_heads_differentiate_into_heads():
    """The derivative of sigmoid is a product of sigmoids, never s(1 - s)."""
    assert derivative(sigmoid(2 * x), x) == 2 * sigmoid(2 * x) * sigmoid(-2 * x)
    assert derivative(softplus(x), x) == sigmoid(x)


def test_an_unknown_node_is_named_with_what_to_do():
    """A function that calculus does not know raises an error with its name, its place and a hint."""
    strange = Function("strange")
    with pytest.raises(DerivativeError, match=r"strange.*in strange\(x\)(.|\n)*hint"):
        derivative(1 + strange(x), x)
    assert derivative(strange(y), x) == 0
