"""Losses over rows, reduced to one number: their mean divides by the shares of the samples where they have one."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from .calls import given_outputs
from .dtypes import FLOAT64, Array, store
from .execute import bare, check_out, finish
from .losses import reduction_of
from .manifest import Argument
from .means import Bending, of_quotient
from .operands import to_array
from .quick_losses import LARGEST
from .remembered import ReadyRowLoss, rows_of
from .row_second import moving, second, wide
from .rows import (
    DIFFERENTIABLE,
    Result,
    RowCall,
    RowCaller,
    cotangent_rows,
    defaults,
    gradients,
    result_place,
    rounded_as,
    targets,
)
from .sums import total

Arguments = tuple[Any, ...]
Keywords = Mapping[str, Any]
Answer = tuple[Any, ReadyRowLoss | None]  # what a call gives, and how calls like it run


def _prepared(caller: RowCaller, method: str, args: Arguments, kwargs: Keywords, extras: dict[str, Any],
              leading: str = "") -> tuple[RowCall, str]:
    extras = {**defaults(caller.function), **extras, "reduction": caller.function.reduction}
    call = caller.prepare(method, args, kwargs, extras, leading)
    return call, reduction_of(method, call.extras["reduction"], call.shape)


def _divisor(caller: RowCaller, call: RowCall, how: str) -> float:
    """What the sum of the losses is divided by."""
    if how in ("sum", "none"):
        return 1.0
    if how == "batchmean":
        return float(call.shape[0])
    if "share" not in call.variant.outputs:
        return float(call.layout.rows)
    shares = np.empty(call.layout.rows)
    caller.run(call, "share", [shares])
    return total(shares)


def _quotient(number: float, divisor: float) -> float:
    with np.errstate(all="ignore"):
        return float(np.float64(number) / np.float64(divisor))


def _inverse(divisor: float) -> float:
    """One over a divisor; over no share at all, or none, there is no gradient."""
    return 1.0 / divisor if divisor else 0.0


def _losses(caller: RowCaller, call: RowCall) -> Array:
    losses = np.empty(call.layout.rows)
    caller.run(call, "value", [losses])
    return losses


def value(caller: RowCaller, args: Arguments, kwargs: Keywords) -> Answer:
    """The loss: of each sample, or reduced to a number."""
    call, how = _prepared(caller, caller.function.name, args, kwargs, {})
    divisor = _divisor(caller, call, how)
    found = _given(call, how, _losses(caller, call), divisor, call.extras["out"])
    return found, _ready(caller, call, how, divisor, "value", [])


def _given(call: RowCall, how: str, losses: Array, divisor: float, out: Any) -> Any:
    """What a call gives of the losses of its samples."""
    found = losses.reshape(call.shape) if how == "none" else np.asarray(_quotient(total(losses), divisor))
    result = np.empty(found.shape, call.precision.result) if out is None else check_out(call.method, out, found.shape)
    with np.errstate(all="ignore"):
        store(found, result)
    return finish(result) if out is None else result


def grad(caller: RowCaller, args: Arguments, kwargs: Keywords) -> Answer:
    """The gradient of the loss; without reduction that of its sum, for samples are apart."""
    call, how = _prepared(caller, f"{caller.function.name}.grad", args, kwargs, {"wrt": None})
    found, divisor = _gradients(caller, call, how, np.ones(1), 1.0, ("tensor",), None)
    return bare(found), _ready(caller, call, how, divisor, "vjp", _whole_places(caller, call))


def value_and_grad(caller: RowCaller, args: Arguments, kwargs: Keywords) -> Answer:
    """The loss and its gradient in one pass over the rows."""
    call, how = _prepared(caller, f"{caller.function.name}.value_and_grad", args, kwargs, {"wrt": None})
    losses = np.empty(call.layout.rows)
    found, divisor = _gradients(caller, call, how, np.ones(1), 1.0, ("tensor",), losses)
    known = _ready(caller, call, how, divisor, "value_and_grad", _whole_places(caller, call))
    return (_given(call, how, losses, divisor, None), bare(found)), known


def _whole_places(caller: RowCaller, call: RowCall) -> list[Result] | None:
    """Where the gradients go that a call asks for, None where those are not the ones in all tensors."""
    wanted = targets(caller, call, ("tensor",))
    if call.extras["wrt"] is not None or [a.name for a in wanted] != [a.name for a in caller.function.tensors]:
        return None
    return [result_place(call, a, None) for a in wanted]


def _ready(caller: RowCaller, call: RowCall, how: str, divisor: float, output: str, places: list[Result] | None
           ) -> ReadyRowLoss | None:
    """How calls of arrays of these shapes run, if they need no more than a kernel and that of the divisor."""
    if places is None or any(p.final is None for p in places) or call.precision.compute not in LARGEST:
        return None
    if (rows := rows_of(call)) is None:
        return None
    losses = np.empty(call.layout.rows)
    inputs = [*([np.ones(1)] if places else []), *call.inputs]
    outputs = [*([] if output == "vjp" else [losses]), *(p.rows for p in places)]
    share = how == "mean" and "share" in call.variant.outputs
    return ReadyRowLoss(
        rows, caller.kernel(call, output, inputs, outputs), output != "vjp",
        caller.kernel(call, "share", call.inputs, [losses]) if share else None, divisor,
        call.shape if how == "none" else None,
        tuple((p.merged, p.rows.shape) for p in places), call.precision.compute,
    )  # fmt: skip


def vjp(caller: RowCaller, args: Arguments, kwargs: Keywords) -> Answer:
    """The gradients of ``sum(g * loss)``."""
    method = f"{caller.function.name}.vjp"
    call, how = _prepared(caller, method, args, kwargs, {"wrt": None}, "g")
    cotangent, _ = to_array(method, "g", call.leading)
    if how == "none":
        g = cotangent_rows(call, cotangent, FLOAT64)
        return bare(_gradients(caller, call, how, g, 1.0, DIFFERENTIABLE)[0]), None
    if cotangent.size != 1:
        raise ValueError(f"{method}(): g has shape {cotangent.shape}; the reduced loss is one number")
    return bare(_gradients(caller, call, how, np.ones(1), float(cotangent.reshape(())), DIFFERENTIABLE)[0]), None


def hvp(caller: RowCaller, args: Arguments, kwargs: Keywords) -> Answer:
    """The second derivative in one operand times a vector of its shape."""
    method = f"{caller.function.name}.hvp"
    call, how = _prepared(caller, method, args, kwargs, {"wrt": None}, "v")
    given, vector = moving(caller, call)
    divisor, name = _divisor(caller, call, how), given.argument.name
    if how != "mean" or f"share_vjp_{name}" not in call.variant.outputs:
        return second(caller, call, np.full(1, _inverse(divisor)), given, vector), None
    one, direction = np.ones(1), vector.astype(FLOAT64)
    losses, shares = (
        Bending(wide(caller, call, given, one, f"{of}vjp_{name}"),
                wide(caller, call, given, one, f"{of}hvp_{name}", direction))
        for of in ("", "share_")
    )
    mean = _quotient(total(_losses(caller, call)), divisor)
    found = of_quotient(losses, shares, direction, mean, divisor)
    return rounded_as(call, given, found, given_outputs(method, call.extras["out"], 1)[0]), None


def _gradients(caller: RowCaller, call: RowCall, how: str, g: Array, factor: float, roles: tuple[str, ...],
               losses: Array | None = None) -> tuple[list[Any], float]:
    """The gradients in all targets, and what the sum of the losses is divided by."""
    wanted = targets(caller, call, roles)
    divisor = _divisor(caller, call, how)
    scale = factor * _inverse(divisor)
    outs = list(gradients(caller, call, g * scale, wanted, call.extras["out"], losses))
    if how == "mean":
        for i, argument in enumerate(wanted):
            if f"share_vjp_{argument.name}" in call.variant.outputs:
                outs[i] = _with_divisor(caller, call, argument, outs[i], scale, divisor)
    return outs, divisor


def _with_divisor(caller: RowCaller, call: RowCall, argument: Argument, found: Any, scale: float, divisor: float
                  ) -> Any:
    """A weight's gradient, that of the divisor in it: a mean changes with what it is divided by, too."""
    mean = _quotient(total(_losses(caller, call)), divisor)
    if not math.isfinite(mean):
        return found
    given = call.operand(argument.name)
    assert given is not None
    whole = wide(caller, call, given, np.full(1, scale), f"vjp_{argument.name}")
    whole = whole + wide(caller, call, given, np.full(1, -scale * mean), f"share_vjp_{argument.name}")
    return rounded_as(call, given, whole, None if call.extras["out"] is None else found)
