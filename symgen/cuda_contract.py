"""The static contract of CUDA kernels: what their text promises on every architecture, and what of it is broken.

A kernel computes in its own precision, without local memory; one that vectors suit moves 16 bytes at once; and the work
of an element stays within a budget. Sine, cosine and tangent are excused from the first and the last: libdevice reduces
large arguments of these in a slow path with local memory, whose last step is in float64.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from symgen.cuda_code import CAPABILITIES, Figures, Listing, Simulator, intermediate
from symgen.runtime.cuda_arrays import View
from symgen.runtime.cuda_launch import argument_type
from symgen.runtime.cuda_rows import FORMATS_OF_ROWS
from symgen.runtime.manifest import Function

DEFINITION = r"@{}\n(?:@of_warps\n)?def (\w+)\((.*?)\):\n(.*?)(?=\n\n\n|\Z)"
KERNEL, CORE = (re.compile(DEFINITION.format(kind), re.DOTALL) for kind in ("kernel", "core"))
CALL = re.compile(r"\b(\w+_(?:core|device)\w*)\(")
POWERS = re.compile(r"\b(?:powf?|near_powf|powf_sum)\(")
SLOW_PATHS = re.compile(r"\b(?:sinf?|cosf?|tanf?|sin_sum|cos_sum|sin_product|cos_product)\(")
# NVVM has two code generators, one from sm_100 on: what stands for an architecture whose text is that of an older one
GENERATION = {(9, 0): (8, 0)}
LANES = {"f32": 4, "f64": 2}
VECTOR = 128  # bits
STORED = {"f32": "<f4", "f64": "<f8"}
COUNTS = frozenset({"n", "rows", "inner", "phase"})
ROLES = {"index": "<i8", "labels": "<i8", "mask": "|b1"}  # of operands that are no numbers
# instructions of PTX for an element, in the costliest kernel of the catalogue: what keeps a change from making it worse
# unnoticed. A kernel that is to run at the speed of memory has about 80; see docs/adr/0021-float32-on-gpus.md.
ELEMENT = {"f32": 730, "f64": 1150}
# of all the loops of a row, for one entry in each
ROW = {"f32": 2100, "f64": 3600}
# what a power that has to be computed, and the logarithm that its derivatives want, add to that; derivatives have one
# term more for each factor beside it, each of which rows compute in a loop of its own
POWER = {"elementwise": {"f32": 460, "f64": 700}, "rows": {"f32": 280, "f64": 0}}
REGISTERS = {"elementwise": 64, "rows": 128}  # of a thread that has four elements at work, in rows pairs of each
OF_POWER = 16  # registers more where powers are computed: two pairs for each of the four


@dataclass(frozen=True)
class Generated:
    """A generated kernel, read in its module's text.

    Attributes:
        module: as it is imported.
        name: of the kernel.
        parameters: their names.
        body: its statements.
        slow: whether its module calls something that has a slow path.
        powers: how many its text computes, in rows in one turn of all its loops.
    """

    module: str
    name: str
    parameters: tuple[str, ...]
    body: str
    slow: bool
    powers: int = 0

    @property
    def arithmetic(self) -> str:
        return "f64" if re.search(r"_f64(?:_|$)", self.name) else "f32"

    @property
    def kernel(self) -> Any:
        """What `numba.cuda.jit` made of it."""
        return getattr(importlib.import_module(self.module), self.name)

    @property
    def has_vectors(self) -> bool:
        return bool(self.vectors("load") or self.vectors("store"))

    @property
    def launches(self) -> int:
        """How often it runs for a call, each time at some of its stages."""
        return max(len(re.findall(r"if phase == ", self.body)), 1)

    def vectors(self, verb: str) -> list[str]:
        """The arrays that each access of its text loads or stores as a vector."""
        return re.findall(rf"\b{verb}{LANES[self.arithmetic]}\((\w+)", self.body)

    @property
    def archetype(self) -> str:
        return "rows" if "inner" in self.parameters else "elementwise"

    @property
    def registers(self) -> int:
        """How many a thread may have."""
        return REGISTERS[self.archetype] + (OF_POWER if self.powers else 0)

    def signature(self, function: Function) -> tuple[Any, ...]:
        """Numba types of its parameters, arrays contiguous."""
        return tuple(self._type(function, p.rstrip("_")) for p in self.parameters)

    def _type(self, function: Function, name: str) -> Any:
        from numba import types

        if name in COUNTS or name in {f"n_{a.name}" for o in function.operands for a in o.axes}:
            return types.uint32
        if any(name in (a.name, f"{a.name}_low", f"{a.name}_l") for a in function.numeric_options):
            return {"f32": types.float32, "f64": types.float64}[self.arithmetic]
        role = next((a.role for a in function.operands if a.name == name), "")
        if role == "either":
            ends = {v.suffix: v.settings for v in function.variants if f"_{v.suffix}_" in f"{self.name}_"}
            role = str(ends[max(ends, key=len)][name])
        stored = FORMATS_OF_ROWS[ROLES.get(role, STORED[self.arithmetic])]
        return argument_type(View(None, 0, 4, int(stored.typestr[-1]), stored, readonly=False))

    def broken(self, found: Figures, signature: tuple[Any, ...]) -> list[str]:
        """What of its contract some text breaks, in words.

        Args:
            found: the figures of the text.
            signature: Numba types of its parameters. Vectors of float16 have 8 bytes, of booleans 4, and of an array
                without axes the one number is read.
        """
        lanes, given = LANES[self.arithmetic], dict(zip(self.parameters, signature, strict=True))
        wide = {p for p, t in given.items() if getattr(t, "ndim", 0) and t.dtype.bitwidth * lanes >= VECTOR}
        written = [a for a in self.vectors("store") if a in wide]
        # what is left over is read one by one, of each array that is read as vectors; of rows nothing is left over
        plain = self.archetype == "rows" or wide == {p for p, t in given.items() if hasattr(t, "ndim")}
        read = found.single if self.archetype == "elementwise" and not self.slow else 1
        read = read if plain and wide & {*self.vectors("load")} else 0
        complaints = {
            f"{found.local} accesses to local memory": found.local and not self.slow,
            f"{found.double} instructions on float64": self.arithmetic == "f32" and found.double and not self.slow,
            f"{found.loads} loads of 16 bytes for {read} arrays": found.loads < read,
            f"{found.stores} stores of 16 bytes for {len(written)} results": found.stores < len(written),
            f"{found.instructions} instructions of {self.budget}":
                found.instructions > self.budget and not self.slow,
        }  # fmt: skip
        return [f"{self.module}.{self.name}: {text}" for text, bad in complaints.items() if bad]

    @property
    def budget(self) -> int:
        """Instructions that it may have: vectors come with a loop for what is left over, in rows they do not."""
        powers = POWER[self.archetype][self.arithmetic] * self.powers
        lanes = LANES[self.arithmetic] if self.has_vectors else 0
        if self.archetype == "rows":
            return (ROW[self.arithmetic] * self.launches + powers) * max(lanes, 1)
        return ELEMENT[self.arithmetic] * (lanes + 1) + powers


@lru_cache(maxsize=256)
def generated(module: str) -> Mapping[str, Generated]:
    """The kernels of a generated module, by name."""
    text = Path(str(importlib.import_module(module).__file__)).read_text(encoding="utf-8")
    slow = bool(SLOW_PATHS.search(text))
    powers = {name: len(POWERS.findall(body)) for name, _, body in CORE.findall(text)}
    return {name: Generated(module, name, tuple(filter(None, re.split(r"[,\s]+", given))), body, slow,
                            sum(powers.get(core, 0) for core in CALL.findall(body)))
            for name, given, body in KERNEL.findall(text)}  # fmt: skip


def texts(kernel: Any, signature: tuple[Any, ...]) -> dict[tuple[int, int], Listing]:
    """The PTX of a kernel for every architecture."""
    made = intermediate(kernel, signature)
    return {c: Listing(retargeted(made.ptx(GENERATION.get(c, c)), c)) for c in CAPABILITIES}


def retargeted(text: str, capability: tuple[int, int]) -> str:
    """PTX for another architecture of the same generation: its head names it, and nothing else differs."""
    return re.sub(r"^\.target sm_\d+", ".target sm_{}{}".format(*capability), text, count=1, flags=re.MULTILINE)


class BrokenContractError(AssertionError):
    """A kernel's text breaks the contract; the message says where and what."""


@dataclass
class Inspector(Simulator):
    """A simulator that holds each generated kernel to its contract, for every architecture, before it first runs."""

    def compiled(self, kernel: Any, signature: tuple[Any, ...]) -> Listing:
        """The kernel for this simulator's architecture.

        Raises:
            BrokenContractError: on one of them the text breaks the contract.
        """
        return self.inspected(kernel, signature)[self.capability]

    def inspected(self, kernel: Any, signature: tuple[Any, ...]) -> Mapping[tuple[int, int], Listing]:
        """The kernel for every architecture."""
        module, name = kernel.py_func.__module__, kernel.py_func.__name__
        keys = {capability: (module, name, signature, capability) for capability in CAPABILITIES}
        if keys[CAPABILITIES[0]] not in self.kernels:
            made = texts(kernel, signature)
            self.kernels |= {key: made[capability] for capability, key in keys.items()}
            known = generated(module).get(name)
            found = list(complaints(known, signature, made)) if known else []
            if found:
                raise BrokenContractError("; ".join(found))
        return {capability: self.kernels[key] for capability, key in keys.items()}


def complaints(
    kernel: Generated, signature: tuple[Any, ...], of: Mapping[tuple[int, int], Listing]
) -> Iterator[str]:
    """What of the contract is broken on some architecture."""
    for (major, minor), text in of.items():
        yield from (f"sm_{major}{minor}: {c}" for c in kernel.broken(text.figures, signature))
