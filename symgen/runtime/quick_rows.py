"""Calls of functions of rows on one plain array, remembered: kernel and shapes at once, without reading arguments.

A call along the last axis of a C-contiguous array, with every option at its default, needs no more than a view of the
array as rows. The first such call is fully checked; it leaves what later ones of its dtype run.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from .dtypes import Array, DType
from .execute import CONTIGUOUS, WRITEABLE
from .threads import in_chunks

if TYPE_CHECKING:
    from .rows import RowCall

FILLABLE: Final = CONTIGUOUS | WRITEABLE


@dataclass(slots=True)
class ReadyRows:
    """How a call of plain arrays runs.

    Attributes:
        numbers: the numeric options.
        dtype: of every array.
        keeps: whether the result of a row is a row; else it is a number.
        tall: of each array whether it has rows; else it has a number for each.
        masks: as many None as masks were left out.
        depths: of each pass over a row how many loops along the axis it has.
        loop: takes the arrays as rows, those left out, the numbers, and the result.
    """

    numbers: tuple[float, ...]
    dtype: DType
    keeps: bool
    tall: tuple[bool, ...]
    masks: tuple[None, ...]
    depths: tuple[int, ...]
    loop: Callable[..., None] = field(init=False)
    results: int = 0

    def run(self, inputs: tuple[Any, ...], out: Any) -> Any:
        """The result, or None where the arrays are not as plain as they have to be."""
        x = inputs[-1]
        if type(x) is not np.ndarray or not x.ndim or not x.size:
            return None
        shape, n = x.shape, x.shape[-1]
        count = x.size // n
        rows = []
        for a, tall in zip(inputs, self.tall, strict=True):
            if type(a) is not np.ndarray or a.dtype is not self.dtype or a.flags.num & CONTIGUOUS != CONTIGUOUS:
                return None
            if a.shape != (shape if tall else shape[:-1]):
                return None
            rows.append(a.reshape(count, n) if tall else a.reshape(count))
        wanted = shape if self.keeps else shape[:-1]
        result = self._place(inputs, out, wanted)
        if result is None:
            return None
        filled = result.reshape(count, n) if self.keeps else result.reshape(count)
        masks, loop, numbers = self.masks, self.loop, self.numbers

        def task(start: int, stop: int) -> None:
            loop(*[a[start:stop] for a in rows], *masks, *numbers, filled[start:stop])

        in_chunks(task, count, 1 + sum([n**depth for depth in self.depths]))
        return result if out is not None or result.ndim else result[()]

    def _place(self, inputs: tuple[Array, ...], out: Any, shape: tuple[int, ...]) -> Array | None:
        if out is None:
            return np.empty(shape, self.dtype)
        fits = type(out) is np.ndarray and out.dtype is self.dtype and out.shape == shape
        if not fits or out.flags.num & FILLABLE != FILLABLE or any(np.may_share_memory(out, a) for a in inputs):
            return None
        return out  # type: ignore[no-any-return]


def ready(call: RowCall, output: str, takes_g: bool, keeps: bool) -> ReadyRows | None:
    """How calls like this one run, but for the loop, if they need no more than a loop.

    Args:
        call: one that was checked and ran.
        output: what it gives.
        takes_g: whether a cotangent stands first.
        keeps: whether the result of a row is a row.
    """
    first, *others = call.given
    axes = first.argument.axes
    last = call.extras["axis"] == -1 and len(axes) == 1 and axes[0].at is None and axes[0].parts == 1
    if not last or first.argument.role != "tensor" or not all(g.absent for g in others):
        return None
    if call.precision.result != call.precision.compute or first.array.dtype != call.precision.compute:
        return None
    tall = (*((bool(call.variant.axes),) if takes_g else ()), True)
    depths = tuple(map(len, call.variant.walks.get(output, ())))
    return ReadyRows(call.numbers, call.precision.compute, keeps, tall, (None,) * len(others), depths)
