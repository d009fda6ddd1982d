"""Calls of row functions: arguments bound and laid out as rows, kernels run over the rows, results put in place."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, NamedTuple

import numpy as np

from .binding import MISSING, Binder
from .calls import given_outputs
from .derivatives import exact_output
from .dtypes import FLOAT64, Array, DType, Precision, store
from .errors import did_you_mean, listing
from .execute import bare, check_out, finish
from .gradients import result_dtype, rounded, sum_to
from .halves import is_half, kept, on_halves, read_as, stored, written_as
from .layout import (
    Given,
    Layout,
    check_positions,
    check_skipped,
    check_weights,
    contiguous,
    layout,
    samples,
    slabs,
    take,
)
from .loops import Loops, import_numba, joined
from .manifest import Argument, Function, Variant
from .operands import Operand, check_limits, promote, refuse_integers, to_array
from .options import check_assertions, check_option, choose_variant, default_value, describe, unwrap
from .quick_rows import ReadyRows, ready
from .remembered import ReadyKernel, Walk, over_rows, rows_of

DIFFERENTIABLE: Final = ("tensor", "param", "weight", "prob")
Answer = tuple[Any, ReadyRows | ReadyKernel | None]  # what a call gives, and how calls like it run
ALIASES: Final = {"dim": "axis", "keepdim": "keepdims"}


class RowCall(NamedTuple):
    """A call whose arguments were checked."""

    method: str
    given: list[Given]
    layout: Layout
    whole: list[Array]
    variant: Variant
    numbers: tuple[float, ...]
    precision: Precision
    extras: Mapping[str, Any]
    leading: Any
    options: Mapping[str, Any]
    passed: list[tuple[str, Array]]

    @property
    def inputs(self) -> list[Array | None]:
        """The operands as rows; None for a mask that leaves nothing out."""
        return [None if g.absent else samples(a, g, self.layout, kept(a, self.precision.compute))
                for a, g in zip(self.whole, self.given, strict=True)]

    @property
    def shape(self) -> tuple[int, ...]:
        return self.layout.shape(self.variant.axes)

    def operand(self, name: str) -> Given | None:
        return next((g for g in self.given if g.argument.name == name), None)


class RowCaller:
    """Checks the calls of one row function and runs its kernels."""

    def __init__(self, function: Function, package: str) -> None:
        self.function = function
        self.loops = Loops(package, function)
        self.binders = {"": Binder(function), "g": Binder(function, ("g",)), "v": Binder(function, ("v",))}
        self._compiled: dict[tuple[Any, ...], Callable[..., None]] = {}

    def prepare(self, method: str, args: tuple[Any, ...], kwargs: Mapping[str, Any], extras: dict[str, Any],
                leading: str = "") -> RowCall:
        """Bind and check a call; ``extras`` are further keywords and their defaults, ``leading`` a first argument."""
        function, binder = self.function, self.binders[leading]
        if any(a.limits for a in function.operands):
            extras["check"] = False
        values = binder.bind(method, args, _renamed(method, kwargs, extras), extras)
        operands = [take(method, a, None if values[i] is MISSING else values[i])
                    for a, i in zip(function.operands, binder.operand_at, strict=True)]
        options = self._options(method, [values[i] for i in binder.option_at])
        kinds = {a.name: g.argument.role for a, g in zip(function.operands, operands, strict=True) if a.kinds}
        variant = choose_variant(function, options | kinds)
        refuse_integers(method, function.logits, operands)
        found, whole = layout(method, operands, _axis(method, extras.get("axis", -1)))
        check_positions(method, operands, found, options)
        check_weights(method, operands)
        for argument, g in zip(function.operands, operands, strict=True):
            if argument.kinds and g.argument.role != "index":
                check_skipped(method, argument, options)
        floats = [Operand(g.argument, g.array, g.array, g.weak, g.passed) for g in operands
                  if g.argument.role in DIFFERENTIABLE]
        if extras.get("check"):
            check_limits(method, floats)
        numbers = tuple(0.0 if options[a.name] is None else float(options[a.name]) for a in function.numeric_options)
        precision = stored(promote(method, floats))
        names = ("", *binder.names[1:]) if leading else binder.names
        return RowCall(method, operands, found, whole, variant, numbers, precision, extras,
                       values[0] if leading else None, options, _passed(names, args, kwargs))

    def _options(self, method: str, values: Sequence[Any]) -> dict[str, Any]:
        checked = {
            a.name: default_value(a) if v is MISSING else check_option(method, a, v)
            for a, v in zip(self.function.options, values, strict=True)
        }
        check_assertions(method, self.function, checked)
        return checked

    def run(self, call: RowCall, output: str, outputs: Sequence[Array], g: Array | None = None, *,
            sums: Sequence[Array] = (), along: Array | None = None) -> Walk:
        """Run a kernel over all rows, and tell which.

        Args:
            call: the call.
            output: which kernel.
            outputs: arrays of as many rows as there are; those of ``sums`` are added up over the rows instead.
            g: the cotangent, of one row or all.
            sums: pairs of accumulators, for results that all rows share.
            along: the direction of a second derivative, of one row or all.
        """
        leading = [a for a in (g, along) if a is not None]
        inputs = [*leading, *call.inputs]
        fixed = fixed_of(call, len(leading))
        kernel = self.kernel(call, output, inputs, [*outputs, *sums], bool(sums))
        rows = call.layout.rows
        if rows and sums:  # one after the other, so that they are summed in one order
            kernel.loop(*inputs, *call.numbers, *outputs, *sums)
        elif rows:
            over_rows(kernel, inputs, fixed, call.numbers, outputs, rows)
        return kernel

    def kernel(self, call: RowCall, output: str, inputs: Sequence[Array | None], outputs: Sequence[Array],
               sums: bool = False) -> Walk:
        """The compiled kernel of an output for a call's arrays; ``sums`` tells that all rows share its outputs."""
        loop = self._kernel(output, call.precision.tag, call.variant.suffix, inputs, outputs)
        if any(a is not None and is_half(a.dtype) for a in (*inputs, *outputs)):
            loop = on_halves(loop, fixed_of(call, len(inputs) - len(call.given)), rows=not sums)
        return Walk(loop, call.variant.work(output, call.layout.lengths))

    def _kernel(self, output: str, tag: str, suffix: str, inputs: Sequence[Array | None],
                outputs: Sequence[Array]) -> Callable[..., None]:
        name = joined(output, tag, suffix)
        key = (name, *(a if a is None else (read_as(a.dtype), a.ndim) for a in inputs),
               *((written_as(a.dtype), a.ndim) for a in outputs))
        found = self._compiled.get(key)
        if found is None:
            numba = import_numba(self.function.name)

            def kind(ndim: int, dtype: DType, readonly: bool) -> Any:
                return numba.types.Array(numba.from_dtype(dtype), ndim, "C", readonly=readonly)

            signature = [numba.types.none if a is None else kind(a.ndim, read_as(a.dtype), True) for a in inputs]
            signature += [numba.types.float64] * len(self.function.numeric_options)
            signature += [kind(a.ndim, written_as(a.dtype), False) for a in outputs]
            dispatcher = self.loops.attribute(name)
            found = dispatcher.compile(tuple(signature)) if hasattr(dispatcher, "compile") else dispatcher
            self._compiled[key] = self.loops.compiled[name] = found
        return found


def fixed_of(call: RowCall, leading: int) -> list[bool]:
    """Of each argument of a kernel whether all rows share it; those in front have rows, or their sums take all rows."""
    return [*[False] * leading, *(g.shared or g.absent for g in call.given)]


def _passed(names: Sequence[str], args: Sequence[Any], kwargs: Mapping[str, Any]) -> list[tuple[str, Array]]:
    """The arrays of a call by the names of the arguments that they are."""
    named = [*zip(names, args, strict=False), *kwargs.items()]
    return [(name, v) for name, v in named if type(v) is np.ndarray]


def _renamed(method: str, kwargs: Mapping[str, Any], extras: Mapping[str, Any]) -> Mapping[str, Any]:
    """PyTorch's names of keywords as NumPy's."""
    if not any(name in kwargs and other in extras for name, other in ALIASES.items()):
        return kwargs
    renamed = {}
    for name, value in kwargs.items():
        own = ALIASES[name] if ALIASES.get(name) in extras else name
        if own in renamed or (own != name and own in kwargs):
            raise TypeError(f"{method}() got multiple values for argument {own!r}, which {name!r} is another name of")
        renamed[own] = value
    return renamed


def _axis(method: str, given: Any) -> int:
    axis = unwrap(given)
    if isinstance(axis, bool) or not isinstance(axis, int):
        raise TypeError(f"{method}(): axis must be an integer, got {describe(given)}")
    return axis


def _is_apart(out: Array, call: RowCall) -> bool:
    """Whether an output shares no memory with what the kernels read: they write a row before the next one is read."""
    read = [*call.whole, *([call.leading] if isinstance(call.leading, np.ndarray) else [])]
    return not any(np.may_share_memory(out, a) for a in read)


# -- results --------------------------------------------------------------------------------------------------------


class Result:
    """Rows that a kernel fills, and the array that they become."""

    def __init__(self, call: RowCall, axes: Sequence[str], out: Any, dtype: DType, compute: DType,
                 shape: tuple[int, ...] | None = None, wide: bool = False) -> None:
        found = call.layout
        self.call, self.axes = call, tuple(axes)
        self.inner = tuple(found.lengths[a] for a in axes)
        self.merged = shape if shape is not None else found.shape(self.axes)
        self.out = out
        if out is not None:
            exact_output(call.method, out, self.merged)
        self.dtype = dtype if out is None else out.dtype
        # what follows, a sum or another dtype, is rounded once, from float64
        self.compute = FLOAT64 if wide or (is_half(compute) and self.dtype != compute) else compute
        last = found.positions == tuple(range(len(self.merged) - len(found.positions), len(self.merged)))
        plain = self.dtype == self.compute and (last or not axes)
        if plain and out is None:
            self.final: Array | None = np.empty(self.merged, self.dtype)
        else:
            self.final = out if plain and out.flags.carray and out.dtype.isnative and _is_apart(out, call) else None
        self.rows = (np.empty((found.rows, *self.inner), self.compute) if self.final is None
                     else self.final.reshape(found.rows, *self.inner))

    def finished(self) -> Any:
        if self.final is not None:
            return finish(self.final) if self.out is None else self.out
        target = np.empty(self.merged, self.dtype) if self.out is None else self.out
        with np.errstate(all="ignore"):
            found = self.placed()
            for slab in slabs(found):
                store(found[slab], target[slab])
        return finish(target) if self.out is None else target

    def placed(self) -> Array:
        """The rows as an array of the result's shape, in the dtype of the computation."""
        found = self.call.layout
        if not self.axes:
            return self.rows.reshape(self.merged)
        count = len(found.positions)
        lengths = [self.merged[p] for p in found.positions]
        return np.moveaxis(self.rows.reshape(*found.batch, *lengths), range(-count, 0), found.positions)


def value(caller: RowCaller, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Answer:
    """The value of each sample, and how calls like this one run."""
    function = caller.function
    call = caller.prepare(function.name, args, kwargs, defaults(function))
    result = Result(call, call.variant.axes, None, call.precision.result, call.precision.compute)
    out = call.extras["out"]
    keep = bool(call.extras.get("keepdims", False))
    shape = kept_shape(call) if keep else call.shape
    if out is not None and not keep:
        check_out(call.method, out, shape)
        result = Result(call, call.variant.axes, out if out.shape == shape else None, out.dtype, call.precision.compute)
    kernel = caller.run(call, "value", [result.rows])
    known = None if keep else ready(call, "value", takes_g=False, keeps=bool(call.variant.axes))
    if known is not None:
        known.loop = kernel.loop
    found = result.finished()
    if out is None:
        return (np.reshape(found, shape) if keep else found), known or _one_kernel(call, kernel, [result])
    if found is not out:
        checked = check_out(call.method, out, shape)
        checked[...] = np.reshape(found, shape)
        return checked, known
    return out, known


def kept_shape(call: RowCall) -> tuple[int, ...]:
    """The shape of a value whose axis stays, with length one."""
    kept = list(call.shape)
    for position in sorted(call.layout.positions):
        kept.insert(position, 1)
    return tuple(kept)


def vjp(caller: RowCaller, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Answer:
    """The gradients of ``sum(g * value)``, each of the shape of what it belongs to, and how calls like this one run."""
    function = caller.function
    method = f"{function.name}.vjp"
    call = caller.prepare(method, args, kwargs, {**defaults(function), "wrt": None}, "g")
    cotangent = cotangent_of(call, call.leading)
    g = cotangent_rows(call, cotangent, call.precision.compute)
    wanted = targets(caller, call, DIFFERENTIABLE)
    found = bare(gradients(caller, call, g, wanted, call.extras["out"]))
    if call.extras["wrt"] is not None or [a.name for a in wanted] != [a.name for a in caller.function.tensors]:
        return found, None
    places = [result_place(call, a, None) for a in wanted]
    kernel = caller.kernel(call, "vjp", [g, *call.inputs], [p.rows for p in places])
    alike = len(wanted) == 1 and cotangent.ndim and not call.extras.get("keepdims")
    if alike and (known := ready(call, "vjp", takes_g=True, keeps=True)) is not None:
        known.loop = kernel.loop
        return found, known
    return found, _one_kernel(call, kernel, places, g)


def _one_kernel(call: RowCall, kernel: Walk, places: Sequence[Result], leading: Array | None = None
                ) -> ReadyKernel | None:
    """How calls of arrays of these shapes run, if they are one kernel that writes the results in their places."""
    if any(p.final is None for p in places) or (rows := rows_of(call, leading)) is None:
        return None
    return ReadyKernel(rows, kernel, tuple((p.merged, p.rows.shape) for p in places), call.precision.compute)


def cotangent_of(call: RowCall, given: Any) -> Array:
    """A cotangent at the shape of the value, without an axis that was kept."""
    cotangent, _ = to_array(call.method, "g", given)
    kept = call.extras.get("keepdims") and cotangent.ndim and cotangent.shape == kept_shape(call)
    return cotangent.reshape(call.shape) if kept else cotangent


def cotangent_rows(call: RowCall, cotangent: Array, dtype: DType) -> Array:
    """A cotangent as contiguous rows.

    Raises:
        ValueError: it does not broadcast to the value's shape.
    """
    try:
        whole = np.broadcast_to(cotangent, call.shape)
    except ValueError:
        raise ValueError(
            f"{call.method}(): g has shape {cotangent.shape}; it must broadcast to the output's shape {call.shape}"
        ) from None
    axes = call.variant.axes
    if axes:
        whole = np.moveaxis(whole, call.layout.positions, range(-len(axes), 0))
    return contiguous(whole, kept(whole, dtype)).reshape(call.layout.rows, *whole.shape[whole.ndim - len(axes):])


def targets(caller: RowCaller, call: RowCall, roles: Sequence[str]) -> list[Argument]:
    """What to differentiate in, of a call."""
    return select(call.method, caller.function, call.variant, call.given, call.extras["wrt"], roles)


def select(method: str, function: Function, variant: Variant, given: Sequence[Given], wrt: Any, roles: Sequence[str]
           ) -> list[Argument]:
    """What to differentiate in: what ``wrt`` names, or the operands of these roles that were passed as arrays."""
    own = {g.argument.name: g.argument for g in given}
    known: dict[str, Argument] = {}
    for argument in (own.get(a.name, a) for a in function.arguments):
        if argument.role == "tensor" or f"vjp_{argument.name}" in variant.outputs:
            known[argument.name] = argument
    if wrt is None:
        candidates = [g for g in given if g.argument.role in roles and g.argument.name in known]
        return [g.argument for g in [g for g in candidates if g.is_array] or [g for g in candidates if g.passed]]
    named = (wrt,) if isinstance(wrt, str) else wrt
    if not isinstance(named, tuple | list) or not named or not all(isinstance(n, str) for n in named):
        raise TypeError(f"{method}(): wrt must be the name of an argument or a tuple of names, got {wrt!r}")
    if "x" in known and "input" not in known:
        named = ["x" if n == "input" else n for n in named]
    for name in named:
        if name not in known:
            raise ValueError(
                f"{method}(): there is no derivative in {name!r} for these options; "
                f"wrt may name {listing(known)}{did_you_mean(name, known)}"
            )
    if len(set(named)) < len(named):
        raise ValueError(f"{method}(): wrt names the same argument twice: {wrt!r}")
    return [known[n] for n in named]


def gradients(caller: RowCaller, call: RowCall, g: Array, wanted: Sequence[Argument], out: Any = None,
              losses: Array | None = None, kernels: str = "vjp") -> list[Any]:
    """The gradients in some arguments; with ``losses``, the loss of each sample is computed into it on the way."""
    outs = given_outputs(call.method, out, len(wanted))
    tensors = caller.function.tensors
    found: dict[str, Any] = {}
    if losses is not None or any(a.role == "tensor" for a in wanted):
        places = {t.name: result_place(call, t, outs[[w.name for w in wanted].index(t.name)]
                                 if t.name in [w.name for w in wanted] else None) for t in tensors}
        rows = [p.rows for p in places.values()]
        if losses is None:
            caller.run(call, kernels, rows, g)
        else:
            caller.run(call, "value_and_grad", [losses, *rows], g)
        found = {n: delivered(call, n, p) for n, p in places.items()}
    for a, o in zip(wanted, outs, strict=True):
        if a.role != "tensor":
            found[a.name] = single(caller, call, g, a, o, f"{kernels}_{a.name}")
    return [found[a.name] for a in wanted]


def result_place(call: RowCall, argument: Argument, out: Any) -> Result:
    """Where the gradient in an operand goes, at the shape that the call has for it."""
    given = call.operand(argument.name)
    assert given is not None
    whole = np.broadcast_shapes(given.array.shape, call.layout.batch) if not given.argument.axes else _whole(call)
    summed = given.array.shape != whole
    operand = Operand(given.argument, given.array, given.array, given.weak, given.passed)
    if out is not None:
        exact_output(call.method, out, given.array.shape)
    dtype = result_dtype(operand, call.precision)
    axes = axis_names(argument)
    target = None if summed or out is None or np.may_share_memory(out, given.array) else out
    return Result(call, axes, target, dtype, call.precision.compute, whole, wide=summed)


def axis_names(argument: Argument) -> list[str]:
    """The axes of an operand by name; an axis of parts has one for these, too."""
    names: list[str] = []
    for axis in argument.axes:
        names += [str(axis.parts), axis.name] if axis.parts > 1 and axis.name else [axis.name or str(axis.parts)]
    return names


def _whole(call: RowCall) -> tuple[int, ...]:
    return next(a.shape for a, g in zip(call.whole, call.given, strict=True) if g.argument.axes and not g.shared)


def delivered(call: RowCall, name: str, place: Result) -> Any:
    """A gradient at the shape and in the dtype of its operand, summed over what was broadcast."""
    given = call.operand(name)
    assert given is not None
    if given.array.shape == place.merged:
        return place.finished()
    return rounded_as(call, given, sum_to(place.placed(), given.array.shape))


def rounded_as(call: RowCall, given: Given, whole: Array, out: Any = None) -> Any:
    """What belongs to an operand, of its shape and in float64, as it is returned: rounded once."""
    if out is not None:
        return _into(call, out, whole)
    operand = Operand(given.argument, given.array, given.array, given.weak, given.passed)
    return rounded(whole, result_dtype(operand, call.precision))


def single(caller: RowCaller, call: RowCall, g: Array, argument: Argument, out: Any, kernel: str) -> Any:
    """The gradient in one argument that is no tensor: summed over the rows where they share it."""
    given = call.operand(argument.name)
    if given is not None and not given.shared:
        place = result_place(call, argument, out)
        caller.run(call, kernel, [place.rows], g)
        return delivered(call, argument.name, place)
    total = summed(caller, call, g, argument, kernel)
    if given is None:
        return rounded(total.reshape(()), call.precision.result) if out is None else _into(call, out, total.reshape(()))
    return rounded_as(call, given, folded(given, total), out)


def folded(given: Given, total: Array) -> Array:
    """A gradient in what all rows share at the shape of what was passed, which may be one number for all entries."""
    return total if given.array.shape == total.shape else np.asarray(total.sum()).reshape(given.array.shape)


def summed(caller: RowCaller, call: RowCall, g: Array, argument: Argument, kernel: str, along: Array | None = None
           ) -> Array:
    """The gradient in what all rows share, or its change along a direction, in float64."""
    shape = tuple(call.layout.lengths[n] for n in axis_names(argument)) or (1,)
    high, low = np.zeros(shape), np.zeros(shape)
    caller.run(call, kernel, [], g, sums=[high, low], along=along)
    return np.where(np.isfinite(low), high + low, high)


def _into(call: RowCall, out: Any, total: Array) -> Any:
    checked = exact_output(call.method, out, total.shape)
    with np.errstate(all="ignore"):
        store(total, checked)
    return checked


def defaults(function: Function) -> dict[str, Any]:
    """The keywords that a function has beyond its spec's arguments, with their defaults."""
    found: dict[str, Any] = {"axis": -1} if function.is_movable else {}
    if function.drops_axis:
        found["keepdims"] = False
    return {**found, "out": None}
