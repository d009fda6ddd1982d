"""Sums over all elements of an array on a GPU, without atomics: the same bits at every run.

Each thread adds up what it sees, a block its threads by a tree, and one more block what the blocks came to. A sum is a
number and what is missing of it, in the arithmetic of its kernel, so that no error grows with the number of elements.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numba import cuda, types

from .device import core, dadd, f32, fadd, kernel, load, store, thread, u32

THREADS = 256  # of a block, in all kernels that sum
WARPS = THREADS // 32
CELLS, PAIRS = 2 * WARPS, 2 * THREADS
ALL = 0xFFFFFFFF


@cuda.jit(device=True, inline="always")
def threads() -> Any:
    """The number of threads in the grid."""
    return u32(cuda.gridDim.x) * u32(cuda.blockDim.x)


def _arithmetic(add: Any, kind: Any) -> tuple[Callable[..., Any], ...]:
    """Sums in one arithmetic, given its addition: of a number, of another sum, of a block, and of a block to memory."""

    @core
    def plus(total: Any, lost: Any, x: Any) -> Any:
        """``total + lost + x``, what rounding takes from the total added to the loss."""
        high = add(total, x)
        back = add(high, -total)
        return high, add(lost, add(add(total, -add(high, -back)), add(x, -back)))

    @core
    def both(total: Any, lost: Any, more: Any, missing: Any) -> Any:
        high, low = plus(total, lost, more)
        return high, add(low, missing)

    @core
    def gathered(total: Any, lost: Any) -> Any:
        """The sum over a block's threads, in each thread of its first warp."""
        shared = cuda.shared.array(CELLS, kind)
        for k in range(5):
            step = 16 >> k
            total, lost = both(total, lost, cuda.shfl_xor_sync(ALL, total, step), cuda.shfl_xor_sync(ALL, lost, step))
        lane, warp = u32(cuda.threadIdx.x) & u32(31), u32(cuda.threadIdx.x) >> u32(5)
        if lane == 0:
            shared[warp], shared[u32(WARPS) + warp] = total, lost
        cuda.syncthreads()
        place = lane & u32(WARPS - 1)
        total, lost = shared[place], shared[u32(WARPS) + place]
        for k in range(3):
            step = 4 >> k
            total, lost = both(total, lost, cuda.shfl_xor_sync(ALL, total, step), cuda.shfl_xor_sync(ALL, lost, step))
        return total, lost

    @core
    def settle(total: Any, lost: Any, sums: Any) -> Any:
        """Write the sum over a block's threads to its place: the number, then what it is missing."""
        total, lost = gathered(total, lost)
        if cuda.threadIdx.x == 0:
            place = u32(2) * u32(cuda.blockIdx.x)
            sums[place], sums[place + u32(1)] = total, lost

    return plus, both, gathered, settle


def _columns(plus: Any, both: Any, kind: Any) -> Callable[..., Any]:
    """Sums of the columns of a matrix in one arithmetic."""

    @core
    def down(values: Any, sums: Any, rows: Any, n: Any) -> None:
        """Sum columns of a matrix over every so many rows: a block takes 32 columns, a warp one row at a time."""
        shared = cuda.shared.array(PAIRS, kind)
        tiles = u32((n + u32(31)) // u32(32))
        stripe, lane = u32(cuda.blockIdx.x) // tiles, u32(cuda.threadIdx.x) & u32(31)
        column = u32(u32(cuda.blockIdx.x) % tiles * u32(32) + lane)
        total, lost = kind(0), kind(0)
        row = u32(stripe * u32(WARPS) + (u32(cuda.threadIdx.x) >> u32(5)))
        while row < rows and column < n:
            total, lost = plus(total, lost, load(values, u32(row * n + column)))
            row = u32(row + u32(WARPS) * (u32(cuda.gridDim.x) // tiles))
        shared[cuda.threadIdx.x], shared[u32(THREADS) + u32(cuda.threadIdx.x)] = total, lost
        cuda.syncthreads()
        if cuda.threadIdx.x < 32 and column < n:
            for k in range(1, WARPS):
                place = u32(u32(32 * k) + lane)
                total, lost = both(total, lost, shared[place], shared[u32(THREADS) + place])
            place = u32(u32(2) * (stripe * n + column))
            sums[place], sums[place + u32(1)] = total, lost

    made: Callable[..., Any] = down
    return made


fplus, fboth, _, fsettle = _arithmetic(fadd, types.float32)
dplus, both, gathered, dsettle = _arithmetic(dadd, types.float64)
fdown, ddown = _columns(fplus, fboth, types.float32), _columns(dplus, both, types.float64)


@core
def added(sums: Any, count: Any) -> Any:
    """What the blocks of an earlier kernel came to, in float64, in each thread of the first warp of one block."""
    total, lost = 0.0, 0.0
    i = u32(cuda.threadIdx.x)
    while i < count:
        total, lost = both(total, lost, np.float64(sums[u32(2) * i]), np.float64(sums[u32(2) * i + u32(1)]))
        i = u32(i + u32(THREADS))
    total, lost = gathered(total, lost)
    cuda.syncthreads()  # before the memory that was shared is used again
    # an infinity is missing what is no number
    return total + lost if math.isfinite(lost) else total


@kernel
def fill(out: Any, value: Any) -> None:
    """Write one number, which stands for all elements of an operand."""
    if cuda.threadIdx.x == 0:
        store(out, u32(0), value)


@kernel
def collect_f32(values: Any, sums: Any, n: Any) -> None:
    """Sum numbers of scratch memory over as many blocks as are launched."""
    total, lost = f32(0), f32(0)
    i = thread()
    while i < n:
        total, lost = fplus(total, lost, load(values, i))
        i = u32(i + threads())
    fsettle(total, lost, sums)


@kernel
def collect_f64(values: Any, sums: Any, n: Any) -> None:
    """The same in float64."""
    total, lost = 0.0, 0.0
    i = thread()
    while i < n:
        total, lost = dplus(total, lost, load(values, i))
        i = u32(i + threads())
    dsettle(total, lost, sums)


@kernel
def columns_f32(values: Any, sums: Any, rows: Any, n: Any) -> None:
    """Sum each column of a matrix in scratch memory, over as many stripes of rows as blocks are launched for."""
    fdown(values, sums, rows, n)


@kernel
def columns_f64(values: Any, sums: Any, rows: Any, n: Any) -> None:
    """The same in float64."""
    ddown(values, sums, rows, n)


@kernel
def joined(sums: Any, stripes: Any, n: Any, out: Any) -> None:
    """What the stripes of each column come to."""
    column = thread()
    if column < n:
        total, lost = 0.0, 0.0
        k = u32(0)
        while k < stripes:
            place = u32(u32(2) * (k * n + column))
            total, lost = both(total, lost, np.float64(sums[place]), np.float64(sums[place + u32(1)]))
            k = u32(k + u32(1))
        store(out, column, total + lost if math.isfinite(lost) else total)


@kernel
def quotient(sums: Any, count: Any, shares: Any, parts: Any, divisor: Any, out: Any) -> None:
    """A sum, divided by a number and where there are shares by their sum."""
    total = added(sums, count)
    if parts:
        divisor = divisor * added(shares, parts)
    if cuda.threadIdx.x == 0:
        store(out, u32(0), total / divisor)


@kernel
def factors(g: Any, sums: Any, count: Any, shares: Any, parts: Any, divisor: Any, out: Any) -> None:
    """What gradients of a reduced loss are multiplied by, and those of its shares: g / divisor, -g mean / divisor.

    Over no share at all there is no gradient, and a mean that is no number says nothing about shares.
    """
    total = added(sums, count)
    if parts:
        divisor = divisor * added(shares, parts)
    if cuda.threadIdx.x == 0:
        scale = np.float64(load(g, u32(0))) / divisor if divisor != 0.0 else 0.0
        mean = total / divisor if divisor != 0.0 else 0.0
        store(out, u32(0), scale)
        store(out, u32(1), -scale * mean if math.isfinite(mean) else 0.0)


__all__ = [
    "THREADS", "collect_f32", "collect_f64", "columns_f32", "columns_f64", "dplus", "dsettle", "factors", "fill",
    "fplus", "fsettle", "joined", "quotient", "threads",
]  # fmt: skip
