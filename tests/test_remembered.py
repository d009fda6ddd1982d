"""Calls that are remembered by shapes: the same results to the last bit, the same refusals, and no array kept alive."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import symgen.functional as F
from symgen.runtime.kernel import Method

RNG = np.random.default_rng(7)


def f32(*shape: int) -> np.ndarray:
    return RNG.standard_normal(shape).astype(np.float32)


def classes(n: int, size: int) -> np.ndarray:
    return RNG.integers(0, size, n)


CALLS: dict[str, tuple[Any, Callable[[], tuple[tuple[Any, ...], dict[str, Any]]]]] = {
    "cross_entropy": (F.cross_entropy, lambda: ((f32(5, 7), classes(5, 7)), {})),
    "weighted": (F.cross_entropy, lambda: ((f32(5, 7), classes(5, 7)), {"weight": np.abs(f32(7))})),
    "smoothed": (F.cross_entropy, lambda: ((f32(5, 7), classes(5, 7)), {"label_smoothing": 0.1, "reduction": "none"})),
    "probabilities": (F.cross_entropy, lambda: ((f32(5, 7), np.abs(f32(5, 7))), {"reduction": "sum"})),
    "both": (F.cross_entropy.value_and_grad, lambda: ((f32(5, 7), classes(5, 7)), {})),
    "gradient": (F.cross_entropy.grad, lambda: ((f32(5, 7), classes(5, 7)), {})),
    "nll_loss": (F.nll_loss, lambda: ((f32(3, 4), classes(3, 4)), {"reduction": "none"})),
    "triplet": (F.triplet_margin_loss.value_and_grad, lambda: ((f32(6, 3), f32(6, 3), f32(6, 3)), {})),
    "layer_norm": (F.layer_norm, lambda: ((f32(4, 6),), {"weight": f32(6), "bias": f32(6)})),
    "layer_norm.vjp": (F.layer_norm.vjp, lambda: ((f32(4, 6), f32(4, 6)), {})),
    "cosine_similarity": (F.cosine_similarity, lambda: ((f32(4, 6), f32(4, 6)), {})),
    "cosine_similarity.vjp": (F.cosine_similarity.vjp, lambda: ((f32(4), f32(4, 6), f32(4, 6)), {})),
    "prelu": (F.prelu, lambda: ((f32(4, 6), f32(6)), {})),
    "prelu.grad": (F.prelu.grad, lambda: ((f32(4, 6, 2), f32(6)), {"order": 1})),
    "prelu.value_and_grad": (F.prelu.value_and_grad, lambda: ((), {"weight": f32(1), "x": f32(7)})),
    "prelu.vjp": (F.prelu.vjp, lambda: ((f32(4, 6), f32(4, 6), f32(6)), {"wrt": "x"})),
    "prelu.vjp of one cotangent": (F.prelu.vjp, lambda: ((1.0, f32(4, 6), f32(1)), {"wrt": "x"})),
    "prelu of a number": (F.prelu, lambda: ((f32(4), 0.5), {})),
    "masked": (F.softmax, lambda: ((f32(4, 6),), {"where": RNG.random((4, 6)) < 0.8})),
}


def fresh(call: Any) -> Any:
    """The same function without a memory."""
    return Method(call._kernel, call.__name__) if isinstance(call, Method) else type(call)(
        call.function, call._caller.loops.package, call.__module__
    )  # fmt: skip


def flat(result: Any) -> list[np.ndarray]:
    return [a for r in result for a in flat(r)] if isinstance(result, tuple) else [np.asarray(result)]


@pytest.mark.parametrize("name", CALLS)
def test_a_call_that_is_made_again_gives_the_same_bits(name: str) -> None:
    call, arguments = CALLS[name]
    call = fresh(call)
    args, options = arguments()
    first = call(*args, **options)
    assert call._seen, "nothing was remembered"
    assert all(np.array_equal(a, b) for a, b in zip(flat(first), flat(call(*args, **options)), strict=True))
    for _ in range(3):
        args, options = arguments()
        got, want = flat(call(*args, **options)), flat(fresh(call)(*args, **options))
        for a, b in zip(got, want, strict=True):
            assert a.dtype == b.dtype
            assert a.shape == b.shape
            np.testing.assert_array_equal(a.view(np.uint32) if a.ndim else a, b.view(np.uint32) if b.ndim else b)
    assert len(call._seen) == 1


@pytest.mark.parametrize("weight", [{}, {"weight": 2.0}, {"weight": np.float32([1, 2, 3])}], ids=str)
@pytest.mark.parametrize("method", ["grad", "vjp", "value_and_grad"])
def test_a_derivative_of_a_loss_is_asked_for_again(method: str, weight: dict[str, Any]) -> None:
    """An operand that is left out, or is a number, is no array that its loop could run again with."""
    call = fresh(getattr(F.binary_cross_entropy_with_logits, method))
    args = (f32(3), np.abs(f32(3)) / 9)
    args = (np.ones(3, np.float32), *args) if method == "vjp" else args
    options = {**weight, "reduction": "none"}
    first = call(*args, **options)
    for _ in range(2):
        assert all(np.array_equal(a, b) for a, b in zip(flat(first), flat(call(*args, **options)), strict=True))


def test_arrays_that_lie_otherwise_are_checked_from_the_beginning() -> None:
    x, t = f32(5, 7), classes(5, 7)
    want = F.cross_entropy(x, t)
    assert F.cross_entropy(np.asfortranarray(x), t) == want
    assert F.cross_entropy(np.repeat(x, 2, axis=1)[:, ::2], t) == want
    assert F.cross_entropy(x.astype(">f4"), t) == want
    assert F.cross_entropy(x, t.astype(np.int32)) == want
    assert F.cross_entropy(x.tolist(), t.tolist()) == pytest.approx(float(want))


def test_classes_and_weights_are_checked_at_every_call() -> None:
    x, t, w = f32(5, 7), classes(5, 7), np.abs(f32(7))
    for _ in range(2):
        F.cross_entropy(x, t)
        F.cross_entropy(x, t, weight=w)
    t[2] = 7
    with pytest.raises(ValueError, match=r"target holds 7 at index .2,."):
        F.cross_entropy(x, t)
    t[2] = -1
    with pytest.raises(ValueError, match="target holds -1"):
        F.cross_entropy(x, t)
    t[2] = -100  # passed over
    assert F.cross_entropy(x, t) == pytest.approx(float(F.cross_entropy(np.delete(x, 2, 0), np.delete(t, 2))))
    w[3] = -1
    with pytest.raises(ValueError, match="must be >= 0, but is -1 for class 3"):
        F.cross_entropy(x, t, weight=w)


def test_options_are_told_apart() -> None:
    x, t = f32(5, 7), classes(5, 7)
    plain = F.cross_entropy(x, t)
    assert F.cross_entropy(x, t, reduction="sum") == pytest.approx(5 * float(plain), rel=1e-6)
    assert F.cross_entropy(x, t, ignore_index=int(t[0])) != plain
    assert F.cross_entropy(x, t, label_smoothing=0.5) != plain
    assert F.cross_entropy(x, t) == plain
    with pytest.raises(TypeError, match="label_smoothing"):
        F.cross_entropy(x, t, label_smoothing="0.5")


def test_all_passed_over_is_what_the_checked_call_says() -> None:
    x, t = f32(2, 3), classes(2, 3)
    F.cross_entropy(x, t)
    t[:] = -100
    assert np.isnan(F.cross_entropy(x, t))
    _, gradient = F.cross_entropy.value_and_grad(x, t)
    assert not gradient.any()


def test_no_array_of_a_caller_is_kept_alive() -> None:
    x, t, w = f32(11, 13), classes(11, 13), np.abs(f32(13))
    known = [weakref.ref(a) for a in (x, t, w)]
    F.cross_entropy.value_and_grad(x, t, weight=w)
    F.cross_entropy(x, t, weight=w)
    del x, t, w
    gc.collect()
    assert [r() for r in known] == [None, None, None]
