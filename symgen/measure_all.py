"""Certifying whole projects: samples and exhaustive sweeps of many functions, as small tasks on all processors."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from symgen import build_pool, measure
from symgen.build_keys import Target
from symgen.certificate import Certificate
from symgen.certify import Effort
from symgen.certify_cases import Case
from symgen.config import Config
from symgen.exhaustive import STRIDE, Found, Part, State, exhaust, parts, run

LIGHT = Effort(points32=100_000)
"""Samples beside a sweep: float32 points are needed for roots, other settings and gradients in parameters only."""

Report = Callable[[str, float], None]
Settings = tuple[tuple[str, Any], ...]


@dataclass(frozen=True)
class Task:
    """One part of a sweep, or, without a part, the samples of a function."""

    config: Config
    target: Target
    part: Part | None = None
    effort: Effort = LIGHT

    @property
    def weight(self) -> float:
        """What it costs, roughly, as a fraction of a whole part."""
        return 3.0 if self.part is None else max(self.part.inputs / STRIDE, 0.05)

    def __call__(self) -> Certificate | Found:
        if self.part is None:
            return measure.survey(self.config, self.target, self.effort)
        return run(measure.subject(self.config, self.target), self.part)


@dataclass
class Progress:
    """One function on its way: what is there already, and what is still to be done."""

    target: Target
    cases: tuple[Case, ...]
    state: State
    sampled: Certificate | None
    waiting: set[str] = field(default_factory=set)

    @property
    def certificate(self) -> Certificate:
        assert self.sampled is not None
        return exhaust(self.sampled, self.cases, self.state.done)


def certify_all(config: Config, targets: Mapping[str, Target], report: Report) -> Iterator[Certificate]:
    """Sample and sweep every function whose certificate is not complete, as each is finished.

    What is done is kept as it is done: certificates beside the kernels, parts of sweeps in the user's cache.

    Args:
        config: The project, whose kernels are up to date.
        targets: The functions.
        report: Called with what was done last and the fraction of all work that is done.

    Yields:
        The complete certificate of each function, those that were complete before first.
    """
    running: dict[str, Progress] = {}
    for name, target in targets.items():
        one = _begin(config, target)
        if one.waiting:
            running[name] = one
        else:
            yield one.certificate
    tasks = [task for one in running.values() for task in _tasks(config, one)]
    total, done, started = sum(t.weight for t in tasks), 0.0, time.monotonic()
    for task, found in build_pool.run(_work, tasks, build_pool.cores()):
        done += task.weight
        one = running[task.target.name]
        _take(config, one, task, found)
        left = (time.monotonic() - started) * (total - done) / done
        what = "samples" if task.part is None else f"{task.part.output} {task.part.first:#x} to {task.part.last:#x}"
        report(f"{task.target.name}: {what}, {left / 60:.0f} minutes left,", done / total)
        if not one.waiting:
            yield _finish(config, one)


def _work(task: Task) -> tuple[Task, Certificate | Found]:
    return task, task()


def _begin(config: Config, target: Target) -> Progress:
    chosen = measure.swept_cases(measure.specification(config, target))
    kernel = measure.kernel_of(config, target.name)
    one = Progress(target, chosen, State.load(target.name, kernel, chosen), measure.saved(config, target.name))
    settled = _settled(one.sampled) if one.sampled else set()
    for part in parts(chosen):
        if part.key not in one.state.done and (part.output, chosen[part.case].settings) not in settled:
            one.waiting.add(part.key)
    if one.sampled is None:
        one.waiting.add("")
    return one


def _settled(certificate: Certificate) -> set[tuple[str, Settings]]:
    """Outputs that need no sweep: it has been done, or it is noted why it cannot be."""
    rows = [row for row in certificate.rows if row.dtype == "float32"]
    return {
        (row.output, row.settings)
        for row in rows
        if row.exhaustive or any(note.startswith(f"{row.title} is ") for note in certificate.notes)
    }


def _tasks(config: Config, one: Progress) -> list[Task]:
    sweeps = [Task(config, one.target, part) for part in parts(one.cases) if part.key in one.waiting]
    return [Task(config, one.target), *sweeps] if "" in one.waiting else sweeps


def _take(config: Config, one: Progress, task: Task, found: Certificate | Found) -> None:
    if task.part is not None and isinstance(found, Found):
        one.state.put(task.part, found)
        one.waiting.discard(task.part.key)
    elif isinstance(found, Certificate):
        one.sampled = found
        measure.save(config, found)
        one.waiting.discard("")


def _finish(config: Config, one: Progress) -> Certificate:
    """Rows that no sweep replaces deserve the full sample."""
    if one.sampled is None or any(found.reason for found in one.state.done.values()) or not one.cases:
        one.sampled = measure.survey(config, one.target, processes=build_pool.cores())
    certificate = one.certificate
    measure.save(config, certificate)
    return certificate
