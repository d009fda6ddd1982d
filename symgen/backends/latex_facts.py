"""What a card can honestly say besides the formula: where a function is put together, what it does there and far out.

Points where the definition switches are solved for in the formula. Conventions at them are the formula's own value
there. Bounds and limits are read off the generated kernel, and the card says so.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import sympy as sp

from symgen import heads, vocabulary
from symgen.backends.latex_samples import Samples
from symgen.kinks import switches, unfold

_MAX_BRANCHES = 32
_FAR = 1e12


@dataclass(frozen=True)
class Joint:
    """A point where the definition switches from one branch to another.

    Args:
        point: its place, over the options' symbols.
        at: its place at the options that the card shows.
        order: the lowest derivative that jumps there: 0, 1 or 2; 3 if none of them does.
    """

    point: Any
    at: float
    order: int = 3


def branches(e: Any) -> list[Any]:
    """Every smooth expression that a formula can reduce to, one for each way of choosing among its cases."""
    e = unfold(e)
    if not getattr(e, "args", ()):
        return [e]
    if isinstance(e, heads.Cases):
        return _capped([*branches(e.then), *branches(e.otherwise)])
    combined: list[tuple[Any, ...]] = [()]
    for argument in e.args:
        combined = [(*c, b) for c in combined for b in branches(argument)][:_MAX_BRANCHES]
    return _capped([e.func(*c) for c in combined])


def _capped(found: Iterable[Any]) -> list[Any]:
    return list(dict.fromkeys(found))[:_MAX_BRANCHES]


def joints(e: Any, x: Any, shown: Mapping[Any, Any]) -> list[Joint]:
    """Where a formula changes branch along x, as far as the switches are linear in x, from left to right.

    Args:
        e: The formula.
        x: The symbol it is drawn against.
        shown: The options' values on the card; a point that is none at these values is left out.
    """
    points: dict[Any, float] = {}
    for switch in switches(e):
        for branch in branches(switch):
            point = _root(branch, x)
            if point is None or point in points:
                continue
            at = point.subs(shown)
            left = resolve(switch, {**shown, x: at})
            if at.is_number and at.is_finite and left == 0:
                points[point] = float(at)
    found: dict[float, Any] = {}
    for point, at in points.items():
        found.setdefault(at, point)
    return [Joint(found[at], at) for at in sorted(found)]


def _root(e: Any, x: Any) -> Any:
    slope = sp.diff(e, x) if x in getattr(e, "free_symbols", ()) and e.is_polynomial(x) else sp.Integer(0)
    if slope == 0 or x in slope.free_symbols:
        return None
    return -e.subs(x, 0) / slope


def resolve(e: Any, values: Mapping[Any, Any]) -> Any:
    """A formula at a point, with every choice taken that the values decide."""
    e = unfold(e)
    if not getattr(e, "args", ()):
        return values.get(e, e)
    if isinstance(e, heads.Cases):
        condition = resolve(e.condition, values)
        if condition in (sp.true, sp.false):
            return resolve(e.then if condition == sp.true else e.otherwise, values)
        return heads.Cases(condition, resolve(e.then, values), resolve(e.otherwise, values))
    arguments = [resolve(a, values) for a in e.args]
    if isinstance(e, vocabulary.Head) and all(a.is_number for a in arguments):
        return vocabulary.expand_heads(e.func(*arguments))
    return e.func(*arguments)


def is_settled(e: Any) -> bool:
    """Whether no choice is left open in a formula."""
    return not e.has(heads.Cases, sp.nan, sp.zoo)


def is_zero_everywhere(e: Any) -> bool:
    """Whether every branch of a formula is zero: the derivative of a step is, though the step is not flat."""
    return all(b == 0 for b in branches(e))


def lowest_jump(samples: Samples, at: float) -> int:
    """The lowest of f, f', f'' that jumps at a point, 3 if none does."""
    width = 1e-7 * max(1.0, abs(at))
    points = np.array([at - width, at + width])
    near = [np.asarray(s, dtype=np.float64) for s in samples(points)]
    far = [np.asarray(s, dtype=np.float64) for s in samples(np.array([at - 2 * width, at + 2 * width]))]
    for order, (inner, outer) in enumerate(zip(near, far, strict=True)):
        gap, trend = abs(inner[1] - inner[0]), abs(outer[1] - outer[0])
        # a jump stays when the points move together; a slope shrinks with their distance
        if gap > 1e-9 * max(1.0, float(np.max(np.abs(inner)))) and gap > 0.75 * trend:
            return order
    return 3


@dataclass(frozen=True)
class Extent:
    """What f spans and where f, f' and f'' tend to, as the code shows it.

    Args:
        lower: The smallest value found, and upper: the largest.
        ends: The two ends of the domain, each with the values there; None where the code gives NaN: no limit.
    """

    lower: float
    upper: float
    ends: tuple[tuple[float, tuple[float | None, ...]], ...]


def extent(samples: Samples, domain: tuple[float, float], at: Iterable[float] = ()) -> Extent:
    """What the code's values span, on a grid that is dense near zero and reaches 1e12, and its values at the ends.

    Args:
        samples: f, f' and f'' at float64 points.
        domain: The open interval on which f is defined; code is continuous towards its ends.
        at: Points where f may jump; their neighbours on both sides are looked at too.
    """
    near = np.linspace(-16.0, 16.0, 64001)
    far = np.geomspace(16.0, _FAR, 4001)
    joints = np.array(list(at), dtype=np.float64)
    beside = [np.nextafter(joints, -np.inf), joints, np.nextafter(joints, np.inf)]
    points = np.unique(np.concatenate([-far, near, far, *beside]))
    inside = np.asarray(samples(points[(points > domain[0]) & (points < domain[1])])[0], dtype=np.float64)
    ends = tuple((end, _at_end(samples, end)) for end in domain)
    reached = [values[0] for _, values in ends if values[0] is not None]
    spanned = np.concatenate([inside[~np.isnan(inside)], np.array(reached, dtype=np.float64)])
    return Extent(float(np.min(spanned)) + 0.0, float(np.max(spanned)) + 0.0, ends)


def _at_end(samples: Samples, end: float) -> tuple[float | None, ...]:
    values = [float(np.asarray(s).ravel()[0]) for s in samples(np.array([end]))]
    return tuple(None if math.isnan(v) else v + 0.0 for v in values)
