"""Reductions of a row on a GPU, by a warp or by a block of threads, in pair arithmetic and in a fixed order.

Each thread takes every so many entries of the row, then the threads are joined by shuffles, and the warps of a block
through shared memory. Every thread of the team ends with the same result: rows need no atomics and no second kernel.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numba import cuda, types
from numba.cuda import libdevice

from .cuda import KEPT
from .cuda_launch import WARP_THREADS
from .device import core, dadd, fadd, load, thread, u32
from .device_sums import ALL, CELLS, WARPS, dplus, fplus, threads

# by names: Numba wants the size of an array to be a constant, which a quotient is not
KEPT64, FEW, FEW64 = KEPT // 2, KEPT // 2, KEPT // 4


ROWS = WARP_THREADS // 32  # of a block whose warps take one each


@cuda.jit(device=True, inline="always")
def warp_row() -> Any:
    """The row of this warp."""
    return u32(cuda.blockIdx.x) * u32(ROWS) + (u32(cuda.threadIdx.x) >> u32(5))


@cuda.jit(device=True, inline="always")
def warp_lane() -> Any:
    return u32(cuda.threadIdx.x) & u32(31)


@cuda.jit(device=True, inline="always")
def block_row() -> Any:
    """The row of this block."""
    return u32(cuda.blockIdx.x)


@cuda.jit(device=True, inline="always")
def block_lane() -> Any:
    return u32(cuda.threadIdx.x)


@cuda.jit(device=True, inline="always")
def warp_first(room: Any) -> Any:
    """Where a warp's part of what its block keeps begins, of so much room for each."""
    return (u32(cuda.threadIdx.x) >> u32(5)) * room


@cuda.jit(device=True, inline="always")
def block_first(room: Any) -> Any:  # noqa: ARG001
    return u32(0)


@core
def grid_thread() -> Any:
    """The number of the thread in the grid."""
    return thread()


@core
def grid_threads() -> Any:
    """How many there are."""
    return threads()


@cuda.jit(device=True, inline="always")
def fkept() -> Any:
    """Shared memory of a block, in which each thread keeps numbers of its own between the loops of a row."""
    return cuda.shared.array(KEPT, types.float32)


@cuda.jit(device=True, inline="always")
def dkept() -> Any:
    return cuda.shared.array(KEPT64, types.float64)


@cuda.jit(device=True, inline="always")
def ffew() -> Any:
    """Half as much, for kernels that keep less."""
    return cuda.shared.array(FEW, types.float32)


@cuda.jit(device=True, inline="always")
def dfew() -> Any:
    return cuda.shared.array(FEW64, types.float64)


warp_width, block_width = np.uint32(32), np.uint32(32 * WARPS)  # how many threads are on a row


@core
def inside(position: Any, size: Any) -> Any:
    """A gathered position, or 0 where it is outside: what is read there is not used."""
    return u32(position) if 0 <= position < size else u32(0)


@core
def listed(classes: Any, at: Any, step: Any, room: Any) -> Any:
    """How many classes a list has: those before the first negative number."""
    count = u32(0)
    while count < room and load(classes, u32(at + count * step)) >= 0:
        count = u32(count + u32(1))
    return count


@core
def larger(high: Any, low: Any, entry: Any, rest: Any) -> Any:
    """The larger of two pairs, NaN where there is one."""
    tied = max(rest, low)
    below = tied if high == entry else rest
    most = max(high, entry)
    least = below if entry >= high else low
    return (entry if math.isnan(entry) else most), (entry - entry if math.isnan(entry) else least)


@core
def smaller(high: Any, low: Any, entry: Any, rest: Any) -> Any:
    """The smaller of two pairs, NaN where there is one."""
    most, least = larger(-high, -low, -entry, -rest)
    return -most, -least


@core
def nearer(high: Any, entry: Any) -> Any:
    """The larger of two numbers; NaN is passed over."""
    return max(high, entry)


@core
def wider(high: Any, entry: Any) -> Any:
    """The larger size of two numbers; NaN is passed over."""
    return nearer(high, -entry if entry < 0 else entry)


def _pairs(step: Any, kind: Any) -> tuple[Callable[..., Any], ...]:
    """What joins the pairs of a warp, and those of a block."""

    @core
    def joined(high: Any, low: Any, farthest: Any, steps: Any) -> Any:
        for k in range(steps):
            other, rest = cuda.shfl_xor_sync(ALL, high, farthest >> k), cuda.shfl_xor_sync(ALL, low, farthest >> k)
            high, low = step(high, low, other, rest)
        return cuda.shfl_sync(ALL, high, 0), cuda.shfl_sync(ALL, low, 0)

    @core
    def warp(high: Any, low: Any) -> Any:
        return joined(high, low, 16, 5)

    @core
    def block(high: Any, low: Any) -> Any:
        shared = cuda.shared.array(CELLS, kind)
        high, low = warp(high, low)
        place = u32(cuda.threadIdx.x) >> u32(5)
        if u32(cuda.threadIdx.x) & u32(31) == 0:
            shared[place], shared[u32(WARPS) + place] = high, low
        cuda.syncthreads()
        place = u32(cuda.threadIdx.x) & u32(WARPS - 1)
        high, low = shared[place], shared[u32(WARPS) + place]
        cuda.syncthreads()
        return joined(high, low, WARPS >> 1, 3)

    return warp, block


def _singles(step: Any, kind: Any) -> tuple[Callable[..., Any], ...]:
    """The same of numbers."""

    @core
    def both(high: Any, low: Any, entry: Any, rest: Any) -> Any:  # noqa: ARG001
        return step(high, entry), low

    warp_of_pairs, block_of_pairs = _pairs(both, kind)

    @core
    def warp(high: Any) -> Any:
        return warp_of_pairs(high, high)[0]

    @core
    def block(high: Any) -> Any:
        return block_of_pairs(high, high)[0]

    return warp, block


def _arithmetic(add: Any, plus: Any, cast: Any, inverse: Any) -> dict[str, Callable[..., Any]]:
    """Every reduction in one arithmetic, by name: one more entry for a thread, and what joins a warp and a block."""

    @core
    def added(high: Any, low: Any, entry: Any, rest: Any) -> Any:
        """A sum with one more pair."""
        total, lost = plus(high, low, entry)
        return total, add(lost, rest)

    @core
    def settled(high: Any, low: Any) -> Any:
        """The pair with its number rounded; of an infinity or NaN nothing is missing."""
        total = add(high, low)
        rest = add(low, -add(total, -high))
        return (total if rest - rest == 0 else high), (rest if rest - rest == 0 else cast(0))

    @core
    def finite(high: Any) -> Any:
        return high if high - high == 0 else cast(0)

    @core
    def unit(high: Any) -> Any:
        """One over a power of two near a size, for exact products: one where that is zero or infinite."""
        return inverse(high) if high - high == 0 and high > 0 else cast(1)

    ends = {
        "sum": (added, _pairs(added, cast), settled),
        "max": (larger, _pairs(larger, cast), None),
        "min": (smaller, _pairs(smaller, cast), None),
        "peak": (nearer, _singles(nearer, cast), finite),
        "scale": (wider, _singles(wider, cast), unit),
    }
    found = {"sum_plus": plus}
    for name, (step, joined, end) in ends.items():
        found[f"{name}_step"] = step
        found |= {} if end is None else {f"{name}_end": end}
        for team, join in zip(("warp", "block"), joined, strict=True):
            found[f"{team}_{name}"] = join if end is None else _ended(join, end, name == "sum")
    return found


def _ended(join: Any, end: Any, pair: bool) -> Callable[..., Any]:
    """What joins a team, and what follows it."""

    @core
    def of_pair(high: Any, low: Any) -> Any:
        high, low = join(high, low)
        return end(high, low)

    @core
    def of_number(high: Any) -> Any:
        return end(join(high))

    made: Callable[..., Any] = of_pair if pair else of_number
    return made


@core
def _inverse32(size: Any) -> Any:
    """One over the power of two above a float32, a normal one."""
    exponent = libdevice.float_as_int(size) & 0x7F800000
    return libdevice.int_as_float(max(0x7E800000 - exponent, 0x00800000))


@core
def _inverse64(size: Any) -> Any:
    exponent = libdevice.double_as_longlong(size) & 0x7FF0000000000000
    return libdevice.longlong_as_double(max(0x7FD0000000000000 - exponent, 0x0010000000000000))


SINGLE = _arithmetic(fadd, fplus, types.float32, _inverse32)
DOUBLE = _arithmetic(dadd, dplus, types.float64, _inverse64)

# as generated code imports them: fsum_step, fwarp_sum, fblock_sum, dsum_step and so on
globals().update({f"{p}{name}": f for p, table in (("f", SINGLE), ("d", DOUBLE)) for name, f in table.items()})
