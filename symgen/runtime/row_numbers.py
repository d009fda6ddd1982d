"""Functions of rows with one number for each row: its gradient needs no cotangent, and comes with it in one pass."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from .execute import bare
from .rows import Result, RowCall, RowCaller, cotangent_rows, defaults, gradients, kept_shape, targets

Arguments = tuple[Any, ...]
Keywords = Mapping[str, Any]


def _prepared(caller: RowCaller, method: str, args: Arguments, kwargs: Keywords) -> RowCall:
    name = f"{caller.function.name}.{method}"
    return caller.prepare(name, args, kwargs, {**defaults(caller.function), "wrt": None})


def _gradients(caller: RowCaller, call: RowCall, numbers: Any = None) -> Any:
    """The gradients in the tensors that were passed as arrays, or in what ``wrt`` names."""
    g = cotangent_rows(call, np.ones(()), call.precision.compute)
    return bare(gradients(caller, call, g, targets(caller, call, ("tensor",)), call.extras["out"], numbers))


def grad(caller: RowCaller, args: Arguments, kwargs: Keywords) -> tuple[Any, None]:
    """The gradient of each row's number."""
    return _gradients(caller, _prepared(caller, "grad", args, kwargs)), None


def value_and_grad(caller: RowCaller, args: Arguments, kwargs: Keywords) -> tuple[Any, None]:
    """Each row's number and its gradient."""
    call = _prepared(caller, "value_and_grad", args, kwargs)
    numbers = Result(call, (), None, call.precision.result, call.precision.compute)
    found = _gradients(caller, call, numbers.rows)
    value = numbers.finished()
    return (np.reshape(value, kept_shape(call)) if call.extras.get("keepdims") else value, found), None
