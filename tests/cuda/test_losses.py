"""``F.name.cuda`` of losses: means, sums and their gradients, as the processor has them, at every size."""

from __future__ import annotations

import ml_dtypes
import numpy as np
import pytest

import symgen.functional as F

ROUNDING = 2.0**-24
SIZES = (0, 1, 31, 32, 33, 1023, 1024, 1025, 7 * 1024 + 3)
FEW = (1, 33, 1025)


def inputs(kernel, size: int, dtype: str = "float32") -> list[np.ndarray]:
    """Operands inside every domain of the catalogue."""
    rng = np.random.default_rng(size)
    return [rng.uniform(0.1, 0.9, size).astype(dtype) for a in kernel._caller.function.operands if not a.keyword_only]


def required(kernel) -> dict[str, float]:
    return {a.name: 0.5 for a in kernel._caller.function.options if a.required}


def allowed(plain, x, options, wanted: float) -> float:
    """Four units in the last place of a reduced loss, if its terms had one sign."""
    losses = plain(*map(wide, x), **options, reduction="none")
    if not losses.any():
        return 0.0
    return 8 * ROUNDING * float(abs(wanted) * np.abs(losses).sum() / abs(losses.sum()))


def wide(values: np.ndarray) -> np.ndarray:
    return values.astype(np.float64)


def listed(found) -> tuple:
    return found if isinstance(found, tuple) else (found,)


def test_reduced_losses_are_those_of_the_processor(loss, device_array, executed):
    kernel, plain = executed(loss, (9, 0)), getattr(F, loss)
    options = required(kernel)
    for size in SIZES:
        x = inputs(kernel, size)
        arrays = list(map(device_array, x))
        for how in ("mean", "sum"):
            found = kernel(*arrays, **options, reduction=how).memory
            wanted = plain(*map(wide, x), **options, reduction=how)
            assert found.shape == ()
            bar = allowed(plain, x, options, wanted)
            np.testing.assert_allclose(found, wanted, rtol=0, atol=bar, err_msg=f"{how} of {size}")


def test_sums_are_the_same_at_every_run_and_for_every_alignment(loss, device_array, executed):
    kernel = executed(loss, (9, 0))
    options, x = {**required(kernel), "reduction": "mean"}, inputs(kernel, 2500)
    arrays = list(map(device_array, x))
    shifted = [device_array(np.concatenate([v[:1], v])[1:]) for v in x]
    first = kernel(*arrays, **options).memory
    assert np.array_equal(first, kernel(*arrays, **options).memory)
    assert np.array_equal(first, kernel(*shifted, **options).memory)


def test_gradients_of_a_mean_are_those_of_the_processor(loss, device_array, executed):
    kernel, plain = executed(loss, (9, 0)), getattr(F, loss)
    options = required(kernel)
    for size in FEW:
        x = inputs(kernel, size)
        arrays = list(map(device_array, x))
        value, slopes = kernel.value_and_grad(*arrays, **options, reduction="mean")
        wanted, true = plain.value_and_grad(*map(wide, x), **options, reduction="mean")
        np.testing.assert_allclose(value.memory, wanted, rtol=0, atol=allowed(plain, x, options, wanted))
        for slope, truth in zip(listed(slopes), listed(true), strict=True):
            np.testing.assert_allclose(slope.memory, truth, rtol=16 * ROUNDING, atol=16 * ROUNDING / size)
        again = listed(kernel.grad(*arrays, **options, reduction="mean"))
        assert all(np.array_equal(a.memory, b.memory) for a, b in zip(again, listed(slopes), strict=True))


def test_vjp_of_a_reduced_loss_reaches_every_operand(loss, device_array, executed):
    kernel, plain = executed(loss, (9, 0)), getattr(F, loss)
    options, x, g = required(kernel), inputs(kernel, 77), np.asarray(-0.75, np.float32)
    for how in ("mean", "sum", "batchmean"):
        found = kernel.vjp(device_array(g), *map(device_array, x), **options, reduction=how)
        wanted = plain.vjp(wide(g), *map(wide, x), **options, reduction=how)
        for slope, truth in zip(listed(found), listed(wanted), strict=True):
            size = np.abs(truth).max()
            np.testing.assert_allclose(slope.memory, truth, rtol=16 * ROUNDING, atol=16 * ROUNDING * size, err_msg=how)


def test_without_a_reduction_each_loss_has_its_own_cotangent(loss, device_array, executed):
    kernel, plain = executed(loss, (9, 0)), getattr(F, loss)
    options, x, g = required(kernel), inputs(kernel, 77), np.linspace(-1, 1, 77, dtype=np.float32)
    found = kernel.vjp(device_array(g), *map(device_array, x), **options, reduction="none")
    wanted = plain.vjp(wide(g), *map(wide, x), **options, reduction="none")
    for slope, truth in zip(listed(found), listed(wanted), strict=True):
        np.testing.assert_allclose(slope.memory, truth, rtol=16 * ROUNDING, atol=16 * ROUNDING)


def test_options_have_gradients_that_are_sums(device_array, executed):
    x = [np.random.default_rng(k).normal(size=1500).astype(np.float32) for k in range(2)]
    found = executed("huber_loss", (9, 0)).grad(*map(device_array, x), delta=0.7, wrt="delta")
    wanted = F.huber_loss.grad(*map(wide, x), delta=0.7, wrt="delta")
    assert found.memory.shape == ()
    np.testing.assert_allclose(found.memory, wanted, rtol=8 * ROUNDING)


def test_a_weight_that_all_share_has_one_gradient(device_array, executed):
    x = [np.random.default_rng(k).normal(size=150).astype(np.float32) for k in range(2)]
    weight, arrays = np.array(0.5, np.float32), list(map(device_array, x))
    for how in ("sum", "mean"):
        found = executed("l1_loss", (9, 0)).vjp(1.0, *arrays, device_array(weight), wrt="weight", reduction=how)
        wanted = F.l1_loss.vjp(1.0, *map(wide, x), wide(weight), wrt="weight", reduction=how)
        np.testing.assert_allclose(found.memory, wanted, rtol=8 * ROUNDING, atol=1e-6)


def test_losses_of_every_dtype_are_rounded_to_it(device_array, executed):
    kernel = executed("mse_loss", (8, 0))
    for dtype in (np.float64, np.float32, np.float16, ml_dtypes.bfloat16):
        x, y = (np.random.default_rng(k).normal(size=300).astype(dtype) for k in range(2))
        found = kernel(device_array(x), device_array(y)).memory
        wanted = F.mse_loss(wide(x), wide(y))
        assert found.dtype == dtype
        unit = float(ml_dtypes.finfo(dtype).eps)
        np.testing.assert_allclose(float(found), wanted, rtol=unit)


def test_a_sum_loses_nothing_to_its_length(device_array, executed):
    x = np.full(3 * 1024, 1.0, np.float32)
    x[0] = 4096.0  # its square is 2**24: in float32 alone, one more and one more would stay that
    found = executed("mse_loss", (9, 0))(device_array(x), 0.0, reduction="sum").memory
    assert found == np.float32(2.0**24 + 3071)


def test_a_result_goes_where_the_caller_says(device_array, executed):
    kernel = executed("mse_loss", (9, 0))
    x, out = np.ones(5, np.float32), np.zeros((), np.float32)
    place = device_array(out)
    assert kernel(device_array(x), 0.5, out=place) is place
    assert out == 0.25
    with pytest.raises(ValueError, match=r"out has shape \(5,\) and the result has \(\)"):
        kernel(device_array(x), 0.5, out=device_array(np.zeros(5, np.float32)))


def test_what_is_wrong_is_said_as_on_the_processor(device_array, executed):
    kernel, x = executed("mse_loss", (9, 0)), device_array(np.ones(5, np.float32))
    with pytest.raises(ValueError, match=r"mse_loss.cuda\(\): reduction must be .*did you mean 'mean'"):
        kernel(x, x, reduction="meen")
    with pytest.raises(ValueError, match=r"vjp\(\): g has shape \(5,\); the reduced loss is one number"):
        kernel.vjp(x, x, x)
    with pytest.raises(ValueError, match="order=2 is elementwise and needs reduction='none'"):
        kernel.grad(x, x, order=2)
    with pytest.raises(NotImplementedError, match="has no CUDA kernel yet; multiply grad"):
        kernel.hvp(x, x, x)
    with pytest.raises(ValueError, match="out has type <f8, unlike the operands; convert one"):
        kernel(x, x, out=device_array(np.zeros(())))


@pytest.mark.parametrize("gamma", [0.0, 0.01, 0.3, 0.9, 2.0])
@pytest.mark.parametrize("alpha", [None, 0.25])
def test_gradients_in_labels_that_are_certain_keep_both_tails(alpha, gamma, device_array, executed):
    """What is raised to ``gamma - 1`` grows where the cross entropy beside it ends, and nothing is left to overflow."""
    x = np.geomspace(3, 600, 64).astype(np.float32)
    kernel, options = executed("sigmoid_focal_loss", (9, 0)), {"alpha": alpha, "gamma": gamma}
    for label in (0.0, 1.0):
        logits, target = np.float32(2 * label - 1) * x, np.full_like(x, label)
        found = kernel.grad(*map(device_array, (logits, target)), wrt="target", **options).memory
        exact = F.sigmoid_focal_loss.grad(wide(logits), wide(target), wrt="target", **options)
        assert (np.abs(found - exact) <= 4 * np.spacing(np.abs(exact.astype(np.float32)))).all()
