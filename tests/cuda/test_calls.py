"""``F.name.cuda``: arrays of every size, alignment and layout, options, several results, and errors in plain words."""

from __future__ import annotations

from functools import partial

import ml_dtypes
import numpy as np
import pytest

import symgen.functional as F
from symgen.runtime.cuda_launch import THREADS
from symgen.runtime.errors import CudaMissingError

SIZES = (0, 1, 2, 3, 4, 5, 31, 32, 33, 1023, 1024, 1025, 4 * THREADS - 1, 4 * THREADS + 3, 3000)


def inputs(kernel, size: int, dtype: str = "float32") -> list[np.ndarray]:
    """Operands inside every domain of the catalogue."""
    rng = np.random.default_rng(size)
    return [rng.uniform(0.1, 0.9, size).astype(dtype) for a in kernel._caller.function.operands if not a.keyword_only]


def required(kernel) -> dict[str, object]:
    """Values for options that have no default, and no reduction."""
    function = kernel._caller.function
    return {a.name: 0.5 for a in function.options if a.required} | ({"reduction": "none"} if function.is_loss else {})


def expanded(values: np.ndarray, size: int) -> np.ndarray:
    """One element as many, which may be written."""
    return np.ndarray((size,), values.dtype, values, strides=(0,))


def test_one_number_stands_for_a_whole_operand(device_array, executed):
    kernel, x = executed("prelu", (9, 0)), np.linspace(-3, 3, 77, dtype=np.float32)
    whole = kernel(device_array(x), device_array(np.full_like(x, 0.25))).memory
    slope = np.full((), 0.25, np.float32)
    for weight in (0.25, device_array(slope), device_array(slope[None]), device_array(expanded(slope, 77))):
        assert np.array_equal(kernel(device_array(x), weight).memory, whole)
    with pytest.raises(ValueError, match=r"weight has shape \(3,\) and x has \(77,\); on a GPU"):
        kernel(device_array(x), device_array(np.zeros(3, np.float32)))


def test_gradients_of_parameters_and_options_are_sums(device_array, executed):
    rng = np.random.default_rng(5)
    for size in (0, 1, 33, 2500):
        g, x = (rng.normal(size=size).astype(np.float32) for _ in range(2))
        slope = np.array([0.25], np.float32)
        for start in (0, 1):  # a view that rules vector accesses out
            arrays = [device_array(v[start:]) for v in (g, x)]
            _, found = executed("prelu", (9, 0)).vjp(*arrays, device_array(slope))
            _, wanted = F.prelu.vjp(*(v[start:].astype(float) for v in (g, x)), slope.astype(float))
            assert found.memory.shape == (1,)
            np.testing.assert_allclose(found.memory, wanted, rtol=1e-6, atol=1e-6 * np.abs(g * x).sum())
            found = executed("celu", (9, 0)).vjp(*arrays, alpha=1.5, wrt="alpha")
            wanted = F.celu.vjp(*(v[start:].astype(float) for v in (g, x)), alpha=1.5, wrt="alpha")
            np.testing.assert_allclose(found.memory, wanted, rtol=1e-6, atol=1e-6 * np.abs(g).sum())


def test_every_size_is_computed_to_its_last_element_and_no_further(name, device_array, executed):
    kernel = executed(name, (9, 0))
    long = inputs(kernel, 3000)
    options = required(kernel)
    whole = kernel(*map(device_array, long), **options).memory
    for size in SIZES:
        out = np.full(size + 8, 7.0, np.float32)
        x = [device_array(v[:size].copy()) for v in long]
        kernel(*x, **options, out=device_array(out[:size]))
        assert np.array_equal(out[:size], whole[:size]), size
        assert np.all(out[size:] == 7), size


def test_unaligned_reversed_and_strided_views_give_the_same(name, device_array, executed):
    kernel = executed(name, (10, 0))
    x, options = inputs(kernel, 257), required(kernel)
    want = kernel(*map(device_array, x), **options).memory

    def embedded(values: np.ndarray, start: int, step: int) -> np.ndarray:
        room = np.full(start + step * values.size, np.nan, np.float32)
        room[start::step][: values.size] = values
        return room[start::step][: values.size]

    for start, step in ((1, 1), (0, 2), (3, 3)):
        got = kernel(*(device_array(embedded(v, start, step)) for v in x), **options).memory
        assert np.array_equal(got, want), (start, step)
    out = np.zeros_like(want)
    kernel(*(device_array(v[::-1].copy()[::-1]) for v in x), **options, out=device_array(out))
    assert np.array_equal(out, want)


def test_one_pass_gives_what_single_kernels_give(name, device_array, executed):
    kernel = executed(name, (9, 0))
    x, options = [device_array(v) for v in inputs(kernel, 130)], required(kernel)
    tensors = [a.name for a in kernel._caller.function.tensors]
    value, slopes = kernel.value_and_grad(*x, **options)
    slopes = slopes if isinstance(slopes, tuple) else (slopes,)
    assert np.array_equal(value.memory, kernel(*x, **options).memory)
    for tensor, slope in zip(tensors, slopes, strict=True):
        assert np.array_equal(slope.memory, kernel.grad(*x, wrt=tensor, **options).memory)
    g = device_array(np.linspace(-2, 2, 130, dtype=np.float32))
    gradients = kernel.vjp(g, *x, wrt=tuple(tensors), **options)
    gradients = gradients if isinstance(gradients, tuple) else (gradients,)
    for gradient, slope in zip(gradients, slopes, strict=True):
        assert np.array_equal(gradient.memory, g.memory * slope.memory)


def test_axes_are_walked_in_the_order_in_which_they_lie_in_memory(device_array, executed):
    kernel = executed("silu", (9, 0))
    x = np.linspace(-5, 5, 6 * 7 * 8, dtype=np.float32).reshape(6, 7, 8)
    want = F.silu(x)
    for view in (x, x.T, x.transpose(1, 0, 2), np.asfortranarray(x), x[None]):
        got = kernel(device_array(view)).memory
        assert got.shape == view.shape
        np.testing.assert_allclose(got, F.silu(view), rtol=3e-7)
    out = np.zeros_like(x)
    with pytest.raises(ValueError, match="evenly spaced in the order of the first array; make it contiguous"):
        kernel(device_array(x[:, ::2]))
    with pytest.raises(ValueError, match=r"out .* not evenly spaced"):
        kernel(device_array(x.transpose(1, 0, 2).copy()), out=device_array(out.transpose(1, 0, 2)))
    kernel(device_array(x), out=device_array(out))
    np.testing.assert_allclose(out, want, rtol=3e-7)


def test_options_choose_the_variant_and_keep_all_their_digits(device_array, executed):
    x = np.linspace(-9, 9, 101, dtype=np.float32)
    gelu, celu = executed("gelu", (9, 0)), executed("celu", (9, 0))
    for approximate in ("none", "tanh"):
        got = gelu(device_array(x), approximate=approximate).memory
        np.testing.assert_allclose(got, F.gelu(x, approximate=approximate), rtol=1e-6)
    far = np.full(4, -80, np.float32)
    got = celu.grad(device_array(far), alpha=1.1).memory
    np.testing.assert_allclose(got, F.celu.grad(far, alpha=1.1), rtol=5e-7)  # 1.1 in float32 alone is off by 2e-6 there
    with pytest.raises(ValueError, match=r"gelu.cuda\(\): approximate must be 'none' or 'tanh', got 'tan'"):
        gelu(device_array(x), approximate="tan")


def test_dtypes_come_back_as_they_went_in(device_array, executed):
    kernel = executed("sigmoid", (8, 0))
    for dtype in (np.float64, np.float32, np.float16, ml_dtypes.bfloat16):
        x = np.linspace(-3, 3, 77).astype(dtype)
        got = kernel(device_array(x)).memory
        assert got.dtype == x.dtype
        np.testing.assert_allclose(got.astype(float), F.sigmoid(x).astype(float), rtol=1e-6)


def arguments(function: str) -> tuple[np.ndarray, ...]:
    """Operands of a function of each kind: of numbers, of rows, and losses of both."""
    x = np.linspace(-3, 3, 16, dtype=np.float32).reshape(2, 8)
    return {"silu": (x,), "softmax": (x,), "mse_loss": (x, 2 * x), "cross_entropy": (x, np.array([3, 5]))}[function]


KINDS = pytest.mark.parametrize("function", ["silu", "softmax", "mse_loss", "cross_entropy"])


@KINDS
def test_functions_go_to_the_device_when_their_argument_is_there(function, device_array, executed, monkeypatch):
    """Value, gradients and both at once: the kernel of the device runs, and its array comes back."""
    public, args = getattr(F, function), arguments(function)
    monkeypatch.setitem(public.__dict__, "cuda", executed(function, (9, 0)))
    there = tuple(map(device_array, args))
    value = public(*there)
    assert isinstance(value, device_array)
    np.testing.assert_allclose(value.memory, public(*args), rtol=4e-7)
    named = public(**{a.name: v for a, v in zip(public.function.operands, there, strict=False)})
    assert np.array_equal(named.memory, value.memory)
    g = np.ones_like(value.memory)
    slopes, wanted = public.vjp(device_array(g), *there), public.vjp(g, *args)
    for slope, want in zip(*(v if isinstance(v, tuple) else (v,) for v in (slopes, wanted)), strict=True):
        assert isinstance(slope, device_array)
        np.testing.assert_allclose(slope.memory, want, rtol=4e-7, atol=1e-8)
    if function != "softmax":
        assert isinstance(public.grad(*there, wrt=public.function.tensors[0].name), device_array)
        assert np.array_equal(public.value_and_grad(*there)[0].memory, value.memory)


class Exchanged:
    """An array that shows itself as one of a GPU by DLPack alone."""

    def __init__(self, memory: np.ndarray) -> None:
        self.memory = memory

    def __dlpack_device__(self) -> tuple[int, int]:
        return 2, 0

    def __dlpack__(self, *, stream: int | None = None) -> object:
        assert stream == 1
        return self.memory.__dlpack__()


def test_arrays_come_by_dlpack_too(executed):
    """Of every layout and dtype; into an array of the caller's, for how such arrays are made is not known."""
    kernel, x = executed("silu", (9, 0)), np.linspace(-5, 5, 6 * 7 * 8, dtype=np.float32).reshape(6, 7, 8)
    for view in (x, x.T, x[1:], x.astype(np.float64), x.astype(np.float16)):
        out = Exchanged(np.zeros_like(view))
        assert kernel(Exchanged(view), out=out) is out
        np.testing.assert_allclose(out.memory, F.silu(view), rtol=1e-3 if view.itemsize == 2 else 3e-7)
    with pytest.raises(TypeError, match="no way is known to make an array like"):
        kernel(Exchanged(x))
    with pytest.raises(TypeError, match="x has elements of type <i4; there are kernels for"):
        kernel(Exchanged(x.astype(np.int32)))


def test_an_array_of_integers_is_an_error_that_tells_what_there_is(device_array, executed):
    message = "x has elements of type <i4; there are kernels for float32, float64, float16 or bfloat16"
    with pytest.raises(TypeError, match=message):
        executed("silu", (9, 0))(device_array(np.zeros(3, np.int32)))


def test_arrays_of_one_call_must_agree(device_array, executed):
    kernel, x = executed("silu", (9, 0)), device_array(np.zeros(8, np.float32))
    with pytest.raises(
        ValueError, match=r"silu.cuda.vjp\(\): x has shape \(8,\) and g has \(4,\); on a GPU arrays are not"
    ):
        kernel.vjp(device_array(np.zeros(4, np.float32)), x)
    with pytest.raises(ValueError, match="x has type <f4 and g has <f8; convert one"):
        kernel.vjp(device_array(np.zeros(8)), x)
    with pytest.raises(TypeError, match=r"x has no __cuda_array_interface__.*on arrays in main memory call silu"):
        kernel(np.zeros(3, np.float32))
    fixed = np.zeros(8, np.float32)
    fixed.flags.writeable = False
    kernel(device_array(fixed))
    with pytest.raises(ValueError, match="out is read-only"):
        kernel(x, out=device_array(fixed))
    with pytest.raises(ValueError, match="expanded from fewer elements"):
        kernel(x, out=device_array(expanded(np.zeros(1, np.float32), 8)))


@KINDS
def test_without_a_driver_the_error_says_what_is_missing(function, device_array):
    """Of ``F.name.cuda`` and of the function that an array of a GPU takes there."""
    from numba import cuda

    if cuda.is_available():
        pytest.skip("there is a device here")
    public, there = getattr(F, function), tuple(map(device_array, arguments(function)))
    for call in (public, public.cuda, partial(public.vjp, there[0])):
        with pytest.raises(CudaMissingError, match="need an NVIDIA GPU and its driver, and there is none here"):
            call(*there)
