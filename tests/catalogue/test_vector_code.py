"""Every elementwise loop is vector code: the assembly of its inner loops, on the processor that runs the tests.

A helper that LLVM declines to inline, a call of the C library or a branch that cannot become a selection makes a loop
several times slower, and nothing else notices.
"""

from __future__ import annotations

import platform
import re
from typing import Any

import numpy as np
import pytest
from llvmlite import binding
from numba import njit, types

TABLE = np.arange(64.0)
SCALARS = {"f32": types.float32, "f64": types.float64}
OPTIONS = ("nogil", "error_model", "fastmath")
LOOP = re.compile(r"(?!_)(?P<output>\w+?)_(?P<tag>f32|f64)(_\w+)?")

# Functions whose loops call something: what for. They are vector code all the same, in blocks that do not need it.
CALLING = {"sine": "a block with an argument beyond 2^30 is reduced exactly, one element after the other"}

pytestmark = pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="reads x86 assembly")


def widest() -> str:
    """The first letter of the widest vector registers of this processor."""
    features = binding.get_host_cpu_features()
    return "z" if features.get("avx512f") else "y" if features.get("avx") else "x"


def assembly(loop: Any, tag: str, arrays: int, numbers: int, outputs: int) -> str:
    """What a loop compiles to; Numba keeps no assembly of code that it takes from its cache."""
    options = {k: v for k, v in loop.targetoptions.items() if k in OPTIONS}
    array, out = (types.Array(SCALARS[tag], 1, "C", readonly=fixed) for fixed in (True, False))
    signature = (*[array] * arrays, *[types.float64] * numbers, *[out] * outputs)
    fresh = njit(**options)(loop.py_func)
    fresh.compile(signature)
    found: str = fresh.inspect_asm(signature)
    return found.split("\n\t.size\t", maxsplit=1)[0]  # behind it come the wrappers for Python


def inner_loops(text: str) -> list[list[str]]:
    """The instructions of each loop that has no other inside, calls with the name of what is called."""
    lines: list[str] = []
    held: dict[str, str] = {}  # addresses of functions, by register
    labels: dict[str, int] = {}
    ends: list[tuple[int, int]] = []
    for line in text.splitlines():
        if label := re.match(r"(\.L\w+):", line):
            labels[label[1]] = len(lines)
        elif line.startswith("\t") and not line.startswith("\t."):
            lines.append(line.strip())
            if address := re.match(r"movabsq\s+\$(\w+), (%\w+)", lines[-1]):
                held[address[2]] = address[1]
            if copied := re.match(r"movq\s+(%\w+), (%\w+)$", lines[-1]):
                held[copied[2]] = held.get(copied[1], "")
            if called := re.match(r"callq\s+\*(%\w+)", lines[-1]):
                lines[-1] += f" {held.get(called[1], '')}"
            back = re.match(r"j\w+\s+(\.L\w+)", lines[-1])
            if back and back[1] in labels:
                ends.append((labels[back[1]], len(lines)))
    inner = [(a, b) for a, b in ends if not any(a <= c and d <= b and (a, b) != (c, d) for c, d in ends)]
    return [lines[a:b] for a, b in inner]


def of_tiles(instructions: list[str]) -> bool:
    """Whether a turn of a loop takes a tile: views of arrays are counted, elements are not."""
    return any(re.match(r"call.* NRT_(incref|decref)$", line) for line in instructions)


def registers(instructions: list[str]) -> set[str]:
    """Which kinds of vector registers some instructions name."""
    return {kind for line in instructions for kind in re.findall(r"%([xyz])mm", line)}


def loops_of(catalogue: Any, name: str) -> dict[str, tuple[Any, str, int, int, int]]:
    """Every loop over elements of a function's module, with what `assembly` takes."""
    function = catalogue.kernel(name)._caller.loops.function
    numbers = len(function.numeric_options)
    found = {}
    for key, loop in vars(catalogue.module(name)).items():
        match = LOOP.fullmatch(key)
        if match is None or not hasattr(loop, "py_func") or match["output"].startswith(("vjp_", "total")):
            continue  # sums, which have accumulators of their own
        cotangent = match["output"] == "vjp"
        arrays = len(function.operands) + cotangent
        found[key] = loop, match["tag"], arrays, numbers, loop.py_func.__code__.co_argcount - arrays - numbers
    return found


def test_inner_loops_are_vector_code(catalogue: Any, name: str) -> None:
    """On the widest registers there are, without a call, and without a gather where arrays are contiguous."""
    calling = set()
    for key, parts in loops_of(catalogue, name).items():
        loops = [lines for lines in inner_loops(assembly(*parts)) if not of_tiles(lines)]
        plain = [lines for lines in loops if not any(line.startswith("call") for line in lines)]
        assert any(widest() in registers(lines) for lines in plain), f"{name}.{key} is not vector code"
        assert not any("gather" in line for lines in loops for line in lines), f"{name}.{key} gathers"
        calling |= {key} if plain != loops else set()
    assert bool(calling) == (name in CALLING), sorted(calling)


@njit(nogil=True, error_model="numpy")
def cubes_of_sines(x, out):  # type: ignore[no-untyped-def]
    for i in range(out.size):
        out[i] = np.sin(x[i]) ** 3


@njit(nogil=True, error_model="numpy")
def picked(x, out):  # type: ignore[no-untyped-def]
    for i in range(out.size):
        out[i] = TABLE[np.float64(x[i]).view(np.int64) & 63]


def test_calls_and_gathers_are_found() -> None:
    """The checks can fail: of a loop around the C library's sine, and of one that takes elements from anywhere."""
    loops = inner_loops(assembly(cubes_of_sines, "f64", 1, 0, 1))
    assert any(line.startswith("call") for lines in loops for line in lines)
    assert not any(widest() in registers(lines) and not any("call" in line for line in lines) for lines in loops)
    loops = inner_loops(assembly(picked, "f64", 1, 0, 1))
    assert widest() != "z" or any("gather" in line for lines in loops for line in lines)
