"""Between which numbers the nodes of a graph lie, whatever its variables are, by interval arithmetic.

What is computed stands beside what is meant: bounds leave room for the errors of float32. NaN lies in every interval.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from itertools import product

from symgen.kernel import Node, topological

Interval = tuple[float, float]
ALL: Interval = (-math.inf, math.inf)
ROOM = 2.0**-18  # of any operation's error, relatively
EXACT = frozenset({"const", "neg", "abs", "copysign", "select"})


def bounds(results: Sequence[Node], given: Mapping[Node, Interval] | None = None) -> dict[Node, Interval]:
    """The interval of every number that the results need.

    Args:
        results: Of a graph.
        given: Intervals of some nodes that are known otherwise.

    Example:
        >>> from symgen.kernel import call, var
        >>> found = bounds([1.0 + call("exp", -abs(var("x")))])
        >>> [round(end, 3) for end in list(found.values())[-1]]
        [1.0, 2.0]
    """
    found: dict[Node, Interval] = {}
    for n in topological(results):
        if given and n in given:
            found[n] = given[n]
            continue
        low, high = _interval(n, [found[a] for a in n.args])
        found[n] = (low, high) if n.op in EXACT else (_beyond(low, -ROOM), _beyond(high, ROOM))
    return found


def _beyond(end: float, room: float) -> float:
    return end + room * abs(end) if math.isfinite(end) else end


def _interval(n: Node, given: Sequence[Interval]) -> Interval:
    if n.op == "const":
        return ALL if math.isnan(n.value) else (n.value, n.value)
    if n.op == "mul" and n.args[0] is n.args[1]:
        return _products(*2 * [_size(given[0])])
    if n.op == "call":
        shape = MONOTONE.get(re.sub("_(?:short|medium|unit)", "", n.value))
        return shape(*given[0]) if shape else ALL
    rule = RULES.get(n.op)
    return rule(*given) if rule else ALL


def _size(a: Interval) -> Interval:
    low, high = sorted(map(abs, a))
    return (0.0 if a[0] <= 0 <= a[1] else low), high


def _negative(a: Interval) -> Interval:
    return -a[1], -a[0]


def _sum(a: Interval, b: Interval) -> Interval:
    low, high = a[0] + b[0], a[1] + b[1]
    return (-math.inf if math.isnan(low) else low), (math.inf if math.isnan(high) else high)


def _products(a: Interval, b: Interval) -> Interval:
    ends = [0.0 if 0.0 in pair else pair[0] * pair[1] for pair in product(a, b)]
    return min(ends), max(ends)


def _inverse(a: Interval) -> Interval:
    return (1 / a[1], 1 / a[0]) if a[0] > 0 or a[1] < 0 else ALL


def _raised(function: Callable[[float], float]) -> Callable[[float, float], Interval]:
    """The interval of an increasing function, infinite where it overflows."""

    def at(x: float) -> float:
        try:
            return function(x)
        except OverflowError:
            return math.inf
        except ValueError:  # of a logarithm
            return -math.inf

    return lambda low, high: (at(low), at(high))


RULES: Mapping[str, Callable[..., Interval]] = {
    "add": _sum,
    "sub": lambda a, b: _sum(a, _negative(b)),
    "mul": _products,
    "div": lambda a, b: _products(a, _inverse(b)),
    "inverse": _inverse,
    "fma": lambda a, b, c: _sum(_products(a, b), c),
    "neg": _negative,
    "abs": _size,
    "sqrt": lambda a: (math.sqrt(max(a[0], 0.0)), math.sqrt(max(a[1], 0.0))),
    "copysign": lambda a, _: (-_size(a)[1], _size(a)[1]),
    "select": lambda _, a, b: (min(a[0], b[0]), max(a[1], b[1])),
}
MONOTONE: Mapping[str, Callable[[float, float], Interval]] = {
    "exp": _raised(math.exp),
    "expm1": _raised(math.expm1),
    "log1p": _raised(math.log1p),
    "erf": _raised(math.erf),
    "sin": lambda *_: (-1.0, 1.0),
    "cos": lambda *_: (-1.0, 1.0),
}
