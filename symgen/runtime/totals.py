"""Reduced losses of plain arrays: their sum, and their gradients on the way, in loops that read each element once."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from .calls import Call, Caller
from .dtypes import NATIVE, Array, DType
from .manifest import Argument
from .operands import promote
from .quick_losses import Summing, add_up

PLAIN: Final = frozenset({"tensor", "prob", "weight"})


def total(caller: Caller, call: Call, targets: Sequence[Argument] = (), scale: float = 1.0,
          arrays: Sequence[Array] = ()) -> tuple[float, Summing] | None:
    """The sum of the losses of a call and how it was found, or None where operands are not plain enough for the loops.

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
    operands = _operands(call, precision.compute)
    if operands is None:
        return None
    walked = [a for a in operands if isinstance(a, np.ndarray)]
    for array in arrays:
        if array.dtype != precision.compute or not array.flags.carray or array.shape != call.shape:
            return None
        if any(np.may_share_memory(array, a) for a in (*walked, *(o for o in arrays if o is not array))):
            return None
    name = "total" if not targets else "total_and_grad"
    if len(targets) == 1 and len(tensors) > 1:
        name = f"total_and_grad_{targets[0].name}"
    kinds = tuple(isinstance(a, np.ndarray) for a in operands)
    loop = caller.loops.total(name, precision.tag, call.plan.variant.suffix, kinds, len(arrays))
    found = Summing(loop, operands, call.plan.numbers)
    return add_up(found, size, scale, [a.reshape(-1) for a in arrays]), found


def _operands(call: Call, dtype: DType) -> tuple[Any, ...] | None:
    """The operands as 1-D arrays, or numbers where they are the same for all elements."""
    found: list[Any] = []
    for o in call.operands:
        a = o.placed
        if o.argument.role not in PLAIN:
            return None
        if a.shape == call.shape and a.dtype == dtype and a.dtype.isnative and a.flags.c_contiguous and a.flags.aligned:
            found.append(a.reshape(-1))
        elif a.size == 1:
            found.append(float(a.reshape(())[()]))
        else:
            return None
    return tuple(found)
