"""Calls of CUDA kernels: arrays of any library that shares device memory, on its current stream, without a copy.

Nothing here imports Numba before a kernel is launched, so that what is missing can be said in plain words.
"""

from __future__ import annotations

import importlib
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from .calls import Caller, given_outputs
from .derivatives import order_of
from .errors import CudaMissingError, GeneratedPackageError, listing
from .options import describe

THREADS: Final = 256  # of a block
LARGEST: Final = 2**31  # elements of one launch: kernels count in 32 bits
VECTOR: Final = 16  # bytes; the address of the first element has to be a multiple for vector accesses
DLPACK_CUDA: Final = 2


@dataclass(frozen=True)
class Format:
    """How an array's elements are stored: the arithmetic of its kernels, elements of a vector, the type they see."""

    arithmetic: str
    lanes: int
    typestr: str


FORMATS: Final = {
    "<f4": Format("f32", 4, "<f4"),
    "<f8": Format("f64", 2, "<f8"),
    "<f2": Format("f32", 4, "<f2"),
    "<V2": Format("f32", 4, "<i2"),  # bfloat16: its bits, for Numba and NumPy have no such type
}


@dataclass(frozen=True)
class View:
    """The elements of an array in device memory as a one-dimensional array, in the order in which they lie there."""

    owner: Any
    address: int
    size: int
    step: int  # bytes from one element to the next
    format: Format
    readonly: bool

    @property
    def itemsize(self) -> int:
        return int(self.format.typestr[-1])

    @property
    def __cuda_array_interface__(self) -> dict[str, Any]:
        dense = self.step == self.itemsize
        return {
            "shape": (self.size,), "typestr": self.format.typestr, "data": (self.address, self.readonly),
            "strides": None if dense else (self.step,), "version": 3,
        }  # fmt: skip

    def part(self, start: int, stop: int) -> View:
        address = self.address + start * self.step
        return View(self.owner, address, stop - start, self.step, self.format, self.readonly)

    @property
    def suits_vectors(self) -> bool:
        return self.step == self.itemsize and self.address % VECTOR == 0


def on_device(values: Sequence[Any]) -> bool:
    """Whether one of the values is an array in the memory of a GPU."""
    return any(type(v) is not np.ndarray and (_interface(v) is not None or _dlpack_device(v)) for v in values)


def _interface(value: Any) -> Mapping[str, Any] | None:
    found = getattr(value, "__cuda_array_interface__", None)
    return found if isinstance(found, Mapping) else None


def _dlpack_device(value: Any) -> bool:
    ask = getattr(value, "__dlpack_device__", None)
    return ask is not None and not isinstance(value, np.ndarray) and int(ask()[0]) == DLPACK_CUDA


def split(value: float) -> tuple[np.float32, np.float32]:
    """A number as the two float32 that kernels for float32 arithmetic take."""
    with np.errstate(over="ignore"):
        high = np.float32(value)
    return high, np.float32(value - float(high) if np.isfinite(high) else 0.0)


def order(shape: Sequence[int], strides: Sequence[int]) -> tuple[int, ...]:
    """The axes of an array from the one with the longest steps to that with the shortest."""
    return tuple(sorted(range(len(shape)), key=lambda i: (-abs(strides[i]), i)))


def step(shape: Sequence[int], strides: Sequence[int], axes: Sequence[int]) -> int | None:
    """The bytes between neighbours where all elements, axis by axis, are evenly spaced; None where they are not."""
    wanted, first = 0, 0
    for axis in reversed(axes):
        if shape[axis] == 1:
            continue
        if wanted and strides[axis] != wanted:
            return None
        first = first or strides[axis]
        wanted = strides[axis] * shape[axis]
    return first


class Driver:
    """Launches kernels through Numba."""

    def check(self) -> None:
        """See that kernels can run.

        Raises:
            CudaMissingError: the compiler, the driver or a device is missing; the message says which.
        """
        try:
            cuda = importlib.import_module("numba.cuda")
            importlib.import_module("numba_cuda")
        except ImportError as error:
            raise CudaMissingError(
                "CUDA kernels need the package numba-cuda; install it with `pip install 'symgen[cuda]'`"
            ) from error
        if not cuda.is_available():
            reason = getattr(getattr(cuda, "cuda_error", lambda: None)(), "args", ("no device was found",))[0]
            raise CudaMissingError(
                f"CUDA kernels need an NVIDIA GPU and its driver, and there is none here ({reason}); "
                "on arrays in main memory call the function itself"
            )

    def launch(self, kernel: Any, blocks: int, stream: int, arguments: Sequence[Any]) -> None:
        """Run a kernel on a stream, given by its address; 0 is the default stream."""
        cuda = importlib.import_module("numba.cuda")
        queue = cuda.external_stream(stream) if stream else 0
        kernel[blocks, THREADS, queue](*arguments)


DRIVER = Driver()


@dataclass(frozen=True)
class Library:
    """What a library of arrays is asked for: a new array like another, and the stream that it works on."""

    like: Callable[[Any], Any]
    stream: Callable[[Any], int]


def _torch_stream(array: Any) -> int:
    return int(importlib.import_module("torch").cuda.current_stream(array.device).cuda_stream)


def _numba_like(array: Any) -> Any:
    return importlib.import_module("numba.cuda").device_array_like(array)


LIBRARIES: dict[str, Library] = {
    "torch": Library(lambda a: importlib.import_module("torch").empty_like(a), _torch_stream),
    "cupy": Library(
        lambda a: importlib.import_module("cupy").empty_like(a),
        lambda a: int(importlib.import_module("cupy").cuda.get_current_stream().ptr),
    ),
    "numba": Library(_numba_like, lambda a: 0),
    "numba_cuda": Library(_numba_like, lambda a: 0),
}


def _library(array: Any) -> Library | None:
    return LIBRARIES.get(type(array).__module__.partition(".")[0])


class DeviceKernel:
    """The CUDA kernels of one function: call it, or ``grad``, ``vjp`` and ``value_and_grad`` of it.

    Arrays are PyTorch tensors, CuPy or Numba arrays, or anything with ``__cuda_array_interface__``, of one shape and
    dtype: float32, float64, float16 or bfloat16. Results are new arrays of the same kind; ``out=`` takes them instead.
    """

    def __init__(self, caller: Caller, module: str, driver: Driver = DRIVER) -> None:
        self._caller, self._module, self._driver = caller, module, driver
        self.__name__ = f"{caller.function.name}.cuda"

    def __call__(self, /, *args: Any, **kwargs: Any) -> Any:
        """The value."""
        return self._run("value", self.__name__, args, kwargs, {"out": None}, lambda _: 1)

    def grad(self, /, *args: Any, **kwargs: Any) -> Any:
        """The elementwise derivative; ``order=2`` for the second."""
        function, method = self._caller.function, f"{self.__name__}.grad"
        (tensor, *others) = function.tensors
        if others:
            raise NotImplementedError(f"{method}(): with several tensors use vjp or value_and_grad")
        extras = {"out": None, "order": 1}
        wanted = kwargs.get("order", 1)
        output = function.output(tensor, order_of(method, wanted))
        return self._run(output, method, args, kwargs, extras, lambda _: 1)

    def vjp(self, /, *args: Any, **kwargs: Any) -> Any:
        """The gradients of the tensors, for a cotangent that comes first."""
        return self._run("vjp", f"{self.__name__}.vjp", args, kwargs, {"out": None}, len, cotangent=True)

    def value_and_grad(self, /, *args: Any, **kwargs: Any) -> Any:
        """The value and the derivatives in the tensors, in one pass."""
        method = f"{self.__name__}.value_and_grad"
        return self._run("value_and_grad", method, args, kwargs, {"out": None}, lambda tensors: 1 + len(tensors))

    def __repr__(self) -> str:
        return f"<symgen CUDA kernel {self.__name__}>"

    def _run(
        self,
        output: str,
        method: str,
        args: tuple[Any, ...],
        kwargs: Mapping[str, Any],
        extras: dict[str, Any],
        results: Callable[[Sequence[Any]], int],
        cotangent: bool = False,
    ) -> Any:
        self._driver.check()
        function = self._caller.function
        if cotangent and any(a.role == "param" for a in function.operands):
            raise NotImplementedError(f"{method}(): gradients of parameters are sums, which have no CUDA kernel yet")
        bound = self._caller.bound(method, args, kwargs, extras, "g" if cotangent else "")
        arrays = [*([bound.leading] if cotangent else []), *bound.operands]
        names = [*(["g"] if cotangent else []), *(a.name for a in function.operands)]
        outs = given_outputs(method, extras["out"], results(function.tensors))
        library = _library(arrays[0])
        for i, out in enumerate(outs):
            if out is None and library is None:
                _face(method, names[0], arrays[0])  # which says what is wrong, if it is no array of a GPU
                raise TypeError(f"{method}(): no way is known to make an array like {describe(arrays[0])}; pass out=")
            outs[i] = library.like(arrays[0]) if out is None and library is not None else out
        inputs, written = views(method, names, arrays, outs)
        numbers = self._numbers(bound.plan.numbers, inputs[0].format)
        stream = library.stream(arrays[0]) if library else 0
        for start in range(0, inputs[0].size, LARGEST):
            stop = min(start + LARGEST, inputs[0].size)
            parts = [[v.part(start, stop) for v in each] for each in (inputs, written)]
            self._launch(output, bound.plan.variant.suffix, parts[0], numbers, parts[1], stream)
        return outs[0] if len(outs) == 1 else tuple(outs)

    @staticmethod
    def _numbers(numbers: Sequence[float], form: Format) -> list[Any]:
        if form.arithmetic == "f32":
            return [part for number in numbers for part in split(number)]
        return [np.float64(number) for number in numbers]

    def _launch(
        self,
        output: str,
        suffix: str,
        inputs: Sequence[View],
        numbers: Sequence[Any],
        outs: Sequence[View],
        stream: int,
    ) -> None:
        form, n = inputs[0].format, inputs[0].size
        vectors = all(v.suits_vectors for v in (*inputs, *outs))
        threads = n // form.lanes + n % form.lanes if vectors else n
        name = "_".join(filter(None, [output, form.arithmetic, suffix])) + ("" if vectors else "_each")
        try:
            kernel = getattr(importlib.import_module(self._module), name)
        except (ModuleNotFoundError, AttributeError) as error:
            raise GeneratedPackageError(f"{self.__name__}: {error}; run `symgen build`") from error
        self._driver.launch(kernel, -(-threads // THREADS), stream, [*inputs, *numbers, *outs, np.uint32(n)])


def views(
    method: str, names: Sequence[str], arrays: Sequence[Any], outs: Sequence[Any]
) -> tuple[list[View], list[View]]:
    """The arrays of a call in one order of their elements.

    Raises:
        TypeError: something is no array in device memory, or of a dtype for which there are no kernels.
        ValueError: shapes or dtypes differ, or the elements of an array are not evenly spaced in that order.
    """
    told = [*zip(names, arrays, strict=True), *(("out", out) for out in outs)]
    faces = [_face(method, name, array) for name, array in told]
    shape, typestr = faces[0].shape, faces[0].typestr
    for (name, _), face in zip(told, faces, strict=True):
        if face.shape != shape:
            raise ValueError(
                f"{method}(): {name} has shape {face.shape} and {names[0]} has {shape}; on a GPU arrays are not "
                "broadcast: expand them first"
            )
        if face.typestr != typestr:
            raise ValueError(f"{method}(): {name} has type {face.typestr} and {names[0]} has {typestr}; convert one")
    axes = order(shape, faces[0].strides)
    found = [_view(method, name, array, face, axes) for (name, array), face in zip(told, faces, strict=True)]
    for (name, _), view in zip(told[len(arrays) :], found[len(arrays) :], strict=True):
        if view.readonly:
            raise ValueError(f"{method}(): {name} is read-only")
    return found[: len(arrays)], found[len(arrays) :]


@dataclass(frozen=True)
class _Face:
    """What an array's interface says."""

    shape: tuple[int, ...]
    strides: tuple[int, ...]
    typestr: str
    address: int
    readonly: bool


def _face(method: str, name: str, array: Any) -> _Face:
    if getattr(array, "requires_grad", False) is True:
        raise TypeError(f"{method}(): {name} requires a gradient; pass {name}.detach()")
    interface = _interface(array)
    if interface is None:
        held = "shares its memory by DLPack alone, and not by" if _dlpack_device(array) else "has no"
        raise TypeError(
            f"{method}(): {name} {held} __cuda_array_interface__: {describe(array)}; on arrays in main memory call "
            f"{method.replace('.cuda', '')}"
        )
    shape, typestr = tuple(interface["shape"]), str(interface["typestr"])
    if typestr not in FORMATS:
        known = listing(["float32", "float64", "float16", "bfloat16"])
        raise TypeError(f"{method}(): {name} has elements of type {typestr}; there are kernels for {known}")
    size = int(typestr[-1])
    strides = interface.get("strides") or tuple(math.prod(shape[i + 1 :]) * size for i in range(len(shape)))
    address, readonly = interface["data"]
    return _Face(shape, tuple(strides), typestr, int(address or 0), bool(readonly))


def _view(method: str, name: str, array: Any, face: _Face, axes: Sequence[int]) -> View:
    size = math.prod(face.shape)
    form = FORMATS[face.typestr]
    item = int(face.typestr[-1])
    found = step(face.shape, face.strides, axes) if size else item
    if found is None:
        raise ValueError(
            f"{method}(): the elements of {name} (shape {face.shape}, strides {face.strides}) are not evenly spaced in "
            "the order of the first array; make it contiguous"
        )
    if size > 1 and found == 0:
        raise ValueError(f"{method}(): {name} is expanded from fewer elements; make it contiguous")
    return View(array, face.address, size, found or item, form, face.readonly)
