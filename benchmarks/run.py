"""One run: each function, mode, dtype, size and kind of output, all libraries in turns on the same arrays."""

from __future__ import annotations

import dataclasses
import os
import platform
import random
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache, partial
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import numpy as np

from benchmarks.libraries import LIBRARIES, Library, Skip, Task, results
from benchmarks.subjects import COPIES, Subject
from benchmarks.timing import Clock, Times, measure
from symgen import ulp
from symgen.runtime import get_num_threads

FORMAT = 1
PACKAGES = ("numpy", "numba", "torch", "jax", "numexpr", "ml_dtypes")


@dataclass(frozen=True)
class Plan:
    """What to measure."""

    modes: tuple[str, ...]
    dtypes: tuple[str, ...]
    sizes: tuple[int, ...]
    allocated: tuple[bool, ...]
    repeats: int
    libraries: tuple[Library, ...] = LIBRARIES


@dataclass(frozen=True)
class Row:
    """One library at one task.

    Attributes:
        function, mode, dtype, size: the task.
        allocated: whether the call makes its results, or is given arrays for them.
        library: who did it.
        times: None where it was skipped.
        skipped: why, in words.
        ulp: the largest error at the points where truth is known, in units in the last place; None if not measured.
        copies: how many copies of the operand move as many bytes as the task has to.
        row: the length of a row of the operand; 0 where elements do not depend on each other.
        kind: of the function: "elementwise", "rows" or "loss".
    """

    function: str
    mode: str
    dtype: str
    size: int
    allocated: bool
    library: str
    times: Times | None
    skipped: str | None
    ulp: float | None
    copies: float
    row: int = 0
    kind: str = "elementwise"


Piece = Callable[[], Iterable[Row]]


def run(plan: Plan, chosen: Sequence[Subject], tell: Callable[[str], None]) -> Iterator[Row]:
    """Measure everything; rows come as they are ready.

    Args:
        plan: what to measure.
        chosen: the functions.
        tell: called with a line for people now and then.
    """
    for piece in pieces(plan, chosen, tell):
        yield from piece()


def within(work: Sequence[Piece], seconds: float, tell: Callable[[str], None]) -> list[Row]:
    """The rows of as many tasks as there is time for, in their order: taken at random, so that none is preferred."""
    order = list(range(len(work)))
    random.Random(0).shuffle(order)
    end, found = time.monotonic() + seconds, {}
    for i in order:
        if time.monotonic() > end:
            tell(f"time is up: {len(work) - len(found)} of {len(work)} tasks were not measured")
            break
        found[i] = list(work[i]())
    return [row for i in sorted(found) for row in found[i]]


def pieces(plan: Plan, chosen: Sequence[Subject], tell: Callable[[str], None]) -> Iterator[Piece]:
    """What ``run`` does, a function for each task."""
    present = [library for library in plan.libraries if library.missing() is None]
    for library in plan.libraries:
        if (why := library.missing()) is not None:
            tell(f"{library.name} does not take part: {why}")
    for subject in chosen:
        for dtype in plan.dtypes:
            for mode in plan.modes:
                errors = cache(partial(_errors, present, subject, mode, dtype, tell))
                for size in plan.sizes:
                    for allocated in plan.allocated:
                        yield partial(_measured, plan, present, subject, (mode, dtype, size, allocated), errors)


def _errors(present: Sequence[Library], subject: Subject, mode: str, dtype: str, tell: Callable[[str], None]
            ) -> dict[str, float | None]:
    tell(f"{subject.name}, {mode}, {dtype}")
    return {library.name: error(library, subject, mode, dtype) for library in present}


def _measured(plan: Plan, present: Sequence[Library], subject: Subject, what: tuple[str, str, int, bool],
              errors: Callable[[], dict[str, float | None]]) -> Iterator[Row]:
    mode, dtype, size, allocated = what
    x, g = subject.inputs(ulp.format_of(dtype).dtype, size)
    outs = None if allocated else tuple(np.zeros_like(x) for _ in range(2 if mode == "value_and_grad" else 1))
    runs, skipped = {}, {}
    for library in present:
        try:
            runs[library.name] = library.prepare(Task(subject, mode, x, g, outs))
            runs[library.name]()
        except Skip as why:
            skipped[library.name] = str(why)
            runs.pop(library.name, None)
        except Exception as failure:  # a peer that breaks is told of, and the others go on
            if library.name == "symgen":
                raise
            skipped[library.name] = f"failed: {type(failure).__name__}: {str(failure).splitlines()[0][:80]}"
            runs.pop(library.name, None)
    spinning = frozenset(library.name for library in present if library.spins)
    times = measure(runs, plan.repeats, spinning)
    for library in present:
        name = library.name
        yield Row(subject.name, mode, dtype, size, allocated, name, times.get(name), skipped.get(name),
                  errors()[name], COPIES[mode])


def error(library: Library, subject: Subject, mode: str, dtype: str) -> float | None:
    """The largest error of a library in a mode, in ULP, where the truth is known; None where it does not take part."""
    if not library.measured:
        return None
    kind = ulp.format_of(dtype).dtype
    points = subject.points(dtype)
    x = points.astype(kind)
    try:
        found = results(library, Task(subject, mode, x, np.ones_like(x)))
    except Exception:  # noqa: BLE001  the row of the timing says why
        return None
    truths = subject.truth(dtype)
    wanted = {"value": truths[:1], "vjp": truths[1:], "value_and_grad": truths}[mode]
    each = [ulp.error(got, truth, dtype) for got, truth in zip(found, wanted, strict=True)]
    return float(np.nanmax(np.concatenate(each)))


def restored(records: Sequence[dict[str, Any]]) -> list[Row]:
    """The rows of a document."""
    found = []
    for record in records:
        times = None if record["times"] is None else Times(**record["times"])
        found.append(Row(**{**record, "times": times, "ulp": None if record["ulp"] is None else float(record["ulp"])}))
    return found


def document(plan: Plan, rows: Sequence[Row]) -> dict[str, Any]:
    """Everything as one JSON document: the machine, the versions, and a record for each row; infinity is a word."""
    return {
        "format": FORMAT,
        "machine": {
            "processor": _processor(), "processors": os.cpu_count(), "system": platform.platform(),
            "python": platform.python_version(), "threads": get_num_threads(), "clock": Clock.now.__name__,
            "packages": _versions(),
        },
        "repeats": plan.repeats,
        "results": [_record(row) for row in rows],
    }  # fmt: skip


def _record(row: Row) -> dict[str, Any]:
    made = dataclasses.asdict(row)
    if row.ulp is not None and not np.isfinite(row.ulp):
        made["ulp"] = "inf"
    return made


def _versions() -> dict[str, str]:
    found = {}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def _processor() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as lines:  # noqa: PTH123
            return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()
