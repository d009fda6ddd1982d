"""Second derivatives of losses over rows times a vector: against differences of the gradient, and at the ends."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import symgen.functional as F

RNG = np.random.default_rng(11)
X, V = RNG.normal(size=(5, 4)) * 2, RNG.normal(size=(5, 4))
T, W, P = np.array([0, 3, -100, 2, 1]), RNG.uniform(0.2, 2, 4), RNG.dirichlet(np.ones(4), 5)
CALLS = [
    (F.cross_entropy, T, {}),
    (F.cross_entropy, T, {"weight": W, "label_smoothing": 0.2, "z_loss": 0.1}),
    (F.cross_entropy, P, {"weight": W}),
    (F.cross_entropy, P, {"label_smoothing": 0.2}),
    (F.multi_margin_loss, np.abs(T) % 4, {"p": 2}),
    (F.multilabel_soft_margin_loss, P, {"weight": W}),
]


@pytest.mark.parametrize(("loss", "target", "options"), CALLS)
@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
def test_it_is_how_the_gradient_changes(loss: Any, target: Any, options: dict[str, Any], reduction: str) -> None:
    """Along the vector, scaled as the loss is."""
    h = 1e-6
    up, down = (loss.grad(X + s * h * V, target, reduction=reduction, **options) for s in (1, -1))
    found = loss.hvp(V, X, target, reduction=reduction, **options)
    assert found.shape == X.shape
    np.testing.assert_allclose(found, (up - down) / (2 * h), rtol=1e-6, atol=1e-9)


def test_of_a_confident_row_it_keeps_its_digits() -> None:
    """The second derivative of log(1 + 2 e^-20) along the first logit is p (1 - p), not zero."""
    found = F.cross_entropy.hvp(np.array([1.0, 0, 0]), np.array([20.0, 0, 0]), 0)
    small = 2 * np.exp(-20.0)
    assert found[0] == pytest.approx(small / (1 + small) ** 2, rel=1e-14, abs=0)
    assert abs(found.sum()) < 1e-24


def test_a_loss_that_is_linear_has_none() -> None:
    """nll_loss, and a hinge of power one."""
    logs = np.log(P)
    assert (F.nll_loss.hvp(V, logs, T) == 0).all()
    assert (F.multi_margin_loss.hvp(V, X, np.abs(T) % 4) == 0).all()


def test_axes_dtypes_and_out() -> None:
    """Classes stand at axis one; the result has the operand's dtype and shape, or goes to out."""
    x, v = np.moveaxis(X.reshape(5, 1, 4), -1, 1), np.moveaxis(V.reshape(5, 1, 4), -1, 1)
    whole = F.cross_entropy.hvp(v, x, T[:, None])
    np.testing.assert_array_equal(whole[:, :, 0], F.cross_entropy.hvp(V, X, T))
    assert F.cross_entropy.hvp(V, X.astype(np.float32), T).dtype == np.float32
    out = np.empty_like(X)
    assert F.cross_entropy.hvp(V, X, T, out=out) is out
    np.testing.assert_array_equal(out, F.cross_entropy.hvp(V, X, T))


def test_ignored_rows_have_none() -> None:
    """Whatever they hold."""
    x = X.copy()
    x[2] = np.nan
    found = F.cross_entropy.hvp(V, x, T)
    assert (found[2] == 0).all()
    assert np.isfinite(found).all()
    assert (F.cross_entropy.hvp(V, x, np.full(5, -100)) == 0).all()


@pytest.mark.parametrize(
    ("arguments", "options", "words"),
    [
        ((V[:2], X, T), {}, r"v has shape \(2, 4\); expected that of input, \(5, 4\)"),
        ((V, X, T), {"wrt": "weight"}, "wrt must name one of input, got 'weight'"),
        ((V, X, T), {"wrt": ("input", "weight")}, "wrt must name one of input"),
    ],
)
def test_refusals(arguments: tuple[Any, ...], options: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        F.cross_entropy.hvp(*arguments, **options)
