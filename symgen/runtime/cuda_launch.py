"""Launches of compiled CUDA kernels: through Numba once for each kind of arguments, then straight to the driver.

Numba finds out at every launch what its arguments are, which takes a hundred microseconds. Here a kernel is compiled
for types that are known, and a launch is one call of the driver with the bits of its parameters.
"""

from __future__ import annotations

import ctypes
import functools
import importlib
import struct
from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from .cuda_arrays import View

THREADS: Final = 256  # of a block, unless its kernel says otherwise
WARP_THREADS: Final = 128  # of a block whose warps take a row each: what they keep of it fits more often
NO_CONTEXT: Final = 201  # what the driver says in a thread that has not used the device yet
ADDRESS: Final = 4  # its place among the words of an array
PACKED: Final = {
    np.float32: struct.Struct("<fxxxx"), np.float64: struct.Struct("<d"), np.uint32: struct.Struct("<Ixxxx"),
}  # fmt: skip
WORD: Final = struct.Struct("<Q")


class LaunchError(RuntimeError):
    """The driver refused a kernel; the message says which, and why."""


def argument_type(value: Any) -> Any:
    """The Numba type of a kernel's argument."""
    from numba import types

    if not isinstance(value, View):
        return {"float32": types.float32, "float64": types.float64, "uint32": types.uint32}[np.dtype(type(value)).name]
    stored = {"<f4": types.float32, "<f8": types.float64, "<f2": types.float16, "<i2": types.int16,
              "|u1": types.uint8, "<i4": types.int32, "<i8": types.int64}  # fmt: skip
    layout = "C" if value.step in (0, value.itemsize) else "A"
    return types.Array(stored[value.format.typestr], len(value.shape), layout, aligned=True)


def words(value: Any) -> list[int]:
    """The bits of an argument, each of the kernel's parameters that it becomes in eight bytes.

    Of an array: two pointers that are not used here, its size, that of an element, its address, shape and strides.

    Example:
        >>> words(np.uint32(7)), words(np.float64(0.5)) == [0x3FE0000000000000]
        ([7], True)
    """
    if isinstance(value, View):
        shape = [value.size, value.step] if value.shape else []
        return [0, 0, value.size if value.shape else 1, value.itemsize, value.address, *(n % 2**64 for n in shape)]
    return [WORD.unpack(PACKED[type(value)].pack(value))[0]]


def places(arguments: Sequence[Any]) -> list[tuple[int, int]]:
    """Where among the words of all arguments the address of each array is, as pairs of that place and the argument's.

    Example:
        >>> places([np.uint32(7)])
        []
    """
    found, at = [], 0
    for i, value in enumerate(arguments):
        if isinstance(value, View):
            found.append((at + ADDRESS, i))
        at += len(words(value))
    return found


class Parameters:
    """The words of a kernel's arguments, and pointers to them, as the driver reads them."""

    def __init__(self, own: Sequence[int]) -> None:
        self.words = (ctypes.c_uint64 * len(own))(*own)
        first = ctypes.addressof(self.words)
        self._pointers = (ctypes.c_uint64 * len(own))(*range(first, first + 8 * len(own), 8))
        self.address = ctypes.addressof(self._pointers)


class Compiled:
    """A kernel of the device.

    Args:
        handle: the driver's, as its bindings have it.
        name: for messages.
        threads: of a block.
        shared: bytes of a block's memory that it keeps something in.
    """

    def __init__(self, handle: Any, name: str, threads: int = THREADS, shared: int = 0) -> None:
        self.name, self.threads, self.shared = name, threads, shared
        self._handle, self._launch = handle, driver().cuLaunchKernel

    def launch(self, blocks: int, stream: Any, parameters: Parameters, room: int = 0) -> None:
        """Run it.

        Args:
            blocks: of the grid.
            stream: as the bindings have it.
            parameters: of the kernel.
            room: bytes that a block which keeps something takes at least, so that fewer are at work at a time.

        Raises:
            LaunchError: the driver refuses.
        """
        more = max(room - self.shared, 0) if self.shared else 0
        arguments = (self._handle, blocks, 1, 1, self.threads, 1, 1, more, stream, parameters.address, 0)
        said = self._launch(*arguments)[0]
        if said:
            self._refused(arguments, said)

    def _refused(self, arguments: tuple[Any, ...], said: Any) -> None:
        if int(said) == NO_CONTEXT:  # in a thread that has used no device
            importlib.import_module("numba.cuda").current_context()
            said = self._launch(*arguments)[0]
        if said:
            raise LaunchError(f"{self.name}: the CUDA driver refused to run it: {said.name}")


def threads_of(kernel: Any) -> int:
    """The threads of a block that a kernel of Numba's is written for."""
    found: int = getattr(kernel.py_func, "threads", THREADS)
    return found


@functools.cache
def driver() -> Any:
    """The bindings of the driver."""
    return importlib.import_module("cuda.bindings.driver")


@functools.cache
def compiled(kernel: Any, signature: tuple[Any, ...]) -> Compiled:
    """A kernel of Numba's for arguments of these types, compiled or from its cache."""
    made = kernel.compile(signature)
    made.bind()
    found = made._codelibrary.get_cufunc()
    name = f"{kernel.py_func.__module__}.{kernel.py_func.__name__}"
    return Compiled(driver().CUfunction(int(found.handle)), name, threads_of(kernel), int(found.attrs.shared))


@functools.lru_cache(maxsize=64)
def stream_of(address: int) -> Any:
    """A stream as the bindings have it; 0 is the default stream."""
    return driver().CUstream(address)


def launch(kernel: Any, blocks: int, stream: int, arguments: Sequence[Any], room: int = 0) -> None:
    """Run a kernel on views of arrays and on numbers; see `Compiled.launch`."""
    found = compiled(kernel, tuple(map(argument_type, arguments)))
    found.launch(blocks, stream_of(stream), Parameters([w for a in arguments for w in words(a)]), room)
