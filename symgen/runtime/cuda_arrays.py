"""Arrays in device memory: what their interface says, as evenly spaced elements, and what their libraries can do.

What says nothing by ``__cuda_array_interface__`` is asked by DLPack, the header of whose answer is read here.
"""

from __future__ import annotations

import ctypes
import importlib
import math
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from .errors import listing
from .options import describe

DLPACK_KINDS: Final = {0: "i", 1: "u", 2: "f", 4: "V", 6: "b"}  # of elements, as type strings have them
VECTOR: Final = 16  # bytes; the address of the first element has to be a multiple for vector accesses
DLPACK_CUDA: Final = 2


@dataclass(frozen=True)
class Format:
    """How an array's elements are stored: the arithmetic of its kernels, elements of a vector, the type they see."""

    arithmetic: str
    lanes: int
    typestr: str

    def stored(self, typestr: str) -> Format:
        """The same for elements of another type."""
        return Format(self.arithmetic, self.lanes, typestr)


FORMATS: Final = {
    "<f4": Format("f32", 4, "<f4"),
    "<f8": Format("f64", 2, "<f8"),
    "<f2": Format("f32", 4, "<f2"),
    "<V2": Format("f32", 4, "<i2"),  # bfloat16: its bits, for Numba and NumPy have no such type
}


@dataclass(frozen=True)
class View:
    """The elements of an array in device memory as a one-dimensional array, in the order in which they lie there.

    Where `step` is zero it is one number that stands for all elements, and kernels get an array without axes.
    """

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
    def shape(self) -> tuple[int, ...]:
        return (self.size,) if self.step else ()

    @property
    def __cuda_array_interface__(self) -> dict[str, Any]:
        dense = self.step in (0, self.itemsize)
        return {
            "shape": self.shape, "typestr": self.format.typestr, "data": (self.address, self.readonly),
            "strides": None if dense else (self.step,), "version": 3,
        }  # fmt: skip

    def part(self, start: int, stop: int) -> View:
        address = self.address + start * self.step
        return View(self.owner, address, stop - start, self.step, self.format, self.readonly)

    @property
    def suits_vectors(self) -> bool:
        return not self.step or (self.step == self.itemsize and self.address % VECTOR == 0)

    def all_equal(self, size: int) -> View:
        """The first number for as many elements."""
        return View(self.owner, self.address, size, 0, self.format, self.readonly)


def on_device(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> bool:
    """Whether a call was given an array in the memory of a GPU, by place or by name."""
    values = (*args, *kwargs.values()) if kwargs else args
    return any(type(v) is not np.ndarray and _is_there(v) for v in values)


def _is_there(value: Any) -> bool:
    said = getattr(value, "is_cuda", None)  # PyTorch says it at once, and of a tensor that requires a gradient too
    return said if isinstance(said, bool) else _interface(value) is not None or _dlpack_device(value)


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


def _facts(array: Any) -> tuple[Hashable, int]:
    found = array.__cuda_array_interface__
    address, readonly = found["data"]
    return (tuple(found["shape"]), found["strides"], found["typestr"], readonly), int(address or 0)


def _address(array: Any) -> int:
    return int(array.__cuda_array_interface__["data"][0] or 0)


@dataclass(frozen=True)
class Library:
    """What a library of arrays is asked for.

    Attributes:
        like: a new array like another.
        stream: the one that the library works on, for an array.
        new: an array of a shape where another one lies, of its dtype or of the float32 or float64 that is named.
        facts: all of an array that decides how a call of it runs, and its address.
        address: that alone.
    """

    like: Callable[[Any], Any]
    stream: Callable[[Any], int]
    new: Callable[[Any, tuple[int, ...], str | None], Any]
    facts: Callable[[Any], tuple[Hashable, int]] = _facts
    address: Callable[[Any], int] = _address


def _torch_facts(array: Any) -> tuple[Hashable, int]:
    return (array.dtype, array.shape, array.stride(), array.device, array.requires_grad), array.data_ptr()


def _torch_like(array: Any) -> Any:
    return importlib.import_module("torch").empty_like(array)


def _torch_stream(array: Any) -> int:
    torch = importlib.import_module("torch")
    quick = getattr(torch._C, "_cuda_getCurrentRawStream", None)  # what compiled kernels of PyTorch's own call
    if quick is not None:
        return int(quick(array.device.index))
    return int(torch.cuda.current_stream(array.device).cuda_stream)


def _torch_new(array: Any, shape: tuple[int, ...], dtype: str | None) -> Any:
    torch = importlib.import_module("torch")
    return torch.empty(shape, dtype=getattr(torch, dtype) if dtype else array.dtype, device=array.device)


def _numba_like(array: Any) -> Any:
    return importlib.import_module("numba.cuda").device_array_like(array)


def _numba_new(array: Any, shape: tuple[int, ...], dtype: str | None) -> Any:
    return importlib.import_module("numba.cuda").device_array(shape, dtype or array.dtype)


LIBRARIES: dict[str, Library] = {
    "torch": Library(_torch_like, _torch_stream, _torch_new, _torch_facts, lambda a: int(a.data_ptr())),
    "cupy": Library(
        lambda a: importlib.import_module("cupy").empty_like(a),
        lambda a: int(importlib.import_module("cupy").cuda.get_current_stream().ptr),
        lambda a, shape, dtype: importlib.import_module("cupy").empty(shape, dtype or a.dtype),
        lambda a: ((a.shape, a.strides, a.dtype, a.device.id), int(a.data.ptr)),
        lambda a: int(a.data.ptr),
    ),
    "numba": Library(_numba_like, lambda a: 0, _numba_new),
    "numba_cuda": Library(_numba_like, lambda a: 0, _numba_new),
}


def library_of(array: Any) -> Library | None:
    """The library that an array is of, where it is known."""
    return LIBRARIES.get(type(array).__module__.partition(".")[0])


@dataclass(frozen=True)
class Face:
    """What an array's interface says."""

    shape: tuple[int, ...]
    strides: tuple[int, ...]
    typestr: str
    address: int
    readonly: bool

    @property
    def size(self) -> int:
        return math.prod(self.shape)


class _Tensor(ctypes.Structure):
    """The beginning of what a DLPack capsule points to."""

    _fields_ = (
        ("data", ctypes.c_void_p), ("device", ctypes.c_int32 * 2), ("ndim", ctypes.c_int32),
        ("code", ctypes.c_uint8), ("bits", ctypes.c_uint8), ("lanes", ctypes.c_uint16),
        ("shape", ctypes.POINTER(ctypes.c_int64)), ("strides", ctypes.POINTER(ctypes.c_int64)),
        ("offset", ctypes.c_uint64),
    )  # fmt: skip


def _by_dlpack(array: Any) -> Mapping[str, Any]:
    """What an array says by DLPack, in the words of the other interface; it stays the owner of its memory."""
    capsule = array.__dlpack__(stream=1)  # the default stream, on which the kernel will run
    pointer = ctypes.pythonapi.PyCapsule_GetPointer
    pointer.restype, pointer.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_char_p]
    found = _Tensor.from_address(pointer(capsule, b"dltensor"))
    size = found.bits * found.lanes // 8
    kind = DLPACK_KINDS.get(found.code, "?")
    strides = [found.strides[i] * size for i in range(found.ndim)] if found.strides else None
    return {
        "shape": tuple(found.shape[i] for i in range(found.ndim)), "strides": strides and tuple(strides),
        "typestr": f"{'|' if size == 1 else '<'}{kind}{size}", "data": ((found.data or 0) + found.offset, False),
    }  # fmt: skip


def face_of(method: str, name: str, array: Any, known: Mapping[str, Format] = FORMATS) -> Face:
    if getattr(array, "requires_grad", False) is True:
        raise TypeError(f"{method}(): {name} requires a gradient; pass {name}.detach()")
    interface = _interface(array)
    if interface is None and _dlpack_device(array):
        interface = _by_dlpack(array)
    if interface is None:
        raise TypeError(
            f"{method}(): {name} has no __cuda_array_interface__, nor is it on a GPU by DLPack: {describe(array)}; "
            f"on arrays in main memory call {method.replace('.cuda', '')}"
        )
    shape, typestr = tuple(interface["shape"]), str(interface["typestr"])
    if typestr not in known:
        types = listing(["float32", "float64", "float16", "bfloat16"])
        raise TypeError(f"{method}(): {name} has elements of type {typestr}; there are kernels for {types}")
    size = int(typestr[2:])
    strides = interface.get("strides") or tuple(math.prod(shape[i + 1 :]) * size for i in range(len(shape)))
    address, readonly = interface["data"]
    return Face(shape, tuple(strides), typestr, int(address or 0), bool(readonly))


def common_shape(method: str, faces: Sequence[tuple[str, Face]]) -> tuple[int, ...]:
    """The shape of all arrays but those of one element, each of which stands for as many as there are.

    Raises:
        ValueError: shapes differ, or dtypes.
    """
    whole = [(name, face) for name, face in faces if face.size != 1] or [max(faces, key=lambda f: len(f[1].shape))]
    first, shape = whole[0][0], whole[0][1].shape
    for name, face in faces:
        if face.shape != shape and (face.size != 1 or len(face.shape) > len(shape)):
            raise ValueError(
                f"{method}(): {name} has shape {face.shape} and {first} has {shape}; on a GPU arrays are not "
                "broadcast: expand them first"
            )
        if face.typestr != faces[0][1].typestr:
            raise ValueError(
                f"{method}(): {name} has type {face.typestr} and {faces[0][0]} has {faces[0][1].typestr}; convert one"
            )
    return shape


def view(method: str, name: str, array: Any, face: Face, axes: Sequence[int], written: bool = False) -> View:
    """The elements of an array, axis by axis in this order.

    Raises:
        ValueError: they are not evenly spaced in that order, or cannot be written.
    """
    form, item, size = FORMATS[face.typestr], int(face.typestr[-1]), face.size
    found = step(face.shape, face.strides, axes) if size and len(face.shape) == len(axes) else item
    if written and face.readonly:
        raise ValueError(f"{method}(): {name} is read-only")
    if found is None:
        raise ValueError(
            f"{method}(): the elements of {name} (shape {face.shape}, strides {face.strides}) are not evenly spaced in "
            "the order of the first array; make it contiguous"
        )
    if written and size > 1 and found == 0:
        raise ValueError(f"{method}(): {name} is expanded from fewer elements; make it contiguous")
    step_of_all = 0 if size > 1 and found == 0 else found or item
    return View(array, face.address, size, step_of_all, form, face.readonly)
