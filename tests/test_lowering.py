"""Lowering: the code of every head, in every arithmetic, measured against the oracle."""

from __future__ import annotations

import inspect
import math
from typing import Any

import numpy as np
import pytest
import sympy as sp
from hypothesis import given
from hypothesis import strategies as st
from sympy import Expr, Rational, Symbol

from symgen import heads, ulp, vocabulary
from symgen.arithmetic import (
    ANNIHILATING,
    COMPENSATED,
    FINELY,
    FINEST,
    FOR_SINGLE_ANNIHILATING,
    HALVED,
    PLAIN,
    SHORT_ANNIHILATING,
    Arithmetic,
    Pair,
    computing_in,
)
from symgen.heads import Cases, first_max, first_min, maximum, minimum, straight_through, weighted
from symgen.kernel import ScalarFunction, topological, var, verify
from symgen.lowering import TABLE, Lowering, LoweringError, lower, number
from symgen.oracle import Oracle
from symgen.vocabulary import (
    HEADS,
    erfc,
    erfcx,
    hypot,
    log1mexp,
    log1p,
    log_mixture,
    mixture_slope,
    mixture_surprise,
    quotient,
    sech2,
    sigmoid,
)

x, y = Symbol("x", real=True), Symbol("y", real=True)
beta, threshold = Symbol("beta", real=True), Symbol("threshold", real=True)
p = Symbol("p", positive=True)
LARGEST = float(np.finfo(float).max)
ARITHMETICS = {"plain": PLAIN, "compensated": COMPENSATED, "halved": HALVED, "annihilating": ANNIHILATING}


def points(least: float = 0.0, largest: float = LARGEST, low: float = -math.inf) -> ulp.Floats:
    """The whole range of both signs, dense where functions bend, without what is too small or too large."""
    bends = np.concatenate([np.linspace(-40, 40, 301) * 1.0123, 2.0 ** np.arange(-30, 10, 0.41)])
    every = np.unique(np.concatenate([ulp.log_spaced(250, "float64", 1), bends, -bends, [0.0]]))
    size = np.abs(every)
    return every[(size <= largest) & (size >= least) & (every > low)]


def graph(e: Expr, arithmetic: Arithmetic) -> ScalarFunction:
    symbols = sorted(e.free_symbols, key=str)
    result = arithmetic.rounded(lower(e, {s: Pair(var(s.name)) for s in symbols}, arithmetic))
    return verify(ScalarFunction("f", tuple(s.name for s in symbols), (result,)))


def at(e: Expr, *values: float, arithmetic: Arithmetic = COMPENSATED) -> float:
    """One value; the arguments follow the names of the symbols."""
    return float(graph(e, arithmetic).evaluate([np.float64(v) for v in values])[0])


def worst(e: Expr, arithmetic: Arithmetic, xs: ulp.Floats) -> float:
    """The largest error in ULP over the points; every truth is known."""
    (s,) = e.free_symbols
    (truth,) = Oracle(e, s, 0).truth(xs, orders=(0,))
    errors = ulp.error(graph(e, arithmetic).evaluate([xs])[0], truth, "float64")
    assert not np.isnan(errors).any()
    return float(errors.max())


# -- heads ------------------------------------------------------------------------------------------------------------

# of each head: the error in ULP allowed of plain and of compensated code, and the lower end of its domain
BOUNDS: dict[Any, tuple[float, float, float]] = {
    sp.exp: (1.1, 1.6, -math.inf),
    sp.log: (1.1, 1.6, 0.0),
    sp.sin: (1.1, 1.6, -math.inf),
    sp.cos: (1.1, 1.6, -math.inf),
    sp.tan: (1.1, 1.6, -math.inf),
    sp.atan: (1.1, 1.1, -math.inf),
    sp.asinh: (1.1, 1.1, -math.inf),
    # through another head, of an argument with a few roundings
    sp.asin: (4.0, 1.6, -1.0),
    sp.acos: (4.0, 1.6, -1.0),
    sp.acosh: (4.0, 1.6, 1.0),
    sp.atanh: (6.0, 1.6, -1.0),
    sp.sinh: (1.1, 1.6, -math.inf),
    sp.cosh: (1.1, 1.6, -math.inf),
    sp.tanh: (3.0, 1.6, -math.inf),
    sp.erf: (1.1, 1.6, -math.inf),
    sp.Abs: (0.0, 0.51, -math.inf),
    sp.sign: (0.0, 0.0, -math.inf),
    vocabulary.sigmoid: (2.1, 1.4, -math.inf),
    vocabulary.softplus: (1.6, 1.6, -math.inf),
    vocabulary.tanh: (3.0, 2.0, -math.inf),
    vocabulary.sech2: (3.6, 1.6, -math.inf),
    vocabulary.expm1: (1.1, 1.6, -math.inf),
    vocabulary.log1p: (1.1, 1.6, -1.0),
    vocabulary.log1mexp: (1.9, 1.9, 0.0),
    vocabulary.erf: (1.1, 1.6, -math.inf),
    # rounding u^2 alone costs u^2 of the last place, up to 26^2, unless it is compensated
    vocabulary.erfc: (800.0, 1.8, -math.inf),
    vocabulary.erfcx: (800.0, 2.2, -math.inf),
    vocabulary.log_half_erfc: (800.0, 2.0, -math.inf),
}

UPPER = {sp.asin: 1.0, sp.acos: 1.0, sp.atanh: 1.0}  # where the domain ends, else it does not

# the same with a low part: x/3 underflows, and where it is large its own last bits are many turns of a wave
ROUNDED = {sp.sin: 2.0**40, sp.cos: 2.0**40, sp.tan: 2.0**20, erfcx: 2.0**20}
LEAST = 2.0**-900


def domain(head: Any, largest: float = LARGEST, least: float = 0.0) -> ulp.Floats:
    xs = points(least, largest, BOUNDS[head][2])
    return xs[xs < UPPER.get(head, math.inf)]


@pytest.mark.parametrize("head", BOUNDS, ids=lambda h: f"{h.__module__.split('.')[0]}.{h.__name__}")
@pytest.mark.parametrize("name", ARITHMETICS)
def test_every_head_is_right_over_its_whole_range(head: Any, name: str) -> None:
    """From the smallest subnormal to the largest float64, within the stated bound."""
    bound = BOUNDS[head][0 if name == "plain" else 1]
    # 1 + 2u, which erfcx divides by, leaves the range in the last binade
    xs = domain(head, 2.0**1022 if head is erfcx else LARGEST)
    assert worst(head(x, evaluate=False), ARITHMETICS[name], xs) <= bound


@pytest.mark.parametrize("head", BOUNDS, ids=lambda h: f"{h.__module__.split('.')[0]}.{h.__name__}")
@pytest.mark.parametrize("name", ["compensated", "halved", "annihilating"])
def test_every_head_follows_the_low_part_of_its_argument(head: Any, name: str) -> None:
    """x/3 rounded first would cost |u f'(u)/f(u)| ULP more, thousands in the tails of an exponential."""
    xs = domain(head, ROUNDED.get(head, LARGEST), LEAST)
    xs = xs[xs / 3 > BOUNDS[head][2]]
    assert worst(head(x / 3, evaluate=False), ARITHMETICS[name], xs) <= BOUNDS[head][1]


def test_dropping_the_low_part_would_be_seen() -> None:
    """The test above can fail: the plain code misses its bound by far."""
    assert worst(sp.exp(x / 3), PLAIN, points()) > 50 * BOUNDS[sp.exp][1]


@pytest.mark.parametrize("name", ARITHMETICS)
def test_hypot_neither_overflows_nor_cancels(name: str) -> None:
    """Correctly rounded in pairs, also where both squares overflow or underflow."""
    assert worst(hypot(x, 3), ARITHMETICS[name], points()) <= 1.0
    if name != "plain":
        assert worst(hypot(x / 3, x + 1), ARITHMETICS[name], points(LEAST, 2.0**900)) <= 0.51


SHARES = (Rational(0), Rational(1), Rational(1, 4), 1 - Rational(2) ** -53, Rational(2) ** -100)


@pytest.mark.parametrize("share", SHARES, ids=str)
@pytest.mark.parametrize("name", ARITHMETICS)
def test_a_mixture_is_right_over_the_whole_range(share: Rational, name: str) -> None:
    """Its logarithm keeps both tails, also where the mixture underflows; its slope is never 0/0."""
    wide, bound = points(), 8.0 if name == "plain" else 1.6
    for head in (log_mixture, mixture_slope):
        assert worst(head(x, share, evaluate=False), ARITHMETICS[name], wide) <= bound
        if name != "plain":
            inside = points(LEAST, 2.0**9)
            assert worst(head(x / 3, share, evaluate=False), ARITHMETICS[name], inside) <= 2.0


@pytest.mark.parametrize("share", SHARES, ids=str)
@pytest.mark.parametrize("name", ARITHMETICS)
def test_the_surprise_of_a_mixture_is_never_nothing_by_nothing(share: Rational, name: str) -> None:
    """Where both underflow it is one, which balls do not tell far out."""
    surprise, bound = mixture_surprise(x, share, evaluate=False), 8.0 if name == "plain" else 1.6
    assert worst(surprise, ARITHMETICS[name], points(0.0, 2.0**12)) <= bound
    if name != "plain":
        assert worst(surprise.xreplace({x: x / 3}), ARITHMETICS[name], points(LEAST, 2.0**12)) <= 2.0
    for far in (-1e300, -math.inf, 1e300, math.inf):
        wrong = share if far < 0 else 1 - share
        want = 1.0 if wrong == 0 else abs(far)
        assert at(surprise, far, arithmetic=ARITHMETICS[name]) == want


@pytest.mark.parametrize("share", SHARES, ids=str)
@pytest.mark.parametrize("name", ["compensated", "halved", "annihilating"])
def test_a_power_of_a_mixture_rounds_no_exponent(share: Rational, name: str) -> None:
    """A logarithm times 20 that is rounded first would be worth hundreds of ULP."""
    for power in (Rational(1, 2), Rational(2), Rational(20)):
        e = sp.exp(power * log_mixture(x, share), evaluate=False)
        assert worst(e, ARITHMETICS[name], points(0.0, 30.0)) <= 2.0
        assert worst(e.xreplace({x: x / 3}), ARITHMETICS[name], points(LEAST, 90.0)) <= 2.0


def test_a_long_power_of_a_mixture_asks_for_more_than_float64_of_its_base() -> None:
    """The thousandth power of a number that is right to 2^-62 alone would be 2 ULP off."""
    e = sp.exp(1000 * log_mixture(x, Rational(1, 4)), evaluate=False)
    assert worst(e, COMPENSATED, points(0.0, 40.0)) <= 1.5


@pytest.mark.parametrize(
    ("share", "logit", "mixture"), [(0, math.inf, 1), (0, -math.inf, 0), (1, -math.inf, 1), (0.25, -math.inf, 0.25)]
)
def test_a_power_of_a_mixture_at_infinity(share: float, logit: float, mixture: float) -> None:
    """Where one share is zero the mixture is the other's probability; its power zero is one even there."""
    e = sp.exp(p * log_mixture(x, y))
    for name in ("plain", "halved", "annihilating"):
        assert at(e, 2.0, logit, share, arithmetic=ARITHMETICS[name]) == mixture**2
        assert at(e, 0.0, logit, share, arithmetic=ARITHMETICS[name]) == 1


# -- sums, products, powers -------------------------------------------------------------------------------------------

SUMS_AND_PRODUCTS = [
    (8943 * x**3 / 200000 + x, 2.0**-300, 2.0**300),
    (sp.pi * x + sp.E, 0.0, 2.0**900),
    (x / 3 + x**2 / 6, 2.0**-900, 2.0**500),
    (x**5 / (1 + x**2) ** 2, 2.0**-190, 2.0**250),
    ((1 + x**2) ** Rational(3, 2), 0.0, 2.0**300),
    ((1 + x**2) ** -2, 0.0, 2.0**250),
    (x / sp.sqrt(1 + x**2), 2.0**-900, 2.0**500),
    (x**-3, 2.0**-330, 2.0**320),
    (3 * x / 7, 2.0**-1000, LARGEST),
    (sp.sqrt(2) * x, 2.0**-900, LARGEST / 2),
    (x * x / (x + 2), 2.0**-500, LARGEST),
]


@pytest.mark.parametrize(("e", "least", "largest"), SUMS_AND_PRODUCTS, ids=str)
def test_rational_functions_in_pairs_are_correctly_rounded(e: Expr, least: float, largest: float) -> None:
    """One rounding in all, wherever no intermediate leaves the range of float64."""
    assert worst(e, COMPENSATED, points(least, largest)) <= 0.501


@pytest.mark.parametrize(
    ("e", "bound"),
    [
        (sp.sqrt(p), 0.501),
        (1 / sp.sqrt(p), 0.501),
        (p ** Rational(1, 3), 1.6),
        (p**sp.pi, 1.6),
        (p ** Rational(-7, 5), 1.6),
        (p**p, 1.1),
        ((p / 3) ** Rational(1, 3), 1.6),
    ],
    ids=str,
)
def test_powers_follow_the_rest_of_their_exponent(e: Expr, bound: float) -> None:
    """An exponent such as 1/3 is no float: its rest times the logarithm of the base is worth a hundred ULP."""
    assert worst(e, COMPENSATED, points(LEAST, low=0.0)) <= bound


@pytest.mark.parametrize(("base", "called"), [(p, ["pow_sum"]), (x, ["log", "pow"])], ids=str)
def test_on_a_gpu_a_power_takes_what_its_base_and_exponent_are_missing(base: Symbol, called: list[str]) -> None:
    """Where the base is known not to be negative; else to first order, by the logarithm."""
    with computing_in(np.float32, FINEST):
        bound = {base: Pair(var("x"), var("low"))}
        made = lower(base ** Rational(1, 3), bound, COMPENSATED)
    assert sorted({n.value for n in topological([COMPENSATED.rounded(made)]) if n.op == "call"}) == called


@pytest.mark.parametrize(
    ("e", "low", "called"),
    [
        (sp.log(x), True, ["log_sum", "log_sum_low"]),
        (sp.log(x), False, ["log_fine", "log_fine_low"]),
        (log1p(x), True, ["log1p_sum", "log1p_sum_low"]),
        (log1p(x), False, ["log1p_sum", "log1p_sum_low"]),
    ],
    ids=str,
)
def test_on_a_gpu_the_finest_logarithm_tells_what_it_loses(e: Expr, low: bool, called: list[str]) -> None:
    """It takes what its argument is missing, and needs no derivative for that; other arithmetic calls libdevice's."""

    def calls(arithmetic: Arithmetic) -> list[str]:
        made = arithmetic.rounded(lower(e, {x: Pair(var("x"), var("low") if low else None)}, arithmetic))
        return sorted({n.value for n in topological([made]) if n.op == "call"})

    with computing_in(np.float32, FINEST):
        assert calls(FINELY) == called
        assert calls(COMPENSATED) == [called[0].partition("_")[0]]


HALVED_PRODUCTS = [
    (x * sp.exp(x), 2.6, LARGEST),
    (x**2 * sp.exp(x), 3.0, 2.0**500),
    (x * sigmoid(x) ** 2, 5.0, LARGEST),
    (x * sigmoid(x) * sigmoid(-x), 3.0, LARGEST),
    (x * sech2(x), 3.0, 2.0**1000),
    (x * erfc(x), 2.6, LARGEST),
    (x * erfc(x / sp.sqrt(2)), 2.6, LARGEST),
    (x / erfcx(x), 2.6, 2.0**1000),
    (1 / erfcx(x), 2.6, 2.0**1000),
]


@pytest.mark.parametrize(("e", "bound", "largest"), HALVED_PRODUCTS, ids=str)
def test_halved_products_keep_their_bits_where_a_factor_is_subnormal(e: Expr, bound: float, largest: float) -> None:
    """The factor that underflows comes last, as a square: x times a subnormal number loses no bits."""
    for arithmetic in (HALVED, ANNIHILATING):
        assert worst(e, arithmetic, points(0.0, largest)) <= bound


@pytest.mark.parametrize("e", [x * sech2(x), x**2 * sp.exp(-(x**2) / 2), x**3 * sigmoid(x) * sigmoid(-x)], ids=str)
def test_an_annihilated_product_is_zero_where_the_other_factor_overflows(e: Expr) -> None:
    """Infinity times an exponential that is gone is what the mathematics says, not NaN."""
    assert [at(e, v, arithmetic=ANNIHILATING) for v in (-LARGEST, -1e200, 1e200, LARGEST)] == [0.0] * 4
    assert math.isnan(at(e, LARGEST, arithmetic=HALVED))
    assert math.isnan(at(e, math.nan, arithmetic=ANNIHILATING))


@pytest.mark.parametrize("arithmetic", [FOR_SINGLE_ANNIHILATING, SHORT_ANNIHILATING], ids=["medium", "short"])
@pytest.mark.parametrize("e", [x * sech2(x), x**2 * sp.exp(-(x**2) / 2), x**3 * sigmoid(x) * sigmoid(-x)], ids=str)
def test_a_product_is_annihilated_without_halves_too(e: Expr, arithmetic: Arithmetic) -> None:
    """For a float32 result a factor need not be its square root: float64 has the range."""
    assert [at(e, v, arithmetic=arithmetic) for v in (-LARGEST, -1e200, 1e200, LARGEST)] == [0.0] * 4
    assert math.isnan(at(e, math.nan, arithmetic=arithmetic))
    assert at(e, 30.0, arithmetic=arithmetic) == pytest.approx(at(e, 30.0), rel=2.0**-33)
    calls = [n.value for n in graph(e, arithmetic).order if n.op == "call"]
    assert calls
    assert not any(c.endswith("_low") for c in calls)


def test_a_square_is_spread_over_a_halved_product() -> None:
    """x^2 overflows before a small factor brings the product back: the factors of the square stand apart."""
    e = x**2 * sigmoid(x / 10**200) * sigmoid(-x / 10**200)
    assert at(e, 2e154, arithmetic=COMPENSATED) == math.inf
    assert at(e, 2e154, arithmetic=HALVED) == pytest.approx(1e308, rel=1e-15)


def test_halving_is_needed() -> None:
    """Where erfc is subnormal and x is 27, the product has lost bits that nothing brings back."""
    xs = np.linspace(26.3, 26.9, 61)
    assert worst(x * erfc(x), COMPENSATED, xs) > 2.6 >= worst(x * erfc(x), HALVED, xs)


@given(st.floats(-1e3, 1e3), st.floats(-1e3, 1e3))
def test_plain_code_is_what_one_would_write(a: float, b: float) -> None:
    """Plain arithmetic has the roundings of the same formula in Python, no more and no fewer."""
    assert at(x + y, a, b, arithmetic=PLAIN) == a + b
    assert at(x - y, a, b, arithmetic=PLAIN) == a - b
    assert at(x * y, a, b, arithmetic=PLAIN) == a * b
    assert at(x / 4, a, arithmetic=PLAIN) == a / 4
    assert at(x / 3, a, arithmetic=PLAIN) == a / 3


# -- constants --------------------------------------------------------------------------------------------------------


CONSTANTS = [sp.pi, sp.E, sp.sqrt(2) / 7, Rational(1, 3), -sp.log(2), Rational(44715, 10**6), sp.pi**30]


@pytest.mark.parametrize("e", CONSTANTS, ids=str)
def test_a_constant_is_the_nearest_float_and_the_rest(e: Expr) -> None:
    """Both parts together have a hundred bits, and the first is correctly rounded."""
    high, low = number(e)
    exact = sp.N(e, 60)
    assert abs(Rational(high) + Rational(low) - exact) <= abs(exact) * Rational(1, 2**104)
    assert abs(Rational(high) - exact) <= Rational(math.ulp(high)) / 2


def test_constants_beyond_the_range_are_infinite_and_not_real_ones_an_error() -> None:
    """An infinity has no rest; a complex number has no code, and the message shows it."""
    assert number(sp.oo) == (math.inf, 0.0)
    assert number(-sp.oo) == (-math.inf, 0.0)
    assert number(-(sp.Integer(10) ** 400)) == (-math.inf, 0.0)
    with pytest.raises(LoweringError, match=r"I.* is not a real constant"):
        number(sp.I + 1)


# -- kinks ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("arithmetic", ARITHMETICS.values(), ids=ARITHMETICS)
def test_piecewise_heads_choose_and_pass_nan_and_minus_zero_through(arithmetic: Arithmetic) -> None:
    """The larger, the smaller, cases, weights and straight_through, with data rather than the constant at a tie."""
    for larger, smaller in ((first_max, first_min), (maximum, minimum)):
        assert at(larger(x, y), 1.0, 2.0, arithmetic=arithmetic) == 2.0
        assert at(smaller(x, y), 1.0, 2.0, arithmetic=arithmetic) == 1.0
        for head, order in ((larger, (0, x)), (larger, (x, 0)), (smaller, (0, x)), (smaller, (x, 0))):
            assert math.copysign(1, at(head(*order), -0.0, arithmetic=arithmetic)) == -1
            assert math.isnan(at(head(*order), math.nan, arithmetic=arithmetic))
    assert at(Cases(sp.Gt(x, 0), x / 3, -x), 1.0, arithmetic=arithmetic) == 1 / 3
    assert at(weighted(x, sp.log(y)), 0.0, 0.0, arithmetic=arithmetic) == 0.0
    assert at(weighted(x, y), 3.0, 0.5, arithmetic=arithmetic) == 1.5
    assert at(straight_through(x, y), 3.0, 5.0, arithmetic=arithmetic) == 3.0
    assert at(sp.sign(x), 0.0, arithmetic=arithmetic) == 0.0


@pytest.mark.parametrize("name", ARITHMETICS)
def test_a_power_of_a_quotient_stays_in_range(name: str) -> None:
    """The quotient is one number, and its square is the square of that."""
    assert at(quotient(x, y) ** 2, 3e200, 1.5e200, arithmetic=ARITHMETICS[name]) == 4.0


# -- completeness and errors ------------------------------------------------------------------------------------------


def test_every_head_has_code_and_every_code_is_tested() -> None:
    """The vocabulary, the piecewise heads and TABLE agree, and this file measures each of them."""
    piecewise = {c for _, c in inspect.getmembers(heads, inspect.isclass) if c.__module__ == heads.__name__}
    piecewise -= {heads.RealFunction}
    assert set(HEADS) <= set(TABLE)
    assert piecewise <= set(TABLE)
    assert set(TABLE) == {*BOUNDS, *piecewise, hypot, quotient, sp.Add, sp.Mul, sp.Pow,
                          log_mixture, mixture_slope, mixture_surprise}  # fmt: skip


@pytest.mark.parametrize(
    ("e", "message"),
    [
        (sp.zeta(x), r"no code for zeta in zeta\(x\)"),
        (x + sp.gamma(1 + x), r"no code for gamma in gamma\(x \+ 1\)"),
        (x + y, r"unknown symbol y; the kernel has \['x'\]"),
        (Cases(sp.Contains(x, sp.Interval(0, 1)), x, 0), "no code for the condition Contains"),
    ],
)
def test_what_has_no_code_is_named(e: Expr, message: str) -> None:
    """An unknown function, symbol or condition is an error that says which."""
    with pytest.raises(LoweringError, match=message):
        lower(e, {x: Pair(var("x"))}, PLAIN)


def test_equal_parts_are_lowered_once() -> None:
    """A head that occurs twice is one node of the graph, and walks of the same expression give the same node."""
    walk = Lowering(COMPENSATED, {x: Pair(var("x"))})
    assert walk.pair(sigmoid(x)) is walk.pair(sigmoid(x))
    assert graph(x + log1p(x), PLAIN).results == graph(x + log1p(x), PLAIN).results
    assert graph(log1mexp(x), PLAIN).results != graph(log1mexp(-x), PLAIN).results


@pytest.mark.parametrize("exponent", [1_000_000, -1_000_000])
@pytest.mark.parametrize("arithmetic", ARITHMETICS)
def test_a_large_power_is_a_few_multiplications(arithmetic: str, exponent: int) -> None:
    """A power in a product is squared up, not written out factor by factor."""
    code = graph(3 * x**exponent * y, ARITHMETICS[arithmetic])
    assert len(topological(code.results)) < 2000


@pytest.mark.parametrize("values", [(1.0, 1e308, 3.0), (1.0, 3.0, 1e308)])
def test_a_constant_below_one_comes_before_the_other_factors(values: tuple[float, ...]) -> None:
    """x y/(2 p) is inside the range where x y/p is not, in whatever order the factors stand."""
    assert at(x * y / (2 * p), *values, arithmetic=HALVED) == 1.5e308


@pytest.mark.parametrize("label", [0.0, 1.0])
def test_what_is_exact_in_a_sum_is_added_first(label: float) -> None:
    """A label less what tends to it keeps its tail, though it is squared: the zero before the tail is exact."""
    tail = sp.exp(-x)
    right = at((p - 1 + p * tail) ** 2 if label else (p + (1 - p) * tail) ** 2, label, 80.0)
    assert right == pytest.approx(math.exp(-160), rel=1e-13)
