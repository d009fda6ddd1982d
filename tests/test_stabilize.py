"""What the stabiliser chooses from: forms, candidates, scaled arguments."""

from __future__ import annotations

import math

import numpy as np
import pytest
import sympy as sp
from sympy import Abs, Symbol, exp, log, sqrt

from symgen.approx import Polynomial
from symgen.arithmetic import Pair
from symgen.heads import Cases, first_max, weighted
from symgen.kernel import ScalarFunction, var, verify
from symgen.oracle import Oracle
from symgen.rules import UNFOLD, Procedure
from symgen.stabilize.candidates import attempt, candidates, collected, distributed, hoist, leading, resolve, sided
from symgen.stabilize.form import ARITHMETICS, MAGNITUDE, Body, Constant, Form, Formula, Piece, Segment
from symgen.stabilize.inner import Inner, U, split
from symgen.stabilize.leaves import Leaf
from symgen.stabilize.probe import (
    measure,
)
from symgen.stabilize.sampler import Question, Sampler, products
from symgen.vocabulary import erfc, expm1, hypot, log1p, log_mixture, sigmoid, softplus, tanh

x = Symbol("x", real=True)
w, beta = Symbol("w", real=True), Symbol("beta", real=True, nonzero=True)
BOUND = {x: Pair(var("x"))}


def at(body: Body | Form, *points: float) -> list[float]:
    """What a body or a form computes."""
    function = verify(ScalarFunction("f", ("x",), (body.node(x, BOUND),)))
    return [float(v) for v in function.evaluate([np.array(points)])[0]]


# -- form -------------------------------------------------------------------------------------------------------------


def test_a_formula_with_a_side_is_written_in_the_magnitude() -> None:
    """exp(-y) with y = |x| is the same on both sides; its note says which side it is for."""
    for side, text in ((1, "rules with y = x"), (-1, "rules with y = -x"), (0, "rules")):
        body = Formula(exp(-MAGNITUDE) if side else exp(-x), "plain", side)
        assert body.note == text
        assert body.kind == "formula"
    assert at(Formula(exp(-MAGNITUDE), "plain", -1), -2.0) == [math.exp(-2.0)]


@pytest.mark.parametrize(
    ("shape", "power", "centre", "want"),
    [
        ("zero", 2, 0.0, lambda v: v**2 * (3 + 2 * v)),
        ("root", 1, 1.5, lambda v: (v - 1.5) * (3 + 2 * (v - 1.5))),
        ("interior", 0, 1.5, lambda v: 3 + 2 * (v - 1.5)),
        ("tail", -3, 0.0, lambda v: v**-3 * (3 + 2 / v)),
        ("tail", 2, 0.0, lambda v: v**2 * (3 + 2 / v)),
    ],
)
@pytest.mark.parametrize("arithmetic", ["plain", "compensated"])
def test_a_piece_is_a_power_times_its_polynomial(shape: str, power: int, centre: float, want, arithmetic: str) -> None:
    """base**power * P(t), with base and t read off the shape, and a note for people."""
    body = Piece(shape, Polynomial((3.0, 2.0), 0.0, 1, 2.0**-60), power, centre, 0.0, arithmetic)
    for v in (1.25, 1.75, 4.0):
        assert at(body, v) == pytest.approx([want(v)], rel=1e-15)
    assert body.kind == "piece"
    assert body.expression is None
    assert "polynomial of degree 1" in body.note
    assert "within 2^-60.0" in body.note


def test_a_root_piece_uses_the_rest_of_its_root() -> None:
    """Near the root the distance to it is what counts: without the root's low part it would be noise."""
    line = Polynomial((1.0,), 0.0, 1, 0.0)
    root = Piece("root", line, 1, math.pi, 1.2246467991473532e-16, "compensated")
    (got,) = at(root, math.pi)
    assert got == -1.2246467991473532e-16


def test_segments_are_chosen_by_their_upper_ends() -> None:
    """A point that is a cut belongs to the segment that begins there; the last one includes infinity."""
    segments = (
        Segment(-math.inf, -1.0, Constant(1.0)),
        Segment(-1.0, 2.0, Constant(2.0)),
        Segment(2.0, math.inf, Constant(3.0)),
    )
    form = Form(segments)
    assert at(form, -math.inf, -1.5, -1.0, 1.999, 2.0, math.inf) == [1.0, 1.0, 2.0, 2.0, 3.0, 3.0]
    assert [s.kind for s in form.segments] == ["constant"] * 3
    assert "1.0" in segments[0].note


def test_cases_of_a_form_are_regions_with_their_conditions() -> None:
    """Nested cases become a list of leaves, each with everything that leads to it."""
    leaf = {v: Form((Segment(-math.inf, math.inf, Constant(v)),)) for v in (1.0, 2.0, 3.0)}
    form = Form((), x > 1, leaf[1.0], Form((), x < -1, leaf[2.0], leaf[3.0]))
    assert at(form, 2.0, -2.0, 0.0, 1.0, -1.0) == [1.0, 2.0, 3.0, 3.0, 3.0]
    conditions = [r.condition for r in form.regions()]
    assert conditions == [x > 1, (x <= 1) & (x < -1), (x <= 1) & (x >= -1)]
    assert leaf[1.0].regions()[0].condition is None


# -- candidates -------------------------------------------------------------------------------------------------------


def test_hoisting_brings_cases_to_the_top() -> None:
    """f(a if c else b) is f(a) if c else f(b), through sums, products and functions, nested cases too."""
    e = 2 * exp(Cases(x > 0, x, Cases(x < -1, -x, 1))) + w
    want = Cases(x > 0, 2 * exp(x) + w, Cases(x < -1, 2 * exp(-x) + w, 2 * sp.E + w))
    assert hoist(e) == want
    assert hoist(exp(x)) == exp(x)


def test_hoisting_stops_where_cases_would_multiply() -> None:
    """Nine cases in one sum stay inside it: two to the ninth branches help nobody."""
    many = sum(Cases(x > k, x**k, sp.Integer(k)) for k in range(2, 11))
    assert hoist(many) == many
    assert isinstance(hoist(sum(Cases(x > k, x**k, sp.Integer(k)) for k in range(2, 5))), Cases)


def test_certain_conditions_are_resolved() -> None:
    """On one side of zero the condition of a case is known, and its branch stands alone."""
    e = 1 + Cases(sp.Gt(x, 0), exp(x), Cases(sp.Lt(x, -1), x**2, w))
    y = MAGNITUDE
    assert sided(e, x, 1) == 1 + exp(y)
    assert sided(e, x, -1) == 1 + Cases(-y < -1, y**2, w)
    assert resolve(e) == e
    assert sided(Abs(x), x, -1) == y


def test_the_leading_term_at_zero() -> None:
    """The slope times x where the value vanishes, else the value; nothing across a kink or a pole."""
    assert leading(expm1(3 * x), x) == [3 * x]
    assert leading(sigmoid(x), x) == [sp.Rational(1, 2)]
    assert leading(x**2, x) == []
    assert leading(1 / x, x) == []
    assert leading(Abs(x), x) == []
    assert leading(first_max(x, 0), x) == []


def test_candidates_come_cheapest_first_and_once() -> None:
    """The cheapest arithmetic first, in all shapes; the stable form leads; nothing is repeated."""
    found = candidates(x * sigmoid(x), [x / (1 + exp(-x))], x, tuple(ARITHMETICS))
    order = [list(ARITHMETICS).index(f.arithmetic) for f in found]
    assert order == sorted(order)
    assert found[0] == Formula(x * sigmoid(x), "short", 0, "rules", "x")
    assert Formula(x / (1 + exp(-x)), "plain", 0, "as derived", "x") in found
    assert Formula(x / 2, "plain", 0, "leading term at zero", "x") in found
    assert len(set(found)) == len(found)
    assert {f.side for f in found} == {-1, 0, 1}


def test_a_sum_is_scaled_by_parameters_in_each_term() -> None:
    """Its own terms may underflow where what is left of them after scaling is a number like others."""
    b = sigmoid(-x) * softplus(x) + sigmoid(x) * softplus(-x)
    assert distributed(b / beta**2, x) == sigmoid(-x) * softplus(x) / beta**2 + sigmoid(x) * softplus(-x) / beta**2
    assert distributed(b / 3, x) == b / 3
    found = candidates(b / beta**2, [], x, ("plain",))
    assert any(c.expression == distributed(b / beta**2, x) for c in found)


def test_coefficients_of_one_function_are_collected() -> None:
    """w f - f is (w - 1) f, in which two large products do not cancel; a product, and other terms, stay as they are."""
    f = softplus(x)
    assert collected(w * f - f + beta, x) == (w - 1) * f + beta
    assert collected(w * f, x) == w * f
    y = MAGNITUDE
    y = MAGNITUDE
    found = [c.expression for c in candidates(w * softplus(-x) - softplus(-x) + x, [], x, ("plain",)) if c.side == 1]
    assert y + (w - 1) * log1p(exp(-y)) in found


def test_normal_forms_have_their_roots_recognised() -> None:
    """A normal form writes hypot out as a root, whose squares overflow: the root is offered as hypot again."""
    found = [c.expression for c in candidates(x / (hypot(x, 1) + 1), [], x, ("plain",)) if c.source == "normal form"]
    assert any(e.has(hypot) for e in found)


def test_a_leaf_is_opened_where_a_weight_hides_a_product() -> None:
    """A case for the weight of zero keeps what the head is for, and outside of it the product is an ordinary one."""
    leaf = Leaf(1 + weighted(w, log(x)), (weighted(w, log(x)) + 1,), ((x > 0, True),))
    opened = leaf.opened()
    assert opened is not None
    zero = sp.Eq(w, 0, evaluate=False)
    assert opened.stable == Cases(zero, 1, 1 + w * log(x))
    assert opened.branch(False) == Leaf(1 + w * log(x), (1 + w * log(x),), ((x > 0, True), (zero, False)))
    assert opened.branch(True).opened() is None


def test_a_weight_hides_what_its_product_would_be_rewritten_to() -> None:
    """w e^x + e^x has a common factor, which a head keeps from being seen; what has no other form stays."""
    assert Leaf(weighted(w, exp(x)) + exp(x), ()).hides(x)
    assert not Leaf(weighted(w, log_mixture(x, w)), ()).hides(x)


def test_candidates_on_a_side_hold_there() -> None:
    """Each one, evaluated on its own side, is the function."""
    e = tanh(softplus(x))
    for body in candidates(e, [], x, ("compensated",)):
        if body.source == "rules":
            v = 0.75 * (body.side or 1)
            assert at(body, v) == pytest.approx([math.tanh(math.log1p(math.exp(v)))], rel=1e-14)


def test_rules_that_do_not_end_leave_the_expression() -> None:
    """Where rewriting is impossible the expression itself is the candidate."""
    assert attempt(1 - sigmoid(x)) == sigmoid(-x)
    assert attempt(x + w) == x + w


@pytest.mark.parametrize("procedure", [p for p in UNFOLD if isinstance(p, Procedure)], ids=lambda p: p.name)
def test_unfolded_candidates_are_equal_and_come_to_an_end(procedure) -> None:
    """Each example is changed once, and what it became is left alone."""
    for example in procedure.examples:
        after = procedure.run(example)
        assert after not in (None, example)
        assert procedure.run(after) in (None, after)


def test_candidates_of_scaled_softplus_come_to_an_end() -> None:
    """Nothing is unfolded that is unfolded already: of a positive divisor no more than of one of any sign."""
    s = sp.Symbol("s", positive=True)
    apart = softplus(s * (x - w)) / s - softplus(-s * (x + w)) / s
    assert any(c.source == "rules, unfolded" for c in candidates(apart, [], x, ("plain",)))


def test_unfolding_a_softplus_quotient_survives_an_overflowing_product() -> None:
    """softplus(beta x)/beta where beta x overflows, for either sign of beta."""
    stable = softplus(beta * x) / beta
    (body, *_) = [c for c in candidates(stable, [], x, ("compensated",)) if c.source == "rules, unfolded"]
    function = ScalarFunction("f", ("x", "beta"), (body.node(x, {x: Pair(var("x")), beta: Pair(var("beta"))}),))
    got = function.evaluate([np.array([1e308, 1e308, -1e308, 0.5]), np.array([1e3, -1e3, -1e3, 2.0])])[0]
    np.testing.assert_allclose(got, [1e308, 0.0, -1e308, math.log1p(math.e) / 2], rtol=1e-15)


# -- scaled arguments -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("e", "argument", "scale", "g"),
    [
        (softplus(beta * x) / beta, beta * x, 1 / beta, softplus(U)),
        (x * sigmoid(beta * x), beta * x, 1 / beta, U * sigmoid(U)),
        (w * tanh(x / w), x / w, w, tanh(U)),
        (beta * sigmoid(beta * x) * sigmoid(-beta * x), beta * x, beta, sigmoid(U) * sigmoid(-U)),
    ],
)
def test_a_parameter_that_scales_the_argument_is_split_off(e, argument, scale, g) -> None:
    """What is left is a fixed function of one variable, times what the parameters contribute."""
    found = split(e, x)
    assert found is not None
    assert (found.argument, found.scale, found.g) == (argument, scale, g)
    assert sp.simplify(found.scale * found.g.xreplace({U: found.argument}) - e) == 0


@pytest.mark.parametrize(
    "e", [sigmoid(x), sigmoid(x + beta), sigmoid(beta * x) * tanh(x), exp(x**2 * beta), x**2 + beta, log1p(beta) * x]
)
def test_what_is_no_fixed_function_of_one_scaled_argument_is_not_split(e) -> None:
    """A shift, two scales, a square, or no parameter at all."""
    assert split(e, x) is None


def test_an_inner_body_scales_the_inner_form() -> None:
    """softplus(beta x)/beta through a form in u; the note tells the segments."""
    found = split(softplus(beta * x) / beta, x)
    assert found is not None
    form = Form((Segment(-math.inf, math.inf, Formula(softplus(U), "compensated", variable="u")),))
    body = Inner(found, form)
    node = body.node(x, {x: Pair(var("x")), beta: Pair(var("beta"))})
    (got,) = ScalarFunction("f", ("x", "beta"), (node,)).evaluate([np.float64(0.3), np.float64(1.7)])
    assert float(got) == pytest.approx(math.log1p(math.exp(0.3 * 1.7)) / 1.7, rel=1e-15)
    assert body.expression == softplus(beta * x) / beta
    assert body.note == "in u = beta*x: 1 segments, 0 of them pieces of the exact function"


def test_an_expression_without_any_head_has_nothing_to_split() -> None:
    """erfc(x/sqrt(2)) has a scale that is a number, a polynomial has no head."""
    assert split(erfc(x / sqrt(2)), x) is None
    assert split(log(beta) * x, x) is None


def test_a_limit_of_zero_times_infinity_is_not_asked_for() -> None:
    """A factor made of parameters that vanishes leaves the limit to IEEE; one that does not is asked for."""
    formula = (w - 1) * x
    found = measure(Oracle(formula, x, 0), 0, np.array([1.0, math.inf]), ({"w": 1.0}, {"w": 3.0}))
    assert found.high[:, 0].tolist() == [0.0, 2.0]
    assert math.isnan(found.high[0, 1])
    assert found.high[1, 1] == math.inf


def test_a_switch_that_underflows_has_no_side() -> None:
    """Where a product of operands is smaller than any float64, nothing is asked; a switch that is exact is."""
    formula = Cases(w * x > 0, sp.Integer(1), sp.Integer(-1))
    sampler = Sampler(x, ({"w": 0.25}, {"w": 1.0}), np.array([-5e-324, 0.0, 5e-324, 1.0]), products(formula, x))
    high = sampler.sample(Question(formula, formula, x, 0), sampler.points).high
    assert np.isnan(high).tolist() == [[True, False, True, False], [False] * 4]
    assert products(Cases(x - 1 > 0, x, w), x) == ()
