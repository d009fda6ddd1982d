"""How long derivations take: processor seconds of each function, the catalogue on two cores, and how builds grow."""

from __future__ import annotations

import math
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from functools import cache
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from symgen.cli import SYMPY_CACHE_SIZE

BAR = 2.0  # processor seconds of one function
CORES = 2
# of synthetic specs: cheap to derive, so that what grows is what the build itself does
SHAPES = ("max(x - {k}, 0)", "x / ({k} + abs(x))", "{k} * x + min(x, {k})", "(x - {k})**2")
SPEC = '''"""One of many."""

from symgen.spec import activation


@activation()
def many_{k}(x):
    """The member of a family with the number {k}."""
    return {formula}
'''
Tell = Callable[[str], None]


@dataclass(frozen=True)
class Cost:
    """What one function costs: its variants are formulas of their own."""

    function: str
    variants: int
    seconds: float


@dataclass(frozen=True)
class Build:
    """What a build of so many synthetic specs takes, from nothing: processor time of all processes, and wall time."""

    specs: int
    seconds: float
    wall: float = 0.0


@cache
def _definitions() -> Any:
    from symgen.catalogue import folder
    from symgen.spec import load

    return load(folder())


def cost(name: str) -> Cost:
    """Derive a function of the catalogue, elementwise or of rows, with the derivation of another one before it."""
    from symgen.archetypes import archetype_of

    _warm()
    op = _definitions()[name]
    started = time.process_time()
    archetype_of(op).derive(op)
    return Cost(name, len(op.variants), time.process_time() - started)


@cache
def _warm() -> None:
    """The first derivation of a process also fits elementary functions and fills SymPy's caches."""
    from symgen.archetypes import archetype_of

    op = _definitions()["silu"]
    archetype_of(op).derive(op)


def catalogue(names: Sequence[str] = ()) -> tuple[list[Cost], float]:
    """What each function costs, in processes of their own for as many cores as a build has, and the wall time."""
    wanted = list(names) or sorted(_definitions())
    started = time.perf_counter()
    os.environ.setdefault("SYMPY_CACHE_SIZE", SYMPY_CACHE_SIZE)  # as builds have it
    with ProcessPoolExecutor(CORES, mp_context=get_context("spawn")) as pool:
        found = list(pool.map(cost, wanted))
    return found, time.perf_counter() - started


def synthetic(folder: Path, count: int) -> None:
    """Write so many specs, one to a file."""
    for k in range(1, count + 1):
        text = SPEC.format(k=k, formula=SHAPES[k % len(SHAPES)].format(k=k))
        (folder / f"many_{k}.py").write_text(text, encoding="utf-8")


def growth(most: int) -> list[Build]:
    """Builds of a quarter, half and all of so many synthetic specs."""
    found = []
    for count in sorted({max(1, most // 4), max(1, most // 2), most}):
        with TemporaryDirectory() as place:
            specs = Path(place) / "specs"
            specs.mkdir()
            synthetic(specs, count)
            command = (sys.executable, "-m", "symgen", "build", "--specs", "specs", "--out", "kernels")
            started, used = time.perf_counter(), _used_by_children()
            subprocess.run(command, cwd=place, check=True, capture_output=True, text=True)
            found.append(Build(count, _used_by_children() - used, time.perf_counter() - started))
    return found


def _used_by_children() -> float:
    """Processor seconds of processes that have ended, with theirs: what else the machine does makes none of them."""
    used = os.times()
    return used.children_user + used.children_system


def exponent(builds: Sequence[Build]) -> float:
    """The power of the number of specs with which processor time grows, between the smallest and the largest build."""
    first, last = builds[0], builds[-1]
    return math.log(last.seconds / first.seconds) / math.log(last.specs / first.specs)


def table(costs: Sequence[Cost], wall: float) -> Iterator[str]:
    """The dearest first, and the catalogue as a whole."""
    yield f"{'function':32}{'variants':>9}{'seconds':>9}"
    for each in sorted(costs, key=lambda c: -c.seconds):
        yield f"{each.function:32}{each.variants:9}{each.seconds:9.2f}"
    beyond = sum(c.seconds > BAR for c in costs)
    total = sum(c.seconds for c in costs)
    yield f"{len(costs)} functions: {total:.1f} s of processor time, {wall:.1f} s on {CORES} cores"
    yield f"beyond {BAR:g} s: {beyond}"


def report(names: Sequence[str], most: int) -> tuple[list[str], dict[str, Any]]:
    """Everything, as lines for people and as data."""
    costs, wall = catalogue(names)
    lines, data = list(table(costs, wall)), {"functions": [asdict(c) for c in costs], "wall": wall}
    if most:
        builds = growth(most)
        told = "build of {} synthetic specs: {:.1f} s of processor time, {:.1f} s"
        lines += [told.format(b.specs, b.seconds, b.wall) for b in builds]
        data["synthetic"] = [asdict(b) for b in builds]
        if len(builds) > 1:
            lines.append(f"processor time grows with the power {exponent(builds):.2f} of their number")
    return lines, data
