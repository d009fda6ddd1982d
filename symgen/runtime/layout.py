"""Rows: operands of any shape as arrays of samples, each with its own axes last, and results back in their places."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any, Final, NamedTuple

import numpy as np

from .conditions import number
from .dtypes import FLOAT64, Array, DType
from .errors import GeneratedPackageError
from .manifest import Argument, Axis
from .operands import Shape, broadcast, read_array, to_array

INT64 = np.dtype(np.int64)
BOOL = np.dtype(np.bool_)
LARGE: Final = 1 << 14  # elements from which a copy across memory is worth a loop in Python
LONG: Final = 512  # cache lines that the first-level cache holds, of 64 bytes in 32 kilobytes
SLAB: Final = 8  # elements along the axis: NumPy walks the others without leaving the lines that it has read


class Given(NamedTuple):
    """One operand as it was passed. ``argument`` has one role, also where the spec leaves several."""

    argument: Argument
    array: Array
    weak: type | None
    passed: bool

    @property
    def shared(self) -> bool:
        """Whether all samples share it, as they share a weight for each class."""
        role = self.argument.role
        return role == "param" or (role == "weight" and bool(self.argument.axes))

    @property
    def is_array(self) -> bool:
        return self.passed and self.weak is None

    @property
    def absent(self) -> bool:
        """Whether it is a mask that leaves nothing out, for which kernels take None."""
        return not self.passed and self.argument.role == "mask" and len(self.argument.axes) == 1


class Layout(NamedTuple):
    """Where samples lie: the batch's shape, the axes of a sample in a whole operand, and the lengths by name."""

    batch: Shape
    positions: tuple[int, ...]
    lengths: dict[str, int]

    @property
    def rows(self) -> int:
        return math.prod(self.batch)

    def shape(self, axes: Sequence[str]) -> Shape:
        """The shape of a result of some axes, which stand where the operand had them, or at the end."""
        if not axes:
            return self.batch
        shape = list(self.batch)
        for position, axis in zip(self.positions, axes, strict=True):
            shape.insert(position, self.lengths[axis])
        return tuple(shape)


def take(function: str, argument: Argument, value: Any) -> Given:
    """Read one operand; None stands for its default.

    Raises:
        TypeError: of the wrong dtype, or nothing where something is needed.
    """
    passed = value is not None and not (argument.role == "mask" and value is True)
    if not passed and argument.required:
        raise TypeError(f"{function}(): {argument.name} must be an array, got None")
    if argument.kinds:
        argument = _kind(function, argument, value)
    given = value if passed else number(argument.default)
    if argument.role in ("index", "labels"):
        return Given(argument, _whole(function, argument.name, given), None, passed)
    if argument.role == "mask":
        mask = read_array(function, argument.name, given if passed else True)
        if mask.dtype != BOOL:
            raise TypeError(f"{function}(): {argument.name} has dtype {mask.dtype}; expected bool")
        return Given(argument, mask, None, passed)
    array, weak = to_array(function, argument.name, given)
    return Given(argument, array, weak, passed)


def _kind(function: str, argument: Argument, value: Any) -> Argument:
    """The one of several roles that an array's dtype tells."""
    kind = "index" if read_array(function, argument.name, value).dtype.kind in "iu" else "prob"
    return next((k for k in argument.kinds if k.role == kind), argument.kinds[0])


def _whole(function: str, name: str, value: Any) -> Array:
    array = read_array(function, name, value)
    if array.dtype.kind not in "iu":
        raise TypeError(f"{function}(): {name} has dtype {array.dtype}; expected integers, the positions of classes")
    return array.astype(INT64, copy=False)


def place(function: str, axis: Axis, ndim: int, moved: int) -> int:
    """Where an axis stands in an array of so many axes.

    Raises:
        ValueError: the array has no such axis.
    """
    at = moved if axis.at is None else axis.at
    if not isinstance(at, int):
        raise GeneratedPackageError(f"{function}: axis {axis.name} at {axis.at!r} needs a newer runtime")
    if axis.at is not None and ndim == 1:
        return 0
    if not -ndim <= at < ndim:
        what = f"axis={at}" if axis.at is None else f"axis {at} ({axis.name})"
        raise ValueError(f"{function}(): {what} is out of range for operands of {ndim} axes")
    return at % ndim


def layout(function: str, given: Sequence[Given], moved: int) -> tuple[Layout, list[Array]]:
    """How the operands of a call lie, and each at its common shape.

    Raises:
        ValueError: shapes that do not fit; the message has every name and shape.
    """
    whole = [g for g in given if g.argument.axes and not g.shared]
    first = whole[0].argument
    alike = [g for g in whole if g.argument.axes == first.axes]
    shape = broadcast(function, [(g.argument.name, g.array.shape) for g in alike])
    check_rank(function, first, shape)
    positions = tuple(place(function, a, len(shape), moved) for a in first.axes)
    _check_alike(function, alike, shape, [p for a, p in zip(first.axes, positions, strict=True) if a.at is not None])
    batch = tuple(n for i, n in enumerate(shape) if i not in positions)
    lengths: dict[str, int] = {}
    for axis, position in zip(first.axes, positions, strict=True):
        lengths |= lengths_of(function, first.name, axis, shape[position])
    found = Layout(batch, positions, lengths)
    return found, [_fitted(function, g, g in alike, shape, found, first.name) for g in given]


def check_rank(function: str, first: Argument, shape: Shape) -> None:
    """Check that an array has all of its axes, and no more than it may.

    Raises:
        ValueError: the message has its shape.
    """
    if len(shape) < len(first.axes):
        raise ValueError(f"{function}(): {first.name} has shape {shape}; it needs an axis {first.axes[0].name}")
    for axis in first.axes:
        if 0 < axis.rank < len(shape):
            own = ", ".join(a.name for a in first.axes)
            wanted = " or ".join(f"({'N, ' * n}{own})" for n in range(1 + axis.rank - len(first.axes)))
            raise ValueError(f"{function}(): {first.name} has shape {shape}; expected {wanted}")


def _check_alike(function: str, alike: Sequence[Given], shape: Shape, fixed: Sequence[int]) -> None:
    """Operands do not broadcast along an axis that stands at a fixed place, as classes do."""
    for g in alike:
        found = g.array.shape
        if g.passed and fixed and (len(found) != len(shape) or any(found[p] != shape[p] for p in fixed)):
            raise ValueError(f"{function}(): {g.argument.name} has shape {found}; expected {shape}")


def lengths_of(function: str, name: str, axis: Axis, length: int) -> dict[str, int]:
    """The lengths that an axis stands for, by name: its own, and where it has parts their number too.

    Raises:
        ValueError: it cannot be split into so many.
    """
    if axis.parts == 1:
        return {axis.name: length}
    if length % axis.parts or (not axis.name and length != axis.parts):
        wanted = f"a multiple of {axis.parts}" if axis.name else str(axis.parts)
        raise ValueError(f"{function}(): {name} has length {length} along its axis; expected {wanted}")
    own = {axis.name: length // axis.parts} if axis.name else {}
    return {str(axis.parts): axis.parts, **own}


def _fitted(function: str, g: Given, alike: bool, shape: Shape, found: Layout, first: str) -> Array:
    """One operand at the shape that the call has for it."""
    name, array = g.argument.name, g.array
    if alike:
        return np.broadcast_to(array, shape)
    if g.shared:
        wanted = tuple(found.lengths[a.name] for a in g.argument.axes)
        if array.shape in ((), (1,)):
            return np.broadcast_to(array.reshape(()), wanted)
        if array.shape != wanted:
            what = "class" if g.argument.role == "weight" else "entry of a row"
            raise ValueError(f"{function}(): {name} has shape {array.shape}; expected {wanted}, one for each {what}")
        return array
    if not g.argument.axes and (array.shape == found.batch or (g.argument.role != "index" and array.size == 1)):
        return np.broadcast_to(array.reshape(() if array.shape != found.batch else array.shape), found.batch)
    raise ValueError(f"{function}(): {name} has shape {array.shape}; expected {found.batch} for {first} of {shape}")


def samples(array: Array, given: Given, found: Layout, dtype: DType) -> Array:
    """An operand as contiguous rows, a single one where all are the same."""
    if given.shared:
        return np.ascontiguousarray(array, FLOAT64)
    axes = given.argument.axes
    if axes:
        array = np.moveaxis(array, found.positions, range(-len(axes), 0))
    split = array.ndim - len(axes)
    batch, inner = array.shape[:split], array.shape[split:]
    if all(step == 0 or n == 1 for step, n in zip(array.strides[:split], batch, strict=True)) and math.prod(batch) > 0:
        array, batch = array[(slice(0, 1),) * split], (1,)
    wanted = INT64 if given.argument.role in ("index", "labels") else BOOL if given.argument.role == "mask" else dtype
    return contiguous(array, wanted).reshape(math.prod(batch), *_unpacked(axes, inner))


def contiguous(array: Array, dtype: DType) -> Array:
    """An array as one run of memory in this dtype, itself if it is that."""
    if array.flags.c_contiguous and array.flags.aligned and array.dtype == dtype:
        return array
    result = np.empty(array.shape, dtype)
    for slab in slabs(array):
        result[slab] = array[slab]
    return result


def slabs(array: Array) -> Iterator[Any]:
    """The parts in which an array is best copied to a contiguous one: of one whose last axis is no run, a few columns.

    NumPy follows the target's memory: it then walks the other axes without leaving the cache lines that it has read.
    """
    if array.ndim < 2 or array.shape[-1] < LONG or array.size < LARGE or array.strides[-1] == array.itemsize:
        yield ...
        return
    for i in range(0, array.shape[-1], SLAB):
        yield ..., slice(i, i + SLAB)


def _unpacked(axes: Sequence[Axis], inner: Shape) -> list[int]:
    lengths: list[int] = []
    for axis, length in zip(axes, inner, strict=True):
        lengths += [axis.parts, length // axis.parts] if axis.parts > 1 and axis.name else [length]
    return lengths


def check_positions(function: str, given: Sequence[Given], found: Layout, options: dict[str, Any]) -> None:
    """Check that an index names a class, or something that the definition passes over; a list is ended by -1.

    Raises:
        ValueError: the message counts those that do not, and shows the first.
    """
    for g in given:
        if g.argument.role not in ("index", "labels"):
            continue
        size = found.lengths[g.argument.of]
        least = -1 if g.argument.role == "labels" else 0
        outside = (g.array < least) | (g.array >= size)
        for option in g.argument.beside:
            outside &= g.array != options[option]
        if outside.any():
            first = tuple(int(i) for i in np.argwhere(outside)[0])
            also = "".join(f" and is not {o}={options[o]}" for o in g.argument.beside)
            raise ValueError(
                f"{function}(): {g.argument.name} holds {int(g.array[first])} at index {first}, which is no class of "
                f"{least} to {size - 1}{also}; {int(outside.sum())} of {g.array.size} are outside"
            )


def check_skipped(function: str, argument: Argument, options: dict[str, Any]) -> None:
    """Refuse a class to be passed over where classes are given by their probabilities.

    Raises:
        ValueError: an option names a class, and there is no index that it could be compared with.
    """
    for option in next((k.beside for k in argument.kinds if k.role == "index"), ()):
        if options[option] >= 0:
            raise ValueError(
                f"{function}(): {option}={options[option]} names a class, but {argument.name} holds probabilities"
            )


def check_weights(function: str, given: Sequence[Given]) -> None:
    """Check weights of classes, of which there are few.

    Raises:
        ValueError: one is negative.
    """
    for g in given:
        if g.shared and g.argument.role == "weight" and g.passed and (g.array < 0).any():
            worst = int(np.argmin(g.array))
            raise ValueError(
                f"{function}(): {g.argument.name} must be >= 0, but is {g.array.ravel()[worst]:g} for class {worst}"
            )
