"""Launches a kernel on NumPy arrays, as a driver would on a GPU, and gives back what was counted."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np

from symgen.ptx.counts import Counts
from symgen.ptx.errors import PtxError
from symgen.ptx.execute import Execution
from symgen.ptx.machine import Machine
from symgen.ptx.memory import Memory, granule
from symgen.ptx.parse import Kernel, parse
from symgen.ptx.races import Clock
from symgen.ptx.registers import Grid, Registers
from symgen.ptx.types import Array, Type

MOST_THREADS = 1024  # in one block


@dataclass(frozen=True)
class Pointer:
    """An argument that passes as the address of an array alone."""

    array: Array


@dataclass(frozen=True)
class Run:
    """What a launch leaves beside the arrays that it wrote."""

    counts: Counts


def launch(
    kernel: Kernel | str,
    grid: int,
    block: int,
    arguments: Sequence[Any],
    *,
    error: float = 0.0,
    seed: int = 0,
    limit: int = 1_000_000,
) -> Run:
    """Run a kernel to its end; arrays among the arguments are read and written in place.

    Args:
        kernel: what to run, parsed or as text.
        grid: the number of blocks.
        block: threads in each, at most 1024.
        arguments: arrays, which pass as Numba passes them (meminfo, parent, number of elements, size of one, address,
            shape, strides) unless wrapped in `Pointer`, and numbers. Read-only arrays must not be written.
        error: the share of their error bounds by which approximate instructions err.
        seed: of the errors.
        limit: stretches of straight code after which a kernel that still runs is taken to hang.

    Raises:
        PtxError: what is wrong with the kernel or the launch, with the line of the PTX.

    Example:
        >>> text = chr(10).join([".target sm_90", ".entry k(.param .u64 a)", "{", "ret;", "}"])
        >>> launch(text, grid=1, block=32, arguments=[np.uint64(0)]).counts.instructions["ret"]
        1
    """
    kernel = parse(kernel) if isinstance(kernel, str) else kernel
    if not 1 <= block <= MOST_THREADS or grid < 1:
        raise PtxError(f"a launch of {grid} blocks of {block} threads: at least 1 block of 1 to {MOST_THREADS}")
    places = Grid.of(grid, block)
    counts = Counts(warps=int(places.warp[-1]) + 1)
    memory = Memory(kernel, Clock.start(places.block, places.warp), counts, grid, granule(kernel))
    values = [value for i, a in enumerate(arguments) for value in _passed(memory, a, i)]
    if len(values) != len(kernel.parameters):
        raise PtxError(f"{kernel.name} has {len(kernel.parameters)} parameters, the arguments give {len(values)}")
    parameters = {
        name: np.asarray(value).astype(kind.dtype)
        for (name, kind), value in zip(kernel.parameters, values, strict=True)
    }
    registers = Registers(places, kernel.registers, memory.symbols, types=_types(kernel))
    random = np.random.default_rng(seed)

    def noise(size: int) -> Array | None:
        return random.uniform(-error, error, size) if error else None

    Execution(kernel, Machine(places, registers, memory, parameters, noise), limit).run()
    return Run(counts)


@lru_cache(maxsize=256)
def _types(_: Kernel) -> dict[str, Type]:
    """Types of a kernel's registers, as far as they have been asked for."""
    return {}


def _passed(memory: Memory, argument: Any, index: int) -> Iterator[Any]:
    """The parameters that one argument becomes."""
    array = argument.array if isinstance(argument, Pointer) else argument
    if not isinstance(array, np.ndarray):
        yield array
        return
    address = memory.allocate(array, f"argument {index}", writable=array.flags.writeable)
    if isinstance(argument, Pointer):
        yield address
    else:
        yield from (0, 0, array.size, array.itemsize, address, *array.shape, *array.strides)
