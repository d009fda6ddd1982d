"""Second derivatives of losses over rows times a vector: against differences of the gradient, and at the ends."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import symgen.functional as F
from tests.rows.own import built

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


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("whole", [True, False])
def test_rows_of_weight_zero_have_none(bad: float, whole: bool) -> None:
    """Whatever they hold, as their loss and their gradient are zero: a class that does not count, a target of zeros."""
    x = X.copy()
    x[1, slice(None) if whole else 2] = bad
    none = np.where(np.arange(5)[:, None] == 1, 0.0, P)
    w, each = np.where(np.arange(4) == 3, 0.0, 1.0), np.broadcast_to((np.arange(5) != 1.0)[:, None], X.shape) * 1.0
    for loss, target, options in [
        (F.cross_entropy, T, {"weight": w}),
        (F.cross_entropy, none, {}),
        (F.nll_loss, T, {"weight": w}),
        (F.multi_margin_loss, np.abs(T) % 4, {"p": 2, "weight": w}),
        (F.binary_cross_entropy_with_logits, P, {"weight": each}),
    ]:
        found = loss.hvp(V, x, target, reduction="sum", **options)
        assert (found[1] == 0).all(), loss
        np.testing.assert_array_equal(found[2:], loss.hvp(V, X, target, reduction="sum", **options)[2:])


@pytest.mark.parametrize(
    ("arguments", "options", "words"),
    [
        ((V[:2], X, T), {}, r"v has shape \(2, 4\); expected that of input, \(5, 4\)"),
        ((V, X, T), {"wrt": "z_loss"}, "wrt must name one of input or weight, got 'z_loss'"),
        ((V, X, T), {"wrt": ("input", "weight")}, "wrt must name one of input or weight"),
        ((V, X, T), {"wrt": 5}, "wrt must name one of input or weight, got 5"),
        ((W[:2], X, T), {"wrt": "weight", "weight": W}, r"v has shape \(2,\); expected that of weight, \(4,\)"),
    ],
)
def test_refusals(arguments: tuple[Any, ...], options: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        F.cross_entropy.hvp(*arguments, **options)


# -- in what is no tensor ---------------------------------------------------------------------------------------------

PARTS = """\
from symgen.catalogue import softmax
from symgen.spec import Axis, Index, Int, Param, Prob, Tensor, Weight, exp, loss, sum

B, K = Axis("B"), Axis("K", at=1)


@loss()
def sharpened(input: Tensor[K], target: Prob[K], scale: Param[K], weight: Weight[K] = 1):
    \"\"\"A squared error of a softmax whose logits have scales, in the mean by squares of weights.\"\"\"
    p = softmax(input * exp(scale))
    return sum(weight * (p - target) ** 2, K), sum(weight**2, K)


@loss()
def kept(input: Tensor[K], target: Index[K], weight: Weight[K] = 1, *, ignore_index: Int = -100):
    \"\"\"What is not ignored, told the other way round.\"\"\"
    p = softmax(input)[target]
    if target != ignore_index:
        return weight[target] * (1 - p) ** 2, weight[target]
    return 0, 0


@loss()
def scaled(input: Tensor, target: Tensor, weight: Weight = 1):
    \"\"\"A squared error with weights that count by their squares.\"\"\"
    return weight * (input - target) ** 2, weight**2
"""


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return built(tmp_path_factory.mktemp("parts"), "own_parts", PARTS)


def check_along(loss: Any, operands: dict[str, Any], wrt: str, reduction: str, **options: Any) -> Any:
    """Compare with the difference of gradients."""
    at, h = operands[wrt], 1e-6
    v = np.random.default_rng(3).normal(size=np.shape(at))
    g = np.ones(len(X)) if reduction == "none" else 1.0
    up, down = (loss.vjp(g, **{**operands, wrt: at + s * h * v}, wrt=wrt, reduction=reduction, **options)
                for s in (1, -1))  # fmt: skip
    found = loss.hvp(v, **operands, wrt=wrt, reduction=reduction, **options)
    assert np.shape(found) == np.shape(at)
    np.testing.assert_allclose(found, (up - down) / (2 * h), rtol=1e-6, atol=1e-8)
    return found


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("weight", [W, np.array(0.7)])
def test_weights_of_classes_bend_the_mean_alone(reduction: str, weight: Any) -> None:
    """A loss is linear in them, and a mean divides by them."""
    calls = [(F.cross_entropy, T, {"label_smoothing": 0.2, "z_loss": 0.1}), (F.nll_loss, T, {}),
             (F.cross_entropy, P, {}), (F.multi_margin_loss, np.abs(T) % 4, {"p": 2})]  # fmt: skip
    for loss, target, options in calls:
        found = check_along(loss, {"input": X, "target": target, "weight": weight}, "weight", reduction, **options)
        bends = reduction == "mean" and target is T and (weight.ndim or "z_loss" in options)
        assert np.any(np.abs(found) > 1e-3) == bool(bends), loss
    assert np.shape(F.cross_entropy.hvp(P, X, P, wrt="target")) == P.shape
    assert not F.cross_entropy.hvp(P, X, P, wrt="target").any()


def test_of_ignored_targets_there_is_no_mean() -> None:
    """Zero over zero has no second derivative, and one entry that counts has none."""
    ignored = np.full(5, -100)
    assert F.cross_entropy.hvp(W, X, ignored, weight=W, wrt="weight").tolist() == [0, 0, 0, 0]
    assert F.mse_loss.hvp(P, P, P, weight=np.zeros_like(P), wrt="weight").tolist() == np.zeros_like(P).tolist()


@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize("wrt", ["input", "target", "scale", "weight"])
def test_what_is_not_linear_has_kernels(own: Any, wrt: str, reduction: str) -> None:
    """Probabilities of rows, what all rows share, and shares that are not linear."""
    check_along(own.sharpened, {"input": X, "target": P, "scale": W / 3, "weight": W}, wrt, reduction)


@pytest.mark.parametrize("reduction", ["mean", "sum"])
@pytest.mark.parametrize("wrt", ["input", "target", "weight"])
def test_shares_of_elements_may_bend(own: Any, wrt: str, reduction: str) -> None:
    """The second derivative of the divisor is one of its own."""
    for weight in (np.broadcast_to(W, X.shape), W, np.array([[0.3]])):
        check_along(own.scaled, {"input": X, "target": P, "weight": weight}, wrt, reduction)


def test_a_class_is_ignored_whichever_way_the_condition_is_told(own: Any) -> None:
    """Its row may hold anything; a class that is no class and not ignored is refused."""
    x = np.where(T[:, None] == -100, np.nan, X)
    rest = T != -100
    assert own.kept(x, T, W) == own.kept(X[rest], T[rest], W)
    for wrt in ("input", "weight"):
        check_along(own.kept, {"input": X, "target": T, "weight": W}, wrt, "mean")
    assert (own.kept.grad(x, T, W)[~rest] == 0).all()
    np.testing.assert_array_equal(own.kept.grad(x, T, W)[rest], own.kept.grad(X[rest], T[rest], W))
    with pytest.raises(ValueError, match=r"target holds -100 at index \(2,\), which is no class .* ignore_index=7"):
        own.kept(x, T, W, ignore_index=7)


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_of_narrow_operands_it_is_rounded_once(own: Any, dtype: Any) -> None:
    """More rows than classes, whose sums are of all of them; out takes what it is given."""
    x = RNG.normal(size=(300, 4)).astype(dtype)
    p = RNG.dirichlet(np.ones(4), 300).astype(dtype)
    v, scale = (RNG.normal(size=4).astype(dtype) for _ in range(2))
    for wrt in ("scale", "weight"):
        found = own.sharpened.hvp(v, x, p, scale, scale**2, wrt=wrt)
        wide = own.sharpened.hvp(*(np.asarray(a, np.float64) for a in (v, x, p, scale, scale**2)), wrt=wrt)
        assert found.dtype == dtype
        np.testing.assert_allclose(found, wide, rtol=2 * np.finfo(dtype).eps, atol=np.finfo(dtype).eps)
        out = np.empty(4)
        assert own.sharpened.hvp(v, x, p, scale, scale**2, wrt=wrt, out=out) is out
        np.testing.assert_allclose(out, wide, rtol=1e-5, atol=1e-6)


# -- of functions with a row as their value ---------------------------------------------------------------------------

ROWS = [
    (F.softmax, {}), (F.softmin, {}), (F.log_softmax, {}), (F.logsumexp, {}), (F.logmeanexp, {}), (F.glu, {}),
    (F.swiglu, {}), (F.geglu, {}), (F.layer_norm, {}), (F.rms_norm, {}), (F.normalize, {}), (F.normalize, {"p": 3.5}),
    (F.softmax, {"axis": 0}), (F.logsumexp, {"axis": 0, "keepdims": True}),
]  # fmt: skip


@pytest.mark.parametrize(("function", "options"), ROWS)
def test_of_a_row_it_is_how_the_gradient_of_a_cotangent_changes(function: Any, options: dict[str, Any]) -> None:
    """Along the vector, the cotangent held; without one it is that of the sum of all entries."""
    g, h = RNG.normal(size=function(X, **options).shape), 1e-6
    up, down = (function.vjp(g, X + s * h * V, **options) for s in (1, -1))
    found = function.hvp(V, X, g=g, **options)
    assert found.shape == X.shape
    np.testing.assert_allclose(found, (up - down) / (2 * h), rtol=1e-6, atol=1e-8)
    np.testing.assert_array_equal(function.hvp(V, X, **options), function.hvp(V, X, g=np.ones_like(g), **options))


def test_of_two_vectors_it_names_the_one_that_moves() -> None:
    """cosine_similarity moves in either; another name is refused, and so is a vector of another shape."""
    g, y, h = RNG.normal(size=5), RNG.normal(size=(5, 4)), 1e-6
    for name, at in (("x1", 0), ("x2", 1)):
        up, down = (F.cosine_similarity.vjp(g, *moved(X, y, at, s * h), wrt=name) for s in (1, -1))
        found = F.cosine_similarity.hvp(V, X, y, g=g, wrt=name)
        np.testing.assert_allclose(found, (up - down) / (2 * h), rtol=1e-6, atol=1e-8)
    with pytest.raises(ValueError, match="wrt must name one of x1 or x2"):
        F.cosine_similarity.hvp(V, X, y, wrt="eps")
    with pytest.raises(ValueError, match=r"v has shape \(4,\); expected that of x, \(5, 4\)"):
        F.softmax.hvp(V[0], X)
    with pytest.raises(ValueError, match="g has shape"):
        F.softmax.hvp(V, X, g=np.ones(3))


def moved(x: Any, y: Any, at: int, step: float) -> tuple[Any, Any]:
    return (x + step * V, y) if at == 0 else (x, y + step * V)


def test_of_masked_entries_there_is_none() -> None:
    """What is absent does not move the others, whatever it holds."""
    x, mask = np.array([0.3, np.nan, -1.2, 2.0]), np.array([True, False, True, True])
    v, g = np.arange(4.0), np.array([1.0, 5.0, -2.0, 0.5])
    found = F.softmax.hvp(v, x, mask, g=g)
    assert found[1] == 0
    np.testing.assert_allclose(found[mask], F.softmax.hvp(v[mask], x[mask], g=g[mask]), rtol=1e-14)
