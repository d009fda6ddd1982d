"""The object behind every public function: call it, differentiate it, pickle it, read its help."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from . import derivatives, describe
from .calls import Caller, fill, given_outputs
from .dtypes import Array, DType
from .errors import did_you_mean, listing
from .execute import CONTIGUOUS, OWNDATA, WRITEABLE, Loop
from .manifest import Function
from .operands import promote
from .options import default_variant
from .threads import CUT, spread

METHODS = {
    "grad": derivatives.grad,
    "vjp": derivatives.vjp,
    "value_and_grad": derivatives.value_and_grad,
}


def restore(public: str, name: str) -> Any:
    """The kernel of this name; what unpickling calls."""
    return getattr(importlib.import_module(public), name)


class Method:
    """``grad``, ``vjp`` or ``value_and_grad`` of a kernel, with a signature and help of its own."""

    def __init__(self, kernel: Kernel, name: str, call: Callable[..., Any]) -> None:
        self._kernel = kernel
        self._call = call
        self.__name__ = name
        self.__qualname__ = f"{kernel.__name__}.{name}"
        self.__module__ = kernel.__module__
        self.__doc__ = describe.method_documentation(kernel.function, name, kernel.__module__)
        self.__signature__ = describe.signature(kernel.function, name)

    def __call__(self, /, *args: Any, **kwargs: Any) -> Any:
        return self._call(args, kwargs)

    def __reduce__(self) -> tuple[Any, ...]:
        return getattr, (self._kernel, self.__name__)

    def __copy__(self) -> Method:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Method:
        return self

    def __repr__(self) -> str:
        return f"<symgen method {self.__qualname__}{self.__signature__}>"


class Kernel:
    """A generated function of arrays. ``help`` of an instance shows its formula, arguments and source.

    Attributes:
        function: everything that the manifest says about it.
        grad: the elementwise derivative.
        vjp: the gradients of a cotangent.
        value_and_grad: the value and the elementwise derivative.
    """

    grad: Callable[..., Any]
    vjp: Callable[..., Any]
    value_and_grad: Callable[..., Any]

    def __init__(self, function: Function, package: str, public: str) -> None:
        self.function = function
        self.__name__ = self.__qualname__ = function.name
        self.__module__ = public
        self.__doc__ = describe.documentation(function, public)
        self.__signature__ = describe.signature(function)
        self._caller = Caller(function, package)
        self._quick: dict[DType, tuple[Loop, tuple[float, ...]]] = {}

    def __call__(self, /, *args: Any, **kwargs: Any) -> Any:
        # For small arrays: one plain array with default options, known from an earlier call, needs no checks.
        if len(args) == 1 and type(x := args[0]) is np.ndarray and (quick := self._quick.get(x.dtype)) is not None:
            flags = x.flags.num
            if flags & CONTIGUOUS == CONTIGUOUS:
                if not kwargs:
                    out = np.empty(x.shape, x.dtype)
                    _run_flat(quick, x, out)
                    return out if x.ndim else out[()]
                if len(kwargs) == 1 and "out" in kwargs and _is_twin(x, kwargs["out"], flags):
                    _run_flat(quick, x, kwargs["out"])
                    return kwargs["out"]
        return self._value(args, kwargs)

    def _value(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        name = self.function.name
        call = self._caller.prepare(name, args, kwargs, {"out": None, "where": True})
        precision = promote(name, call.operands)
        loop = self._caller.loop(call, "value", precision.tag)
        if len(call.operands) == 1 and call.plan is self._caller.default and precision.result == precision.compute:
            self._quick.setdefault(precision.compute, (loop, call.plan.numbers))
        out = given_outputs(name, call.extras["out"], 1)[0]
        return fill(call, loop, out, precision.result, precision.compute)

    @property
    def scalar(self) -> Any:
        """The value as an ``@njit`` function of float64 numbers, for loops of your own.

        It is that of the default options' variant, and takes every operand and then every numeric option.
        ``scalar_grad``, ``scalar_grad2`` and the like are its derivatives.
        """
        return self._scalar("value")

    def _scalar(self, output: str) -> Any:
        suffix = default_variant(self.function).suffix
        return self._caller.loops.attribute(f"{output}_scalar_{suffix}" if suffix else f"{output}_scalar")

    def __getattr__(self, name: str) -> Any:
        if name in METHODS:
            # Made at the first use; the next access finds it in the instance.
            return self.__dict__.setdefault(name, Method(self, name, partial(METHODS[name], self._caller)))
        if name == "cuda":
            raise AttributeError(f"{self.__name__}.cuda: CUDA kernels are not part of this build")
        if name.startswith("scalar_"):
            outputs = sorted(default_variant(self.function).outputs - {"value"})
            if name.removeprefix("scalar_") in outputs:
                return self._scalar(name.removeprefix("scalar_"))
            known = listing(["scalar", *(f"scalar_{output}" for output in outputs)], "and")
            raise AttributeError(f"kernel {self.__name__} has no attribute {name!r}; it has {known}")
        hint = did_you_mean(name, [n for n in dir(self) if not n.startswith("_")])
        raise AttributeError(f"kernel {self.__name__} has no attribute {name!r}{hint}", name=name, obj=self)

    def __dir__(self) -> list[str]:
        derived = default_variant(self.function).outputs - {"value"}
        return sorted({*super().__dir__(), *METHODS, *(f"scalar_{output}" for output in derived)})

    def __reduce__(self) -> tuple[Any, ...]:
        return restore, (self.__module__, self.__name__)

    def __copy__(self) -> Kernel:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Kernel:
        return self

    def __repr__(self) -> str:
        return f"<symgen kernel {self.__name__}{self.__signature__}>"


def _run_flat(quick: tuple[Loop, tuple[float, ...]], x: Array, out: Array) -> None:
    loop, numbers = quick
    if x.size >= CUT:
        spread(loop, [x.ravel()], numbers, [out.ravel()])
    elif x.ndim == 1:
        loop(x, *numbers, out)
    else:
        loop(x.ravel(), *numbers, out.ravel())


def _is_twin(x: Array, out: Any, flags: int) -> bool:
    """Whether ``out`` is ``x`` itself, or as plain as ``x`` and surely somewhere else."""
    if out is x:
        return bool(flags & WRITEABLE)
    if type(out) is not np.ndarray or out.dtype != x.dtype or out.shape != x.shape:
        return False
    wanted = CONTIGUOUS | WRITEABLE
    own = out.flags.num
    return own & wanted == wanted and (bool(flags & own & OWNDATA) or not np.may_share_memory(x, out))
