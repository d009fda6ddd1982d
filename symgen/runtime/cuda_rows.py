"""Row functions on a GPU: whole rows in, along any axis, by a warp each where they are short and by a block else.

Where stages run along several axes of a row, the whole grid is on all rows, in a launch for each phase.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np

from .binding import MISSING
from .calls import Call, Plan, given_outputs
from .conditions import number
from .cuda import LARGEST, SUMMING, DeviceCall, Launcher, Sums, is_number, remembered
from .cuda_arrays import FORMATS, Face, View, face_of, step
from .cuda_launch import THREADS, threads_of
from .cuda_phases import Phases
from .execute import bare
from .layout import Given, check_rank, lengths_of, place
from .losses import reduction_of
from .manifest import Argument, Variant
from .operands import Operand
from .options import choose_variant
from .rows import DIFFERENTIABLE, RowCaller, _axis, _renamed, defaults, select

SHORT: Final = 1024  # entries of a row that a warp takes by itself
WARPS: Final = THREADS // 32
# bytes that a block of warps with long rows takes at least: as many rows as are at work at a time fit into the cache
ROOM: Final = 28 * 1024


@dataclass
class DeviceRowCall(DeviceCall):
    """A call whose arguments were checked; its shape is that of the operands.

    Attributes:
        variant: what the options choose.
        positions: of a row's axes in the shape, side by side.
        lengths: of these axes, or of each of their parts, by name.
        given: the operands, each with one role.
    """

    variant: Variant | None = None
    positions: tuple[int, ...] = ()
    lengths: Mapping[str, int] = field(default_factory=dict)
    given: Sequence[Given] = ()

    @property
    def n(self) -> int:
        """The length of a row of one axis, or of each of its parts."""
        return [*self.lengths.values()][-1]

    @property
    def batch(self) -> tuple[int, ...]:
        return self._around(())

    @property
    def inner(self) -> int:
        return math.prod(self.shape[self.positions[-1] + 1 :])

    def _around(self, own: tuple[int, ...]) -> tuple[int, ...]:
        """The shape with other lengths in the place of a row's."""
        return self.shape[: self.positions[0]] + own + self.shape[self.positions[-1] + 1 :]

    @property
    def rows(self) -> int:
        return math.prod(self.batch)

    def own_shape(self, argument: Argument, shared: bool = False) -> tuple[int, ...]:
        """Of the gradient in an argument, of which each sample has its own, or all have one."""
        if shared:
            return tuple(self.lengths[a.name or str(a.parts)] for a in argument.axes)
        return self.shape if argument.axes else self.batch

    def value_shape(self, kept: bool = False) -> tuple[int, ...]:
        own = self.variant.axes if self.variant is not None else ()
        return self._around(tuple(self.lengths[a] for a in own) or (1,) * kept)


class DeviceRows(Launcher):
    """The CUDA kernels of one row function: call it, or ``vjp`` of it.

    Arrays are as for elementwise functions, of one shape and contiguous; ``axis`` may be any. Masks are arrays of
    booleans of the same shape.
    """

    _caller: RowCaller

    @remembered
    def __call__(self, /, *args: Any, **kwargs: Any) -> Any:
        """The value of each row."""
        call = self._prepared(self.__name__, args, kwargs, defaults(self._caller.function))
        shape = call.value_shape(bool(call.call.extras.get("keepdims")))
        out, elements = self._out(call, call.call.extras["out"], shape)
        self._rows(call, "value", [], [elements])
        return out

    @remembered
    def vjp(self, /, *args: Any, **kwargs: Any) -> Any:
        """The gradients of ``sum(g * value)``, for a cotangent that comes first."""
        extras = {**defaults(self._caller.function), "wrt": None}
        call = self._prepared(f"{self.__name__}.vjp", args, kwargs, extras, "g")
        assert call.leading is not None
        return bare(self._pulled(call, [call.leading], self._targets(call, DIFFERENTIABLE)))

    def _targets(self, call: DeviceRowCall, roles: Sequence[str]) -> list[Argument]:
        """What ``wrt`` names, or the operands of these roles that were passed as arrays."""
        wrt = call.call.extras["wrt"]
        return select(call.method, self._caller.function, call.plan.variant, call.given, wrt, roles)

    def _pulled(self, call: DeviceRowCall, factors: Sequence[View], targets: Sequence[Argument],
                losses: View | None = None, divided: Sequence[str] = ()) -> list[Any]:
        """Gradients in some arguments; with ``losses``, those are computed on the way.

        Args:
            call: the call.
            factors: what gradients are multiplied by, and what those of the shares.
            targets: what to differentiate in.
            losses: where the loss of each sample goes.
            divided: names of targets in which what the losses are divided by has a gradient, too.
        """
        outs = dict(zip([t.name for t in targets], given_outputs(call.method, call.call.extras["out"], len(targets)),
                        strict=True))
        found: dict[str, Any] = {}
        if losses is not None or any(t.role == "tensor" for t in targets):
            tensors = self._caller.function.tensors
            made = {t.name: self._out(call, outs.get(t.name), call.own_shape(t)) for t in tensors}
            written = [*([] if losses is None else [losses]), *(v for _, v in made.values())]
            self._rows(call, "vjp" if losses is None else "value_and_grad", factors[:1], written)
            found = {t: array for t, (array, _) in made.items()}
        for target in targets:
            if target.role != "tensor":
                both = factors if target.name in divided else factors[:1]
                found[target.name] = self._single(call, both, target, outs[target.name])
        return [found[t.name] for t in targets]

    def _single(self, call: DeviceRowCall, factors: Sequence[View], target: Argument, out: Any) -> Any:
        """The gradient in one argument that is no tensor: summed over the rows where they share it."""
        given = next((g for g in call.given if g.argument.name == target.name), None)
        shared = given is None or given.shared
        array, elements = self._out(call, out, call.own_shape(target, shared))
        kernels = (f"vjp_{target.name}", f"share_vjp_{target.name}")[: len(factors)]
        if not shared and len(kernels) == 1:
            self._rows(call, kernels[0], factors, [elements])
            return array
        size = call.rows * math.prod(call.own_shape(target, shared=True))
        terms = call.scratch(max(len(kernels) * size, 1))
        for k, (name, factor) in enumerate(zip(kernels, factors, strict=True)):
            self._rows(call, name, [factor], [terms.part(k * size, (k + 1) * size)])
        self._columns(call, terms.part(0, len(kernels) * size), elements)
        return array

    def _columns(self, call: DeviceRowCall, terms: View, out: View) -> None:
        """Sum a matrix over its rows, as often as the result fits into it; in an order that its shape alone decides."""
        n = max(out.size, 1)
        rows, tiles = terms.size // n, -(-n // 32)
        stripes = min(-(-rows // (8 * WARPS)), max(SUMMING // tiles, 1))
        sums = call.scratch(max(2 * stripes * n, 2))
        if stripes:
            sizes = [np.uint32(rows), np.uint32(n)]
            self._run(f"columns_{call.form.arithmetic}", call, [terms, sums, *sizes], stripes * tiles)
        if out.size:
            self._run("joined", call, [sums, np.uint32(stripes), np.uint32(n), out], -(-n // THREADS))

    # -- calls -----------------------------------------------------------------------------------------------------

    def _prepared(
        self, method: str, args: tuple[Any, ...], kwargs: Mapping[str, Any], extras: dict[str, Any], leading: str = ""
    ) -> DeviceRowCall:
        """Bind and check a call, and lay its arrays out as rows."""
        self._driver.check()
        caller, function = self._caller, self._caller.function
        binder = caller.binders[leading]
        values = binder.bind(method, args, _renamed(method, kwargs, extras), extras)
        passed = [None if values[i] is MISSING else values[i] for i in binder.operand_at]
        faces = {a.name: f for a, v in zip(function.operands, passed, strict=True) if (f := _face(method, a, v))}
        given = [_given(method, a, v, faces) for a, v in zip(function.operands, passed, strict=True)]
        options = caller._options(method, [values[i] for i in binder.option_at])
        kinds = {a.name: g.argument.role for a, g in zip(function.operands, given, strict=True) if a.kinds}
        variant = choose_variant(function, options | kinds)
        numbers = tuple(0.0 if options[a.name] is None else float(options[a.name]) for a in function.numeric_options)
        first = next(g for g in given if g.argument.axes and g.argument.role == "tensor")
        if first.argument.name not in faces:
            face_of(method, first.argument.name, first.array)  # which says that it is no array of a GPU
        face = faces[first.argument.name]
        if face.size >= LARGEST:
            raise NotImplementedError(f"{method}(): {face.size:,} elements are more than kernels count ({LARGEST:,})")
        positions, lengths = _rows_in(method, first.argument, face.shape, _axis(method, extras.get("axis", -1)))
        operands = [Operand(g.argument, g.array, g.array, g.weak, g.passed) for g in given]
        call = Call(method, operands, face.shape, Plan(variant, numbers), extras, values[0] if leading else None, [])
        model: Any = first.array
        axes = tuple(range(len(face.shape)))
        found = DeviceRowCall(
            method, call, faces, face.shape, axes, FORMATS[face.typestr], model, self._driver.library(model), [], None,
            variant, positions, lengths, given,
        )  # fmt: skip
        found.inputs += [self._operand(found, g) for g in given]
        if leading:
            found.leading = self._cotangent(found, values[0])
        return found

    def _operand(self, call: DeviceRowCall, given: Given) -> View:
        name = given.argument.name
        if name not in call.faces:
            return self._constant(call, float(given.array))
        wanted = call.shape if given.argument.axes and not given.shared else call.batch
        wanted = call.own_shape(given.argument, shared=True) if given.shared else wanted
        return self._elements(call, name, given.array, call.faces[name], wanted, given.argument.role)

    def _cotangent(self, call: DeviceRowCall, value: Any) -> View:
        if is_number(value):
            return self._constant(call, float(value))
        wanted = call.value_shape()
        face = face_of(call.method, "g", value)
        if face.size == 1 and face.shape != wanted:
            return self._elements(call, "g", value, face, face.shape).all_equal(1)
        kept = call.value_shape(kept=True)
        return self._elements(call, "g", value, face, kept if face.shape == kept else wanted)

    def _elements(self, call: DeviceRowCall, name: str, array: Any, face: Face, wanted: tuple[int, ...],
                  role: str = "tensor") -> View:
        """The elements of an array that has to be contiguous and of a shape."""
        if face.shape != wanted:
            raise ValueError(
                f"{call.method}(): {name} has shape {face.shape}; expected {wanted}; on a GPU arrays are not broadcast"
            )
        if role in DIFFERENTIABLE and FORMATS[face.typestr] is not call.form:
            raise ValueError(f"{call.method}(): {name} has type {face.typestr}, unlike the others; convert one")
        item = int(face.typestr[2:])
        if face.size > 1 and step(face.shape, face.strides, tuple(range(len(face.shape)))) != item:
            raise ValueError(
                f"{call.method}(): {name} (shape {face.shape}, strides {face.strides}) is not contiguous; make it so"
            )
        return View(array, face.address, face.size, item, FORMATS_OF_ROWS[face.typestr], face.readonly)

    def _out(self, call: DeviceRowCall, out: Any, shape: tuple[int, ...]) -> tuple[Any, View]:
        """An array for a result, new or as it was passed."""
        if out is None:
            out = call.known_library().new(call.model, shape, None)
        face = face_of(call.method, "out", out)
        found = self._elements(call, "out", out, face, shape)
        if face.readonly:
            raise ValueError(f"{call.method}(): out is read-only")
        return out, found

    def _rows(self, call: DeviceRowCall, output: str, factors: Sequence[View], outs: Sequence[View]) -> None:
        """Run a kernel over all rows."""
        if not call.rows:
            return
        arrays = (*factors, *call.inputs, *outs)
        operands = [*factors, *call.inputs, *call.numbers, *outs]
        name = [output, call.form.arithmetic, call.plan.variant.suffix]
        phases = self._phases([*name, "grid"])
        if phases is not None:
            self._in_phases(call, phases, self._kernel([*name, "grid"]), operands)
            return
        team = "warp" if call.n <= SHORT else "block"
        wide = call.inner == 1 and call.n % call.form.lanes == 0 and all(v.suits_vectors for v in arrays)
        kernel = self._kernel([*name, team, "wide" if wide else ""])
        sizes = [np.uint32(v) for v in (call.rows, call.n, call.inner)]
        blocks = -(-call.rows // (threads_of(kernel) // 32)) if team == "warp" else call.rows
        room = ROOM if team == "warp" and call.n > SHORT // 2 else 0
        self._driver.launch(kernel, blocks, call.stream, [*operands, *sizes], room)

    def _in_phases(self, call: DeviceRowCall, phases: Phases, kernel: Any, operands: Sequence[Any]) -> None:
        """Run a kernel phase by phase, with memory for what later ones take from earlier ones."""
        room = call.rows * phases.room(call.lengths)
        if room >= LARGEST:
            raise NotImplementedError(
                f"{call.method}(): {room:,} numbers between its stages are more than kernels count ({LARGEST:,})"
            )
        scratch = call.scratch(max(room, 1))
        lengths = [np.uint32(n) for axis, n in call.lengths.items() if not axis.isdigit()]
        for phase, blocks in enumerate(phases.blocks(call.rows, call.lengths)):
            sizes = [np.uint32(v) for v in (call.rows, call.inner, phase)]
            self._driver.launch(kernel, blocks, call.stream, [*operands, scratch, *sizes, *lengths])


class DeviceRowNumbers(DeviceRows):
    """The CUDA kernels of a function with one number for each row."""

    @remembered
    def grad(self, /, *args: Any, **kwargs: Any) -> Any:
        """The gradient of each row's number."""
        call = self._slopes("grad", args, kwargs)
        return bare(self._pulled(call, [self._constant(call, 1.0)], self._targets(call, ("tensor",))))

    @remembered
    def value_and_grad(self, /, *args: Any, **kwargs: Any) -> Any:
        """Each row's number and its gradient, in one kernel."""
        call = self._slopes("value_and_grad", args, kwargs)
        shape = call.value_shape(bool(call.call.extras.get("keepdims")))
        value, numbers = self._out(call, None, shape)
        ones = [self._constant(call, 1.0)]
        return value, bare(self._pulled(call, ones, self._targets(call, ("tensor",)), numbers))

    def _slopes(self, method: str, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> DeviceRowCall:
        extras = {**defaults(self._caller.function), "wrt": None}
        return self._prepared(f"{self.__name__}.{method}", args, kwargs, extras)


class DeviceRowLoss(DeviceRows):
    """The CUDA kernels of one loss over rows; ``reduction`` is as on the processor."""

    @remembered
    def __call__(self, /, *args: Any, **kwargs: Any) -> Any:
        """The loss: of each sample, or reduced to a number."""
        call, how = self._reduced(self.__name__, args, kwargs, {})
        if how == "none":
            out, elements = self._out(call, call.call.extras["out"], call.batch)
            self._rows(call, "value", [], [elements])
            return out
        losses = call.scratch(call.rows)
        self._rows(call, "value", [], [losses])
        return self._number(call, self._total(call, losses), *self._divisor(call, how), call.call.extras["out"])

    @remembered
    def grad(self, /, *args: Any, **kwargs: Any) -> Any:
        """The gradient of the loss; without reduction that of its sum, for samples are apart."""
        call, how = self._reduced(f"{self.__name__}.grad", args, kwargs, {"wrt": None})
        targets = self._targets(call, ("tensor",))
        return bare(self._scaled(call, targets, None, how, *self._divisor(call, how)))

    @remembered
    def value_and_grad(self, /, *args: Any, **kwargs: Any) -> Any:
        """The loss and its gradient, in one kernel."""
        call, how = self._reduced(f"{self.__name__}.value_and_grad", args, kwargs, {"wrt": None})
        divisor, shares = self._divisor(call, how)
        number: Any = None
        if how == "none":
            number, losses = self._out(call, None, call.batch)
        else:
            losses = call.scratch(call.rows)
        found = self._scaled(call, self._targets(call, ("tensor",)), None, how, divisor, shares, losses)
        if how != "none":
            number = self._number(call, self._total(call, losses), divisor, shares, None)
        return number, bare(found)

    @remembered
    def vjp(self, /, *args: Any, **kwargs: Any) -> Any:
        """The gradients of ``sum(g * loss)``."""
        call, how = self._reduced(f"{self.__name__}.vjp", args, kwargs, {"wrt": None}, "g")
        g = call.leading
        assert g is not None
        targets = self._targets(call, DIFFERENTIABLE)
        if how == "none":
            return bare(self._pulled(call, [g], targets))
        if g.step and g.size != 1:
            raise ValueError(f"{call.method}(): g has {g.size} elements; the reduced loss is one number")
        return bare(self._scaled(call, targets, g, how, *self._divisor(call, how)))

    def _scaled(self, call: DeviceRowCall, targets: Sequence[Argument], g: View | None, how: str, divisor: float,
                shares: Sums | None, losses: View | None = None) -> list[Any]:
        """Gradients of the loss as it is reduced, times g: what it is divided by may depend on a target, too."""
        outputs = call.plan.variant.outputs
        divided = [t.name for t in targets if how == "mean" and f"share_vjp_{t.name}" in outputs]
        total = None
        if divided:
            terms = call.scratch(call.rows)
            self._rows(call, "value", [], [terms])
            total = self._total(call, terms)
        return self._pulled(call, self._factors(call, g, total, shares, divisor), targets, losses, divided)

    def _reduced(self, method: str, args: tuple[Any, ...], kwargs: Mapping[str, Any], extras: dict[str, Any],
                 leading: str = "") -> tuple[DeviceRowCall, str]:
        function = self._caller.function
        more = {**defaults(function), **extras, "reduction": function.reduction}
        call = self._prepared(method, args, kwargs, more, leading)
        return call, reduction_of(method, call.call.extras["reduction"], call.batch)

    def _divisor(self, call: DeviceRowCall, how: str) -> tuple[float, Sums | None]:
        """What the sum of the losses is divided by: a number, and the sum of the shares where samples have one."""
        if how == "mean" and "share" in call.plan.variant.outputs and call.rows:
            shares = call.scratch(call.rows)
            self._rows(call, "share", [], [shares])
            return 1.0, self._total(call, shares)
        return float({"sum": 1, "none": 1, "mean": call.rows, "batchmean": [*call.batch, 1][0]}[how]), None

    def _total(self, call: DeviceRowCall, values: View) -> Sums:
        """The sum of numbers in scratch memory."""
        blocks = min(-(-values.size // THREADS), 1024)
        sums = call.scratch(max(2 * blocks, 2))
        if blocks:
            self._run(f"collect_{call.form.arithmetic}", call, [values, sums, np.uint32(values.size)], blocks)
        return Sums(sums, blocks)

    def _number(self, call: DeviceRowCall, total: Sums, divisor: float, shares: Sums | None, out: Any) -> Any:
        array, place_of_it = self._out(call, out, ())
        self._divide(call, total, place_of_it, divisor, shares)
        return array


FORMATS_OF_ROWS: Final = {**FORMATS, "|b1": FORMATS["<f4"].stored("|u1"), "<i8": FORMATS["<f4"].stored("<i8"),
                          "<i4": FORMATS["<f4"].stored("<i4")}  # fmt: skip


def _rows_in(method: str, first: Argument, shape: tuple[int, ...], moved: int
             ) -> tuple[tuple[int, ...], dict[str, int]]:
    """Where the axes of a row are in the shape of its first operand, and their lengths by name.

    Raises:
        ValueError: there are none, or they do not stand side by side.
    """
    check_rank(method, first, shape)
    positions = tuple(place(method, axis, len(shape), moved) for axis in first.axes)
    if positions != tuple(range(positions[0], positions[0] + len(positions))):
        raise ValueError(f"{method}(): the axes of {first.name} of shape {shape} do not stand side by side")
    found: dict[str, int] = {}
    for axis, position in zip(first.axes, positions, strict=True):
        found |= lengths_of(method, first.name, axis, shape[position])
    return positions, found


def _face(method: str, argument: Argument, value: Any) -> Face | None:
    """What the interface of an operand says; None where it is a number or left out."""
    if value is None or value is True or is_number(value):
        return None
    return face_of(method, argument.name, value, FORMATS_OF_ROWS)


def _given(method: str, argument: Argument, value: Any, faces: Mapping[str, Face]) -> Given:
    """An operand with the one role that its dtype tells."""
    face, passed = faces.get(argument.name), value is not None and value is not True
    if argument.kinds:
        role = "index" if face is not None and face.typestr[1] == "i" else "prob"
        argument = next((k for k in argument.kinds if k.role == role), argument.kinds[0])
    if not passed and argument.required:
        raise TypeError(f"{method}(): {argument.name} must be an array, got None")
    if passed and face is None and argument.role == "mask":
        raise TypeError(f"{method}(): {argument.name} is a number; expected an array of booleans")
    whole = argument.role in ("index", "labels")
    if face is not None and (whole != (face.typestr[1] == "i") or (argument.role == "mask") != (face.typestr == "|b1")):
        wanted = "integers" if whole else "booleans" if argument.role == "mask" else "floats"
        raise TypeError(f"{method}(): {argument.name} has elements of type {face.typestr}; expected {wanted}")
    held: Any = (1.0 if argument.role == "mask" else number(argument.default)) if not passed else value
    return Given(argument, held, None if face is not None else float, passed)
