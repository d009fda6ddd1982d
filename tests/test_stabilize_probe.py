"""Where the stabiliser measures: probe points, kinks, roots, and the truth at each."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
import sympy as sp
from sympy import Abs, Symbol, exp, sqrt

from symgen.arithmetic import Pair
from symgen.heads import Cases, first_max
from symgen.kernel import ScalarFunction, var
from symgen.oracle import Oracle
from symgen.stabilize.form import Constant, Segment
from symgen.stabilize.leaves import Bench, Leaf
from symgen.stabilize.probe import (
    TARGETS,
    Probe,
    between,
    error,
    grid,
    kinks,
    magnitudes,
    measure,
    merged,
    neighbours,
    nested_kinks,
    powers,
    roots,
    together,
)
from symgen.stabilize.sampler import Question, Sampler

x = Symbol("x", real=True)
w = Symbol("w", real=True)
F32, F64 = TARGETS
LARGEST = float(np.finfo(float).max)


def test_the_grid_spans_everything() -> None:
    """Both signs, zero, subnormals of both formats, both largest numbers, and infinities where the domain has them."""
    points = grid(-math.inf, math.inf)
    assert np.array_equal(points, np.unique(points))
    assert np.array_equal(points, -points[::-1])
    for value in (0.0, 5e-324, 2.0**-149, float(np.finfo(np.float32).max), LARGEST, math.inf):
        assert value in points
    probe = Probe(points, ({},), points[None], np.zeros_like(points)[None])
    assert 0.3 < probe.single.mean() < 0.7
    ratio = magnitudes()[1:] / magnitudes()[:-1]
    assert ratio.max() < 2.0**14
    inside = (magnitudes()[1:] > 2.0**-12) & (magnitudes()[1:] < 2.0**11)
    assert ratio[inside].max() < 2.0 ** (1.1 / 20)


def test_points_of_the_grid_are_the_same_on_every_processor() -> None:
    """Cuts stand at them, so that powers are rounded correctly: 2^(k/8) is the float64 nearest to the root of 2^k."""
    exponents = np.arange(-300.0, 300.0) / 8  # exact
    for exponent, power in zip(exponents.tolist(), powers(exponents).tolist(), strict=True):
        below, above = (Fraction(power) + s * Fraction(math.ulp(power)) / 2 for s in (-1, 1))
        assert below**8 < Fraction(2) ** int(8 * exponent) < above**8


def test_the_grid_keeps_to_the_domain() -> None:
    """Ends that are numbers are limits, not points that must be there; thinning keeps the ends of the line."""
    points = grid(0.0, 10.0)
    assert points[0] == 0.0
    assert 9.5 < points[-1] <= 10.0
    assert grid(-math.inf, math.inf, 3)[-1] == math.inf
    assert set(grid(-math.inf, math.inf, 3)[-3:-1]) == {2.0**1023 * 1.5, LARGEST}  # where twice a number overflows
    assert grid(-math.inf, math.inf, 3).size < grid(-math.inf, math.inf).size / 2.5


def test_the_truth_at_infinity_is_the_limit_and_none_where_there_is_none() -> None:
    """tanh tends to one, sine to nothing, and a parameter at zero makes infinity times zero unknown."""
    ends = np.array([-math.inf, 1.0, math.inf])
    assert measure(Oracle(sp.tanh(x), x, 0), 0, ends, ({},)).high[0, [0, 2]].tolist() == [-1.0, 1.0]
    assert np.isnan(measure(Oracle(sp.sin(x), x, 0), 0, ends, ({},)).high[0, [0, 2]]).all()
    rows = measure(Oracle(w * x, x, 0), 0, ends, ({"w": 2.0}, {"w": 0.0})).high
    assert rows[0].tolist() == [-math.inf, 2.0, math.inf]
    assert np.isnan(rows[1, [0, 2]]).all()


def probe_of(truth: list[float], low: list[float] | None = None) -> Probe:
    high = np.array([truth])
    return Probe(np.arange(len(truth), dtype=float), ({},), high, np.array([low or [0.0] * len(truth)]))


@pytest.mark.parametrize(
    ("target", "truth", "low", "got", "want"),
    [
        (F64, 1.0, 0.0, 1.0 + 2.0**-52, 1.0),
        (F64, 1.0, 2.0**-54, 1.0, 0.25),
        (F64, 1.5, 0.0, math.nan, math.inf),
        (F64, math.nan, 0.0, 3.0, math.nan),
        (F64, 0.0, 0.0, 5e-324, 1.0),
        (F64, 1e-310, 0.0, 1e-310 + 2e-323, 4.0),
        (F64, math.inf, 0.0, math.inf, 0.0),
        (F64, math.inf, 0.0, LARGEST, 0.0),
        (F64, math.inf, 0.0, -math.inf, math.inf),
        (F64, math.inf, 0.0, 1.0, math.inf),
        (F64, LARGEST, 0.0, math.inf, math.inf),
        (F32, 1.0, 0.0, 1.0 + 2.0**-25, 0.25),
        (F32, 2.0**-149, 0.0, 2.0**-150, 0.5),
        (F32, 1e300, 0.0, 1e299, 0.0),
        (F32, 1e300, 0.0, 1.0, math.inf),
        (F32, 1e-300, 0.0, 0.0, 1e-300 * 2.0**149),
    ],
)
def test_errors_are_in_ulp_of_the_target(target, truth: float, low: float, got: float, want: float) -> None:
    """Subnormals have the spacing of the smallest normal, beyond the largest only the sign counts, NaN is unknown."""
    (found,) = error(np.array([[got]]), probe_of([truth], [low]), target)[0]
    np.testing.assert_allclose(found, want, rtol=1e-12)


def test_points_between_lie_around_the_cuts_and_are_new() -> None:
    """Next to each cut, inside the neighbouring gaps of the grid, many of them float32 values."""
    points = np.array([-8.0, -4.0, -2.0, -1.0, 1.0, 2.0, 4.0, 8.0])
    segments = [Segment(-math.inf, 2.0, Constant(0.0)), Segment(2.0, math.inf, Constant(1.0))]
    near = between(segments, points)
    assert near.size >= 15
    assert near.min() > -1.0
    assert near.max() < 8.0
    assert not np.isin(near, points).any()
    assert (near.astype(np.float32) == near).sum() >= near.size / 4
    assert between(segments[:1], points).size == 0
    assert between(segments, np.array([2.0, np.nextafter(2.0, 3.0)])).size == 0


def test_roots_are_bracketed_and_surrounded() -> None:
    """Sign changes are found, poles of even order and zeros without a change are not, neighbours come ever closer."""
    points = np.linspace(-3, 3, 60)
    cubic = measure(Oracle((x - 1) * (x + 2) * x**2, x, 0), 0, points, ({},))
    assert roots(cubic) == pytest.approx([-2.0, 1.0], abs=0.11)
    near = neighbours(1.7)
    assert 1.7 in near
    assert np.diff(near).min() == math.ulp(1.7)
    assert 1e-4 < near.max() - 1.7 < 1e-2
    assert neighbours(1e200).max() < 1.001e200


def test_roots_of_even_order_are_found_where_the_function_touches_zero() -> None:
    """No change of sign tells of them; a minimum that is not next to nothing, and a zero tail, are no roots."""
    points = np.unique(np.concatenate([grid(-math.inf, math.inf), neighbours(1.5)]))
    assert roots(measure(Oracle((2 * x - 3) ** 2 * exp(x), x, 0), 0, points, ({},))) == [1.5]
    assert roots(measure(Oracle((2 * x - 3) ** 2 + 1, x, 0), 0, points, ({},))) == []
    assert roots(measure(Oracle(exp(-(x**2)), x, 0), 0, points, ({},))) == []


def test_kinks_at_numbers_are_where_linear_switches_vanish() -> None:
    """Conditions, absolute values and maxima; not what changes elsewhere, nor with a parameter."""
    assert kinks(Abs(x - 3) + first_max(2 * x, 1), x) == [0.5, 3.0]
    assert kinks(Cases(sp.Gt(x, w), x, Abs(x**2 - 2)), x) == []
    assert neighbours(math.inf).size == 0


def test_a_choice_is_checked_beside_kinks_within_kinks() -> None:
    """Where an absolute value of another turns, and where curves meet; not where a case would turn that never holds."""
    nested = Abs(Abs(Abs(x) - 2) - 1)
    assert nested_kinks(nested, x) == [-3.0, -2.0, -1.0, 0.0, 1.0, 2.0, 3.0]
    assert nested_kinks(first_max(x**3, x), x) == [-1.0, 0.0, 1.0]
    assert nested_kinks(Abs(Abs(x) + 1), x) == [0.0]
    assert nested_kinks(Abs(x - w), x) == []
    many = nested_kinks(Abs(sp.Add(*(Abs(x - k) for k in range(30))) - 500), x)  # of 2^30 combinations some are tried
    assert set(range(30)) <= set(many)
    fresh = Sampler(x, ({},), grid(-math.inf, math.inf)).fresh(Question(nested, nested, x, 0))
    assert {math.nextafter(1, 0), 1.0, math.nextafter(1, 2)} <= set(fresh.x.tolist())


def test_fresh_points_are_not_those_of_the_grid() -> None:
    """Over the whole range and both formats, inside the domain, and the same from run to run."""
    points = grid(0.0, math.inf)
    sampler = Sampler(x, ({},), points)
    question = Question(exp(-x), exp(-x), x, 0)
    fresh = sampler.fresh(question)
    assert np.array_equal(fresh.x, sampler.fresh(question).x)
    assert fresh.x.min() >= 0
    assert np.isin(fresh.x, points).mean() < 0.1
    assert fresh.x.max() > 1e300
    assert 0.3 < fresh.single.mean() < 0.9


@pytest.mark.parametrize("order", [0, 1, 2])
def test_truth_of_all_orders_together_is_that_of_each_alone(order: int) -> None:
    """Asking once for a value and its derivatives changes none of them, at points where some are undefined too."""
    x = Symbol("x", real=True)
    oracle, points, settings = Oracle(sqrt(x) * exp(-x), x), np.array([-1.0, 0.0, 1e-300, 0.5, 700.0, np.inf]), ({},)
    ours, alone = together(oracle, order, points, settings), measure(oracle, order, points, settings)
    assert np.array_equal(ours.high, alone.high, equal_nan=True)
    assert np.array_equal(ours.low, alone.low)


def test_merging_keeps_each_point_once_in_order() -> None:
    """Points of both probes with their truths."""
    oracle = Oracle(x**2, x, 0)
    a, b = (measure(oracle, 0, np.array(p), ({},)) for p in ([0.0, 2.0, 4.0], [1.0, 2.0, 3.0]))
    both = merged(b, a)
    assert both.x.tolist() == [0.0, 1.0, 2.0, 3.0, 4.0]
    assert both.high.tolist() == [[0.0, 1.0, 4.0, 9.0, 16.0]]


def test_merging_probes_of_several_settings_leaves_open_what_neither_asked() -> None:
    """Each setting keeps its own points."""
    nothing = np.zeros((1, 1))
    a, b = (Probe(np.array([at]), ({"w": w},), np.array([[at * w]]), nothing) for at, w in ((1.0, 3.0), (2.0, 5.0)))
    both = merged(a, b)
    assert both.settings == ({"w": 3.0}, {"w": 5.0})
    assert np.array_equal(both.high, [[3.0, np.nan], [np.nan, 10.0]], equal_nan=True)
    assert np.array_equal(merged(both, b).only([1]).high, [[np.nan, 10.0]], equal_nan=True)


def test_a_choice_is_checked_and_made_again_at_settings_that_it_has_not_seen() -> None:
    """A quotient of exponentials that overflows at -1000 alone is not taken where that number is held out."""
    shift = Symbol("w", real=True)
    formula = exp(x - shift) / (1 + exp(x - shift))
    question = Question(formula, formula, x, 0)
    leaf = Leaf(formula, (formula, 1 / (1 + exp(shift - x))))
    for held, sound in (((), False), (({"w": -1e3},), True)):
        sampler = Sampler(x, ({"w": 0.0}, {"w": 1.0}), grid(-600.0, 600.0, 10), held_out=held)
        bench = Bench(sampler, question, ("x", "w"), {x: Pair(var("x")), shift: Pair(var("w"))}, TARGETS[1])
        form, missed = bench.form(leaf, sampler.probe(question), sampler.fresh(question))
        core = ScalarFunction("core", ("x", "w"), (form.node(x, bench.bound),))
        (got,) = core.evaluate([np.array([0.0]), np.array([-1e3])])
        assert (got[0] == 1.0) == sound
        assert not missed
