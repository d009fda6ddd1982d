"""What instructions that are more than arithmetic do: loads and stores, atomics, shuffles, votes, moves, fences.

Each is a function of a machine, which holds the registers and the memory, the instruction, and the threads that run it.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from symgen.ptx.errors import Divergence, UnknownPtx
from symgen.ptx.memory import Memory
from symgen.ptx.parse import Address, Instruction, Operand, Register, Symbol, parts
from symgen.ptx.registers import Grid, Lanes, Registers
from symgen.ptx.types import TYPES, Array, Type

PRED, U32, B32, U64 = TYPES["pred"], TYPES["u32"], TYPES["b32"], TYPES["u64"]
WHOLE = np.uint32(0xFFFFFFFF)  # the mask of a warp
SPACE = r"(?:\.(?P<space>global|shared|local|const))?"
CACHE = r"(?:\.(?:ca|cg|cs|cv|wb|wt|nc|lu))*"
VECTOR = r"(?:\.v(?P<count>2|4))?"
TYPE = r"\.(?P<type>[busf](?:8|16|32|64))"


@dataclass
class Machine:
    """The state of a run.

    `noise` gives for a number of threads the shares in [-1, 1] of the bounds by which approximations err, or None.
    """

    grid: Grid
    registers: Registers
    memory: Memory
    parameters: dict[str, Array]
    noise: Callable[[int], Array | None]

    def threads(self, lanes: Lanes) -> Array:
        return np.arange(self.grid.threads)[lanes]

    def addresses(self, operand: Operand, lanes: Lanes) -> Array:
        if not isinstance(operand, Address):
            raise UnknownPtx(f"no address: {operand}")
        base = operand.base
        short = isinstance(base, Register) and self.registers.type_of(base.name).size == 4  # shared and local ones fit
        return self.registers.read(base, U32 if short else U64, lanes).astype(np.int64) + operand.offset


Match = re.Match[str]
Effect = Callable[[Machine, Instruction, Match, Lanes], None]


def _load_parameter(machine: Machine, at: Instruction, m: Match, lanes: Lanes) -> None:
    target, source = at.operands
    if not isinstance(source, Address) or not isinstance(source.base, Symbol) or source.offset:
        raise UnknownPtx("a parameter of unknown form", at.line, at.text)
    kind = TYPES[m["type"]]
    value = machine.parameters[source.base.name]
    # a parameter is read with the type of its declaration or with bits of that size
    value = value.view(kind.dtype) if value.itemsize == kind.size else value.astype(kind.dtype)
    machine.registers.write(target, kind, np.broadcast_to(value, machine.threads(lanes).shape), lanes)


def _load(machine: Machine, at: Instruction, m: Match, lanes: Lanes) -> None:
    kind, targets = TYPES[m["type"]], parts(at.operands[0])
    addresses, threads = machine.addresses(at.operands[1], lanes), machine.threads(lanes)
    values = machine.memory.load(at, m["space"] or "", addresses, threads, kind.size, len(targets))
    for target, value in zip(targets, values, strict=True):
        machine.registers.write(target, kind, value.view(kind.dtype), lanes)


def _store(machine: Machine, at: Instruction, m: Match, lanes: Lanes) -> None:
    kind = TYPES[m["type"]]
    bits = TYPES[f"b{8 * kind.size}"]
    values = [machine.registers.read(source, bits, lanes) for source in parts(at.operands[1])]
    addresses = machine.addresses(at.operands[0], lanes)
    machine.memory.store(at, m["space"] or "", addresses, machine.threads(lanes), values)


UPDATES: dict[str, Callable[[Any, Any], Any]] = {
    "add": lambda old, v: old + v,
    "min": np.minimum,
    "max": np.maximum,
    "and": np.bitwise_and,
    "or": np.bitwise_or,
    "xor": np.bitwise_xor,
    "exch": lambda old, v: v,
    "inc": lambda old, v: np.where(old >= v, 0, old + 1),
}


def _atomic(machine: Machine, at: Instruction, m: Match, lanes: Lanes) -> None:
    """Updates happen one after the other, in the order of the threads."""
    kind = TYPES[m["type"]]
    operands = at.operands if m["name"] == "red" else at.operands[1:]
    addresses, threads = machine.addresses(operands[0], lanes), machine.threads(lanes)
    values = [machine.registers.read(o, kind, lanes) for o in operands[1:]]
    before = np.zeros(threads.size, kind.dtype)
    for cells, index, chosen in machine.memory.cells(at, m["space"] or "", addresses, threads, kind.size):
        typed = cells.view(kind.dtype)
        for i, cell in zip(np.arange(threads.size)[chosen], index, strict=True):
            before[i] = old = typed[cell]
            if m["update"] == "cas":
                typed[cell] = values[1][i] if old == values[0][i] else old
            else:
                typed[cell] = UPDATES[m["update"]](old, values[0][i])
    if m["name"] == "atom":
        machine.registers.write(at.operands[0], kind, before, lanes)


def _members(machine: Machine, at: Instruction, lanes: Lanes, mask: Operand) -> None:
    """Every thread that the mask names, and that exists, must be here."""
    threads = machine.threads(lanes)
    wanted, grid = machine.registers.read(mask, U32, lanes), machine.grid
    if threads.size == grid.threads and grid.size % 32 == 0 and (wanted == WHOLE).all():
        return
    warp = grid.warp[threads]
    lane = grid.thread[threads] % 32
    if np.any((wanted >> lane.astype(np.uint32)) & np.uint32(1) == 0):
        raise Divergence("a thread is not named by the mask of the instruction that it runs", at.line, at.text)
    here = np.bincount(warp, weights=2.0**lane).astype(np.uint64)[warp]  # a bit for each thread of the warp
    count = np.minimum(grid.size - (grid.thread[threads] - lane), 32).astype(np.uint64)
    missing = wanted & ((np.uint64(1) << count) - np.uint64(1)) & ~here
    if missing.any():
        one = int(np.argmax(missing != 0))
        bits = int(missing[one])
        who = int((threads - lane)[one]) + (bits & -bits).bit_length() - 1
        raise Divergence(f"the mask names thread {who}, which is not here", at.line, at.text)


def _shuffle(machine: Machine, at: Instruction, m: Match, lanes: Lanes) -> None:
    targets = parts(at.operands[0])
    source, step, clamp, mask = at.operands[1:]
    _members(machine, at, lanes, mask)
    read = machine.registers.read
    value, b = read(source, B32, lanes), read(step, U32, lanes).astype(np.int64)
    c = read(clamp, U32, lanes).astype(np.int64)
    threads = machine.threads(lanes)
    lane = machine.grid.thread[threads] % 32
    segment = (c >> 8) & 31
    low = lane & segment
    high = low | ((c & 31) & ~segment)
    j = {"bfly": lane ^ b, "down": lane + b, "up": lane - b, "idx": low | (b & ~segment)}[m["mode"]]
    inside = (j >= (c & 31) if m["mode"] == "up" else j <= high) & (j >= 0)
    origin = threads - lane + np.where(inside, j, lane)
    everybody = np.zeros(machine.grid.threads, np.uint32)
    here = np.zeros(machine.grid.threads + 32, np.bool_)
    everybody[threads], here[threads] = value, True
    if not here[origin].all():
        who = int(origin[~here[origin]][0])
        raise Divergence(f"a value is taken from thread {who}, which is not here", at.line, at.text)
    machine.registers.write(targets[0], B32, everybody[origin], lanes)
    if len(targets) > 1:
        machine.registers.write(targets[1], PRED, inside, lanes)


def _vote(machine: Machine, at: Instruction, m: Match, lanes: Lanes) -> None:
    target, predicate, mask = at.operands
    _members(machine, at, lanes, mask)
    holds = machine.registers.read(predicate, PRED, lanes)
    threads = machine.threads(lanes)
    lane, warp = machine.grid.thread[threads] % 32, machine.grid.warp[threads]
    warps, group = np.unique(warp, return_inverse=True)
    ballot = np.zeros(warps.size, np.uint64)
    np.add.at(ballot, group, np.where(holds, np.uint64(1) << lane.astype(np.uint64), np.uint64(0)))
    here = np.zeros(warps.size, np.uint64)
    np.add.at(here, group, np.uint64(1) << lane.astype(np.uint64))
    answers = {
        "ballot": ballot.astype(np.uint32),
        "any": ballot != 0,
        "all": ballot == here,
        "uni": (ballot == here) | (ballot == 0),
    }
    kind = B32 if m["mode"] == "ballot" else PRED
    machine.registers.write(target, kind, answers[m["mode"]][group], lanes)


def _active(machine: Machine, at: Instruction, _: Match, lanes: Lanes) -> None:
    threads = machine.threads(lanes)
    lane, warp = machine.grid.thread[threads] % 32, machine.grid.warp[threads]
    warps, group = np.unique(warp, return_inverse=True)
    here = np.zeros(warps.size, np.uint64)
    np.add.at(here, group, np.uint64(1) << lane.astype(np.uint64))
    machine.registers.write(at.operands[0], B32, here.astype(np.uint32)[group], lanes)


def _warp_barrier(machine: Machine, at: Instruction, _: Match, lanes: Lanes) -> None:
    _members(machine, at, lanes, at.operands[0])
    clock, threads = machine.memory.clock, machine.threads(lanes)
    clock.warp_barriers[threads] = int(clock.warp_barriers.max()) + 1


def _move(machine: Machine, at: Instruction, m: Match, lanes: Lanes) -> None:
    """A copy, or two halves packed into one register, or one register unpacked into its parts."""
    kind = TYPES[m["type"]]
    targets, sources = parts(at.operands[0]), parts(at.operands[1])
    if len(targets) == len(sources) == 1:
        machine.registers.write(targets[0], kind, machine.registers.read(sources[0], kind, lanes), lanes)
        return
    count = max(len(targets), len(sources))
    piece = TYPES[f"b{8 * kind.size // count}"]
    if len(targets) == 1:
        values = [machine.registers.read(s, piece, lanes) for s in sources]
        whole = np.ascontiguousarray(np.stack(values, axis=-1)).view(f"u{kind.size}")[:, 0]
        machine.registers.write(targets[0], TYPES[f"b{8 * kind.size}"], whole, lanes)
    else:
        value = machine.registers.read(sources[0], kind, lanes)
        split = np.ascontiguousarray(value).view(piece.dtype).reshape(-1, count)
        for j, target in enumerate(targets):
            machine.registers.write(target, piece, split[:, j], lanes)


def _address(machine: Machine, at: Instruction, m: Match, lanes: Lanes) -> None:
    """``cvta``: addresses of all memories are generic already."""
    kind: Type = TYPES[m["type"]]
    machine.registers.write(at.operands[0], kind, machine.registers.read(at.operands[1], kind, lanes), lanes)


def _nothing(machine: Machine, at: Instruction, m: Match, lanes: Lanes) -> None:
    """Memory is consistent here; races are found from barriers alone."""


_TABLE: tuple[tuple[str, Effect], ...] = (
    (rf"ld\.param{TYPE}", _load_parameter),
    (rf"ld(?:\.volatile|\.relaxed\.(?:cta|gpu))?{SPACE}{CACHE}{VECTOR}{TYPE}", _load),
    (rf"st(?:\.volatile|\.relaxed\.(?:cta|gpu))?{SPACE}{CACHE}{VECTOR}{TYPE}", _store),
    (
        rf"(?P<name>atom|red)(?:\.relaxed)?(?:\.(?:cta|gpu|sys))?{SPACE}\.(?P<update>{'|'.join(UPDATES)}|cas){TYPE}",
        _atomic,
    ),
    (r"shfl\.sync\.(?P<mode>bfly|down|up|idx)\.b32", _shuffle),
    (r"vote\.sync\.(?P<mode>ballot)\.b32", _vote),
    (r"vote\.sync\.(?P<mode>any|all|uni)\.pred", _vote),
    (r"activemask\.b32", _active),
    (r"bar\.warp\.sync", _warp_barrier),
    (r"mov\.(?P<type>pred|[busf](?:16|32|64))", _move),
    (r"cvta(?:\.to)?\.(?:global|shared|local|const)\.(?P<type>u64)", _address),
    (r"(?:membar|fence)(?:\.\w+)+", _nothing),
)

_COMPILED = tuple((re.compile(pattern), effect) for pattern, effect in _TABLE)


def effect(instruction: Instruction) -> Callable[[Machine, Lanes], None] | None:
    """What an instruction does to a machine; None for one that is arithmetic, control flow, or unknown."""
    found = _named(instruction.opcode)
    if found is None:
        return None
    function, match = found
    return lambda machine, lanes: function(machine, instruction, match, lanes)


@cache
def _named(opcode: str) -> tuple[Effect, Match] | None:
    return next(((function, m) for pattern, function in _COMPILED if (m := pattern.fullmatch(opcode))), None)
