"""One call, checked: arguments bound, options validated, a variant chosen, operands made arrays that broadcast."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, NamedTuple

import numpy as np

from .binding import MISSING, Binder
from .dtypes import Array, DType, Precision
from .execute import Loop, allocate, check_out, finish, run
from .loops import Loops
from .manifest import Function, Variant
from .memory import check_apart, unshared
from .operands import Operand, Shape, broadcast, check_limits, gather, read_array, refuse_integers
from .options import check_assertions, check_option, choose_variant, default_value, describe
from .quick import Ready
from .tables import fits, tabulated

PLANS: Final = 256  # settings that a kernel remembers before it starts afresh
CACHED: Final = frozenset({float, int, str, bool, type(None), type(MISSING)})


class Plan(NamedTuple):
    """What the options of a call amount to: a variant, and the numbers its loops take."""

    variant: Variant
    numbers: tuple[float, ...]


class Call(NamedTuple):
    """A call whose arguments were checked."""

    method: str
    operands: list[Operand]
    shape: Shape
    plan: Plan
    extras: Mapping[str, Any]
    leading: Any
    inputs: list[Array]


class Bound(NamedTuple):
    """A call's arguments by what they are, the operands as they were passed."""

    operands: list[Any]
    plan: Plan
    leading: Any


class Caller:
    """Checks the calls of one function and runs its loops."""

    def __init__(self, function: Function, package: str) -> None:
        self.function = function
        self.loops = Loops(package, function)
        self.binders = {"": Binder(function), "g": Binder(function, ("g",)), "v": Binder(function, ("v",))}
        self._checked = any(a.limits for a in function.operands)
        self._plans: dict[tuple[Any, ...], Plan] = {}

    def prepare(self, method: str, args: tuple[Any, ...], kwargs: Mapping[str, Any], extras: dict[str, Any],
                leading: str = "") -> Call:
        """Bind and check a call; ``extras`` are further keywords and their defaults, ``leading`` a first argument."""
        if self._checked:
            extras["check"] = False
        bound = self.bound(method, args, kwargs, extras, leading)
        operands, shape = gather(method, self.function.operands, bound.operands)
        refuse_integers(method, self.function.logits, operands)
        if self._checked and _asked(method, extras["check"]):
            check_limits(method, operands)
        return Call(method, operands, shape, bound.plan, extras, bound.leading, [o.placed for o in operands])

    def bound(self, method: str, args: tuple[Any, ...], kwargs: Mapping[str, Any], extras: dict[str, Any],
              leading: str = "") -> Bound:
        """Bind a call, and check its options but not its operands."""
        binder = self.binders[leading]
        values = binder.bind(method, args, kwargs, extras)
        plan = self.plan(method, [values[i] for i in binder.option_at])
        given = [None if values[i] is MISSING else values[i] for i in binder.operand_at]
        return Bound(given, plan, values[0] if leading else None)

    def plan(self, method: str, values: Sequence[Any]) -> Plan:
        """The plan of these option values; ``MISSING`` stands for a default."""
        # -0.0 equals 0.0 and True equals 1, so neither alone may stand in a key.
        key = tuple([(type(v), v or repr(v)) if type(v) in CACHED else None for v in values])
        cacheable = None not in key
        if cacheable and (known := self._plans.get(key)) is not None:
            return known
        plan = self._new_plan(method, values)
        if cacheable:
            if len(self._plans) >= PLANS:
                self._plans.clear()
            self._plans[key] = plan
        return plan

    def _new_plan(self, method: str, values: Sequence[Any]) -> Plan:
        options = self.function.options
        checked = {
            a.name: default_value(a) if v is MISSING else check_option(method, a, v)
            for a, v in zip(options, values, strict=True)
        }
        check_assertions(method, self.function, checked)
        numbers = (checked[a.name] for a in self.function.numeric_options)
        # A variant without a number does not read it, so that zero is as good as any.
        return Plan(choose_variant(self.function, checked), tuple(0.0 if n is None else float(n) for n in numbers))

    def elementwise(self, call: Call, output: str, precision: Precision, out: Any) -> tuple[Loop, DType]:
        """The loop of one output, and the dtype that it computes in: a table's own dtype where one serves the call."""
        loop = self.loop(call, output, precision.tag)
        result = precision.result
        alike = out is None or (isinstance(out, np.ndarray) and out.dtype == result)
        if alike and len(call.operands) == 1 and fits(x := call.operands[0].array, result):
            table = tabulated(loop, call.plan.numbers, result, x.size)
            if table is not None:
                return table, result
        return loop, precision.compute

    def loop(self, call: Call, output: str, tag: str, outputs: int = 1, cotangent: bool = False) -> Loop:
        """The compiled elementwise loop of an output for this call."""
        return self.loops.elementwise(output, tag, call.plan.variant.suffix, (len(call.operands) + cotangent, outputs))


def arrays(function: Function, leading: bool = False) -> int:
    """How many arrays stand first among the arguments of a call that a loop alone can answer; 0 if there is none.

    Parameters have an axis of their own, which has to be found at each call.
    """
    operands = function.operands
    if function.is_loss and not function.is_rows:
        plain = tuple(a for a in operands if a.required)
        alone = all(a.role in ("tensor", "prob", "weight") for a in plain) and function.arguments[: len(plain)] == plain
        return len(plain) if alone and not leading else 0
    if function.is_rows:
        alone = not function.is_loss and [a.role for a in operands if a.role != "mask"] == ["tensor"]
        return 1 + leading if alone and operands[0].role == "tensor" else 0
    if any(a.role != "tensor" for a in operands) or function.arguments[: len(operands)] != operands:
        return 0
    return len(operands) + leading


def ready(call: Call, loop: Loop, dtype: DType, compute: DType, results: int = 1,
          wrap: Callable[[list[Array]], Any] = tuple) -> Ready | None:
    """How calls like this one run, if it took no more than its loop."""
    return Ready(loop, call.plan.numbers, dtype, results, wrap) if dtype == compute else None


def _asked(method: str, check: Any) -> bool:
    if not isinstance(check, bool | np.bool_):
        raise TypeError(f"{method}(): check must be True or False, got {describe(check)}")
    return bool(check)


def given_outputs(method: str, out: Any, count: int) -> list[Any]:
    """The ``out=`` of a call as one entry per result, None where a new array is wanted.

    Raises:
        TypeError: a tuple of another length.
        ValueError: two of them share memory.
    """
    if out is None:
        return [None] * count
    outs = list(out) if isinstance(out, tuple) else [out]
    if len(outs) != count:
        wanted = "an array" if count == 1 else f"a tuple of {count} arrays"
        raise TypeError(f"{method}(): out must be {wanted}, got {len(outs)}")
    if count > 1:
        check_apart(method, outs)
    return outs


def apart(call: Call, outs: Sequence[Any]) -> Call:
    """The call with copies of what one of several outputs lies over: operands and mask are read again for the next."""
    if len(outs) < 2 or all(out is None for out in outs):
        return call
    operands = []
    for o in call.operands:
        array = unshared(o.array, outs)
        operands.append(o._replace(array=array, placed=array if o.placed is o.array else unshared(o.placed, outs)))
    where = call.extras.get("where")
    extras = {**call.extras, "where": unshared(where, outs)} if isinstance(where, np.ndarray) else call.extras
    return call._replace(operands=operands, inputs=[o.placed for o in operands], extras=extras)


def fill(call: Call, loop: Loop, out: Any, dtype: DType, compute: DType) -> Any:
    """Run an elementwise loop of one output into ``out`` or a new array, under the call's mask where there is one."""
    where = call.extras.get("where", True)
    if where is not True:
        return _fill_masked(call, loop, out, dtype, compute, where)
    if out is None:
        result = allocate(call.shape, dtype, call.inputs)
        run(loop, call.inputs, call.plan.numbers, [result], compute, fresh=True)
        return finish(result)
    result = check_out(call.method, out, call.shape)
    run(loop, call.inputs, call.plan.numbers, [result], compute)
    return result


def _fill_masked(call: Call, loop: Loop, out: Any, dtype: DType, compute: DType, where: Any) -> Any:
    mask = read_array(call.method, "where", where)
    if mask.dtype != np.bool_:
        raise TypeError(f"{call.method}(): where has dtype {mask.dtype}; expected bool")
    shape = broadcast(call.method, [("the result", call.shape), ("where", mask.shape)])
    result = allocate(shape, dtype, call.inputs) if out is None else check_out(call.method, out, shape)
    computed = np.empty(result.shape, result.dtype)
    run(loop, call.inputs, call.plan.numbers, [computed], compute, fresh=True)
    np.copyto(result, computed, where=mask)
    return finish(result) if out is None else result

