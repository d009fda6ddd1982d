"""Reduced losses of plain arrays: their sum, and their gradients on the way, in loops that read each element once.

Chunks have one length whatever the number of threads, and each has running totals of its own, which are added up in
one order: so results do not depend on the threads, not in a single bit.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

import numpy as np

from .calls import Call, Caller
from .dtypes import NATIVE, Array, DType
from .manifest import Argument
from .operands import promote
from .threads import in_chunks

LANES: Final = 128  # as `reductions.LANES`, which needs Numba to be imported
CHUNK: Final = 1 << 14  # elements of a chunk: a multiple of the lanes, and large against what a chunk costs
PLAIN: Final = frozenset({"tensor", "prob", "weight"})


def total(caller: Caller, call: Call, targets: Sequence[Argument] = (), scale: float = 1.0,
          arrays: Sequence[Array] = ()) -> float | None:
    """The sum of the losses of a call, or None where operands are not as plain as the loops need them.

    Args:
        caller: of the function.
        call: a checked call.
        targets: operands to differentiate in: none, one tensor, or all of them.
        scale: what gradients are multiplied with; more than one is left to loops in float64.
        arrays: where the gradients go.
    """
    precision = promote(call.method, call.operands)
    tensors = caller.function.tensors
    fine = len(targets) <= 1 or list(targets) == list(tensors)
    if not fine or not abs(scale) <= 1.0 or precision.compute not in NATIVE or precision.result != precision.compute:
        return None
    if any(t not in tensors for t in targets) or not (size := math.prod(call.shape)):
        return None
    inputs = _inputs(call, precision.compute)
    if inputs is None:
        return None
    for array in arrays:
        if array.dtype != precision.compute or not array.flags.carray or array.shape != call.shape:
            return None
        if any(np.may_share_memory(array, a) for a in (*inputs, *(o for o in arrays if o is not array))):
            return None
    name = "total" if not targets else "total_and_grad"
    if len(targets) == 1 and len(tensors) > 1:
        name = f"total_and_grad_{targets[0].name}"
    loop = caller.loops.total(name, precision.tag, call.plan.variant.suffix, (len(inputs), len(arrays)))
    outs, numbers = [a.reshape(-1) for a in arrays], call.plan.numbers
    chunks = -(-size // CHUNK)
    sums, lost = np.zeros((2, chunks, LANES))

    def task(start: int, stop: int) -> None:
        for c in range(start, stop):
            first, last = c * CHUNK, min((c + 1) * CHUNK, size)
            read = [a if len(a) != size else a[first:last] for a in inputs]
            loop(*read, *numbers, last - first, scale, sums[c], lost[c], *[o[first:last] for o in outs])

    in_chunks(task, chunks, CHUNK)
    from .lanes import add_up  # needs Numba, which only a kernel that runs needs

    result = np.zeros(1)
    add_up(sums.reshape(-1), lost.reshape(-1), 1, result)
    return float(result[0])


def _inputs(call: Call, dtype: DType) -> list[Array] | None:
    """The operands as 1-D arrays, those that are one number as that many copies as there are lanes."""
    found = []
    for o in call.operands:
        a = o.placed
        if o.argument.role not in PLAIN:
            return None
        if a.shape == call.shape and a.dtype == dtype and a.dtype.isnative and a.flags.c_contiguous and a.flags.aligned:
            found.append(a.reshape(-1))
        elif a.size == 1:
            copies = np.full(LANES, a.reshape(())[()], dtype)
            if copies[0] != a.reshape(())[()]:
                return None  # a number that the dtype does not hold
            found.append(copies)
        else:
            return None
    return found
