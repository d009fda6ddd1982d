"""The object behind every public function: call it, differentiate it, pickle it, read its help."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from functools import partial
from operator import attrgetter
from typing import Any

from . import derivatives, describe, losses, row_losses, row_numbers, row_second, rows
from .calls import Caller, arrays, fill, given_outputs, ready
from .cuda import DeviceKernel, Launcher
from .cuda_arrays import on_device
from .cuda_losses import DeviceLoss
from .cuda_rows import DeviceRowLoss, DeviceRowNumbers, DeviceRows
from .errors import did_you_mean, listing
from .manifest import Function
from .operands import promote
from .options import default_variant
from .placed import by_shape
from .quick import Known, Quick
from .rows import RowCaller
from .several_axes import along
from .warm import Warmed, warm

METHODS = {
    "grad": derivatives.grad,
    "vjp": derivatives.vjp,
    "value_and_grad": derivatives.value_and_grad,
}
LOSS_METHODS = {
    "grad": losses.grad,
    "vjp": losses.vjp,
    "value_and_grad": losses.value_and_grad,
    "hvp": losses.hvp,
}
ROW_METHODS = {name: along(name, run) for name, run in (("vjp", rows.vjp), ("hvp", row_second.hvp))}
ROW_NUMBER_METHODS = {
    "grad": along("grad", row_numbers.grad),
    **ROW_METHODS,
    "value_and_grad": along("value_and_grad", row_numbers.value_and_grad),
}
ROW_VALUE = along("", rows.value)
ROW_LOSS_METHODS = {
    "grad": row_losses.grad,
    "vjp": row_losses.vjp,
    "value_and_grad": row_losses.value_and_grad,
    "hvp": row_losses.hvp,
}


DEVICE: dict[tuple[bool, bool, bool], type[Launcher]] = {  # by whether it takes rows, is a loss, gives a number
    (False, False, False): DeviceKernel, (False, True, False): DeviceLoss,
    (True, False, False): DeviceRows, (True, False, True): DeviceRowNumbers, (True, True, True): DeviceRowLoss,
}  # fmt: skip


def restore(public: str, name: str) -> Any:
    """The kernel of this name; what unpickling calls."""
    return attrgetter(name)(importlib.import_module(public))


class Method(Quick):
    """``grad``, ``vjp`` or ``value_and_grad`` of a kernel, with a signature and help of its own."""

    def __init__(self, kernel: Kernel, name: str) -> None:
        super().__init__(partial(kernel._derivative, name), arrays(kernel.function, leading=name == "vjp"))
        self._kernel = kernel
        self.__name__ = name
        self.__qualname__ = f"{kernel.__name__}.{name}"
        self.__module__ = kernel.__module__
        self.__doc__ = describe.method_documentation(kernel.function, name, kernel.__module__)
        self.__signature__ = describe.signature(kernel.function, name)

    def __reduce__(self) -> tuple[Any, ...]:
        return getattr, (self._kernel, self.__name__)

    def __copy__(self) -> Method:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Method:
        return self

    def __repr__(self) -> str:
        return f"<symgen method {self.__qualname__}{self.__signature__}>"


class Kernel(Quick):
    """A generated function of arrays. ``help`` of an instance shows its formula, arguments and source.

    Attributes:
        function: everything that the manifest says about it.
        grad: the elementwise derivative; the gradient of a number.
        vjp: the gradients of a cotangent.
        value_and_grad: the value and what `grad` gives.
        cuda: the same for arrays in the memory of a GPU.
        hvp: of a loss, or of a function of rows, its second derivative times a vector.
    """

    grad: Callable[..., Any]
    vjp: Callable[..., Any]
    value_and_grad: Callable[..., Any]
    cuda: Any

    def __init__(self, function: Function, package: str, public: str) -> None:
        super().__init__(self._row_value if function.is_rows else self._value, arrays(function))
        self.function = function
        self.__name__ = self.__qualname__ = function.name
        self.__module__ = public
        self.__doc__ = describe.documentation(function, public)
        self.__signature__ = describe.signature(function)
        self._caller: Any = RowCaller(function, package) if function.is_rows else Caller(function, package)

    def _row_value(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> rows.Answer | row_losses.Answer:
        if on_device(args, kwargs):
            return self.cuda(*args, **kwargs), None
        value = row_losses.value if self.function.is_loss else ROW_VALUE
        return value(self._caller, args, kwargs)

    def _value(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> losses.Answer:
        if on_device(args, kwargs):
            return self.cuda(*args, **kwargs), None
        name = self.function.name
        if self.function.is_loss:
            return losses.value(self._caller, args, kwargs)
        call = self._caller.prepare(name, args, kwargs, {"out": None, "where": True})
        precision = promote(name, call.operands)
        out = given_outputs(name, call.extras["out"], 1)[0]
        loop, compute = self._caller.elementwise(call, "value", precision, out)
        again = by_shape(call, args, kwargs, ready(call, loop, precision.result, compute))
        return fill(call, loop, out, precision.result, compute), again

    def warm(self, *dtypes: str) -> Warmed:
        """Compile everything of this function for some dtypes, by default float64 and float32, or load it.

        Without it, what a call needs is compiled at the first call, and cached for later processes.

        Returns:
            How many loops were compiled now, and how many lay in Numba's cache.

        Raises:
            ValueError: a dtype that no kernel computes.

        Example:
            >>> import symgen.functional as F
            >>> F.relu.warm("float32").cached >= 0
            True
        """
        return warm(self._caller, dtypes or ("float64", "float32"))

    @property
    def _methods(self) -> dict[str, Callable[..., Any]]:
        if self.function.is_rows:
            of_rows = ROW_NUMBER_METHODS if self.function.gives_number else ROW_METHODS
            return ROW_LOSS_METHODS if self.function.is_loss else of_rows
        return LOSS_METHODS if self.function.is_loss else METHODS

    @property
    def scalar(self) -> Any:
        """The value as an ``@njit`` function of float64 numbers, for loops of your own.

        It is that of the default options' variant, and takes every operand and then every numeric option.
        ``scalar_grad``, ``scalar_grad2`` and the like are its derivatives.
        """
        return self._scalar("value")

    def _scalar(self, output: str) -> Any:
        if self.function.is_rows:
            raise AttributeError(output)
        suffix = default_variant(self.function).suffix
        return self._caller.loops.attribute(f"{output}_scalar_{suffix}" if suffix else f"{output}_scalar")

    def __getattr__(self, name: str) -> Any:
        if "function" in self.__dict__ and name in self._methods:
            # Made at the first use; the next access finds it in the instance.
            return self.__dict__.setdefault(name, Method(self, name))
        if self.function.is_rows and name.startswith("scalar"):
            raise AttributeError(f"{self.__name__} takes whole rows: there is no function of one number")
        if name == "cuda":
            return self.__dict__.setdefault(name, self._device())
        if name.startswith("scalar_"):
            outputs = sorted(default_variant(self.function).outputs - {"value"})
            if name.removeprefix("scalar_") in outputs:
                return self._scalar(name.removeprefix("scalar_"))
            known = listing(["scalar", *(f"scalar_{output}" for output in outputs)], "and")
            raise AttributeError(f"kernel {self.__name__} has no attribute {name!r}; it has {known}")
        hint = did_you_mean(name, [n for n in dir(self) if not n.startswith("_")])
        raise AttributeError(f"kernel {self.__name__} has no attribute {name!r}{hint}", name=name, obj=self)

    def _derivative(self, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, Known | None]:
        """What ``grad`` and the like do where no earlier call has shown a quicker way."""
        if on_device(args, kwargs):
            return getattr(self.cuda, name)(*args, **kwargs), None
        answer: tuple[Any, Known | None] = self._methods[name](self._caller, args, kwargs)
        return answer

    def _device(self) -> Launcher:
        """The CUDA kernels of this function."""
        if not self.function.cuda:
            but = "the arrays of a sample differ in their axes" if self.function.is_rows else "too dear"
            why = f"CUDA kernels are not part of this build; say `cuda = true` in [tool.symgen], unless {but}"
            raise AttributeError(f"{self.__name__}.cuda: {why}")
        kind = DEVICE[self.function.is_rows, self.function.is_loss, self.function.gives_number]
        return kind(self._caller, f"{self._caller.loops.package}.{self.function.cuda}")

    def __dir__(self) -> list[str]:
        derived = frozenset() if self.function.is_rows else default_variant(self.function).outputs - {"value"}
        return sorted({*super().__dir__(), *self._methods, *(f"scalar_{output}" for output in derived)})

    def __reduce__(self) -> tuple[Any, ...]:
        return restore, (self.__module__, self.__name__)

    def __copy__(self) -> Kernel:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Kernel:
        return self

    def __repr__(self) -> str:
        return f"<symgen kernel {self.__name__}{self.__signature__}>"

