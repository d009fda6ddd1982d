"""Derivatives of a function: elementwise, as the gradient of a cotangent, and together with the value."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from .calls import Call, Caller, apart, fill, given_outputs, ready
from .dtypes import FLOAT64, Array, Precision
from .errors import did_you_mean, listing
from .execute import allocate, bare, check_out, finish, run
from .gradients import accumulating, reduced, result_dtype, rounded, sum_to
from .manifest import Argument, Function
from .memory import unshared
from .operands import Operand, promote, to_array
from .options import describe, unwrap
from .placed import ReadyPlaced, by_shape
from .quick import Ready

Arguments = tuple[Any, ...]
Keywords = Mapping[str, Any]
Answer = tuple[Any, Ready | ReadyPlaced | None]  # what the call returns, and how calls like it run


def grad(caller: Caller, args: Arguments, kwargs: Keywords) -> Answer:
    """The elementwise derivative, of the shape of the value."""
    function = caller.function
    method = f"{function.name}.grad"
    call = caller.prepare(method, args, kwargs, {"order": 1, "wrt": None, "out": None, "where": True})
    order = order_of(method, call.extras["order"])
    targets = select_targets(function, call, ("tensor",), order)
    precision = promote(method, call.operands)
    outs = given_outputs(method, call.extras["out"], len(targets))
    call = apart(call, outs)
    results, again = [], None
    for target, out in zip(targets, outs, strict=True):
        loop, compute = caller.elementwise(call, function.output(target, order), precision, out)
        results.append(fill(call, loop, out, precision.result, compute))
        again = ready(call, loop, precision.result, compute) if len(targets) == 1 else None
    return bare(results), by_shape(call, args, kwargs, again)


def order_of(method: str, order: Any) -> int:
    """The order of a derivative, checked."""
    plain = unwrap(order)
    if isinstance(plain, bool) or not isinstance(plain, int | float) or plain not in (1, 2):
        raise ValueError(f"{method}(): order must be 1 or 2, got {describe(order)}")
    return int(plain)


def value_and_grad(caller: Caller, args: Arguments, kwargs: Keywords) -> Answer:
    """The value and the elementwise derivatives, in one pass over memory for tensors."""
    function = caller.function
    method = f"{function.name}.value_and_grad"
    call = caller.prepare(method, args, kwargs, {"wrt": None, "out": None})
    targets = select_targets(function, call, ("tensor",), 1)
    precision = promote(method, call.operands)
    outs = given_outputs(method, call.extras["out"], 1 + len(targets))
    call = apart(call, outs)
    tensors = function.tensors
    fused = [a for a in tensors if a in targets]
    if not fused:
        loop = caller.loop(call, "value", precision.tag)
        value = fill(call, loop, outs[0], precision.result, precision.compute)
        found: dict[str, Any] = {}
    else:
        value, found = _fused(caller, call, tensors, dict(zip([t.name for t in targets], outs[1:], strict=True)),
                              outs[0], precision)
    for target, out in zip(targets, outs[1:], strict=True):
        if target not in fused:
            loop = caller.loop(call, function.output(target), precision.tag)
            found[target.name] = fill(call, loop, out, precision.result, precision.compute)
    again = None
    if targets == fused == list(tensors):
        loop = caller.loop(call, "value_and_grad", precision.tag, 1 + len(tensors))
        again = ready(call, loop, precision.result, precision.compute, 1 + len(tensors), _value_first)
    return (value, bare([found[t.name] for t in targets])), by_shape(call, args, kwargs, again)


def _value_first(results: list[Any]) -> tuple[Any, Any]:
    return results[0], bare(results[1:])


def _fused(caller: Caller, call: Call, tensors: tuple[Argument, ...], outs: Mapping[str, Any], value_out: Any,
           precision: Precision) -> tuple[Any, dict[str, Any]]:
    """One pass for the value and the derivative in every tensor; those not wanted go to scratch memory."""
    given = [value_out, *(outs.get(a.name) for a in tensors)]
    results = [_output(call, out, precision) for out in given]
    loop = caller.loop(call, "value_and_grad", precision.tag, len(results))
    run(loop, call.inputs, call.plan.numbers, results, precision.compute, fresh=all(out is None for out in given))
    done = [finish(r) if out is None else r for r, out in zip(results, given, strict=True)]
    return done[0], {a.name: d for a, d in zip(tensors, done[1:], strict=True)}


def _output(call: Call, out: Any, precision: Precision) -> Array:
    if out is None:
        return allocate(call.shape, precision.result, call.inputs)
    return exact_output(call.method, out, call.shape)


def exact_output(method: str, out: Any, shape: tuple[int, ...]) -> Array:
    """An output that must have just this shape."""
    checked = check_out(method, out, shape)
    if checked.shape != shape:
        raise ValueError(f"{method}(): out has shape {checked.shape}, but the result has shape {shape}")
    return checked


def vjp(caller: Caller, args: Arguments, kwargs: Keywords) -> Answer:
    """The gradients of ``sum(g * value)``, each of the shape of what it belongs to."""
    function = caller.function
    method = f"{function.name}.vjp"
    call = caller.prepare(method, args, kwargs, {"wrt": None, "out": None}, "g")
    cotangent, weak = to_array(method, "g", call.leading)
    check_cotangent(call, cotangent)
    precision = promote(method, call.operands, ("g", cotangent, weak))
    targets = select_targets(function, call, ("tensor", "param"), 1)
    places = given_outputs(method, call.extras["out"], len(targets))
    call, cotangent = apart(call, places), unshared(cotangent, places) if len(places) > 1 else cotangent
    outs = dict(zip([t.name for t in targets], places, strict=True))
    found = _tensor_gradients(caller, call, cotangent, targets, outs, precision)
    for target in targets:
        if target.role != "tensor":
            suffix = call.plan.variant.suffix
            loop = caller.loops.reduction(target.name, precision.tag, suffix)
            total = reduced(method, loop, target, cotangent, call.operands, call.plan.numbers, call.shape,
                            precision.compute)
            found[target.name] = delivered(call, target, total, outs[target.name], precision)
    again = _vjp_again(caller, call, targets, precision)
    return bare([found[t.name] for t in targets]), by_shape(call, args, kwargs, again, cotangent)


def _vjp_again(caller: Caller, call: Call, targets: list[Argument], precision: Precision) -> Ready | None:
    """How to run again a vjp in every tensor and in no parameter, the tensors all of the shape of the result."""
    tensors = caller.function.tensors
    if targets != list(tensors) or any(o.array.shape != call.shape for o in call.operands if o.argument in tensors):
        return None
    loop = caller.loop(call, "vjp", precision.tag, len(tensors), cotangent=True)
    return ready(call, loop, precision.result, precision.compute, len(tensors))


def check_cotangent(call: Call, cotangent: Array) -> None:
    try:
        fits = np.broadcast_shapes(cotangent.shape, call.shape) == call.shape
    except ValueError:
        fits = False
    if not fits:
        raise ValueError(
            f"{call.method}(): g has shape {cotangent.shape}; it must broadcast to the output's shape {call.shape}"
        )


def _tensor_gradients(caller: Caller, call: Call, cotangent: Array, targets: list[Argument], outs: Mapping[str, Any],
                      precision: Precision) -> dict[str, Any]:
    """Gradients of the tensors among the targets, in one pass; broadcast ones are summed afterwards."""
    tensors = [o for o in call.operands if o.argument.role == "tensor"]
    wanted = [o for o in tensors if o.argument in targets]
    if not wanted:
        return {}
    inner = accumulating(wanted, call.shape, precision)
    buffers = [_buffer(call, o, outs, precision) if o in wanted else np.empty(call.shape, inner.compute)
               for o in tensors]
    loop = caller.loop(call, "vjp", inner.tag, len(tensors), cotangent=True)
    fresh = all(outs[o.argument.name] is None for o in wanted)
    run(loop, [cotangent, *call.inputs], call.plan.numbers, buffers, inner.compute, fresh)
    found = {}
    for operand, buffer in zip(tensors, buffers, strict=True):
        name = operand.argument.name
        if operand in wanted and operand.array.shape != call.shape:
            total = sum_to(buffer, operand.array.shape)
            found[name] = delivered(call, operand.argument, total, outs[name], precision)
        elif operand in wanted:
            found[name] = buffer if outs[name] is not None else finish(buffer)
    return found


def _buffer(call: Call, operand: Operand, outs: Mapping[str, Any], precision: Precision) -> Array:
    """Where the loop writes one tensor's gradient: its final place, or float64 memory that is summed later."""
    out = outs[operand.argument.name]
    if operand.array.shape != call.shape:
        return np.empty(call.shape, FLOAT64)
    if out is not None:
        return exact_output(call.method, out, call.shape)
    return allocate(call.shape, result_dtype(operand, precision), [operand.array])


def delivered(call: Call, target: Argument, total: Array, out: Any, precision: Precision) -> Any:
    """A float64 sum, rounded once into ``out`` or into the dtype that the target's gradient has."""
    if out is not None:
        checked = exact_output(call.method, out, total.shape)
        checked[...] = rounded(total, checked.dtype)
        return checked
    operand = next((o for o in call.operands if o.argument is target), None)
    return rounded(total, result_dtype(operand, precision) if operand is not None else precision.result)


def select_targets(function: Function, call: Call, roles: tuple[str, ...], order: int) -> list[Argument]:
    """What to differentiate in: what ``wrt`` names, or the operands of these roles that were passed as arrays."""
    wrt = call.extras["wrt"]
    outputs = call.plan.variant.outputs
    if wrt is None:
        candidates = [o for o in call.operands if o.argument.role in roles]
        arrays = [o for o in candidates if o.is_array] or [o for o in candidates if o.passed]
        return [o.argument for o in arrays if function.output(o.argument, order) in outputs]
    wanted = (wrt,) if isinstance(wrt, str) else wrt
    if not isinstance(wanted, tuple | list) or not wanted or not all(isinstance(name, str) for name in wanted):
        raise TypeError(f"{call.method}(): wrt must be the name of an argument or a tuple of names, got {wrt!r}")
    known = {a.name: a for a in function.arguments if function.output(a, order) in outputs}
    if "x" in known and "input" not in known:
        known["input"] = known["x"]
    for name in wanted:
        if name not in known:
            of_order = "" if order == 1 else f" of order {order}"
            choices = listing(n for n in known if n != "input" or "x" not in known)
            raise ValueError(
                f"{call.method}(): there is no derivative{of_order} in {name!r} for these options; "
                f"wrt may name {choices}{did_you_mean(name, known)}"
            )
    named = [known[name] for name in wanted]
    if len({a.name for a in named}) < len(named):
        raise ValueError(f"{call.method}(): wrt names the same argument twice: {wrt!r}")
    return named
