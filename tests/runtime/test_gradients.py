"""Derivatives: elementwise, of a cotangent with the shapes of what they belong to, and together with the value."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

BFLOAT16 = np.dtype(ml_dtypes.bfloat16)
eighths = st.integers(-64, 64).map(lambda k: k / 8)


def summed_to(gradient: Any, shape: tuple[int, ...]) -> Any:
    """The textbook sum over broadcast axes."""
    while gradient.ndim > len(shape):
        gradient = gradient.sum(axis=0)
    for axis, length in enumerate(shape):
        if length == 1:
            gradient = gradient.sum(axis=axis, keepdims=True)
    return gradient


def test_grad_is_elementwise(kernels: ModuleType) -> None:
    """First and second derivative have the shape of the value, for the options that were passed."""
    x = np.linspace(-2, 2, 12).reshape(3, 4)
    np.testing.assert_array_equal(kernels.gate.grad(x), 2 * x)
    np.testing.assert_array_equal(kernels.gate.grad(x, order=2), np.full((3, 4), 2.0))
    np.testing.assert_allclose(kernels.gate.grad(x, form="cube", scale=2.0), 6 * x**2)
    np.testing.assert_array_equal(kernels.gate.grad(x, form="cube", scale=0), np.zeros((3, 4)))
    assert kernels.gate.grad(3.0) == 6
    for two in (np.int8(2), np.array(2), 2.0):
        assert kernels.gate.grad(3.0, order=two) == 2
    assert kernels.gate.grad(x.astype(np.float16)[::2, ::-1]).dtype == np.float16


def test_grad_with_respect_to(kernels: ModuleType) -> None:
    """``wrt`` names an operand or an option; several tensors give a tuple, one name a bare array."""
    x = np.linspace(-2, 2, 6)
    np.testing.assert_allclose(kernels.soft.grad(x, 2.0, wrt="beta"), x / (1 + np.exp(-2 * x)) / 2
                               - np.log1p(np.exp(2 * x)) / 4)
    a, b = kernels.mix.grad(x, x + 1)
    np.testing.assert_array_equal(a, x + 2)
    np.testing.assert_array_equal(b, x)
    np.testing.assert_array_equal(kernels.mix.grad(x, x + 1, wrt=("target",)), x)
    b, a = kernels.mix.grad(x, x + 1, wrt=("target", "input"))
    np.testing.assert_array_equal(a, x + 2)
    np.testing.assert_array_equal(kernels.slope.grad(-np.ones((1, 2, 1)), [3.0, 4.0]), [[[3], [4]]])
    np.testing.assert_array_equal(kernels.gate.grad(x, wrt="input"), 2 * x)


def test_grad_outputs(kernels: ModuleType) -> None:
    """``out`` and ``where`` work as in the call; several results take a tuple."""
    x, out = np.arange(4.0), np.zeros(4)
    assert kernels.gate.grad(x, out=out, where=x > 1) is out
    np.testing.assert_array_equal(out, [0, 0, 4, 6])
    outs = np.empty(4), np.empty(4)
    assert kernels.mix.grad(x, x, out=outs)[1] is outs[1]
    np.testing.assert_array_equal(outs[0], x + 1)


@given(data=st.data())
def test_vjp_of_broadcast_operands(kernels: ModuleType, data: st.DataObject) -> None:
    """Each gradient is summed back to the shape and has the dtype of its operand."""
    pair = data.draw(hnp.mutually_broadcastable_shapes(num_shapes=2, max_dims=4, max_side=4, min_side=0))
    dtypes = st.sampled_from([np.float64, np.float32])
    a, b = (data.draw(hnp.arrays(data.draw(dtypes), shape, elements=eighths)) for shape in pair.input_shapes)
    g = data.draw(hnp.arrays(np.float64, pair.result_shape, elements=eighths))
    ga, gb = kernels.mix.vjp(g, a, b, scale=2.0)
    wide_a, wide_b = (np.broadcast_to(v.astype(np.float64), pair.result_shape) for v in (a, b))
    for found, operand, expected in ((ga, a, g * (2 * wide_b + 1)), (gb, b, g * 2 * wide_a)):
        assert (found.shape, found.dtype) == (operand.shape, operand.dtype)
        np.testing.assert_allclose(found, summed_to(expected, operand.shape), rtol=1e-6)


@pytest.mark.parametrize("shape", [(), (5,), (2, 3), (2, 3, 4), (2, 3, 4, 5), (0, 3), (2, 3, 0)])
@pytest.mark.parametrize("per_channel", [False, True])
@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.float16])
def test_vjp_of_a_parameter(kernels: ModuleType, shape: tuple[int, ...], per_channel: bool, dtype: Any) -> None:
    """A parameter's gradient is summed over everything but its channel, and has its shape."""
    rng = np.random.default_rng(1)
    x, g = (np.round(rng.normal(size=shape) * 8).astype(dtype) / dtype(8) for _ in range(2))
    channels = shape[1] if per_channel and len(shape) > 1 else 1
    weight = np.linspace(0.5, 1, channels, dtype=dtype)
    gx, gw = kernels.slope.vjp(g, x, weight)
    placed = weight.reshape((-1,) + (1,) * max(0, len(shape) - 2)) if channels > 1 else weight.reshape(())
    np.testing.assert_array_equal(gx, (g.astype(float) * np.where(x > 0, 1, placed)).astype(dtype))
    terms = np.where(x > 0, 0, g.astype(float) * x)
    axes = tuple(i for i in range(len(shape)) if channels == 1 or i != 1)
    rtol = 2e-3 if dtype == np.float16 else 1e-6
    np.testing.assert_allclose(gw, terms.sum(axis=axes).reshape(weight.shape), rtol=rtol)
    assert (gw.dtype, gw.shape) == (np.dtype(dtype), weight.shape)


def test_vjp_names_what_was_passed(kernels: ModuleType) -> None:
    """Python numbers have no gradient unless ``wrt`` names them or nothing else was passed; options are scalars."""
    x, g = np.array([-1.0, 2.0]), np.array([1.0, 10.0])
    np.testing.assert_array_equal(kernels.slope.vjp(g, x, 0.5), [0.5, 10])
    gw = kernels.slope.vjp(g, x, np.array(0.5))[1]
    assert gw.shape == ()
    assert gw == -1
    assert kernels.slope.vjp(g, x, 0.5, wrt=("weight",)) == -1
    assert kernels.slope.vjp(1.0, -2.0, 0.5) == (0.5, -2.0)
    assert kernels.slope.vjp(g, x, [[0.5]][0])[1].shape == (1,)
    np.testing.assert_array_equal(kernels.cut.vjp(g, x**2, 0.0), g / x**2)
    assert len(kernels.cut.vjp(g, x**2, 0.0, offset=x)) == 2


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.float16, BFLOAT16])
def test_vjp_of_an_option(kernels: ModuleType, dtype: Any) -> None:
    """An option's gradient is one NumPy scalar, summed over everything, in the dtype of the computation."""
    x = np.linspace(-2, 2, 8).reshape(2, 4).astype(dtype)
    g = np.ones((2, 4), dtype)
    found = kernels.gate.vjp(g, x + dtype(1) if dtype != BFLOAT16 else x, form="cube", wrt="scale")
    moved = (x + dtype(1) if dtype != BFLOAT16 else x).astype(np.float64)
    assert found.dtype == np.dtype(dtype)
    assert not isinstance(found, np.ndarray)
    np.testing.assert_allclose(float(found), (moved**3).sum(), rtol=4e-3, atol=1e-6)
    gx, gs = kernels.gate.vjp(g, x, form="cube", wrt=("x", "scale"))
    assert gx.shape == x.shape
    assert gs.shape == ()


def test_vjp_of_option_and_parameter_with_channels(kernels: ModuleType) -> None:
    """Bounds of a clip get the cotangents of the elements that they hold."""
    x, g = np.array([-3.0, -2.0, 0.0, 5.0]), np.array([1.0, 10.0, 100.0, 1000.0])
    assert kernels.clip.vjp(g, x, wrt=("low", "high")) == (11, 1000)
    assert kernels.clip.vjp(np.zeros((0,)), np.zeros((0,)), wrt="low") == 0


def test_cotangent_broadcasts(kernels: ModuleType) -> None:
    """A cotangent may be smaller than the output, and promotes with the operands; the gradient keeps its dtype."""
    x = np.arange(6.0, dtype=np.float32).reshape(2, 3)
    np.testing.assert_array_equal(kernels.gate.vjp(1.0, x), 2 * x)
    np.testing.assert_array_equal(kernels.gate.vjp(np.array([1.0, 2, 3]), x), 2 * x * [1, 2, 3])
    assert kernels.gate.vjp(np.ones((2, 3)), x).dtype == np.float32
    assert kernels.gate.vjp(np.ones((2, 3), np.int64), x).dtype == np.float32
    assert kernels.gate.vjp(np.ones(3, np.float32), np.arange(3)).dtype == np.float64
    assert kernels.gate.vjp(2.0, 3.0) == 12
    halves = np.ones(3, BFLOAT16)
    assert kernels.gate.vjp(halves, halves).dtype == BFLOAT16


def test_vjp_outputs(kernels: ModuleType) -> None:
    """``out`` takes each gradient, of whatever it is summed over; one may be the cotangent itself."""
    x, g = np.arange(6.0).reshape(2, 3), np.ones((2, 3))
    assert kernels.gate.vjp(g, x, out=g) is g
    np.testing.assert_array_equal(g, 2 * x)
    weight = np.array([1.0, 2.0, 3.0])
    gx, gw = np.empty((2, 3)), np.empty(3, np.float32)
    found = kernels.slope.vjp(np.ones((2, 3)), -x, weight, out=(gx, gw))
    assert found[0] is gx
    assert found[1] is gw
    np.testing.assert_array_equal(gw, -x.sum(axis=0))
    small = np.empty((1, 3))
    kernels.mix.vjp(np.ones((2, 3)), np.ones((1, 3)), x, out=(small, None))
    np.testing.assert_array_equal(small, [(x + 1).sum(axis=0)])


def test_sums_do_not_lose_digits(kernels: ModuleType) -> None:
    """A broadcast operand's float32 gradient is the rounded exact sum, though a float32 sum would stall."""
    size = 1 << 18
    row = np.full((1, 2), 0.1, np.float32)
    found = kernels.mix.vjp(np.float32(1), row, np.full((size, 2), 0.1, np.float32), wrt="input")
    np.testing.assert_array_equal(found, np.full((1, 2), np.float32(size * (1 + np.float64(np.float32(0.1))))))


@given(data=st.data())
def test_value_and_grad(kernels: ModuleType, data: st.DataObject) -> None:
    """Value and derivative in one pass are what the call and ``grad`` give, in every layout."""
    x = data.draw(hnp.arrays(data.draw(st.sampled_from([np.float64, np.float32, np.float16])), hnp.array_shapes(
        min_dims=0, max_dims=3, min_side=0), elements=eighths)).T
    y, dy = kernels.gate.value_and_grad(x)
    np.testing.assert_array_equal(y, kernels.gate(x))
    np.testing.assert_array_equal(dy, kernels.gate.grad(x))
    assert y.dtype == dy.dtype == x.dtype


def test_value_and_grad_forms(kernels: ModuleType) -> None:
    """Several derivatives are a tuple; options can be named; outputs are one flat tuple."""
    x = np.arange(1.0, 4.0)
    y, (da, db) = kernels.mix.value_and_grad(x, x + 1)
    np.testing.assert_array_equal(da, x + 2)
    np.testing.assert_array_equal(db, x)
    y, ds = kernels.gate.value_and_grad(x, form="cube", wrt="scale")
    np.testing.assert_array_equal(ds, y)
    y, (dx, ds) = kernels.gate.value_and_grad(x, form="cube", wrt=("x", "scale"))
    np.testing.assert_array_equal(dx, 3 * x**2)
    outs = np.empty(3), np.empty(3, np.float32)
    found = kernels.gate.value_and_grad(x, out=outs)
    assert found[0] is outs[0]
    assert found[1] is outs[1]
    np.testing.assert_array_equal(outs[1], 2 * x)
    y, db = kernels.mix.value_and_grad(x, x + 1, wrt="target")
    np.testing.assert_array_equal(db, x)
    assert kernels.gate.value_and_grad(3.0) == (9, 6)


def test_outputs_that_are_operands(kernels: ModuleType) -> None:
    """Two outputs, one of which is the operand, disturb nothing."""
    x, dy = np.arange(40000.0), np.empty(40000)
    kernels.gate.value_and_grad(x, out=(x, dy))
    np.testing.assert_array_equal(x, np.arange(40000.0) ** 2)
    np.testing.assert_array_equal(dy, 2 * np.arange(40000.0))
    a, b = np.arange(20000.0), np.ones(20000)
    expected = kernels.mix.vjp(1.0, a.copy(), b.copy())
    kernels.mix.vjp(1.0, a, b, out=(b, a))
    np.testing.assert_array_equal(b, expected[0])
    np.testing.assert_array_equal(a, expected[1])


WRONG: list[tuple[Any, type[Exception], list[str]]] = [
    (lambda k: k.gate.vjp(np.ones(3), np.ones(4)), ValueError, ["gate.vjp(): g has shape (3,)", "shape (4,)"]),
    (lambda k: k.gate.vjp(np.ones((2, 4)), np.ones(4)), ValueError, ["g has shape (2, 4)", "(4,)"]),
    (lambda k: k.gate.vjp(np.ones(3)), TypeError, ["gate.vjp() is missing 'x'"]),
    (lambda k: k.gate.vjp("g", np.ones(3)), TypeError, ["g is a str"]),
    (lambda k: k.gate.vjp(np.ma.ones(3), np.ones(3)), TypeError, ["gate.vjp(): g is a masked array"]),
    (lambda k: k.gate.vjp(1.0, 2.0, 3.0), TypeError, ["vjp() takes 2", "gate.vjp(g, x, *, form, scale, wrt, out)"]),
    (lambda k: k.gate.grad(np.ones(3), where=[[True], [True, False]]), ValueError, ["gate.grad(): where is no array"]),
    (lambda k: k.gate.grad(np.ones(3), order=3), ValueError, ["order must be 1 or 2, got 3"]),
    (lambda k: k.gate.grad(np.ones(3), order=np.array([1, 2])), ValueError, ["order must be 1 or 2", "shape (2,)"]),
    (lambda k: k.gate.grad(np.ones(3), order=np.array([1])), ValueError, ["got an array of shape (1,)"]),
    (lambda k: k.gate.grad(np.ones(3), order="1"), ValueError, ["gate.grad(): order", "'1' (str)"]),
    (lambda k: k.gate.grad(np.ones(3), order=np.ma.array(1, mask=True)), ValueError, ["order", "a masked array"]),
    (lambda k: k.gate.vjp(1.0, np.ones(3), wrt=("x", "input")), ValueError, ["gate.vjp(): wrt names", "twice"]),
    (lambda k: k.gate.grad(np.ones(3), order=True), ValueError, ["order must be 1 or 2"]),
    (lambda k: k.gate.grad(np.ones(3), wrt="scal"), ValueError, ["'scal'", "x or scale", "did you mean 'scale'?"]),
    (lambda k: k.gate.grad(np.ones(3), wrt="form"), ValueError, ["'form'"]),
    (lambda k: k.gate.grad(np.ones(3), order=2, wrt="scale"), ValueError, ["of order 2", "wrt may name x"]),
    (lambda k: k.soft.vjp(1.0, np.ones(3), wrt="threshold"), ValueError, ["'threshold'", "x or beta"]),
    (lambda k: k.gate.grad(np.ones(3), wrt=()), TypeError, ["wrt must be"]),
    (lambda k: k.gate.grad(np.ones(3), wrt=1), TypeError, ["wrt must be"]),
    (lambda k: k.gate.value_and_grad(np.ones(3), out=np.ones(3)), TypeError, ["tuple of 2 arrays"]),
    (lambda k: k.gate.value_and_grad(np.ones(3), out=(np.ones(3), np.ones(4))), ValueError, ["(4,)", "(3,)"]),
    (lambda k: k.gate.value_and_grad(np.ones(3), where=np.ones(3, bool)), TypeError, ["'where'"]),
    (lambda k: k.gate.vjp(1.0, np.ones(3), out=np.ones((2, 3))), ValueError, ["(2, 3)", "(3,)"]),
    (lambda k: k.slope.vjp(1.0, np.ones((2, 3)), np.ones(3), out=(None, np.ones(2))), ValueError, ["(2,)", "(3,)"]),
]


@pytest.mark.parametrize(("call", "kind", "words"), WRONG, ids=[w[2][0] for w in WRONG])
def test_wrong_derivatives_are_explained(kernels: ModuleType, call: Any, kind: type[Exception],
                                         words: list[str]) -> None:
    """An error names the method, the argument, what it was and what would be right."""
    with pytest.raises(kind) as caught:
        call(kernels)
    for word in words:
        assert word in str(caught.value)


def test_scalar_functions(kernels: ModuleType) -> None:
    """The njit functions of the default variant run in a loop of one's own, with options as further numbers."""
    import numba

    value, slope, bend = kernels.soft.scalar, kernels.soft.scalar_grad, kernels.soft.scalar_grad2

    @numba.njit
    def total(x: Any) -> Any:
        s = 0.0
        for v in x:
            s += value(v, 1.0, 0.0) + slope(v, 1.0, 0.0) + bend(v, 1.0, 0.0)
        return s

    x = np.linspace(-3, 3, 7)
    expected = kernels.soft(x) + kernels.soft.grad(x) + kernels.soft.grad(x, order=2)
    np.testing.assert_allclose(total(x), expected.sum(), rtol=1e-14)
    assert kernels.mix.scalar_grad_target(2.0, 3.0, 1.0) == 2
    assert kernels.cut.scalar(1.0, 0.0, 2.0, 3.0) == -6  # operands, then options
    assert "scalar_grad_beta" in dir(kernels.soft)
    with pytest.raises(AttributeError, match="it has scalar, scalar_grad2_input"):
        _ = kernels.mix.scalar_grad
