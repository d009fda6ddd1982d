"""Second derivatives of functions of rows, in one operand and times a vector of its shape."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from .calls import given_outputs
from .dtypes import FLOAT64, Array
from .errors import listing
from .gradients import sum_to
from .halves import kept
from .layout import Given, samples
from .operands import lone, to_array
from .rows import (
    Result,
    RowCall,
    RowCaller,
    axis_names,
    cotangent_of,
    cotangent_rows,
    defaults,
    delivered,
    folded,
    result_place,
    rounded_as,
    summed,
)


def hvp(caller: RowCaller, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> tuple[Any, None]:
    """The second derivative of ``sum(g * value)`` in one operand, times a vector of its shape."""
    function = caller.function
    extras = {**defaults(function), "wrt": None, "g": 1.0}
    call = caller.prepare(f"{function.name}.hvp", args, kwargs, extras, "v")
    g = cotangent_rows(call, cotangent_of(call, call.extras["g"]), call.precision.compute)
    return second(caller, call, g, *moving(caller, call)), None


def moving(caller: RowCaller, call: RowCall) -> tuple[Given, Array]:
    """The operand that ``wrt`` names, the first tensor if none, and the direction in which it moves.

    Raises:
        ValueError: ``wrt`` names none, or several; the direction has another shape.
    """
    method, wrt = call.method, call.extras["wrt"]
    vector, _ = to_array(method, "v", call.leading)
    tensors = [t.name for t in caller.function.tensors]
    known = [g.argument.name for g in call.given
             if g.argument.role == "tensor" or f"vjp_{g.argument.name}" in call.variant.outputs]
    name = tensors[0] if wrt is None else lone(wrt)
    name = "x" if name == "input" and "input" not in known else name
    if name not in known:
        raise ValueError(f"{method}(): wrt must name one of {listing(known)}, got {call.extras['wrt']!r}")
    given = call.operand(name)
    assert given is not None
    if vector.shape != given.array.shape:
        raise ValueError(f"{method}(): v has shape {vector.shape}; expected that of {name}, {given.array.shape}")
    return given, vector


def second(caller: RowCaller, call: RowCall, g: Array, given: Given, vector: Array) -> Any:
    """The second derivative in an operand, times a vector of its shape; zero where the value is linear in it."""
    name, (out,) = given.argument.name, given_outputs(call.method, call.extras["out"], 1)
    kernel = f"hvp_{name}"
    if given.shared or kernel not in call.variant.outputs:
        return rounded_as(call, given, wide(caller, call, given, g, kernel, vector), out)
    place = result_place(call, given.argument, out)
    rows = samples(np.broadcast_to(vector, place.merged), given, call.layout, kept(vector, call.precision.compute))
    caller.run(call, kernel, [place.rows], g, along=rows)
    return delivered(call, name, place)


def wide(caller: RowCaller, call: RowCall, given: Given, g: Array, kernel: str, vector: Array | None = None) -> Array:
    """What a kernel gives for an operand that is no tensor, in float64 and at its shape; zero if there is no kernel.

    Args:
        caller: whose kernels are run.
        call: the call.
        given: the operand.
        g: the cotangent, of one row or all.
        kernel: of the gradient, or of the second derivative along a vector.
        vector: of the operand's shape.
    """
    if kernel not in call.variant.outputs:
        return np.zeros(given.array.shape)
    if given.shared:
        lengths = [call.layout.lengths[n] for n in axis_names(given.argument)]
        along = None if vector is None else np.ascontiguousarray(np.broadcast_to(vector, lengths), FLOAT64)
        return folded(given, summed(caller, call, g, given.argument, kernel, along))
    shape = call.layout.shape(axis_names(given.argument)) if given.argument.axes else call.layout.batch
    place = Result(call, axis_names(given.argument), None, FLOAT64, FLOAT64, shape)
    rows = None if vector is None else samples(np.broadcast_to(vector, shape), given, call.layout, FLOAT64)
    caller.run(call, kernel, [place.rows], g, along=rows)
    return sum_to(place.placed(), given.array.shape)
