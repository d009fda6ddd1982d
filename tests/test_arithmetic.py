"""Arithmetic on pairs: what a low part recovers, that the high part is the plain result, and what overflow leaves."""

from __future__ import annotations

import math
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from symgen.arithmetic import (
    COMPENSATED,
    FINEST,
    HALVED,
    ONE,
    PLAIN,
    RENEWED,
    Pair,
    absolute,
    computing_in,
    exact,
    negative,
)
from symgen.kernel import Node, ScalarFunction, const, node, var, verify

LARGEST = 1.7976931348623157e308
TINY = Fraction(1, 2**100)

A, B = Pair(var("a"), var("al")), Pair(var("b"), var("bl"))
BINARY = {"add": COMPENSATED.add, "sub": COMPENSATED.sub, "mul": COMPENSATED.mul, "div": COMPENSATED.div}


def computed(*results: Node, **values: float) -> list[float]:
    """Results of a graph at one point."""
    function = verify(ScalarFunction("test", tuple(values), results))
    return [float(r) for r in function.evaluate([np.float64(v) for v in values.values()])]


def rounded(pair: Pair, **values: float) -> float:
    return computed(COMPENSATED.rounded(pair), **values)[0]


def total(pair: Pair, **values: float) -> Fraction:
    """The exact sum of both parts."""
    assert pair.low is not None
    return sum(map(Fraction, computed(pair.high, pair.low, **values)), Fraction())


@st.composite
def pairs(draw: st.DrawFn, positive: bool = False) -> tuple[float, float]:
    """A float of moderate size, and a low part of at most half its last place."""
    mantissa = draw(st.integers(2**52, 2**53 - 1))
    high = math.ldexp(mantissa, draw(st.integers(-252, 148)))
    high = high if positive or draw(st.booleans()) else -high
    return high, math.ulp(high) * draw(st.floats(-0.5, 0.5, allow_subnormal=False))


# -- error-free transformations ---------------------------------------------------------------------------------------


@given(st.floats(-1e300, 1e300), st.floats(-1e300, 1e300))
def test_the_sum_of_two_floats_is_exact(a: float, b: float) -> None:
    """Whatever the magnitudes, nothing is lost of a sum of two exact numbers."""
    assert total(COMPENSATED.add(exact(var("a")), exact(var("b"))), a=a, b=b) == Fraction(a) + Fraction(b)


@given(pairs(), pairs())
def test_the_product_of_two_floats_is_exact(a: tuple[float, float], b: tuple[float, float]) -> None:
    """The residual of a product is a float, and fma finds it."""
    got = total(COMPENSATED.mul(exact(var("a")), exact(var("b"))), a=a[0], b=b[0])
    assert got == Fraction(a[0]) * Fraction(b[0])


@pytest.mark.parametrize("name", BINARY)
@given(a=pairs(), b=pairs())
def test_operations_on_pairs_keep_a_hundred_bits(name: str, a: tuple[float, float], b: tuple[float, float]) -> None:
    """Sums to 2^-100 of what is added, products and quotients to 2^-100 of themselves."""
    x, y = Fraction(a[0]) + Fraction(a[1]), Fraction(b[0]) + Fraction(b[1])
    truth = {"add": x + y, "sub": x - y, "mul": x * y, "div": x / y}[name]
    size = abs(x) + abs(y) if name in ("add", "sub") else abs(truth)
    got = total(BINARY[name](A, B), a=a[0], al=a[1], b=b[0], bl=b[1])
    assert abs(got - truth) <= size * TINY


@pytest.mark.parametrize("name", BINARY)
@given(a=pairs(), b=pairs())
def test_one_operation_on_exact_numbers_is_nearest(name: str, a: tuple[float, float], b: tuple[float, float]) -> None:
    """The high part is what the exact result rounds to, and is said to be; after a second operation it need not be."""
    got = BINARY[name](exact(var("a")), exact(var("b")))
    truth = {"add": Fraction.__add__, "sub": Fraction.__sub__, "mul": Fraction.__mul__, "div": Fraction.__truediv__}
    assert got.nearest
    assert rounded(got, a=a[0], b=b[0]) == float(truth[name](Fraction(a[0]), Fraction(b[0])))
    assert not BINARY[name](got, exact(var("b"))).nearest
    assert not BINARY[name](A, exact(var("b"))).nearest


@given(pairs(positive=True))
def test_a_square_root_keeps_a_hundred_bits(a: tuple[float, float]) -> None:
    """The square of the root of a pair is the pair again."""
    got = total(COMPENSATED.sqrt(A), a=a[0], al=a[1])
    x = Fraction(a[0]) + Fraction(a[1])
    assert abs(got * got - x) <= x * TINY


@given(st.floats(-30, 30), st.integers(1, 17))
def test_powers_keep_almost_a_hundred_bits(a: float, n: int) -> None:
    """Repeated squaring loses a few of the last bits for each factor."""
    assume(abs(a) > 1e-3)
    truth = Fraction(a) ** n
    pair = COMPENSATED.power(exact(var("a")), n)
    got = Fraction(a) if pair.low is None else total(pair, a=a)
    assert abs(got - truth) <= abs(truth) * n * TINY


@given(pairs(), pairs())
def test_rounding_once_at_the_end_is_rounding_the_truth(a: tuple[float, float], b: tuple[float, float]) -> None:
    """a*b - a*b's rounding is what plain arithmetic calls zero; pairs give it to the last bit."""
    product = exact(var("a") * var("b"))
    gap = COMPENSATED.sub(COMPENSATED.mul(exact(var("a")), exact(var("b"))), product)
    assert rounded(gap, a=a[0], b=b[0]) == float(Fraction(a[0]) * Fraction(b[0]) - Fraction(a[0] * b[0]))


@given(pairs(), pairs())
def test_normal_puts_the_rounded_value_first(a: tuple[float, float], b: tuple[float, float]) -> None:
    """The high part becomes the nearest float of the sum, which stays the same."""
    quotient = COMPENSATED.div(A, B)
    values = {"a": a[0], "al": a[1], "b": b[0], "bl": b[1]}
    again = COMPENSATED.normal(quotient)
    assert again.low is not None
    high, low = computed(again.high, again.low, **values)
    assert high == float(total(quotient, **values))
    assert abs(low) <= math.ulp(high) / 2
    assert total(again, **values) == total(quotient, **values)


@given(pairs())
def test_signs_move_through_pairs(a: tuple[float, float]) -> None:
    """Negation and magnitude change both parts."""
    x = Fraction(a[0]) + Fraction(a[1])
    assert total(COMPENSATED.neg(A), a=a[0], al=a[1]) == -x
    assert total(COMPENSATED.abs(A), a=a[0], al=a[1]) == abs(x)


# -- shape of the graph -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", BINARY)
def test_the_high_part_is_the_plain_result(name: str) -> None:
    """Compensation adds a low part beside the same nodes, and none where it is off."""
    a, b = exact(var("a")), exact(var("b"))
    plain = getattr(PLAIN, name)(a, b)
    assert plain.low is None
    assert BINARY[name](a, b).high is plain.high
    assert getattr(HALVED, name)(a, b) == BINARY[name](a, b)


@pytest.mark.parametrize("factor", [1.0, -1.0, 0.5, -4.0, 2.0**1023, 2.0**-1022])
def test_powers_of_two_cost_no_rounding_and_no_residual(factor: float) -> None:
    """Multiplying by them, and dividing, scales what is there."""
    a = exact(var("a"))
    assert COMPENSATED.mul(a, exact(const(factor))).low is None
    assert COMPENSATED.div(a, exact(const(factor))).low is None
    assert computed(COMPENSATED.mul(a, exact(const(factor))).high, a=0.75) == [0.75 * factor]
    assert computed(COMPENSATED.div(a, exact(const(factor))).high, a=0.75) == [0.75 / factor]


@pytest.mark.parametrize("divisor", [5e-324, 2.0**-1024, -(2.0**-1073)])
def test_a_divisor_without_a_finite_reciprocal_is_divided_by(divisor: float) -> None:
    """A subnormal power of two is not replaced by a multiplication with infinity."""
    for arithmetic in (PLAIN, COMPENSATED):
        result = arithmetic.rounded(arithmetic.div(exact(var("a")), exact(const(divisor))))
        assert computed(result, a=1e-310) == [1e-310 / divisor]


def test_constants_keep_their_rest_only_where_it_is_used() -> None:
    """Plain arithmetic drops the low part of a constant, and a zero rest is no rest."""
    assert COMPENSATED.constant(0.1, 1e-18) == Pair(const(0.1), const(1e-18), nearest=True)
    assert PLAIN.constant(0.1, 1e-18) == COMPENSATED.constant(0.1, 0.0) == Pair(const(0.1))


def test_signs_fold_into_constants_and_cancel() -> None:
    """Minus minus is nothing, and a constant has its sign itself."""
    a = var("a")
    assert negative(negative(a)) is a
    assert negative(ONE) is const(-1.0)
    assert absolute(negative(node("abs", a))) is node("abs", a)
    assert absolute(const(-2.0)) is const(2.0)
    assert PLAIN.add(exact(var("b")), exact(negative(a))).high is var("b") - a
    assert PLAIN.add(exact(negative(a)), exact(var("b"))).high is var("b") - a


@given(pairs(), st.floats(-4, 4))
def test_correction_is_the_first_order_term(a: tuple[float, float], slope: float) -> None:
    """f(h + l) is f(h) + l f'(h); without a low part, or uncompensated, it is f(h)."""
    f = COMPENSATED.correct(exact(var("a") * const(slope)), A, const(slope))
    assert f.low is not None
    assert computed(f.low, a=a[0], al=a[1]) == [a[1] * slope]
    assert COMPENSATED.correct(exact(var("a")), exact(var("a")), ONE).low is None
    assert PLAIN.correct(exact(var("a")), A, ONE).low is None


# -- what overflow and invalid operations leave -----------------------------------------------------------------------

a, b = exact(var("a")), exact(var("b"))
BEYOND = [
    (COMPENSATED.mul(a, b), 1e300, 1e300, math.inf),
    (COMPENSATED.mul(a, b), -1e300, 1e300, -math.inf),
    (COMPENSATED.add(a, b), LARGEST, LARGEST, math.inf),
    (COMPENSATED.add(a, b), math.inf, 1.0, math.inf),
    (COMPENSATED.sub(a, b), 1.0, math.inf, -math.inf),
    (COMPENSATED.div(a, b), 1.0, 0.0, math.inf),
    (COMPENSATED.div(a, b), 1.0, math.inf, 0.0),
    (COMPENSATED.div(a, b), math.inf, 2.0, math.inf),
    (COMPENSATED.sqrt(a), 0.0, 0.0, 0.0),
    (COMPENSATED.sqrt(a), -0.0, 0.0, -0.0),
    (COMPENSATED.sqrt(a), math.inf, 0.0, math.inf),
    (COMPENSATED.power(a, 3), 1e200, 0.0, math.inf),
    (COMPENSATED.add(COMPENSATED.mul(a, b), a), 1e300, 1e300, math.inf),
]
INVALID = [
    (COMPENSATED.add(a, b), math.inf, -math.inf),
    (COMPENSATED.mul(a, b), 0.0, math.inf),
    (COMPENSATED.div(a, b), 0.0, 0.0),
    (COMPENSATED.sqrt(a), -1.0, 0.0),
    (COMPENSATED.add(a, b), math.nan, 1.0),
    (COMPENSATED.mul(a, b), math.nan, 0.0),
]


@pytest.mark.parametrize(("pair", "x", "y", "want"), BEYOND)
def test_where_the_low_part_says_nothing_the_plain_result_stands(pair: Pair, x: float, y: float, want: float) -> None:
    """Overflow and division by zero give what IEEE gives, through rounded and through normal, sign of zero included."""
    again = COMPENSATED.normal(pair)
    assert again.low is not None
    for got in (rounded(pair, a=x, b=y), *computed(again.high, a=x, b=y)):
        assert got == want
        assert math.copysign(1, got) == math.copysign(1, want)
    assert computed(again.low, a=x, b=y) == [0.0]


@pytest.mark.parametrize(("pair", "x", "y"), INVALID)
def test_invalid_operations_and_nan_stay_nan(pair: Pair, x: float, y: float) -> None:
    """No fallback hides a NaN of the plain result."""
    assert math.isnan(rounded(pair, a=x, b=y))
    assert math.isnan(computed(COMPENSATED.normal(pair).high, a=x, b=y)[0])


def test_exact_numbers_pass_rounding_unchanged() -> None:
    """A pair without a low part is its high part."""
    assert COMPENSATED.rounded(exact(var("a"))) is var("a")
    assert COMPENSATED.normal(exact(var("a"))) == exact(var("a"))


def test_a_gpu_is_not_asked_for_functions_that_it_does_not_have_in_float32() -> None:
    """Low parts that know more are there in float64 alone."""
    fine = replace(COMPENSATED, fine=True)
    assert fine.function("exp", var("x")).high.value == "exp_fine"
    with computing_in(np.float32):
        assert fine.function("exp", var("x")).high.value == "exp"
    with computing_in(np.float32, FINEST):
        told = fine.function("exp", var("x"))
        assert (told.high.value, told.low and told.low.value) == ("exp_fine", "exp_fine_low")
        assert fine.function("expm1", var("x")) == Pair(node("call", var("x"), value="expm1"))


@pytest.mark.parametrize(("arithmetic", "right"), [(COMPENSATED, False), (RENEWED, True)])
def test_the_product_of_two_differences_keeps_what_their_low_parts_make(arithmetic, right: bool) -> None:
    """Where sums are rounded again; else a product of two numbers that are all low part is zero."""
    gap = arithmetic.sub(Pair(ONE, var("low")), Pair(ONE))
    got = computed(arithmetic.rounded(arithmetic.mul(gap, gap)), low=2.0**-70)[0]
    assert (got == 2.0**-140) is right


def test_a_sum_that_is_no_number_is_not_rounded_again() -> None:
    """An infinite sum stays one."""
    total = RENEWED.add(Pair(var("a"), var("al")), Pair(var("a"), var("al")))
    assert computed(RENEWED.rounded(total), a=LARGEST, al=1.0) == [math.inf]
