"""Gradients with the shape of what they belong to: summed over broadcast axes, channels or, for options, everything."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from .dtypes import DOUBLE, FLOAT64, Array, DType, Precision, is_float, store
from .execute import Loop, finish
from .manifest import WALKED_ROLES, Argument
from .operands import Operand, Shape, channel_axis


def result_dtype(operand: Operand, precision: Precision) -> DType:
    """The dtype of an operand's gradient: its own where that is a float, else that of the computation."""
    own = operand.array.dtype
    return own.newbyteorder("=") if operand.weak is None and is_float(own) else precision.result


def rounded(total: Array, dtype: DType) -> Any:
    """A float64 sum in the dtype of the gradient, rounded once."""
    result = np.empty(total.shape, dtype)
    with np.errstate(all="ignore"):
        store(total, result)
    return finish(result)


def sum_to(gradient: Array, shape: Shape) -> Array:
    """Sum a float64 gradient over the axes along which an operand of ``shape`` was broadcast.

    The summed axes are made contiguous, since NumPy sums pairwise (with an error that hardly grows) only there.
    """
    extra = gradient.ndim - len(shape)
    summed = [i for i in range(gradient.ndim) if i < extra or (shape[i - extra] == 1 and gradient.shape[i] != 1)]
    kept = [i for i in range(gradient.ndim) if i not in summed]
    rows = np.ascontiguousarray(gradient.transpose(kept + summed), dtype=np.float64)
    total: Array = rows.reshape(*rows.shape[: len(kept)], math.prod(rows.shape[len(kept):])).sum(axis=-1)
    return total.reshape(shape)


def split(shape: Shape, axis: int | None) -> tuple[int, int, int]:
    """A shape as (outer, channel, inner) around an axis."""
    if axis is None:
        return 1, 1, math.prod(shape)
    return math.prod(shape[:axis]), shape[axis], math.prod(shape[axis + 1:])


def reduced(function: str, loop: Loop, target: Argument, cotangent: Array, operands: Sequence[Operand],
            options: Sequence[float], shape: Shape, compute: DType) -> Array:
    """The gradient in a parameter (in its own shape) or an option (0-d), accumulated in float64."""
    axis = _shared_axis(function, operands, shape)
    outer, channels, inner = split(shape, axis)
    total = np.zeros(channels, FLOAT64)
    if outer * channels * inner:
        walk, sizes = (outer, channels, inner), (channels,)
        blocks = [_block(cotangent, shape, walk, compute)]
        blocks += [
            _block(o.placed, shape, walk, compute)
            if o.argument.role in WALKED_ROLES
            else _block(o.array.reshape(-1), sizes, sizes, compute)
            for o in operands
        ]
        loop(*blocks, *options, total)
    own = next((o.array.shape for o in operands if o.argument is target), ())
    return total.reshape(own) if math.prod(own) == channels else total.sum(keepdims=True).reshape(own)


def _shared_axis(function: str, operands: Sequence[Operand], shape: Shape) -> int | None:
    """The axis of the parameters that have a value for each channel; None where all have a single one."""
    axes = {
        channel_axis(function, o.argument, len(shape))
        for o in operands
        if o.argument.role == "param" and o.array.size != 1
    }
    if len(axes) > 1:
        raise ValueError(f"{function}(): parameters along different axes have no joint gradient")
    return axes.pop() if axes else None


def _block(array: Array, shape: Shape, walk: Shape, compute: DType) -> Array:
    """A contiguous copy (or the array itself) as the reductions walk it."""
    return np.ascontiguousarray(np.broadcast_to(array, shape), dtype=compute).reshape(walk)


def accumulating(operands: Sequence[Operand], shape: Shape, precision: Precision) -> Precision:
    """The precision of a vjp: float64 inside where a gradient is summed over broadcast axes."""
    summed = any(o.array.shape != shape for o in operands)
    return Precision(precision.result, DOUBLE.compute, DOUBLE.tag) if summed else precision
