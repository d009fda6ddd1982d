"""Compiling ahead of time: every loop of a function, into Numba's cache, so that no later first call has to wait."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

from .calls import Caller
from .errors import listing
from .manifest import NUMERIC_ROLES
from .rows import load

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
        (load if caller.function.is_rows else _load)(caller, tag)
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
