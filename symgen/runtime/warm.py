"""Compiling ahead of time: every loop of a function, into Numba's cache, so that no later first call has to wait."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np

from .calls import Caller
from .dtypes import FLOAT64, Array, DType
from .errors import listing
from .layout import Given
from .manifest import NUMERIC_ROLES, Argument
from .rows import RowCaller, axis_names

DTYPES = {"float64": "f64", "float32": "f32", "float16": "f64", "bfloat16": "f64"}
"""The loops that compute a dtype: half precision goes through float64."""
REDUCED = NUMERIC_ROLES | {"param"}  # roles whose gradients are sums


class Warmed(NamedTuple):
    """How many loops were compiled now, and how many lay in the cache."""

    compiled: int
    cached: int


def warm(caller: Any, dtypes: Iterable[str] = ("float64", "float32")) -> Warmed:
    """Compile every loop of a function for these dtypes, or load it from the cache.

    Raises:
        ValueError: a dtype that no loop computes.
    """
    wanted = list(dtypes)
    if unknown := [d for d in wanted if d not in DTYPES]:
        raise ValueError(f"there are no kernels for dtype {unknown[0]!r}; there are some for {listing(DTYPES, 'and')}")
    for tag in dict.fromkeys(DTYPES[d] for d in wanted):
        (_load_rows if caller.function.is_rows else _load)(caller, tag)
    dispatchers = [caller.loops.attribute(name) for name in caller.loops.compiled]
    hits = sum(sum(d.stats.cache_hits.values()) for d in dispatchers if hasattr(d, "stats"))
    return Warmed(len(dispatchers) - hits, hits)


def _load(caller: Caller, tag: str) -> None:
    """Compile the loops of one tag: each output of each variant, the fused ones, and the sums."""
    function, loops = caller.function, caller.loops
    reads, tensors = len(function.operands), len(function.tensors)
    for variant in function.variants:
        for output in variant.outputs:
            loops.elementwise(output, tag, variant.suffix, (reads, 1))
        loops.elementwise("vjp", tag, variant.suffix, (reads + 1, tensors))
        loops.elementwise("value_and_grad", tag, variant.suffix, (reads, 1 + tensors))
        if function.is_loss and all(o.role != "param" for o in function.operands):
            for walked in {tuple(o.required for o in function.operands), (True,) * reads}:
                loops.total("total", tag, variant.suffix, walked, 0)
                loops.total("total_and_grad", tag, variant.suffix, walked, tensors)
                for tensor in function.tensors if tensors > 1 else ():
                    loops.total(f"total_and_grad_{tensor.name}", tag, variant.suffix, walked, 1)
        for argument in function.arguments:
            if argument.role in REDUCED and f"grad_{argument.name}" in variant.outputs:
                loops.reduction(argument.name, tag, variant.suffix)


def _load_rows(caller: RowCaller, tag: str) -> None:
    """Compile every kernel for float64 or float32 operands, or load it from the cache."""
    function, dtype = caller.function, np.dtype({"f64": np.float64, "f32": np.float32}[tag])
    g_dtype = FLOAT64 if function.is_loss else dtype
    for variant in function.variants:
        roles = [next((k for k in a.kinds if k.role == variant.settings.get(a.name)), a) for a in function.operands]
        inputs = [_blank(a, dtype) for a in roles]
        bare_inputs = [None if Given(a, b, None, False).absent else b for a, b in zip(roles, inputs, strict=True)]
        known = {a.name: a for a in roles}
        for output in sorted(variant.outputs):
            name = output.partition("vjp_")[2] or output.partition("hvp_")[2]
            share = output.startswith("share")
            axes = 0 if share else len(variant.axes)
            value = np.empty((0,) * (1 + axes), g_dtype if function.is_loss else dtype)
            tensors = [np.empty((0,) * (1 + len(axis_names(a))), dtype) for a in roles if a.role == "tensor"]
            if not name:
                results = {"value": [value], "share": [value], "vjp": tensors}.get(output, [value, *tensors])
            elif name in known and not Given(known[name], value, None, True).shared:
                results = [np.empty((0,) * (1 + len(axis_names(known[name]))), dtype)]
            else:
                count = len(axis_names(known[name])) if name in known else 0
                results = [np.zeros((1,) * max(count, 1)) for _ in range(2)]
            g = [] if output in ("value", "share") else [np.empty((0,) * (1 + axes), g_dtype)]
            along = results if output.startswith("hvp_") else []  # of the shape of the operand, as the result is
            for given in (inputs, bare_inputs) if any(a is None for a in bare_inputs) else (inputs,):
                caller._kernel(output, tag, variant.suffix, [*g, *along, *given], results)


def _blank(argument: Argument, dtype: DType) -> Array:
    """An operand without rows, of the type that kernels get."""
    shared = Given(argument, np.empty(0), None, True).shared
    kind = {"index": np.int64, "labels": np.int64, "mask": np.bool_}.get(argument.role, FLOAT64 if shared else dtype)
    return np.empty((0,) * (len(axis_names(argument)) + (not shared)), kind)
