"""The registers of all threads: arrays of bits, one element for each thread, and how operands are read from them."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache, lru_cache

import numpy as np

from symgen.ptx.errors import PtxError, Uninitialised, UnknownPtx
from symgen.ptx.parse import Number, Operand, Register, Symbol
from symgen.ptx.types import BITS, SIGNED, TYPES, Array, Type

Lanes = Array | slice
CARRY = "%cc"
PREDICATE = np.dtype(np.bool_)


@dataclass(frozen=True)
class Grid:
    """Where each thread stands: its number in its block, its block, its warp in the whole grid."""

    blocks: int
    size: int
    thread: Array
    block: Array
    warp: Array

    @staticmethod
    def of(blocks: int, size: int) -> Grid:
        number = np.arange(blocks * size)
        thread, block = number % size, number // size
        return Grid(blocks, size, thread, block, block * -(-size // 32) + thread // 32)

    @property
    def threads(self) -> int:
        return self.blocks * self.size


SPECIAL: Mapping[str, Callable[[Grid], Array | int]] = {
    "%tid.x": lambda g: g.thread,
    "%ctaid.x": lambda g: g.block,
    "%ntid.x": lambda g: g.size,
    "%nctaid.x": lambda g: g.blocks,
    "%laneid": lambda g: g.thread % 32,
    "%warpid": lambda g: g.thread // 32,
    **{f"%{name}.{axis}": lambda g: 0 for name in ("tid", "ctaid") for axis in "yz"},
    **{f"%{name}.{axis}": lambda g: 1 for name in ("ntid", "nctaid") for axis in "yz"},
}


@dataclass
class Registers:
    """What every register holds, as unsigned bits of its declared size, and predicates as booleans.

    Attributes:
        grid: whose threads have them.
        declared: the type of each name without its number.
        symbols: addresses of variables.
        bits: what has been written.
        types: of the names that have been asked for, which all runs of a kernel may share.
    """

    grid: Grid
    declared: Mapping[str, Type]
    symbols: Mapping[str, int]
    bits: dict[str, Array] = field(default_factory=dict)
    types: dict[str, Type] = field(default_factory=dict)

    def type_of(self, name: str) -> Type:
        """The type with which a register was declared."""
        found = self.types.get(name)
        return self._declared(name) if found is None else found

    def _declared(self, name: str) -> Type:
        prefix = name if name in self.declared else _prefix(name)
        if prefix not in self.declared and name != CARRY:
            raise UnknownPtx(f"the register {name} is not declared")
        found = self.types[name] = TYPES["pred"] if name == CARRY else self.declared[prefix]
        return found

    def read(self, operand: Operand, kind: Type, lanes: Lanes) -> Array:
        """The operand's value for some threads, as an array of the type's values."""
        if isinstance(operand, Register):
            held = self.bits.get(operand.name)
            value = self._special(operand.name, kind) if held is None else held
            value = value[lanes]
            if kind.kind == "p":
                return ~value if operand.negated else value
            if value.itemsize < kind.size:
                raise PtxError(f"{operand.name} has {8 * value.itemsize} bits and is read as {kind.name}")
            narrow = value if value.itemsize == kind.size else value.astype(BITS[kind.size])
            return narrow.view(kind.dtype)
        if isinstance(operand, Number):
            return repeated(operand.text, kind, self._count(lanes))
        if not isinstance(operand, Symbol):
            raise UnknownPtx(f"an operand of unknown form: {operand}")
        if operand.name not in self.symbols:
            raise UnknownPtx(f"{operand.name} is declared nowhere")
        return np.full(self._count(lanes), self.symbols[operand.name], kind.dtype)

    def _special(self, name: str, kind: Type) -> Array:
        """What a register holds that no instruction has written, for all threads."""
        if name not in SPECIAL:
            raise Uninitialised(f"the register {name} is read before anything is written to it")
        return np.broadcast_to(np.asarray(SPECIAL[name](self.grid)), (self.grid.threads,)).astype(kind.dtype)

    def write(self, operand: Operand, kind: Type, values: Array, lanes: Lanes) -> None:
        """Store values of a type; a wider register gets the sign or zeros above."""
        if not isinstance(operand, Register):
            raise UnknownPtx(f"a result cannot go to {operand}")
        if operand.name == "_":
            return
        declared = self.type_of(operand.name)
        if declared.kind == "p":
            raw, dtype = values, PREDICATE
        elif declared.size < kind.size:
            raise PtxError(f"{operand.name} has {8 * declared.size} bits and is written as {kind.name}")
        elif values.itemsize == declared.size and (kind.kind != "s" or values.dtype.kind in "iu"):
            raw = values.view(dtype := BITS[declared.size])
        else:
            dtype = BITS[declared.size]
            whole = values.astype(SIGNED[declared.size]) if kind.kind == "s" else values
            raw = np.ascontiguousarray(whole).view(BITS[whole.itemsize])
        held = self.bits.get(operand.name)
        if held is None:
            held = self.bits[operand.name] = np.zeros(self.grid.threads, dtype)
        held[lanes] = raw

    def _count(self, lanes: Lanes) -> int:
        return self.grid.threads if isinstance(lanes, slice) else lanes.size


@cache
def _prefix(name: str) -> str:
    """A register's name without its number."""
    return re.sub(r"\d+$", "", name)


@lru_cache(maxsize=4096)
def repeated(text: str, kind: Type, count: int) -> Array:
    """A number for some threads, never to be written to."""
    found = np.full(count, number(text, kind))
    found.flags.writeable = False
    return found


@cache
def number(text: str, kind: Type) -> Array:
    """A number as PTX writes it: ``0f3F800000`` and ``0d...`` are the bits of floats, others are integers."""
    if text[:2] in {"0f", "0F", "0d", "0D"}:
        bits = BITS[4] if text[1] in "fF" else BITS[8]
        value = np.array(int(f"0x{text[2:]}", 0), bits)
        if kind.kind != "f":
            return value.astype(BITS[kind.size]).view(kind.dtype)
        return value.view(f"f{bits.itemsize}").astype(kind.dtype)
    if kind.kind == "f":
        return np.array(float(text), kind.dtype)
    if kind.kind == "p":
        return np.array(int(text, 0) != 0)
    return np.array(int(text.rstrip("U"), 0) & (256**kind.size - 1), BITS[kind.size]).view(kind.dtype)
