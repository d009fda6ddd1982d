"""Hinges and logistic losses over classes: against sums in plain NumPy, at their kinks, and what they refuse."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

import symgen.functional as F

INF = np.inf


def hinges(x: Any, t: int, p: int, margin: float, w: Any) -> float:
    """The definition, one sample."""
    return w[t] * sum(max(0.0, margin - x[t] + x[k]) ** p for k in range(len(x)) if k != t) / len(x)


@pytest.mark.parametrize("p", [1, 2])
def test_multi_margin_is_its_definition(p: int) -> None:
    """A mean over the samples, whatever the weights; gradients in the logits and in the weights are its differences."""
    rng = np.random.default_rng(0)
    x, t, w = rng.normal(size=(6, 4)), rng.integers(0, 4, 6), rng.uniform(0, 2, 4)
    losses = F.multi_margin_loss(x, t, p, 0.7, w, reduction="none")
    want = [hinges(x[i], t[i], p, 0.7, w) for i in range(6)]
    np.testing.assert_allclose(losses, want, rtol=1e-14)
    assert F.multi_margin_loss(x, t, p=p, margin=0.7, weight=w) == pytest.approx(np.mean(want), rel=1e-14)
    gx, gw = F.multi_margin_loss.vjp(1.0, x, t, p, 0.7, w)
    value, dx = F.multi_margin_loss.value_and_grad(x, t, p, 0.7, w)
    assert value == F.multi_margin_loss(x, t, p, 0.7, w)
    np.testing.assert_array_equal(dx, gx)
    h = 1e-6
    for i, k in np.ndindex(x.shape):
        e = np.zeros_like(x)
        e[i, k] = h
        slope = (F.multi_margin_loss(x + e, t, p, 0.7, w) - F.multi_margin_loss(x - e, t, p, 0.7, w)) / (2 * h)
        assert gx[i, k] == pytest.approx(slope, rel=1e-6, abs=1e-8)
    for k in range(4):
        e = np.eye(4)[k] * h
        slope = (F.multi_margin_loss(x, t, p, 0.7, w + e) - F.multi_margin_loss(x, t, p, 0.7, w - e)) / (2 * h)
        assert gw[k] == pytest.approx(slope, rel=1e-6, abs=1e-8)


def test_multi_margin_at_its_kink_is_flat() -> None:
    """As in PyTorch: a class that is just the margin away does not count."""
    assert (F.multi_margin_loss.grad(np.array([2.0, 1.0]), 0) == 0).all()
    assert F.multi_margin_loss.grad(np.array([2.0, 1.5]), 0).tolist() == [-0.5, 0.5]
    assert F.multi_margin_loss(np.array([3.0]), 0) == 0  # no other class
    assert np.isnan(F.multi_margin_loss(np.array([np.nan, 1.0]), 1))


def test_multi_margin_of_a_class_that_does_not_count() -> None:
    """Whatever its logits."""
    x, w = np.array([[-INF, 1.0]]), [0.0, 1.0]
    assert F.multi_margin_loss(x, [0], weight=w) == 0
    gx, gw = F.multi_margin_loss.vjp(1.0, x, [0], weight=w)
    assert (gx == 0).all()
    assert gw.tolist() == [INF, 0.0]


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"input": np.zeros((2, 3, 4)), "target": np.zeros((2, 4), int)}, ValueError,
         r"input has shape \(2, 3, 4\); expected \(K\) or \(N, K\)"),
        ({"target": [0, 3]}, ValueError, "target holds 3 at index"),
        ({"target": [0, -100]}, ValueError, "target holds -100 at index"),
        ({"weight": [1.0, -1.0, 0.0]}, ValueError, "weight must be >= 0, but is -1 for class 1"),
        ({"p": 3}, ValueError, "p must be 1 or 2"),
        ({"input": np.zeros((2, 3), int)}, TypeError, "input has dtype int64"),
    ],
)  # fmt: skip
def test_refusals(change: dict[str, Any], error: type, words: str) -> None:
    with pytest.raises(error, match=words):
        F.multi_margin_loss(**{"input": np.zeros((2, 3)), "target": [0, 1], **change})


def test_multilabel_soft_margin_is_a_mean_of_logistic_losses() -> None:
    """Over the last axis, then over the samples, a weight for each class."""
    rng = np.random.default_rng(1)
    x, t, w = rng.normal(size=(2, 5, 4)), rng.integers(0, 2, (2, 5, 4)).astype(float), rng.uniform(0, 2, 4)
    each = np.where(t == 1, np.logaddexp(0, -x), np.logaddexp(0, x)) * w
    losses = F.multilabel_soft_margin_loss(x, t, w, reduction="none")
    np.testing.assert_allclose(losses, each.mean(-1), rtol=1e-14)
    assert F.multilabel_soft_margin_loss(x, t, w) == pytest.approx(each.mean(), rel=1e-14)
    np.testing.assert_allclose(F.multilabel_soft_margin_loss.grad(x, t, w), w * (1 / (1 + np.exp(-x)) - t) / 40,
                               rtol=1e-13)  # fmt: skip


def test_multilabel_soft_margin_of_what_is_certain() -> None:
    """A probability of zero or one annihilates the logarithm of the other, and nothing overflows."""
    assert F.multilabel_soft_margin_loss([INF, -INF], [1.0, 0.0]) == 0
    assert F.multilabel_soft_margin_loss([1000.0, -1000.0], [0.0, 1.0]) == 1000
    assert F.multilabel_soft_margin_loss([INF, 0.0], [0.0, 0.0], [0.0, 1.0]) == np.log(2) / 2
    assert F.multilabel_soft_margin_loss.grad([INF, -INF], [1.0, 0.0]).tolist() == [0.0, 0.0]


def listed(x: Any, target: Any) -> float:
    """The multilabel margin loss of one row, as PyTorch documents it: classes up to the first -1."""
    classes = list(itertools.takewhile(lambda t: t >= 0, target))
    others = [k for k in range(len(x)) if k not in classes]
    return sum(max(0.0, 1 - x[t] + x[k]) for t in classes for k in others) / len(x)


LISTS = np.array([[0, 3, -1, 2, 2], [-1, 1, 1, 1, 1], [4, 3, 2, 1, 0], [2, -1, 0, -1, 1]])


def test_multilabel_margin_ends_its_lists_at_the_first_minus_one() -> None:
    """What stands behind is nothing; no class, or all of them, lose nothing."""
    x = np.random.default_rng(3).normal(size=(4, 5))
    losses = F.multilabel_margin_loss(x, LISTS, reduction="none")
    np.testing.assert_allclose(losses, [listed(a, t) for a, t in zip(x, LISTS, strict=True)], rtol=1e-15)
    assert losses[1] == losses[2] == 0
    assert F.multilabel_margin_loss([0.1, 0.2, 0.4, 0.8], [3, 0, -1, 1]) == pytest.approx(0.85, rel=1e-15)


def test_multilabel_margin_gradients_are_counts() -> None:
    """Away from its kinks each entry gains a C-th for each hinge that pushes it up, and loses one for each down."""
    x = np.random.default_rng(3).normal(size=(4, 5))
    found = F.multilabel_margin_loss.grad(x, LISTS, reduction="sum")
    h = 1e-6
    for at in np.ndindex(x.shape):
        moved = [x.copy(), x.copy()]
        moved[0][at] -= h
        moved[1][at] += h
        down, up = (listed(m[at[0]], LISTS[at[0]]) for m in moved)
        assert found[at] == pytest.approx((up - down) / (2 * h), abs=1e-8)


def test_multilabel_margin_at_its_tie_and_beside_infinity() -> None:
    """A hinge at its tie passes nothing on; a class at infinity loses nothing, whatever stands behind the end."""
    assert F.multilabel_margin_loss.grad([1.0, 0.0], [0, -1]).tolist() == [0.0, 0.0]
    assert F.multilabel_margin_loss([INF, 0.0, 5.0], [0, -1, 1]) == 0
    assert np.isnan(F.multilabel_margin_loss([np.nan, 0.0, 5.0], [0, -1, 1]))


@pytest.mark.parametrize(
    ("target", "words"),
    [
        ([0, 3, -1], "target holds 3 at index .*, which is no class of -1 to 2"),
        ([0, -2, -1], "target holds -2 at index"),
        ([0, -1], "do not broadcast together"),
    ],
)
def test_lists_that_name_no_class_are_refused(target: list[int], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        F.multilabel_margin_loss([1.0, 2.0, 3.0], target)
