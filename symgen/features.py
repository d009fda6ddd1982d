"""Where a function is most likely to be computed badly: roots and kinks, found from the formula alone."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from functools import partial

import numpy as np
from flint import arb
from sympy import Expr, Symbol

from symgen.kinks import switches
from symgen.oracle import NONE, Oracle, Parameters
from symgen.truth import Floats, Truth
from symgen.ulp import from_ordinals, log_spaced, to_ordinals

MOST = 32  # roots of one function; an oscillation has more than anybody can measure, those nearest zero are taken
KINK_POINTS = 4096
SIGN = 4  # bits of accuracy that settle a sign


def signs(truth: Truth) -> Floats:
    """Sign of each value, of the residual where the value rounds to zero; zero where it is zero, NaN where unknown."""
    return np.where(truth.high == 0, np.sign(truth.residual), np.sign(truth.high))


def roots(ball: Callable[[float], arb | None], points: Floats, truth: Truth, most: int = MOST) -> tuple[float, ...]:
    """Where a function changes sign, or is zero at a single point.

    Args:
        ball: the function at one point, sharp enough to have a sign; None where it is undefined.
        points: float64 (n,), sorted.
        truth: of the function at the points.
        most: how many to return, those nearest zero.

    Returns:
        Sorted; of each sign change the float64 just below it.
    """
    sign = signs(truth)
    known = np.flatnonzero(~np.isnan(sign))
    sign, points = sign[known], points[known]
    changes = np.flatnonzero(sign[:-1] * sign[1:] < 0)
    zero = sign == 0
    alone = np.flatnonzero(zero[1:-1] & ~zero[:-2] & ~zero[2:]) + 1
    brackets = [(float(points[i]), float(points[i + 1]), float(sign[i])) for i in changes]
    brackets += [(float(points[i]), float(points[i]), 0.0) for i in alone]
    nearest = sorted(brackets, key=lambda b: (min(abs(b[0]), abs(b[1])), b[0]))[:most]
    return tuple(sorted({_bisect(ball, *b) for b in nearest}))


def _bisect(ball: Callable[[float], arb | None], low: float, high: float, sign: float) -> float:
    """The last float64 that still has the sign of the lower end; bisection over the order of the floats."""
    a, b = (int(v) for v in to_ordinals([low, high], "float64"))
    while b - a > 1:
        middle = (a + b) // 2
        x = float(from_ordinals(middle, "float64"))
        found = ball(x)
        if found is None or found.is_zero():
            return x
        a, b = (middle, b) if (found > 0) == (sign > 0) else (a, middle)
    return float(from_ordinals(a, "float64"))


def kinks(expression: Expr, wrt: Symbol, parameters: Parameters = NONE, most: int = MOST) -> tuple[float, ...]:
    """Points at which a formula changes from one case to another, as float64 just below or at them.

    Example:
        >>> from sympy import Abs, Symbol
        >>> x = Symbol("x", real=True)
        >>> kinks(Abs(x - 3), x)
        (3.0,)
    """
    found: set[float] = set()
    grid = np.concatenate([log_spaced(KINK_POINTS, "float64"), np.arange(-64, 64.5, 0.5)])
    for switch in switches(expression):
        if wrt in switch.free_symbols:
            oracle = Oracle(switch, wrt, 0)
            linear = _exact_zero(switch, wrt, parameters)
            points = np.unique(np.concatenate([grid, linear]))
            (truth,) = oracle.truth(points, parameters, (0,))
            found.update(roots(partial(oracle.ball, order=0, parameters=parameters, bits=SIGN), points, truth, most))
    return tuple(sorted(found))


def _exact_zero(switch: Expr, wrt: Symbol, parameters: Parameters) -> Sequence[float]:
    """The root of a switch that is linear in the symbol: a kink lies exactly on a float more often than not."""
    slope = switch.diff(wrt) if switch.is_polynomial(wrt) else None
    if slope is None or slope.has(wrt) or slope.is_zero:
        return []
    values = {s: parameters[s.name] for s in switch.free_symbols if s != wrt and s.name in parameters}
    try:
        zero = float((-switch.subs(wrt, 0) / slope).subs(values))
    except TypeError:
        return []
    return [zero] if math.isfinite(zero) else []


def merge(*groups: Iterable[float]) -> tuple[float, ...]:
    """Finite points of several groups, sorted, each once."""
    return tuple(sorted({float(v) for group in groups for v in group if math.isfinite(v)}))
