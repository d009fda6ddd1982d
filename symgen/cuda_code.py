"""Compiles generated CUDA kernels to PTX where there is no driver, and runs them with the interpreter.

Tests, the static figures of a kernel and `benchmarks/gpu.py` use it; a program that has a GPU does not.
"""

from __future__ import annotations

import functools
import re
import shutil
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np

from symgen import cuda_numba, ptx
from symgen.runtime.cuda_arrays import LIBRARIES, Library, View
from symgen.runtime.cuda_driver import Emulated
from symgen.runtime.cuda_launch import argument_type, threads_of

WIDE = r"\.global.*\.(?:v4\.[busf]32|v2\.[busf]64)"  # of 16 bytes
SINGLE = r"ld\.global(?:\.nc)?\.[busf](?:16|32|64)"
CAPABILITIES = ((8, 0), (9, 0), (10, 0))


@dataclass(frozen=True)
class Intermediate:
    """A kernel between Numba and NVVM, from which it is compiled for any architecture: Numba's part takes most time."""

    modules: tuple[str, ...]
    options: Mapping[str, Any]
    made: dict[tuple[int, int], str] = field(default_factory=dict)

    def ptx(self, capability: tuple[int, int]) -> str:
        """The PTX for an architecture."""
        from numba.cuda.cudadrv import nvvm

        if capability not in self.made:
            options = {**self.options, "arch": f"compute_{capability[0]}{capability[1]}"}
            with mock.patch.object(nvvm.CompilationUnit, "verify", _verified) if self.made else nullcontext():
                text: bytes = nvvm.compile_ir(list(self.modules), **options)
            self.made[capability] = text.decode().strip("\0").strip()
        return self.made[capability]


def _verified(_: Any) -> None:
    """What was found right for one architecture is not looked at again for another."""


@functools.lru_cache(maxsize=64)
def intermediate(kernel: Any, signature: tuple[Any, ...]) -> Intermediate:
    """What Numba makes of a kernel for some types of arguments; see `compile_ptx`."""
    return Intermediate(*cuda_numba.modules(kernel, signature, CAPABILITIES[0]))


def compile_ptx(kernel: Any, signature: tuple[Any, ...], capability: tuple[int, int] = (9, 0)) -> str:
    """The PTX of a kernel for some types of arguments.

    Args:
        kernel: what `numba.cuda.jit` made of a generated kernel.
        signature: Numba types, one for each argument.
        capability: such as (9, 0).
    """
    return intermediate(kernel, signature).ptx(capability)


@dataclass(frozen=True)
class Figures:
    """What the text of a kernel tells without running it."""

    instructions: int
    double: int  # instructions on float64
    local: int  # accesses to local memory
    loads: int  # of 16 bytes
    single: int  # loads of one number from global memory
    stores: int  # of 16 bytes
    opcodes: Mapping[str, int]


@functools.lru_cache(maxsize=4)
def figures(text: str) -> Figures:
    """The static figures of a kernel, of its PTX."""
    opcodes = ptx.opcodes(text)
    return Figures(
        instructions=opcodes.total(),
        double=sum(n for name, n in opcodes.items() if re.search(r"\.f64\b", name)),
        local=sum(n for name, n in opcodes.items() if re.match(r"(?:ld|st)\.local", name)),
        loads=sum(n for name, n in opcodes.items() if re.match("ld" + WIDE, name)),
        single=sum(n for name, n in opcodes.items() if re.match(SINGLE, name)),
        stores=sum(n for name, n in opcodes.items() if re.match("st" + WIDE, name)),
        opcodes=opcodes,
    )


@dataclass(frozen=True)
class Listing:
    """The PTX of a kernel, which is read to its end when it first runs.

    Attributes:
        text: all of it; what follows its head is mostly the same for several architectures, and counted once.
    """

    text: str

    @functools.cached_property
    def kernel(self) -> ptx.Kernel:
        return ptx.parse(self.text)

    @property
    def figures(self) -> Figures:
        return figures(self.text.partition(".address_size")[2])


@dataclass
class Simulator(Emulated):
    """Stands in for a driver: launches run in the interpreter, on arrays whose address is one of main memory.

    Attributes:
        capability: what kernels are compiled for.
        error: the share of their bounds by which approximate instructions err.
        runs: what each launch has counted.
        keys: which kernel each of them ran.
        kernels: compiled ones by name, types and capability, their keys; several simulators may share it.
    """

    capability: tuple[int, int] = (9, 0)
    error: float = 0.0
    runs: list[ptx.Run] = field(default_factory=list)
    keys: list[Any] = field(default_factory=list)
    kernels: dict[Any, Listing] = field(default_factory=dict)

    @property
    def launched(self) -> Any:
        """The key of the kernel that ran last."""
        return self.keys[-1]

    def launch(self, kernel: Any, blocks: int, stream: int, arguments: Sequence[Any], room: int = 0) -> None:  # noqa: ARG002
        signature = tuple(map(argument_type, arguments))
        key = (kernel.py_func.__module__, kernel.py_func.__name__, signature, self.capability)
        if key not in self.kernels:
            self.kernels[key] = self.compiled(kernel, signature)
        values = [_memory(a) if isinstance(a, View) else a for a in arguments]
        self.runs.append(ptx.launch(self.kernels[key].kernel, blocks, threads_of(kernel), values, error=self.error))
        self.keys.append(key)

    def compiled(self, kernel: Any, signature: tuple[Any, ...]) -> Listing:
        """A kernel before it first runs."""
        return Listing(compile_ptx(kernel, signature, self.capability))


class DeviceArray:
    """An array in main memory that shows itself as one of a GPU library, for kernels that a `Simulator` runs."""

    def __init__(self, memory: np.ndarray) -> None:
        self.memory = memory

    @property
    def __cuda_array_interface__(self) -> dict[str, Any]:
        found = self.memory.__array_interface__
        return {**{k: found[k] for k in ("shape", "typestr", "data", "strides")}, "version": 3}


LIBRARIES[DeviceArray.__module__.partition(".")[0]] = Library(  # results begin as NaN: what no kernel writes is seen
    lambda a: DeviceArray(np.full_like(a.memory, np.nan)),
    lambda a: 0,
    lambda a, shape, dtype: DeviceArray(np.full(shape, np.nan, dtype or a.memory.dtype)),
)


def simulated(kernel: Any, simulator: Simulator) -> Any:
    """``F.name.cuda`` with its launches run by the interpreter."""
    return type(kernel)(kernel._caller, kernel._module, simulator)


def memory_of(view: View) -> np.ndarray:
    """The bytes of the whole array that a view points into."""
    root = view.owner.memory
    while isinstance(root.base, np.ndarray):
        root = root.base
    found: np.ndarray = root.ravel(order="K").view(np.uint8)  # of Fortran's order too
    return found


def _memory(view: View) -> Any:
    """The elements that a view points to, in the array that owns them."""
    flat = memory_of(view)
    offset = view.address - flat.__array_interface__["data"][0]
    strides = (view.step,) if view.shape else ()
    found = np.ndarray(view.shape, view.format.typestr, flat, offset, strides)
    found.flags.writeable = not view.readonly
    return found


@dataclass(frozen=True)
class Machine:
    """What ptxas says of a kernel: registers of a thread, and bytes of its stack and of spilled registers."""

    registers: int
    stack: int
    spilled: int


def ptxas() -> str | None:
    """The assembler: of an installed toolkit, or of the package nvidia-cuda-nvcc."""
    found = find_spec("nvidia")
    wheels = [Path(p) / "cu13" / "bin" for p in found.submodule_search_locations or ()] if found else []
    return shutil.which("ptxas") or next((str(w / "ptxas") for w in wheels if (w / "ptxas").is_file()), None)


def assemble(text: str, capability: tuple[int, int] = (9, 0)) -> Machine | None:
    """What the machine code of a kernel takes; None where there is no ptxas.

    Args:
        text: its PTX.
        capability: such as (9, 0).
    """
    program = ptxas()
    if program is None:
        return None
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "kernel.ptx"
        path.write_text(text, encoding="utf-8")
        command = [program, "-v", f"-arch=sm_{capability[0]}{capability[1]}", str(path), "-o", str(path) + ".cubin"]
        said = subprocess.run(command, capture_output=True, text=True, check=True).stderr
    stack, stores, loads = (int(n) for n in re.findall(r"(\d+) bytes (?:stack|spill)", said)[-3:])
    registers = re.search(r"Used (\d+) registers", said)
    assert registers is not None, said
    return Machine(int(registers[1]), stack, stores + loads)
