"""Which candidate computes which part of the line: the cheapest set whose error is within the target everywhere.

Candidates that serve the same stretch are weighed by the operations of their code (see `plan`). The line is walked from
left to right, each time with the one of the chosen set that stays good for longest. Where none is good, constants
and pieces of the exact function fill the gap; where they cannot (free parameters, no fit), the best candidate stays
and the gap is reported.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
from sympy import Symbol

from symgen.arithmetic import Pair
from symgen.cost import cost, weights
from symgen.kernel import Node, ScalarFunction
from symgen.lowering import LoweringError
from symgen.stabilize.form import Body, Constant, Form, Segment
from symgen.stabilize.pieces import Fitter, Gap, Hole
from symgen.stabilize.plan import CUT, SHORTEST, Plan, reaches
from symgen.stabilize.probe import Flags, Floats, Probe, Target, cells, error, merged, roots

TINY = 2.0**-30  # beside the size of a gap: a good stretch smaller than that belongs to it
LOOSER = 2.0  # a wider limit must make code that many times cheaper, or serve where the narrower one does not
MANY = 3  # pieces beyond which dearer gaps and the wider limit are tried
GAPS = (1.0, 8.0, math.inf)
PIECE = 20.0  # operations that a piece counts for beside its own: algebra explains itself
ACCURACY = 8.0  # operations that an error as large as the limit counts for
ROOT_MARGIN = 14  # the same around a root, where the error of a formula falls off slowly
MOST_GAPS = 10  # more gaps than that are an oscillation, and stay as they are
MOST_SEGMENTS = 24  # more of them are no explanation, and no faster than what they are made of
BESIDE = 40  # points between two stretches that are told as one
MOST_STRETCHES = 6  # more than that are told as one
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
    ends: bool = False  # whether constants at the infinities are cheaper than any code that needs none


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


def evaluate(function: ScalarFunction, probe: Probe, dtype: type = np.float64) -> Floats:
    """Results for each setting of the parameters (rows) at each point, computed in a dtype."""
    fixed = probe.settings[0]
    columns = {p: np.array([[s[p]] for s in probe.settings]) for p in function.parameters if p in fixed}
    values = [columns[p] if p in fixed else probe.x[None] for p in function.parameters]
    (got,) = function.evaluate(values, probe.memory.setdefault(dtype, {}), dtype)
    return np.broadcast_to(got, (len(probe.settings), probe.x.size))


def all_errors(problem: Problem, candidate: Body | Form) -> Floats:
    """The error for each setting (rows) at each point: infinite on the wrong side of zero, NaN where not known."""
    return _measured(problem, candidate.node(problem.x, problem.bound), getattr(candidate, "side", 0))


def _measured(problem: Problem, node: Node, side: int) -> Floats:
    got = evaluate(ScalarFunction("candidate", problem.parameters, (node,)), problem.probe, problem.target.computes)
    each = error(got, problem.probe, problem.target)
    return np.where(problem.probe.x * side < 0, np.inf, each) if side else each


def errors(problem: Problem, candidate: Body | Form) -> Floats:
    """The worst error over the settings at each point; NaN where nothing is known."""
    return worst_of(all_errors(problem, candidate))


def worst_of(each: Floats) -> Floats:
    known = ~np.isnan(each)
    return np.where(known.any(axis=0), np.where(known, each, -1.0).max(axis=0), np.nan)


@dataclass(frozen=True)
class Table:
    """What each candidate makes of each point: bodies with different code, and their errors.

    Attributes:
        bodies: in order of preference, without those that no backend has code for.
        codes: the graph of each.
        weights: the nodes of each and what they cost.
        probe: the points.
        worst: (bodies, points), the error at the worst setting.
        failing: (bodies, points), the number of settings beyond the bar.
    """

    bodies: tuple[Body, ...]
    codes: tuple[Node, ...]
    weights: tuple[Mapping[Any, float], ...]
    probe: Probe
    worst: Floats
    failing: npt.NDArray[np.int64]

    @staticmethod
    def of(problem: Problem, candidates: Sequence[Body]) -> Table:
        """Measure the candidates.

        Raises:
            LoweringError: there is code for none of them.
        """
        codes = codes_of(problem, candidates)
        bodies, nodes = tuple(codes.values()), tuple(n for n, _ in codes)
        measured = _errors_of(problem, bodies, nodes)
        return Table(bodies, nodes, tuple(map(weights, ([n] for n in nodes))), problem.probe, *measured)

    def extended(self, problem: Problem) -> Table:
        """The same bodies at the further points of the problem."""
        worst, failing = _errors_of(problem, self.bodies, self.codes)
        _, index = np.unique(np.concatenate([self.probe.x, problem.probe.x]), return_index=True)
        both = (np.concatenate([a, b], axis=1)[:, index] for a, b in ((self.worst, worst), (self.failing, failing)))
        return Table(self.bodies, self.codes, self.weights, merged(self.probe, problem.probe), *both)


def codes_of(problem: Problem, candidates: Sequence[Body]) -> dict[tuple[Node, int], Body]:
    """The first candidate of each code on each side of zero, without those that there is no code for.

    Raises:
        LoweringError: there is code for none of them.
    """
    codes: dict[tuple[Node, int], Body] = {}
    missing: LoweringError | None = None
    for body in candidates:
        try:
            codes.setdefault((body.node(problem.x, problem.bound), getattr(body, "side", 0)), body)
        except LoweringError as error:
            missing = missing or error
    if missing and not codes:
        raise missing
    return codes


def _errors_of(
    problem: Problem, bodies: Sequence[Body], codes: Sequence[Node]
) -> tuple[Floats, npt.NDArray[np.int64]]:
    each = [_measured(problem, n, getattr(b, "side", 0)) for b, n in zip(bodies, codes, strict=True)]
    failing = [(e > problem.target.bar).sum(axis=0) for e in each]
    return np.stack([worst_of(e) for e in each]), np.stack(failing)


def choose(problem: Problem, candidates: Sequence[Body]) -> Choice:
    """The segments of a leaf for one target."""
    return chosen(problem, Table.of(problem, candidates))


def chosen(problem: Problem, table: Table) -> Choice:
    """The segments of a leaf for one target, from what has been measured."""
    counted: Flags = np.asarray(~np.isnan(table.worst).all(axis=0))
    if problem.target.single:
        counted &= table.probe.single
    points, worst, failing = table.probe.x[counted], table.worst[:, counted], table.failing[:, counted]
    problem = replace(problem, probe=table.probe)
    if points.size == 0:
        return Choice((Segment(-math.inf, math.inf, table.bodies[0]),), ())
    finished = np.stack([_finished(problem, side, counted) for side in (0, -1)])
    results: list[tuple[int, float, int, Choice]] = []
    simple = False
    for k, limit in enumerate(problem.target.limits):
        raw = ~(worst > limit)
        good = calm(raw, problem.target.window)
        price = [{**w, -1 - j: _inaccuracy(worst[j], raw[j], limit)} for j, w in enumerate(table.weights)]
        # the ends of the line, which constants serve, cost next to nothing
        flags, prices = np.concatenate([good, finished]), [*price, {}, {}]
        for dearer in GAPS if problem.fitter is not None else (math.inf,):
            plan = Plan.of(flags, points, prices, dearer * problem.target.bits).cheapest()
            plan = [j for j in plan if j < len(table.bodies)] or [0]
            choice = _Walk(problem, table.bodies, plan, points, worst, raw, good, failing).run()
            results.append((len(choice.unresolved), _cost(problem, choice) * (1 + LOOSER * k), len(results), choice))
            simple = not choice.unresolved and sum(s.kind == "piece" for s in choice.segments) <= MANY
            if simple and as_planned(table, choice, plan):
                break
        if simple:
            break
    choice = min(results)[-1]
    if choice.unresolved and problem.fitter is not None and not problem.fitter.partial:
        # where whole gaps cannot be covered, parts of them may
        return chosen(replace(problem, fitter=problem.fitter.partially()), table)
    if len(choice.segments) <= MOST_SEGMENTS:
        return choice
    # errors that come and go all along the line: one formula, and the report says where it misses
    walk = _Walk(problem, table.bodies, range(len(table.bodies)), points, worst, raw, good, failing)
    return walk.single()


def as_planned(table: Table, choice: Choice, plan: Sequence[int]) -> bool:
    """Whether the formulas of a choice are those of its plan; a dear one in a gap may be worth more of the line."""
    taken = {s.body for s in choice.segments if s.kind == "formula"}
    return taken <= {table.bodies[j] for j in plan}


def _limit_at(problem: Problem, side: int) -> Constant | None:
    """The value that the function has at the first (0) or last (-1) point at which it is known, as code."""
    truth = problem.probe.high if side == 0 else problem.probe.high[:, ::-1]
    outermost, known = truth[:, 0][~np.isnan(truth[:, 0])], truth[~np.isnan(truth)]
    return Constant(float((outermost if outermost.size else known)[0]) + 0.0) if known.size else None


def _finished(problem: Problem, side: int, counted: Flags) -> Flags:
    """Where a constant will do that reaches to an end of the line."""
    constant = _limit_at(problem, side)
    if constant is None:
        return np.zeros(int(counted.sum()), bool)
    good = ~(errors(problem, constant)[counted] > problem.target.limits[0])
    along = good if side == 0 else good[::-1]
    along = np.logical_and.accumulate(along)
    return np.asarray(along if side == 0 else along[::-1])


def _cost(problem: Problem, choice: Choice) -> float:
    pieces = sum(s.kind == "piece" for s in choice.segments)
    code = cost([s.body.node(problem.x, problem.bound) for s in choice.segments])
    return code + CUT * len(choice.segments) + PIECE * pieces


def _inaccuracy(errors: Floats, good: Flags, limit: float) -> float:
    """What a candidate's error counts beside its operations, where it is within the limit."""
    return ACCURACY * float(np.nan_to_num(errors[good], nan=0.0).max(initial=0.0)) / limit


def missed(problem: Problem, body: Body | Form) -> tuple[Unresolved, ...]:
    """The stretches of the probe on which a form misses the bar; neighbouring ones are one."""
    return stretches(all_errors(problem, body), problem.probe, problem.target)


def stretches(each: Floats, probe: Probe, target: Target) -> tuple[Unresolved, ...]:
    """The stretches of a probe on which errors, for each setting at each point, miss the bar."""
    each = np.nan_to_num(each, nan=0.0, posinf=math.inf)
    if target.single:
        each = np.where(probe.single, each, 0.0)
    worst, x = each.max(axis=0), probe.x
    beyond = np.flatnonzero(worst > target.bar)
    if not beyond.size:
        return ()
    runs = np.split(beyond, np.flatnonzero(np.diff(beyond) > BESIDE) + 1)
    if len(runs) > MOST_STRETCHES:
        runs = [beyond]
    found = []
    for run in runs:
        at = int(run[np.argmax(worst[run])])
        setting = probe.settings[int(np.argmax(each[:, at]))]
        stretch = float(x[run[0]]), float(x[run[-1]])
        found.append(Unresolved(*stretch, float(x[at]), float(worst[at]), setting))
    return tuple(found)


def calm(good: Flags, window: int) -> Flags:
    """Good at a point and at its neighbours: the error between points is noisy, and one lucky sample proves little."""
    bad = ~good
    spread = bad.copy()
    for shift in range(1, window + 1):
        spread[:, shift:] |= bad[:, :-shift]
        spread[:, :-shift] |= bad[:, shift:]
    return np.asarray(~spread)


@dataclass
class _Walk:
    problem: Problem
    candidates: Sequence[Body]
    plan: Sequence[int]  # the candidates to take where they are good
    points: Floats
    table: Floats
    raw: Flags  # good at the point
    good: Flags  # and at its neighbours
    failing: npt.NDArray[np.int64]  # settings beyond the bar, at each point
    gaps: int = 0
    reports: list[Unresolved] = field(default_factory=list)
    reach: npt.NDArray[np.int64] = field(init=False)  # where the run of good points that holds at each point ends
    cells: Floats = field(init=False)  # where the points lie, and infinity for the end

    def __post_init__(self) -> None:
        self.reach = reaches(self.good[list(self.plan)])
        self.cells = np.append(cells(self.points), np.inf)

    def run(self) -> Choice:
        segments: list[Segment] = []
        i, n = 0, self.points.size
        while i < n:
            best, reach = self._longest(i)
            if self.cells[reach] - self.cells[i] >= SHORTEST:
                lower = -math.inf if not segments else self._cut(segments, best, i)
                segments.append(Segment(lower, math.inf, self.candidates[best]))
                i = reach
                continue
            end = self._end_of_gap(i)
            filled = self._fill(i, end)
            if filled is None:
                best = self._least_bad(i, end)
                self.reports.append(self._report(best, i, end))
                lower = -math.inf if not segments else float(self.points[i])
                filled = [Segment(lower, math.inf, self.candidates[best])]
            segments += filled
            i = end
        beyond = tuple(r for r in self.reports if r.error > self.problem.target.bar)
        return Choice(closed(self.problem, segments), beyond)

    def single(self) -> Choice:
        """One candidate for the whole line."""
        best = self._least_bad(0, self.points.size)
        report = self._report(best, 0, self.points.size)
        return Choice((Segment(-math.inf, math.inf, self.candidates[best]),), (report,))

    def _least_bad(self, i: int, end: int) -> int:
        """The candidate that misses for the fewest settings and points, then by the least."""
        worst = np.nan_to_num(self.table[:, i:end], nan=0.0, posinf=1e300).max(axis=1)
        return int(np.lexsort((worst, self.failing[:, i:end].sum(axis=1)))[0])

    def _longest(self, i: int) -> tuple[int, int]:
        best = int(np.argmax(self.reach[:, i]))
        return self.plan[best], int(self.reach[best, i])

    def _end_of_gap(self, i: int) -> int:
        n = self.points.size
        furthest = self.reach.max(axis=0)
        later = np.arange(i + 1, n)
        long = self.cells[furthest[later]] - self.cells[later] >= SHORTEST
        starts = later[long & (furthest[later] > later)]
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
        # a domain may end before infinity does
        first, last = (float(v) if math.isinf(v) else None for v in self.problem.probe.x[[0, -1]])
        low = first if i == 0 and first is not None else float(self.points[max(i - margin, 0)])
        high = last if end == n and last is not None else float(self.points[min(end + margin, n) - 1])
        if i == 0 and self.points[0] >= 0:
            low = 0.0
        if end == n and self.points[-1] <= 0:
            high = 0.0
        inside = [r for r in roots(self.problem.probe) if low < r < high]
        total: list[Segment] = []
        for gap in divided(low, high, inside):
            segments = self.problem.fitter.fill(gap)
            if segments is None:
                return None
            total += [self._patched(s) for s in segments]
        return total

    def _patched(self, segment: Segment) -> Segment:
        """A stretch that no piece can serve goes to the candidate that misses least there."""
        if not isinstance(segment.body, Hole):
            return segment
        i, end = np.searchsorted(self.points, [segment.lower, segment.upper]).tolist()
        i, end = min(i, self.points.size - 1), max(end, i + 1)
        best = self._least_bad(i, end)
        self.reports.append(self._report(best, i, end))
        return replace(segment, body=self.candidates[best])

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
        constant = _limit_at(self.problem, 0 if i == 0 else -1)
        if constant is None:
            return None
        good = ~(errors(self.problem, constant)[line] > self.problem.target.limits[0])
        inner = np.arange(n) if i == 0 else np.arange(n)[::-1]
        reach = int(np.argmin(good[inner])) if not good.all() else n  # points from the end that the constant serves
        if reach == 0:
            return None
        if reach >= order.size:
            cut = self.points[inner[min((order.size + reach) // 2, n - 1)]] if order.size < n else None
            return [_half_line(constant, cut, i == 0)]
        for k in (*self.plan, *(k for k in range(len(self.candidates)) if k not in self.plan)):
            candidate, row = self.candidates[k], self.raw[k]
            if not row[order[reach:]].all():
                continue
            # where the formula is good at the last point of the constant too, it takes the stretch between the two
            last = order[reach - 1]
            if i == 0:
                cut = float(self.points[last if row[last] else order[reach]])
                return [_half_line(constant, cut, True), Segment(cut, float(self.points[end]), candidate)]
            cut = float(self.points[last])
            return [Segment(float(self.points[i]), cut, candidate), _half_line(constant, cut, False)]
        return None

    def _report(self, best: int, i: int, end: int) -> Unresolved:
        row = np.nan_to_num(self.table[best, i:end], nan=0.0, posinf=math.inf)
        k = int(np.argmax(row))
        return Unresolved(float(self.points[i]), float(self.points[end - 1]), float(self.points[i + k]), float(row[k]))


def divided(low: float, high: float, inside: Sequence[float]) -> list[Gap]:
    """Gaps with at most one root each, none of them at an end."""
    middles = [(a + b) / 2 for a, b in pairwise(inside)]
    ends = [low, *middles, high]
    return [Gap(a, b, inside[k] if inside else None) for k, (a, b) in enumerate(pairwise(ends))]


def _half_line(constant: Constant, cut: float | None, left: bool) -> Segment:
    if cut is None:
        return Segment(-math.inf, math.inf, constant)
    return Segment(-math.inf, float(cut), constant) if left else Segment(float(cut), math.inf, constant)


def closed(problem: Problem, segments: list[Segment]) -> tuple[Segment, ...]:
    """The same segments, each ending where the next begins, and one for neighbours that are the same code."""
    total: list[Segment] = []
    for segment in segments:
        code = segment.body.node(problem.x, problem.bound)
        while total and segment.lower <= total[-1].lower:
            total.pop()  # a piece reaches into its neighbours, and may cover the whole of a short one
        if total and total[-1].body.node(problem.x, problem.bound) is code:
            continue
        total.append(segment)
    uppers = [*(s.lower for s in total[1:]), math.inf]
    return tuple(
        Segment(-math.inf if k == 0 else s.lower, upper, s.body)
        for k, (s, upper) in enumerate(zip(total, uppers, strict=True))
    )
