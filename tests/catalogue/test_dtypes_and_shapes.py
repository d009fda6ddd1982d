"""Dtypes, layouts, outputs and processes: what NumPy's own functions take, the generated ones take as well."""

from __future__ import annotations

import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from typing import Any

import numba
import numpy as np
import pytest

KIND = "activations"  # losses have rules of their own: test_losses.py

KINDS = (np.bool_, np.int8, np.uint8, np.int16, np.uint16, np.int32, np.uint32, np.int64, np.uint64)
INTEGERS = [np.dtype(kind) for kind in KINDS]

# One function for each way to be called: a tensor alone, with numbers, a choice, a parameter, a domain, a must.
PROPERTIES = {
    "plain": lambda f: len(f.arguments) == 1 and not f.arguments[0].limits,
    "number": lambda f: any(a.role == "real" and not a.required for a in f.arguments),
    "choice": lambda f: any(a.role == "choice" for a in f.arguments),
    "parameter": lambda f: any(a.role == "param" for a in f.arguments),
    "domain": lambda f: any(a.limits for a in f.operands),
    "required": lambda f: any(a.role == "real" and a.required for a in f.arguments),
}


class Function:
    """A kernel at its main setting, to be called with its swept operand alone."""

    def __init__(self, catalogue: Any, kind: str) -> None:
        kernels = [catalogue.kernel(n) for n in catalogue.activations]
        self.kernel = next(k for k in kernels if PROPERTIES[kind](k.function))
        self.case = catalogue.base(self.kernel.__name__)[0]
        self.held = [v for _, v in self.case.operands if v is not None]
        self.options = dict(self.case.options)

    def __call__(self, x: Any, **kwargs: Any) -> Any:
        return self.kernel(x, *self.held, **self.options, **kwargs)

    def grad(self, x: Any, **kwargs: Any) -> Any:
        return self.kernel.grad(x, *self.held, wrt=self.case.operand, **self.options, **kwargs)

    def vjp(self, g: Any, x: Any, **kwargs: Any) -> Any:
        return self.kernel.vjp(g, x, *self.held, wrt=self.case.operand, **self.options, **kwargs)


@pytest.fixture(params=PROPERTIES)
def function(request: pytest.FixtureRequest, catalogue: Any) -> Function:
    """One function for each property."""
    return Function(catalogue, request.param)


def layouts(x: Any) -> dict[str, Any]:
    """The same elements in every layout that an array may have."""
    wide = np.zeros((x.shape[0], 2 * x.shape[1], x.shape[2]), x.dtype)
    wide[:, ::2] = x
    raw = np.zeros(x.nbytes + 1, np.uint8)[1:].view(x.dtype).reshape(x.shape)
    raw[...] = x
    fixed = x.copy()
    fixed.flags.writeable = False
    return {
        "strided": wide[:, ::2], "fortran": np.asfortranarray(x), "reversed": x[::-1].copy()[::-1], "unaligned": raw,
        "transposed": x.transpose(2, 0, 1).copy().transpose(1, 2, 0), "read-only": fixed,
        "swapped": x.astype(x.dtype.newbyteorder()) if x.dtype.name != "bfloat16" else x,
    }  # fmt: skip


def cube(dtype: Any) -> Any:
    """Positive numbers, which every domain has."""
    return np.random.default_rng(1).uniform(0.1, 4, (2, 3, 4)).astype(dtype)


def test_dtype_in_is_dtype_out(catalogue: Any, name: str) -> None:
    """Every output of every variant has the dtype and the shape of its operand."""
    kernel = catalogue.kernel(name)
    for case in catalogue.base(name):
        options = dict(case.options)
        for dtype in catalogue.dtypes:
            operands = catalogue.operands(case, cube(dtype))
            found = [kernel(*operands, **options), kernel.grad(*operands, order=2, **options)]
            found += [kernel.vjp(np.ones(4, dtype), *operands, wrt=case.operand, **options)]
            found += kernel.value_and_grad(*operands, wrt=case.operand, **options)
            found += [kernel.grad(*operands, wrt=n, **options) for n, _ in case.numeric]
            assert {(v.dtype, v.shape) for v in found} == {(dtype, (2, 3, 4))}


@pytest.mark.parametrize("integer", INTEGERS, ids=str)
def test_integers_promote_as_numpy_does(function: Function, integer: Any, same_bits: Any) -> None:
    """Every integer dtype gives the float that np.exp gives, and the bits that this float gives."""
    x = np.array([1, 1, 1], integer)
    promoted = np.exp(x).dtype
    same_bits(function.grad(x), function.grad(x.astype(function.grad(x).dtype)))
    if not function.held:  # a Python number beside an integer array makes it float64, as in NumPy
        same_bits(function(x), function(x.astype(promoted)))
        assert function(x).dtype == function.grad(x).dtype == function.vjp(x, x).dtype == promoted


def test_layout_does_not_matter(function: Function, catalogue: Any, same_bits: Any) -> None:
    """Value, derivative and vjp have the same bits whatever the strides, order, alignment or byte order."""
    for dtype in catalogue.dtypes:
        x = cube(dtype)
        value, slope, gradient = function(x), function.grad(x), function.vjp(x, x)
        for what, other in layouts(x).items():
            same_bits(function(other), value, what)
            same_bits(function.grad(other), slope, what)
            same_bits(function.vjp(other, other), gradient, what)
        assert not np.shares_memory(value, x)


def test_scalars_and_empty_arrays(function: Function, same_bits: Any) -> None:
    """A number, a 0-d array and an array of one give the same bits; no elements give no elements, of the same shape."""
    for dtype in (np.float64, np.float32):
        x = cube(dtype)[0, 0, :1]
        for one in (x[0], x.reshape(())):
            assert isinstance(function(one), np.generic)
            same_bits(function(one), function(x)[0])
            same_bits(function.grad(one), function.grad(x)[0])
            same_bits(function.vjp(one, one), function.vjp(x, x)[0])
        for shape in ((0,), (2, 0, 3)):
            empty = np.empty(shape, dtype)
            for got in (function(empty), function.grad(empty), function.vjp(1.0, empty)):
                assert (got.shape, got.dtype) == (shape, dtype)
    assert function(0.5).dtype == np.float64
    same_bits(function([[0.5, 1.0]]), function(np.array([[0.5, 1.0]])))


def test_out(function: Function, catalogue: Any, same_bits: Any) -> None:
    """Results go to out, which is returned, in any layout and float dtype, over the operand too."""
    for dtype in catalogue.dtypes:
        x = cube(dtype)
        for method in (function, function.grad):
            want = method(x)
            for out in (np.full_like(x, 7), np.full((2, 3, 8), 7, dtype)[..., ::2], np.full((2, 4, 3), 7, dtype).mT):
                assert method(x, out=out) is out
                same_bits(out, want)
            own = x.copy()
            assert method(own, out=own) is own
            same_bits(own, want)
        gradient = np.full_like(x, 7)
        assert function.vjp(x, x, out=gradient) is gradient
        same_bits(gradient, function.vjp(x, x))


def test_where(function: Function, same_bits: Any) -> None:
    """Where the mask is False, out keeps what it had; the mask broadcasts."""
    x = cube(np.float32)
    for mask in (x > 2, np.array([True, False, True, False]), np.array([[False], [True], [False]]), np.array(False)):
        for method in (function, function.grad):
            out = np.full_like(x, 7)
            assert method(x, out=out, where=mask) is out
            same_bits(out, np.where(mask, method(x), np.float32(7)))


def test_broadcasting_of_parameters(catalogue: Any, same_bits: Any) -> None:
    """A parameter per channel acts along its axis as the same number given for each channel by itself."""
    function = Function(catalogue, "parameter")
    x = cube(np.float32) - np.float32(2)
    weights = np.array([0.25, -1.5, 2.0], np.float32)
    whole = function.kernel(x, weights, **function.options)
    for c in range(3):
        same_bits(whole[:, c], function.kernel(x[:, c], weights[c : c + 1], **function.options))
    with pytest.raises(ValueError, match="expected"):
        function.kernel(x, weights[:2], **function.options)


def _in_pool(kernel: Any, operands: list[Any], options: dict[str, Any]) -> Any:
    return kernel(*operands, **options), kernel.grad(*operands, **options)


@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_process_pools(catalogue: Any, same_bits: Any, method: str) -> None:
    """Kernels that this process has run are sent to a pool by name and compute the same bits there."""
    functions = [Function(catalogue, kind) for kind in PROPERTIES]
    calls = [(f.kernel, [cube(np.float64), *f.held], f.options) for f in functions]
    here = [_in_pool(*call) for call in calls]
    with ProcessPoolExecutor(2, multiprocessing.get_context(method)) as pool:
        there = list(pool.map(_in_pool, *zip(*calls, strict=True)))
    for (value, slope), (other_value, other_slope) in zip(here, there, strict=True):
        same_bits(value, other_value)
        for a, b in zip(np.atleast_2d(slope), np.atleast_2d(other_slope), strict=True):
            same_bits(a, b)


def test_value_and_grad_are_value_and_grad(catalogue: Any, name: str, same_bits: Any) -> None:
    """In one pass or two, value and derivative have the same bits, in every dtype and at every setting."""
    kernel = catalogue.kernel(name)
    for case in catalogue.cases(name):
        options = dict(case.options)
        for dtype in catalogue.dtypes:
            operands = catalogue.operands(case, catalogue.points(case, dtype))
            value, slope = kernel.value_and_grad(*operands, wrt=case.operand, **options)
            same_bits(value, kernel(*operands, **options), f"{case.settings} {dtype}")
            same_bits(slope, kernel.grad(*operands, wrt=case.operand, **options), f"{case.settings} {dtype}")


def test_vjp_is_grad_for_a_cotangent_of_one(catalogue: Any, name: str, same_bits: Any) -> None:
    """With a cotangent of one the gradient in the operand has the bits of the derivative."""
    kernel = catalogue.kernel(name)
    for case in catalogue.base(name):
        options = dict(case.options)
        for dtype in catalogue.dtypes:
            operands = catalogue.operands(case, catalogue.points(case, dtype))
            gradient = kernel.vjp(np.ones((), dtype), *operands, wrt=case.operand, **options)
            same_bits(gradient, kernel.grad(*operands, wrt=case.operand, **options), f"{case.settings} {dtype}")


def test_scalar_functions_in_a_loop_of_ones_own(catalogue: Any, name: str, same_bits: Any) -> None:
    """In a user's njit loop the scalar functions of the default variant give the bits that the arrays get."""
    kernel = catalogue.kernel(name)
    (case, *_) = catalogue.cases(name)
    first, second = (kernel.function.output(kernel.function.tensors[0], order) for order in (1, 2))
    value, slope, bend = kernel.scalar, getattr(kernel, f"scalar_{first}"), getattr(kernel, f"scalar_{second}")
    numbers = catalogue.scalars(case)
    source = "def loop(x, out{names}):\n    for i in range(x.size):\n"
    source += "".join(f"        out[{k}, i] = {f}(x[i]{{names}})\n" for k, f in enumerate(("value", "slope", "bend")))
    scope: dict[str, Any] = {"value": value, "slope": slope, "bend": bend}
    exec(source.format(names="".join(f", n{i}" for i in range(len(numbers)))), scope)
    x = catalogue.points(case)
    out = np.empty((3, x.size))
    numba.njit(scope["loop"])(x, out, *numbers)
    operands, options = catalogue.operands(case, x), dict(case.options)
    same_bits(out[0], kernel(*operands, **options))
    same_bits(out[1], kernel.grad(*operands, wrt=case.operand, **options))
    same_bits(out[2], kernel.grad(*operands, wrt=case.operand, order=2, **options))
