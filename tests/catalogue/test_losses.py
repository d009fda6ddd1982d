"""Losses: every reduction, gradients in all operands, weights in the mean, and what happens at the edges."""

from __future__ import annotations

import itertools
import math
from typing import Any

import mpmath
import numpy as np
import pytest

import symgen.functional as F
from symgen.ulp import inside

KIND = "losses"
SHAPE = (5, 4)
LARGE = 1 << 20


def drawn(function: Any, shape: tuple[int, ...] = SHAPE, dtype: Any = np.float64, seed: int = 5) -> dict[str, Any]:
    """Operands inside their domains, labels among the numbers, where the default does not stand for them."""
    rng = np.random.default_rng(seed)
    found = {}
    for a in function.operands:
        values = rng.normal(size=shape) * 1.5
        if a.role in ("weight", "prob"):
            values = rng.uniform(0.1, 0.9, shape)
        limits = tuple((s, float(v)) for s, v in a.limits)
        values = np.where(inside(values, limits), values, np.abs(values) / (1 + np.abs(values)) * 0.8 + 0.1)
        found[a.name] = values.astype(dtype)
    return found


def total(values: Any) -> float:
    """The sum of numbers, rounded once."""
    return math.fsum(np.asarray(values, np.float64).ravel().tolist())


def share(kernel: Any, operands: dict[str, Any]) -> float:
    """What a mean divides by: the weights where the spec returns them as shares, else the count."""
    shared = {n for v in kernel.function.variants for n in operands if f"share_grad_{n}" in v.outputs}
    return total(operands[shared.pop()]) if shared else float(math.prod(SHAPE))


def close(found: Any, wanted: Any, ulps: float = 4.0) -> None:
    """Equal to a few units in the last place of the largest number."""
    found, wanted = np.asarray(found, np.float64), np.asarray(wanted, np.float64)
    assert found.shape == wanted.shape
    scale = np.max(np.abs(wanted), initial=0.0)
    assert np.all(np.abs(found - wanted) <= ulps * np.spacing(max(scale, 1e-300))), (found, wanted)


def test_reductions_of_the_loss_of_each_sample(catalogue: Any, name: str) -> None:
    """Sum, mean and batchmean are those of the losses of the samples; a mean divides by the shares."""
    kernel = catalogue.kernel(name)
    operands = drawn(kernel.function)
    each = kernel(**operands, reduction="none")
    assert each.shape == SHAPE
    close(kernel(**operands, reduction="sum"), total(each))
    close(kernel(**operands, reduction="batchmean"), total(each) / SHAPE[0])
    close(kernel(**operands, reduction="mean"), total(each) / share(kernel, operands))
    default = kernel.function.reduction
    assert np.asarray(kernel(**operands) == kernel(**operands, reduction=default)).all()


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.float16])
def test_dtype_of_losses_and_gradients(catalogue: Any, name: str, dtype: Any) -> None:
    """The loss and every gradient have the dtype of the operands, and the sum is computed beyond it."""
    kernel = catalogue.kernel(name)
    operands = drawn(kernel.function, dtype=dtype)
    value, gradients = kernel.value_and_grad(**operands, reduction="mean")
    assert value.dtype == dtype
    for gradient in gradients if isinstance(gradients, tuple) else (gradients,):
        assert gradient.dtype == dtype
    wide = kernel(**{n: v.astype(np.float64) for n, v in operands.items()}, reduction="mean")
    assert value == np.float64(wide).astype(dtype)


def test_one_pass_gives_what_single_calls_give(catalogue: Any, name: str) -> None:
    """value_and_grad is the value and the gradient; grad is the vjp of one; gradients are sums of elementwise ones."""
    kernel = catalogue.kernel(name)
    operands = drawn(kernel.function)
    targets = [a.name for a in kernel.function.operands if a.name in operands]
    shared = {n for v in kernel.function.variants for n in operands if f"share_grad_{n}" in v.outputs}
    for reduction, scale in (("sum", 1.0), ("mean", 1 / share(kernel, operands)), ("batchmean", 1 / SHAPE[0])):
        value, gradient = kernel.value_and_grad(**operands, reduction=reduction, wrt=targets[0])
        assert value == kernel(**operands, reduction=reduction)
        assert np.array_equal(gradient, kernel.grad(**operands, reduction=reduction, wrt=targets[0]))
        for target in targets:
            found = kernel.vjp(2.0, **operands, reduction=reduction, wrt=target)
            each = kernel.grad(**operands, reduction="none", wrt=target)
            if target in shared and reduction == "mean":
                each = each - value
            close(found, 2 * scale * each)


def test_cotangents_without_reduction(catalogue: Any, name: str) -> None:
    """Without reduction the vjp is the cotangent times the elementwise derivatives, in every operand."""
    kernel = catalogue.kernel(name)
    operands = drawn(kernel.function)
    g = np.random.default_rng(1).normal(size=SHAPE)
    names = [a.name for a in kernel.function.operands]
    found = kernel.vjp(g, **operands, reduction="none")
    for target, gradient in zip(names, found if isinstance(found, tuple) else (found,), strict=True):
        close(gradient, g * kernel.grad(**operands, reduction="none", wrt=target))


def test_broadcast_operands_get_summed_gradients(catalogue: Any, name: str) -> None:
    """An operand that is broadcast gets the sum of its copies' gradients, in its own shape."""
    kernel = catalogue.kernel(name)
    operands = drawn(kernel.function)
    names = list(operands)
    row = {**operands, names[1]: operands[names[1]][0]}
    spread = {**row, names[1]: np.broadcast_to(row[names[1]], SHAPE).copy()}
    found = kernel.vjp(1.0, **row, reduction="sum", wrt=names[1])
    wanted = kernel.vjp(1.0, **spread, reduction="sum", wrt=names[1]).sum(axis=0)
    assert found.shape == wanted.shape == (SHAPE[1],)
    np.testing.assert_allclose(found, wanted, rtol=1e-13, atol=1e-13)


def test_hessian_products(catalogue: Any, name: str) -> None:
    """hvp is the second derivative in an operand times a vector, scaled as the loss is."""
    kernel = catalogue.kernel(name)
    operands = drawn(kernel.function)
    first = kernel.function.tensors[0].name
    v = np.random.default_rng(2).normal(size=SHAPE)
    bend = kernel.grad(**operands, order=2, reduction="none", wrt=first)
    close(kernel.hvp(v, **operands, reduction="mean"), v * bend / share(kernel, operands))


def test_hessian_products_are_differences_of_gradients(catalogue: Any, name: str) -> None:
    """In every operand; in a weight they are of the divisor of the mean, too."""
    kernel = catalogue.kernel(name)
    operands = drawn(kernel.function)
    h = 1e-6
    for wrt, reduction in itertools.product(operands, ("mean", "sum")):
        for at in (operands[wrt], operands[wrt][0]):  # broadcast, it gets the sum of its copies'
            v = np.random.default_rng(2).normal(size=at.shape)
            here = [{**operands, wrt: at + s * v} for s in (h, -h)]
            up, down = (kernel.vjp(1.0, **o, reduction=reduction, wrt=wrt) for o in here)
            found = kernel.hvp(v, **{**operands, wrt: at}, reduction=reduction, wrt=wrt)
            np.testing.assert_allclose(found, (up - down) / (2 * h), rtol=1e-5, atol=1e-7)


def test_gradients_in_options(catalogue: Any, name: str) -> None:
    """An option named by wrt gets the sum over all samples."""
    kernel = catalogue.kernel(name)
    operands = drawn(kernel.function)
    (variant,) = kernel.function.variants[:1]
    settings = {n: v for n, v in catalogue.base(name)[0].options if n != "reduction"}
    for option in (a.name for a in kernel.function.numeric_options if f"grad_{a.name}" in variant.outputs):
        each = kernel.grad(**operands, **settings, reduction="none", wrt=option)
        found = kernel.vjp(1.0, **operands, **settings, reduction="mean", wrt=option)
        assert np.shape(found) == ()
        close(found, total(each) / share(kernel, operands))


def test_nan_in_nan_out(catalogue: Any, name: str) -> None:
    """A NaN in a tensor comes out of its sample, of its gradient and of every sum."""
    kernel = catalogue.kernel(name)
    operands = drawn(kernel.function)
    for tensor in kernel.function.tensors:
        spoilt = {n: v.copy() for n, v in operands.items()}
        spoilt[tensor.name][1, 2] = np.nan
        wanted = np.isnan(spoilt[tensor.name])
        assert np.array_equal(np.isnan(kernel(**spoilt, reduction="none")), wanted)
        assert np.isnan(kernel(**spoilt, reduction="mean"))
        gradient = kernel.vjp(1.0, **spoilt, reduction="sum", wrt=tensor.name)
        assert np.array_equal(np.isnan(gradient), wanted)


def test_losses_of_nothing(catalogue: Any, name: str) -> None:
    """The sum over no sample is zero, the mean is NaN, and gradients are empty."""
    kernel = catalogue.kernel(name)
    operands = drawn(kernel.function, (0, 3))
    assert kernel(**operands, reduction="sum") == 0
    assert np.isnan(kernel(**operands, reduction="mean"))
    assert kernel.vjp(1.0, **operands, reduction="mean", wrt=next(iter(operands))).shape == (0, 3)


def test_strides_and_lists(catalogue: Any, name: str) -> None:
    """Layout and kind of operands do not matter."""
    kernel = catalogue.kernel(name)
    operands = drawn(kernel.function)
    turned = {n: np.asfortranarray(v) for n, v in operands.items()}
    listed = {n: v.tolist() for n, v in operands.items()}
    wanted = kernel(**operands, reduction="none")
    assert np.array_equal(kernel(**turned, reduction="none"), wanted)
    assert np.array_equal(kernel(**listed, reduction="none"), wanted)
    assert kernel(**turned, reduction="sum") == kernel(**listed, reduction="sum")


def test_mistakes_are_named(catalogue: Any, name: str) -> None:
    """A reduction that does not exist, a cotangent that does not fit and shapes that do not are refused by name."""
    kernel = catalogue.kernel(name)
    operands = drawn(kernel.function)
    with pytest.raises(ValueError, match=rf"{name}\(\): reduction must be .*did you mean 'mean'"):
        kernel(**operands, reduction="men")
    with pytest.raises(ValueError, match=r"g has shape \(5, 4\); the reduced loss is one number"):
        kernel.vjp(np.ones(SHAPE), **operands, reduction="mean")
    with pytest.raises(ValueError, match="order=2 is elementwise and needs reduction='none'"):
        kernel.grad(**operands, order=2, reduction="mean")
    first = next(iter(operands))
    with pytest.raises(ValueError, match=f"do not broadcast together.*{first} has shape"):
        kernel(**{**operands, first: np.ones((3, 7))}, reduction="sum")


def test_a_batch_is_needed_for_its_mean() -> None:
    """batchmean of a single sample has no axis to divide by."""
    with pytest.raises(ValueError, match="reduction='batchmean' divides by the length of the first axis"):
        F.mse_loss(1.0, 2.0, reduction="batchmean")


def test_error_of_a_mean_does_not_grow_with_its_length() -> None:
    """A mean of a million samples is right to the last place, where plain summation loses digits."""
    x = np.random.default_rng(3).normal(size=LARGE) * 10.0 ** np.random.default_rng(4).integers(-6, 6, LARGE)
    each = F.l1_loss(x, 0.0, reduction="none")
    assert F.l1_loss(x, 0.0) == pytest.approx(total(each) / LARGE, rel=3e-16)
    single = x.astype(np.float32)
    exact = total(np.abs(single.astype(np.float64))) / LARGE
    assert F.l1_loss(single, np.float32(0)) == np.float32(exact)


def test_weights_that_are_shares_move_the_divisor() -> None:
    """The gradient in such a weight includes that of the divisor: central differences of the whole mean agree."""
    rng = np.random.default_rng(6)
    x, t, w = rng.normal(size=7), rng.normal(size=7), rng.uniform(0.5, 2, 7)
    for kernel in (F.l1_loss, F.mse_loss):
        found = kernel.vjp(1.0, x, t, w, wrt="weight")
        for i in range(7):
            step = np.zeros(7)
            step[i] = 1e-6
            slope = (kernel(x, t, w + step) - kernel(x, t, w - step)) / 2e-6
            assert found[i] == pytest.approx(slope, rel=1e-7, abs=1e-9)


def test_weights_of_zero() -> None:
    """A weight of zero annihilates an infinite loss; without any weight the mean is NaN and its gradient zero."""
    x, w = np.array([np.inf, 1.0]), np.array([0.0, 2.0])
    assert F.mse_loss(x, 0.0, w) == 1.0
    assert F.mse_loss.vjp(1.0, x, np.zeros(2), w, wrt="input").tolist() == [0.0, 2.0]
    value, gradient = F.mse_loss.value_and_grad(np.ones(2), np.zeros(2), np.zeros(2), wrt="input")
    assert np.isnan(value)
    assert gradient.tolist() == [0.0, 0.0]


# A call, the loss, and its derivative in the first operand: PyTorch's conventions, and probabilities of zero.
EDGES = {
    "l1 at zero": (lambda **k: F.l1_loss.value_and_grad(1.0, 1.0, **k), 0.0, 0.0),
    "smooth l1 at beta": (lambda **k: F.smooth_l1_loss.value_and_grad(1.0, 0.0, **k), 0.5, 1.0),
    "smooth l1 of beta zero": (lambda **k: F.smooth_l1_loss.value_and_grad(2.0, 2.0, beta=0.0, **k), 0.0, 0.0),
    "huber at delta": (lambda **k: F.huber_loss.value_and_grad(1.5, 0.0, delta=1.5, **k), 1.125, 1.5),
    "hinge at the margin": (lambda **k: F.hinge_loss.value_and_grad(1.0, 1.0, **k), 0.0, -1.0),
    "ranking tie": (lambda **k: F.margin_ranking_loss.value_and_grad(1.0, 1.0, 1.0, **k), 0.0, -1.0),
    "embedding at the margin": (lambda **k: F.hinge_embedding_loss.value_and_grad(1.0, -1.0, **k), 0.0, -1.0),
    "bce of certain wrong": (lambda **k: F.binary_cross_entropy.value_and_grad(0.0, 1.0, **k), np.inf, -np.inf),
    "bce of certain right": (lambda **k: F.binary_cross_entropy.value_and_grad(1.0, 1.0, **k), 0.0, -1.0),
    "bce of certain no": (lambda **k: F.binary_cross_entropy.value_and_grad(0.0, 0.0, **k), 0.0, 1.0),
    "kl of target zero": (lambda **k: F.kl_div.value_and_grad(-1.0, 0.0, **k), 0.0, 0.0),
    "squared logarithmic error of equals": (lambda **k: F.msle_loss.value_and_grad(3.0, 3.0, **k), 0.0, 0.0),
    "student t at its centre": (lambda **k: F.student_t_nll_loss.value_and_grad(2.0, 2.0, 1.0, **k), 0.0, 0.0),
    "no pair at any distance": (lambda **k: F.contrastive_loss.value_and_grad(np.inf, 0.0, **k), 0.0, 0.0),
    "logit far right": (lambda **k: F.binary_cross_entropy_with_logits.value_and_grad(800.0, 1.0, **k), 0.0, -0.0),
    "logit without an answer": (
        lambda **k: F.binary_cross_entropy_with_logits.value_and_grad(-np.inf, 0.0, **k), 0.0, 0.0),
    "contrastive at the margin": (lambda **k: F.contrastive_loss.value_and_grad(1.0, 0.0, **k), 0.0, -0.0),
    "kl of no mass": (lambda **k: F.kl_div.value_and_grad(-1.0, -np.inf, log_target=True, **k), 0.0, 0.0),
}


@pytest.mark.parametrize("edge", EDGES)
def test_edges(edge: str) -> None:
    """At kinks, ties and certain events losses and slopes are the conventions'."""
    call, loss, slope = EDGES[edge]
    found = call(wrt="input1" if edge == "ranking tie" else "input")
    assert (float(found[0]), float(found[1])) == (loss, slope)


def test_values_of_known_samples() -> None:
    """Losses of single samples, worked out to sixty digits and rounded once."""
    assert F.binary_cross_entropy_with_logits(40.0, 1.0, reduction="sum") == 4.248354255291589e-18
    assert F.pseudo_huber_loss(1e-9, 0.0, reduction="sum") == 5e-19
    assert F.msle_loss(1e-9, 0.0, reduction="sum") == 9.99999999e-19
    assert F.student_t_nll_loss(1e-9, 0.0, 1.0, df=3, reduction="sum") == 6.666666666666668e-19
    assert F.student_t_nll_loss(np.float32(1e25), np.float32(0), np.float32(1)) == np.float32(228.06128472206836)
    assert F.soft_margin_loss(40.0, 1.0, reduction="sum") == 4.248354255291589e-18
    assert F.log_cosh_loss(1e-9, 0.0, reduction="sum") == 5e-19
    assert F.log_cosh_loss(1000.0, 0.0, reduction="sum") == 999.3068528194401


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_reduced_losses_of_plain_arrays(dtype: Any) -> None:
    """Loops that read each element once give the same for any number of threads, and what strided arrays give."""
    from symgen.runtime import get_num_threads, set_num_threads

    rng, threads = np.random.default_rng(9), get_num_threads()
    for size in (1, 127, 128, 129, 300_001):
        x, y = rng.normal(size=(2, size)).astype(dtype)
        found = []
        for n in (1, 2, 3):
            set_num_threads(n)
            found.append(F.huber_loss.value_and_grad(x, y))
        set_num_threads(threads)
        loss, (dx, dy) = found[0]
        assert all(f[0] == loss and np.array_equal(f[1][0], dx) and np.array_equal(f[1][1], dy) for f in found)
        assert loss == F.huber_loss(x, y) == F.huber_loss(x, y, np.ones_like(x))
        strided = np.repeat(x, 2)[::2]
        other, (ex, ey) = F.huber_loss.value_and_grad(strided, y)
        close(loss, other, 1)
        close(dx, ex, 1)
        close(dy, ey, 1)
        out = np.empty_like(x)
        np.testing.assert_array_equal(F.huber_loss.value_and_grad(x, y, wrt="input", out=out)[1], dx)
        np.testing.assert_array_equal(out, dx)
        same = x.copy()
        np.testing.assert_array_equal(F.huber_loss.value_and_grad(same, y, wrt="input", out=same)[1], ex)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_calls_seen_before_run_their_loop_at_once(catalogue: Any, name: str, dtype: Any,
                                                  monkeypatch: pytest.MonkeyPatch) -> None:
    """The second call of a reduced loss is not checked again, and gives what its own arrays and options ask for."""
    kernel = catalogue.kernel(name)
    required = [a.name for a in kernel.function.operands if a.required]

    def operands(shape: tuple[int, ...], seed: int) -> list[Any]:
        found = drawn(kernel.function, shape, dtype, seed)
        return [found[n] for n in required]

    methods = [(kernel, {"reduction": r}) for r in ("sum", "batchmean")]
    usual = {} if kernel.function.reduction != "none" else {"reduction": "mean"}
    methods += [(m, usual) for m in (kernel, kernel.grad, kernel.value_and_grad)]
    methods += [(kernel.value_and_grad, {"wrt": kernel.function.tensors[0].name, **usual})]
    other = operands((3, 2, 5), 7)
    expected = [m(**dict(zip(required, other, strict=True)), **more) for m, more in methods]
    for (method, more), wanted in zip(methods, expected, strict=True):
        method(*operands(SHAPE, 6), **more)
        monkeypatch.setattr(method, "_checked", lambda args, kwargs: pytest.fail("checked again"))
        found = method(*other, **more)
        monkeypatch.undo()
        for got, exact in zip(flat(found), flat(wanted), strict=True):
            np.testing.assert_array_equal(got, exact, strict=True)
        strided = [np.repeat(a, 2, axis=-1)[..., ::2] for a in other]
        for got, exact in zip(flat(method(*strided, **more)), flat(wanted), strict=True):
            close(got, exact)


def flat(results: Any) -> list[Any]:
    """Arrays out of nested tuples."""
    return [a for each in results for a in flat(each)] if isinstance(results, tuple) else [results]


def test_numbers_beside_plain_arrays_are_part_of_what_is_remembered() -> None:
    """A weight that is a number is kept apart from other weights, from none, and from arrays."""
    x, y = np.linspace(-1, 1, 7), np.zeros(7)
    plain = F.mse_loss(x, y, reduction="sum")
    for weight in (2.0, 2.0, 3.0, np.full(7, 4.0), 0.0, np.float64(5.0)):
        assert F.mse_loss(x, y, weight, reduction="sum") == pytest.approx(plain * np.mean(weight), rel=1e-15)
        assert F.mse_loss(x, y, reduction="sum") == plain


def test_sums_too_large_are_infinite_without_a_warning() -> None:
    """A float32 loss that overflows is infinite the second time as the first, and nothing is said of it."""
    x, y = np.full(9, 3e20, np.float32), np.zeros(9, np.float32)
    for _ in range(2):
        assert F.mse_loss(x, y, reduction="sum") == np.inf


FOCUS = (0.0, 0.5, 1.0, 2.0, 5.0, 1000.0, 1e12)  # the last one multiplies the error of its base as often
LOGITS = (0.0, 1e-30, -0.3, 0.7, -5.0, 12.0, -36.7, -90.0, 300.0, -3e38, 3e38)


def focal(x: Any, t: Any, alpha: float | None, gamma: float) -> Any:
    """The focal loss as its paper has it, with a thousand digits to lose."""
    p = 1 / (1 + mpmath.exp(-x))
    share = 1 if alpha is None else alpha * t + (1 - alpha) * (1 - t)
    wrong = t * (1 - p) + (1 - t) * p
    entropy = (t * mpmath.log1p(mpmath.exp(-x)) if t else 0) + ((1 - t) * mpmath.log1p(mpmath.exp(x)) if t != 1 else 0)
    return share * wrong**gamma * entropy


@pytest.mark.parametrize("alpha", [None, 0.0, 0.25, 1.0])
@pytest.mark.parametrize("gamma", FOCUS)
def test_a_focal_loss_keeps_its_tails(alpha: float | None, gamma: float) -> None:
    """Of float32, over its whole range: hard targets and soft ones, any focus, any balance."""
    for target in (0.0, 0.25, 1.0):
        found = F.sigmoid_focal_loss(
            np.float32(LOGITS), np.float32(target), alpha=alpha, gamma=gamma, reduction="none"
        )  # fmt: skip
        with mpmath.workdps(1000):
            wanted = [focal(mpmath.mpf(float(np.float32(x))), mpmath.mpf(target), alpha, gamma) for x in LOGITS]
        with np.errstate(over="ignore", under="ignore"):
            assert found.tolist() == [float(np.float32(float(w))) for w in wanted]


@pytest.mark.parametrize("gamma", FOCUS)
def test_a_focal_loss_of_infinite_logits(gamma: float) -> None:
    """What is certainly right costs nothing and pulls at nothing; what is certainly wrong costs without end."""
    logits, targets = np.array([np.inf, -np.inf, -np.inf, np.inf]), np.array([1.0, 0.0, 1.0, 0.0])
    loss, pull = F.sigmoid_focal_loss.value_and_grad(logits, targets, alpha=None, gamma=gamma, reduction="none")
    np.testing.assert_array_equal(loss, [0.0, 0.0, np.inf, np.inf])
    np.testing.assert_array_equal(pull, [0.0, 0.0, -1.0, 1.0])
