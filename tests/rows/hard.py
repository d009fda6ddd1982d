"""What tests of rows share: row functions of the catalogue, rows that are hard, and errors in ULP."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import sympy as sp

from symgen.catalogue import folder
from symgen.rows.derive import places
from symgen.rows.lower import is_row_function
from symgen.spec import Op, load
from symgen.spec.model import role_limits

OPS: dict[str, Op] = {name: op for name, op in load(folder()).items() if is_row_function(op)}


def hard_rows(n: int, seed: int = 0) -> Iterator[tuple[str, Any]]:
    """Rows on which softmax and its kin lose their bits when they are computed as they are written."""
    rng = np.random.default_rng(seed)
    yield "random", rng.normal(size=n) * 3
    yield "all equal", np.full(n, 2.0)
    yield "differences of 1e-6", 1 + 1e-6 * rng.normal(size=n)
    yield "a range of 1e4", rng.uniform(-1e4, 1e4, n)
    yield "far down", rng.uniform(-700, 0, n)
    for size in (20.0, 40.0):
        dominant = rng.normal(size=n)
        dominant[n // 3] = size
        yield f"one of {size:g}", dominant
    ties = rng.normal(size=n)
    ties[: max(1, n // 2)] = 3.0
    yield "ties", ties


def ulps(got: Any, exact: tuple[Any, Any], dtype: Any) -> float:
    """The largest error of an entry, in ULP of the exact value in the dtype."""
    high, low = exact
    with np.errstate(all="ignore"):
        near = np.abs(high).astype(dtype)
        one = np.maximum(np.spacing(near).astype(np.float64), float(np.finfo(dtype).smallest_subnormal))
        found = np.abs((np.asarray(got, np.float64) - high) - low) / one
    return float(np.max(found, initial=0.0))


def sample(op: Op, variant: Any, n: int, seed: int) -> tuple[dict[str, Any], dict[str, int]]:
    """Operands of one sample with axes of length n, options off their defaults where they may be, and the lengths."""
    rng = np.random.default_rng(seed)
    found: dict[str, Any] = {}
    lengths: dict[str, int] = {}
    for place in places(op, variant):
        shape = tuple(int(a) if a.isdigit() else n for a in place.axes)
        lengths |= {a: n for a in place.axes if not a.isdigit()}
        limits = role_limits(place.role)
        low = max([-2.0, *(float(v) + 0.05 for o, v in limits if o in (">", ">="))])
        high = min([2.0, *(float(v) - 0.05 for o, v in limits if o in ("<", "<="))])
        if place.number:
            found[place.name] = number_of(op, variant, place, low, high)
        elif place.role.kind == "index":
            found[place.name] = int(rng.integers(n))
        elif place.role.kind == "labels":
            found[place.name] = np.array([*rng.permutation(n)[: n - 1], -1])
        elif place.role.kind == "mask":
            found[place.name] = np.ones(n, bool)  # logarithms of masked entries are infinite
        else:
            found[place.name] = rng.uniform(low, high, shape)
    return found, lengths


def number_of(op: Op, variant: Any, place: Any, low: float, high: float) -> float:
    """The value of a number in a variant: its default, or another one that its conditions allow."""
    default = op.argument(place.name).default
    start = float(default) if isinstance(default, int | float) else 0.5
    if place.role.kind == "int":
        return start
    for value in (min(max(start or 0.1, low), high), start, 0.0, 1.0, 2.0, 3.0, np.inf):
        symbol = op.symbol(place.name)
        known = [(c.xreplace({symbol: sp.nsimplify(value) if np.isfinite(value) else sp.oo}), t)
                 for c, t in variant.conditions if c.free_symbols == {symbol}]
        if all(bool(c) == t for c, t in known):
            return float(value)
    raise AssertionError(f"no value of {place.name}")
