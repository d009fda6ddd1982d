"""Inputs of row functions for whoever measures them: operands that a variant allows, and rows that are hard."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import sympy as sp

from symgen.oracle_balls import OracleError
from symgen.rows.derive import Place, places
from symgen.rows.indices import axis_of, loops
from symgen.spec import Op, Variant
from symgen.spec.model import exact, role_limits

Arrays = dict[str, Any]
ARRAYS = frozenset({"tensor", "param", "weight", "prob"})  # roles of what is stored in a kernel's dtype


@dataclass(frozen=True)
class Problem:
    """One sample with the name of what is hard about it, in no dtype yet.

    Attributes:
        place: for a person.
        arrays: operands and numbers by name.
        lengths: of the axes.
        cotangent: of the shape of the value.
    """

    place: str
    arrays: Arrays
    lengths: Mapping[str, int]
    cotangent: Any


def hard_rows(n: int, seed: int = 0) -> Iterator[tuple[str, Any]]:
    """Rows on which softmax and its kin lose their bits when they are computed as they are written, with their names.

    Args:
        n: entries of a row.
        seed: of what is random in them.
    """
    rng = np.random.default_rng(seed)
    yield "random", rng.normal(size=n) * 3
    yield "all equal", np.full(n, 2.0)
    yield "differences of 1e-6", 1 + 1e-6 * rng.normal(size=n)
    yield "a range of 1e4", rng.uniform(-1e4, 1e4, n)
    yield "far down", rng.uniform(-700, 0, n)
    for size in (20.0, 40.0, 80.0, -80.0):
        dominant = rng.normal(size=n)
        dominant[n // 3] = size
        yield f"one of {size:g}", dominant
    ties = rng.normal(size=n)
    ties[: max(1, n // 2)] = 3.0
    yield "ties", ties


def sample(op: Op, variant: Variant, n: int, seed: int) -> tuple[Arrays, dict[str, int]]:
    """Operands of one sample, options off their defaults where they may be, and the lengths of the axes.

    Args:
        op: a row function.
        variant: one of its.
        n: the length of every axis that is not of parts; of an operand of three or more axes, of the first alone.
        seed: of the operands.
    """
    rng = np.random.default_rng(seed)
    found: Arrays = {}
    lengths: dict[str, int] = {}
    for place in places(op, variant):
        pairs = len(place.axes) > 2  # of all pairs of entries there would be too many to write out
        shape = tuple(int(a) if a.isdigit() else 2 if pairs and i else n for i, a in enumerate(place.axes))
        lengths |= {a: m for a, m in zip(place.axes, shape, strict=True) if not a.isdigit()}
        low, high = ends(place, -2.0, 2.0)
        if place.number:
            found[place.name] = _number(op, variant, place, low, high)
        elif place.role.kind == "index":
            found[place.name] = int(rng.integers(n))
        elif place.role.kind == "labels":
            found[place.name] = np.array([*rng.permutation(n)[: n - 1], -1])
        elif place.role.kind == "mask":
            found[place.name] = np.ones(n, bool)  # logarithms of masked entries are infinite
        elif known := labels(op, variant, place):
            found[place.name] = np.asarray(rng.choice(known, shape))
        else:
            found[place.name] = rng.uniform(low, high, shape)
    return found, lengths


def labels(op: Op, variant: Variant, place: Place) -> list[float]:
    """The numbers that a formula asks an operand of samples for: labels, of which each has a case of its own."""
    symbol = op.symbol(place.name)
    asked = (set(c.args) - {symbol} for c in variant.value.atoms(sp.Eq) if symbol in c.args)
    return sorted(float(e) for found in asked for e in found if e.is_number)


def ends(place: Place, low: float, high: float) -> tuple[float, float]:
    """An interval within the limits of an argument, a little inside where they are narrower than asked for."""
    limits = role_limits(place.role)
    least = max([low, *(float(v) + 0.05 for o, v in limits if o in (">", ">="))])
    most = min([high, *(float(v) - 0.05 for o, v in limits if o in ("<", "<="))])
    return least, most


def _number(op: Op, variant: Variant, place: Place, low: float, high: float) -> int | float:
    """The value of a number in a variant: its default, or another one that its conditions allow."""
    default = op.argument(place.name).default
    if place.role.kind == "int":
        return default if isinstance(default, int) else 1
    start = float(default) if isinstance(default, int | float) else 0.5
    least, most = ends(place, -math.inf, math.inf)
    named = [float(a) + k for c, _ in variant.conditions for a in c.args if a.is_number for k in (0, 1, -1)]
    tried = (start, 0.0, 1.0, 2.0, 3.0, math.inf, *named)
    for value in (min(max(start or 0.1, low), high), *(v for v in tried if least <= v + 0.05 and v - 0.05 <= most)):
        symbol = op.symbol(place.name)
        known = [
            (c.xreplace({symbol: exact(value)}), t)
            for c, t in variant.conditions
            if c.free_symbols == {symbol}
        ]
        if all(bool(c) == t for c, t in known):
            return float(value)
    raise OracleError(f"{op.name}: no value of '{place.name}' was found that leads to variant {variant.suffix}")


def problems(op: Op, variant: Variant, found: Sequence[Place], n: int) -> Iterator[Problem]:
    """Each hard row of one length."""
    first = next(p for p in found if p.role.kind == "tensor")
    low, high = ends(first, -np.inf, np.inf)
    axes = loops(variant.value)
    for what, _ in hard_rows(1):
        seed = int.from_bytes(hashlib.sha256(f"{what} {n}".encode()).digest()[:4], "little")
        arrays, sizes = sample(op, variant, n, seed)
        count = int(np.size(arrays[first.name]))
        row = next(r for name, r in hard_rows(count, seed) if name == what)
        arrays[first.name] = np.clip(row, low, high).reshape(np.shape(arrays[first.name]))
        shape = tuple(sizes[axis_of(i.name)] for i in axes)
        cotangent = np.random.default_rng((seed, 1)).normal(size=shape)  # no multiple of a row drawn from the seed
        yield Problem(f"{what}, {count} {'entry' if count == 1 else 'entries'}", arrays, sizes, cotangent)
