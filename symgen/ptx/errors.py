"""What can be wrong with a kernel. Each error tells the line of the PTX and what it says there."""

from __future__ import annotations


class PtxError(Exception):
    """A kernel that a GPU would run wrongly, or that this interpreter cannot run.

    Attributes:
        reason: what is wrong.
        line: the line of the PTX text, counted from 1; 0 where the error belongs to no line.
        text: the instruction or directive on that line.
    """

    def __init__(self, reason: str, line: int = 0, text: str = "") -> None:
        self.reason, self.line, self.text = reason, line, text
        super().__init__(f"{reason}\n  PTX line {line}: {text}" if line else reason)


class UnknownPtx(PtxError):
    """An instruction, directive or operand that the interpreter does not know."""


class MemoryFault(PtxError):
    """An access that memory does not allow."""


class OutOfBounds(MemoryFault):
    """An access outside the elements of every array, or outside the block's shared or the thread's local memory."""


class Misaligned(MemoryFault):
    """An address that is no multiple of the size of the access."""


class Uninitialised(MemoryFault):
    """A read of shared or local memory, or of a register, that nothing has written."""


class DataRace(PtxError):
    """Two threads access the same memory, one of them writes, and no barrier orders the two."""


class Divergence(PtxError):
    """A barrier or a shuffle that not all threads reach that it is meant for."""
