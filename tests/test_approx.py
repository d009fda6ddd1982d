"""Fitted polynomials: the error that is stated is the error there is, and what cannot be fitted is refused."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from flint import arb, ctx

from symgen.approx import PRECISION, Polynomial, fit, split, to_fraction
from symgen.arithmetic import COMPENSATED, Pair
from symgen.kernel import Node, ScalarFunction, const, var, verify


def at(node: Node, t: float) -> float:
    return float(verify(ScalarFunction("p", ("t",), (node,))).evaluate([np.float64(t)])[0])


def exact_error(polynomial: Polynomial, f: object, t: float) -> float:
    """The relative error of the rounded coefficients at a point, without any further rounding."""
    z = Fraction(t) ** polynomial.step
    value = sum(Fraction(c) * z**k for k, c in enumerate(polynomial.coefficients)) + Fraction(polynomial.low)
    saved = ctx.prec
    ctx.prec = PRECISION
    try:
        truth = to_fraction(f(arb(t)))
        return abs(float((value - truth) / truth))
    finally:
        ctx.prec = saved


SMOOTH = {
    "exp": (lambda t: t.exp(), -0.25, 0.5, 1),
    "log1p": (lambda t: (1 + t).log() / t if t != 0 else arb(1), 0.01, 0.3, 1),
    "cos": (lambda t: t.cos(), 0.0, 0.7, 2),
    "expm1 over t": (lambda t: t.expm1() / t if t != 0 else arb(1), 0.0, 1.0, 1),
    "one over": (lambda t: 1 / (13 + 4 * t), -0.25, 0.25, 1),
}


@pytest.mark.parametrize("name", SMOOTH)
@pytest.mark.parametrize("bits", [20.0, 33.0, 55.0])
def test_a_fit_is_as_good_as_it_says_between_its_points(name: str, bits: float) -> None:
    """At points that neither the fit nor its check has seen, the error is within the asked bits and what is stated."""
    f, low, high, step = SMOOTH[name]
    polynomial = fit(f, low, high, bits, step)
    assert polynomial is not None
    assert polynomial.error < 2.0**-bits
    errors = [exact_error(polynomial, f, t) for t in np.linspace(low, high, 173)[1:]]
    assert max(errors) <= 1.3 * polynomial.error + 2.0**-60
    assert max(errors) < 1.3 * 2.0**-bits


def test_fewer_bits_need_fewer_coefficients() -> None:
    """The shortest length that reaches the target is taken."""
    f, low, high, step = SMOOTH["exp"]
    lengths = []
    for bits in (10.0, 20.0, 33.0, 55.0):
        polynomial = fit(f, low, high, bits, step)
        assert polynomial is not None
        lengths.append(len(polynomial.coefficients))
    assert lengths == sorted(set(lengths))


@pytest.mark.parametrize("name", SMOOTH)
def test_the_code_adds_less_than_a_rounding(name: str) -> None:
    """Horner with the leading term last and its rest: one ULP plain, half of one with the low part."""
    f, low, high, step = SMOOTH[name]
    polynomial = fit(f, low, high, 55.0, step)
    assert polynomial is not None
    pair = polynomial.node(var("t"))
    saved = ctx.prec
    ctx.prec = PRECISION
    try:
        for t in np.linspace(low, high, 101)[1:]:
            truth = to_fraction(f(arb(float(t))))
            unit = Fraction(math.ulp(float(truth)))
            high_part = Fraction(at(pair.high, t))
            assert abs(high_part - truth) <= unit
            assert pair.low is not None
            assert abs(high_part + Fraction(at(pair.low, t)) - truth) <= Fraction(1, 2) * unit
            assert at(COMPENSATED.rounded(pair), t) == float(high_part + Fraction(at(pair.low, t)))
    finally:
        ctx.prec = saved


def test_a_constant_function_is_one_coefficient_with_its_rest() -> None:
    """pi as a polynomial is a pair of floats, and its slope is zero."""
    polynomial = fit(lambda _: arb.pi(), -1.0, 1.0, 100.0)
    assert polynomial is not None
    assert polynomial.coefficients == (math.pi,)
    assert polynomial.low == 1.2246467991473532e-16
    assert polynomial.node(var("t")) == Pair(const(math.pi), const(1.2246467991473532e-16))
    assert at(polynomial.slope(var("t")), 0.3) == 0.0


def test_a_polynomial_is_found_again() -> None:
    """Small integers as coefficients come back exactly, and the slope is the derivative."""
    polynomial = fit(lambda t: 5 + 2 * t - t**2 + t**3 / 2, -1.0, 1.0, 90.0)
    assert polynomial is not None
    assert polynomial.coefficients[:4] == pytest.approx((5.0, 2.0, -1.0, 0.5), abs=1e-60)
    assert at(polynomial.slope(var("t")), 0.5) == 2.0 - 1.0 + 0.375


@pytest.mark.parametrize(
    ("f", "low", "high"),
    [
        (lambda t: t.exp() - 2, 0.0, 2.0),  # a root inside: no relative error holds
        (lambda _: None, 0.0, 1.0),
        (lambda t: 1 / t if t > 0 else arb.nan(), -1.0, 1.0),
        (lambda t: abs(t) + 1, -1.0, 1.0),  # a kink
        (lambda t: (40 * t).sin() + 2, -1.0, 1.0),  # too many waves
    ],
)
def test_what_no_polynomial_follows_is_refused(f: object, low: float, high: float) -> None:
    """A root, a hole, a pole, a kink and too many bends give None, not a bad piece."""
    assert fit(f, low, high, 40.0) is None


def test_a_limit_on_the_length_is_kept() -> None:
    """Six coefficients are not enough for fifty bits of an exponential on the unit interval."""
    assert fit(lambda t: t.exp(), -1.0, 1.0, 50.0, most=6) is None
    assert fit(lambda t: t.exp(), -1.0, 1.0, 50.0) is not None


def test_the_working_precision_is_put_back() -> None:
    """Fitting does not change the precision that the rest of the process computes in, also when it fails."""
    before = ctx.prec
    fit(lambda t: t.exp(), 0.0, 1.0, 20.0)
    fit(lambda _: None, 0.0, 1.0, 20.0)
    assert ctx.prec == before


def test_split_gives_the_nearest_float_and_the_nearest_to_the_rest() -> None:
    """Two floats hold the midpoint of a ball to 2^-106."""
    saved = ctx.prec
    ctx.prec = PRECISION
    try:
        third = arb(1) / 3
        high, low = split(third)
        assert high == 1 / 3
        assert abs(Fraction(high) + Fraction(low) - Fraction(1, 3)) < Fraction(1, 2**106)
        assert to_fraction(arb(5) / 8) == Fraction(5, 8)
    finally:
        ctx.prec = saved
