"""Cases, the larger and the smaller, sign and the like: data flows through ties, NaN and minus zero with it."""

from __future__ import annotations

from collections.abc import Mapping

import sympy as sp
from sympy import Expr

from symgen import heads
from symgen.arithmetic import COMPENSATED, ONE, ZERO, Pair, exact
from symgen.kernel import const, node, select
from symgen.lowering.walk import Code, Walk, choose


def _lower_cases(s: Walk, e: Expr) -> Pair:
    return choose(s.condition(e.args[0]), s.pair(e.args[1]), s.pair(e.args[2]))


def _larger(s: Walk, e: Expr, sign: int) -> Pair:
    """max or min; data, not the constant, comes out of a tie or a NaN, so that both NaN and -0 pass through."""
    left, right = e.args if not e.args[1].is_number else (e.args[1], e.args[0])
    a, b = s.pair(left), s.pair(right)
    small, large = (b, a) if sign > 0 else (a, b)
    above = node("lt", small.high, large.high)
    # a low part may decide between sums of several operands; x + c is exact where it is next to zero
    sums = any(u.is_Add and len(u.free_symbols) > 1 for u in e.args)
    if sums and isinstance(e, heads.first_max | heads.first_min) and (small.low or large.low):
        lower = node("lt", small.low or ZERO, large.low or ZERO)
        above = node("or", above, node("and", node("eq", small.high, large.high), lower))
        return COMPENSATED.normal(choose(above, a, b))
    return choose(above, a, b)


def _lower_sign(s: Walk, e: Expr) -> Pair:
    """In pairs where a factor is more than one operation: what rounding loses would move the kink by a float."""
    (of,) = e.args
    pairs = s if s.arithmetic.compensated else type(s)(COMPENSATED, s.bound)
    walk = s if all(pairs.pair(factor).settled for factor in sp.Mul.make_args(of)) else pairs
    u = walk.arithmetic.rounded(walk.pair(of))
    return exact(select(node("lt", ZERO, u), ONE, select(node("lt", u, ZERO), const(-1.0), ZERO)))


def _lower_weighted(s: Walk, e: Expr) -> Pair:
    w = s.pair(e.args[0])
    return choose(node("eq", w.high, ZERO), exact(ZERO), s.pair(sp.Mul(*e.args)))  # a weight over a divisor is one step


def _lower_defined(s: Walk, e: Expr) -> Pair:
    asked = s.pair(e.args[0]).high
    return choose(node("ne", asked, asked), exact(asked), s.pair(e.args[1]))


TABLE: Mapping[type, Code] = {
    sp.Abs: lambda s, e: s.arithmetic.abs(s.pair(e.args[0])),
    sp.sign: _lower_sign,
    heads.Cases: _lower_cases,
    heads.first_max: lambda s, e: _larger(s, e, 1),
    heads.first_min: lambda s, e: _larger(s, e, -1),
    heads.maximum: lambda s, e: _larger(s, e, 1),
    heads.minimum: lambda s, e: _larger(s, e, -1),
    heads.weighted: _lower_weighted,
    heads.straight_through: lambda s, e: s.pair(e.args[0]),
    heads.defined: _lower_defined,
    heads.nearest: lambda s, e: Pair(s.arithmetic.rounded(s.pair(e.args[0]))),
}
