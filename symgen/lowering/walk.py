"""The walk over an expression: what is shared is lowered once, constants are exact, conditions are decided exactly."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from functools import lru_cache
from typing import Any, ClassVar

import sympy as sp
from sympy import Expr, Symbol
from sympy.core.relational import Relational

from symgen.arithmetic import COMPENSATED, ZERO, Arithmetic, Pair
from symgen.kernel import Node, node, select
from symgen.lowering.relations import in_order, solved


class LoweringError(ValueError):
    """An expression that no backend has code for; it names the node."""


@lru_cache(maxsize=4096)
def number(expression: Expr) -> tuple[float, float]:
    """A constant expression as the nearest float64 and the rest."""
    if expression is sp.oo or expression is -sp.oo:
        return (math.inf if expression is sp.oo else -math.inf), 0.0
    if expression.is_Rational:
        value = Fraction(int(expression.p), int(expression.q))
    else:
        digits = sp.N(expression, 60)
        if not digits.is_Float:
            raise LoweringError(f"{expression} is not a real constant")
        sign, mantissa, exponent, _ = digits._mpf_
        value = Fraction(int(mantissa)) * Fraction(2) ** exponent * (-1 if sign else 1)
    try:
        high = float(value)
    except OverflowError:
        return (math.inf if value > 0 else -math.inf), 0.0
    return high, float(value - Fraction(high))


@dataclass
class Walk:
    """One walk over an expression; `bound` tells what each symbol stands for, `table` what code each head has."""

    table: ClassVar[Mapping[type, Code]] = {}

    arithmetic: Arithmetic
    bound: Mapping[Symbol, Pair]
    _done: dict[Expr, Pair] = field(default_factory=dict)

    def pair(self, e: Expr) -> Pair:
        """The code of an expression; equal ones share it."""
        found = self._done.get(e)
        if found is None:
            found = self._done[e] = self._lower(e)
        return found

    def _lower(self, e: Expr) -> Pair:
        if e.is_Symbol:
            if e not in self.bound:
                raise LoweringError(f"unknown symbol {e}; the kernel has {sorted(map(str, self.bound))}")
            return self.bound[e]
        if e.is_number:
            return self.arithmetic.constant(*number(e))
        code = self.table.get(type(e))
        if code is None:
            raise LoweringError(f"no code for {type(e).__name__} in {e}")
        return code(self, e)

    def condition(self, c: Any) -> Node:
        """A relation as a boolean node, decided exactly where its sides are known as pairs."""
        if c is sp.true or c is sp.false:
            return node("le", ZERO, ZERO) if c is sp.true else node("lt", ZERO, ZERO)
        if isinstance(c, sp.Not):
            return node("not", self.condition(c.args[0]))
        if isinstance(c, sp.And | sp.Or):
            parts = [self.condition(a) for a in sorted(c.args, key=sp.default_sort_key)]
            op = "and" if isinstance(c, sp.And) else "or"
            total = parts[0]
            for p in parts[1:]:
                total = node(op, total, p)
            return total
        if isinstance(c, Relational):
            return self._compare(c)
        raise LoweringError(f"no code for the condition {c}")

    def _compare(self, c: Relational) -> Node:
        c = solved(c)
        if not isinstance(c, Relational):
            return self.condition(c)
        op, swap = RELATIONS[type(c)]
        sides = type(self)(COMPENSATED, self.bound)
        a, b = sides.pair(c.lhs), sides.pair(c.rhs)
        if swap:
            a, b = b, a
        if a.low is None and b.low is None:
            return node(op, a.high, b.high)
        if a.settled and b.settled:
            return in_order(op, a, b)
        gap = COMPENSATED.normal(COMPENSATED.sub(a, b))
        assert gap.low is not None
        if op in ("eq", "ne"):
            return node("and" if op == "eq" else "or", node(op, gap.high, ZERO), node(op, gap.low, ZERO))
        tie = node("and", node("eq", gap.high, ZERO), node(op, gap.low, ZERO))
        return node("or", node("lt", gap.high, ZERO), tie)


RELATIONS: dict[type, tuple[str, bool]] = {
    sp.StrictLessThan: ("lt", False),
    sp.LessThan: ("le", False),
    sp.StrictGreaterThan: ("lt", True),
    sp.GreaterThan: ("le", True),
    sp.Equality: ("eq", False),
    sp.Unequality: ("ne", False),
}

# What lowers one kind of node.
Code = Callable[[Walk, Expr], Pair]


def choose(condition: Node, a: Pair, b: Pair) -> Pair:
    """One of two pairs, and a low part where either has one."""
    low = None
    if a.low is not None or b.low is not None:
        low = select(condition, a.low or ZERO, b.low or ZERO)
    return Pair(select(condition, a.high, b.high), low, nearest=a.settled and b.settled)
