"""Ball arithmetic on intervals: a bound of a difference over whole boxes, by Taylor expansion with a remainder."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import sympy as sp
from flint import arb, arb_series, ctx
from sympy import Expr, Symbol

from symgen.prove_normal import plain


class BallError(ValueError):
    """Ball arithmetic cannot enclose the expression."""


_SERIES: dict[type[Any], Callable[[Any], Any]] = {
    sp.exp: lambda s: s.exp(),
    sp.log: lambda s: s.log(),
    sp.sin: lambda s: s.sin(),
    sp.cos: lambda s: s.cos(),
    sp.atan: lambda s: s.atan(),
    sp.erf: lambda s: s.erf(),
}

ORDER = 20
BITS = 160
MOST_BOXES = 4096


def _constant(e: Expr) -> Any:
    if e.is_Rational:
        return arb(int(e.p)) / int(e.q)
    if e is sp.pi:
        return arb.pi()
    if e is sp.E:
        return arb(1).exp()
    raise BallError(f"no ball for {e}")


def _series(e: Expr, symbol: Symbol, x: Any) -> Any:
    if e == symbol:
        return x
    if not e.args:
        return arb_series([_constant(e)])
    if e.is_Pow and e.exp.is_Rational and (2 * e.exp).is_Integer:
        base = _series(e.base, symbol, x)
        base = base if e.exp.is_Integer else base.sqrt()
        n = int(e.exp if e.exp.is_Integer else 2 * e.exp)
        total = arb_series([1])
        for _ in range(abs(n)):
            total *= base
        return total if n >= 0 else arb_series([1]) / total
    arguments = [_series(a, symbol, x) for a in e.args]
    if e.is_Add:
        return sum(arguments[1:], arguments[0])
    if e.is_Mul:
        total = arguments[0]
        for a in arguments[1:]:
            total *= a
        return total
    if type(e) not in _SERIES:
        raise BallError(f"no power series for {type(e).__name__}")
    return _SERIES[type(e)](*arguments)


def _bound_on_box(e: Expr, symbol: Symbol, lower: float, upper: float) -> Any:
    """|e| on the box: Taylor coefficients at the centre, the last one enclosed over the whole box."""
    centre, radius = (arb(lower) + arb(upper)) / 2, (arb(upper) - arb(lower)) / 2
    box = centre + arb(0, 1) * radius
    try:
        inner = _series(e, symbol, arb_series([centre, 1]))
        outer = _series(e, symbol, arb_series([box, 1]))
    except (ZeroDivisionError, ValueError) as why:
        raise BallError(f"undefined on [{lower}, {upper}]: {why}") from why
    total, power = arb(0), arb(1)
    for k in range(ORDER):
        coefficient = outer[k] if k == ORDER - 1 else inner[k]
        total += abs(coefficient) * power
        power *= radius
    return total.abs_upper()


def difference_bound(left: Expr, right: Expr, lower: float, upper: float, bits: int) -> tuple[Any, int]:
    """An upper bound of |left - right| on an interval, in at most `MOST_BOXES` boxes.

    Returns:
        The bound and the number of boxes.

    Raises:
        BallError: an expression without power series here, or not in exactly one variable.
    """
    difference = plain(left - right)
    if not difference.free_symbols:
        return abs(sp.N(difference)), 1
    if len(difference.free_symbols) != 1:
        raise BallError("ball arithmetic takes one variable")
    (symbol,) = difference.free_symbols
    old = ctx.prec, ctx.cap
    ctx.prec, ctx.cap = BITS, ORDER
    try:
        return _subdivide(difference, symbol, lower, upper, bits)
    finally:
        ctx.prec, ctx.cap = old


def _subdivide(e: Expr, symbol: Symbol, lower: float, upper: float, bits: int) -> tuple[Any, int]:
    waiting, worst, boxes = [(lower, upper)], arb(0), 0
    while waiting:
        low, high = waiting.pop()
        boxes += 1
        bound = _bound_on_box(e, symbol, low, high)
        small = bool(bound < arb(2) ** -bits)
        if not small and boxes + len(waiting) < MOST_BOXES and high - low > 2.0**-20:
            middle = (low + high) / 2
            waiting += [(middle, high), (low, middle)]
            continue
        worst = worst.max(bound)
        if not small:
            return worst, boxes
    return worst, boxes
