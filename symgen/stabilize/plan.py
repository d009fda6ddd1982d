"""Which candidates a line should be made of: the cheapest set that leaves no more to pieces than it must.

Every segment's code is computed for every element, so a candidate costs its nodes once, however many stretches it
serves, and nodes that two candidates share cost once. Gaps cost what a fitted piece would, and somewhat more: an
algebraic form explains itself.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from symgen.stabilize.probe import Flags, Floats, cells

SHORTEST = 10  # cells a candidate must be good for, lest a lucky stretch inside a bad one cut the line
CUT = 2.0  # a comparison and a selection
# a piece costs this for each bit that it must be right to, about twice what its operations take: of two forms that
# cost nearly the same the algebraic one explains itself
GAP = 1.2
GAP_CELL = 0.03  # longer gaps need longer or more pieces
MOST_CELLS = 1000.0  # where the last gap ends
UNFILLED = 1e6  # a gap that no piece can fill
STARTS = 4  # candidates from which the search begins

Ends = npt.NDArray[np.int64]


def reaches(good: Flags) -> Ends:
    """For each row and point, where the run of good points that holds at that point ends; the point itself if none."""
    n = good.shape[1]
    ends = np.where(good, n, np.arange(n))
    return np.asarray(np.minimum.accumulate(ends[:, ::-1], axis=1)[:, ::-1])


def starts(reach: Ends, cells: Floats) -> Ends:
    """For each row and point, the next point from which the row is good for long enough; the end if there is none."""
    n = reach.shape[1]
    enough = (cells[reach] - cells[:n] >= SHORTEST) & (reach > np.arange(n))
    found = np.where(enough, np.arange(n), n)
    return np.asarray(np.minimum.accumulate(found[:, ::-1], axis=1)[:, ::-1])


@dataclass(frozen=True)
class Plan:
    """What the search compares.

    Attributes:
        reach: as `reaches`, one list for each candidate; empty for one that is good nowhere for long enough.
        start: as `starts`.
        cells: where each point lies, see `probe.cells`, and infinity for the end.
        weights: the nodes of each candidate and what they cost.
        gap: the bits that a piece must be right to, times as much as a gap is dearer than usual; infinity where no
            pieces can fill it.
    """

    reach: Sequence[Sequence[int]]
    start: Sequence[Sequence[int]]
    cells: Sequence[float]
    weights: Sequence[Mapping[Any, float]]
    gap: float

    @staticmethod
    def of(good: Flags, points: Floats, weights: Sequence[Mapping[Any, float]], gap: float) -> Plan:
        reach, along = reaches(good), np.append(cells(points), np.inf)
        start = starts(reach, along)
        # lists are what the search reads fastest; of most candidates it reads nothing
        useful = (start[:, 0] < points.size).tolist()

        def lists(rows: Ends) -> list[list[int]]:
            return [row.tolist() if taken else [] for taken, row in zip(useful, rows, strict=True)]

        return Plan(lists(reach), lists(start), along.tolist(), weights, gap)

    def cost(self, chosen: Sequence[int]) -> float:
        """Of a line that takes whichever chosen candidate is good for longest."""
        nodes: dict[int, float] = {}
        for k in chosen:
            nodes.update(self.weights[k])
        reach, start, along = [self.reach[k] for k in chosen], [self.start[k] for k in chosen], self.cells
        total, i, n = sum(nodes.values()), 0, len(along) - 1
        while i < n:
            end = max(row[i] for row in reach)
            if along[end] - along[i] < SHORTEST:
                end = min(row[i + 1] for row in start) if i + 1 < n else n
                length = min(along[end], MOST_CELLS) - along[i]
                total += self.gap * (GAP + GAP_CELL * length) if np.isfinite(self.gap) else UNFILLED * (end - i)
            total += CUT
            i = end
        return total

    def cheapest(self) -> list[int]:
        """The candidates of the cheapest line, by a search that adds and drops one at a time."""
        n = len(self.cells) - 1
        useful = [k for k, start in enumerate(self.start) if start and start[0] < n]
        if not useful:
            return [0]
        # what costs nothing comes along: without the constants at its ends, a cheap formula looks dear
        free = [k for k in useful if not self.weights[k]]
        first = sorted((self.cost(s), s) for s in {tuple(sorted({k, *free})) for k in useful})
        return min(self._improved(cost, list(chosen), useful) for cost, chosen in first[:STARTS])[1]

    def _improved(self, cost: float, chosen: list[int], useful: Sequence[int]) -> tuple[float, list[int]]:
        while True:
            more = [sorted([*chosen, k]) for k in useful if k not in chosen]
            fewer = [[c for c in chosen if c != k] for k in chosen] if len(chosen) > 1 else []
            best = min(((self.cost(c), c) for c in (*fewer, *more)), default=(cost, chosen))
            if best[0] >= cost:
                return cost, chosen
            cost, chosen = best
