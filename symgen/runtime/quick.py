"""Calls of plain arrays, remembered: the second call of a kind runs its loop at once, without reading its arguments.

What decides how such a call runs is the dtype of its arrays and whatever else it was given. Both are the key under
which the first call, fully checked, leaves what it ran. Everything unusual misses, and is checked from the beginning.

Each attribute of an array that Python reads costs 20 to 60 nanoseconds, and the call of a method more: hence the order
of the tests, one reading of the flags, and a whole function for the one case that has to be fastest.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from numpy import empty, may_share_memory, ndarray

from .binding import MISSING
from .dtypes import Array, DType
from .execute import CONTIGUOUS, WRITEABLE, Loop
from .placed import ReadyPlaced
from .quick_losses import ReadyLoss
from .quick_rows import ReadyRows
from .remembered import ReadyKernel, ReadyRowLoss, key
from .threads import CUT, spread

KINDS: Final = 64  # of call that a method remembers before it starts afresh
PLAIN: Final = frozenset({float, int, str, bool, type(None), tuple})
FILLABLE: Final = CONTIGUOUS | WRITEABLE
READ_AGAIN: Final = frozenset({"where", "check"})  # keywords whose work a loop alone does not do


@dataclass(frozen=True, slots=True)
class Ready:
    """How a call of plain arrays runs.

    Attributes:
        loop: takes the arrays, the numbers, and the results.
        numbers: the numeric options.
        dtype: of every array and every result.
        results: how many arrays the loop writes.
        wrap: makes what the call returns of a list of several results.
    """

    loop: Loop
    numbers: tuple[float, ...]
    dtype: DType
    results: int = 1
    wrap: Callable[[list[Array]], Any] = tuple


ByShape = ReadyKernel | ReadyRowLoss | ReadyPlaced
Known = Ready | ReadyRows | ReadyLoss | ByShape


class Quick:
    """A callable of arrays: what a call of this kind ran before it runs again, and the rest goes to ``_checked``.

    Args:
        checked: makes a call from its arguments and keywords; it returns the result, and how calls like it run if they
            need no more than a loop.
        arrays: how many arrays stand first among the arguments; 0 if no call is simple enough.
    """

    def __init__(self, checked: Callable[..., tuple[Any, Known | None]], arrays: int) -> None:
        self._checked = checked
        self._arrays = arrays
        self._known: dict[Any, Any] = {}  # Ready, ReadyRows or ReadyLoss
        self._seen: dict[Any, ByShape] = {}

    def _call(self, x: Any = MISSING, /, *more: Any, out: Any = None, **options: Any) -> Any:
        if type(x) is ndarray:
            if more or options:
                known = self._find(x, more, options)
            elif (known := self._known.get(x.dtype)) is not None and known.results == 1:
                shape, flags = x.shape, x.flags
                if len(shape) == 1 and shape[0] < CUT and flags.carray:
                    if out is None:
                        out = empty(shape, known.dtype)
                    elif (
                        type(out) is not ndarray or out.dtype is not known.dtype or out.shape != shape
                        or not (own := out.flags).carray
                        or (not (flags.owndata and own.owndata) and out is not x and may_share_memory(x, out))
                    ):  # fmt: skip
                        return self._again(known, (x,), out)
                    if known.numbers:
                        known.loop(x, *known.numbers, out)
                    else:
                        known.loop(x, out)
                    return out
            if known is not None:
                return self._again(known, (x, *more), out, options)
        return self._first((x, *more), out, options)

    if TYPE_CHECKING:  # so that stubs may say what each function takes
        def __call__(self, /, *args: Any, **kwargs: Any) -> Any: ...
    else:
        __call__ = _call

    def _again(self, known: Any, args: tuple[Any, ...], out: Any, options: dict[str, Any] | None = None) -> Any:
        """A call whose key was seen, of arrays of any shape: fully checked if they are not as plain as they look."""
        inputs = args[: self._arrays]
        if type(known) is not Ready:
            found = known.run(inputs, out) if len(inputs) == self._arrays else None
            return self._first(args, out, options or {}) if found is None else found
        if len(inputs) < self._arrays or (results := _results(known, inputs, out)) is None:
            return self._first(args, out, options or {})
        _run(known, inputs, results)
        if out is None and not results[0].ndim:
            results = [r[()] for r in results]  # as NumPy's functions return them
        if known.results > 1:
            return known.wrap(results)
        return results[0] if out is None else out

    def _first(self, args: tuple[Any, ...], out: Any, options: dict[str, Any]) -> Any:
        """A call that is checked, and remembered if calls like it need no checks."""
        args = () if args[0] is MISSING else args
        if out is not None:
            options["out"] = out
        if self._seen and (known := self._seen.get(key(args, options))) is not None:
            found = known.run([v for v in (*args, *options.values()) if type(v) is ndarray])
            if found is not None:
                return found
        result, ready = self._checked(args, options)
        if isinstance(ready, ByShape):
            self._remember_shapes(ready, args, options)
        elif ready is not None:
            self._remember(ready, args, options)
        return result

    def _remember_shapes(self, ready: ByShape, args: tuple[Any, ...], options: dict[str, Any]) -> None:
        if (kind := key(args, options)) is not None:
            if len(self._seen) >= KINDS:
                self._seen.clear()
            self._seen[kind] = ready

    def _find(self, x: Array, more: tuple[Any, ...], options: dict[str, Any]) -> Any:
        """What ran before for arguments like these, of which the arrays are not looked at yet."""
        others = self._arrays - 1
        if not options and len(more) == others:
            return self._known.get((x.dtype,))
        try:
            return self._known.get(_key(x.dtype, more[others:], options))
        except TypeError:  # something that cannot be a key, such as an array
            return None

    def _remember(self, ready: Ready | ReadyRows | ReadyLoss, args: tuple[Any, ...], options: dict[str, Any]) -> None:
        arrays, rest = args[: self._arrays], args[self._arrays :]
        named = {name: value for name, value in options.items() if name != "out"}
        values = (*rest, *named.values())
        if not arrays or len(arrays) < self._arrays or not READ_AGAIN.isdisjoint(named):
            return
        if not all(type(a) is ndarray and a.dtype == ready.dtype for a in arrays):
            return
        if type(ready) is Ready and any(a.shape != arrays[0].shape for a in arrays):
            return
        # Zeros of either sign are equal as keys, and a shared value would be taken for the other.
        if any(type(v) not in PLAIN or (type(v) is float and v == 0) for v in values):
            return
        if len(self._known) >= KINDS:
            self._known.clear()
        alone = ready.dtype if self._arrays == 1 else (ready.dtype,)
        self._known[_key(ready.dtype, rest, named) if rest or named else alone] = ready


def _key(dtype: DType, rest: tuple[Any, ...], options: dict[str, Any]) -> tuple[Any, ...]:
    values = (*rest, *options.values())
    return dtype, len(rest), tuple(options), values, tuple(map(type, values))  # the types: True equals 1 and 1.0


def _run(known: Ready, inputs: tuple[Array, ...], results: list[Array]) -> None:
    x = inputs[0]
    if x.ndim == 1 and len(x) < CUT:
        known.loop(*inputs, *known.numbers, *results)
    else:
        spread(known.loop, [a.ravel() for a in inputs], known.numbers, [a.ravel() for a in results])


def _results(known: Ready, inputs: tuple[Any, ...], out: Any) -> list[Array] | None:
    """Where results go, or None where not all are plain arrays of one dtype and shape, the results apart from all."""
    dtype, shape = known.dtype, inputs[0].shape
    for a in inputs:
        if type(a) is not ndarray or a.dtype is not dtype or a.shape != shape:
            return None
        if a.flags.num & CONTIGUOUS != CONTIGUOUS:
            return None
    if out is None:
        return [empty(shape, dtype) for _ in range(known.results)]
    outs = list(out) if type(out) is tuple and known.results > 1 else [out]
    fine = len(outs) == known.results and all(
        type(each) is ndarray and each.dtype is dtype and each.shape == shape and each.flags.num & FILLABLE == FILLABLE
        for each in outs
    )
    return outs if fine and _apart(inputs, outs) else None


def _apart(inputs: tuple[Array, ...], outs: list[Array]) -> bool:
    for i, each in enumerate(outs):
        for other in (*inputs, *outs[:i]):
            if may_share_memory(each, other):
                return False
    return True
