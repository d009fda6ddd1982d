"""Units in the last place: spacing, errors at the edges of each format, and the inputs that are measured."""

from __future__ import annotations

import math
from fractions import Fraction

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from symgen.truth import Truth
from symgen.ulp import (
    FORMATS,
    UnknownFormatError,
    all_values,
    error,
    format_of,
    from_ordinals,
    inside,
    log_spaced,
    neighbourhood,
    rounded,
    specials,
    to_ordinals,
    ulp,
)

NAMES = sorted(FORMATS)


def truth_of(*values: Fraction | float) -> Truth:
    """The truth that has exactly these values."""
    exact = [Fraction(v) for v in values]
    high = [float(v) for v in exact]
    low = [v - Fraction(h) for v, h in zip(exact, high, strict=True)]
    residual = [float(v / Fraction(math.ulp(h))) for v, h in zip(low, high, strict=True)]
    return Truth(np.array(high), np.array([float(v) for v in low]), np.array(residual), np.zeros(len(values), bool))


def one(got: float, truth: Truth, dtype: str) -> float:
    """The error of one result."""
    return float(error(np.array([got], format_of(dtype).dtype), truth, dtype)[0])


@pytest.mark.parametrize("name", NAMES)
def test_formats_know_their_largest_and_smallest_numbers(name: str) -> None:
    """The table agrees with NumPy's finfo, or ml_dtypes' for bfloat16."""
    form = format_of(name)
    info = ml_dtypes.finfo(form.dtype)
    assert form.max == float(info.max)
    assert form.tiny == float(info.smallest_normal)
    assert form.smallest == float(info.smallest_subnormal)
    assert from_ordinals(form.largest_ordinal, name) == form.max
    assert from_ordinals(1, name) == form.smallest


@pytest.mark.parametrize("name", NAMES)
def test_ulp_is_the_gap_to_the_next_number_with_a_floor_among_subnormals(name: str) -> None:
    """At a number of the format the unit is the distance to the next one; below the smallest normal it is constant."""
    form = format_of(name)
    points = np.array([1.0, 1.5, form.tiny, form.tiny * 4, form.max / 2])
    following = from_ordinals(to_ordinals(points, name) + 1, name)
    np.testing.assert_array_equal(ulp(points, name), following - points)
    assert set(ulp([0.0, form.smallest, form.tiny / 2], name)) == {form.smallest}


@pytest.mark.parametrize("name", NAMES)
def test_a_tie_is_off_by_exactly_half(name: str) -> None:
    """Halfway between two numbers both are half a unit away, also among subnormals and at the top of the range."""
    form = format_of(name)
    for base in (1.0, form.smallest, form.tiny, form.max - 8 * float(ulp([form.max], name)[0])):
        step = Fraction(float(ulp([base], name)[0]))
        middle = truth_of(Fraction(base) + step / 2)
        assert one(base, middle, name) == 0.5
        assert one(float(Fraction(base) + step), middle, name) == 0.5


@pytest.mark.parametrize("name", NAMES)
def test_an_infinity_is_right_where_the_truth_rounds_to_it(name: str) -> None:
    """Overflow is an error only before the midpoint between the largest number and the next power of two."""
    form = format_of(name)
    step = Fraction(float(ulp([form.max], name)[0]))
    beyond, before = Fraction(form.max) + step, Fraction(form.max) + step / 4
    if name != "float64":
        assert one(math.inf, truth_of(beyond), name) == 0
        assert one(form.max, truth_of(beyond), name) == 1
    assert one(math.inf, truth_of(before), name) == 0.75
    assert one(form.max, truth_of(before), name) == 0.25
    assert one(-math.inf, truth_of(before), name) > 2**form.precision
    infinite = Truth(np.array([math.inf]), np.zeros(1), np.zeros(1), np.zeros(1, bool))
    assert one(math.inf, infinite, name) == 0
    assert one(form.max, infinite, name) == math.inf


@pytest.mark.parametrize("name", NAMES)
def test_nan_and_flushed_results_are_far_off(name: str) -> None:
    """NaN is infinitely wrong, zero for a normal number is off by its whole significand."""
    assert one(math.nan, truth_of(1.0), name) == math.inf
    assert one(0.0, truth_of(1.0), name) == 2.0 ** (format_of(name).precision - 1)
    unknown = Truth(np.array([math.nan]), np.zeros(1), np.zeros(1), np.ones(1, bool))
    assert math.isnan(one(1.0, unknown, name))


@given(st.fractions(min_value=Fraction(-1, 2), max_value=Fraction(1, 2)), st.integers(-1070, 1000))
def test_float64_errors_are_exact_for_any_residual(part: Fraction, exponent: int) -> None:
    """The error of the nearest float64 is what rounding left, at every magnitude."""
    base = math.ldexp(1.25, exponent)
    value = Fraction(base) + part * Fraction(math.ulp(base))
    assert one(base, truth_of(value), "float64") == pytest.approx(abs(float(part)), abs=1e-12)


@pytest.mark.parametrize("name", ["float32", "float16", "bfloat16"])
@given(number=st.floats(-1e5, 1e5), part=st.fractions(min_value=Fraction(-1, 4), max_value=Fraction(1, 4)))
def test_rounding_is_done_once(name: str, number: float, part: Fraction) -> None:
    """No number of the format is nearer to the truth than the rounded one, also just beside a tie."""
    form = format_of(name)
    value = Fraction(number) + part * Fraction(math.ulp(number))
    result = float(rounded(truth_of(value), name)[0])
    if math.isinf(result):
        assert abs(value) >= Fraction(form.max)
        return
    distance = abs(Fraction(result) - value)
    ordinal = int(to_ordinals(result, name)[0])
    for other in from_ordinals([ordinal - 1, ordinal + 1], name):
        assert distance <= abs(Fraction(float(other)) - value)


def test_just_beside_a_midpoint_the_residual_decides() -> None:
    """1 + 2^-24 is a tie in float32; a truth a hair above it rounds up although its float64 is the tie."""
    tie = Fraction(1) + Fraction(1, 2**24)
    hair = Fraction(1, 2**90)
    got = [float(rounded(truth_of(v), "float32")[0]) for v in (tie, tie + hair, tie - hair)]
    assert got == [1.0, 1.0 + 2.0**-23, 1.0]


@pytest.mark.parametrize("name", NAMES)
def test_ordinals_count_the_numbers_of_a_format(name: str) -> None:
    """Ordinals and values are inverse to each other and ordered alike, over the whole range of both signs."""
    largest = format_of(name).largest_ordinal
    ordinals = np.unique(np.linspace(-largest, largest, 2001).astype(np.int64))
    values = from_ordinals(ordinals, name)
    assert (np.diff(values) > 0).all()
    np.testing.assert_array_equal(to_ordinals(values, name)[1:-1], ordinals[1:-1])


@pytest.mark.parametrize("name", NAMES)
def test_log_spaced_points_cover_every_part_of_the_range(name: str) -> None:
    """Both ends, both signs, subnormals and every sixteenth binade have points, each once and the same each time."""
    form = format_of(name)
    points = log_spaced(4000, name)
    assert len(np.unique(points)) == len(points)
    assert points.min() == -form.max
    assert points.max() == form.max
    assert (np.abs(points) < form.tiny).sum() >= (3 if form.bits < 64 else 1)
    exponents = np.unique(np.floor(np.log2(points[points >= form.tiny])))
    assert np.diff(exponents).max() <= 2
    np.testing.assert_array_equal(points, log_spaced(4000, name))


def test_all_values_of_sixteen_bits() -> None:
    """Every finite number once; wider formats are refused."""
    assert len(all_values("float16")) == 2 * 31743 + 1
    assert len(all_values("bfloat16")) == 2 * 32639 + 1
    with pytest.raises(UnknownFormatError, match="too many"):
        all_values("float32")


def test_neighbourhoods_hold_the_floats_on_each_side() -> None:
    """Of a centre, and across zero, where the neighbours are subnormal numbers of the other sign."""
    near = neighbourhood([1.0], 3, "float32")
    assert len(near) == 7
    assert near[4] == float(np.nextafter(np.float32(1), np.float32(2)))
    assert neighbourhood([0.0], 1, "float64").tolist() == [-5e-324, 0.0, 5e-324]
    assert len(neighbourhood([], 3, "float64")) == 0
    assert len(neighbourhood([1.0, 1.0 + 2**-22], 3, "float32")) == 9


def test_specials_have_both_signs_and_the_ends() -> None:
    """The ends of the subnormal and normal numbers are among the special inputs."""
    form = format_of("float32")
    assert {form.max, -form.max, form.tiny, form.smallest, 0.0} <= set(specials("float32").tolist())


def test_domains_keep_what_they_state() -> None:
    """Limits are read as strict or not, as they are written."""
    points = np.array([-1.0, 0.0, 0.5, 1.0])
    assert inside(points, [(">", 0), ("<=", 1)]).tolist() == [False, False, True, True]
    assert inside(points, [("!=", 0)]).tolist() == [True, False, True, True]


def test_an_unknown_dtype_is_named() -> None:
    """The error names the dtype and those that are known."""
    with pytest.raises(UnknownFormatError, match="int32"):
        format_of(np.int32)
