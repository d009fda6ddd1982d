"""How a line is divided: one candidate if it is good, pieces in gaps, constants at ends, and what is missed is said."""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest
import sympy as sp
from flint import arb
from sympy import Expr, Symbol, cos, exp, log, sin, sqrt

from symgen.arithmetic import Pair
from symgen.kernel import ScalarFunction, var
from symgen.oracle import Oracle, working_precision
from symgen.stabilize.form import Body, Constant, Form, Formula, Piece, Segment
from symgen.stabilize.pieces import Fitter, Gap
from symgen.stabilize.probe import TARGETS, Floats, Target, error, grid, measure, merged, neighbours, roots
from symgen.stabilize.regimes import Choice, Problem, choose, errors, evaluate, missed
from symgen.vocabulary import expm1, log1p, sigmoid

x, w = Symbol("x", real=True), Symbol("w", real=True)
F32, F64 = TARGETS
GRID = grid(-math.inf, math.inf)


def problem(e: Expr, target: Target = F64, points: Floats = GRID, values: Sequence[float] | None = None) -> Problem:
    """The function on the grid, with its roots surrounded; with values of w no pieces can be fitted."""
    oracle = Oracle(e, x, 0)
    settings = ({},) if values is None else tuple({"w": v} for v in values)
    probe = measure(oracle, 0, points, settings)
    for root in roots(probe) if values is None else []:
        probe = merged(probe, measure(oracle, 0, neighbours(root), settings))
    bound = {x: Pair(var("x")), w: Pair(var("w"))}
    names = ("x",) if values is None else ("x", "w")
    return Problem(x, bound, names, probe, target, Fitter(x, oracle, 0, target) if values is None else None)


def formulas(*expressions: Expr, arithmetics: Sequence[str] = ("plain", "compensated")) -> list[Body]:
    return [Formula(e, a) for a in arithmetics for e in expressions]


def kinds(choice: Choice) -> list[str]:
    return [s.kind for s in choice.segments]


def worst(p: Problem, choice: Choice) -> float:
    """The largest error of the whole form at the points that count."""
    each = errors(p, Form(choice.segments))
    each = each[p.probe.single] if p.target.name == "f32" else each
    return float(np.nanmax(each))


def contiguous(choice: Choice) -> bool:
    ends = [s.upper for s in choice.segments[:-1]]
    return (
        choice.segments[0].lower == -math.inf
        and choice.segments[-1].upper == math.inf
        and ends == [s.lower for s in choice.segments[1:]]
        and ends == sorted(set(ends))
    )


# -- choosing ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("target", TARGETS, ids=lambda t: t.name)
def test_one_good_candidate_is_one_segment(target: Target) -> None:
    """sigmoid is right everywhere: no cuts, the cheapest arithmetic within the first limit, nothing missed."""
    p = problem(sigmoid(x), target)
    choice = choose(p, formulas(sigmoid(x)))
    assert kinds(choice) == ["formula"]
    assert choice.segments[0].arithmetic == {"f32": "plain", "f64": "compensated"}[target.name]
    assert (choice.segments[0].lower, choice.segments[0].upper) == (-math.inf, math.inf)
    assert choice.unresolved == ()


def test_a_bad_first_candidate_is_passed_over() -> None:
    """Order is preference, not obligation: exp(x) - 1 is left for expm1."""
    p = problem(sp.exp(x) - 1)
    choice = choose(p, formulas(exp(x) - 1, expm1(x), arithmetics=("plain",)))
    assert [s.expression for s in choice.segments] == [expm1(x)]


def test_two_candidates_share_the_line_where_each_is_good() -> None:
    """One formula overflows on the right, the other cancels on the left: one cut, where both are good."""
    p = problem(log(1 + exp(x)))
    left, right = log1p(exp(x)), x + log1p(exp(-x))
    choice = choose(p, formulas(right, left))
    assert [s.expression for s in choice.segments] == [left, right]
    assert contiguous(choice)
    assert abs(choice.segments[0].upper) < 600
    assert choice.unresolved == ()
    assert worst(p, choice) <= F64.limits[-1]


@pytest.mark.parametrize("target", TARGETS, ids=lambda t: t.name)
def test_a_gap_in_the_middle_becomes_a_piece(target: Target) -> None:
    """exp(x) - 1 cancels around zero and nowhere else: there a polynomial of the exact function stands."""
    p = problem(sp.exp(x) - 1, target)
    choice = choose(p, formulas(exp(x) - 1, arithmetics=("plain",)))
    assert contiguous(choice)
    assert choice.unresolved == ()
    found = kinds(choice)
    assert found[0] == found[-1] == "formula"
    assert set(found[1:-1]) == {"piece"}
    assert worst(p, choice) <= target.bar
    assert all(abs(s.lower) < 1 and abs(s.upper) < 1 for s in choice.segments[1:-1])


def test_the_ends_of_the_line_are_constants() -> None:
    """exp(x)/(1 + exp(x)) is infinity over infinity far right, where the function has reached one."""
    p = problem(sigmoid(x))
    choice = choose(p, formulas(exp(x) / (1 + exp(x)), arithmetics=("plain", "compensated")))
    assert choice.segments[-1].kind == "constant"
    assert choice.segments[-1].body == Constant(1.0)
    assert 36 < choice.segments[-1].lower < 710
    assert contiguous(choice)
    assert choice.unresolved == ()
    assert worst(p, choice) <= F64.bar


def test_a_tail_that_is_no_constant_gets_a_piece() -> None:
    """sqrt(x^2 + 1) - |x|, which is 1/(2x) far out, where the difference is zero."""
    e = sqrt(x**2 + 1) - sp.Abs(x)
    p = problem(e, F32)
    choice = choose(p, formulas(e, arithmetics=("plain",)))
    assert contiguous(choice)
    assert choice.unresolved == ()
    assert worst(p, choice) <= F32.bar
    shapes = {s.body.shape for s in choice.segments if isinstance(s.body, Piece)}
    assert "tail" in shapes


def test_with_free_parameters_what_is_missed_is_reported() -> None:
    """No piece can be fitted to exp(w x) - 1: the best candidate stays, and where it fails is said, with the worst."""
    p = problem(exp(w * x) - 1, F64, GRID[::3], (1.0, -2.0))
    choice = choose(p, formulas(exp(w * x) - 1, arithmetics=("plain",)))
    assert set(kinds(choice)) <= {"formula", "constant"}
    assert choice.unresolved
    missed = max(choice.unresolved, key=lambda u: u.error)
    assert missed.error > 1e6
    assert missed.lower <= missed.at <= missed.upper
    assert missed.lower < 0 < missed.upper or abs(missed.at) < 1
    good = choose(p, formulas(expm1(w * x), arithmetics=("plain", "compensated")))
    assert good.unresolved == ()


def test_what_no_piece_can_follow_is_reported() -> None:
    """A wave at a scale that no polynomial follows stays unresolved instead of being papered over."""
    e = sin(2.0**40 * x) + 2
    p = problem(e, F64, np.concatenate([np.linspace(1, 2, 60) * 1.0123]))
    choice = choose(p, [Formula(sp.Integer(2) + 0 * x, "plain")])
    assert choice.unresolved
    assert choice.unresolved[0].error > F64.bar


def test_points_without_a_truth_do_not_count() -> None:
    """log(x) is measured where it is defined; what a candidate does elsewhere is nobody's business."""
    p = problem(log(x))
    choice = choose(p, formulas(log(x)))
    assert kinds(choice) == ["formula"]
    nowhere = problem(log(-1 - x**2))
    assert kinds(choose(nowhere, formulas(x))) == ["formula"]


def test_a_candidate_for_one_side_is_infinitely_wrong_on_the_other() -> None:
    """The error table keeps sides apart, whatever the formula happens to give there."""
    p = problem(sp.exp(x))
    each = errors(p, Formula(sp.exp(x), "plain", 1))
    assert np.isinf(each[p.probe.x < 0]).all()
    assert np.nanmax(each[p.probe.x >= 0]) < 2


def test_what_a_form_misses_is_told_by_stretches() -> None:
    """Both sides of zero apart, with the worst point; nothing where the form is right."""
    p = problem(sp.exp(x) - 1, F32)
    (naive, stable) = formulas(exp(x) - 1, expm1(x), arithmetics=("plain",))
    left, right = missed(p, naive)
    assert left.upper < 0 < right.lower
    assert right.lower <= right.at <= right.upper < 1e-3
    assert right.error > F32.bar
    assert missed(p, stable) == ()


# -- pieces -----------------------------------------------------------------------------------------------------------


def covered(e: Expr, gap: Gap, target: Target = F64) -> list[Segment] | None:
    return Fitter(x, Oracle(e, x, 1), 0, target).cover(gap)


def error_of(e: Expr, segments: list[Segment], points: Floats, target: Target = F64) -> float:
    """The largest error of pieces between the points that they were fitted at."""
    p = problem(e, target, points)
    return float(np.nanmax(error(_evaluated(segments, p), p.probe, target)))


def _evaluated(segments: list[Segment], p: Problem) -> Floats:
    node = Form(tuple(segments)).node(x, p.bound)
    return evaluate(ScalarFunction("f", ("x",), (node,)), p.probe)


COVERED = [
    (sp.exp(x) - 1 - x, Gap(-0.5, 0.5), "zero", 2),
    (1 - cos(x), Gap(-0.25, 0.25), "zero", 2),
    (log1p(x) - x, Gap(0.0, 0.5), "zero", 2),
    (cos(x), Gap(1.25, 1.875, math.pi / 2), "root", 1),
    (sp.exp(x) - 3, Gap(1.0, 1.2, math.log(3)), "root", 1),
    (sp.exp(x) * sin(x) + 3, Gap(1.0, 1.5), "interior", 0),
    (sqrt(x**2 + 1) - x, Gap(64.0, math.inf), "tail", -1),
    (sqrt(x**2 + 1) + x, Gap(-math.inf, -64.0), "tail", -1),
    (x**2 + 3 + 1 / x, Gap(32.0, math.inf), "tail", 2),
    (sqrt(x + 1) - sqrt(x), Gap(64.0, math.inf), "tail", Fraction(-1, 2)),
    (sqrt(x + 1) - sqrt(x), Gap(64.0, 1e9), "tail", Fraction(-1, 2)),
    (sqrt(x) * cos(x), Gap(0.0, 0.5), "zero", Fraction(1, 2)),
    ((sp.exp(x) - 3) ** 2, Gap(1.0, 1.2, math.log(3)), "root", 2),
    ((x - 1) ** 5 * sp.exp(x), Gap(0.9, 1.1, 1.0), "root", 5),
    (x * sp.exp(x), Gap(-20.0, -4.0), "decaying", 0),
]


@pytest.mark.parametrize("target", TARGETS, ids=lambda t: t.name)
@pytest.mark.parametrize(("e", "gap", "shape", "power"), COVERED, ids=lambda v: str(v) if isinstance(v, Expr) else "")
def test_pieces_follow_the_exact_function(e: Expr, gap: Gap, shape: str, power: int, target: Target) -> None:
    """The shape and the power fit the place, the segments cover the gap, and between the nodes the error is small."""
    segments = covered(e, gap, target)
    assert segments is not None
    assert (segments[0].lower, segments[-1].upper) == (gap.lower, gap.upper)
    assert all(a.upper == b.lower for a, b in pairwise(segments))
    assert any(isinstance(s.body, Piece) and (s.body.shape, s.body.power) == (shape, power) for s in segments)
    low, high = max(gap.lower, -1e30), min(gap.upper, 1e30)
    points = np.linspace(low, high, 157) if high - low < 20 else np.sign(low + high) * np.geomspace(33.0, 1e30, 157)
    points = points[(points >= low) & (points < high)].astype(np.float32 if target is F32 else np.float64)
    assert error_of(e, segments, points.astype(np.float64), target) <= (0.004 if target is F32 else 2.0)


def test_a_tail_that_decays_is_followed_until_it_is_zero() -> None:
    """x e^x down to the last subnormal number, each result rounded about once, and zero beyond."""
    e, segments = x * sp.exp(x), covered(x * sp.exp(x), Gap(-math.inf, -600.0))
    assert segments is not None
    assert segments[0].kind == "constant"
    assert {s.body.shape for s in segments[1:]} == {"decaying"}
    assert error_of(e, segments, np.linspace(-752.0, -601.0, 977)) <= 2.0


def test_a_kink_at_zero_gets_a_series_on_each_side() -> None:
    """|x| - log(1 + |x|) is no power series at zero, but half of one on either side."""
    e = sp.Abs(x) - log(1 + sp.Abs(x))
    segments = covered(e, Gap(-0.25, 0.25))
    assert segments is not None
    assert [s.body.shape for s in segments] == ["zero", "zero"]
    assert error_of(e, segments, np.array([-0.2, -1e-30, 1e-300, 1e-9, 0.2])) <= 1.0


def test_an_even_function_is_fitted_in_the_square() -> None:
    """Half the coefficients, and the two sides equal to the last bit."""
    segments = covered(cos(x), Gap(-0.25, 0.25))
    assert segments is not None
    (segment,) = segments
    assert segment.body.polynomial.step == 2
    assert segment.body.note.startswith("polynomial of degree")


def test_relative_accuracy_lasts_down_to_the_root_and_to_zero() -> None:
    """One float beside the root of cos, and at subnormal x for exp(x) - 1, the piece has all its bits."""
    root = covered(cos(x), Gap(1.25, 1.875, math.pi / 2))
    assert root is not None
    assert error_of(cos(x), root, neighbours(math.pi / 2)) <= 1.0
    zero = covered(sp.exp(x) - 1, Gap(-0.25, 0.25))
    assert zero is not None
    assert error_of(sp.exp(x) - 1, zero, np.array([-1e-320, -1e-300, -1e-20, 1e-200, 3e-9])) <= 1.0


def test_a_gap_too_wide_for_one_polynomial_is_halved() -> None:
    """Several pieces next to each other, each short enough."""
    e = 1 / (1 + 25 * x**2)
    segments = covered(e, Gap(0.5, 3.5))
    assert segments is not None
    assert len(segments) > 1
    assert error_of(e, segments, np.linspace(0.5, 3.49, 199)) <= 1.5


@pytest.mark.parametrize(
    ("e", "gap"),
    [
        (sin(2.0**30 * x) + 2, Gap(1.0, 2.0)),  # too many waves
        (sqrt(x) + x, Gap(0.0, 0.5)),  # no series times one power at zero
        (sin(x) + 2, Gap(8.0, math.inf)),  # no power in the tail
        (sp.exp(-x) + 1 / log(x), Gap(8.0, math.inf)),
        (sin(x) + 2, Gap(-math.inf, math.inf)),
    ],
    ids=["wave", "root of x", "sine", "exponential", "whole line"],
)
def test_what_has_no_pieces_gets_none(e: Expr, gap: Gap) -> None:
    """None, so that the caller reports the stretch instead of printing a bad polynomial."""
    assert covered(e, gap, F32) is None


@pytest.mark.parametrize(
    ("e", "gap", "at"),
    [
        (sp.Abs(x - 1) + 1, Gap(0.5, 1.75), 1.0),
        (sp.asin(x) - x, Gap(-1.0, 1.0), 1.0),
        (1 / (x - 2) + 1, Gap(0.5, 2.5), 2.0),
    ],
    ids=["kink", "end of a domain", "pole"],
)
def test_what_no_polynomial_follows_is_a_hole_among_pieces(e: Expr, gap: Gap, at: float) -> None:
    """A short one around the place, not the whole gap; the caller puts its best formula there."""
    assert covered(e, gap, F32) is None
    segments = Fitter(x, Oracle(e, x, 1), 0, F32).partially().cover(gap)
    assert segments is not None
    holes = [s for s in segments if s.kind == "hole"]
    assert holes
    assert any(s.lower <= at <= s.upper for s in holes)
    assert sum(s.upper - s.lower for s in holes) < (gap.upper - gap.lower) / 4
    assert all(a.upper == b.lower for a, b in pairwise(segments))


def test_a_root_is_refined_far_beyond_a_float() -> None:
    """Bisection on the sign of balls: log(3) to 2^-120."""
    root = Fitter(x, Oracle(sp.exp(x) - 3, x, 0), 0, F64).refine(Gap(1.0, 1.2, 1.1))
    assert root is not None
    with working_precision(200):
        assert abs(root - arb(3).log()) < arb(2) ** -120
