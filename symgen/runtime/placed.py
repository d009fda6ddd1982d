"""Small calls whose operands differ in shape, remembered by these: each is spread out, and one loop runs over all.

A parameter lies along an axis of its own, and tensors may broadcast. NumPy's iterator handles any of it, at a price
that only many elements are worth.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from .dtypes import Array, DType
from .execute import BUFFER, CONTIGUOUS, Loop, finish

if TYPE_CHECKING:
    from .calls import Call
    from .operands import Shape
    from .quick import Ready


@dataclass(frozen=True, slots=True)
class ReadyPlaced:
    """How a call of arrays of known shapes runs.

    Attributes:
        loop: takes the operands, the numbers and the results.
        inputs: the operands at their final size; None for those that are passed.
        slots: of each array that is passed, in that order, which operand it is, and its shape among the others.
        numbers: the numeric options.
        shape: of every result.
        dtype: of the loop, and so of every array.
        results: how many arrays the loop writes.
        wrap: makes what the call returns of a list of several results.
    """

    loop: Loop
    inputs: tuple[Array | None, ...]
    slots: tuple[tuple[int, Shape], ...]
    numbers: tuple[float, ...]
    shape: Shape
    dtype: DType
    results: int
    wrap: Callable[[list[Array]], Any]

    def run(self, arrays: Sequence[Array]) -> Any:
        """The results, or None where an array is not one run of memory."""
        inputs = list(self.inputs)
        for (at, shape), a in zip(self.slots, arrays, strict=True):
            if a.flags.num & CONTIGUOUS != CONTIGUOUS:
                return None
            inputs[at] = a.ravel() if a.shape == self.shape else _spread(a.reshape(shape), self.shape)
        results = [np.empty(self.shape, self.dtype) for _ in range(self.results)]
        self.loop(*inputs, *self.numbers, *[r.ravel() for r in results])
        done = [finish(r) for r in results]
        return done[0] if self.results == 1 else self.wrap(done)


def by_shape(call: Call, args: Sequence[Any], options: Mapping[str, Any], ready: Ready | None,
             leading: Array | None = None) -> Ready | ReadyPlaced | None:
    """How calls like one run: of operands of one shape as they are, else with these spread out.

    Args:
        call: one that was checked.
        args: as they were passed.
        options: the keywords.
        ready: its loop, numbers, dtype and results; None if it took more than a loop.
        leading: an array that the loop takes before the operands.
    """
    if all(o.argument.role == "tensor" and o.array.shape == call.shape for o in call.operands):
        return ready
    passed = [v for v in (*args, *options.values()) if type(v) is np.ndarray]
    if ready is None or call.extras.get("where", True) is not True or np.prod(call.shape) > BUFFER:
        return None
    first = [] if leading is None else [leading]
    known = {id(a): i for i, a in enumerate((*first, *(o.array for o in call.operands)))}
    placed = [*first, *(o.placed for o in call.operands)]
    at = [known.get(id(v), -1) for v in passed]
    if -1 in at or len(set(at)) < len(at) or any(v.dtype != ready.dtype for v in passed):
        return None
    inputs = [None if i in at else _spread(np.asarray(a, ready.dtype), call.shape) for i, a in enumerate(placed)]
    slots = tuple((i, placed[i].shape) for i in at)
    return ReadyPlaced(ready.loop, tuple(inputs), slots, ready.numbers, call.shape, ready.dtype, ready.results,
                       ready.wrap)


def _spread(a: Array, shape: Shape) -> Array:
    whole = np.empty(shape, a.dtype)
    whole[...] = a
    return whole.ravel()
