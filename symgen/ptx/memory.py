"""Global, shared and local memory of a run, in which nothing is read or written that a kernel has no right to.

Each memory has its window of addresses, so that a generic address tells which one it means. An array that is passed to
a kernel keeps the bytes that it has: views of one array share an allocation, and only their elements may be accessed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from symgen.ptx.counts import Counts
from symgen.ptx.errors import DataRace, MemoryFault, Misaligned, OutOfBounds, Uninitialised
from symgen.ptx.parse import Address, Instruction, Kernel, Symbol, Variable, parts
from symgen.ptx.races import Clock, Detector
from symgen.ptx.types import BITS, TYPES, Array

SHARED, LOCAL, GLOBAL = 1 << 24, 1 << 26, 1 << 32
WINDOWS = {"shared": (SHARED, LOCAL), "local": (LOCAL, GLOBAL), "global": (GLOBAL, 1 << 63)}
GAP = 4096  # between allocations: an index that is off by a little hits nothing


@dataclass
class Arena:
    """Bytes that belong together, and what may be done with each.

    Attributes:
        name: for messages.
        base: the address of the first byte.
        data: the bytes.
        readable: which bytes may be read.
        writable: which bytes may be written.
        initialised: which bytes have a value; None where all have.
        races: the detector; None for memory that only one thread can reach.
    """

    name: str
    base: int
    data: Array
    readable: Array
    writable: Array
    initialised: Array | None = None
    races: Detector | None = None


class Piece(NamedTuple):
    """The part of an access that goes to one arena: at which bytes, and which of the threads."""

    arena: Arena
    offsets: Array
    chosen: Array | slice


@dataclass
class Memory:
    """All memory of one run."""

    kernel: Kernel
    clock: Clock
    counts: Counts
    blocks: int
    granule: int
    arenas: list[Arena] = field(default_factory=list)  # global ones, by address
    symbols: dict[str, int] = field(default_factory=dict)
    sizes: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for space, (window, _) in (("shared", WINDOWS["shared"]), ("local", WINDOWS["local"])):
            size = 0
            for v in (v for v in self.kernel.variables if v.space == space):
                size = -(-size // v.align) * v.align
                self.symbols[v.name] = window + size
                size += v.size
            self.sizes[space] = -(-size // 16) * 16
        self.shared = self._scratch("shared", SHARED, self.sizes["shared"] * self.blocks, races=True)
        self.local = self._scratch("local", LOCAL, self.sizes["local"] * self.clock.block.size, races=False)
        for v in self.kernel.variables:
            if v.space in {"global", "const"} and v.name in named(self.kernel):
                self.symbols[v.name] = self.constant(v)

    def _scratch(self, name: str, base: int, size: int, *, races: bool) -> Arena:
        allowed = np.ones(size, np.bool_)
        detector = Detector(size, self.granule) if races else None
        return Arena(name, base, np.zeros(size, np.uint8), allowed, allowed, np.zeros(size, np.bool_), detector)

    def constant(self, variable: Variable) -> int:
        values = np.zeros(variable.size, np.uint8) if variable.initial is None else variable.initial
        return self.allocate(values, variable.name, writable=variable.space == "global")

    def allocate(self, array: Array, name: str, *, writable: bool) -> int:
        """The address of an array's first element; a view is found inside the array that it is a view of."""
        root = array
        while isinstance(root.base, np.ndarray):
            root = root.base
        flat = root.ravel(order="K").view(np.uint8)
        if root.size and not np.shares_memory(flat, root):
            raise MemoryFault(f"the array {name} belongs to one that is not contiguous")
        arena = next((a for a in self.arenas if a.data.size and np.shares_memory(a.data, flat)), None)
        if arena is None:
            end = self.arenas[-1].base + self.arenas[-1].data.size if self.arenas else GLOBAL
            base = -(-(end + GAP) // 256) * 256
            nothing = np.zeros(flat.size, np.bool_)
            arena = Arena(name, base, flat, nothing, nothing.copy(), races=Detector(flat.size, self.granule))
            self.arenas.append(arena)
        start: int = array.__array_interface__["data"][0] - root.__array_interface__["data"][0]
        touched = _bytes(array, start)
        arena.readable[touched] = True
        if writable:
            arena.writable[touched] = True
        return arena.base + start

    # -- accesses

    def load(
        self, at: Instruction, space: str, addresses: Array, threads: Array, width: int, count: int
    ) -> list[Array]:
        """The `count` neighbouring values of `width` bytes at each thread's address."""
        values = [np.zeros(addresses.size, BITS[width]) for _ in range(count)]
        for arena, offsets, chosen in self._pieces(at, space, addresses, threads, width * count, "read"):
            cells = arena.data[: arena.data.size // width * width].view(BITS[width])
            for j, value in enumerate(values):
                value[chosen] = cells[offsets // width + j]
        return values

    def store(self, at: Instruction, space: str, addresses: Array, threads: Array, values: Sequence[Array]) -> None:
        width = values[0].itemsize
        for arena, offsets, chosen in self._pieces(at, space, addresses, threads, width * len(values), "write"):
            cells = arena.data[: arena.data.size // width * width].view(BITS[width])
            for j, value in enumerate(values):
                cells[offsets // width + j] = value[chosen]

    def cells(
        self, at: Instruction, space: str, addresses: Array, threads: Array, width: int
    ) -> Iterator[tuple[Array, Array, Array | slice]]:
        """For an atomic update: the memory as an array, the index of each thread's cell there, which threads."""
        for arena, offsets, chosen in self._pieces(at, space, addresses, threads, width, "atomic"):
            yield arena.data[: arena.data.size // width * width].view(BITS[width]), offsets // width, chosen

    def _pieces(
        self, at: Instruction, space: str, addresses: Array, threads: Array, size: int, kind: str
    ) -> Iterator[Piece]:
        if np.any(addresses % size):
            wrong = int(addresses[addresses % size != 0][0])
            raise Misaligned(f"the address {wrong:#x} is no multiple of {size} bytes", at.line, at.text)
        for window in self._windows(at, space, addresses):
            low, high = WINDOWS[window]
            inside = (addresses >= low) & (addresses < high)
            for piece in self._located(at, window, addresses, threads, inside, size):
                self._check(at, piece, threads[piece.chosen], size, kind)
                yield piece

    def _windows(self, at: Instruction, space: str, addresses: Array) -> list[str]:
        """The memories that an access reaches: the one that it names, or those that its generic addresses tell."""
        found = [name for name, (low, high) in WINDOWS.items() if np.any((addresses >= low) & (addresses < high))]
        space = {"const": "global"}.get(space, space)
        known = np.all(addresses >= SHARED)
        if not known or (space and found != [space]):
            where = f"{space} memory" if space else "any memory"
            wrong = int(addresses[0] if known else addresses[addresses < SHARED][0])
            raise OutOfBounds(f"the address {wrong:#x} is outside {where}", at.line, at.text)
        return found

    def _located(
        self, at: Instruction, window: str, addresses: Array, threads: Array, inside: Array, size: int
    ) -> Iterator[Piece]:
        """The arenas of the accesses in one window."""
        chosen: Array | slice = slice(None) if inside.all() else np.flatnonzero(inside)
        here = addresses[chosen]
        if window == "global":
            starts = np.array([a.base for a in self.arenas], dtype=np.int64)
            which = np.searchsorted(starts, here, "right") - 1
            if not self.arenas or np.any(which < 0):
                raise OutOfBounds("the address is below every array", at.line, at.text)
            self.counts.global_access(at.text, self.clock.warp[threads[chosen]], here, size)
            for k in np.unique(which):
                mine = which == k
                subset = chosen if mine.all() else np.arange(addresses.size)[chosen][mine]
                yield Piece(self.arenas[k], here[mine] - self.arenas[k].base, subset)
            return
        arena, unit = (self.shared, self.clock.block) if window == "shared" else (self.local, None)
        offsets, limit = here - arena.base, self.sizes[window]
        if np.any(offsets + size > limit):
            wrong = int(offsets[offsets + size > limit][0])
            raise OutOfBounds(f"byte {wrong} of {limit} bytes of {window} memory", at.line, at.text)
        if window == "shared":
            self.counts.shared_access(at.text, self.clock.warp[threads[chosen]], offsets, size)
        owner = threads[chosen] if unit is None else unit[threads[chosen]]
        yield Piece(arena, offsets + owner * limit, chosen)

    def _check(self, at: Instruction, piece: Piece, threads: Array, size: int, kind: str) -> None:
        """Bounds, initialisation and races of the accesses to one arena."""
        arena, offsets = piece.arena, piece.offsets
        allowed = arena.readable if kind == "read" else arena.writable
        for part in range(0, size, self.granule):
            place = offsets + part
            ok = place + self.granule <= allowed.size
            if allowed.size:
                first = np.where(ok, place, 0)
                ok &= allowed[first] & allowed[first + self.granule - 1]
            if not ok.all():
                i = int(np.flatnonzero(~ok)[0])
                verb = {"read": "read", "write": "written", "atomic": "updated"}[kind]
                reason = f"thread {int(threads[i])}: byte {int(place[i])} of {arena.name} cannot be {verb}"
                raise OutOfBounds(f"{reason} (it has {arena.data.size} bytes)", at.line, at.text)
            if arena.initialised is not None:
                if kind != "write" and not arena.initialised[place].all():
                    i = int(np.flatnonzero(~arena.initialised[place])[0])
                    reason = f"thread {int(threads[i])} reads {arena.name} memory that nothing has written"
                    raise Uninitialised(reason, at.line, at.text)
                if kind == "write":
                    for byte in range(self.granule):
                        arena.initialised[place + byte] = True
        if arena.races is not None and (found := arena.races.access(kind, offsets, size, threads, self.clock)):
            before, other, thread = found
            reason = f"threads {other} and {thread} race for {arena.name}: a {kind} beside a {before}"
            raise DataRace(f"{reason}, and no barrier orders them", at.line, at.text)


def _bytes(array: Array, start: int) -> Array | slice:
    """Which bytes the elements of an array have, of those of its root."""
    if array.flags.c_contiguous:
        return slice(start, start + array.nbytes)
    touched = np.asarray(start)
    for n, stride in zip(array.shape, array.strides, strict=True):
        touched = touched[..., None] + np.arange(n) * stride
    return (touched[..., None] + np.arange(array.itemsize)).ravel()


@lru_cache(maxsize=256)
def named(kernel: Kernel) -> frozenset[str]:
    """The parameters, variables and labels that instructions name: of what Numba declares they use little."""
    operands = (o for i in kernel.code for given in i.operands for o in parts(given))
    places = (o.base if isinstance(o, Address) else o for o in operands)
    return frozenset(p.name for p in places if isinstance(p, Symbol))


@lru_cache(maxsize=256)
def granule(kernel: Kernel) -> int:
    """The size of the smallest access that the kernel has: what checks tell apart."""
    sizes = [
        TYPES[i.parts[-1]].size
        for i in kernel.code
        if i.parts[0] in {"ld", "st", "atom", "red"} and i.parts[1] != "param" and i.parts[-1] in TYPES
    ]
    return min(sizes, default=4)
