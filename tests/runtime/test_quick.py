"""Calls that were seen before: they give what the first gave, and notice whatever is different this time."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any

import numpy as np
import pytest

X = np.linspace(-2.0, 2.0, 9)
Y = X[::-1].copy()


def seen(call: Callable[[], Any]) -> Any:
    """The result of a call, which from now on was seen before."""
    first = call()
    again = call()
    np.testing.assert_array_equal(again, first)
    return again


def flat(results: Any) -> list[Any]:
    """Arrays out of nested tuples."""
    return [a for each in results for a in flat(each)] if isinstance(results, tuple) else [results]


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.float16])
def test_each_method_is_remembered(kernels: ModuleType, dtype: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A call of plain arrays is checked once; after that every method runs its loop at once."""
    x, y = X.astype(dtype), Y.astype(dtype)
    wide = np.tile(x, 8000)  # enough for a table
    calls: list[tuple[Any, Callable[[], Any]]] = [
        (kernels.soft, lambda: kernels.soft(x)), (kernels.soft.grad, lambda: kernels.soft.grad(x)),
    ]  # fmt: skip
    if dtype != np.float16:
        calls += [
            (kernels.soft, lambda: kernels.soft(x, 2.5)), (kernels.soft, lambda: kernels.soft(x, beta=2.5)),
            (kernels.soft.grad, lambda: kernels.soft.grad(x, order=2)),
            (kernels.soft.vjp, lambda: kernels.soft.vjp(y, x)),
            (kernels.soft.value_and_grad, lambda: kernels.soft.value_and_grad(x)),
            (kernels.mix, lambda: kernels.mix(x, y)), (kernels.mix.vjp, lambda: kernels.mix.vjp(x, x, y)),
            (kernels.mix.value_and_grad, lambda: kernels.mix.value_and_grad(x, y, scale=3.0)),
        ]  # fmt: skip
    else:
        kernels.soft(wide), kernels.soft.grad(wide)
    for method, call in calls:
        expected = call()
        monkeypatch.setattr(method, "_checked", lambda args, kwargs: pytest.fail("checked again"))
        for found, wanted in zip(flat(call()), flat(expected), strict=True):
            np.testing.assert_array_equal(found, wanted, strict=True)
        monkeypatch.undo()


def test_shapes_and_strides(kernels: ModuleType) -> None:
    """After a plain call, other shapes, strides and scalars give what they should."""
    seen(lambda: kernels.gate(X))
    for x in (X[::2], X[::-1], X.reshape(3, 3), X.reshape(3, 3).T, X[:0], np.array(3.0), X.reshape(1, 9, 1)):
        found = kernels.gate(x)
        np.testing.assert_array_equal(found, x * x)
        assert np.shape(found) == x.shape
        assert not (x.ndim == 0 and isinstance(found, np.ndarray))
    np.testing.assert_array_equal(kernels.gate(X.astype(">f8")), X * X)
    assert kernels.gate(np.ma.masked_array(X).data)[0] == 4
    with pytest.raises(TypeError, match="masked"):
        kernels.gate(np.ma.masked_array(X, X > 0))


def test_outputs(kernels: ModuleType) -> None:
    """After a plain call with an output, outputs that do not fit are refused and those that overlap are right."""
    out = np.empty(9)
    seen(lambda: kernels.gate(X, out=out).copy())
    assert kernels.gate(X, out=out) is out
    assert kernels.gate(X, out=(out,)) is out
    for wrong, error in (
        (np.empty(8), "shape"), (np.empty((3, 3)), "shape"), (np.empty(9, int), "dtype"), ([0.0] * 9, "NumPy array"),
        (np.broadcast_to(0.0, 9), "read-only"), (np.broadcast_to(np.zeros(1), (9, 9)), "read-only"),
    ):  # fmt: skip
        with pytest.raises((TypeError, ValueError), match=error):
            kernels.gate(X, out=wrong)
    for other in (np.empty(9, np.float32), np.empty(18)[::2], np.empty(9, ">f8"), np.empty((2, 9))):
        assert kernels.gate(X, out=other) is other
        np.testing.assert_array_equal(other, np.broadcast_to((X * X).astype(other.dtype), other.shape))
    whole = np.arange(20.0)
    kernels.gate(whole[:15], out=whole[5:])
    np.testing.assert_array_equal(whole[5:], np.arange(15.0) ** 2)
    x = X.copy()
    assert kernels.gate(x, out=x) is x
    np.testing.assert_array_equal(x, X * X)


def test_several_outputs(kernels: ModuleType) -> None:
    """Several outputs of a call seen before may not lie over each other, but may over an operand."""
    outs = (np.empty(9), np.empty(9))
    seen(lambda: [a.copy() for a in kernels.gate.value_and_grad(X, out=outs)])
    found = kernels.gate.value_and_grad(X, out=outs)
    assert found[0] is outs[0]
    assert found[1] is outs[1]
    with pytest.raises(ValueError, match="share memory"):
        kernels.gate.value_and_grad(X, out=(outs[0], outs[0]))
    x = X.copy()
    kernels.gate.value_and_grad(x, out=(x, outs[1]))
    np.testing.assert_array_equal(x, X * X)
    np.testing.assert_array_equal(outs[1], 2 * X)
    seen(lambda: kernels.mix.vjp(X, X, Y))
    x, y = X.copy(), Y.copy()
    kernels.mix.vjp(X, x, y, out=(y, x))
    np.testing.assert_array_equal(y, X * (Y + 1))
    np.testing.assert_array_equal(x, X * X)


def test_options(kernels: ModuleType) -> None:
    """A call differs by the value and the type of its options, by its keywords, and by further arguments."""
    seen(lambda: kernels.soft(X, 1))
    one, two = kernels.soft(X, 1.0), seen(lambda: kernels.soft(X, 2.0))
    assert not np.array_equal(one, two)
    np.testing.assert_array_equal(kernels.soft(X, beta=2.0), two)
    np.testing.assert_array_equal(kernels.soft(X, 2.0, None), two)
    with pytest.raises(TypeError, match="beta"):
        kernels.soft(X, True)
    with pytest.raises(ValueError, match="beta"):
        kernels.soft(X, 0.0)
    with pytest.raises(TypeError, match="bata"):
        kernels.soft(X, bata=2.0)
    with pytest.raises(TypeError, match="positional"):
        kernels.soft(X, 2.0, None, None)
    seen(lambda: kernels.gate(X, form="cube"))
    assert np.array_equal(np.signbit(seen(lambda: kernels.gate(X, form="cube", scale=0.0))), X < -9)
    assert kernels.gate(X, form="cube", scale=2.0)[-1] == 16
    assert not np.array_equal(kernels.soft.grad(X), kernels.soft.grad(X, order=2))


def test_signs_of_zero_are_told_apart(kernels: ModuleType) -> None:
    """An option of -0.0 is not taken for 0.0, nor the other way round."""
    for low in (0.0, -0.0, 0.0):
        for _ in range(2):
            assert np.signbit(kernels.clip(np.full(3, -1.0), low)).all() == np.signbit(low)


def test_masks_and_checks(kernels: ModuleType) -> None:
    """where= and check= are heeded at every call."""
    seen(lambda: kernels.gate(X))
    for _ in range(2):
        out = np.full(9, 7.0)
        kernels.gate(X, where=X > 0, out=out)
        np.testing.assert_array_equal(out, np.where(X > 0, X * X, 7))
        kernels.gate(X, where=True, out=out)
        np.testing.assert_array_equal(out, X * X)
    kernels.cut(np.ones(3), 1.0, check=True)
    with pytest.raises(ValueError, match="everywhere"):
        kernels.cut(-np.ones(3), 1.0, check=True)


def test_operands_of_two_dtypes(kernels: ModuleType) -> None:
    """Two operands are plain together only if they have one dtype and one shape."""
    seen(lambda: kernels.mix(X, Y))
    expected = X * Y + X
    assert kernels.mix(X, Y.astype(np.float32)).dtype == np.float64
    np.testing.assert_array_equal(kernels.mix(X, Y[None]), expected[None])
    np.testing.assert_array_equal(kernels.mix(X, Y.tolist()), expected)
    np.testing.assert_array_equal(kernels.mix(X, 1.0), 2 * X)
    np.testing.assert_array_equal(kernels.mix(X, target=Y), expected)
    with pytest.raises(ValueError, match="broadcast"):
        kernels.mix(X, Y[:4])
    with pytest.raises(TypeError, match="target"):
        kernels.mix(X)
    x = X.copy()
    np.testing.assert_array_equal(kernels.mix(x, Y, out=x), expected)


def test_parameters_are_placed_at_each_call(kernels: ModuleType) -> None:
    """A parameter of the operand's shape is no second tensor."""
    one = np.array([-2.0])
    seen(lambda: kernels.slope(one, np.array([0.5])))
    with pytest.raises(ValueError, match="weight has shape"):
        kernels.slope(X, np.ones(9))


def test_memory_of_kinds_is_bounded(kernels: ModuleType) -> None:
    """However many values of an option are tried, a bounded number is remembered."""
    for k in range(200):
        kernels.soft(X, 1.0 + k)
    assert len(kernels.soft._known) <= 64
