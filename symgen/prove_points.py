"""Search for counterexamples: both sides at points of the domain, in ball arithmetic of rising precision.

A ball encloses the exact value, so two balls that do not touch are a counterexample that rounding cannot have made.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import reduce
from operator import add, ge, gt, le, lt, mul
from typing import Any

import sympy as sp
from flint import acb, arb, ctx
from sympy import Expr, Symbol

from symgen.heads import Cases, maximum, minimum, weighted
from symgen.vocabulary import expand_heads

DIGITS = 60
_BITS = 200  # 60 digits
# what is still smaller than its error here is a zero, or below 10^-1800
_MOST_BITS = 6400

Point = dict[Symbol, sp.Rational]

_SIZES = (sp.Rational(1, 2**20), sp.Rational(1, 100), sp.Rational(1, 3), 1, sp.Rational(5, 2), 7, 20)
_VALUES = (*(sp.Rational(s) * sign for s in _SIZES for sign in (1, -1)), sp.Rational(0))
_MOST_POINTS = 250

# the points that a condition keeps; a condition on spelling keeps them all
KEPT: dict[str, Callable[[Any], bool]] = {
    "positive": lambda x: x > 0,
    "nonnegative": lambda x: x >= 0,
    "negative": lambda x: x < 0,
    "nonpositive": lambda x: x <= 0,
    "not zero": lambda x: x != 0,
    "a real exponent": lambda x: not x.is_Integer,
    "number below 2": lambda x: x < 2,
}


@dataclass(frozen=True)
class Counterexample:
    """A point, and what the two sides are there (None: undefined)."""

    point: tuple[tuple[str, str], ...]
    left: str | None
    right: str | None

    def __str__(self) -> str:
        at = ", ".join(f"{name} = {value}" for name, value in self.point)
        return f"at {at}: left {self.left or 'undefined'}, right {self.right or 'undefined'}"


def spread(
    symbols: Sequence[Symbol], values: Sequence[Any], domain: Sequence[tuple[Expr, str]], most: int
) -> Iterator[Point]:
    """Points of the domain: every combination of 0, 1 and -1, and of all values about as many as asked for."""
    choices = []
    for s in symbols:
        asked = [c for v, c in domain if v == s] + (["positive"] if s.is_positive else [])
        choices.append([x for x in values if all(KEPT.get(c, lambda _: True)(x) for c in asked)])
    relations = [(e, KEPT[c]) for e, c in domain if c in KEPT and not e.is_Symbol]
    every = [
        values
        for values in itertools.product(*choices)
        if all(kept(e.xreplace(dict(zip(symbols, values, strict=True)))) for e, kept in relations)
    ]
    corners = [c for c in every if all(abs(x) <= 1 and x.is_Integer for x in c)]
    for combination in dict.fromkeys((*corners, *every[:: max(1, len(every) // most)])):
        yield dict(zip(symbols, combination, strict=True))


# -- evaluation -------------------------------------------------------------------------------------------------------


def _sign(u: Any) -> Any:
    return arb(0) if u == 0 else arb(1) if u > 0 else arb(-1) if u < 0 else arb("nan")


_FUNCTIONS: dict[type[Any], Callable[..., Any]] = {
    sp.exp: lambda u: u.exp(),
    sp.log: lambda u: u.log(),
    sp.sin: lambda u: u.sin(),
    sp.cos: lambda u: u.cos(),
    sp.tan: lambda u: u.tan(),
    sp.asin: lambda u: u.asin(),
    sp.acos: lambda u: u.acos(),
    sp.atan: lambda u: u.atan(),
    sp.sinh: lambda u: u.sinh(),
    sp.cosh: lambda u: u.cosh(),
    sp.tanh: lambda u: u.tanh(),
    sp.asinh: lambda u: u.asinh(),
    sp.acosh: lambda u: u.acosh(),
    sp.atanh: lambda u: u.atanh(),
    sp.erf: lambda u: u.erf(),
    sp.erfc: lambda u: u.erfc(),
    sp.loggamma: lambda u: u.lgamma(),
    sp.polygamma: lambda n, u: acb(u).polygamma(n).real,
    sp.Abs: abs,
    sp.sign: _sign,
    maximum: lambda u, v: u.max(v),
    minimum: lambda u, v: u.min(v),
    weighted: mul,
}


class UnknownFunctionError(ValueError):
    """An expression holds a node that has no ball arithmetic here; the message names it."""


_RELATIONS: dict[type[Any], Callable[[Any, Any], bool]] = {sp.Gt: gt, sp.Ge: ge, sp.Lt: lt, sp.Le: le}


def _holds(condition: Any, known: dict[Expr, Any]) -> bool:
    """A comparison of two expressions; undecided counts as no, which only exact points of equal sides are."""
    return bool(_RELATIONS[type(condition)](_ball(condition.lhs, known), _ball(condition.rhs, known)))


def _ball(e: Expr, known: dict[Expr, Any]) -> Any:
    """An expression, given balls of its symbols; what its parts are is added to these, for most occur many times."""
    found = known.get(e)
    if found is None:
        found = known[e] = _computed(e, known)
    return found


def _computed(e: Expr, known: dict[Expr, Any]) -> Any:
    if e.is_Rational:
        return _rational(e)
    if e is sp.pi:
        return arb.pi()
    if e is sp.E:
        return arb(1).exp()
    if e in (sp.zoo, sp.nan, sp.oo, -sp.oo, sp.I):  # no real value
        return arb("nan")
    if isinstance(e, Cases):
        return _ball(e.then if _holds(e.condition, known) else e.otherwise, known)
    arguments = [_ball(a, known) for a in e.args]
    if e.is_Add:
        return reduce(add, arguments)
    if e.is_Mul:
        return reduce(mul, arguments)
    if e.is_Pow:
        return _power(arguments[0], int(e.exp)) if e.exp.is_Integer else arguments[0] ** arguments[1]
    if type(e) not in _FUNCTIONS:
        raise UnknownFunctionError(f"no value for {type(e).__name__} in {e}")
    return _FUNCTIONS[type(e)](*arguments)


def _power(base: Any, exponent: int) -> Any:
    """An integer power; of a ball around zero, which has no logarithm, by multiplication."""
    return reduce(mul, [base] * exponent) if exponent > 0 and base.contains(0) else base**exponent


def _rational(number: Any) -> Any:
    return arb(int(number.p)) / int(number.q)


def ball(expression: Expr, point: Point, bits: int = _BITS) -> Any | None:
    """An expression at an exact point, as the ball that one working precision gives.

    Returns:
        The ball, which contains the exact value; None where the expression has no real value there, where no precision
        that is this low tells of one, or where it holds a function that has no ball arithmetic here.

    Example:
        >>> x = Symbol("x")
        >>> ball(sp.sqrt(x**2 + 1) - x, {x: sp.Integer(10**9)}).str(10, radius=False)
        '5.000000000e-10'
    """
    before, ctx.prec = ctx.prec, bits
    try:
        found = _ball(expand_heads(expression), {s: _rational(n) for s, n in point.items()})
        return found if found.is_finite() else None
    except UnknownFunctionError:
        return None
    finally:
        ctx.prec = before


def enclose(evaluate: Callable[[], Any]) -> Any | None:
    """A ball of 60 digits, from an evaluation at precision that is raised until it gives one; None if undefined."""
    before, bits = ctx.prec, 2 * _BITS
    ball = arb("nan")
    try:
        while bits <= _MOST_BITS:
            ctx.prec = bits
            ball = evaluate()
            if ball.is_finite() and (ball.rel_accuracy_bits() >= _BITS or ball == 0):
                return ball
            bits *= 2
        return arb(0) if ball.is_finite() and abs(ball) < arb(10) ** -600 else None
    finally:
        ctx.prec = before


def value(expression: Expr, point: Point) -> Any | None:
    """An expression at an exact point, as a ball of 60 digits; None where it has no real value."""
    e = expand_heads(expression)
    return enclose(lambda: _ball(e, {s: _rational(n) for s, n in point.items()}))


def find_counterexample(
    left: Expr, right: Expr, domain: Sequence[tuple[Expr, str]] = ()
) -> tuple[Counterexample | None, int]:
    """A point where the sides differ or only the left is defined, and at how many points the left one is defined."""
    symbols = sorted(left.free_symbols | right.free_symbols, key=lambda s: s.name)
    seen = 0
    for point in spread(symbols, _VALUES, domain, _MOST_POINTS):
        a = value(left, point)
        if a is None:
            continue
        seen += 1
        b = value(right, point)
        if b is None or not a.overlaps(b):
            at = tuple((s.name, str(point[s])) for s in symbols)
            return Counterexample(at, _text(a), _text(b)), seen
    return None, seen


def _text(ball: Any | None) -> str | None:
    return None if ball is None else ball.str(17, radius=False)
