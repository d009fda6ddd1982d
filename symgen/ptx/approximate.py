"""What the instructions that a GPU only approximates give here: the exact value, correctly rounded, or worse on demand.

Each has an error bound that the PTX manual states, and no stated bits. The model rounds the exact value once. With
``error=1.0`` it errs by up to the whole bound, at random and reproducibly: a kernel that keeps its bar under that is
right on every GPU. `BOUNDS` are relative errors; for ``sin``, ``cos`` and ``lg2`` of results below one, absolute ones.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from symgen.ptx.rounding import flush
from symgen.ptx.types import Array

FUNCTIONS: Mapping[str, Callable[..., Array]] = {
    "ex2": np.exp2,
    "lg2": np.log2,
    "rcp": np.reciprocal,
    "sqrt": np.sqrt,
    "rsqrt": lambda x: 1 / np.sqrt(x),
    "sin": np.sin,
    "cos": np.cos,
    "tanh": np.tanh,
    "div": lambda a, b: a / b,
}

BOUNDS: Mapping[str, float] = {
    "ex2": 2.0**-22.5,
    "lg2": 2.0**-22.6,
    "rcp": 2.0**-23,
    "sqrt": 2.0**-23,
    "rsqrt": 2.0**-22.9,
    "sin": 2.0**-20.9,
    "cos": 2.0**-20.9,
    "tanh": 2.0**-11,
    "div": 2.0**-22,
}

ABSOLUTE = frozenset({"sin", "cos", "lg2"})
POWERS = frozenset({"ex2", "rcp"})  # which err nowhere that the result is a power of two; an H100 was asked for each
LARGE_DIVISOR = 2.0**126


def approximate(operation: str, ftz: bool, noise: Array | None, *values: Array) -> Array:
    """An approximate instruction on float32.

    Args:
        operation: such as "ex2".
        ftz: whether subnormal inputs and results become zero.
        noise: for each element a number in [-1, 1], the share of the bound by which the result errs; None for none.
        values: the operands.
    """
    wide = [(flush(v) if ftz else v).astype(np.float64) for v in values]
    exact = np.asarray(FUNCTIONS[operation](*wide))
    if noise is not None:
        size = np.maximum(np.abs(exact), 1.0) if operation in ABSOLUTE else np.abs(exact)
        errs = np.isfinite(exact) & (exact != 0)
        if operation in POWERS:
            errs &= np.abs(np.frexp(exact)[0]) != 0.5
        exact = np.where(errs, exact + noise * BOUNDS[operation] * size, exact)
    result = exact.astype(np.float32)
    if operation == "div":  # the divisor's reciprocal is subnormal there, and flushed
        result = np.where((np.abs(wide[1]) > LARGE_DIVISOR) & np.isfinite(wide[1]), wide[0] * 0, result)
        result = result.astype(np.float32)
    return flush(result) if ftz else result


def approximate64(operation: str, value: Array) -> Array:
    """``rcp.approx.ftz.f64`` and ``rsqrt.approx.ftz.f64``: the upper half of the operand gives that of the result."""
    upper = np.uint64(0xFFFFFFFF00000000)
    seen = (flush(value).view(np.uint64) & upper).view(np.float64)
    result = np.asarray(FUNCTIONS[operation](np.where(np.isnan(value), np.nan, seen)))
    return flush((result.view(np.uint64) & upper).view(np.float64))
