"""Runs the code of a row function on samples by NumPy: what a kernel will compute, before any is compiled."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
from sympy import Expr, Integer

from symgen.fused import fma
from symgen.rows.indices import axis_of, base_of, is_index, places, size
from symgen.rows.schedule import LOW, Schedule, Step, parameter

Floats = npt.NDArray[np.float64]
Number = tuple[Floats, Floats]  # of each entry its float64, and what that is missing
Join = Callable[[Number, Number], Number]


def run(schedule: Schedule, arrays: Mapping[str, Any], lengths: Mapping[str, int]) -> dict[str, Floats]:
    """The results of a schedule for several samples, in float64 arithmetic; where kernels sum over rows, of each alone.

    Args:
        schedule: for float64, or for float32 results, which are not rounded.
        arrays: operands, options and the cotangent by name, the samples along the first axis; integers are positions.
        lengths: of the axes by name, those along lists of classes among them.
    """
    known = {n: (np.asarray(v, np.float64), np.zeros(np.shape(v))) for n, v in arrays.items()}
    machine = _Run(lengths, len(next(iter(arrays.values()))), known)
    with np.errstate(all="ignore"):
        for step in schedule.steps:
            machine.known[step.stage.out] = machine.result(step)
            if step.stage.entry is not None:
                machine.write(step.stage.entry, machine.known[step.stage.out])
    wanted = schedule.program.results or (schedule.steps[-1].stage.out,)
    parts = {s.stage.out for s in schedule.steps if s.stage.entry is not None}
    return {name: machine.known[name][0] for name in wanted if name not in parts}


@dataclass
class _Run:
    lengths: Mapping[str, int]
    count: int
    known: dict[str, Number]
    grid: dict[str, Any] = field(default_factory=dict)  # of the step that is run: where each index stands
    sample: Any = None  # and which sample it is

    def result(self, step: Step) -> Number:
        indices = (*step.stage.axes, *step.stage.over)
        shape = (self.count, *map(self.length, indices))
        self.sample, *along = np.ogrid[tuple(map(slice, shape))] if indices else (np.arange(self.count),)
        self.grid = dict(zip(indices, along, strict=True))
        values: list[Any] = []
        for what in step.reads:
            values += self.read(what) if parameter(what) + LOW in step.core.parameters else self.read(what)[:1]
        found = [np.broadcast_to(r, shape) for r in step.core.evaluate(values)]
        entries = found[0], found[1] if len(found) > 1 else np.zeros(shape)
        return entries if step.stage.op == "=" else self.reduced(step, entries)

    def reduced(self, step: Step, entries: Number) -> Number:
        """Entry after entry, along all indices that are reduced."""
        left = (self.count, *map(self.length, step.stage.axes))
        high, low = (np.reshape(e, (*left, -1)) for e in entries)
        start, join, settle = REDUCTIONS[step.stage.op]
        total = np.full(left, start), np.zeros(left)
        for k in range(high.shape[-1]):
            total = join(total, (high[..., k], low[..., k]))
        return settle(total) if step.pair or step.stage.op != "sum" else (total[0], np.zeros(left))

    def write(self, entry: Expr, number: Number) -> None:
        """A number over an entry of an earlier result, in the samples that have one at that place."""
        (place,), whole = places(entry), self.known[base_of(entry)]
        found = np.asarray(self.read(place)[0], np.int64)
        rows = np.flatnonzero((found >= 0) & (found < whole[0].shape[1]))
        changed = np.array(whole[0]), np.array(whole[1])
        for part, own in zip(changed, number, strict=True):
            part[rows, found[rows]] = own[rows]
        self.known[base_of(entry)] = changed

    def length(self, name: str) -> int:
        known = size(name)
        return int(known) if known.is_Integer else self.lengths[axis_of(name)]

    def read(self, e: Expr) -> list[Any]:
        """A number and what it is missing, wherever the indices stand."""
        if is_index(e):
            return [self.grid[e.name]]
        name = base_of(e)
        if name.startswith("|"):
            return [float(self.lengths[name.strip("|")])]
        at = tuple(self.place(i, n) for i, n in zip(places(e), self.known[name][0].shape[1:], strict=True))
        return [part[(self.sample, *at)] for part in self.known[name]]

    def place(self, e: Any, count: int) -> Any:
        """A position; one that is gathered is kept inside."""
        if is_index(e):
            return self.grid[e.name]
        if isinstance(e, Integer):
            return int(e)
        found = np.asarray(self.read(e)[0], np.int64)
        return np.where((found >= 0) & (found < count), found, 0)


def _sum(total: Number, entry: Number) -> Number:
    high = total[0] + entry[0]
    part = high - total[0]
    return high, total[1] + ((total[0] - (high - part)) + (entry[0] - part) + entry[1])


def _product(total: Number, entry: Number) -> Number:
    high = total[0] * entry[0]
    return high, fma(total[0], entry[0], -high) + (total[0] * entry[1] + total[1] * entry[0])


def _larger(total: Number, entry: Number) -> Number:
    more = (entry[0] > total[0]) | ((entry[0] == total[0]) & (entry[1] > total[1])) | np.isnan(entry[0])
    return np.where(more, entry[0], total[0]), np.where(more, entry[1], total[1])


def _smaller(total: Number, entry: Number) -> Number:
    less = (entry[0] < total[0]) | ((entry[0] == total[0]) & (entry[1] < total[1])) | np.isnan(entry[0])
    return np.where(less, entry[0], total[0]), np.where(less, entry[1], total[1])


def _nearer(total: Number, entry: Number) -> Number:
    return np.where(entry[0] > total[0], entry[0], total[0]), total[1]


def _wider(total: Number, entry: Number) -> Number:
    return _nearer(total, (np.abs(entry[0]), entry[1]))


def _settled(pair: Number) -> Number:
    high = pair[0] + pair[1]
    low = pair[1] - (high - pair[0])
    known = np.isfinite(low)
    return np.where(known, high, pair[0]), np.where(known, low, 0.0)


def _peak(pair: Number) -> Number:
    return np.where(np.isfinite(pair[0]), pair[0], 0.0), pair[1]


def _scale(pair: Number) -> Number:
    plain = (pair[0] == 0) | ~np.isfinite(pair[0])
    power = np.clip(-np.frexp(np.where(plain, 1.0, pair[0]))[1], -1000, 1000)
    return np.where(plain, 1.0, np.ldexp(1.0, power)), pair[1]


def _as_it_is(pair: Number) -> Number:
    return pair


# as `symgen.runtime.reductions` has them: where each begins, what takes one more entry, what ends it
REDUCTIONS: Mapping[str, tuple[float, Join, Callable[[Number], Number]]] = {
    "sum": (0.0, _sum, _settled),
    "prod": (1.0, _product, _settled),
    "max": (-np.inf, _larger, _as_it_is),
    "min": (np.inf, _smaller, _as_it_is),
    "peak": (-np.inf, _nearer, _peak),
    "scale": (-np.inf, _wider, _scale),
}


