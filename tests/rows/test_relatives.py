"""Losses that are made of the probability of the target class, as cross entropy is: what they share with it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import symgen.functional as F

LOGITS, CLASSES = np.array([[1.0, -2.0, 0.5], [20.0, 0.0, 0.0]]), np.array([2, 0])


def test_poly_adds_a_multiple_of_what_the_other_classes_have() -> None:
    """Without it, it is the cross entropy; a confident row keeps its digits in both terms."""
    plain = F.cross_entropy(LOGITS, CLASSES, reduction="none")
    found = F.poly_cross_entropy(LOGITS, CLASSES, epsilon=0.0, reduction="none")
    np.testing.assert_array_equal(found, plain)
    others = np.array([np.exp([1.0, -2.0]).sum() / np.exp([1.0, -2.0, 0.5]).sum(), 4.122307227883698704818e-09])
    found = F.poly_cross_entropy(LOGITS, CLASSES, epsilon=2.0, reduction="none")
    np.testing.assert_allclose(found, plain + 2 * others, rtol=1e-14, atol=0)


def test_generalized_is_between_cross_entropy_and_absolute_error() -> None:
    """At q = 1 it is what the other classes have; as q goes to zero, the cross entropy."""
    others = 1 - F.softmax(LOGITS)[[0, 1], CLASSES]
    found = F.generalized_cross_entropy(LOGITS, CLASSES, q=1.0, reduction="none")
    np.testing.assert_allclose(found, others, rtol=1e-7)
    assert found[1] == pytest.approx(4.122307227883698704818e-09, rel=1e-15, abs=0)
    plain = F.cross_entropy(LOGITS, CLASSES, reduction="none")
    np.testing.assert_allclose(F.generalized_cross_entropy(LOGITS, CLASSES, q=1e-9, reduction="none"), plain, rtol=1e-8)


@pytest.mark.parametrize("loss", [F.poly_cross_entropy, F.generalized_cross_entropy])
def test_relatives_of_cross_entropy_ignore_and_weigh_as_it_does(loss: Any) -> None:
    """An ignored class is never read, a weight of zero annihilates, and a mean divides by the weights."""
    x = np.array([[np.nan, np.inf, 0.0], [0.5, -np.inf, 1.0], [1.0, 2.0, 3.0]])
    value, gradient = loss.value_and_grad(x, [-100, 1, 2], [1.0, 0.0, 2.0])
    assert value == loss([1.0, 2.0, 3.0], 2)
    assert (gradient[:2] == 0).all()
    np.testing.assert_allclose(gradient[2], loss.grad([1.0, 2.0, 3.0], 2), rtol=1e-15)


@pytest.mark.parametrize("loss", [F.poly_cross_entropy, F.generalized_cross_entropy])
def test_gradients_of_relatives_sum_to_zero(loss: Any) -> None:
    """Shifting all logits changes nothing, beside an overwhelming one also: what cancels is not rounded before."""
    x = np.random.default_rng(5).normal(size=(20, 4))
    x[:, 1] = 80.0
    gradient = loss.grad(x, np.full(20, 1), np.full(4, 0.3), reduction="sum")
    assert (gradient[:, 1] < 0).all()
    assert (np.abs(gradient.sum(1)) <= 4e-16 * np.abs(gradient).sum(1)).all()
