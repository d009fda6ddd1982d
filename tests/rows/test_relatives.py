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


# -- within a batch ----------------------------------------------------------------------------------------------------


def test_info_nce_is_the_cross_entropy_of_picking_the_own_key() -> None:
    """Of similarities over the temperature, the diagonal the classes; gradients of both sides are those of that."""
    q, k = np.random.default_rng(1).normal(size=(2, 6, 4))
    logits, own = q @ k.T / 0.2, np.arange(6)
    value, (dq, dk) = F.info_nce_loss.value_and_grad(q, k, temperature=0.2)
    plain, dlogits = F.cross_entropy.value_and_grad(logits, own)
    assert value == pytest.approx(float(plain), rel=1e-14)
    np.testing.assert_allclose(dq, dlogits @ k / 0.2, rtol=1e-11, atol=1e-14)
    np.testing.assert_allclose(dk, dlogits.T @ q / 0.2, rtol=1e-11, atol=1e-14)


def test_info_nce_overflows_nowhere() -> None:
    """Similarities of 1e5 at a temperature of 0.01 are shifted as logits are; one pair alone is certain."""
    q = np.eye(3) * 300.0
    assert F.info_nce_loss(q, q, temperature=0.01) == pytest.approx(0, abs=1e-15)
    assert F.info_nce_loss(q, q[::-1].copy(), temperature=0.01) == pytest.approx(2 / 3 * 9e6, rel=1e-15)
    assert F.info_nce_loss([[3.0, 4.0]], [[1.0, 2.0]]) == pytest.approx(0, abs=1e-15)


def test_info_nce_takes_one_batch() -> None:
    with pytest.raises(ValueError, match="query has shape"):
        F.info_nce_loss(np.ones((2, 3, 4)), np.ones((2, 3, 4)))
    with pytest.raises(ValueError, match="temperature must be a number > 0"):
        F.info_nce_loss(np.ones((2, 3)), np.ones((2, 3)), temperature=0.0)


VIEWS = np.random.default_rng(8).normal(size=(5, 2, 4))


def cosines(z: Any) -> Any:
    """Of all pairs of views, one after the other."""
    u = (z / np.linalg.norm(z, axis=-1, keepdims=True)).reshape(-1, z.shape[-1])
    return u @ u.T


@pytest.mark.parametrize("count", [2, 3])
@pytest.mark.parametrize("temperature", [0.5, 1e-3, 1e3])
def test_nt_xent_is_the_cross_entropy_of_picking_another_view(count: int, temperature: float) -> None:
    """Of the cosines over the temperature, a view's own with itself left out; the mean over its other views."""
    z = np.random.default_rng(count).normal(size=(4, count, 6))
    logits = cosines(z) / temperature
    np.fill_diagonal(logits, -np.inf)
    same = np.kron(np.eye(4), np.ones((count, count))) - np.eye(4 * count)
    value, gradient = F.nt_xent_loss.value_and_grad(z, temperature=temperature)
    assert value == pytest.approx(F.cross_entropy(logits, same / (count - 1)), rel=1e-12)
    v, h = np.random.default_rng(33).normal(size=z.shape), 1e-6 * min(temperature, 1.0)
    ends = [F.nt_xent_loss(z + s * v, temperature=temperature) for s in (h, -h)]
    assert (gradient * v).sum() == pytest.approx((ends[0] - ends[1]) / (2 * h), rel=1e-5, abs=1e-8)


def test_nt_xent_depends_on_directions_alone() -> None:
    """Lengths from 1e-180 to 1e180 change nothing, gradients stand across vectors, samples come in any order."""
    value, gradient = F.nt_xent_loss.value_and_grad(VIEWS)
    for scale in (2.0**600, 2.0**-600):
        assert F.nt_xent_loss(VIEWS * scale) == value
        np.testing.assert_allclose(F.nt_xent_loss.grad(VIEWS * scale) * scale, gradient, rtol=1e-14, atol=1e-17)
    single = (VIEWS * 1e30).astype(np.float32)
    assert F.nt_xent_loss(single) == np.float32(F.nt_xent_loss(single.astype(np.float64)))
    assert np.isfinite(F.nt_xent_loss.grad(single)).all()
    assert np.abs((gradient * VIEWS).sum(-1)).max() <= 1e-16
    assert F.nt_xent_loss(VIEWS[::-1, ::-1]) == pytest.approx(value, rel=1e-15)


def test_nt_xent_at_its_ends() -> None:
    """One sample is told apart for nothing; equal views, a vector of zeros, no other view, no sample."""
    assert F.nt_xent_loss(VIEWS[:1]) == 0
    assert np.abs(F.nt_xent_loss.grad(VIEWS[:1])).max() < 1e-30
    equal = np.repeat(np.eye(3)[:, None], 2, 1)
    assert F.nt_xent_loss(equal, temperature=0.1) == pytest.approx(np.log1p(4 * np.exp(-10.0)), rel=1e-14)
    still = VIEWS.copy()
    still[1, 0] = 0
    value, gradient = F.nt_xent_loss.value_and_grad(still)
    assert np.isfinite(value)
    assert (gradient[1, 0] == 0).all()
    assert np.isfinite(gradient).all()
    assert np.isnan(F.nt_xent_loss(VIEWS[:, :1]))
    assert np.isnan(F.nt_xent_loss(VIEWS[:0]))
    with pytest.raises(ValueError, match="views has shape"):
        F.nt_xent_loss(VIEWS[0])
    with pytest.raises(ValueError, match="temperature must be a number > 0"):
        F.nt_xent_loss(VIEWS, temperature=0)
