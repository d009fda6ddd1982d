"""Finds data races: what every piece of memory was last used for, by whom, and whether a barrier came between.

For each granule of an arena three histories are kept: its reads, its writes, its atomic updates, each as the first and
the last thread and the latest time. Time is a block's count of barriers, and a warp's of ``bar.warp.sync``. Two
accesses of different threads, one of them a write, must be ordered by one of the two.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from symgen.ptx.types import Array

NOBODY = np.iinfo(np.int64).max

CONFLICTS: Mapping[str, tuple[str, ...]] = {
    "read": ("write", "atomic"),
    "write": ("write", "read", "atomic"),
    "atomic": ("write", "read"),
}


@dataclass
class Clock:
    """Whose time it is: for each thread its block, its warp, and how many barriers it has passed."""

    block: Array
    warp: Array
    barriers: Array
    warp_barriers: Array

    @staticmethod
    def start(block: Array, warp: Array) -> Clock:
        return Clock(block, warp, np.zeros(block.size, np.int64), np.zeros(block.size, np.int64))


@dataclass
class History:
    """For each granule: the first and the last thread that used it since the last barrier, and when that was."""

    first: Array
    last: Array
    barriers: Array
    warp_barriers: Array

    @staticmethod
    def of(granules: int) -> History:
        first, last = np.full(granules, NOBODY), np.full(granules, -1)
        return History(first, last, np.full(granules, -1), np.full(granules, -1))

    def unordered(self, granules: Array, threads: Array, clock: Clock) -> Array:
        """Which of the threads would now come to these granules beside another thread, unordered."""
        first, last = self.first[granules], self.last[granules]
        used = last >= 0
        a, b = np.where(used, first, 0), np.where(used, last, 0)
        alone = (a == threads) & (b == threads)
        block = (clock.block[a] == clock.block[threads]) & (clock.block[b] == clock.block[threads])
        after = block & (self.barriers[granules] < clock.barriers[threads])
        warp = (clock.warp[a] == clock.warp[threads]) & (clock.warp[b] == clock.warp[threads])
        met = np.minimum(clock.warp_barriers[a], clock.warp_barriers[b])
        met = self.warp_barriers[granules] < np.minimum(met, clock.warp_barriers[threads])
        return np.asarray(used & ~alone & ~after & ~(warp & met))

    def record(self, granules: Array, threads: Array, clock: Clock) -> None:
        """Add the accesses; those before the block's last barrier are forgotten, all later ones come after them."""
        now, then = clock.barriers[threads], self.barriers[granules]
        first, last = self.first[granules], self.last[granules]
        used = last >= 0
        a, b = np.where(used, first, 0), np.where(used, last, 0)
        mine = (clock.block[a] == clock.block[threads]) & (clock.block[b] == clock.block[threads])
        forget = granules[used & mine & (then < now)]
        self.first[forget], self.last[forget] = NOBODY, -1
        np.minimum.at(self.first, granules, threads)
        np.maximum.at(self.last, granules, threads)
        np.maximum.at(self.barriers, granules, now)
        np.maximum.at(self.warp_barriers, granules, clock.warp_barriers[threads])


class Detector:
    """The histories of one arena, whose granules are as large as the kernel's smallest access."""

    def __init__(self, size: int, granule: int) -> None:
        self.size, self.granule = size, granule

    @cached_property
    def histories(self) -> dict[str, History]:
        """Of what nothing ever reaches there are none."""
        return {kind: History.of(self.size // self.granule + 1) for kind in CONFLICTS}

    def access(self, kind: str, offsets: Array, size: int, threads: Array, clock: Clock) -> tuple[str, int, int] | None:
        """Record an access of `size` bytes at each thread's offset; a conflict as (kind, other thread, thread)."""
        for part in range(0, size, self.granule):
            granules = (offsets + part) // self.granule
            for other in CONFLICTS[kind]:
                history = self.histories[other]
                clash = np.flatnonzero(history.unordered(granules, threads, clock))
                if clash.size:
                    i = clash[0]
                    first, last = int(history.first[granules[i]]), int(history.last[granules[i]])
                    return other, first if first != threads[i] else last, int(threads[i])
            self.histories[kind].record(granules, threads, clock)
            if kind == "write":
                twice = np.flatnonzero(self.histories[kind].first[granules] != self.histories[kind].last[granules])
                if twice.size:
                    own, i = self.histories[kind], granules[twice[0]]
                    return "write", int(own.first[i]), int(own.last[i])
        return None
