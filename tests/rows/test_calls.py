"""Calls of row functions: axes anywhere, any strides and dtypes, outputs given, and bad input refused by name."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from typing import Any

import ml_dtypes
import numpy as np
import pytest

import symgen.functional as F


def reference(x: Any, axis: int) -> Any:
    e = np.exp(x - x.max(axis, keepdims=True))
    return e / e.sum(axis, keepdims=True)


X = np.random.default_rng(0).normal(size=(4, 5, 6))


@pytest.mark.parametrize("axis", [-1, 0, 1, 2, -3])
@pytest.mark.parametrize("view", [lambda x: x, lambda x: x.T, lambda x: x[::2, ::-1], np.asfortranarray])
def test_axis_and_strides(axis: int, view: Callable[[Any], Any]) -> None:
    """The axis may stand anywhere, and the array may lie in memory as it likes."""
    x = view(X)
    np.testing.assert_allclose(F.softmax(x, axis=axis), reference(x, axis), rtol=1e-14)
    np.testing.assert_array_equal(F.softmax(x, dim=axis), F.softmax(x, axis=axis))
    np.testing.assert_allclose(F.logsumexp(x, axis=axis), np.log(np.exp(x).sum(axis)), rtol=1e-13, atol=1e-15)
    g = np.random.default_rng(1).normal(size=x.shape)
    p = reference(x, axis)
    wanted = p * (g - (p * g).sum(axis, keepdims=True))
    np.testing.assert_allclose(F.softmax.vjp(g, x, axis=axis), wanted, rtol=1e-12, atol=1e-15)


def test_keepdims() -> None:
    """A dropped axis may stay with length one, under either name, and the cotangent may have it too."""
    kept = F.logsumexp(X, axis=1, keepdims=True)
    assert kept.shape == (4, 1, 6)
    assert F.logsumexp(X, dim=1, keepdim=True).shape == (4, 1, 6)
    np.testing.assert_array_equal(kept[:, 0], F.logsumexp(X, axis=1))
    g = np.random.default_rng(2).normal(size=(4, 1, 6))
    with_axis = F.logsumexp.vjp(g, X, axis=1, keepdims=True)
    np.testing.assert_array_equal(with_axis, F.logsumexp.vjp(g[:, 0], X, axis=1))


def test_outputs() -> None:
    """A result goes where it is told, over an operand too, and is what is returned."""
    out = np.empty_like(X)
    assert F.softmax(X, axis=1, out=out) is out
    np.testing.assert_array_equal(out, F.softmax(X, axis=1))
    x = X.copy()
    F.softmax(x, axis=0, out=x)
    np.testing.assert_array_equal(x, F.softmax(X, axis=0))
    gradient = np.empty(X.shape, np.float32)
    F.softmax.vjp(X, X, out=gradient)
    np.testing.assert_array_equal(gradient, F.softmax.vjp(X, X).astype(np.float32))
    rows = np.empty(4)
    assert F.logsumexp(X[:, :, 0], out=rows) is rows


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.float16, ml_dtypes.bfloat16])
def test_dtypes(dtype: Any) -> None:
    """Each dtype gets its own back, rounded once from what float64 gives."""
    x = X.astype(dtype)
    got = F.softmax(x)
    exact = F.softmax(x.astype(np.float64))
    assert got.dtype == x.dtype
    np.testing.assert_array_equal(got, exact.astype(dtype) if dtype != ml_dtypes.bfloat16 else got)
    assert np.max(np.abs(got.astype(float) - exact)) <= float(ml_dtypes.finfo(dtype).eps)
    assert F.softmax.vjp(x, x).dtype == x.dtype


def test_lists_masks_and_broadcasting() -> None:
    """Lists are arrays, a mask may be shorter than the operand, and one row of it serves all."""
    assert F.softmax([1, 2, 3]).sum() == pytest.approx(1.0)
    mask = np.array([True, True, False, True, True, False])
    np.testing.assert_array_equal(F.softmax(X, where=mask), F.softmax(X, where=np.broadcast_to(mask, X.shape)))
    columns = np.array([True, False, True, True])[:, None, None]
    np.testing.assert_array_equal(F.softmax(X, axis=0, where=columns)[1], 0.0)


REFUSED: list[tuple[Callable[[], Any], type[Exception], str]] = [
    (lambda: F.softmax(X, axis=3), ValueError, "axis=3 is out of range for operands of 3 axes"),
    (lambda: F.softmax(1.0), ValueError, r"x has shape \(\); it needs an axis C"),
    (lambda: F.softmax(X, axis=1.5), TypeError, "axis must be an integer, got 1.5"),
    (lambda: F.softmax(X, where=np.ones(6)), TypeError, "where has dtype float64; expected bool"),
    (lambda: F.softmax(X, where=np.ones(7, bool)), ValueError, r"where has shape \(7,\)"),
    (lambda: F.softmax.vjp(np.ones(3), X), ValueError, r"g has shape \(3,\)"),
    (lambda: F.softmax(X, axis=1, dim=1), TypeError, "'dim' is another name of"),
    (lambda: F.softmax(X, out=np.empty(3)), ValueError, r"out has shape \(3,\)"),
    (lambda: F.softmax.vjp(X, X, wrt="where"), ValueError, "wrt may name x"),
    (lambda: F.softmax(None), TypeError, "x must be an array, got None"),
    (lambda: F.softmax(np.array(["a"])), TypeError, "x has dtype"),
    (lambda: F.softmax.scalar, AttributeError, "takes whole rows"),
    (lambda: F.softmax(X, axes=1), TypeError, "did you mean 'axis'"),
]  # fmt: skip


@pytest.mark.parametrize(("call", "error", "words"), REFUSED)
def test_bad_input_is_refused_by_name(call: Callable[[], Any], error: type[Exception], words: str) -> None:
    """An error says which function, which argument, what it was and what it should be."""
    with pytest.raises(error, match=words):
        call()


def test_threads_change_no_bit() -> None:
    """Rows are computed alike whatever the number of threads."""
    from symgen.runtime.threads import get_num_threads, set_num_threads

    x = np.random.default_rng(3).normal(size=(3000, 100))
    before = get_num_threads()
    try:
        set_num_threads(1)
        alone = F.softmax(x)
        set_num_threads(3)
        np.testing.assert_array_equal(F.softmax(x), alone)
    finally:
        set_num_threads(before)


def test_pickle_copy_and_warm() -> None:
    """A row function pickles as itself, copies as itself, and compiles ahead of time."""
    assert pickle.loads(pickle.dumps(F.softmax)) is F.softmax
    assert copy.deepcopy(F.softmax) is F.softmax
    warmed = F.logmeanexp.warm("float32")
    assert warmed.compiled + warmed.cached >= 2
    assert "axis" in str(F.softmax.__signature__)
    assert "where=True" in str(F.softmax.__signature__)


def test_calls_that_are_remembered() -> None:
    """A second call of a kind gives what the first gave, whatever the shape, and one that is not plain is checked."""
    rng = np.random.default_rng(5)
    for shape in ((4, 6), (2, 3, 5), (7,), (3, 6)):
        x, g = rng.normal(size=(2, *shape)).astype(np.float32)
        first = F.softmax(x.tolist())
        np.testing.assert_allclose(F.softmax(x), first, rtol=1e-6)
        out = np.empty_like(x)
        assert F.softmax(x, out=out) is out
        np.testing.assert_array_equal(out, F.softmax(x))
        np.testing.assert_array_equal(F.softmax(x, out=x.copy()), out)
        np.testing.assert_array_equal(F.softmax(x[..., ::-1])[..., ::-1], out)
        gradient = F.softmax.vjp(g, x)
        np.testing.assert_array_equal(gradient, F.softmax.vjp(g[..., ::-1][..., ::-1], np.asfortranarray(x)))
        same = x.copy()
        assert F.softmax(same, out=same) is same
        np.testing.assert_array_equal(same, out)
        few = F.logsumexp(x)
        np.testing.assert_array_equal(F.logsumexp.vjp(np.ones_like(few), x), out)
    with pytest.raises(ValueError, match="shape"):
        F.softmax(np.zeros((2, 3), np.float32), out=np.zeros((3, 3), np.float32))
    assert F.softmax(np.zeros((0, 3), np.float32)).shape == (0, 3)
    half = np.ones((2, 3), np.float16)
    F.softmax.vjp(half, half)  # the same kernel for other arrays must not come in between
    x, g = rng.normal(size=(2, 4, 6)).astype(np.float32)
    first = F.softmax.vjp(g, x, axis=1)
    F.softmax.vjp(half, half)
    np.testing.assert_array_equal(F.softmax.vjp(g, x), first)


def test_large_arrays_along_other_axes() -> None:
    """Rows that are no runs in memory are turned in parts, and every entry comes back to its place."""
    x, g = np.random.default_rng(6).normal(size=(2, 3, 700, 30)).astype(np.float32)
    for axis in (0, 1):
        turned = [np.ascontiguousarray(np.moveaxis(a, axis, -1)) for a in (x, g)]
        wanted = np.moveaxis(F.softmax(turned[0]), -1, axis)
        np.testing.assert_array_equal(F.softmax(x, axis=axis), wanted)
        np.testing.assert_array_equal(F.softmax(x, axis=axis, out=np.empty_like(x)), wanted)
        slope = np.moveaxis(F.softmax.vjp(turned[1], turned[0]), -1, axis)
        np.testing.assert_array_equal(F.softmax.vjp(g, x, axis=axis), slope)
        half = x.astype(ml_dtypes.bfloat16)
        np.testing.assert_array_equal(
            F.softmax(half, axis=axis), F.softmax(half.astype(np.float64), axis=axis).astype(ml_dtypes.bfloat16)
        )


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("n", [1, 5, 200])
def test_no_mask_is_one_that_leaves_nothing_out(n: int, dtype: Any) -> None:
    """Kernels without a mask are compiled apart, and give what they give for one that is true everywhere."""
    x, g = np.random.default_rng(3).normal(size=(2, 4, n)).astype(dtype)
    for where in (np.ones(n, bool), np.ones((4, n), bool)):
        np.testing.assert_array_max_ulp(F.softmax(x), F.softmax(x, where), 1)
        np.testing.assert_array_max_ulp(F.log_softmax(x), F.log_softmax(x, where), 1)
        np.testing.assert_array_max_ulp(F.softmax.vjp(g, x), F.softmax.vjp(g, x, where), 1)
