"""Recognising naive text and rewriting derivatives: every shape a slide might use, inside cases, and in float64."""

import subprocess
import sys
from functools import reduce

import pytest
import sympy as sp
from hypothesis import given
from hypothesis import strategies as st
from sympy import Abs, Rational, S, Symbol, cosh, exp, log, sinh, sqrt

from symgen.calculus import derivative
from symgen.heads import Cases, first_max
from symgen.prove_floats import in_float64, ulps
from symgen.prove_points import value
from symgen.rules.engine import replace
from symgen.stabilize.recognize import recognize
from symgen.stabilize.rewrite import rewrite
from symgen.vocabulary import (
    erf,
    erfc,
    erfcx,
    expm1,
    hypot,
    log1mexp,
    log1p,
    log_half_erfc,
    sech2,
    sigmoid,
    softplus,
    tanh,
)

x = Symbol("x", real=True)
w = Symbol("w", real=True)
beta = Symbol("beta", extended_real=True)
alpha = Symbol("alpha", extended_real=True)
y = Symbol("y", positive=True)


def exponential_tanh(u):
    return (exp(u) - exp(-u)) / (exp(u) + exp(-u))


SHAPES = [
    (1 / (1 + exp(-x)), sigmoid(x)),
    (1 / (1 + exp(x)), sigmoid(-x)),
    (exp(x) / (1 + exp(x)), sigmoid(x)),
    (exp(x) / (exp(x) + exp(w)), sigmoid(x - w)),
    (3 / (2 + 2 * exp(-x)), 3 * sigmoid(x) / 2),
    (1 / (1 + exp(-x)) ** 2, sigmoid(x) ** 2),
    (exp(-x) / (1 + exp(-x)) ** 2, sigmoid(x) * sigmoid(-x)),
    (1 - 1 / (1 + exp(-x)), sigmoid(-x)),
    (alpha - alpha / (1 + exp(-x)), alpha * sigmoid(-x)),
    (w + 5 - 5 / (1 + exp(1 - x)), w + 5 * sigmoid(1 - x)),
    (log(1 + exp(x)), softplus(x)),
    (log(1 + exp(beta * x)) / beta, softplus(beta * x) / beta),
    (log(2 + 2 * exp(x)), softplus(x) + log(2)),
    (log(3 + exp(x)), softplus(x - log(3)) + log(3)),
    (log(1 / (1 + exp(-x))), -softplus(-x)),
    (log(exp(x) / (1 + exp(x))), -softplus(-x)),
    (log(1 - 1 / (1 + exp(-x))), -softplus(x)),
    (log(exp(x) + exp(w)), {w + softplus(x - w), x + softplus(w - x)}),
    (log(1 - exp(-x)), log1mexp(x)),
    (log(exp(x) - exp(w)), x + log1mexp(x - w)),
    (exponential_tanh(x), tanh(x)),
    (exponential_tanh(x / alpha), tanh(x / alpha)),
    ((exp(2 * x) - 1) / (exp(2 * x) + 1), tanh(x)),
    ((1 - exp(-2 * x)) / (1 + exp(-2 * x)), tanh(x)),
    (exponential_tanh(log(1 + exp(x))), tanh(softplus(x))),
    (sp.tanh(x), tanh(x)),
    (sp.tanh(-x), -tanh(x)),
    (sinh(x) / cosh(x), tanh(x)),
    (1 / cosh(x) ** 2, sech2(x)),
    ((1 + sp.tanh(x)) / 2, sigmoid(2 * x)),
    (1 - sp.tanh(x), 2 * sigmoid(-2 * x)),
    (1 - sp.tanh(x) ** 2, sech2(x)),
    (sp.erf(x), erf(x)),
    (sp.erfc(x), erfc(x)),
    ((1 + sp.erf(x / sqrt(2))) / 2, erfc(-sqrt(2) * x / 2) / 2),
    (sp.erf(x) - 1, -erfc(x)),
    (2 - sp.erfc(x), erfc(-x)),
    (log((1 + sp.erf(x / sqrt(2))) / 2), log_half_erfc(-sqrt(2) * x / 2)),
    (log(1 - sp.erf(x)), log_half_erfc(x) + log(2)),
    (exp(x**2) * sp.erfc(x), erfcx(x)),
    (alpha * (exp(x) - 1), alpha * expm1(x)),
    (Rational(6, 5) * exp(x) - Rational(6, 5), 6 * expm1(x) / 5),
    (1 - exp(x), -expm1(x)),
    (log(1 + x**2), log1p(x**2)),
    (sqrt(x**2 + 1), hypot(x, 1)),
    (sqrt(4 * x**2 + y), hypot(2 * x, sqrt(y))),
    (1 / sqrt(x**2 + w**2) ** 3, {hypot(w, x) ** -3, hypot(x, w) ** -3}),
    ((1 + exp(-x)) ** Rational(-3, 2), sigmoid(x) ** Rational(3, 2)),
    (log(x + sqrt(x**2 + 1)), sp.asinh(x)),
    (log(3 * exp(-(x**2))), log(3) - x**2),
    (exp(x) * exp(-(x**2)), exp(x - x**2)),
]


@pytest.mark.parametrize(("naive", "heads"), SHAPES, ids=[str(n) for n, _ in SHAPES])
def test_a_naive_shape_becomes_its_head(naive, heads):
    """Each spelling that a slide might use gives one form in heads."""
    recognized, _ = recognize(naive)
    assert recognized in (heads if isinstance(heads, set) else {heads})


@pytest.mark.parametrize("naive", [n for n, _ in SHAPES], ids=str)
def test_the_steps_repeat_the_recognition_and_each_keeps_the_value(naive):
    """Replacing before by after, step by step, gives the result, and no step changes the function."""
    recognized, steps = recognize(naive)
    assert reduce(lambda e, step: replace(e, step.before, step.after), steps, naive) == recognized
    at = {x: Rational(5, 4), w: Rational(-1, 3), alpha: Rational(2, 3), beta: S(2), y: S(3)}
    for step in steps:
        before, after = value(step.before, at), value(step.after, at)
        assert before is not None
        assert before.overlaps(after)


def test_a_wrong_sign_is_no_sigmoid():
    """What only looks like a head stays what it is."""
    for other in (1 / (1 - exp(-x)), (exp(x) + exp(-x)) / (exp(x) - exp(2 * x)), log(2 - exp(x)), 2 - sigmoid(x)):
        assert not recognize(other)[0].has(sigmoid, softplus) or other.has(sigmoid)
        assert recognize(other)[0].has(sigmoid) == other.has(sigmoid)
    assert recognize(2 - sigmoid(x))[0] == 2 - sigmoid(x)


def test_branches_are_recognised_and_conditions_left_alone():
    """Inside cases and kinks rules apply, in a condition they do not."""
    condition = sp.Gt(1 / (1 + exp(-x)), Rational(1, 2), evaluate=False)
    recognized, steps = recognize(Cases(condition, 1 / (1 + exp(-x)), first_max(0, exp(x) - 1)))
    assert recognized == Cases(condition, sigmoid(x), first_max(0, expm1(x)))
    assert [s.rule for s in steps] == ["sigmoid-intro", "expm1-intro"]


def test_larger_patterns_win():
    """The tanh quotient is seen before its numerator or denominator is taken apart."""
    _, steps = recognize((exp(2 * x) - 1) / (exp(2 * x) + 1))
    assert steps[0].rule == "tanh-intro-double"


def test_a_step_is_the_smallest_whole_node():
    """A derivation shows the sum that changed, not the formula around it."""
    _, steps = recognize(x * (1 + sp.erf(x)) + 7)
    assert (steps[-1].before, steps[-1].after) == (1 + erf(x), erfc(-x))


DERIVED = [
    ("sigmoid", sigmoid(x), 2, -tanh(x / 2) * sigmoid(x) * sigmoid(-x)),
    ("tanh", tanh(x), 2, -2 * tanh(x) * sech2(x)),
    ("softplus", softplus(beta * x) / beta, 2, beta * sigmoid(beta * x) * sigmoid(-beta * x)),
    ("silu", x * sigmoid(x), 1, sigmoid(x) * (1 + x * sigmoid(-x))),
    ("silu", x * sigmoid(x), 2, sigmoid(x) * sigmoid(-x) * (2 - x * tanh(x / 2))),
    ("tanhshrink", x - tanh(x), 1, tanh(x) ** 2),
    ("softsign", x / (1 + Abs(x)), 1, (1 + Abs(x)) ** -2),
    ("softsign", x / (1 + Abs(x)), 2, -2 * sp.sign(x) / (1 + Abs(x)) ** 3),
    ("squareplus", (x + hypot(x, sqrt(y))) / 2, 2, y / (2 * hypot(x, sqrt(y)) ** 3)),
    ("gelu", x * erfc(-sqrt(2) * x / 2) / 2, 2, sqrt(2) * (2 - x**2) * exp(-(x**2) / 2) / (2 * sqrt(sp.pi))),
    ("log_ndtr", log_half_erfc(-sqrt(2) * x / 2), 1, sqrt(2) / (sqrt(sp.pi) * erfcx(-sqrt(2) * x / 2))),
]


@pytest.mark.parametrize(("name", "formula", "order", "expected"), DERIVED, ids=[f"{n}-{o}" for n, _, o, _ in DERIVED])
def test_a_derivative_is_rewritten_to_its_stable_form(name, formula, order, expected):
    """The rules find the forms that a numerical analyst writes by hand."""
    for _ in range(order):
        formula = derivative(formula, x)
    assert rewrite(formula)[0] == expected


def test_the_gradient_in_a_sharpness_is_an_entropy():
    """softplus's gradient in beta is a sum of terms of one sign, not a difference of near equals."""
    slope, steps = rewrite(derivative(softplus(beta * x) / beta, beta))
    u = beta * x
    assert slope == (sigmoid(-u) * softplus(u) + sigmoid(u) * softplus(-u)) * (-1 / beta**2)
    assert [s.rule for s in steps] == ["logistic-entropy"]


def test_rules_that_need_a_sign_fire_on_the_side_that_has_it():
    """The conjugate of squareplus is taken on the left, where the difference cancels, and not on the right."""
    b = Symbol("b", positive=True)
    formula = (x + hypot(x, sqrt(b))) / 2
    left, steps = rewrite(formula.xreplace({x: -y}))
    assert left == b / (y + hypot(y, sqrt(b))) / 2
    assert "conjugate-hypot" in [s.rule for s in steps]
    assert rewrite(formula.xreplace({x: y}))[0] == (y + hypot(y, sqrt(b))) / 2


FORMULAS = {
    "sigmoid": 1 / (1 + exp(-x)),
    "tanh": exponential_tanh(x),
    "softplus": log(1 + exp(x)),
    "logsigmoid": log(1 / (1 + exp(-x))),
    "elu": Cases(x > 0, x, exp(x) - 1),
    "silu": x / (1 + exp(-x)),
    "mish": x * exponential_tanh(log(1 + exp(x))),
    "softsign": x / (1 + Abs(x)),
    "squareplus": (x + sqrt(x**2 + 4)) / 2,
    "erf": sp.erf(x),
    "erfc": 1 - sp.erf(x),
    "exponential": exp(x),
}
# on both sides, away from the roots of the second derivatives, down to where nothing is left of the largest exponent
POINTS = [s * Rational(9, 8) * S(2) ** k for k in range(-60, 9, 3) for s in (1, -1)]


def branch(e, at):
    return branch(e.then if e.condition.xreplace(at) == S.true else e.otherwise, at) if isinstance(e, Cases) else e


@pytest.mark.parametrize("order", [0, 1, 2])
@pytest.mark.parametrize("name", FORMULAS)
def test_the_stable_form_has_no_overflow_and_no_lost_tail(name, order):
    """With ideal heads the rewritten value and derivatives are right to a few ULP over the whole range."""
    naive, stable = FORMULAS[name], recognize(FORMULAS[name])[0]
    for _ in range(order):
        naive, stable = derivative(naive, x), derivative(stable, x)
    sides = {s: rewrite(stable.xreplace({x: s * y}))[0] for s in (1, -1)}
    for point in POINTS:
        truth = value(branch(naive, {x: point}), {x: point})
        form = branch(sides[1 if point > 0 else -1], {y: abs(point)})
        error = ulps(in_float64(form, {y: float(abs(point))}), truth)
        # exp(-x^2) magnifies the rounding of its argument; the lowering puts that back
        assert error < (64 if name in {"erf", "erfc"} else 16), (point, form)


unary = st.sampled_from([exp, sp.tanh, sp.erf, lambda u: 1 / (1 + exp(-u)), lambda u: log(1 + exp(u)), Abs])
binary = st.sampled_from([lambda a, b: a + b, lambda a, b: a - b, lambda a, b: a * b, lambda a, b: a / (1 + b**2)])
leaves = st.sampled_from([x, x / 2, -x, S(1), S(2), 1 - x, x**2 / 8])
formulas = st.recursive(
    leaves,
    lambda inner: st.builds(lambda f, a: f(a), unary, inner) | st.builds(lambda f, a, b: f(a, b), binary, inner, inner),
    max_leaves=6,
)


@given(formulas)
def test_no_formula_changes_its_value(formula):
    """Recognising, differentiating and rewriting any formula gives the function and the slope that it had."""
    known, _ = recognize(formula)
    for exact, stable in ((formula, rewrite(known)[0]), (derivative(formula, x), rewrite(derivative(known, x))[0])):
        for point in (Rational(3, 4), Rational(-5, 3)):
            truth, got = value(exact, {x: point}), value(stable, {x: point})
            assert truth is None or truth.overlaps(got), (stable, point)


def test_the_output_does_not_depend_on_the_hash_seed():
    """Two processes with different seeds print the same forms and steps."""
    code = (
        "from sympy import *; from symgen.calculus import derivative; from symgen.stabilize.recognize import recognize;"
        "from symgen.stabilize.rewrite import rewrite; x = Symbol('x', real=True);"
        "e, s = recognize(x*tanh(log(1 + exp(x))) + x/(1 + Abs(x)) + sqrt(1 + x**2));"
        "print(e, s, rewrite(derivative(derivative(e, x), x)))"
    )
    texts = {
        subprocess.run([sys.executable, "-c", code], env={"PYTHONHASHSEED": seed, "PYTHONPATH": ":".join(sys.path)},
                       capture_output=True, text=True, check=True).stdout
        for seed in ("0", "1", "4711")
    }  # fmt: skip
    assert len(texts) == 1
    assert "sigmoid" in texts.pop()
