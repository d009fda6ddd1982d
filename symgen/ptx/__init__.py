"""Runs compiled PTX on the CPU, exactly and with every check on, so that CUDA kernels can be tested without a GPU.

    kernel = parse(text)                                  # what NVVM printed
    run = launch(kernel, grid=1, block=256, arguments=[x, y, np.uint32(n)])
    run.counts.sectors_per_request()

One element of an array stands for one thread, and the whole grid runs in lock-step. Results of ``rn``, ``rz``, ``rm``
and ``rp`` instructions are IEEE's to the last bit; what the hardware only approximates (``ex2.approx``, ...) is
modelled, see `approximate`. Reading outside an array, unaligned vector accesses, reads of uninitialised shared memory,
data races, and barriers or shuffles in divergent code are errors that show the line of the PTX.

The package needs NumPy alone and imports nothing else of symgen.
"""

from symgen.ptx.counts import Counts
from symgen.ptx.errors import (
    DataRace,
    Divergence,
    MemoryFault,
    Misaligned,
    OutOfBounds,
    PtxError,
    Uninitialised,
    UnknownPtx,
)
from symgen.ptx.launch import Pointer, Run, launch
from symgen.ptx.parse import Instruction, Kernel, opcodes, parse

__all__ = [
    "Counts",
    "DataRace",
    "Divergence",
    "Instruction",
    "Kernel",
    "MemoryFault",
    "Misaligned",
    "OutOfBounds",
    "Pointer",
    "PtxError",
    "Run",
    "Uninitialised",
    "UnknownPtx",
    "launch",
    "opcodes",
    "parse",
]
