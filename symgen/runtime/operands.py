"""Operands: what was passed, as arrays that broadcast against each other, with parameters moved to their axis."""

from __future__ import annotations

from collections import UserList, deque
from collections.abc import Callable, Collection, Iterable
from typing import Any, NamedTuple

import numpy as np

from .conditions import SYMBOLS, number
from .dtypes import ACCEPTED, DOUBLE, NATIVE, Array, DType, Precision, common_precision, precision_of
from .errors import GeneratedPackageError
from .manifest import WALKED_ROLES, Argument, Axis

Shape = tuple[int, ...]
SEQUENCES = (list, tuple, UserList, deque)
DEPTH = 64  # of nested lists: the most axes that NumPy has


class Operand(NamedTuple):
    """One operand of a call. ``placed`` broadcasts; ``array`` is as it was passed."""

    argument: Argument
    array: Array
    placed: Array
    weak: type | None  # int or float where a Python scalar was passed
    passed: bool  # False where the default stands in

    @property
    def is_array(self) -> bool:
        return self.passed and self.weak is None


def refuse_mask(function: str, name: str, value: Any, instead: str = "{0}.filled(...) or {0}.data") -> None:
    """Refuse a masked array.

    Raises:
        TypeError: the value is one, whatever its mask.
    """
    if isinstance(value, np.ma.MaskedArray):
        advice = instead.format(name)
        raise TypeError(f"{function}(): {name} is a masked array, whose mask would be lost; pass {advice}")


def _hides_mask(kind: type) -> bool:
    """Whether an item of this type may be a masked array, hold one, or become one."""
    if issubclass(kind, np.generic) or kind is np.ndarray:
        return False
    return issubclass(kind, SEQUENCES) or hasattr(kind, "__array__")


def _unmasked(function: str, name: str, value: Any, depth: int = 0) -> Any:
    """A value as NumPy may read it without losing a mask: what has __array__ inside of lists is an array then."""
    if isinstance(value, SEQUENCES):
        # Long lists of numbers are the usual case: their types are gathered at the speed of C.
        if depth > DEPTH or not any(_hides_mask(kind) for kind in set(map(type, value))):
            return value
        return [_unmasked(function, f"{name}[{i}]", item, depth + 1) for i, item in enumerate(value)]
    if _hides_mask(type(value)):
        value = _converted(function, name, value, np.asanyarray)
        refuse_mask(function, name, value)
    return value


def read_array(function: str, name: str, value: Any) -> Array:
    """What NumPy makes of a value.

    Raises:
        TypeError: nothing, or a mask would be lost.
        ValueError: a ragged list.
    """
    return _converted(function, name, _unmasked(function, name, value), np.asarray)


def _converted(function: str, name: str, value: Any, convert: Callable[[Any], Array]) -> Array:
    try:
        return convert(value)
    except ValueError as error:
        raise ValueError(f"{function}(): {name} is no array: {error}") from None
    except (TypeError, RuntimeError) as error:
        raise TypeError(f"{function}(): {name} is no array: {error}") from None


def to_array(function: str, name: str, value: Any) -> tuple[Array, type | None]:
    """The array behind an operand, and the kind of a Python scalar.

    Raises:
        TypeError: not an array, a list or a number, or of a dtype that is not accepted.
        ValueError: a ragged list, or a number too large for float64.
    """
    if type(value) is np.ndarray and value.dtype in NATIVE:
        return value, None
    if type(value) in (int, float):
        try:
            return np.asarray(float(value)), type(value)
        except OverflowError:
            raise ValueError(f"{function}(): {name} is an integer too large for float64") from None
    array = read_array(function, name, value)
    if precision_of(array.dtype) is None:
        what = f"has dtype {array.dtype}" if isinstance(value, np.ndarray | np.generic | list | tuple) else (
            f"is a {type(value).__name__}, which NumPy reads as dtype {array.dtype}")
        raise TypeError(f"{function}(): {name} {what}; expected {ACCEPTED}")
    return array, None


def axis_index(function: str, axis: Axis, ndim: int) -> int | None:
    """Which axis of an array of ``ndim`` axes a named axis is; None where an optional axis is missing."""
    if axis.at is not None and not isinstance(axis.at, int):
        raise GeneratedPackageError(f"{function}: axis {axis.name} at {axis.at!r} needs a newer runtime")
    at = -1 if axis.at is None else axis.at
    if -ndim <= at < ndim:
        return at % ndim
    if axis.optional:
        return None
    if ndim == 1:
        return 0
    raise ValueError(f"{function}(): needs axis {at} ({axis.name}), but the operands have {ndim} axes")


def channel_axis(function: str, argument: Argument, ndim: int) -> int | None:
    """The axis along which a parameter varies, or None for one that is shared by everything."""
    if len(argument.axes) > 1:
        raise GeneratedPackageError(f"{function}: {argument.name} has several axes, which needs a newer runtime")
    return axis_index(function, argument.axes[0], ndim) if argument.axes else None


def place(function: str, argument: Argument, array: Array, shape: Shape) -> Array:
    """A parameter as a view that broadcasts against tensors of this shape.

    Raises:
        ValueError: its shape is neither one value nor one for each channel.
    """
    if array.ndim == 0:
        return array
    axis = channel_axis(function, argument, len(shape))
    if array.shape == (1,):
        return array.reshape(())
    if axis is not None and array.shape == (shape[axis],):
        return array.reshape((-1,) + (1,) * (len(shape) - 1 - axis))
    wanted = "() or (1,)" if axis is None else f"(), (1,) or ({shape[axis]},), one for each along axis {axis},"
    raise ValueError(
        f"{function}(): {argument.name} has shape {array.shape}; expected {wanted} for operands of shape {shape}"
    )


def lone(wrt: Any) -> Any:
    """What names one operand: a string, or a tuple or list of one; anything else as it is, for an error to show."""
    return wrt[0] if isinstance(wrt, tuple | list) and len(wrt) == 1 else wrt


def broadcast(function: str, named: list[tuple[str, Shape]]) -> Shape:
    """The common shape of named operands.

    Raises:
        ValueError: they do not broadcast; the message has every name and shape.
    """
    if all(shape == named[0][1] for _, shape in named):
        return named[0][1] if named else ()
    try:
        return np.broadcast_shapes(*(shape for _, shape in named))
    except ValueError:
        shown = ", ".join(f"{name} has shape {shape}" for name, shape in named)
        raise ValueError(f"{function}(): operands do not broadcast together: {shown}") from None


def gather(function: str, arguments: tuple[Argument, ...], values: list[Any]) -> tuple[list[Operand], Shape]:
    """The operands of a call and the shape of its result. A value of None stands for the argument's default."""
    read = []
    for argument, value in zip(arguments, values, strict=True):
        passed = value is not None
        if not passed and argument.required:
            raise TypeError(f"{function}(): {argument.name} must be an array or a number, got None")
        array, weak = to_array(function, argument.name, value if passed else number(argument.default))
        read.append((argument, array, weak, passed))
    shape = broadcast(function, [(a.name, array.shape) for a, array, _, _ in read if a.role in WALKED_ROLES])
    operands = [
        Operand(a, array, place(function, a, array, shape) if a.role == "param" else array, weak, passed)
        for a, array, weak, passed in read
    ]
    return operands, shape


def promote(function: str, operands: list[Operand], extra: tuple[str, Array, type | None] | None = None) -> Precision:
    """The precision of a call; ``extra`` is a cotangent.

    Raises:
        TypeError: the dtypes have no common dtype; the message has every name and dtype.
    """
    read = [(o.argument.name, o.array, o.weak) for o in operands if o.passed]
    if extra is not None:
        read.append(extra)
    if len(read) == 1 and read[0][2] is None:
        return precision_of(read[0][1].dtype) or DOUBLE
    dtypes: list[DType] = list(dict.fromkeys(array.dtype for _, array, weak in read if weak is None))
    try:
        return common_precision(dtypes, [weak for _, _, weak in read if weak is not None])
    except TypeError:
        shown = ", ".join(f"{name} has dtype {array.dtype}" for name, array, weak in read if weak is None)
        raise TypeError(f"{function}(): operands have no common dtype: {shown}; cast one of them") from None


def refuse_integers(function: str, logits: Collection[str], operands: Iterable[Any]) -> None:
    """Integers where scores are wanted are a sign of operands that changed places.

    Raises:
        TypeError: an array of them; a Python number is taken for what it is worth.
    """
    for operand in operands if logits else ():
        if operand.argument.name in logits and operand.is_array and operand.array.dtype.kind in "iub":
            raise TypeError(f"{function}(): {operand.argument.name} has dtype {operand.array.dtype}; expected floats")


def check_limits(function: str, operands: list[Operand]) -> None:
    """Check tensor values against the domain that the spec states.

    Raises:
        ValueError: an element is outside; the message counts them and shows the first. NaN passes: NaN in, NaN out.
    """
    for operand in operands:
        for symbol, bound in operand.argument.limits:
            array = operand.array.astype(np.float64, copy=False)
            outside = ~(SYMBOLS[symbol](array, number(bound)) | np.isnan(array))
            count = int(np.count_nonzero(outside))
            if count:
                first = tuple(int(i) for i in np.argwhere(outside)[0])
                raise ValueError(
                    f"{function}(): {operand.argument.name} must be {symbol} {number(bound):g} everywhere, "
                    f"but {count} of {array.size} elements are not; the first is {array[first]:g} at index {first}"
                )
