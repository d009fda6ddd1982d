"""Sine and cosine of a sum of two floats: right to nearly one rounding everywhere, compiled and in NumPy alike."""

from __future__ import annotations

import math
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import flint
import mpmath
import numpy as np
import numpy.typing as npt
import pytest
import sympy as sp
from hypothesis import example, given
from hypothesis import strategies as st
from numba import njit

from symgen import trig_numpy
from symgen.arithmetic import COMPENSATED, PLAIN, Pair
from symgen.backends.numba_cpu import ModuleText, Operand, OutputText, VariantText, emit
from symgen.kernel import ScalarFunction, call, var
from symgen.lowering import lower
from symgen.runtime import trig

Array = npt.NDArray[np.float64]

BOUND = 0.56  # ULP
BITS = 2600  # h may be 2^1024, l 2^-1074, and h + l may come near a multiple of pi/2
LARGEST = sys.float_info.max
SPECIAL = [0.0, -0.0, 5e-324, -5e-324, 1e-300, 2.0**-30, 1.0, -1.5, 2.0**30, 1e22, 1e300, LARGEST, -LARGEST]
NOT_FINITE = [math.inf, -math.inf, math.nan]

HARDEST = math.ldexp(6381956970095103, 797)  # no float64 is nearer to a multiple of pi/2: 2^-60.9


@njit
def compiled(h: Array, l: Array, sine: Array, cosine: Array) -> None:
    for i in range(h.size):
        sine[i] = trig.sin_sum(h[i], l[i])
        cosine[i] = trig.cos_sum(h[i], l[i])


def both(h: Any, l: Any) -> tuple[Array, Array]:
    """The compiled sine and cosine, having checked that NumPy's are the same bits."""
    h, l = np.atleast_1d(np.asarray(h, dtype=float)), np.atleast_1d(np.asarray(l, dtype=float))
    sine, cosine = np.empty_like(h), np.empty_like(h)
    compiled(h, l, sine, cosine)
    np.testing.assert_array_equal(sine.view(np.int64), trig_numpy.sin_sum(h, l).view(np.int64))
    np.testing.assert_array_equal(cosine.view(np.int64), trig_numpy.cos_sum(h, l).view(np.int64))
    return sine, cosine


def error(computed: float, true: flint.arb) -> float:
    """The error in units in the last place of what was computed."""
    unit = math.ulp(max(abs(computed), sys.float_info.min))
    return abs(float((flint.arb(computed) - true) / flint.arb(unit)))


def worst(h: Array, l: Array) -> float:
    sine, cosine = both(h, l)
    found = 0.0
    with flint.ctx.workprec(BITS):
        for a, b, s, c in zip(h.tolist(), l.tolist(), sine.tolist(), cosine.tolist(), strict=True):
            x = flint.arb(a) + flint.arb(b)
            found = max(found, error(s, x.sin()), error(c, x.cos()))
    return found


def over(low: int, high: int, count: int) -> tuple[Array, Array]:
    """Numbers with exponents in a range, and low parts up to half a unit in their last place."""
    rng = np.random.default_rng(abs(low) + 3 * high)
    h = np.ldexp(rng.uniform(1, 2, count), rng.integers(low, high, count)) * rng.choice([-1, 1], count)
    return h, np.spacing(np.abs(h)) * rng.uniform(-0.5, 0.5, count)


@pytest.mark.parametrize(("low", "high", "count"), [
    (-1074, 1024, 3000), (-40, 2, 2000), (2, 29, 2000), (28, 34, 1000), (50, 60, 1000), (1000, 1024, 1000),
])  # fmt: skip
def test_ten_thousand_sums_over_the_whole_range(low: int, high: int, count: int) -> None:
    """From the smallest number to the largest, with a low part: 0.56 ULP, and NumPy gives the same bits."""
    assert worst(*over(low, high, count)) <= BOUND


def test_floats_without_a_low_part() -> None:
    """With nothing to add, the result is the correctly rounded sine in nearly all cases too."""
    h, l = over(-60, 1024, 1000)
    assert worst(h, 0.0 * l) <= BOUND


def nearest(exponent: int) -> float:
    """The m 2^exponent, m below 2^53, that is nearest to a multiple of pi/2: a convergent's denominator."""
    with mpmath.workprec(BITS):
        rest = mpmath.ldexp(2 / mpmath.pi, exponent)
        before, m = 0, 1
        while True:
            rest = 1 / (rest - mpmath.floor(rest))
            before, m = m, int(mpmath.floor(rest)) * m + before
            if m >= 2**53:
                return math.ldexp(before, exponent)


@pytest.mark.parametrize("low", [0.0, 0.5, -0.5, 1e-17])
def test_floats_nearest_to_a_multiple_of_a_quarter_turn(low: float) -> None:
    """Where up to 61 bits cancel, with and without a low part, no digit of the result is lost."""
    h = np.array([nearest(exponent) for exponent in (*range(-52, 0), *range(0, 972, 7), 797)])
    assert h[-1] == HARDEST
    assert worst(h, np.spacing(h) * low) <= BOUND
    near = np.minimum(*map(np.abs, both(h, 0.0 * h)))
    assert near.max() < 2.0**-49
    assert near.min() > 2.0**-61


def test_sums_that_are_multiples_of_a_quarter_turn_to_twice_the_precision() -> None:
    """A low part that cancels all but 2^-107 of the high part leaves a result with all its digits."""
    rng = np.random.default_rng(4)
    counts = [*range(-64, 65), *rng.integers(1, 2**40, 200).tolist(), *(3**k for k in range(40, 600, 7))]
    with flint.ctx.workprec(BITS):
        exact = [flint.arb.pi() / 2 * k for k in counts]
        h = [float(x) for x in exact]
        l = [float(x - flint.arb(a)) for x, a in zip(exact, h, strict=True)]
    assert worst(np.array(h), np.array(l)) <= BOUND


def test_low_parts_of_any_size() -> None:
    """The low part may be larger than the high part, and may cancel it."""
    points = np.array(SPECIAL)
    h, l = (grid.ravel() for grid in np.meshgrid(points, points))
    assert worst(h, l) <= BOUND
    assert worst(h + 1.0, -h) <= BOUND


def test_a_known_value_from_another_library() -> None:
    """mpmath agrees on the hardest float64, and on the largest with half a unit added."""
    sine, cosine = both([HARDEST, LARGEST], [0.0, 2.0**970])
    with mpmath.workprec(BITS):
        assert float(cosine[0]) == float(mpmath.cos(mpmath.mpf(HARDEST)))
        assert float(sine[1]) == float(mpmath.sin(mpmath.mpf(LARGEST) + mpmath.mpf(2) ** 970))


@given(st.floats(allow_nan=False, allow_infinity=False), st.floats(-0.5, 0.5))
@example(HARDEST, 0.0)
@example(-LARGEST, -0.5)
def test_any_product(h: float, part: float) -> None:
    """Whatever the number and its low part, both functions are right to 0.56 ULP."""
    assert worst(np.array([h]), np.array([math.ulp(h) * part if abs(h) < LARGEST else 2.0**970 * part])) <= BOUND


@given(st.floats(allow_nan=False, allow_infinity=False), st.floats(allow_nan=False, allow_infinity=False))
def test_symmetry(h: float, l: float) -> None:
    """The sine is odd and the cosine is even, to the last bit."""
    sine, cosine = both([h, -h], [l, -l])
    assert sine[0] == -sine[1]
    assert cosine[0] == cosine[1]


@pytest.mark.parametrize("l", [0.0, -0.0, 1.0, *NOT_FINITE])
@pytest.mark.parametrize("h", NOT_FINITE)
def test_what_is_not_finite_has_no_sine(h: float, l: float) -> None:
    """An infinite or missing high part gives NaN, whatever the low part."""
    assert np.isnan([trig.sin_sum(h, l), trig.cos_sum(h, l)]).all()
    assert np.isnan([trig_numpy.sin_sum(h, l), trig_numpy.cos_sum(h, l)]).all()


@pytest.mark.parametrize("l", NOT_FINITE)
@pytest.mark.parametrize("h", SPECIAL)
def test_a_low_part_that_is_not_finite_counts_as_zero(h: float, l: float) -> None:
    """Where the residual of a product overflowed, the high part is used alone."""
    np.testing.assert_array_equal(both(h, l), both(h, 0.0))


@pytest.mark.parametrize("l", [0.0, -0.0, math.nan])
def test_the_sign_of_zero_is_kept(l: float) -> None:
    """The sine of -0.0 is -0.0, and of the smallest number itself."""
    sine, cosine = both([0.0, -0.0, 5e-324, -5e-324], l * np.ones(4))
    np.testing.assert_array_equal(sine, [0.0, -0.0, 5e-324, -5e-324])
    assert np.signbit(sine).tolist() == [False, True, False, True]
    assert (cosine == 1.0).all()


def test_the_table_holds_the_bits_of_two_over_pi() -> None:
    """Every word of the table is right by mpmath, and the integer of the NumPy version by the same."""
    with mpmath.workprec(trig_numpy.BITS + 120):
        true = int(mpmath.floor(mpmath.ldexp(2 / mpmath.pi, trig_numpy.BITS)))
    words = [(true >> 64 * k) & (2**64 - 1) for k in reversed(range(trig_numpy.BITS // 64))]
    assert trig.TWO_OVER_PI.tolist() == [0] * trig.PADDING + words
    assert trig_numpy.two_over_pi() == true


def test_the_constants_are_the_nearest_floats() -> None:
    """Sums of floats that stand for pi/2 and -1/6 are right to the last bit of their last part."""
    with mpmath.workprec(400):
        for parts, true in ((trig.QUARTER_TURN, mpmath.pi / 2), (trig.SIXTH, mpmath.mpf(-1) / 6)):
            rest = +true
            for part in parts:
                assert part == float(rest)
                rest -= part
        assert float(2 / mpmath.pi) == trig.QUARTERS


@pytest.mark.parametrize("name", [
    "QUARTER_TURN", "QUARTERS", "DIRECT", "CANCELLED", "FIRST_ORDER", "SINE", "COSINE", "SIXTH",
])  # fmt: skip
def test_both_versions_have_the_same_constants(name: str) -> None:
    """The runtime cannot import the other, nor the other Numba: what is written twice is equal."""
    assert getattr(trig, name) == getattr(trig_numpy, name)


def test_numpy_broadcasts_like_any_function() -> None:
    """Scalars and arrays go together, and the result has their common shape."""
    h = np.array([[1.0], [1e300]])
    got = trig_numpy.sin_sum(h, np.array([0.0, 0.25, 1e280]))
    assert got.shape == (2, 3)
    assert got[1, 2] == trig.sin_sum(1e300, 1e280)
    assert trig_numpy.cos_sum(0.5, 0.25).shape == ()


@pytest.mark.parametrize(("function", "numpy"), [(sp.sin, np.sin), (sp.cos, np.cos)])
def test_a_compensated_argument_is_passed_whole(function: Any, numpy: Callable[[Array], Array]) -> None:
    """The lowered sine of 30 x is right up to 1e306; in plain arithmetic it is the sine of the rounded product."""
    x = sp.Symbol("x", real=True)
    points = np.array([1e-3, 0.3, 7.7, 1e9 / 3, 1e17 / 3, 1e200 / 3, 1e306 / 3])
    graphs = [lower(function(30 * x), {x: Pair(var("x"))}, arithmetic) for arithmetic in (COMPENSATED, PLAIN)]
    assert graphs[0].low is None
    got, plain = ScalarFunction("wave", ("x",), tuple(g.high for g in graphs)).evaluate([points])
    np.testing.assert_allclose(plain, numpy(30 * points), rtol=1e-15)
    with flint.ctx.workprec(BITS):
        true = [getattr(30 * flint.arb(p), function.__name__)() for p in points.tolist()]
    assert max(map(error, got.tolist(), true)) <= BOUND
    assert max(map(error, plain.tolist(), true)) > 1e15


def test_an_exact_argument_needs_no_sum() -> None:
    """Without a low part the C library's sine is called, also in compensated arithmetic."""
    x = sp.Symbol("x", real=True)
    assert lower(sp.sin(x), {x: Pair(var("x"))}, COMPENSATED).high.value == "sin"


def test_a_module_imports_what_it_calls() -> None:
    """Generated code takes the functions from the runtime beside it, and only those that occur."""
    x = var("x")
    wave = ScalarFunction("wave", ("x",), (call("sin_sum", x, x),))
    outputs = (OutputText("value", wave, wave), OutputText("grad", wave, wave))
    text = emit(ModuleText(
        "wave", "A wave.", "sin(2*x)", "wave.py", "0", (Operand("x", "tensor"),), (VariantText("", outputs),),
        runtime=".._runtime",
    ))  # fmt: skip
    assert "\nfrom .._runtime.trig import sin_sum\nfrom ..elementary import rest_near, sin_near\n\ncore = " in text


CACHED = """
import math, numpy as np
from numba import njit
from symgen.runtime.trig import cos_sum, sin_sum

@njit(cache=True, fastmath={"contract"}, error_model="numpy")
def loop(x, out):
    for i in range(x.size):
        out[i] = sin_sum(x[i], x[i] * 2.0**-54) * cos_sum(x[i], 0.0)

out = np.empty(3)
loop(np.array([1.0, 1e10, 1e300]), out)
print(out.tobytes().hex(), sum(loop.stats.cache_hits.values()))
"""


def test_loops_that_call_it_can_be_cached(tmp_path: Path) -> None:
    """A second process finds the compiled loop, table and all, and computes the same."""
    script = tmp_path / "cached.py"
    script.write_text(CACHED, encoding="utf-8")
    root = Path(trig.__file__).parents[2]
    environment = {"PYTHONPATH": str(root), "NUMBA_CACHE_DIR": str(tmp_path / "cache"), "PATH": ""}
    runs = [
        subprocess.run([sys.executable, script], env=environment, capture_output=True, text=True, check=True).stdout
        for _ in range(2)
    ]
    assert [run.split()[1] for run in runs] == ["0", "1"]
    assert runs[0].split()[0] == runs[1].split()[0]


def test_products_keep_every_digit_even_beyond_float64() -> None:
    """The sine and cosine of a product are right to 0.56 ULP, whatever the factors, and the same in NumPy."""
    rng = np.random.default_rng(7)
    a, b = (
        np.ldexp(rng.uniform(0.5, 1.0, 400) * rng.choice([-1, 1], 400), rng.integers(-1000, 1024, 400)) for _ in "ab"
    )
    with np.errstate(over="ignore"):
        beyond = np.isinf(a * b)
    assert beyond.sum() > 20
    sine, cosine = trig_numpy.sin_product(a, b), trig_numpy.cos_product(a, b)
    with flint.ctx.workprec(2600):
        for i in range(a.size):
            exact = flint.arb(a[i]) * flint.arb(b[i])
            for got, array, truth in (
                (trig.sin_product(a[i], b[i]), sine[i], exact.sin()),
                (trig.cos_product(a[i], b[i]), cosine[i], exact.cos()),
            ):
                assert got == array
                size = max(abs(float(truth)), 2.0**-1000)
                assert float(abs(flint.arb(got) - truth)) <= 0.56 * np.spacing(size)


def test_products_of_infinities_are_no_numbers() -> None:
    """A factor that is not finite gives NaN, and minus zero keeps its sign."""
    results = [trig.sin_product(np.inf, 0.0), trig.cos_product(1.0, np.nan), trig.sin_product(-np.inf, 2.0)]
    assert np.isnan(results).all()
    assert math.copysign(1.0, trig.sin_product(-0.0, 1.0)) == -1.0
