"""A loss of one's own over a class axis: its value, gradients, shares and refusals, against sums in high precision."""

from __future__ import annotations

from typing import Any

import mpmath
import numpy as np
import pytest

from tests.rows.own import built

SPEC = '''\
"""Cross entropy of one's own, for tests."""

from symgen.catalogue import log_softmax
from symgen.spec import Axis, Index, Int, Tensor, Weight, loss

K = Axis("K", at=1)


@loss()
def surprise(input: Tensor[K], target: Index[K], weight: Weight[K] = 1, *, ignore_index: Int = -100):
    """Negative log likelihood of the target class under the softmax of the logits."""
    if target == ignore_index:
        return 0, 0
    return -weight[target] * log_softmax(input)[target], weight[target]
'''
X = np.array([[20.0, 0.0, 0.0], [1.0, 2.0, 3.0], [0.0, 0.0, 0.0], [-800.0, 3.0, 700.0]])
T = np.array([0, 2, -100, 1])
W = np.array([1.0, 0.25, 2.0])


@pytest.fixture(scope="module")
def surprise(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return built(tmp_path_factory.mktemp("own"), "own_rows", SPEC).surprise


def sample(x: Any, t: int) -> mpmath.mpf:
    """The loss of one row."""
    return mpmath.log(mpmath.fsum(mpmath.exp(v) for v in x)) - x[t]


def mean(x: Any, w: Any) -> mpmath.mpf:
    """The weighted mean over the samples that are not ignored."""
    kept = [(row, t) for row, t in zip(x, T, strict=True) if t != -100]
    return mpmath.fsum(w[t] * sample(row, t) for row, t in kept) / mpmath.fsum(w[t] for _, t in kept)


def exact(a: Any) -> list[list[mpmath.mpf]]:
    return [[mpmath.mpf(float(v)) for v in row] for row in np.atleast_2d(a)]


def test_a_confident_row_has_its_loss_and_its_gradient(surprise: Any) -> None:
    losses = surprise(X, T, reduction="none")
    with mpmath.workdps(60):
        want = [0.0 if t < 0 else float(sample(row, t)) for row, t in zip(exact(X), T, strict=True)]
    np.testing.assert_allclose(losses, want, rtol=1e-15)
    assert losses[0] == pytest.approx(4.1223072363804e-09, rel=1e-12, abs=0)  # log1p(2 exp(-20))
    gradient = surprise.vjp(np.ones(4), X, T, reduction="none")
    assert gradient[0, 0] == pytest.approx(-4.1223072278e-09, rel=1e-9, abs=0)
    assert (gradient[2] == 0).all()
    np.testing.assert_allclose(gradient.sum(1), 0, atol=1e-16)


def test_the_mean_is_over_shares_and_so_are_its_gradients(surprise: Any) -> None:
    """A weight stands in the divisor as well; differences of 60 digits show both parts of its gradient."""
    value, dx = surprise.value_and_grad(X, T, weight=W)
    gx, gw = surprise.vjp(1.0, X, T, weight=W)
    np.testing.assert_array_equal(dx, gx)
    with mpmath.workdps(60):
        x, (w,), h = exact(X), exact(W), mpmath.mpf(10) ** -25
        assert value == pytest.approx(float(mean(x, w)), rel=1e-15)
        for k in range(3):
            up, down = ([v + s * h if i == k else v for i, v in enumerate(w)] for s in (1, -1))
            assert gw[k] == pytest.approx(float((mean(x, up) - mean(x, down)) / (2 * h)), rel=1e-14, abs=1e-300)
        for i, k in np.ndindex(*X.shape):
            moved = [[[v + s * h if (r, c) == (i, k) else v for c, v in enumerate(row)] for r, row in enumerate(x)]
                     for s in (1, -1)]  # fmt: skip
            want = float((mean(moved[0], w) - mean(moved[1], w)) / (2 * h))
            assert gx[i, k] == pytest.approx(want, rel=1e-13, abs=1e-18)


def test_where_every_sample_is_ignored_the_mean_is_nan_and_its_gradient_zero(surprise: Any) -> None:
    ignored = np.full(4, -100)
    value, dx = surprise.value_and_grad(X, ignored)
    assert np.isnan(value)
    assert (dx == 0).all()
    assert surprise(X, ignored, reduction="sum") == 0


@pytest.mark.parametrize(
    ("target", "error", "words"),
    [
        (np.array([0, 3, 0, 0]), ValueError, "target holds 3 at index"),
        (np.array([0.0, 1.0, 2.0, 0.0]), TypeError, "target has dtype float64"),
        (np.array([0, 1]), ValueError, r"target has shape \(2,\)"),
    ],
)
def test_bad_targets_are_refused_by_name(surprise: Any, target: np.ndarray, error: type, words: str) -> None:
    with pytest.raises(error, match=words):
        surprise(X, target)
