"""Runs kernels on a GPU for arrays in main memory: with it, the tests of the interpreter run on a device.

Every launch copies its arrays there and back, which is slow and shows all that a kernel has written, and where.
"""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from symgen.cuda_code import memory_of
from symgen.runtime import cuda_launch
from symgen.runtime.cuda_arrays import View
from symgen.runtime.cuda_driver import Emulated

GUARD = 512  # bytes before and after an array, a multiple of what the device aligns to
PATTERN = 0xA5


class StrayWriteError(AssertionError):
    """A kernel wrote beside an array; the message says which and where."""


@dataclass(frozen=True)
class Mirror:
    """An array in main memory, and its copy between guards on a device.

    Attributes:
        memory: its bytes.
        copy: a device array, in which they begin at `start`, aligned as they are in main memory.
    """

    memory: np.ndarray
    copy: Any
    start: int

    @classmethod
    def of(cls, memory: np.ndarray) -> Mirror:
        start = GUARD + _address(memory) % 256
        filled = np.full(start + memory.size + GUARD, PATTERN, np.uint8)
        filled[start : start + memory.size] = memory
        return cls(memory, importlib.import_module("numba.cuda").to_device(filled), start)

    def view(self, view: View) -> View:
        """The same elements of the copy."""
        offset = view.address - _address(self.memory) + self.start
        base = int(self.copy.__cuda_array_interface__["data"][0])
        return replace(view, owner=self.copy, address=base + offset)

    def fetch(self, name: str) -> None:
        """Bring back what a kernel has written.

        Raises:
            StrayWriteError: it wrote beside the array.
        """
        found = self.copy.copy_to_host()
        stop = self.start + self.memory.size
        beside = np.flatnonzero(np.concatenate([found[: self.start], found[stop:]]) != PATTERN)
        if beside.size:
            raise StrayWriteError(f"{name} wrote {beside.size} bytes beside an array of {self.memory.size}")
        if self.memory.flags.writeable:
            self.memory[...] = found[self.start : stop]


@dataclass
class Device(Emulated):
    """A driver whose launches run on the GPU that is there, on copies of arrays in main memory.

    Attributes:
        launched: the module and the name of the kernel that ran last.
        kernels: those of all that ran.
    """

    def __post_init__(self) -> None:
        self.launched: tuple[str, str] = ("", "")
        self.kernels: set[tuple[str, str]] = set()

    def launch(self, kernel: Any, blocks: int, stream: int, arguments: Sequence[Any], room: int = 0) -> None:
        mirrors: dict[int, Mirror] = {}
        for view in (a for a in arguments if isinstance(a, View)):
            memory = memory_of(view)
            mirrors.setdefault(_address(memory), Mirror.of(memory))
        moved = [mirrors[_address(memory_of(a))].view(a) if isinstance(a, View) else a for a in arguments]
        self.launched = (kernel.py_func.__module__, kernel.py_func.__name__)
        self.kernels.add(self.launched)
        cuda_launch.launch(kernel, blocks, stream, moved, room)
        importlib.import_module("numba.cuda").synchronize()
        for mirror in mirrors.values():
            mirror.fetch(kernel.py_func.__name__)


def _address(memory: np.ndarray) -> int:
    return int(memory.__array_interface__["data"][0])
