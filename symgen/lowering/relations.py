"""Relations in the form that costs least: what is constant goes to one side, and low parts decide ties alone."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import sympy as sp
from sympy import Expr, Symbol
from sympy.core.relational import Relational

from symgen import heads
from symgen.arithmetic import ZERO, Pair
from symgen.kernel import Node, node

_ORDERS = (sp.StrictLessThan, sp.LessThan, sp.StrictGreaterThan, sp.GreaterThan)
_FLIPPED = dict(zip(_ORDERS, (*_ORDERS[2:], *_ORDERS[:2]), strict=True))
_LARGER = (heads.first_max, heads.maximum)
_SMALLER = (heads.first_min, heads.minimum)


@lru_cache(maxsize=1024)
def solved(relation: Relational) -> Any:
    """An order between an expression and a number with sums, factors and bounds by numbers taken off the expression.

    What a kernel then compares is closer to its operand: a sum need not be computed, nor what its rounding lost.

    Example:
        >>> import sympy as sp
        >>> x = sp.Symbol("x", real=True)
        >>> solved(6 <= heads.first_max(0, 2 * x + 3))
        x >= 3/2
        >>> solved(x / 10 - 1 >= heads.first_min(x, 7))
        (x >= 80) | (x <= -10/9)
    """
    if not isinstance(relation, _ORDERS):
        return relation
    known = _linear(relation)
    if known is None:
        known = _apart(relation)
    if known is not None:
        return known
    if relation.lhs.is_Rational:
        relation = relation.reversed
    e, bound = relation.lhs, relation.rhs
    if not bound.is_Rational or e.is_number:
        return relation
    simpler = _without_number(type(relation), e, bound)
    return relation if simpler is None else solved(simpler)


def _linear(relation: Relational) -> Any:
    """An order that is linear in one operand and rational otherwise as one between that operand and a number."""
    gap = relation.lhs - relation.rhs
    if gap.is_Rational:
        return relation.func(gap, 0)
    if len(gap.free_symbols) != 1:
        return None
    (x,) = gap.free_symbols
    polynomial = gap.as_poly(x) if gap.is_polynomial(x) else None
    if polynomial is None or polynomial.degree() > 1 or not all(c.is_Rational for c in polynomial.all_coeffs()):
        return None
    slope, constant = polynomial.coeff_monomial(x), polynomial.coeff_monomial(1)
    return (relation.func if slope > 0 else _FLIPPED[relation.func])(x, -constant / slope)


def _apart(relation: Relational) -> Any:
    """An order against the larger or smaller of two as both or either of two orders, where these are linear."""
    for side, other, order in (
        (relation.lhs, relation.rhs, relation.func),
        (relation.rhs, relation.lhs, _FLIPPED[relation.func]),
    ):
        if isinstance(side, _LARGER + _SMALLER):
            parts = [solved(order(a, other, evaluate=False)) for a in side.args]
            if all(isinstance(a.lhs, Symbol) and a.rhs.is_Rational for p in parts for a in p.atoms(Relational)):
                either = isinstance(side, _LARGER) == (order in (sp.StrictGreaterThan, sp.GreaterThan))
                return (sp.Or if either else sp.And)(*parts)
    return None


def _without_number(order: type[Relational], e: Expr, bound: Expr) -> Any:
    """The relation with one number less on its left side, or None where there is none."""
    if isinstance(e, _LARGER + _SMALLER):
        numbers = [a for a in e.args if a.is_Rational]
        if len(numbers) != 1:
            return None
        rest = next(a for a in e.args if not a.is_Rational)
        # max(p, u) > b asks u alone where p says nothing, and so on; where p says all, NaN would no longer be seen
        upward = order in (sp.StrictGreaterThan, sp.GreaterThan)
        says_nothing = bool(order(numbers[0], bound)) != (upward == isinstance(e, _LARGER))
        return order(rest, bound) if says_nothing else None
    number, rest = e.as_coeff_Add(rational=True)
    if number != 0:
        return order(rest, bound - number)
    factor, rest = e.as_coeff_Mul(rational=True)
    if factor == 1:
        return None
    return (order if factor > 0 else _FLIPPED[order])(rest, bound / factor)


def in_order(op: str, a: Pair, b: Pair) -> Node:
    """A relation of two numbers whose high parts are what they round to: low parts decide where these are equal.

    Args:
        op: "lt", "le", "eq" or "ne".
        a: settled, as is `b`.
    """
    low, other = a.low or ZERO, b.low or ZERO
    # a result of one operation is zero or rounds to another number, but for underflow, where its low part is zero too
    plain = any(p.low is None and p.high is ZERO for p in (a, b))
    if op in ("eq", "ne"):
        highs = node(op, a.high, b.high)
        return highs if plain else node("and" if op == "eq" else "or", highs, node(op, low, other))
    if plain:
        return node(op, a.high, b.high)
    if low.op == other.op == "const":
        tied = low.value < other.value or (op == "le" and low.value == other.value)
        return node("le" if tied else "lt", a.high, b.high)
    last = node("not", node("lt", other, low)) if op == "le" else node("lt", low, other)
    return node("or", node("lt", a.high, b.high), node("and", node("eq", a.high, b.high), last))
