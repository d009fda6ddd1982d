"""Which candidate computes which part of the line: the fewest segments whose error is within the target everywhere.

Candidates come in order of cost; the first that is good at every probe point takes the whole line. Otherwise the line
is walked from left to right, each time with the candidate that stays good for longest. Where none is good, constants
and pieces of the exact function fill the gap; where they cannot (free parameters, no fit), the best candidate stays
and the gap is reported.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
from sympy import Symbol

from symgen.arithmetic import Pair
from symgen.kernel import ScalarFunction
from symgen.stabilize.form import Body, Constant, Segment
from symgen.stabilize.pieces import Fitter, Gap
from symgen.stabilize.probe import Flags, Floats, Probe, Target, error, roots

SHORTEST = 12  # points a candidate must be good for, lest a lucky stretch inside a bad one cut the line
TINY = 2.0**-30  # beside the size of a gap: a good stretch smaller than that belongs to it
WINDOW = 2  # neighbours on each side that must be good too
ROOT_MARGIN = 14  # the same around a root, where the error of a formula falls off slowly
MOST_GAPS = 10  # more gaps than that are an oscillation, and stay as they are
MARGIN = 4  # points by which a piece reaches into its neighbours


@dataclass(frozen=True)
class Problem:
    """One leaf of one output: what is computed, where it is measured, and how well it must do."""

    x: Symbol
    bound: Mapping[Symbol, Pair]
    parameters: tuple[str, ...]
    probe: Probe
    target: Target
    fitter: Fitter | None  # None where parameters are free


@dataclass(frozen=True)
class Unresolved:
    """A stretch on which the target is missed, with the worst point and the values of free arguments there."""

    lower: float
    upper: float
    at: float
    error: float
    setting: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Choice:
    segments: tuple[Segment, ...]
    unresolved: tuple[Unresolved, ...]


def evaluate(function: ScalarFunction, probe: Probe) -> Floats:
    """Results for each setting of the parameters (rows) at each point."""
    rows = []
    for row, setting in enumerate(probe.settings):
        values = [probe.x if p not in setting else np.float64(setting[p]) for p in function.parameters]
        rows.append(function.evaluate(values, probe.memory.setdefault(row, {}))[0])
    return np.stack(rows)


def all_errors(problem: Problem, candidate: Body) -> Floats:
    """The error for each setting (rows) at each point: infinite on the wrong side of zero, NaN where not known."""
    node = candidate.node(problem.x, problem.bound)
    got = evaluate(ScalarFunction("candidate", problem.parameters, (node,)), problem.probe)
    each = error(got, problem.probe, problem.target)
    side = getattr(candidate, "side", 0)
    return np.where(problem.probe.x * side < 0, np.inf, each) if side else each


def errors(problem: Problem, candidate: Body) -> Floats:
    """The worst error over the settings at each point; NaN where nothing is known."""
    return worst_of(all_errors(problem, candidate))


def worst_of(each: Floats) -> Floats:
    known = ~np.isnan(each)
    return np.where(known.any(axis=0), np.where(known, each, -1.0).max(axis=0), np.nan)


def choose(problem: Problem, candidates: Sequence[Body]) -> Choice:
    """The segments of a leaf for one target."""
    each = [all_errors(problem, c) for c in candidates]
    table = np.stack([worst_of(e) for e in each])
    failing = np.stack([(e > problem.target.bar).sum(axis=0) for e in each])
    counted = ~np.isnan(table).all(axis=0)
    if problem.target.name == "f32":
        counted &= problem.probe.single
    points, table, failing = problem.probe.x[counted], table[:, counted], failing[:, counted]
    if points.size == 0:
        return Choice((Segment(-math.inf, math.inf, candidates[0]),), ())
    walks = [
        _Walk(problem, candidates, points, table, ~(table > limit), calm(~(table > limit)), failing).run()
        for limit in problem.target.limits
    ]
    return min(walks, key=lambda choice: (len(choice.unresolved), len(choice.segments)))


def calm(good: Flags) -> Flags:
    """Good at a point and at its neighbours: the error between points is noisy, and one lucky sample proves little."""
    bad = ~good
    spread = bad.copy()
    for shift in range(1, WINDOW + 1):
        spread[:, shift:] |= bad[:, :-shift]
        spread[:, :-shift] |= bad[:, shift:]
    return np.asarray(~spread)


def reaches(good: Flags) -> npt.NDArray[np.int64]:
    """For each row and point, where the run of good points that holds at that point ends; the point itself if none."""
    n = good.shape[1]
    ends = np.where(good, n, np.arange(n))
    return np.asarray(np.minimum.accumulate(ends[:, ::-1], axis=1)[:, ::-1])


@dataclass
class _Walk:
    problem: Problem
    candidates: Sequence[Body]
    points: Floats
    table: Floats
    raw: Flags  # good at the point
    good: Flags  # and at its neighbours
    failing: npt.NDArray[np.int64]  # settings beyond the bar, at each point
    gaps: int = 0
    reach: npt.NDArray[np.int64] = field(init=False)  # where the run of good points that holds at each point ends

    def __post_init__(self) -> None:
        self.reach = reaches(self.good)

    def run(self) -> Choice:
        segments: list[Segment] = []
        missed: list[Unresolved] = []
        i, n = 0, self.points.size
        while i < n:
            best, reach = self._longest(i)
            if reach - i >= SHORTEST or reach == n:
                lower = -math.inf if not segments else self._cut(segments, best, i)
                segments.append(Segment(lower, math.inf, self.candidates[best]))
                i = reach
                continue
            end = self._end_of_gap(i)
            filled = self._fill(i, end)
            if filled is None:
                best = self._least_bad(i, end)
                report = self._report(best, i, end)
                missed += [report] if report.error > self.problem.target.bar else []
                lower = -math.inf if not segments else float(self.points[i])
                filled = [Segment(lower, math.inf, self.candidates[best])]
            segments += filled
            i = end
        return Choice(closed(self.problem, segments), tuple(missed))

    def _least_bad(self, i: int, end: int) -> int:
        """The candidate that misses for the fewest settings and points, then by the least."""
        worst = np.nan_to_num(self.table[:, i:end], nan=0.0, posinf=1e300).max(axis=1)
        return int(np.lexsort((worst, self.failing[:, i:end].sum(axis=1)))[0])

    def _longest(self, i: int) -> tuple[int, int]:
        best = int(np.argmax(self.reach[:, i]))
        return best, int(self.reach[best, i])

    def _end_of_gap(self, i: int) -> int:
        n = self.points.size
        furthest = self.reach.max(axis=0)
        starts = (
            np.flatnonzero((furthest[i + 1 :] == n) | (furthest[i + 1 :] - np.arange(i + 1, n) >= SHORTEST)) + i + 1
        )
        j = i
        for start in starts.tolist():
            if start <= j:
                continue
            if furthest[start] == n or not self._is_island(i, start, int(furthest[start])):
                return int(start)
            j = int(furthest[start])
        return n

    def _is_island(self, i: int, j: int, reach: int) -> bool:
        """Whether j .. reach-1 is a good stretch around zero, tiny beside the gap: where everything underflows."""
        left, right = self.points[j], self.points[reach - 1]
        return bool(left <= 0 <= right and max(-left, right) < TINY * min(abs(self.points[i]), 1.0))

    def _cut(self, segments: list[Segment], best: int, i: int) -> float:
        """In the middle of the stretch on which both neighbours are good."""
        start, floor = i, int(np.searchsorted(self.points, segments[-1].lower, side="right"))
        while start > floor and self.good[best, start - 1]:
            start -= 1
        if segments[-1].kind != "formula":
            return float(self.points[i]) if math.isinf(segments[-1].upper) else segments[-1].upper
        return float(self.points[(start + i + 1) // 2 if start < i else i])

    def _fill(self, i: int, end: int) -> list[Segment] | None:
        """Constants or pieces for the points i .. end-1, reaching a little into the neighbours."""
        n = self.points.size
        constant = self._end(i, end)
        if constant is not None:
            return constant
        self.gaps += 1
        if self.problem.fitter is None or self.gaps > MOST_GAPS:
            return None
        sign = np.sign(self.problem.probe.high[0][np.searchsorted(self.problem.probe.x, self.points[[i - 1, end % n]])])
        margin = ROOT_MARGIN if i > 0 and end < n and sign[0] * sign[1] < 0 else MARGIN
        low = -math.inf if i == 0 else float(self.points[max(i - margin, 0)])
        high = math.inf if end == n else float(self.points[min(end + margin, n) - 1])
        if i == 0 and self.points[0] >= 0:
            low = 0.0
        if end == n and self.points[-1] <= 0:
            high = 0.0
        inside = [r for r in roots(self.problem.probe) if low < r < high]
        return self.problem.fitter.cover(Gap(low, high, inside[0] if inside else None))

    def _end(self, i: int, end: int) -> list[Segment] | None:
        """The value at an end of the line, and up to it whatever formula is still good by itself.

        A constant is where a function ends, not a point at which it happens to be measured.
        """
        n = self.points.size
        if i > 0 and end < n:
            return None
        # seen from the end of the line inwards, so that both ends are one case
        order = np.arange(end) if i == 0 else np.arange(i, n)[::-1]
        line = np.searchsorted(self.problem.probe.x, self.points)
        truth = self.problem.probe.high[:, line[order]]
        known = truth[~np.isnan(truth)]
        if known.size == 0:
            return None
        outermost = truth[:, 0][~np.isnan(truth[:, 0])]
        constant = Constant(float(outermost[0] if outermost.size else known[0]) + 0.0)
        good = ~(errors(self.problem, constant)[line] > self.problem.target.limits[0])
        inner = np.arange(n) if i == 0 else np.arange(n)[::-1]
        reach = int(np.argmin(good[inner])) if not good.all() else n  # points from the end that the constant serves
        if reach == 0:
            return None
        if reach >= order.size:
            cut = self.points[inner[min((order.size + reach) // 2, n - 1)]] if order.size < n else None
            return [_half_line(constant, cut, i == 0)]
        for candidate, row in zip(self.candidates, self.raw, strict=True):
            if row[order[reach - 1 :]].all():
                cut = self.points[order[reach - 1]]
                edge = float(self.points[end] if i == 0 else self.points[i])
                if i == 0:
                    return [_half_line(constant, cut, True), Segment(float(cut), edge, candidate)]
                return [Segment(edge, float(cut), candidate), _half_line(constant, cut, False)]
        return None

    def _report(self, best: int, i: int, end: int) -> Unresolved:
        row = np.nan_to_num(self.table[best, i:end], nan=0.0)
        k = int(np.argmax(row))
        return Unresolved(float(self.points[i]), float(self.points[end - 1]), float(self.points[i + k]), float(row[k]))


def _half_line(constant: Constant, cut: float | None, left: bool) -> Segment:
    if cut is None:
        return Segment(-math.inf, math.inf, constant)
    return Segment(-math.inf, float(cut), constant) if left else Segment(float(cut), math.inf, constant)


def closed(problem: Problem, segments: list[Segment]) -> tuple[Segment, ...]:
    """The same segments, each ending where the next begins, and one for neighbours that are the same code."""
    total: list[Segment] = []
    for segment in segments:
        code = segment.body.node(problem.x, problem.bound)
        if total and total[-1].body.node(problem.x, problem.bound) is code:
            continue
        total.append(segment)
    uppers = [*(s.lower for s in total[1:]), math.inf]
    return tuple(
        Segment(-math.inf if k == 0 else s.lower, upper, s.body)
        for k, (s, upper) in enumerate(zip(total, uppers, strict=True))
    )
