"""Calls over rows of several arrays, remembered by the shapes of these: kernels at once, without reading arguments.

Training makes the same call again and again, with other numbers. The first one is fully checked. It leaves how its
arrays lie as rows, and which kernels ran; a later one still has its classes and its class weights checked, for these
are numbers, too.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from .dtypes import FLOAT64, Array, DType
from .execute import CONTIGUOUS, bare, finish
from .layout import check_positions, check_weights
from .quick_losses import LARGEST
from .sums import total
from .threads import CUT, in_chunks

if TYPE_CHECKING:
    from .layout import Given, Layout
    from .operands import Shape
    from .rows import RowCall

PLAIN: Final = frozenset({float, int, str, bool, type(None)})
FULL: Final = frozenset({"out", "check", "keepdims", "keepdim"})  # keywords whose work kernels alone do not do
UINT64: Final = np.dtype(np.uint64)
Kernel = Callable[..., None]


def key(args: Sequence[Any], options: Mapping[str, Any]) -> tuple[Any, ...] | None:
    """What decides how a call runs: of arrays dtype and shape, and the other values; None where these are not plain."""
    found: list[Any] = [len(args), *options]
    for v in (*args, *options.values()):
        if type(v) is np.ndarray:
            found.append((v.dtype, v.shape))
        elif type(v) in PLAIN:
            found.append((type(v), v or repr(v)))  # True equals 1, and zeros of either sign are equal
        else:
            return None
    return tuple(found) if FULL.isdisjoint(options) else None


class Slot(NamedTuple):
    """Where an array goes among the inputs of the kernels.

    Attributes:
        at: which input.
        shape: as rows; None for numbers that all rows share, which kernels take as float64.
        given: the operand, if it holds classes or weights, which are checked.
        size: how many classes there are.
    """

    at: int
    shape: Shape | None
    given: Given | None
    size: int


@dataclass(frozen=True, slots=True)
class Rows:
    """Arrays of known shapes as inputs of kernels.

    Attributes:
        method: what is called, for messages.
        slots: one for each array that is passed, in that order.
        inputs: of all operands; those that are passed are replaced.
        fixed: of each input whether all rows share it.
        numbers: the numeric options.
        options: all options.
        layout: of the call.
    """

    method: str
    slots: tuple[Slot, ...]
    inputs: tuple[Array | None, ...]
    fixed: tuple[bool, ...]
    numbers: tuple[float, ...]
    options: dict[str, Any]
    layout: Layout

    def read(self, arrays: Sequence[Array]) -> list[Array | None] | None:
        """The inputs, or None if an array is not one run of memory.

        Raises:
            ValueError: no such class, or a negative weight of one.
        """
        inputs = list(self.inputs)
        for (at, shape, given, size), a in zip(self.slots, arrays, strict=True):
            if a.flags.num & CONTIGUOUS != CONTIGUOUS:
                return None
            if given is not None:
                if not size:
                    check_weights(self.method, [given._replace(array=a)])
                elif int(a.view(UINT64).max()) >= size:  # a negative number is a large one
                    check_positions(self.method, [given._replace(array=a)], self.layout, self.options)
            inputs[at] = np.ascontiguousarray(a, FLOAT64) if shape is None else a.reshape(shape)
        return inputs

    def run(self, kernel: Walk, inputs: Sequence[Array | None], outputs: Sequence[Array]) -> None:
        """Run a kernel over all rows."""
        over_rows(kernel, inputs, self.fixed, self.numbers, outputs, self.layout.rows)


class Walk(NamedTuple):
    """A kernel over rows.

    Attributes:
        loop: takes inputs, numbers and outputs, as rows.
        work: how many entries it walks over in a row.
    """

    loop: Kernel
    work: int


def over_rows(kernel: Walk, inputs: Sequence[Array | None], fixed: Sequence[bool], numbers: Sequence[float],
              outputs: Sequence[Array], rows: int) -> None:
    """Run a kernel over all rows, on several threads where that is faster.

    Args:
        kernel: what runs.
        inputs: of one row or all of them; None where an operand was left out.
        fixed: of each input whether all rows share it.
        numbers: the numeric options.
        outputs: of all rows.
        rows: how many there are.
    """

    def task(start: int, stop: int) -> None:
        taken = [a if f or a is None or len(a) == 1 else a[start:stop] for a, f in zip(inputs, fixed, strict=True)]
        loop(*taken, *numbers, *[o[start:stop] for o in outputs])

    loop, work = kernel
    if rows == 1 or rows * work < CUT:
        loop(*inputs, *numbers, *outputs)
    else:
        in_chunks(task, rows, work)


def rows_of(call: RowCall, leading: Array | None = None) -> Rows | None:
    """How calls like this one lie, if each array that was passed is rows as it is.

    Args:
        call: one that was checked.
        leading: the rows of a first argument that is no operand.
    """
    if call.precision.result != call.precision.compute or not call.layout.rows:
        return None
    passed = dict(call.passed)
    if len(passed) < len(call.passed) or any(g.is_array and g.argument.name not in passed for g in call.given):
        return None  # a list, or what else became an array
    lead = 0 if leading is None else 1
    inputs: list[Array | None] = [*([leading] if lead else []), *call.inputs]
    names = [*[""] * lead, *(g.argument.name for g in call.given)]
    slots = []
    for name, array in passed.items():
        at = names.index(name) if name in names else -1
        slot = None if at < 0 else _slot(call, at, inputs[at], call.given[at - lead] if at >= lead else None, array)
        if slot is None:
            return None
        slots.append(slot)
    for slot in slots:
        inputs[slot.at] = None  # what is remembered keeps no array of a caller alive
    fixed = (*[False] * lead, *(g.shared or g.absent for g in call.given))
    return Rows(call.method, tuple(slots), tuple(inputs), fixed, call.numbers, dict(call.options), call.layout)


def _slot(call: RowCall, at: int, rows: Array | None, given: Given | None, array: Array) -> Slot | None:
    if rows is None or array.size != rows.size or array.flags.num & CONTIGUOUS != CONTIGUOUS:
        return None
    bare_given = None if given is None else given._replace(array=np.empty(0))
    if given is not None and given.shared:
        return Slot(at, None, bare_given if given.argument.role == "weight" else None, 0)
    if array.dtype != rows.dtype or not np.may_share_memory(array, rows):
        return None
    classes = given is not None and given.argument.role in ("index", "labels")
    size = call.layout.lengths[given.argument.of] if classes and given is not None else 0
    return Slot(at, rows.shape, bare_given if classes else None, size)


@dataclass(frozen=True, slots=True)
class ReadyKernel:
    """A call that is one kernel.

    Attributes:
        rows: how its arrays lie.
        kernel: what runs.
        outputs: of each result its shape, and that as rows.
        dtype: of every result.
    """

    rows: Rows
    kernel: Walk
    outputs: tuple[tuple[Shape, Shape], ...]
    dtype: DType

    def run(self, arrays: Sequence[Array]) -> Any:
        """The results, or None where the arrays are not as plain as they have to be."""
        inputs = self.rows.read(arrays)
        if inputs is None:
            return None
        results = [np.empty(shape, self.dtype) for shape, _ in self.outputs]
        placed = [r.reshape(shape) for r, (_, shape) in zip(results, self.outputs, strict=True)]
        self.rows.run(self.kernel, inputs, placed)
        return bare([finish(r) for r in results])


@dataclass(frozen=True, slots=True)
class ReadyRowLoss:
    """A loss of samples, reduced or not, with its gradients where they are asked for.

    Attributes:
        rows: how its arrays lie.
        kernel: of the losses, of the gradients, or of both.
        with_loss: whether the kernel gives the losses.
        share: the kernel of what each sample adds to the divisor, None where that is known.
        divisor: of the sum, where no kernel says it.
        shape: of the losses; None where they are reduced to a number.
        outputs: of each gradient its shape, and that as rows.
        dtype: of every result.
    """

    rows: Rows
    kernel: Walk
    with_loss: bool
    share: Walk | None
    divisor: float
    shape: Shape | None
    outputs: tuple[tuple[Shape, Shape], ...]
    dtype: DType

    def run(self, arrays: Sequence[Array]) -> Any:
        """The results, or None where the arrays are not as plain as they have to be."""
        how, count = self.rows, self.rows.layout.rows
        inputs = how.read(arrays)
        if inputs is None:
            return None
        divisor = self.divisor
        if self.share is not None:
            shares = np.empty(count)
            how.run(self.share, inputs, [shares])
            divisor = total(shares)
        if not divisor:
            return None
        fixed = how.fixed
        if self.outputs:
            inputs, fixed = [np.full(1, 1.0 / divisor), *inputs], (False, *fixed)
        results = [np.empty(shape, self.dtype) for shape, _ in self.outputs]
        placed = [r.reshape(shape) for r, (_, shape) in zip(results, self.outputs, strict=True)]
        if not self.with_loss:
            over_rows(self.kernel, inputs, fixed, how.numbers, placed, count)
            return bare(results)
        losses = np.empty(count)
        over_rows(self.kernel, inputs, fixed, how.numbers, [losses, *placed], count)
        loss = self._delivered(losses, divisor)
        if loss is None:
            return None
        return (loss, bare(results)) if results else loss

    def _delivered(self, losses: Array, divisor: float) -> Any:
        if self.shape is not None:
            with np.errstate(all="ignore"):
                return finish(losses.reshape(self.shape).astype(self.dtype))
        number = total(losses) / divisor
        # NumPy's conversion would warn, which the checked call does not
        return None if LARGEST[self.dtype] < abs(number) < np.inf else self.dtype.type(number)
