"""Which candidates a line is made of: the cheapest set, shared code counted once, gaps dearer than cuts."""

from __future__ import annotations

import numpy as np
import pytest

from symgen.cost import cost, weights
from symgen.kernel import call, const, node, var
from symgen.stabilize.plan import SHORTEST, Plan, reaches, starts
from symgen.stabilize.probe import cells, grid

x = var("x")
POINTS = grid(-np.inf, np.inf)
BELOW, ABOVE = POINTS < 0, POINTS >= 0


def plan(*rows: tuple[object, dict[int, float]], gap: float = 50.0) -> list[int]:
    good = np.stack([np.broadcast_to(r[0], POINTS.shape) for r in rows])
    return Plan.of(good, POINTS, [r[1] for r in rows], gap).cheapest()


def test_a_graph_costs_its_distinct_nodes() -> None:
    """What is shared is computed once; constants and variables are free, calls and divisions are not."""
    square = x * x
    assert cost([square]) == 1
    assert cost([square + square]) == 2
    assert cost([square, square + const(1.0)]) == 2
    assert cost([call("exp", x) / square]) > cost([call("exp", x) * square]) > cost([square * square])
    assert set(weights([node("neg", x)]).values()) == {0.0, 0.5}


def test_the_cheaper_of_two_that_are_good_everywhere_is_taken() -> None:
    assert plan((True, {1: 50.0}), (True, {2: 10.0})) == [1]


def test_two_cheap_halves_beat_one_dear_whole() -> None:
    """A cut costs little beside the arithmetic that it saves."""
    assert plan((True, {1: 200.0}), (BELOW, {2: 20.0}), (ABOVE, {3: 30.0})) == [1, 2]
    assert plan((True, {1: 40.0}), (BELOW, {2: 20.0}), (ABOVE, {3: 30.0})) == [0]


def test_shared_code_is_counted_once() -> None:
    """Two forms of the same exponential cost little more than one."""
    assert plan((True, {1: 40.0}), (BELOW, {2: 30.0, 3: 1.0}), (ABOVE, {2: 30.0, 4: 1.0})) == [1, 2]


def test_a_cheap_formula_is_found_that_needs_constants_at_both_ends() -> None:
    """Alone it is dearer than the one that needs none, and with either of them too."""
    middle = np.abs(POINTS) < 1e3
    ends = (POINTS <= -1e3, {}), (POINTS >= 1e3, {})
    assert plan((True, {1: 130.0}), (middle, {2: 50.0}), *ends) == [1, 2, 3]


def test_a_gap_is_left_only_where_no_candidate_is_good() -> None:
    """Algebra that is not dear goes before a piece, and wherever no piece can be fitted it always does."""
    hole = np.abs(POINTS) > 1e-3
    assert plan((hole, {1: 20.0}), (True, {2: 50.0})) == [1]
    assert plan((hole, {1: 20.0}), (True, {2: 5000.0})) == [0]
    assert plan((hole, {1: 20.0}), (True, {2: 5000.0}), gap=np.inf) == [1]
    assert plan((np.inf < POINTS, {1: 1.0})) == [0]


def test_lengths_do_not_change_where_more_points_are_measured() -> None:
    """A hundred points inside one step of the grid are no long stretch."""
    dense = np.unique(np.concatenate([POINTS, np.linspace(1.0, 1.01, 100)]))
    lucky = ((dense >= 1.0) & (dense <= 1.01))[None]
    along = np.append(cells(dense), np.inf)
    assert lucky.sum() > 100
    assert (starts(reaches(lucky), along) == dense.size).all()
    whole = np.ones((1, dense.size), bool)
    assert starts(reaches(whole), along)[0, 0] == 0


@pytest.mark.parametrize("value", [1.0, 1000.0, 2.0**-100, 1e200])
def test_cells_grow_with_the_points(value: float) -> None:
    """From -infinity to infinity, equal and opposite, with zero in the middle."""
    assert cells(np.array([-value, 0.0, value])).tolist() == pytest.approx(
        [-cells(np.array([value]))[0], 0.0, *cells(np.array([value]))]
    )
    along = cells(POINTS)
    assert (np.diff(along) >= 0).all()
    assert np.isfinite(along).all()
    assert along[-1] > SHORTEST
