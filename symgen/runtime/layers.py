"""Layers: the product of a tensor and a parameter goes to BLAS, what is left is a kernel of that product, the epilogue.

Everything that is not a matrix product is the epilogue's: values, slopes, gradients in what else there is, options.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, NoReturn

import numpy as np

from .binding import MISSING, Binder
from .calls import given_outputs
from .cuda_arrays import on_device
from .derivatives import exact_output
from .dtypes import FLOAT64, Array, DType, Precision, store
from .errors import did_you_mean, listing
from .execute import bare, check_out, finish
from .gradients import result_dtype, sum_to
from .kernel import Kernel
from .manifest import Function, Product
from .operands import Operand, Shape, lone, promote, to_array
from .warm import Warmed

SMOOTH = frozenset({"tensor", "param", "weight", "prob"})  # roles of operands that have gradients


class LayerCall(NamedTuple):
    """A call whose operands were read.

    Attributes:
        rows: the tensor, in the dtype of the computation, the axis that is summed over last.
        matrix: the parameter, as (outputs, terms).
        rest: what the epilogue takes beside the product.
        operands: those that were read, by name.
    """

    method: str
    rows: Array
    matrix: Array
    rest: Mapping[str, Any]
    operands: Mapping[str, Operand]
    precision: Precision
    extras: Mapping[str, Any]
    leading: Any

    @property
    def product(self) -> Array:
        return multiplied(self.rows, self.matrix.T)


class LayerCaller:
    """Reads the calls of one layer, and knows its epilogue."""

    def __init__(self, function: Function, product: Product, epilogue: Kernel) -> None:
        self.function, self.product, self.epilogue = function, product, epilogue
        self.loops = epilogue._caller.loops
        self.binders = {"": Binder(function), "g": Binder(function, ("g",)), "v": Binder(function, ("v",))}

    def prepare(self, method: str, args: tuple[Any, ...], kwargs: Mapping[str, Any], extras: dict[str, Any],
                leading: str = "") -> LayerCall:
        """Bind a call, and check that tensor and matrix fit.

        Raises:
            TypeError: arguments are missing or unknown, or of a dtype that is not accepted.
            ValueError: shapes that do not fit; the message has both.
        """
        binder = self.binders[leading]
        values = binder.bind(method, args, kwargs, extras)
        given = {n: v for n, v in zip(binder.names, values, strict=True) if v is not MISSING}
        first = given.pop(leading) if leading else None
        operands = {}
        for a in self.function.operands:
            if a.required or given.get(a.name) is not None:
                array, weak = to_array(method, a.name, given[a.name])
                operands[a.name] = Operand(a, array, array, weak, passed=True)
        rest = {n: v for n, v in given.items() if n not in (self.product.tensor, self.product.matrix)}
        precision = promote(method, list(operands.values()))
        rows, matrix = (operands[n].array for n in (self.product.tensor, self.product.matrix))
        self._check(method, rows, matrix)
        compute = precision.compute
        return LayerCall(method, rows.astype(compute, copy=False), self.turned(matrix).astype(compute, copy=False),
                         rest, operands, precision, extras, first)

    def _check(self, method: str, rows: Array, matrix: Array) -> None:
        known = {a.name: a for a in self.function.operands}
        tensor, axes = known[self.product.tensor], [a.name for a in known[self.product.matrix].axes]
        over = tensor.axes[0].name
        if not rows.ndim:
            raise ValueError(f"{method}(): {tensor.name} has shape (); it needs an axis {over}")
        if matrix.ndim != 2 or self.turned(matrix).shape[1] != rows.shape[-1]:
            wanted = ", ".join(str(rows.shape[-1]) if a == over else a for a in axes)
            raise ValueError(
                f"{method}(): {self.product.matrix} has shape {matrix.shape}; expected ({wanted}) for {tensor.name} "
                f"of shape {rows.shape}"
            )

    def turned(self, matrix: Array) -> Array:
        """The matrix as (outputs, terms), or such a one as it was passed: the two ways are the same."""
        return matrix.T if self.product.first else matrix


def multiplied(a: Array, b: Array) -> Array:
    """The product of matrices of BLAS; what overflows is infinite, without a warning."""
    with np.errstate(all="ignore"):
        found: Array = np.matmul(a, b)
    return found


def value(caller: LayerCaller, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> tuple[Any, None]:
    """The epilogue of the product."""
    call = caller.prepare(caller.function.name, args, kwargs, {"out": None})
    product, out = call.product, call.extras["out"]
    if out is not None:
        return caller.epilogue(product, **call.rest, out=check_out(call.method, out, product.shape)), None
    return placed(call.method, caller.epilogue(product, **call.rest), call.precision.result, None), None


def vjp(caller: LayerCaller, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> tuple[Any, None]:
    """The gradients of ``sum(g * value)``, each of the shape of what it belongs to."""
    call = caller.prepare(f"{caller.function.name}.vjp", args, kwargs, {"wrt": None, "out": None}, "g")
    wanted, inner = selected(caller, call), caller.product.name
    own = [n for n in wanted if n not in (caller.product.tensor, caller.product.matrix)]
    asked = [inner, *own] if len(own) < len(wanted) else own
    g = to_array(call.method, "g", call.leading)[0].astype(call.precision.compute, copy=False)
    given = caller.epilogue.vjp(g, call.product, **call.rest, wrt=tuple(asked))
    found = dict(zip(asked, given if len(asked) > 1 else (given,), strict=True))
    outs = given_outputs(call.method, call.extras["out"], len(wanted))
    results = [
        placed(call.method, found[n] if n in own else pulled(caller, call, n, found[inner]), dtype_of(call, n), out)
        for n, out in zip(wanted, outs, strict=True)
    ]
    return bare(results), None


def hvp(caller: LayerCaller, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> tuple[Any, None]:
    """The second derivative of ``sum(g * value)`` in one operand, times a vector of its shape."""
    extras = {"wrt": None, "g": 1.0, "out": None}
    call = caller.prepare(f"{caller.function.name}.hvp", args, kwargs, extras, "v")
    method, factors = call.method, (caller.product.tensor, caller.product.matrix)
    wrt = call.extras["wrt"]
    name = factors[0] if wrt is None else lone(wrt)
    known = [n for n, o in call.operands.items() if o.argument.role in SMOOTH]
    if name not in known:
        raise ValueError(f"{method}(): wrt must name one of {listing(known)}, got {wrt!r}")
    vector, shape = to_array(method, "v", call.leading)[0], call.operands[name].array.shape
    if vector.shape != shape:
        raise ValueError(f"{method}(): v has shape {vector.shape}; expected that of {name}, {shape}")
    vector = vector.astype(call.precision.compute, copy=False)
    g = to_array(method, "g", call.extras["g"])[0].astype(call.precision.compute, copy=False)
    (out,) = given_outputs(method, call.extras["out"], 1)
    if name not in factors:
        return placed(method, beside(caller, call, name, vector, g), dtype_of(call, name), out), None
    rate = multiplied(vector, call.matrix.T) if name == factors[0] else multiplied(call.rows, caller.turned(vector).T)
    bent = bend(caller, call, rate, g)
    return placed(method, pulled(caller, call, name, bent), dtype_of(call, name), out), None


def bend(caller: LayerCaller, call: LayerCall, rate: Array, g: Array) -> Array:
    """The second derivative of ``sum(g * epilogue)`` in the product, times how the product changes."""
    inner = caller.product.name
    if caller.epilogue.function.is_rows:
        found: Array = caller.epilogue.hvp(rate, call.product, **call.rest, g=g, wrt=inner)
        return found
    weights = weighing(call, g, rate.shape)
    with np.errstate(all="ignore"):
        bent: Array = caller.epilogue.grad(call.product, **call.rest, order=2, wrt=inner) * weights * rate
        return bent


def beside(caller: LayerCaller, call: LayerCall, name: str, vector: Array, g: Array) -> Array:
    """The second derivative of ``sum(g * epilogue)`` in an operand beside the product, times a vector of its shape."""
    product, epilogue = call.product, caller.epilogue
    if epilogue.function.is_rows:
        found: Array = epilogue.hvp(vector, product, **call.rest, g=g, wrt=name)
        return found
    weights = weighing(call, g, product.shape)
    own = epilogue._caller.prepare(call.method, (product,), call.rest, {})
    if f"grad2_{name}" not in own.plan.variant.outputs:
        return np.zeros(vector.shape)
    with np.errstate(all="ignore"):
        bent = (epilogue.grad(product, **call.rest, order=2, wrt=name) * weights).astype(FLOAT64)
        rows = bent.reshape(-1, *bent.shape[-1:]) if vector.size > 1 else bent.reshape(-1, 1)
        return sum_to(rows, rows.shape[1:]).reshape(vector.shape) * vector


def weighing(call: LayerCall, g: Array, shape: Shape) -> Array:
    """A cotangent at the shape of the value.

    Raises:
        ValueError: it does not broadcast to it.
    """
    try:
        return np.broadcast_to(g, shape)
    except ValueError:
        raise ValueError(
            f"{call.method}(): g has shape {g.shape}; it must broadcast to the output's shape {shape}"
        ) from None


def pulled(caller: LayerCaller, call: LayerCall, name: str, gradient: Array) -> Array:
    """The gradient in a factor of the product, from that in the product."""
    if name == caller.product.tensor:
        return multiplied(gradient, call.matrix)
    flat = (a.reshape(-1, a.shape[-1]) for a in (gradient, call.rows)) if gradient.size else (
        np.zeros((0, n), call.rows.dtype) for n in call.matrix.shape)
    outputs, terms = flat
    return caller.turned(multiplied(outputs.T, terms))


def selected(caller: LayerCaller, call: LayerCall) -> list[str]:
    """What to differentiate in: what ``wrt`` names, or the operands that were passed as arrays, in signature order."""
    function, wrt = caller.function, call.extras["wrt"]
    outputs = {o for v in function.variants for o in v.outputs}
    factors = (caller.product.tensor, caller.product.matrix)
    known = [a.name for a in function.arguments
             if a.name in factors or f"grad_{a.name}" in outputs or f"vjp_{a.name}" in outputs]
    if wrt is None:
        arrays = [a.name for a in function.arguments if a.role in SMOOTH and a.name in call.operands]
        return [n for n in arrays if n in known and call.operands[n].is_array]
    named = [wrt] if isinstance(wrt, str) else list(wrt) if isinstance(wrt, tuple | list) else []
    if not named or not all(isinstance(n, str) for n in named):
        raise TypeError(f"{call.method}(): wrt must be the name of an argument or a tuple of names, got {wrt!r}")
    named = ["x" if n == "input" and "x" in known and "input" not in known else n for n in named]
    for n in named:
        if n not in known:
            raise ValueError(f"{call.method}(): there is no derivative in {n!r}; wrt may name {listing(known)}"
                             f"{did_you_mean(n, known)}")
    if len(set(named)) < len(named):
        raise ValueError(f"{call.method}(): wrt names the same argument twice: {wrt!r}")
    return named


def dtype_of(call: LayerCall, name: str) -> DType:
    """The dtype of a gradient: the operand's own where that is a float."""
    operand = call.operands.get(name)
    return call.precision.result if operand is None else result_dtype(operand, call.precision)


def placed(method: str, found: Any, dtype: DType, out: Any) -> Any:
    """A result in its dtype, or in ``out``."""
    source = np.asarray(found)
    if out is None and source.dtype == dtype:
        return found
    target = np.empty(source.shape, dtype) if out is None else exact_output(method, out, source.shape)
    with np.errstate(all="ignore"):
        store(source, target)
    return finish(target) if out is None else target


class Layer(Kernel):
    """A generated layer. ``help`` of an instance shows its formula, arguments and source.

    Attributes:
        epilogue: the kernel of its product, elementwise or of rows: a function like any other.
    """

    epilogue: Kernel

    def __init__(self, function: Function, package: str, public: str) -> None:
        super().__init__(function, package, public)
        assert function.epilogue is not None
        assert function.product is not None
        self.epilogue = Kernel(function.epilogue, package, public)
        self._caller = LayerCaller(function, function.product, self.epilogue)

    def _value(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, None]:
        self._refuse_devices(args, kwargs)
        return value(self._caller, args, kwargs)

    def _derivative(self, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, None]:
        self._refuse_devices(args, kwargs)
        found: tuple[Any, None] = self._methods[name](self._caller, args, kwargs)
        return found

    @property
    def _methods(self) -> dict[str, Callable[..., Any]]:
        return {"vjp": vjp, "hvp": hvp}

    def warm(self, *dtypes: str) -> Warmed:
        return self.epilogue.warm(*dtypes)

    def _refuse_devices(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        if on_device(args, kwargs):
            self._device()

    def _scalar(self, output: str) -> NoReturn:
        raise AttributeError(output)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("scalar"):
            raise AttributeError(f"{self.__name__} takes a matrix; {self.__name__}.epilogue takes numbers", name=name)
        return super().__getattr__(name)

    def _device(self) -> NoReturn:
        raise AttributeError(
            f"{self.__name__}.cuda: there is no matrix product for a GPU here; compute that of {self._named} with "
            f"your own library and pass it to {self.__name__}.epilogue.cuda"
        )

    @property
    def _named(self) -> str:
        return listing((self._caller.product.tensor, self._caller.product.matrix), "and")

    def __dir__(self) -> list[str]:
        return sorted({*object.__dir__(self), *self._methods})
