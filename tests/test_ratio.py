"""Formulas that are homogeneous in two operands: their halves are the formula, and stay in range where it does not."""

from __future__ import annotations

import mpmath
import numpy as np
import pytest
import sympy as sp
from sympy import Symbol, log

import symgen.functional as F
from symgen.arithmetic import COMPENSATED, Pair
from symgen.heads import Cases, first_max, straight_through, weighted
from symgen.kernel import ScalarFunction, var
from symgen.lowering import lower
from symgen.stabilize import free
from symgen.stabilize.form import Formula
from symgen.stabilize.leaves import NEAR, Leaf
from symgen.stabilize.probe import TARGETS, Probe
from symgen.stabilize.ratio import halves
from symgen.stabilize.regimes import Problem
from symgen.vocabulary import expand_heads, hypot, log1p, quotient

x, y = Symbol("x", real=True), Symbol("y", positive=True)
s, p = sp.symbols("s p", positive=True)
v = Symbol("v", nonnegative=True)
BOUND = straight_through(first_max(v, p), v)
HOMOGENEOUS = {
    "a quotient": x * (p + 1) / (p * s**2 + x**2),
    "a logarithm of a square": (p + 1) / 2 * log1p(x**2 / (p * s**2)) + log(s),
    "a root": x**2 / (hypot(x / s, 1) + 1),
    "a root over a root": -(x**2) / (s * hypot(x / s, 1)),
    "an absolute value": s * sp.Abs(x) / (s + sp.Abs(x)),
    "a quotient and its inverse": x / s + s / x,
    "neither odd nor even": (x + s) ** 3 / (x**2 + s**2),
}


def at(e: sp.Expr, **values: float) -> mpmath.mpf:
    """An expression in fifty digits."""
    plain = expand_heads(e).xreplace({BOUND: v})
    return mpmath.mpf(sp.N(plain.xreplace({t: sp.Rational(values[t.name]) for t in plain.free_symbols}), 50))


@pytest.mark.parametrize("e", HOMOGENEOUS.values(), ids=HOMOGENEOUS.keys())
@pytest.mark.parametrize("at_x", [-3.5, -0.125, 0.25, 7.0])
def test_both_halves_are_the_formula(e, at_x) -> None:
    """Each half, wherever it is evaluated: where to cut is a choice of range alone."""
    found = [h for h in halves(e, x) if h[0] == s]
    assert found
    for _, near, far in found:
        for half in (near, far):
            resolved = half.replace(lambda n: n.func.__name__ == "Cases", lambda n: n.args[1 if at_x > 0 else 2])
            assert mpmath.almosteq(at(resolved, x=at_x, s=2.0, p=3.0), at(e, x=at_x, s=2.0, p=3.0), 1e-40)


@pytest.mark.parametrize("e", [x + s**2, log1p(x * s), sp.exp(x) / s, x * log(s), s**x], ids=str)
def test_what_has_no_degree_has_no_halves(e) -> None:
    """Terms of different degrees, functions of what has one, and products with a logarithm that becomes a term."""
    assert not list(halves(e, x))


def test_a_variance_counts_as_a_square_and_a_lower_bound_as_one_operand() -> None:
    """What a Gaussian's gradient in its variance is made of."""
    e = (1 - x**2 / BOUND) / (2 * BOUND)
    (size, near, _), *_ = halves(e, x)
    assert size == sp.sqrt(BOUND)
    assert near.has(quotient(x, sp.sqrt(BOUND)))


def test_a_leaf_is_halved_once() -> None:
    """Its halves are leaves of their own, which are not halved again."""
    (halved,) = Leaf(x / (x**2 + s**2), ()).halved(x)
    assert halved.whole is False
    assert halved.branch(True).path == ((sp.Le(sp.Abs(x), NEAR * s, evaluate=False), True),)


def test_the_logarithm_of_a_quotient_that_underflows_is_right() -> None:
    """The quotient is zero there, or has lost digits; its logarithm is a difference."""
    graph = COMPENSATED.rounded(lower(log(quotient(s, p)), {s: Pair(var("s")), p: Pair(var("p"))}, COMPENSATED))
    above, below = np.array([1e-200, 1e-160, 2.0]), np.array([1e200, 1e152, 8.0])
    (got,) = ScalarFunction("f", ("s", "p"), (graph,)).evaluate([above, below])
    np.testing.assert_allclose(got, [-400 * np.log(10), -312 * np.log(10), -np.log(4)], rtol=1e-15)


def test_the_logarithm_of_a_quotient_that_overflows_is_right() -> None:
    """As where it underflows: the difference of logarithms stands in."""
    found = lower(log(quotient(s, p)), {s: Pair(var("s")), p: Pair(var("p"))}, COMPENSATED)
    core = ScalarFunction("log", ("s", "p"), (COMPENSATED.rounded(found),))
    (got,) = core.evaluate([np.array([1e308]), np.array([0.25])])
    assert got == float(mpmath.log(mpmath.mpf(1e308) * 4))


def test_what_divides_by_a_ratio_is_multiplied_by_the_other() -> None:
    """The inverse of a subnormal quotient would overflow."""
    ((_, near, far), *_) = halves(1 / s - 1 / y, y)
    assert quotient(s, y) in near.atoms(quotient) | far.atoms(quotient)
    assert not any(p.base.has(quotient) and p.exp.is_negative for e in (near, far) for p in e.atoms(sp.Pow))


def test_a_positive_operand_has_no_half_below_zero() -> None:
    """Logarithms of it would be complex there."""
    for _, near, far in halves((y - s) * (log(y) - log(s)), y):
        assert not near.has(sp.I)
        assert not far.has(sp.I, Cases)


def test_nothing_overflows_where_the_loss_is_a_small_number() -> None:
    """Squares of these residuals are beyond float64, and those of the float32 ones beyond float32."""
    want = float(mpmath.log("1e-5") + 2 * mpmath.log(1 + mpmath.mpf("1e205") ** 2 / 3))
    assert F.student_t_nll_loss(1e200, 0.0, 1e-5, df=3, reduction="sum") == pytest.approx(want, rel=1e-15)
    assert F.student_t_nll_loss.vjp(1.0, 1e200, 0.0, 1e-5, df=3, reduction="sum")[0] == pytest.approx(4e-200, rel=1e-15)
    _, slope = F.pseudo_huber_loss.vjp(1.0, 1e300, 0.0, delta=0.5, reduction="sum", wrt=("input", "delta"))
    assert slope == pytest.approx(1e300, rel=1e-15)


def test_limits_at_infinite_operands_are_taken_where_a_kernel_would_give_none() -> None:
    """Infinity over itself is no gradient: the loss is flat there, in the operand itself and in the others."""
    gradients = F.msle_loss.vjp(1.0, 3.0, np.inf, reduction="sum")
    assert gradients == (-np.inf, 0.0)
    assert F.student_t_nll_loss.vjp(1.0, 1.0, 0.0, np.inf, reduction="sum") == (0.0, -0.0, 0.0)
    assert F.student_t_nll_loss.vjp(1.0, np.float32(1), np.float32(0), np.float32(np.inf), reduction="sum")[2] == 0.0


def test_a_leaf_whose_product_stands_under_a_logarithm_is_not_opened() -> None:
    """There is no value for a weight of zero."""
    assert Leaf(log(weighted(p, x)) * weighted(p, x), ()).opened() is None


def test_candidates_are_measured_up_to_the_first_that_is_good_everywhere(monkeypatch) -> None:
    """With free parameters none after it would be taken."""
    seen: list[object] = []
    measured = free.all_errors
    monkeypatch.setattr(free, "all_errors", lambda problem, c: seen.append(c) or measured(problem, c))
    points = np.array([-1.0, 0.5, 2.0])
    probe = Probe(points, ({"s": 2.0},), points[None] * 2, np.zeros((1, 3)))
    problem = Problem(x, {x: Pair(var("x")), s: Pair(var("s"))}, ("x", "s"), probe, TARGETS[1], None)
    bodies = [Formula(x + s, "plain"), Formula(s * x, "plain"), Formula(x * s * 1, "compensated")]
    choice = free.choose_free(problem, bodies)
    assert {segment.body for segment in choice.segments} == {bodies[1]}
    assert seen == bodies[:2]
