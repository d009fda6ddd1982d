"""The oracle: truth from the naive formula alone, at kinks, in tails, at the ends of the range."""

from __future__ import annotations

import inspect
import math
import pickle

import mpmath
import numpy as np
import pytest
import sympy as sp
from flint import arb
from sympy import Rational, Symbol

from symgen import vocabulary
from symgen.heads import Cases, first_max, first_min, maximum, minimum, straight_through, weighted
from symgen.kinks import switches
from symgen.oracle import Oracle, OracleError, Truth, working_precision
from symgen.oracle_balls import OUTER
from symgen.ulp import log_spaced

x = Symbol("x", real=True)
a = Symbol("a", extended_real=True)
SIGMOID = 1 / (1 + sp.exp(-x))
GELU = x * (1 + sp.erf(x / sp.sqrt(2))) / 2
SQUAREPLUS = (x + sp.sqrt(x**2 + 4)) / 2
LOG_NDTR = sp.log((1 + sp.erf(x / sp.sqrt(2))) / 2)


def value(expression: sp.Expr, at: float, order: int = 0, **parameters: float) -> float:
    """One correctly rounded value."""
    (truth,) = Oracle(expression, x).truth([at], parameters, (order,))
    return float(truth.high[0])


@pytest.mark.parametrize("kind", sorted(OUTER, key=lambda k: (k.__module__, k.__name__)), ids=lambda k: k.__name__)
def test_jets_of_every_elementary_function_match_symbolic_derivatives(kind: type[sp.Expr]) -> None:
    """The three coefficients of each table row are the derivatives of the function's definition."""
    plain = vocabulary.DEFINITIONS.get(kind, kind)
    inner = x + x**2 / 8
    at = Rational(3, 2) if kind is sp.acosh else Rational(1, 2)
    jet = Oracle(kind(inner, evaluate=False), x).jet(float(at), precision=200)
    for k, ball in enumerate(jet):
        flat = kind in (sp.floor, sp.ceiling) and k
        want = 0 if flat else sp.N(sp.diff(plain(inner), x, k).subs(x, at), 40)
        with working_precision(200):
            assert abs(ball - arb(str(want))) <= abs(ball) * 1e-28, (kind, k)


@pytest.mark.parametrize(
    ("expression", "at", "order", "want"),
    [
        (SIGMOID, 40.0, 1, "4.248354255291588995e-18"),
        (SIGMOID, -745.0, 0, "4.9921757230635e-324"),
        (GELU, -38.0, 0, None),
        (SQUAREPLUS, -1e300, 0, "1e-300"),
        (SQUAREPLUS, -1e300, 1, None),
        (sp.log(1 - sp.exp(-x)), 1e-300, 0, "-690.7755278982137"),
        (x - (sp.exp(x) - sp.exp(-x)) / (sp.exp(x) + sp.exp(-x)), 1e-30, 0, None),
    ],
)
def test_cancellation_and_tails_come_out_right(expression: sp.Expr, at: float, order: int, want: str | None) -> None:
    """Where naive float64 returns zero, infinity or noise, the oracle agrees with a thousand digits of mpmath."""
    got = value(expression, at, order)
    if want is None:
        with mpmath.workdps(1000):
            f = sp.lambdify(x, sp.diff(expression, x, order), "mpmath")
            want = mpmath.nstr(f(mpmath.mpf(at)), 20)
    assert got == float(want)


def test_pair_of_floats_has_sixty_five_bits_also_among_subnormals() -> None:
    """High and residual reproduce the ball, for values of every magnitude down to the subnormal numbers."""
    oracle = Oracle(sp.exp(x), x, 0)
    points = np.array([-744.4, -708.5, -1.0, 0.5, 700.0])
    (truth,) = oracle.truth(points, orders=(0,))
    for p, high, residual in zip(points, truth.high, truth.residual, strict=True):
        ball = oracle.ball(float(p), 0, bits=200)
        assert ball is not None
        error = ball - arb(float(high)) - arb(float(residual)) * math.ulp(high)
        assert abs(error) < arb(math.ulp(high)) * 2.0**-17
        assert abs(residual) <= 0.5000001


def test_huge_and_tiny_values_are_infinite_and_zero() -> None:
    """Beyond float64 the truth is an infinity of the right sign, far below it is zero, and neither is unknown."""
    (truth,) = Oracle(-sp.exp(x), x, 0).truth([1e4, 1e300, -1e4, -1e300], orders=(0,))
    assert truth.high.tolist() == [-math.inf, -math.inf, 0.0, 0.0]
    assert not truth.unknown.any()


@pytest.mark.parametrize(
    ("expression", "at", "jet"),
    [
        (first_max(0, x), 0.0, (0, 0, 0)),
        (first_max(x, 0), 0.0, (0, 1, 0)),
        (first_min(6, first_max(0, x)), 6.0, (6, 0, 0)),
        (first_min(x, 6), 6.0, (6, 1, 0)),
        (maximum(x, 2 * x), 0.0, (0, 1.5, 0)),
        (minimum(x, 2 * x), 0.0, (0, 1.5, 0)),
        (sp.Abs(x), 0.0, (0, 0, 0)),
        (sp.Abs(x) ** 3, -2.0, (8, -12, 12)),
        (sp.sign(x), -3.0, (-1, 0, 0)),
        (Cases(x > 0, x, 2 * (sp.exp(x) - 1)), 0.0, (0, 2, 2)),
        (Cases(sp.And(x > -1, x < 1), x**2, 1), 1.0, (1, 0, 0)),
        (Cases(sp.Or(x < -1, x > 1), x, sp.exp(x)), 0.0, (1, 1, 1)),
        (Cases(x < 0, sp.log(-x), x), 2.0, (2, 1, 0)),
        (straight_through(x**2, 3 * x), 2.0, (4, 3, 0)),
        (weighted(x, sp.log(x)), 0.0, (0, math.nan, math.nan)),
        (weighted(0 * x, sp.log(x)), 0.0, (0, 0, 0)),
    ],
)
def test_kinks_follow_the_declared_convention(expression: sp.Expr, at: float, jet: tuple[float, ...]) -> None:
    """At a tie the first argument of max and min wins, maximum shares, abs is flat, cases use the branch that holds."""
    got = [float(t.high[0]) for t in Oracle(expression, x).truth([at])]
    np.testing.assert_array_equal(got, jet)


def test_switches_are_the_zeros_of_a_formulas_conditions() -> None:
    """Each place where a formula changes its branch is listed once."""
    expression = first_min(6, first_max(0, x)) + sp.Abs(x - 2) + Cases(x > 3, x, 0)
    assert set(switches(expression)) >= {x - 2, x - 3}


def test_outside_the_domain_is_undefined_not_unknown() -> None:
    """A logarithm of a negative number is certainly undefined; sqrt(0) has a value but no derivative."""
    (truth,) = Oracle(sp.log(1 - sp.exp(-x)), x).truth([-1.0, 0.0, 1.0], orders=(0,))
    assert np.isnan(truth.high).tolist() == [True, True, False]
    assert not truth.unknown.any()
    roots = Oracle(sp.sqrt(x), x).truth([0.0, 4.0])
    assert [t.high.tolist()[1] for t in roots] == [2.0, 0.25, -1 / 32]
    assert roots[0].high[0] == 0
    assert np.isnan(roots[1].high[0])
    assert not any(t.unknown.any() for t in roots)


def test_exhausted_precision_is_unknown_until_a_proved_form_is_given() -> None:
    """log(Phi(x)) far out needs more bits than the cap: unknown, but settled by the head that is proved equal."""
    points = np.array([-1e10, -50.0, -5.0, 3.0])
    literal = Oracle(LOG_NDTR, x).truth(points)
    assert literal[0].unknown.tolist() == [True, False, False, False]
    equal = vocabulary.log_half_erfc(-x / sp.sqrt(2))
    settled = Oracle(LOG_NDTR, x, fallback=equal).truth(points)
    assert not any(t.unknown.any() for t in settled)
    assert settled[0].high[0] == pytest.approx(-5e19)
    assert settled[1].high[0] == pytest.approx(1e10)
    head = Oracle(equal, x).truth(points)
    for lit, other in zip(literal, head, strict=True):
        known = ~lit.unknown
        np.testing.assert_array_equal(lit.high[known], other.high[known])


@pytest.mark.parametrize("head", sorted(vocabulary.DEFINITIONS, key=lambda h: h.__name__), ids=lambda h: h.__name__)
def test_heads_agree_with_their_definitions(head: type[sp.Expr]) -> None:
    """A head evaluated directly and by its definition are the same truth, with both derivatives."""
    arguments = (x, sp.Integer(3))[: len(inspect.signature(vocabulary.DEFINITIONS[head]).parameters)]
    points = np.array([1e-20, 1e-3, 0.3, 0.9, 2.0, 5.0])
    direct = Oracle(head(*arguments), x).truth(points)
    defined = Oracle(vocabulary.DEFINITIONS[head](*arguments), x).truth(points)
    for left, right in zip(direct, defined, strict=True):
        assert not left.unknown.any()
        np.testing.assert_array_equal(left.high, right.high)


@pytest.mark.parametrize(
    ("expression", "sign", "order", "want"),
    [
        (SIGMOID, 1, 0, 1.0),
        (SIGMOID, -1, 0, 0.0),
        (GELU, -1, 0, 0.0),
        (GELU, 1, 0, math.inf),
        (GELU, 1, 1, 1.0),
        (sp.log(1 / (1 + sp.exp(-x))), -1, 0, -math.inf),
        (sp.sin(30 * x), 1, 0, None),
        (sp.sin(30 * x), 1, 1, None),
        (sp.sin(x) / x, 1, 0, 0.0),
        (sp.log(x), 1, 0, math.inf),
        (1 / sp.log(x), 1, 0, 0.0),
        (x / (1 + sp.Abs(x)), -1, 0, -1.0),
        (sp.pi + 1 / x, 1, 0, math.pi),
        (sp.log(1 - sp.exp(-x)), -1, 0, None),
        (x**2 * sp.exp(-x), -1, 0, math.inf),
    ],
)
def test_limits_at_infinity(expression: sp.Expr, sign: int, order: int, want: float | None) -> None:
    """Constants, zero and infinities are seen; an oscillation and the outside of the domain have no limit."""
    assert Oracle(expression, x).limit(sign, order) == want


def test_parameters_may_differ_from_point_to_point() -> None:
    """The derivative in an option, at many operands and values of the option at once."""
    elu = Cases(x > 0, x, a * (sp.exp(x) - 1))
    points = np.array([-1.0, -2.0, 3.0])
    (truth,) = Oracle(elu, a, 1).truth(np.array([1.0, 2.0, 3.0]), {"x": points}, (1,))
    np.testing.assert_allclose(truth.high, [math.expm1(-1), math.expm1(-2), 0], rtol=1e-15)


def test_a_missing_parameter_and_an_unknown_node_are_named() -> None:
    """Errors say which symbol has no value, and which node has no ball arithmetic."""
    with pytest.raises(OracleError, match="parameter a"):
        Oracle(a * x, x).truth([1.0])
    with pytest.raises(OracleError, match="LambertW"):
        Oracle(sp.LambertW(x), x)


@pytest.mark.parametrize("power", [Rational(1, 3), Rational(3, 2), -2, 5, a])
def test_powers_of_every_kind(power: sp.Expr) -> None:
    """Integer, half-integer, other rational and symbolic exponents, with both derivatives."""
    truths = Oracle(x**power, x).truth([0.7, 2.5], {"a": 1.75})
    p = 1.75 if power is a else float(power)
    for k, factor in enumerate((1, p, p * (p - 1))):
        np.testing.assert_allclose(truths[k].high, factor * np.array([0.7, 2.5]) ** (p - k), rtol=1e-14)


def test_an_option_that_is_an_even_integer_takes_negative_bases() -> None:
    """|x|^p written as x^p is fine at x < 0 where p is an integer at run time, and undefined where it is not."""
    (whole,) = Oracle(x**a, x).truth([-2.0, 0.0], {"a": 2.0}, (0,))
    (broken,) = Oracle(x**a, x).truth([-2.0], {"a": 2.5}, (0,))
    assert whole.high.tolist() == [4.0, 0.0]
    assert np.isnan(broken.high[0])
    assert not broken.unknown[0]


def test_jets_of_a_ball_enclose_the_points_inside() -> None:
    """Enclosures over an interval hold the values and derivatives at points of the interval."""
    oracle = Oracle(GELU, x)
    wide = oracle.jet(arb(0.5, 0.25))
    for at in (0.3, 0.5, 0.74):
        for outer, inner in zip(wide, oracle.jet(at), strict=True):
            assert outer.contains(inner)


def test_an_oracle_survives_pickling_and_gives_the_same_truth() -> None:
    """Worker processes get the formula, not the compiled program."""
    oracle = Oracle(GELU, x)
    copy = pickle.loads(pickle.dumps(oracle))
    points = log_spaced(200, "float32")
    for left, right in zip(oracle.truth(points), copy.truth(points), strict=True):
        np.testing.assert_array_equal(left.high, right.high)
        np.testing.assert_array_equal(left.low, right.low)


def test_no_points_give_empty_truth() -> None:
    """Nothing in, nothing out."""
    assert [len(t) for t in Oracle(SIGMOID, x).truth([])] == [0, 0, 0]
    assert len(Truth.join([*Oracle(SIGMOID, x).truth([1.0]), *Oracle(SIGMOID, x).truth([])])) == 3


@pytest.mark.parametrize("at", [3.0, 30.0, 1e10, 1e150])
def test_tails_of_the_error_function_stay_narrow(at: float) -> None:
    """An argument that is itself a ball, as x/sqrt(2), must not cost the accuracy of erfc far out."""
    oracle = Oracle(vocabulary.log_half_erfc(x / sp.sqrt(2)), x)
    for order, want in enumerate((-at * at / 2, -at, -1.0)):
        ball = oracle.ball(at, order)
        assert ball is not None
        assert float(ball) == pytest.approx(want, rel=0.5)


def test_patience_only_decides_when_the_proved_form_is_asked():
    """At 128 bits the formula cancels from 88 on; the form that was proved equal gives the same truth there."""
    formula, known = sp.log(1 - 1 / (1 + sp.exp(-x))), -vocabulary.softplus(x)
    points = np.array([-1.0, 50.0, 100.0, 700.0, 1000.0])
    quick = Oracle(formula, x, 2, known, patience=128).truth(points)
    patient = Oracle(formula, x, 2).truth(points)
    assert not any(t.unknown.any() for t in quick + patient)
    for one, other in zip(quick, patient, strict=True):
        assert one.high.tolist() == other.high.tolist()
        assert np.all(np.abs(one.low - other.low) <= 2.0**-64 * np.abs(one.high))
