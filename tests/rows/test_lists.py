"""Lists of classes: loops along them end where the list does, whatever is reduced, and cost no more than its length."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import symgen.functional as F
from symgen.catalogue import multilabel_margin_loss
from symgen.rows.derive import derive
from symgen.rows.indices import list_of
from tests.rows.own import built

SPECS = '''\
"""Functions of listed classes, for tests."""

from symgen.spec import Axis, Labels, Tensor, activation, amax, amin, sum

C = Axis("C")


@activation()
def nearest_listed(x: Tensor[C], target: Labels[C]):
    """Distance of every entry to the nearest that is listed."""
    return amin((x - x[t]) ** 2 for t in target)


@activation()
def furthest_listed(x: Tensor[C], target: Labels[C]):
    """Distance of every entry to the furthest that is listed."""
    return amax((x - x[t]) ** 2 for t in target)


@activation()
def listed_total(x: Tensor[C], target: Labels[C]):
    """The sum of what is listed, as often as it is."""
    return sum(x[t] for t in target)
'''
X = np.random.default_rng(0).normal(size=(4, 300))
T = np.full((4, 300), -1)
T[0, :3] = 7, 290, 7
T[1, :1] = 0
T[2] = np.random.default_rng(1).permutation(300)
T[3, :4] = 1, 2, -1, 5
LISTS = [[7, 290, 7], [0], [*T[2]], [1, 2]]


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return built(tmp_path_factory.mktemp("listed"), "own_lists", SPECS)


@pytest.mark.parametrize(("name", "step"), [("nearest_listed", np.min), ("furthest_listed", np.max)])
def test_extremes_along_a_list_are_those_of_what_is_listed(own: Any, name: str, step: Any) -> None:
    """Entry by entry, for lists of one class, of a class twice, and of all classes."""
    wanted = [step((x[:, None] - x[t]) ** 2, axis=1) for x, t in zip(X, LISTS, strict=True)]
    np.testing.assert_allclose(getattr(own, name)(X, T), wanted, rtol=1e-15)


def test_a_sum_of_what_is_listed_is_exact_and_an_empty_one_zero(own: Any) -> None:
    wanted = [np.sum(x[t]) for x, t in zip(X, LISTS, strict=True)]
    np.testing.assert_allclose(own.listed_total(X, T), wanted, rtol=1e-13)
    assert own.listed_total([1.0, 2.0], [-1, 0]) == 0
    gradient = own.listed_total.vjp(np.ones(4), X, T)
    assert [np.flatnonzero(g).tolist() for g in gradient] == [sorted(set(t)) for t in LISTS]
    assert gradient[0, 7] == 2


def test_the_margins_of_wide_rows_are_their_definition() -> None:
    """Also where a class is listed twice, which then counts twice."""
    wanted = []
    for x, t in zip(X, LISTS, strict=True):
        others = np.setdiff1d(np.arange(300), t)
        wanted.append(sum(np.maximum(0, 1 - x[k] + x[others]).sum() for k in t) / 300)
    np.testing.assert_allclose(F.multilabel_margin_loss(X, T, reduction="none"), wanted, rtol=1e-14)


def test_a_row_costs_its_classes_times_what_is_listed() -> None:
    """No loop of value, gradient or second derivative runs over all classes for every class."""
    (variant,) = derive(multilabel_margin_loss.op).variants
    loops = [[*s.axes, *s.over] for o in variant.outputs for code in o.schedules for s in code.program.stages]
    assert all(sum(not list_of(i) for i in each) <= 1 for each in loops)
    assert any(list_of(i) for each in loops for i in each)
