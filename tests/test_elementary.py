"""Elementary functions from specs/elementary: the core's fit, the reduction and its inverse, and the whole range."""

from __future__ import annotations

import math

import numpy as np
import pytest
from flint import arb, ctx

from symgen import ulp
from symgen.arithmetic import COMPENSATED, PLAIN
from symgen.elementary import EXACT, Elementary, _inverse, catalogue, core, elementary, erfcx_nonnegative
from symgen.kernel import ScalarFunction, var, verify


@pytest.fixture(autouse=True)
def precise() -> object:
    """The truth of this file is computed with 256 bits."""
    saved = ctx.prec
    ctx.prec = 256
    yield
    ctx.prec = saved


# of the numbers that 1 + 2u does not overflow for: every other one is in the last binade
ARGUMENTS = np.unique(
    np.concatenate([np.abs(ulp.log_spaced(800, "float64", 3)), np.linspace(0, 60, 1201), 4 + np.linspace(-1, 1, 201)])
)
ARGUMENTS = ARGUMENTS[ARGUMENTS <= 2.0**1022]


def erfcx_errors(arithmetic: object) -> ulp.Floats:
    """The error at each argument, in ULP."""
    result = arithmetic.rounded(erfcx_nonnegative(arithmetic, var("u")))
    got = verify(ScalarFunction("erfcx", ("u",), (result,))).evaluate([ARGUMENTS])[0]
    errors = []
    for u, value in zip(ARGUMENTS.tolist(), got.tolist(), strict=True):
        truth = EXACT["erfcx"](arb(u))
        errors.append(abs(float((arb(value) - truth) / math.ulp(float(truth)))))
    return np.array(errors)


def test_erfcx_in_pairs_is_nearly_correctly_rounded() -> None:
    """From zero and the smallest subnormal up to 2^1022: at most 0.7 ULP."""
    assert erfcx_errors(COMPENSATED).max() <= 0.7


def test_erfcx_in_plain_arithmetic_is_within_a_few_ulp() -> None:
    """The rounding of the core variable costs up to four ULP, all along the range."""
    worst = erfcx_errors(PLAIN).max()
    assert 0.7 < worst <= 4.0


def test_erfcx_at_its_ends() -> None:
    """One at zero, 1/(sqrt(pi) u) far out, NaN for NaN."""
    result = PLAIN.rounded(erfcx_nonnegative(PLAIN, var("u")))
    zero, far, nothing = ScalarFunction("erfcx", ("u",), (result,)).evaluate([np.array([0.0, 1e200, math.nan])])[0]
    assert zero == 1.0
    assert far == pytest.approx(1e-200 / math.sqrt(math.pi), rel=1e-15)
    assert math.isnan(nothing)


@pytest.mark.parametrize("name", catalogue())
def test_every_elementary_function_has_a_truth_and_a_core_that_meets_its_target(name: str) -> None:
    """Each spec names a function of EXACT, and its polynomial is within the bits that the spec asks for."""
    spec = catalogue()[name]
    polynomial = core(name)
    assert name in EXACT
    assert polynomial.error < 2.0**-spec.bits
    assert math.isfinite(sum(polynomial.coefficients))
    for q in np.linspace(spec.interval[0], spec.interval[1], 101)[1:-1]:
        u = _inverse(spec, arb(float(q)))
        truth = EXACT[name](u) * spec.reduce(u)[1]
        value = sum(arb(c) * arb(float(q)) ** k for k, c in enumerate(polynomial.coefficients)) + arb(polynomial.low)
        assert abs((value - truth) / truth) < 1.3 * 2.0**-spec.bits


@pytest.mark.parametrize("name", catalogue())
def test_the_inverse_of_a_reduction_undoes_it(name: str) -> None:
    """The Moebius map is known from three values, and its ends are those of the interval."""
    spec = catalogue()[name]
    for u in (0.0, 0.125, 1.0, 3.7, 1e3):
        q = spec.reduce(arb(u))[0]
        assert spec.interval[0] <= q <= spec.interval[1]
        assert abs(_inverse(spec, q) - u) <= 1e-60 * (1 + u)


def test_a_declaration_keeps_what_it_says() -> None:
    """The decorator gives a record under the name of the decorated function."""

    @elementary(interval=(0, 1), bits=40)
    def half(u: object) -> object:
        return u, u

    assert isinstance(half, Elementary)
    assert (half.name, half.interval, half.bits) == ("half", (0, 1), 40)


def test_a_target_that_no_polynomial_reaches_is_an_error_that_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    """The build stops with the file, the name, the target, and what can be changed."""
    spec = catalogue()["erfcx"]
    hopeless = Elementary("erfcx", spec.reduce, spec.interval, 400)
    monkeypatch.setattr("symgen.elementary.catalogue", lambda: {"erfcx": hopeless})
    with pytest.raises(ArithmeticError, match=r"specs/elementary: no polynomial fits erfcx to 2\^-400; change"):
        core.__wrapped__("erfcx")
