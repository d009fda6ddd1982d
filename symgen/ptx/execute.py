"""Runs a kernel: all threads in lock-step, those that stand earliest in the code first.

Threads that a branch has parted meet again where the later ones wait for the earlier: NVVM prints blocks so that this
is mostly the point where the branches join. Where it is not, a shuffle waits for the threads of its warp, as it does on
a GPU. A barrier holds its threads until all of their block are there.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from weakref import WeakKeyDictionary

import numpy as np

from symgen.ptx.errors import Divergence, PtxError, UnknownPtx
from symgen.ptx.machine import Machine, effect
from symgen.ptx.operations import Pure, decode
from symgen.ptx.parse import Instruction, Kernel, Operand, Register, Symbol, Vector
from symgen.ptx.registers import CARRY, Lanes
from symgen.ptx.types import TYPES, Array

RUNNING, WAITING, DONE, MEETING = range(4)
BRANCH = re.compile(r"bra(?:\.uni)?")
END = re.compile(r"ret|exit")
MEETS = re.compile(r"(?:shfl|vote)\.sync\..*|bar\.warp\.sync")
BARRIER = re.compile(r"(?:bar|barrier)(?:\.cta)?\.sync(?:\.aligned)?")

Step = Callable[[Machine, Lanes], None]
EVERYBODY, PREDICATE = slice(None), TYPES["pred"]


@cache
def _moves(opcode: str) -> bool:
    """Whether it is a branch or an end."""
    return BRANCH.fullmatch(opcode) is not None or END.fullmatch(opcode) is not None


@cache
def _meets(opcode: str) -> bool:
    return MEETS.fullmatch(opcode) is not None


@cache
def _is_barrier(opcode: str) -> bool:
    return BARRIER.fullmatch(opcode) is not None


@dataclass(frozen=True)
class Decoded:
    """One instruction.

    Attributes:
        instruction: as it was read.
        step: what it does; None for control flow.
        last: whether other threads may join behind it.
        meets: whether it waits for a warp.
    """

    instruction: Instruction
    step: Step | None
    last: bool
    meets: bool


@dataclass
class Execution:
    """A run under way.

    Attributes:
        kernel: what runs.
        machine: registers and memory.
        limit: stretches of straight code after which a kernel that still runs is taken to hang.
    """

    kernel: Kernel
    machine: Machine
    limit: int
    place: Array = field(init=False)
    state: Array = field(init=False)
    decoded: tuple[Decoded, ...] = field(init=False)
    here: Instruction | None = None
    alone: bool = False

    def __post_init__(self) -> None:
        threads = self.machine.grid.threads
        self.place, self.state = np.zeros(threads, np.int64), np.full(threads, RUNNING, np.int8)
        self.decoded = _decoded(self.kernel)

    def run(self) -> None:
        """Run to the end.

        Raises:
            PtxError: whatever is wrong with the kernel, with the line.
        """
        with np.errstate(all="ignore"):
            for _ in range(self.limit):
                running = np.flatnonzero(self.state == RUNNING)
                if not running.size and not (self.state == MEETING).any():
                    self._all_done()
                    return
                if not running.size:  # nobody else will come: the instruction itself says who is missing
                    running = np.flatnonzero(self.state == MEETING)
                    self.state[running], self.alone = RUNNING, True
                at = int(self.place[running].min())
                self._stretch(at, running[self.place[running] == at])
                self.alone = False
        raise PtxError(f"{self.kernel.name} does not end")

    def _all_done(self) -> None:
        """Nobody runs: then nobody may be waiting either."""
        waiting = np.flatnonzero(self.state == WAITING)
        if not waiting.size:
            return
        grid = self.machine.grid
        mine = grid.block == grid.block[waiting[0]]
        at = self.kernel.code[int(self.place[waiting[0]]) - 1]
        here = np.count_nonzero((self.state == WAITING) & mine & (self.place == self.place[waiting[0]]))
        raise Divergence(f"{here} of {grid.size} threads of a block reach this barrier", at.line, at.text)

    def _stretch(self, at: int, lanes: Array) -> None:
        """Run some threads until a branch, a barrier, an end, or a place where others may join them."""
        try:
            self._steps(at, lanes)
        except PtxError as error:
            if error.line or self.here is None:
                raise
            raise type(error)(error.reason, self.here.line, self.here.text) from None

    def _steps(self, at: int, lanes: Array) -> None:
        issued, warps = self.machine.memory.counts.instructions, self._warps(lanes)
        machine, code, everybody = self.machine, self.decoded, lanes.size == self.machine.grid.threads
        while at < len(code):
            decoded = code[at]
            if decoded.meets and not self.alone:
                lanes = self._met(at, lanes)
                if not lanes.size:
                    return
                warps, everybody = self._warps(lanes), lanes.size == machine.grid.threads
            self.here = here = decoded.instruction
            issued[here.opcode] += warps
            held = None if here.guard is None else machine.registers.read(here.guard, PREDICATE, lanes)
            at += 1
            if decoded.step is None:
                self._control(here, at, lanes, held)
                return
            if held is not None:
                if held.any():
                    decoded.step(machine, lanes[held])
            else:
                decoded.step(machine, EVERYBODY if everybody else lanes)
            if decoded.last:
                self.place[lanes] = at
                return
        self.state[lanes] = DONE

    def _warps(self, lanes: Array) -> int:
        """How many warps some threads are of."""
        return int(np.count_nonzero(np.bincount(self.machine.grid.warp[lanes])))

    def _met(self, at: int, lanes: Array) -> Array:
        """Those threads at an instruction for a warp whose warp is there; the others wait for it."""
        if lanes.size == self.state.size:
            return lanes
        warp = self.machine.grid.warp
        here = np.zeros(self.state.size, np.bool_)
        here[lanes] = True
        coming = np.zeros(int(warp[-1]) + 1, np.bool_)  # by warp
        coming[warp[lanes]] = True
        here |= (self.state == MEETING) & (self.place == at) & coming[warp]
        elsewhere = np.zeros_like(coming)
        elsewhere[warp[(self.state == RUNNING) & ~here]] = True
        parted = here & elsewhere[warp]
        together = here & ~parted
        self.state[parted], self.place[parted] = MEETING, at
        self.state[together] = RUNNING
        return np.flatnonzero(together)

    def _control(self, instruction: Instruction, after: int, lanes: Array, held: Array | None) -> None:
        """Branches, ends and barriers: where the threads go next, or that they go nowhere."""
        self.place[lanes] = after
        chosen = lanes if held is None else lanes[held]
        if BRANCH.fullmatch(instruction.opcode):
            (target,) = instruction.operands
            if not isinstance(target, Symbol) or target.name not in self.kernel.labels:
                raise UnknownPtx("a branch to an unknown place", instruction.line, instruction.text)
            self.place[chosen] = self.kernel.labels[target.name]
        elif END.fullmatch(instruction.opcode):
            self.state[chosen] = DONE
        else:
            self.state[chosen] = WAITING
            self._release()

    def _release(self) -> None:
        """Let the blocks go on whose threads all wait at one barrier."""
        grid = self.machine.grid
        waiting = (self.state == WAITING).reshape(grid.blocks, grid.size)
        place = self.place.reshape(grid.blocks, grid.size)
        free = np.repeat(waiting.all(axis=1) & (place == place[:, :1]).all(axis=1), grid.size)
        self.state[free] = RUNNING
        self.machine.memory.clock.barriers[free] += 1


# -- decoding


_KNOWN: WeakKeyDictionary[Kernel, tuple[Decoded, ...]] = WeakKeyDictionary()


def _decoded(kernel: Kernel) -> tuple[Decoded, ...]:
    """The same at every launch of a kernel, most of which execute few of its instructions."""
    found = _KNOWN.get(kernel)
    if found is None:
        leaders = frozenset(kernel.labels.values())
        made = (Decoded(i, _step(i), k in leaders, _meets(i.opcode)) for k, i in enumerate(kernel.code, 1))
        found = _KNOWN[kernel] = tuple(made)
    return found


def _step(instruction: Instruction) -> Step | None:
    """What an instruction does; None for control flow, which `_control` does."""
    if _moves(instruction.opcode):
        return None
    if _is_barrier(instruction.opcode):
        if [str(getattr(o, "text", "")) for o in instruction.operands] != ["0"]:
            raise UnknownPtx("a barrier for a part of the block", instruction.line, instruction.text)
        return None
    return effect(instruction) or _pure(instruction, decode(instruction))


def _pure(instruction: Instruction, pure: Pure) -> Step:
    first, *rest = instruction.operands
    targets = list(first.parts if isinstance(first, Vector) else (first,))
    sources: list[Operand] = [*rest, *([Register(CARRY)] if pure.reads_carry else [])]
    targets += [Register(CARRY)] if pure.writes_carry else []
    if len(sources) != len(pure.sources) or len(targets) > len(pure.results):
        wrong = f"{instruction.opcode} takes {len(pure.sources)} operands here, not {len(sources)}"
        raise UnknownPtx(wrong, instruction.line, instruction.text)
    taken, given = tuple(zip(sources, pure.sources, strict=True)), tuple(zip(targets, pure.results, strict=False))
    only = given[0]

    def step(machine: Machine, lanes: Lanes) -> None:
        read, write = machine.registers.read, machine.registers.write
        values = [read(s, kind, lanes) for s, kind in taken]
        noise = (machine.noise(values[0].size),) if pure.noisy else ()
        result = pure.compute(*noise, *values)
        if not isinstance(result, tuple):
            write(*only, result, lanes)
            return
        for (target, kind), value in zip(given, result, strict=False):
            write(target, kind, value, lanes)

    return step
