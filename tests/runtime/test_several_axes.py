"""Rows that run along several axes are rows of the entries of all of them, in values and in every derivative."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import symgen.functional as F

SHAPE = (2, 3, 4, 5)
RNG = np.random.default_rng(3)
X = RNG.normal(size=SHAPE)
AXES: list[Any] = [(1, 3), (3, 1), (-1, -2), [0], (0, 1, 2, 3), None]


def flat(a: Any, axes: Any) -> Any:
    """An array with the row as its last axis."""
    places = range(4) if axes is None else [i % 4 for i in axes]
    return np.moveaxis(a, list(places), range(-len(places), 0)).reshape(-1, np.prod([SHAPE[i] for i in places]))


@pytest.mark.parametrize("axes", AXES)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_rows_are_those_of_all_entries(axes: Any, dtype: Any) -> None:
    x, g = X.astype(dtype), RNG.normal(size=SHAPE).astype(dtype)
    for name in ("softmax", "log_softmax", "normalize", "layer_norm"):
        kernel = getattr(F, name)
        assert np.array_equal(flat(kernel(x, axis=axes), axes), kernel(flat(x, axes)))
        slopes = kernel.vjp(g, x, wrt="x", axis=axes)
        assert slopes.dtype == dtype
        assert np.array_equal(flat(slopes, axes), kernel.vjp(flat(g, axes), flat(x, axes), wrt="x"))
        second = kernel.hvp(x, x, g=g, axis=axes)
        assert np.array_equal(flat(second, axes), kernel.hvp(flat(x, axes), flat(x, axes), g=flat(g, axes)))


@pytest.mark.parametrize("axes", AXES)
def test_numbers_of_rows_may_keep_their_axes(axes: Any) -> None:
    places = tuple(range(4) if axes is None else axes)
    value, slopes = F.logsumexp.value_and_grad(X, axis=axes)
    assert np.array_equal(np.ravel(value), F.logsumexp(flat(X, axes)))
    assert np.array_equal(F.logsumexp.grad(X, axis=axes), slopes)
    assert np.array_equal(flat(slopes, axes), F.logsumexp.grad(flat(X, axes)))
    kept = F.logsumexp(X, dim=axes, keepdim=True)
    assert np.array_equal(kept, np.expand_dims(value, places))
    assert np.array_equal(F.logsumexp.vjp(kept, X, axis=axes, keepdims=True), F.logsumexp.vjp(value, X, axis=axes))


def test_a_mask_and_a_second_operand_may_be_broadcast() -> None:
    mask = np.array([True, False, True, True, False])
    found = F.softmax(X, mask, axis=(1, 3))
    assert np.allclose(found.sum(axis=(1, 3)), 1, rtol=1e-15)
    assert not found[..., ~mask].any()
    other = RNG.normal(size=SHAPE[1:])
    value, (first, second) = F.cosine_similarity.value_and_grad(X, other, axis=(1, 2, 3))
    rows = [F.cosine_similarity.value_and_grad(x.ravel(), other.ravel()) for x in X]
    assert value.tolist() == [v for v, _ in rows]
    assert np.array_equal(first.reshape(2, -1), [a for _, (a, _) in rows])
    assert second.shape == other.shape
    assert np.allclose(second.ravel(), sum(b for _, (_, b) in rows), rtol=1e-13)


def test_parameters_have_the_shape_of_the_row() -> None:
    """As in PyTorch, whose name for it is another way to say which axes."""
    weight, bias, g = RNG.normal(size=(4, 5)), RNG.normal(size=(4, 5)), RNG.normal(size=SHAPE)
    plain = F.layer_norm(X.reshape(6, 20), weight=weight.ravel(), bias=bias.ravel())
    slopes = F.layer_norm.vjp(g.reshape(6, 20), X.reshape(6, 20), weight=weight.ravel(), bias=bias.ravel())
    for how in ({"axis": (-2, -1)}, {"normalized_shape": (4, 5)}):
        assert np.array_equal(F.layer_norm(X, weight=weight, bias=bias, **how).reshape(6, 20), plain)
        found = F.layer_norm.vjp(g, X, weight=weight, bias=bias, **how)
        assert [f.shape for f in found] == [SHAPE, (4, 5), (4, 5)]
        assert all(np.array_equal(f.ravel(), s.ravel()) for f, s in zip(found, slopes, strict=True))
    assert F.layer_norm.vjp(g, X, bias=bias, wrt=("bias", "eps"), axis=(2, 3))[0].shape == (4, 5)
    assert np.array_equal(F.rms_norm(X, normalized_shape=5), F.rms_norm(X))
    for wrt in ("weight", ("weight",)):
        bend = F.layer_norm.hvp(weight, X, weight=weight, bias=bias, g=g, axis=(2, 3), wrt=wrt)
        assert bend.tolist() == np.zeros((4, 5)).tolist()


REFUSED: list[tuple[Any, str]] = [
    (lambda: F.softmax(X, axis=(1, 1)), r"softmax\(\): axis=\(1, 1\) names an axis twice"),
    (lambda: F.softmax(X, axis=()), r"axis=\(\) names no axis"),
    (lambda: F.softmax(X, axis=(1, 7)), r"axis=\(1, 7\) is out of range for operands of 4 axes"),
    (lambda: F.softmax(X, axis=(1, 2.0)), "axis must be an integer or a tuple of integers"),
    (lambda: F.softmax(X, axis=(0, 1), out=X), "out is not supported along several axes"),
    (lambda: F.softmax(X, axis=(0, 1), foo=2), "unexpected keyword argument 'foo'"),
    (lambda: F.softmax(X, axis=(0, 1), keepdims=True), "unexpected keyword argument 'keepdims'"),
    (lambda: F.softmax(X, axis=(0, 1), dim=2), "multiple values for argument 'axis'"),
    (lambda: F.logsumexp(X, axis=None, keepdims=True, keepdim=False), "multiple values for argument 'keepdims'"),
    (lambda: F.softmax.vjp(np.ones(7), X, axis=(0, 1)), r"g has shape \(7,\); it must broadcast"),
    (lambda: F.softmax.hvp(X[0], X, axis=(0, 1)), r"v has shape \(3, 4, 5\); expected \(2, 3, 4, 5\)"),
    (lambda: F.rms_norm.hvp(X[0], X, weight=X[0, 0], axis=(2, 3), wrt="weight"),
     r"v has shape \(3, 4, 5\); expected \(4, 5\)"),
    (lambda: F.glu(X, axis=(0, 1)), "axis must be an integer, as this axis is taken in parts"),
    (lambda: F.layer_norm(X, normalized_shape=(3, 5)), r"does not end in normalized_shape=\(3, 5\)"),
    (lambda: F.layer_norm(X, normalized_shape=5, axis=-1), "takes normalized_shape or axis, not both"),
    (lambda: F.layer_norm(X, axis=(2, 3), weight=np.ones((2, 5))), r"weight has shape \(2, 5\); expected \(4, 5\)"),
]


@pytest.mark.parametrize(("call", "message"), REFUSED)
def test_what_cannot_be_meant_is_refused(call: Any, message: str) -> None:
    with pytest.raises((TypeError, ValueError), match=message):
        call()
