"""Rows that run along several axes: joined to one for the kernels, and taken apart again in what comes back.

NumPy's reductions and SciPy's softmax take a tuple of axes, or None for all of them; PyTorch's norms take a shape, that
of the last axes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import numpy as np

from .binding import MISSING
from .dtypes import Array
from .gradients import sum_to
from .layout import Given, take
from .operands import Shape, broadcast, lone
from .options import describe
from .rows import DIFFERENTIABLE, RowCaller, defaults, targets

Run = Callable[[RowCaller, tuple[Any, ...], Mapping[str, Any]], Any]
LEADING: Final = {"vjp": "g", "hvp": "v"}
SHAPE: Final = "normalized_shape"


def along(method: str, run: Run) -> Run:
    """A method of functions of rows, whose rows may run along several axes."""

    def called(caller: RowCaller, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        axis = kwargs.get("axis", kwargs.get("dim", -1))
        if SHAPE not in kwargs and axis is not None and not isinstance(axis, tuple | list):
            return run(caller, args, kwargs)
        return _joined(method, run, caller, args, dict(kwargs)), None

    return called


def _joined(method: str, run: Run, caller: RowCaller, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    function = caller.function
    name = f"{function.name}.{method}" if method else function.name
    leading = LEADING.get(method, "")
    _check_rows(name, caller, kwargs)
    shape, axis = kwargs.pop(SHAPE, None), kwargs.pop("axis", kwargs.pop("dim", -1))
    keepdims = function.drops_axis and bool(kwargs.pop("keepdims", kwargs.pop("keepdim", False)))
    binder = caller.binders[leading]
    more = {k: v for k, v in kwargs.items() if binder.aliases.get(k, k) not in binder.index}
    values = binder.bind(name, args, {k: v for k, v in kwargs.items() if k not in more}, {})
    operands = {
        a.name: take(name, a, None if values[i] is MISSING else values[i])
        for a, i in zip(function.operands, binder.operand_at, strict=True)
    }
    alike = [g for g in operands.values() if g.argument.axes and not g.shared]
    whole = broadcast(name, [(g.argument.name, g.array.shape) for g in alike])
    row = Row(whole, _places(name, axis, len(whole)) if shape is None else _last(name, shape, whole))
    passed = {
        n: _one_axis(name, v, operands.get(n), row)
        for n, v in zip(binder.names, values, strict=True) if v is not MISSING
    }  # fmt: skip
    for own in (passed, more):
        if "g" in own and method in LEADING:
            own["g"] = _cotangent(name, own["g"], row, keepdims, function.drops_axis)
    if leading == "v":
        moving = lone(more.get("wrt"))
        passed["v"] = _direction(name, passed["v"], next((g for n, g in operands.items() if n == moving), None), row)
    first = (passed.pop(leading),) if leading else ()
    found = run(caller, first, {**passed, **more})[0]
    if not method:
        return row.value(found, keepdims)
    call = caller.prepare(name, first, {**passed, "wrt": more.get("wrt")}, {**defaults(function), "wrt": None}, leading)
    wanted = targets(caller, call, DIFFERENTIABLE if method == "vjp" else ("tensor",))
    slopes = found[1] if method == "value_and_grad" else found
    several = isinstance(slopes, tuple)
    split = [row.gradient(s, operands.get(a.name)) for s, a in zip(slopes if several else (slopes,), wanted,
                                                                   strict=method != "hvp")]  # fmt: skip
    gradient = tuple(split) if several else split[0]
    return (row.value(found[0], keepdims), gradient) if method == "value_and_grad" else gradient


class Row:
    """The axes that a row runs along in an operand of some shape."""

    def __init__(self, whole: Shape, places: Sequence[int]) -> None:
        self.places = tuple(places)
        self.lengths = tuple(whole[p] for p in places)
        self.batch = tuple(n for i, n in enumerate(whole) if i not in places)
        self.whole = whole

    def join(self, array: Any) -> Any:
        """An array of the whole shape with its row last; one of the batch's as it is."""
        array = np.asarray(array)
        if array.shape != self.whole:  # what that is wrong about is said where rows are read
            return array
        last = np.moveaxis(array, self.places, range(-len(self.places), 0))
        return last.reshape(*self.batch, math.prod(self.lengths))

    def split(self, array: Array) -> Array:
        """The other way."""
        return np.moveaxis(array.reshape(*self.batch, *self.lengths), range(-len(self.places), 0), self.places)

    def value(self, array: Any, keepdims: bool) -> Any:
        """A result, which has the row or a number for it."""
        if np.shape(array) != self.batch:
            return self.split(array)
        return np.expand_dims(array, self.places) if keepdims else array

    def gradient(self, array: Any, operand: Given | None) -> Any:
        """A gradient at the shape of its operand."""
        if operand is None or not operand.argument.axes:
            return array
        if operand.shared:
            return np.reshape(array, operand.array.shape)
        found = self.split(array)
        if found.shape == operand.array.shape:
            return found
        return sum_to(found, operand.array.shape).astype(array.dtype)


def _direction(name: str, vector: Any, along: Given | None, row: Row) -> Any:
    """The direction of a second derivative, joined as the operand along which it is."""
    shared = along is not None and along.shared
    wanted = along.array.shape if along is not None and shared else row.whole
    if np.shape(vector) != wanted:
        raise ValueError(f"{name}(): v has shape {np.shape(vector)}; expected {wanted}")
    return row.join(vector) if not shared else np.ravel(vector) if wanted == row.lengths else vector


def _check_rows(name: str, caller: RowCaller, kwargs: Mapping[str, Any]) -> None:
    function = caller.function
    if not function.is_movable:
        raise TypeError(f"{name}() got an unexpected keyword argument 'axis'")
    if not function.joins_axes:
        raise TypeError(f"{name}(): axis must be an integer, as this axis is taken in parts")
    if SHAPE in kwargs and ("axis" in kwargs or "dim" in kwargs):
        raise TypeError(f"{name}() takes {SHAPE} or axis, not both")
    for own, other in (("axis", "dim"), ("keepdims", "keepdim")):
        if own in kwargs and other in kwargs:
            raise TypeError(f"{name}() got multiple values for argument {own!r}, which {other!r} is another name of")
    if kwargs.get("out") is not None:
        raise TypeError(f"{name}(): out is not supported along several axes")


def _places(name: str, axis: Any, ndim: int) -> tuple[int, ...]:
    """The axes of a tuple, or all of them, from the front.

    Raises:
        TypeError: an axis is no integer.
        ValueError: an axis that there is not, one that is named twice, or none.
    """
    if axis is None:
        axis = range(ndim)
    if any(isinstance(a, bool) or not isinstance(a, int | np.integer) for a in axis):
        raise TypeError(f"{name}(): axis must be an integer or a tuple of integers, got {describe(axis)}")
    found = tuple(int(a) % ndim for a in axis if -ndim <= a < ndim)
    if len(found) < len(axis) or len(set(found)) < len(found) or not found:
        wrong = "names no axis" if not axis else "names an axis twice" if len(found) == len(axis) else (
            f"is out of range for operands of {ndim} axes")  # fmt: skip
        raise ValueError(f"{name}(): axis={tuple(axis)} {wrong}")
    return found


def _last(name: str, shape: Any, whole: Shape) -> tuple[int, ...]:
    """The last axes, which have to be of this shape.

    Raises:
        ValueError: they are not.
    """
    wanted = (int(shape),) if isinstance(shape, int | np.integer) else tuple(int(n) for n in shape)
    if not wanted or whole[len(whole) - len(wanted):] != wanted or len(wanted) > len(whole):
        raise ValueError(f"{name}(): the input has shape {whole}, which does not end in {SHAPE}={wanted}")
    return tuple(range(len(whole) - len(wanted), len(whole)))


def _one_axis(name: str, value: Any, given: Given | None, row: Row) -> Any:
    """An argument as it is passed on: rows joined, what all rows share too."""
    if given is None or not given.argument.axes or not given.passed:
        return value
    if not given.shared:
        return row.join(np.broadcast_to(given.array, row.whole))
    if given.array.shape in ((), (1,)):
        return value
    if given.array.shape != row.lengths:
        raise ValueError(f"{name}(): {given.argument.name} has shape {given.array.shape}; expected {row.lengths}, "
                         "one for each entry of a row")  # fmt: skip
    return given.array.reshape(-1)


def _cotangent(name: str, g: Any, row: Row, keepdims: bool, drops: bool) -> Array:
    """A cotangent for rows along one axis.

    Raises:
        ValueError: it does not broadcast to the value's shape.
    """
    array = np.asarray(g)
    kept = tuple(1 if i in row.places else n for i, n in enumerate(row.whole))
    if drops:
        return array.reshape(row.batch) if keepdims and array.shape == kept else array
    try:
        whole = np.broadcast_to(array, row.whole)
    except ValueError:
        raise ValueError(
            f"{name}(): g has shape {array.shape}; it must broadcast to the output's shape {row.whole}"
        ) from None
    return np.asarray(row.join(whole))
