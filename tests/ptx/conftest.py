"""Writes small kernels for the tests of the interpreter: a few instructions, with what a kernel needs around."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

import numpy as np
import pytest

from symgen.ptx import Pointer, Run, launch

KINDS = {"p": "pred", "h": "b16", "r": "b32", "f": "f32", "rd": "b64", "d": "f64"}
NAMES = {
    "float16": ("h", "b16"), "uint16": ("h", "u16"), "int16": ("h", "s16"), "float32": ("f", "f32"),
    "uint32": ("r", "u32"), "int32": ("r", "s32"), "float64": ("d", "f64"), "uint64": ("rd", "u64"),
    "int64": ("rd", "s64"),
}  # fmt: skip


def module(body: str, parameters: int = 1, declarations: str = "") -> str:
    """A module of one kernel with addresses as parameters, which its first lines put into %rd50, %rd51, ...

    In the body, lines need no semicolons; %r1 is the thread's number in its block and %rd1 the same in 64 bits. A line
    ``address %rd2 = p0 + 4 * %rd1`` stands for the instructions that compute it.
    """
    body = re.sub(r"address (\S+) = p(\d+) \+ (\d+) \* (\S+)", _address, body)
    names = ", ".join(f".param .u64 p{i}" for i in range(parameters))
    registers = "\n".join(f"\t.reg .{kind} \t%{name}<64>;" for name, kind in KINDS.items())
    begin = [f"ld.param.u64 \t%rd{50 + i}, [p{i}]" for i in range(parameters)]
    lines = [*begin, "mov.u32 %r1, %tid.x", "cvt.u64.u32 %rd1, %r1", *map(str.strip, body.strip().split("\n")), "ret"]
    code = "\n".join(line if line.endswith(":") else f"\t{line};" for line in lines if line)
    head = f".version 9.0\n.target sm_90\n.address_size 64\n{declarations}\n"
    return f"{head}.visible .entry k({names})\n{{\n{registers}\n{code}\n}}\n"


def _address(m: re.Match[str]) -> str:
    return f"mul.lo.s64 {m[1]}, {m[4]}, {m[3]}\nadd.s64 {m[1]}, {m[1]}, %rd{50 + int(m[2])}"


def _execute(
    body: str, *arrays: np.ndarray, grid: int = 1, block: int = 32, declarations: str = "", **options: int
) -> Run:
    """Run the instructions on arrays, whose addresses are the parameters."""
    text = module(body, len(arrays), declarations)
    return launch(text, grid, block, [Pointer(a) for a in arrays], **options)


def _calculate(
    instructions: str | Sequence[str], result: type, *sources: np.ndarray, error: float = 0.0, seed: int = 0
) -> np.ndarray:
    """Run instructions for each element of some arrays: in them {0} is the result and {1}, {2}, ... the sources."""
    n = max(np.size(s) for s in sources)
    out = np.zeros(n, result)
    arrays = [np.ascontiguousarray(np.broadcast_to(s, (n,))) for s in sources]
    body = ["mov.u32 %r2, %ctaid.x", "mov.u32 %r3, %ntid.x", "mad.lo.s32 %r1, %r2, %r3, %r1", "cvt.u64.u32 %rd1, %r1"]
    body += [f"setp.ge.u64 %p1, %rd1, {n}", "@%p1 bra $end"]
    names = []
    for i, a in enumerate([*arrays, out]):
        prefix, kind = NAMES[a.dtype.name]
        names.append(f"%{prefix}{10 + i}")
        body.append(f"address %rd2 = p{i} + {a.itemsize} * %rd1")
        body.append(f"ld.global.{kind} {names[i]}, [%rd2]")
    instructions = [instructions] if isinstance(instructions, str) else instructions
    body += [line.format(names[-1], *names[:-1]) for line in instructions]
    body += [f"st.global.{kind} [%rd2], {names[-1]}", "$end:"]
    text = module("\n".join(body), len(arrays) + 1)
    launch(text, -(-n // 128), 128, [Pointer(a) for a in (*arrays, out)], error=error, seed=seed)
    return out


@pytest.fixture
def execute() -> Callable[..., Run]:
    """``execute(body, *arrays, grid=1, block=32)`` runs instructions on arrays."""
    return _execute


@pytest.fixture
def calculate() -> Callable[..., np.ndarray]:
    """``calculate("add.rn.f32 {0}, {1}, {2}", np.float32, a, b)`` runs instructions for each element of arrays."""
    return _calculate


@pytest.fixture
def wide() -> Callable[[type, int, int], np.ndarray]:
    """Floats of all sizes with specials among them: ``wide(np.float32, count, seed)``."""

    def make(kind: type, count: int, seed: int) -> np.ndarray:
        random = np.random.default_rng(seed)
        bits = np.dtype(kind).itemsize * 8
        anything = random.integers(0, 2**bits, count, dtype=f"u{bits // 8}").view(kind)
        near = (random.standard_normal(count) * 2.0 ** random.integers(-4, 5, count)).astype(kind)
        values = np.where(random.random(count) < 0.5, anything, near).astype(kind)
        info = np.finfo(kind)
        special = [0.0, -0.0, 1.0, -1.0, np.inf, -np.inf, np.nan, info.max, info.tiny, info.smallest_subnormal]
        values[: len(special)] = random.permutation(np.array(special, kind))
        return values

    return make
