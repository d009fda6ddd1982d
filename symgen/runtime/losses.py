"""Losses reduced to one number: their sum or mean, gradients and Hessian products, in one pass over memory.

A spec gives the loss of one sample and its share in the mean; everything about ``reduction=`` is here, the same for
every loss. Chunks are computed in float64 and stay in the cache: their sums are compensated, so that the error does
not grow with the number of samples, and gradients are rounded once, after they were scaled.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np

from . import derivatives, totals
from .calls import Call, Caller, arrays, fill, given_outputs
from .derivatives import check_cotangent, delivered, exact_output, select_targets
from .dtypes import FLOAT64, Array, Precision, is_bfloat16, store
from .errors import did_you_mean, listing
from .execute import BUFFER, ITERATOR_FLAGS, READ, WRITE, Loop, allocate, bare, check_out, finish
from .gradients import result_dtype, sum_to
from .manifest import Argument
from .means import Bending, of_quotient
from .operands import Operand, Shape, promote, to_array
from .placed import ReadyPlaced
from .quick import Ready
from .quick_losses import ReadyLoss, Summing
from .sums import Total

REDUCTIONS: Final = ("none", "mean", "sum", "batchmean")
DIFFERENTIABLE: Final = ("tensor", "param", "weight", "prob")
_nditer: Any = np.nditer
Arguments = tuple[Any, ...]
Keywords = Mapping[str, Any]
Answer = tuple[Any, Ready | ReadyLoss | ReadyPlaced | None]  # what a call gives, and how calls like it run


@dataclass
class Result:
    """Something to compute in a pass: a combination of what the loops give, into an array or summed up."""

    terms: list[tuple[int, float]]
    array: Array | None = None
    total: Total = field(default_factory=Total)


@dataclass
class Sweep:
    """One pass over the operands of a call: loops fill rows of scratch memory, results are made of the rows."""

    call: Call
    cotangent: Array | None = None
    jobs: list[tuple[Loop, int]] = field(default_factory=list)
    rows: int = 0
    results: list[Result] = field(default_factory=list)

    def loop(self, caller: Caller, output: str, count: int = 1) -> int:
        """Have a loop run in float64; returns its first row."""
        self.jobs.append((caller.loop(self.call, output, "f64", count), count))
        self.rows += count
        return self.rows - count

    def result(self, terms: list[tuple[int, float]], array: Array | None = None) -> Result:
        self.results.append(Result(terms, array))
        return self.results[-1]

    def run(self, inputs: Sequence[Array], shape: Shape) -> None:
        """Go through all elements of the shape that inputs broadcast to."""
        if not math.prod(shape):
            return
        reads = [*inputs] if self.cotangent is None else [*inputs, self.cotangent]
        if np.broadcast_shapes(*(r.shape for r in reads)) != shape:
            reads[0] = np.broadcast_to(reads[0], shape)
        written = [r for r in self.results if r.array is not None]
        arrays = [r.array for r in written if r.array is not None]
        dtypes = [FLOAT64] * len(reads)
        dtypes += [a.dtype.newbyteorder("=") if is_bfloat16(a.dtype) else FLOAT64 for a in arrays]
        scratch = np.empty((self.rows, min(BUFFER, math.prod(shape))))
        with np.errstate(all="ignore"), _nditer(
            [*reads, *arrays],
            flags=ITERATOR_FLAGS,
            op_flags=[READ] * len(reads) + [WRITE] * len(arrays),
            op_dtypes=dtypes,
            casting="unsafe",
            buffersize=BUFFER,
        ) as iterator:
            for chunk in iterator:
                self._chunk(chunk if isinstance(chunk, tuple) else (chunk,), len(inputs), len(reads), scratch, written)

    def _chunk(self, chunk: Sequence[Array], inputs: int, reads: int, scratch: Array, written: list[Result]) -> None:
        rows, row = scratch[:, : chunk[0].size] if chunk[0].size <= scratch.shape[1] else np.empty(
            (self.rows, chunk[0].size)), 0
        for loop, count in self.jobs:
            loop(*chunk[:inputs], *self.call.plan.numbers, *rows[row : row + count])
            row += count
        places = dict(zip(map(id, written), chunk[reads:], strict=True))
        for result in self.results:
            values = _combined(rows, result.terms)
            if self.cotangent is not None:
                values = values * chunk[inputs]
            if result.array is None:
                result.total.add(values)
            else:
                store(values, places[id(result)])


def _combined(rows: Array, terms: list[tuple[int, float]]) -> Array:
    (row, factor), *rest = terms
    total: Array = rows[row] if factor == 1 else rows[row] * factor
    for row, factor in rest:
        total = total + rows[row] * factor
    return np.ascontiguousarray(total)


def reduction_of(method: str, given: Any, shape: Sequence[int] = (1,)) -> str:
    """A reduction that there is, and that losses of this shape have.

    Raises:
        ValueError: there is none of this name, or "batchmean" lacks a first axis.
    """
    if not (isinstance(given, str) and given in REDUCTIONS):
        known = listing(map(repr, REDUCTIONS))
        hint = did_you_mean(given, REDUCTIONS) if isinstance(given, str) else ""
        raise ValueError(f"{method}(): reduction must be {known}, got {given!r}{hint}")
    if given == "batchmean" and not shape:
        raise ValueError(
            f"{method}(): reduction='batchmean' divides by the length of the first axis, and there is none"
        )
    return given


def _prepared(caller: Caller, method: str, args: Arguments, kwargs: Keywords, extras: dict[str, Any],
              leading: str = "") -> tuple[Call, str]:
    """A checked call, and how it is reduced."""
    extras = {**extras, "reduction": caller.function.reduction}
    call = caller.prepare(method, args, kwargs, extras, leading)
    return call, reduction_of(method, call.extras["reduction"], call.shape)


def _without_reduction(kwargs: Keywords) -> dict[str, Any]:
    return {k: v for k, v in kwargs.items() if k != "reduction"}


def _share_operands(call: Call) -> list[str]:
    """The operands that a sample's share in the mean depends on."""
    outputs = call.plan.variant.outputs
    return [o.argument.name for o in call.operands if f"share_grad_{o.argument.name}" in outputs]


def _divisor(caller: Caller, call: Call, how: str) -> float:
    """What the sum of the losses is divided by."""
    count = math.prod(call.shape)
    if how == "sum":
        return 1.0
    if how == "batchmean":
        return float(call.shape[0])
    if (one := _share(caller, call)) is not None:
        return one * count
    inputs = _sharing(call)
    shape = np.broadcast_shapes(*(a.shape for a in inputs))
    sweep = Sweep(call)
    share = sweep.result([(sweep.loop(caller, "share"), 1.0)])
    sweep.run(inputs, shape)
    return share.total.value * (count / max(1, math.prod(shape)))


def _sharing(call: Call) -> list[Array]:
    """The operands, zero where a sample's share does not depend on one."""
    names = _share_operands(call)
    return [o.placed if o.argument.name in names else np.zeros(()) for o in call.operands]


def _share(caller: Caller, call: Call) -> float | None:
    """The share of a sample in the mean, or None where samples differ."""
    if "share" not in call.plan.variant.outputs:
        return 1.0
    inputs = _sharing(call)
    if any(a.size != 1 for a in inputs):
        return None
    one = np.empty(1)
    numbers = [a.astype(FLOAT64).reshape(1) for a in inputs]
    caller.loop(call, "share", "f64")(*numbers, *call.plan.numbers, one)
    return float(one[0])


def _ready(caller: Caller, call: Call, how: str, found: Summing | None, gradients: int = 0, with_value: bool = True
           ) -> ReadyLoss | None:
    """How calls like this one run, if it took no more than a loop and a divisor that counts samples."""
    split = arrays(caller.function)
    if found is None or not split or (share := _share(caller, call) if how == "mean" else 1.0) is None:
        return None
    first, others = found.operands[:split], found.operands[split:]
    if not all(isinstance(a, np.ndarray) for a in first) or any(isinstance(a, np.ndarray) for a in others):
        return None
    return ReadyLoss(found._replace(operands=others), first[0].dtype, share, how, gradients, with_value)


def _quotient(total: float, divisor: float) -> float:
    with np.errstate(all="ignore"):
        return float(np.float64(total) / np.float64(divisor))


def value(caller: Caller, args: Arguments, kwargs: Keywords) -> Answer:
    """The loss: of each sample, or reduced to a number."""
    name = caller.function.name
    call, how = _prepared(caller, name, args, kwargs, {"out": None})
    precision = promote(name, call.operands)
    out = given_outputs(name, call.extras["out"], 1)[0]
    if how == "none":
        loop, compute = caller.elementwise(call, "value", precision, out)
        return fill(call, loop, out, precision.result, compute), None
    number, found = _reduced(caller, call, how)
    return _number(call, number, out, precision), _ready(caller, call, how, found)


def _reduced(caller: Caller, call: Call, how: str) -> tuple[float, Summing | None]:
    """The reduced loss, and how its samples were summed if a loop did it."""
    if (found := totals.total(caller, call)) is not None:
        return _quotient(found[0], _divisor(caller, call, how)), found[1]
    sweep = Sweep(call)
    total = sweep.result([(sweep.loop(caller, "value"), 1.0)])
    sweep.run(call.inputs, call.shape)
    return _quotient(total.total.value, _divisor(caller, call, how)), None


def _number(call: Call, number: float, out: Any, precision: Precision) -> Any:
    result = np.empty((), precision.result) if out is None else check_out(call.method, out, ())
    with np.errstate(all="ignore"):
        store(np.asarray(number), result)
    return finish(result) if out is None else result


def grad(caller: Caller, args: Arguments, kwargs: Keywords) -> Answer:
    """The gradient of the reduced loss; without reduction the elementwise derivative."""
    method = f"{caller.function.name}.grad"
    call, how = _prepared(caller, method, args, kwargs, {"order": 1, "wrt": None, "out": None})
    if how == "none":
        return derivatives.grad(caller, args, _without_reduction(kwargs))
    if derivatives.order_of(method, call.extras["order"]) != 1:
        raise ValueError(f"{method}(): order=2 is elementwise and needs reduction='none'; see hvp")
    _, found, ready = _gradients(caller, call, how, 1.0, ("tensor",), with_value=False)
    return bare(found), ready


def value_and_grad(caller: Caller, args: Arguments, kwargs: Keywords) -> Answer:
    """The loss and its gradient in one pass over memory."""
    method = f"{caller.function.name}.value_and_grad"
    call, how = _prepared(caller, method, args, kwargs, {"wrt": None, "out": None})
    if how == "none":
        return derivatives.value_and_grad(caller, args, _without_reduction(kwargs))
    number, found, ready = _gradients(caller, call, how, 1.0, ("tensor",), with_value=True)
    return (number, bare(found)), ready


def vjp(caller: Caller, args: Arguments, kwargs: Keywords) -> Answer:
    """The gradients of ``sum(g * loss)``."""
    method = f"{caller.function.name}.vjp"
    call, how = _prepared(caller, method, args, kwargs, {"wrt": None, "out": None}, "g")
    cotangent, _ = to_array(method, "g", call.leading)
    if how != "none" and cotangent.size != 1:
        raise ValueError(f"{method}(): g has shape {cotangent.shape}; the reduced loss is one number")
    if how == "none":
        check_cotangent(call, cotangent)
        return bare(_gradients(caller, call, how, cotangent, DIFFERENTIABLE, with_value=False)[1]), None
    return bare(_gradients(caller, call, how, float(cotangent.reshape(())), DIFFERENTIABLE, with_value=False)[1]), None


def hvp(caller: Caller, args: Arguments, kwargs: Keywords) -> Answer:
    """The second derivative in one operand times a vector of its shape."""
    function = caller.function
    method = f"{function.name}.hvp"
    call, how = _prepared(caller, method, args, kwargs, {"wrt": None, "out": None}, "v")
    vector, _ = to_array(method, "v", call.leading)
    target = _moving(caller, call)
    operand = next(o for o in call.operands if o.argument is target)
    if vector.shape != operand.array.shape:
        raise ValueError(
            f"{method}(): v has shape {vector.shape}; expected that of {target.name}, {operand.array.shape}"
        )
    out, precision = given_outputs(method, call.extras["out"], 1)[0], promote(method, call.operands)
    if how == "mean" and target.name in _share_operands(call):
        return delivered(call, target, _bent_mean(caller, call, operand, vector), out, precision), None
    place = _Place(call, target, out, precision)
    if (bend := function.output(target, 2)) in call.plan.variant.outputs:
        sweep, divisor = Sweep(call, vector), _divisor(caller, call, "sum" if how == "none" else how)
        sweep.result([(sweep.loop(caller, bend), _inverse(divisor))], place.array)
        sweep.run(call.inputs, call.shape)
    else:
        place.array.fill(0)
    return place.finished(), None


def _moving(caller: Caller, call: Call) -> Argument:
    """The operand in which a second derivative is asked for, the first tensor if none is named.

    Raises:
        ValueError: it is none, but an option, or several.
    """
    function, wrt = caller.function, call.extras["wrt"] or caller.function.tensors[0].name
    named = select_targets(function, call._replace(extras={**call.extras, "wrt": wrt}), DIFFERENTIABLE, 1)
    known = [a.name for a in function.operands if function.output(a) in call.plan.variant.outputs]
    if len(named) > 1 or named[0].name not in known:
        raise ValueError(f"{call.method}(): wrt must name one of {listing(known)}, got {wrt!r}")
    return named[0]


def _bent_mean(caller: Caller, call: Call, operand: Operand, vector: Array) -> Array:
    """The second derivative of a mean in an operand of its divisor, times a vector."""
    target, shape = operand.argument, operand.array.shape
    outputs, sweep = call.plan.variant.outputs, Sweep(call)
    sums = sweep.result([(sweep.loop(caller, "value"), 1.0)])
    names = [caller.function.output(target), caller.function.output(target, 2)]
    names += [f"share_grad_{target.name}", f"share_grad2_{target.name}"]
    found = [np.zeros(call.shape) for _ in names]
    for name, array in zip(names, found, strict=True):
        if name in outputs:
            sweep.result([(sweep.loop(caller, name), 1.0)], array)
    sweep.run(call.inputs, call.shape)
    slope, bend, share, again = (sum_to(array, shape) for array in found)
    divisor, wide = _divisor(caller, call, "mean"), vector.astype(FLOAT64)
    with np.errstate(all="ignore"):
        bends = [np.where(wide == 0, 0.0, b * wide) for b in (bend, again)]
    mean = _quotient(sums.total.value, divisor)
    return of_quotient(Bending(slope, bends[0]), Bending(share, bends[1]), wide, mean, divisor)


def _inverse(divisor: float) -> float:
    """One over a divisor; over no share at all, or none, there is no gradient."""
    return 1.0 / divisor if divisor else 0.0


class _Place:
    """Where the gradient in one operand goes: its own array, or float64 memory that is summed to its shape."""

    def __init__(self, call: Call, target: Argument, out: Any, precision: Precision) -> None:
        self.call, self.target, self.out, self.precision = call, target, out, precision
        self.operand = next(o for o in call.operands if o.argument is target)
        self.summed = self.operand.array.shape != call.shape
        self.array = self._array()

    def _array(self) -> Array:
        if self.summed:
            return np.empty(self.call.shape, FLOAT64)
        if self.out is not None:
            return exact_output(self.call.method, self.out, self.call.shape)
        return allocate(self.call.shape, result_dtype(self.operand, self.precision), [self.operand.array])

    def finished(self) -> Any:
        if not self.summed:
            return self.array if self.out is not None else finish(self.array)
        total = sum_to(self.array, self.operand.array.shape)
        return delivered(self.call, self.target, total, self.out, self.precision)


def _gradients(caller: Caller, call: Call, how: str, g: Any, roles: tuple[str, ...],
               with_value: bool) -> tuple[Any, list[Any], ReadyLoss | None]:
    """The reduced loss, where it is wanted, the gradients in all targets, and how calls like this one run."""
    function, precision = caller.function, promote(call.method, call.operands)
    targets = select_targets(function, call, roles, 1)
    outs = given_outputs(call.method, call.extras["out"], len(targets))
    divisor = _divisor(caller, call, "sum" if how == "none" else how)
    shared = set(_share_operands(call)) if how == "mean" else set()
    known = _reduced(caller, call, how)[0] if any(t.name in shared for t in targets) else None
    scalar = isinstance(g, float)
    if scalar and not any(t.name in shared for t in targets) and all(t.role in DIFFERENTIABLE for t in targets):
        quick = _direct(caller, call, list(zip(targets, outs, strict=True)), g * _inverse(divisor), precision)
        if quick is not None:
            (sum_of_losses, found), gradients = quick
            number = _number(call, _quotient(sum_of_losses, divisor), None, precision) if with_value else None
            ready = _ready(caller, call, how, found, len(targets), with_value) if g == 1.0 and targets else None
            return number, gradients, ready
    sweep, scale = Sweep(call, None if scalar else g), (g if scalar else 1.0) * _inverse(divisor)
    rows = _rows(caller, sweep, targets, with_value)
    losses = sweep.result([(rows["value"], 1.0)]) if with_value else None
    finished: list[Callable[[], Any]] = []
    for target, out in zip(targets, outs, strict=True):
        terms = [(rows[target.name], scale)]
        if target.name in shared and known is not None and math.isfinite(known):
            terms.append((sweep.loop(caller, f"share_grad_{target.name}"), -scale * known))
        if target.role in DIFFERENTIABLE:
            place = _Place(call, target, out, precision)
            sweep.result(terms, place.array)
            finished.append(place.finished)
        else:
            result = sweep.result(terms)
            finished.append(lambda r=result, t=target, o=out: delivered(  # type: ignore[misc]
                call, t, np.asarray(r.total.value), o, precision))
    sweep.run(call.inputs, call.shape)
    number = None if losses is None else _number(call, _quotient(losses.total.value, divisor), None, precision)
    return number, [f() for f in finished], None


def _direct(caller: Caller, call: Call, wanted: list[tuple[Argument, Any]], scale: float, precision: Precision
            ) -> tuple[tuple[float, Summing], list[Any]] | None:
    """The sum of the losses with how it was found, and the gradients, by loops that need no scratch memory."""
    places = [_Place(call, target, out, precision) for target, out in wanted]
    if any(place.summed for place in places):
        return None
    found = totals.total(caller, call, [target for target, _ in wanted], scale, [place.array for place in places])
    return None if found is None else (found, [place.finished() for place in places])


def _rows(caller: Caller, sweep: Sweep, targets: list[Argument], with_value: bool) -> dict[str, int]:
    """The loops that a pass needs: the fused one of value and tensors where it saves work, else one each."""
    function = caller.function
    tensors = function.tensors
    rows: dict[str, int] = {}
    if sum(t in tensors for t in targets) + with_value > 1:
        first = sweep.loop(caller, "value_and_grad", 1 + len(tensors))
        rows = {"value": first, **{t.name: first + 1 + i for i, t in enumerate(tensors)}}
    elif with_value:
        rows["value"] = sweep.loop(caller, "value")
    for target in targets:
        if target.name not in rows:
            rows[target.name] = sweep.loop(caller, function.output(target))
    return rows
