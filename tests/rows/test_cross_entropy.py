"""Losses over classes: every entry to its bar on hard rows, the ends of the range, PyTorch's divisors, and refusals."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import symgen.functional as F
from symgen.rows.reference import truth
from tests.rows.hard import OPS, hard_rows, ulps

BARS = {np.float32: 2.0, np.float64: 4.0}
INF, NAN = np.inf, np.nan
LOSSES = [F.nll_loss, F.cross_entropy]
X = np.array([[20.0, 0.0, 0.0], [1.0, 2.0, 3.0], [0.0, 0.0, 0.0], [-800.0, 3.0, 700.0]])
T = np.array([0, 2, 1, 1])
W = np.array([1.0, 0.25, 2.0])


def formula(kind: str, label_smoothing: float) -> Any:
    suffix = f"{kind}_label_smoothing_{'eq' if label_smoothing == 0 else 'ne'}_0"
    return next(v.value for v in OPS["cross_entropy"].variants if v.suffix == suffix)


@pytest.mark.parametrize("dtype", BARS)
@pytest.mark.parametrize("n", [1, 2, 3, 10])
@pytest.mark.parametrize(("label_smoothing", "z_loss"), [(0.0, 0.0), (0.1, 1e-4)])
def test_classes(label_smoothing: float, z_loss: float, n: int, dtype: Any) -> None:
    """The loss of a class, likely or not, and each entry of its gradients, are right to the bar on hard rows."""
    options = {"label_smoothing": label_smoothing, "z_loss": z_loss}
    w = np.random.default_rng(5).uniform(0.2, 2, n).astype(dtype)
    for what, row in hard_rows(n):
        x = row.astype(dtype)
        for t in {n // 3, n - 1}:
            arrays = {"input": x, "target": t, "weight": w, "ignore_index": -100, **options}
            value, exact = truth(formula("index", label_smoothing), arrays, {"K": n}, 1.0, ["input", "weight"])
            got, dx = F.cross_entropy.value_and_grad(x, t, w, reduction="none", **options)
            gx, gw = F.cross_entropy.vjp(1.0, x, t, w, reduction="none", **options)
            np.testing.assert_array_equal(dx, gx)
            assert ulps(got, value, dtype) <= BARS[dtype], (what, t)
            assert ulps(gx, exact["input"], dtype) <= BARS[dtype], (what, t)
            assert ulps(gw, exact["weight"], dtype) <= BARS[dtype], (what, t)


@pytest.mark.parametrize("dtype", BARS)
@pytest.mark.parametrize("label_smoothing", [0.0, 0.1])
def test_probabilities(label_smoothing: float, dtype: Any) -> None:
    """A distribution as target, zeros among it: value and each entry of all gradients are right to the bar."""
    n, rng = 10, np.random.default_rng(6)
    p = rng.uniform(size=n) * (rng.uniform(size=n) > 0.3)
    p, w = (p / p.sum()).astype(dtype), rng.uniform(0.2, 2, n).astype(dtype)
    for what, row in hard_rows(n):
        x = row.astype(dtype)
        arrays = {"input": x, "target": p, "weight": w, "label_smoothing": label_smoothing, "z_loss": 1e-4}
        names = ["input", "target", "weight"]
        value, exact = truth(formula("prob", label_smoothing), arrays, {"K": n}, 1.0, names)
        options = {"label_smoothing": label_smoothing, "z_loss": 1e-4}
        found = dict(zip(names, F.cross_entropy.vjp(1.0, x, p, w, **options), strict=True))
        assert ulps(F.cross_entropy(x, p, w, **options), value, dtype) <= BARS[dtype], what
        for name in names:
            assert ulps(found[name], exact[name], dtype) <= BARS[dtype], (what, name)


def test_entries_of_which_a_hundred_thousandth_is_left() -> None:
    """A distribution that is nearly the softmax: in float64 each entry of the gradient is right to the bar."""
    for seed in range(20):
        rng = np.random.default_rng(seed)
        x, w = rng.normal(size=10), np.ones(10)
        p = np.exp(x) / np.exp(x).sum() * (1 + 2.0**-16 * rng.normal(size=10))
        arrays = {"input": x, "target": p, "weight": w, "label_smoothing": 0.0, "z_loss": 0.0}
        _, exact = truth(formula("prob", 0.0), arrays, {"K": 10}, 1.0, ["input"])
        found = F.cross_entropy.vjp(1.0, x, p, wrt=("input",))
        assert ulps(found, exact["input"], np.float64) <= BARS[np.float64], seed


def test_a_confident_row() -> None:
    """log(1 + 2 e^-20) and its derivatives, not zero."""
    assert F.cross_entropy(np.array([20.0, 0.0, 0.0]), 0) == pytest.approx(4.1223072363804e-09, rel=1e-13, abs=0)
    assert F.cross_entropy(np.array([20.0, 0, 0], np.float32), 0) == np.float32(4.1223072363804e-09)
    gradient = F.cross_entropy.grad(np.array([20.0, 0.0, 0.0]), 0)
    assert gradient[0] == pytest.approx(-4.1223072278836e-09, rel=1e-13, abs=0)
    assert gradient.sum() == 0


def test_rows_of_gradients_sum_to_zero() -> None:
    """Shifting the logits changes nothing."""
    x = np.random.default_rng(2).normal(size=(50, 40)) * 5
    gradient = F.cross_entropy.grad(x, np.arange(50) % 40, label_smoothing=0.2)
    assert np.all(np.abs(gradient.sum(1)) <= 4e-16 * np.abs(gradient).sum(1))


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("shape", [(3,), (4, 3), (4, 3, 2), (4, 3, 2, 5)])
def test_classes_stand_at_axis_one(loss: Any, shape: tuple[int, ...]) -> None:
    """Whatever the rank, a sample is its row: losses and gradients lie where the samples do."""
    rng = np.random.default_rng(3)
    batch = shape[:1] + shape[2:] if len(shape) > 1 else ()
    x, t = rng.normal(size=shape), rng.integers(0, 3, batch)
    rows, flat = np.moveaxis(x, -1 if len(shape) == 1 else 1, -1).reshape(-1, 3), np.ravel(t)
    losses = loss(x, t, W, reduction="none")
    assert losses.shape == batch
    np.testing.assert_array_equal(np.ravel(losses), loss(rows, flat, W, reduction="none"))
    gradient = loss.vjp(np.float64(1), x, t, reduction="sum")
    assert gradient.shape == shape
    moved = np.moveaxis(gradient, 0 if len(shape) == 1 else 1, -1).reshape(-1, 3)
    np.testing.assert_array_equal(moved, loss.vjp(1.0, rows, flat, reduction="sum"))
    assert loss(x, t, W) == pytest.approx(losses.sum() / W[flat].sum(), rel=1e-14)


@pytest.mark.parametrize("loss", LOSSES)
def test_means_divide_by_the_weights_of_what_counts(loss: Any) -> None:
    """As in PyTorch: with classes by the weights of the targets that are not ignored, a weight's gradient with them."""
    t = np.array([0, 2, -100, 1])
    losses = loss(X, t, W, reduction="none")
    assert losses[2] == 0
    share = W[[0, 2, 1]].sum()
    assert loss(X, t, W) == pytest.approx(losses.sum() / share, rel=1e-15)
    _, gw = loss.vjp(1.0, X, t, W)
    for k in range(3):
        h = np.eye(3)[k] * 1e-6
        slope = (loss(X, t, W + h) - loss(X, t, W - h)) / 2e-6
        assert gw[k] == pytest.approx(slope, rel=1e-7, abs=1e-8)


def test_a_mean_over_distributions_divides_by_their_number() -> None:
    """Whatever the weights, as in PyTorch."""
    p = np.full((4, 3), 1 / 3)
    assert F.cross_entropy(X, p, W) == pytest.approx(F.cross_entropy(X, p, W, reduction="sum") / 4, rel=1e-15)


@pytest.mark.parametrize("loss", LOSSES)
def test_where_nothing_counts_the_mean_is_nan_and_its_gradient_zero(loss: Any) -> None:
    """All ignored, or a total weight of zero; the sum is zero."""
    for t, w in ((np.full(4, -100), W), (T, np.zeros(3))):
        value, dx = loss.value_and_grad(X, t, w)
        assert np.isnan(value)
        assert (dx == 0).all()
        gx, gw = loss.vjp(1.0, X, t, w)
        assert (gx == 0).all()
        assert (gw == 0).all()
        assert loss(X, t, w, reduction="sum") == 0
        assert (loss(X, t, w, reduction="none") == 0).all()


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("ignored", [-100, -1, 3, 255, 1])
def test_an_ignored_class_is_never_read(loss: Any, ignored: int) -> None:
    """Whatever number says so, and whatever its row holds: loss and gradient are zero, and those of others the same."""
    x = np.array([[1.0, 2.0, 3.0], [NAN, INF, -INF], [0.5, 0.0, 1.0]])
    t = np.array([0, ignored, 2])
    losses = loss(x, t, W, ignore_index=ignored, reduction="none")
    assert losses[1] == 0
    np.testing.assert_array_equal(losses[[0, 2]], loss(x[[0, 2]], t[[0, 2]], W, reduction="none"))
    gx, gw = loss.vjp(1.0, x, t, W, ignore_index=ignored)
    other_gx, other_gw = loss.vjp(1.0, x[[0, 2]], t[[0, 2]], W)
    assert (gx[1] == 0).all()
    np.testing.assert_array_equal(gx[[0, 2]], other_gx)
    np.testing.assert_array_equal(gw, other_gw)
    assert loss(x, t, W, ignore_index=ignored) == loss(x[[0, 2]], t[[0, 2]], W)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_an_ignored_row_may_hold_anything(smoothing: float) -> None:
    """No gradient reaches it, with smoothing neither."""
    x = np.array([[1.0, 2.0, 3.0], [NAN, INF, -INF]])
    value, dx = F.cross_entropy.value_and_grad(x, [1, -100], label_smoothing=smoothing, z_loss=0.1)
    assert np.isfinite(value)
    assert (dx[1] == 0).all()
    assert np.isfinite(dx[0]).all()


def test_a_weight_of_zero_times_an_infinite_loss_is_zero() -> None:
    """Neither the value nor a gradient knows of an impossible class that does not count."""
    w = np.array([0.0, 1.0, 1.0])
    logs = np.array([[-INF, -1.0, -2.0]])
    assert F.nll_loss(logs, [0], w, reduction="sum") == 0
    assert F.cross_entropy(logs, [0], w, reduction="sum") == 0
    assert (F.cross_entropy.grad(logs, [0], w, reduction="sum") == 0).all()
    assert np.isfinite(F.cross_entropy(logs, [1], w, label_smoothing=0.1))
    assert F.nll_loss(logs, [0], reduction="sum") == INF
    assert F.cross_entropy(logs, [0]) == INF


def test_a_target_probability_of_zero() -> None:
    """An impossible class that is not expected costs nothing, and its gradient is that of a probability of zero."""
    x, p = np.array([-INF, 1.0, 2.0]), np.array([0.0, 0.25, 0.75])
    value, dx = F.cross_entropy.value_and_grad(x, p)
    assert value == F.cross_entropy(x[1:], p[1:])
    assert dx[0] == 0
    np.testing.assert_array_equal(dx[1:], F.cross_entropy.grad(x[1:], p[1:]))
    assert F.cross_entropy.vjp(1.0, x, p)[1][0] == INF  # what it would cost to expect it


def test_smoothing_over_an_impossible_class() -> None:
    """The loss is infinite and its gradient is not, as in PyTorch; without smoothing both are finite."""
    x = np.array([-INF, 1.0, 2.0])
    value, dx = F.cross_entropy.value_and_grad(x, 1, label_smoothing=0.1)
    assert value == INF
    assert np.isfinite(dx).all()
    value, dx = F.cross_entropy.value_and_grad(x, 1)
    assert value == F.cross_entropy(x[1:], 0)
    assert np.isfinite(dx).all()


def test_rows_without_a_distribution() -> None:
    """All logits minus infinity, or one of them infinite: not a number, as softmax is."""
    assert np.isnan(F.cross_entropy([-INF, -INF], 0))
    assert np.isnan(F.cross_entropy([INF, 0.0], 0))
    assert F.cross_entropy([3.0], 0) == 0


@pytest.mark.parametrize("loss", LOSSES)
def test_no_samples(loss: Any) -> None:
    """A mean over nothing is no number, a sum of nothing zero."""
    x, t = np.empty((0, 3)), np.empty(0, int)
    assert np.isnan(loss(x, t))
    assert loss(x, t, reduction="sum") == 0
    assert loss.grad(x, t).shape == (0, 3)


def test_z_loss_is_the_squared_log_of_the_sum() -> None:
    """It is added to each sample that counts; zero of it is nothing, however large."""
    z = F.logsumexp(X)
    losses = F.cross_entropy(X, T, z_loss=0.5, reduction="none")
    np.testing.assert_allclose(losses, F.cross_entropy(X, T, reduction="none") + 0.5 * z**2, rtol=1e-15)
    assert F.cross_entropy([1e200, 0.0], 0) == 0


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"target": [0, 3, 0, 0]}, ValueError, r"target holds 3 at index \(1,\), which is no class of 0 to 2"),
        ({"target": [0, -1, 0, 0]}, ValueError, r"target holds -1 .* is not ignore_index=-100; 1 of 4"),
        ({"target": [0, 1]}, ValueError, r"target has shape \(2,\); expected \(4,\) for input of \(4, 3\)"),
        ({"target": 0}, ValueError, r"target has shape \(\)"),
        ({"input": np.float64(1.0)}, ValueError, r"input has shape \(\); it needs an axis K"),
        ({"input": X.astype(int)}, TypeError, "input has dtype int64; expected floats"),
        ({"weight": [1.0, -1.0, 1.0]}, ValueError, "weight must be >= 0, but is -1 for class 1"),
        ({"weight": [1.0, 1.0]}, ValueError, r"weight has shape \(2,\); expected \(3,\)"),
        ({"ignore_index": 1.5}, TypeError, "ignore_index must be an integer"),
        ({"reduction": "average"}, ValueError, "reduction"),
    ],
)
def test_refusals(loss: Any, change: dict[str, Any], error: type, words: str) -> None:
    with pytest.raises(error, match=words):
        loss(**{"input": X, "target": T, "weight": W, **change})


@pytest.mark.parametrize(
    ("target", "options", "words"),
    [
        (np.full((4, 3), 1 / 3), {"ignore_index": 1}, "ignore_index=1 names a class, but target holds probabilities"),
        (np.full((4, 1), 1.0), {}, r"target has shape \(4, 1\); expected \(4, 3\)"),
        (np.full(3, 1 / 3), {}, r"target has shape \(3,\); expected \(4, 3\)"),
        (np.full((4, 2), 0.5), {}, r"target has shape \(4, 2\)"),
        (T, {"label_smoothing": 1.5}, "label_smoothing must be a number >= 0 and <= 1"),
        (T, {"z_loss": -1.0}, "z_loss must be a number >= 0"),
    ],
)
def test_refusals_of_cross_entropy(target: Any, options: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        F.cross_entropy(X, target, **options)


def test_no_gradient_in_an_option_that_is_fixed() -> None:
    """Without smoothing the formula is another one, which knows nothing of its derivative."""
    with pytest.raises(ValueError, match="no derivative in 'label_smoothing' for these options"):
        F.cross_entropy.vjp(1.0, X, T, wrt="label_smoothing")
    slope = F.cross_entropy.vjp(1.0, X, T, label_smoothing=0.3, wrt="label_smoothing")
    up, down = (F.cross_entropy(X, T, label_smoothing=0.3 + h) for h in (1e-6, -1e-6))
    assert slope == pytest.approx((up - down) / 2e-6, rel=1e-7)
