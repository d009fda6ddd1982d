"""Interval enclosures of spec expressions, by ball arithmetic at both ends: what the domain check decides with."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import Any

import sympy as sp
from flint import arb, fmpq
from sympy.core.relational import Relational

from symgen import heads

Span = tuple[Any, Any]
"""Lower and upper end, each a ball; they are equal at a point."""

INFINITY = arb("inf")
ZERO, ONE = arb(0), arb(1)


class Undefined(Exception):  # noqa: N818  a state of the evaluation, caught where it is asked for
    """The expression has no real value somewhere in the box, or nothing is known about it."""


def ball(number: Any) -> Any:
    """A SymPy number, Fraction or Python number as a ball."""
    if isinstance(number, (int, Fraction)):
        return arb(fmpq(number.numerator, number.denominator))
    if isinstance(number, float):
        return arb(number)
    if number.is_Rational:
        return arb(fmpq(int(number.p), int(number.q)))
    constant = CONSTANTS.get(number)
    if constant is None:
        raise Undefined
    return constant()


CONSTANTS: dict[Any, Callable[[], Any]] = {
    sp.pi: arb.pi,
    sp.E: ONE.exp,
    sp.oo: lambda: INFINITY,
    -sp.oo: lambda: -INFINITY,
}


def enclose(expression: Any, box: Mapping[Any, Span], known: dict[Any, Span] | None = None) -> Span:
    """An interval that holds every value of an expression over a box.

    Args:
        expression: the formula.
        box: a span for each symbol that occurs.
        known: values of subexpressions, for sharing between calls on the same box.

    Raises:
        Undefined: somewhere in the box there is no real value, or a node is not known.
    """
    known = {} if known is None else known
    if expression not in known:
        known[expression] = enclose_node(expression, box, known)
    return known[expression]


def enclose_node(expression: Any, box: Mapping[Any, Span], known: dict[Any, Span]) -> Span:
    if expression in box:
        return box[expression]
    if not expression.args:
        value = ball(expression) if expression.is_number else None
        if value is None:
            raise Undefined
        return value, value
    if isinstance(expression, heads.Cases):
        return cases(expression, box, known)
    function = NODES.get(type(expression))
    if function is None:
        raise Undefined
    return function(*(enclose(a, box, known) for a in expression.args))


def cases(expression: Any, box: Mapping[Any, Span], known: dict[Any, Span]) -> Span:
    """The branch that is taken, or the hull of both where the box does not decide."""
    truth = holds(expression.condition, box, known)
    if truth is not None:
        return enclose(expression.then if truth else expression.otherwise, box, known)
    return hull(enclose(expression.then, box, known), enclose(expression.otherwise, box, known))


def holds(condition: Any, box: Mapping[Any, Span], known: dict[Any, Span] | None = None) -> bool | None:
    """Whether a condition holds in the whole box, nowhere in it, or None where that is open."""
    if condition in (sp.true, sp.false):
        return bool(condition)
    if isinstance(condition, sp.Not):
        inner = holds(condition.args[0], box, known)
        return None if inner is None else not inner
    if isinstance(condition, (sp.And, sp.Or)):
        stop = isinstance(condition, sp.Or)
        truths = [holds(a, box, known) for a in condition.args]
        return stop if stop in truths else (None if None in truths else not stop)
    if not isinstance(condition, Relational):
        return None
    try:
        left, right = (enclose(a, box, known) for a in condition.args)
    except Undefined:
        return None
    return RELATED[condition.rel_op](left, right)


def below(a: Span, b: Span) -> bool | None:
    if a[1] < b[0]:
        return True
    return False if a[0] >= b[1] else None


def at_most(a: Span, b: Span) -> bool | None:
    if a[1] <= b[0]:
        return True
    return False if a[0] > b[1] else None


def equal(a: Span, b: Span) -> bool | None:
    if a[1] < b[0] or b[1] < a[0]:
        return False
    return True if is_point(a) and is_point(b) and a[0] == b[0] else None


def is_point(a: Span) -> bool:
    return bool(a[0] == a[1]) or (a[0] is a[1] and bool(a[0].is_exact()))


def negated(truth: bool | None) -> bool | None:
    return None if truth is None else not truth


RELATED: dict[str, Callable[[Span, Span], bool | None]] = {
    "<": below,
    "<=": at_most,
    ">": lambda a, b: below(b, a),
    ">=": lambda a, b: at_most(b, a),
    "==": equal,
    "!=": lambda a, b: negated(equal(a, b)),
}


def hull(*spans: Span) -> Span:
    return lowest(s[0] for s in spans), highest(s[1] for s in spans)


def lowest(balls: Any) -> Any:
    first, *rest = balls
    for b in rest:
        first = first.min(b)
    return first


def highest(balls: Any) -> Any:
    first, *rest = balls
    for b in rest:
        first = first.max(b)
    return first


def known_number(value: Any) -> Any:
    """An end of an interval: beyond the largest exponent nothing is known."""
    if not value.is_finite():
        raise Undefined
    return value


def add(*spans: Span) -> Span:
    low, high = spans[0]
    for s in spans[1:]:
        low, high = low + s[0], high + s[1]
    return known_number(low), known_number(high)


def product(a: Any, b: Any) -> Any:
    """The product of two ends, exactly zero where one of them is."""
    return ZERO if a == 0 or b == 0 else a * b


def multiply(*spans: Span) -> Span:
    result = spans[0]
    for s in spans[1:]:
        if is_point(result) and is_point(s):
            value = product(result[0], s[0])
            result = value, value
        else:
            ends = [product(a, b) for a in result for b in s]
            result = lowest(ends), highest(ends)
        known_number(result[0]), known_number(result[1])
    return result


def contains_zero(a: Span) -> bool:
    return not (a[0] > 0 or a[1] < 0)


def inverse(a: Span) -> Span:
    if contains_zero(a):
        raise Undefined
    return 1 / a[1], 1 / a[0]


def power(base: Span, exponent: Span) -> Span:
    if not is_point(exponent):
        if not base[0] > 0:
            raise Undefined
        return increasing(lambda v: v.exp())(multiply(increasing(lambda v: v.log())(base), exponent))
    e = exponent[0]
    whole = e.unique_fmpz()
    if whole is not None and e.is_exact():
        return integer_power(base, int(whole))
    if not base[0] >= 0:
        raise Undefined
    size = abs(e)
    raised = base[0] ** size if base[0] > 0 else ZERO, base[1] ** size if base[1] > 0 else ZERO
    return raised if e > 0 else inverse(raised)


def integer_power(base: Span, n: int) -> Span:
    if n < 0:
        return inverse(integer_power(base, -n))
    ends = [base[0] ** n, base[1] ** n]
    if n % 2 == 0 and not is_point(base) and contains_zero(base):
        return ZERO, highest(ends)
    return lowest(ends), highest(ends)


def increasing(function: Callable[[Any], Any]) -> Callable[[Span], Span]:
    def on_span(a: Span) -> Span:
        low = known_number(function(a[0]))
        return (low, low) if a[0] is a[1] else (low, known_number(function(a[1])))

    return on_span


def decreasing(function: Callable[[Any], Any]) -> Callable[[Span], Span]:
    def on_span(a: Span) -> Span:
        high, low = increasing(function)(a)
        return low, high

    return on_span


def logarithm(a: Span) -> Span:
    if not a[0] > 0:
        raise Undefined
    return increasing(lambda v: v.log())(a)


def absolute(a: Span) -> Span:
    ends = abs(a[0]), abs(a[1])
    if is_point(a) or not contains_zero(a):
        return lowest(ends), highest(ends)
    return ZERO, highest(ends)


def wave(function: Callable[[Any], Any]) -> Callable[[Span], Span]:
    """Sine or cosine: exact at a point, all of [-1, 1] elsewhere."""

    def on_span(a: Span) -> Span:
        if a[0] is a[1] and a[0].is_finite():
            value = function(a[0])
            return value, value
        return -ONE, ONE

    return on_span


def hyperbolic_cosine(a: Span) -> Span:
    size = absolute(a)
    return increasing(lambda v: v.cosh())(size)


def sign(a: Span) -> Span:
    if a[0] > 0:
        return ONE, ONE
    if a[1] < 0:
        return -ONE, -ONE
    return (ZERO, ZERO) if is_point(a) and a[0] == 0 else (-ONE, ONE)


def at_points(function: Callable[[Any], Any]) -> Callable[[Span], Span]:
    """A function about which nothing is known but its values."""

    def on_span(a: Span) -> Span:
        if a[0] is not a[1]:
            raise Undefined
        value = known_number(function(a[0]))
        return value, value

    return on_span


def larger(a: Span, b: Span) -> Span:
    return highest([a[0], b[0]]), highest([a[1], b[1]])


def smaller(a: Span, b: Span) -> Span:
    return lowest([a[0], b[0]]), lowest([a[1], b[1]])


NODES: dict[type[Any], Callable[..., Span]] = {
    sp.Add: add,
    sp.Mul: multiply,
    sp.Pow: power,
    sp.exp: increasing(lambda v: v.exp()),
    sp.log: logarithm,
    sp.sin: wave(lambda v: v.sin()),
    sp.cos: wave(lambda v: v.cos()),
    sp.tan: at_points(lambda v: v.tan()),
    sp.atan: increasing(lambda v: v.atan()),
    sp.sinh: increasing(lambda v: v.sinh()),
    sp.cosh: hyperbolic_cosine,
    sp.tanh: increasing(lambda v: v.tanh()),
    sp.asin: at_points(lambda v: v.asin()),
    sp.acos: at_points(lambda v: v.acos()),
    sp.asinh: increasing(lambda v: v.asinh()),
    sp.acosh: at_points(lambda v: v.acosh()),
    sp.atanh: at_points(lambda v: v.atanh()),
    sp.erf: increasing(lambda v: v.erf()),
    sp.erfc: decreasing(lambda v: v.erfc()),
    sp.loggamma: at_points(lambda v: v.lgamma()),
    sp.Abs: absolute,
    sp.sign: sign,
    heads.first_max: larger,
    heads.first_min: smaller,
    heads.maximum: larger,
    heads.minimum: smaller,
    heads.weighted: multiply,
    heads.straight_through: lambda v, _u: v,
}
