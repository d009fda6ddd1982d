"""Calls of CUDA kernels: arrays of any library that shares device memory, on its current stream, without a copy.

Nothing here imports Numba before a kernel is launched, so that what is missing can be said in plain words.
"""

from __future__ import annotations

import functools
import importlib
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from .calls import Call, Caller, Plan, given_outputs
from .conditions import number
from .cuda_arrays import FORMATS, Face, Format, Library, View, common_shape, face_of, order, split, view
from .cuda_driver import Driver
from .cuda_launch import THREADS
from .cuda_phases import Phases
from .cuda_recorded import Remembered
from .derivatives import order_of, select_targets
from .errors import CudaMissingError, GeneratedPackageError
from .execute import bare
from .manifest import Argument
from .operands import Operand
from .options import describe

KEPT: Final = 8192  # float32 that a block of a row keeps: 32 kilobytes, of which an H100 has room for seven
LARGEST: Final = 2**31  # elements of one launch: kernels count in 32 bits
SUMMING: Final = 1024  # blocks that sum at the same time, and the same number whatever the device
DTYPES: Final = {"f32": "float32", "f64": "float64"}


DRIVER = Driver()


@dataclass(frozen=True)
class Sums:
    """What the blocks of a kernel that sums came to."""

    view: View
    count: int


@dataclass
class DeviceCall:
    """A call whose arguments were checked.

    Attributes:
        method: how messages call it.
        call: its operands as they were passed, its options, and its further keywords.
        faces: what the interfaces of its arrays say, by the names of the operands; "g" is the cotangent.
        shape: of the result.
        axes: its axes, from the longest steps to the shortest.
        form: how elements are stored.
        model: the first array of this shape, which results are like.
        library: of the arrays.
        inputs: the operands.
        leading: the cotangent, where there is one.
    """

    method: str
    call: Call
    faces: Mapping[str, Face]
    shape: tuple[int, ...]
    axes: tuple[int, ...]
    form: Format
    model: Any
    library: Library | None
    inputs: list[View]
    leading: View | None = None

    @property
    def plan(self) -> Plan:
        return self.call.plan

    @property
    def size(self) -> int:
        return math.prod(self.shape)

    @property
    def numbers(self) -> list[Any]:
        if self.form.arithmetic == "f32":
            return [part for n in self.plan.numbers for part in split(n)]
        return [np.float64(n) for n in self.plan.numbers]

    @property
    def stream(self) -> int:
        return self.library.stream(self.model) if self.library else 0

    def known_library(self) -> Library:
        if self.library is None:
            raise TypeError(
                f"{self.method}(): no way is known to make an array like {describe(self.model)}; pass out="
            )
        return self.library

    def scratch(self, size: int) -> View:
        """New numbers in the arithmetic of the kernels."""
        array = self.known_library().new(self.model, (size,), DTYPES[self.form.arithmetic])
        return view(self.method, "scratch", array, face_of(self.method, "scratch", array), (0,))

    def result(self, out: Any, shape: tuple[int, ...] | None = None) -> tuple[Any, View]:
        """An array for a result, of the shape of the call or another, and its elements."""
        wanted = self.shape if shape is None else shape
        if out is None:
            library = self.known_library()
            out = library.like(self.model) if shape is None else library.new(self.model, wanted, None)
        face = face_of(self.method, "out", out)
        if face.shape != wanted:
            raise ValueError(f"{self.method}(): out has shape {face.shape} and the result has {wanted}")
        if FORMATS[face.typestr] is not self.form:
            raise ValueError(f"{self.method}(): out has type {face.typestr}, unlike the operands; convert one")
        axes = self.axes if shape is None else tuple(range(len(wanted)))
        return out, view(self.method, "out", out, face, axes, written=True)

    def single(self, argument: Argument) -> bool:
        """Whether one number stands for all elements of an operand, or it is an option."""
        face = self.faces.get(argument.name)
        return face is None or face.shape != self.shape


def remembered(method: Callable[..., Any]) -> Callable[..., Any]:
    """A method of a `Launcher` whose calls are recorded."""

    @functools.wraps(method)
    def call(self: Launcher, /, *args: Any, **kwargs: Any) -> Any:
        if self._remembered is None:
            return method(self, *args, **kwargs)
        return self._remembered(method.__name__, args, kwargs)

    return call


class Launcher:
    """What calls of every kind of function share: the generated kernels, and the runtime's own."""

    def __init__(self, caller: Any, module: str, driver: Driver = DRIVER, remembers: bool = True) -> None:
        self._caller, self._module, self._driver = caller, module, driver
        self._remembered = Remembered(self._first, driver) if remembers else None
        self.__name__ = f"{caller.function.name}.cuda"

    def __repr__(self) -> str:
        return f"<symgen CUDA kernel {self.__name__}>"

    def _first(self, driver: Driver, method: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        """A call of which nothing is remembered, through a driver."""
        return getattr(type(self)(self._caller, self._module, driver, remembers=False), method)(*args, **kwargs)

    def _imported(self) -> Any:
        """The module of the generated kernels."""
        try:
            return importlib.import_module(self._module)
        except ModuleNotFoundError as error:
            if error.name is None or not self._module.startswith(error.name):
                raise CudaMissingError(f"{self.__name__}: {error}; pip install 'symgen[cuda]'") from error
            raise GeneratedPackageError(f"{self.__name__}: {error}; run `symgen build`") from error
        except AttributeError as error:  # numba-cuda asks NumPy for what newer ones have no more
            raise CudaMissingError(
                f"{self.__name__}: numba-cuda does not go with this NumPy ({error}); pip install 'symgen[cuda]'"
            ) from error

    def _kernel(self, parts: Sequence[str]) -> Any:
        """A generated kernel, by the parts of its name."""
        module, name = self._imported(), "_".join(filter(None, parts))
        if not hasattr(module, name):
            raise GeneratedPackageError(f"{self.__name__}: {self._module} has no {name}; run `symgen build`")
        return getattr(module, name)

    def _phases(self, parts: Sequence[str]) -> Phases | None:
        """How often the kernel of this name is launched for a call; None where it is once."""
        found = getattr(self._imported(), "PHASES", {}).get("_".join(filter(None, parts)))
        return None if found is None else Phases(*found)

    def _run(self, name: str, call: DeviceCall, arguments: Sequence[Any], blocks: int = 1, once: bool = False) -> None:
        """Run one of the runtime's own kernels; `once` where its results depend on numbers alone."""
        kernel = getattr(importlib.import_module(f"{__package__}.device_sums"), name)
        run = self._driver.launch_once if once else self._driver.launch
        run(kernel, blocks, call.stream, arguments)

    def _constant(self, call: DeviceCall, value: float) -> View:
        """A number in device memory."""
        found = call.scratch(1)
        self._run("fill", call, [found, np.float64(value)], once=True)
        return found.all_equal(call.size)

    def _divide(self, call: DeviceCall, total: Sums, out: View, divisor: float = 1.0, shares: Sums | None = None
                ) -> None:
        """A sum over a number, and over the sum of the shares where there are some."""
        by = shares or Sums(total.view, 0)
        arguments = [total.view, np.uint32(total.count), by.view, np.uint32(by.count), np.float64(divisor), out]
        self._run("quotient", call, arguments)

    def _factors(self, call: DeviceCall, g: View | None, total: Sums | None, shares: Sums | None, divisor: float
                 ) -> list[View]:
        """What gradients of a reduced loss are multiplied by, and those of its shares."""
        found = call.scratch(2)
        one = self._constant(call, 1.0) if g is None else g
        sums = total or Sums(found, 0)
        by = shares or Sums(found, 0)
        arguments = [one, sums.view, np.uint32(sums.count), by.view, np.uint32(by.count), np.float64(divisor), found]
        self._run("factors", call, arguments, once=g is None and total is None and shares is None)
        return [found.part(k, k + 1).all_equal(call.size) for k in range(2)]


class DeviceKernel(Launcher):
    """The CUDA kernels of one function: call it, or ``grad``, ``vjp`` and ``value_and_grad`` of it.

    Arrays are PyTorch tensors, CuPy or Numba arrays, or anything with ``__cuda_array_interface__`` or, on the default
    stream, DLPack; of one shape and dtype: float32, float64, float16 or bfloat16; an array of one element, or a number,
    stands for a whole operand. Results are new arrays of the same kind; ``out=`` takes them instead, and has to where
    the library is none of these three.
    """

    roles: tuple[str, ...] = ("tensor", "param")  # what vjp differentiates in, unless ``wrt`` says more

    _caller: Caller

    @remembered
    def __call__(self, /, *args: Any, **kwargs: Any) -> Any:
        """The value."""
        call = self._prepared(self.__name__, args, kwargs, {"out": None})
        return self._outputs(call, ["value"], given_outputs(call.method, call.call.extras["out"], 1))[0]

    @remembered
    def grad(self, /, *args: Any, **kwargs: Any) -> Any:
        """The elementwise derivative; ``order=2`` for the second."""
        extras = {"out": None, "order": 1, "wrt": None}
        call = self._prepared(f"{self.__name__}.grad", args, kwargs, extras)
        wanted = order_of(call.method, call.call.extras["order"])
        targets = select_targets(self._caller.function, call.call, ("tensor",), wanted)
        names = [self._caller.function.output(t, wanted) for t in targets]
        return bare(self._outputs(call, names, given_outputs(call.method, call.call.extras["out"], len(names))))

    @remembered
    def vjp(self, /, *args: Any, **kwargs: Any) -> Any:
        """The gradients of the operands that were passed as arrays, for a cotangent that comes first."""
        call = self._prepared(f"{self.__name__}.vjp", args, kwargs, {"out": None, "wrt": None}, "g")
        assert call.leading is not None
        return bare(self._gradients(call, self._targets(call, self.roles), [call.leading]))

    @remembered
    def value_and_grad(self, /, *args: Any, **kwargs: Any) -> Any:
        """The value and the derivatives in the tensors, in one pass."""
        function = self._caller.function
        call = self._prepared(f"{self.__name__}.value_and_grad", args, kwargs, {"out": None, "wrt": None})
        targets = self._targets(call, ("tensor",))
        outs = given_outputs(call.method, call.call.extras["out"], 1 + len(targets))
        if targets == list(function.tensors):
            made = [call.result(out) for out in outs]
            self._launch(call, "value_and_grad", [], [v for _, v in made])
            found = [a for a, _ in made]
        else:
            found = self._outputs(call, ["value", *(function.output(t) for t in targets)], outs)
        value, *slopes = found
        return value, bare(slopes)

    def _targets(self, call: DeviceCall, roles: tuple[str, ...]) -> list[Argument]:
        return select_targets(self._caller.function, call.call, roles, 1)

    def _prepared(
        self, method: str, args: tuple[Any, ...], kwargs: Mapping[str, Any], extras: dict[str, Any], leading: str = ""
    ) -> DeviceCall:
        """Bind and check a call, and lay its arrays out."""
        self._driver.check()
        function = self._caller.function
        bound = self._caller.bound(method, args, kwargs, extras, leading)
        given = dict(zip([a.name for a in function.operands], bound.operands, strict=True))
        arrays = {**({leading: bound.leading} if leading else {}), **given}
        arrays = {name: a for name, a in arrays.items() if a is not None and not is_number(a)}
        if not arrays:
            face_of(method, function.operands[0].name, bound.operands[0])  # which says that it is no array of a GPU
        faces = {name: face_of(method, name, a) for name, a in arrays.items()}
        shape = common_shape(method, list(faces.items()))
        name = next(n for n, f in faces.items() if f.shape == shape)
        axes = order(shape, faces[name].strides)
        operands = [_operand(method, a, given[a.name]) for a in function.operands]
        call = Call(method, operands, shape, bound.plan, extras, bound.leading, [])
        form, model = FORMATS[faces[name].typestr], arrays[name]
        found = DeviceCall(method, call, faces, shape, axes, form, model, self._driver.library(model), [])
        found.inputs += [self._view(found, o.argument.name, o.array) for o in operands]
        if leading:
            found.leading = self._view(found, leading, bound.leading)
        return found

    def _view(self, call: DeviceCall, name: str, value: Any) -> View:
        """An operand: a number, or an array of one element, stands for all."""
        face = call.faces.get(name)
        if face is None:
            return self._constant(call, float(value))
        found = view(call.method, name, value, face, call.axes)
        return found if face.shape == call.shape else found.all_equal(call.size)

    def _outputs(self, call: DeviceCall, names: Sequence[str], outs: Sequence[Any]) -> list[Any]:
        """Some outputs, each by its own kernel."""
        found = []
        for name, out in zip(names, outs, strict=True):
            array, elements = call.result(out)
            self._launch(call, name, [], [elements])
            found.append(array)
        return found

    def _gradients(self, call: DeviceCall, targets: Sequence[Argument], factors: Sequence[View],
                   shared: Sequence[str] = ()) -> list[Any]:
        """Gradients in some arguments, of the shape of what they belong to.

        Args:
            call: the call.
            targets: what to differentiate in.
            factors: what the gradients are multiplied by, and what those of the shares.
            shared: names of targets in which the divisor has a gradient, too.
        """
        tensors = self._caller.function.tensors
        outs = given_outputs(call.method, call.call.extras["out"], len(targets))
        if list(targets) == list(tensors) and not shared and not any(map(call.single, targets)):
            made = [call.result(out) for out in outs]
            self._launch(call, "vjp", factors[:1], [v for _, v in made])
            return [a for a, _ in made]
        found = []
        for target, out in zip(targets, outs, strict=True):
            prefix, by = ("mean_vjp", factors) if target.name in shared else ("vjp", factors[:1])
            if call.single(target):
                found.append(self._summed(call, f"sum_{prefix}_{target.name}", by, out, call.faces.get(target.name)))
                continue
            array, elements = call.result(out)
            alone = len(tensors) == 1 and target.role == "tensor"
            self._launch(call, "vjp" if alone else f"{prefix}_{target.name}", by, [elements])
            found.append(array)
        return found

    def _summed(self, call: DeviceCall, output: str, factors: Sequence[View], out: Any, face: Face | None) -> Any:
        """A gradient that is a sum over all elements."""
        array, elements = call.result(out, face.shape if face else ())
        self._divide(call, self._sum(call, output, factors), elements)
        return array

    def _sum(self, call: DeviceCall, output: str, factors: Sequence[View], outs: Sequence[View] = ()) -> Sums:
        """Run a kernel that sums."""
        blocks = [_blocks(n, call.form) for n in _parts(call.size)]
        count = sum(blocks)
        sums, done = call.scratch(max(2 * count, 2)), 0
        for k, (start, stop) in enumerate(_spans(call.size)):
            place = sums.part(2 * done, 2 * (done + blocks[k]))
            self._each(call, output, factors, outs, start, stop, place, blocks[k])
            done += blocks[k]
        return Sums(sums, count)

    def _launch(self, call: DeviceCall, output: str, factors: Sequence[View], outs: Sequence[View]) -> None:
        """Run a kernel over all elements."""
        for start, stop in _spans(call.size):
            self._each(call, output, factors, outs, start, stop)

    def _each(self, call: DeviceCall, output: str, factors: Sequence[View], outs: Sequence[View], start: int,
              stop: int, sums: View | None = None, blocks: int = 0) -> None:
        """Run a kernel over some elements."""
        inputs, written = ([v.part(start, stop) for v in some] for some in ([*factors, *call.inputs], outs))
        form, n = call.form, stop - start
        vectors = all(v.suits_vectors for v in (*inputs, *written))
        threads = n // form.lanes + n % form.lanes if vectors else n
        end = "" if vectors else "each"
        kernel = self._kernel([output, form.arithmetic, call.plan.variant.suffix, end])
        arguments = [*inputs, *call.numbers, *written, *([] if sums is None else [sums]), np.uint32(n)]
        self._driver.launch(kernel, blocks or -(-threads // THREADS), call.stream, arguments)


def is_number(value: Any) -> bool:
    return isinstance(value, int | float | np.number) and not isinstance(value, bool)


def _operand(method: str, argument: Argument, value: Any) -> Operand:
    if value is None and argument.required:
        raise TypeError(f"{method}(): {argument.name} must be an array or a number, got None")
    held: Any = number(argument.default) if value is None else value
    return Operand(argument, held, held, float if value is None or is_number(value) else None, value is not None)


def _spans(size: int) -> list[tuple[int, int]]:
    """The elements of each launch."""
    return [(start, min(start + LARGEST, size)) for start in range(0, size, LARGEST)]


def _parts(size: int) -> list[int]:
    return [stop - start for start, stop in _spans(size)]


def _blocks(n: int, form: Format) -> int:
    """How many blocks sum n elements."""
    return min(-(-n // (form.lanes * THREADS)), SUMMING)
