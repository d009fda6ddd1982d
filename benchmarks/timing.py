"""Timing several callables in turns, so that whatever disturbs the machine disturbs all of them."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

LEAST = 2e-4  # seconds that a sample takes at least: a thousand times the clock's resolution
MOST_CALLS = 20_000
GAP = 0.01  # seconds of rest after a library whose threads go on spinning for a while: they would slow the next one


class Clock:
    """What time is: the wall's, or that of this process's threads together, which a busy machine does not change."""

    now: Callable[[], float] = staticmethod(time.perf_counter)


@dataclass(frozen=True)
class Times:
    """Seconds a call took.

    Attributes:
        median: over the repeats.
        low: the first quartile.
        high: the third quartile.
        best: the shortest.
        repeats: how many samples there were.
        calls: how many calls one sample was the mean of.
    """

    median: float
    low: float
    high: float
    best: float
    repeats: int
    calls: int


def summary(samples: list[float], calls: int) -> Times:
    """The statistics of some samples.

    Example:
        >>> summary([3.0, 1.0, 2.0], 1).median
        2.0
    """
    ordered = sorted(samples)
    if len(ordered) == 1:
        ordered *= 2
    low, median, high = statistics.quantiles(ordered, n=4, method="inclusive")
    return Times(median, low, high, ordered[0], len(samples), calls)


def once(run: Callable[[], object], calls: int) -> float:
    """Seconds for one call, as the mean over some."""
    turns, now = range(calls), Clock.now
    start = now()
    for _ in turns:
        run()
    return (now() - start) / calls


def calls_needed(run: Callable[[], object], least: float = LEAST) -> int:
    """How many calls a sample needs, from a few after the first, which may compile."""
    run()
    took = min(once(run, 1) for _ in range(3))
    return max(1, min(MOST_CALLS, int(least / max(took, 1e-9)) + 1))


def measure(
    runs: Mapping[str, Callable[[], object]],
    repeats: int,
    spinning: frozenset[str] = frozenset(),
    gap: float = GAP,
    least: float = LEAST,
) -> dict[str, Times]:
    """Time callables in turns; each round begins with another one.

    Args:
        runs: what to time, by name.
        repeats: how many rounds.
        spinning: names after which the machine is left alone for a while.
        gap: how long, in seconds.
        least: seconds that a sample takes at least.
    """
    calls = {name: calls_needed(run, least) for name, run in runs.items()}
    samples: dict[str, list[float]] = {name: [] for name in runs}
    order = list(runs)
    for turn in range(repeats):
        for name in order[turn % len(order) :] + order[: turn % len(order)]:
            samples[name].append(once(runs[name], calls[name]))
            if name in spinning:
                time.sleep(gap)
    return {name: summary(found, calls[name]) for name, found in samples.items()}
