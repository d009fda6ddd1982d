"""Exponentials and what is made of them, logarithms, circular and hyperbolic functions, each good on its whole range.

Logistic heads go through ``exp(-|u|)``, hyperbolic ones through ``expm1(-2|u|)``, so that nothing overflows and no
tail is lost.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import sympy as sp
from sympy import Expr

from symgen import vocabulary
from symgen.arithmetic import ONE, ZERO, Pair, absolute, exact, negative
from symgen.kernel import Node, call, const, node, select
from symgen.lowering.walk import Code, Walk


def exponential(s: Walk, argument: Expr) -> Pair:
    u = s.pair(argument)
    value = call("exp", u.high)
    return s.arithmetic.correct(value, u, value)


def _half_exp(s: Walk, u: Pair) -> Pair:
    """exp(u/2), whose square is exp(u)."""
    value = call("exp", u.high * const(0.5))
    return s.arithmetic.correct(value, u, value * const(0.5))


def negative_exp(u: Pair, factor: float = 1.0) -> tuple[Node, Node]:
    """exp(-factor |u.high|) and |u.high|."""
    size = absolute(u.high)
    return call("exp", negative(size if factor == 1.0 else size * const(factor))), size


def _lower_sigmoid(s: Walk, e: Expr) -> Pair:
    a, u = s.arithmetic, s.pair(e.args[0])
    t, _ = negative_exp(u)
    up = node("le", ZERO, u.high)
    under = a.add(exact(ONE), exact(t))
    value = a.div(exact(select(up, ONE, t)), under)
    if a.compensated and u.low is not None:
        other = select(up, t, ONE) / under.high
        return a.with_low(value.high, value.low, u.low * (value.high * other))
    return value


def split_sigmoid(s: Walk, e: Expr) -> tuple[Pair, Pair]:
    """sigmoid(u) = 1/(1 + t) * h^2 with h^2 = e^min(u, 0)."""
    a, u = s.arithmetic, s.pair(e.args[0])
    half = call("exp", absolute(u.high) * const(-0.5))
    t = half * half
    up = node("le", ZERO, u.high)
    kept = a.div(exact(ONE), a.add(exact(ONE), exact(t)))
    if u.low is not None:
        other = select(up, t, ONE) / (ONE + t)
        kept = a.with_low(kept.high, kept.low, u.low * (kept.high * other))
    return kept, exact(select(up, ONE, half))


def _lower_softplus(s: Walk, e: Expr) -> Pair:
    a, u = s.arithmetic, s.pair(e.args[0])
    t, _ = negative_exp(u)
    up = node("lt", ZERO, u.high)
    value = a.add(exact(select(up, u.high, ZERO)), exact(call("log1p", t)))
    if a.compensated and u.low is not None:
        slope = select(up, ONE, t) / (ONE + t)
        return a.with_low(value.high, value.low, u.low * slope)
    return value


def split_softplus(s: Walk, e: Expr) -> tuple[Pair, Pair]:
    """softplus(u) = log1p(t)/t * h^2 with t = h^2 = e^u for u < 0, where it underflows; itself times 1 above."""
    a, u = s.arithmetic, s.pair(e.args[0])
    half = call("exp", absolute(u.high) * const(-0.5))
    t = half * half
    kept = a.div(exact(call("log1p", t)), exact(t))
    gone = node("lt", t, const(2.0**-60))
    # the derivative of log(log1p(t)/t) in u is smaller than t; that of h^2 is one
    kept = Pair(select(gone, ONE, kept.high), select(gone, ZERO, kept.low or ZERO))
    if u.low is not None:
        inner = select(gone, ZERO, t / ((ONE + t) * call("log1p", t)) - ONE)
        kept = a.with_low(kept.high, kept.low, u.low * (kept.high * (ONE + inner)))
    up = node("lt", ZERO, u.high)
    whole = _lower_softplus(s, e)
    low = select(up, whole.low or ZERO, kept.low or ZERO)
    return Pair(select(up, whole.high, kept.high), low), exact(select(up, ONE, half))


def _lower_tanh(s: Walk, e: Expr) -> Pair:
    a, u = s.arithmetic, s.pair(e.args[0])
    m = call("expm1", absolute(u.high) * const(-2.0))
    size = a.div(exact(negative(m)), a.add(exact(const(2.0)), exact(m)))
    value = Pair(node("copysign", size.high, u.high), size.low)
    if size.low is not None:
        value = Pair(value.high, select(node("lt", u.high, ZERO), negative(size.low), size.low))
    if a.compensated and u.low is not None:
        t, _ = negative_exp(u, 2.0)
        d = ONE + t
        return a.with_low(value.high, value.low, u.low * (const(4.0) * t / (d * d)))
    return value


def _sech2_parts(s: Walk, u: Pair, t: Node) -> Pair:
    """4/(1 + t)^2 with the correction for u.low: sech2 is this times t = e^(-2|u|)."""
    a = s.arithmetic
    d = a.add(exact(ONE), exact(t))
    kept = a.div(exact(const(4.0)), a.mul(d, d))
    if u.low is not None:
        slope = node("copysign", (t - ONE) / d.high * const(2.0), u.high)
        slope = select(node("lt", u.high, ZERO), absolute(slope), negative(absolute(slope)))
        kept = a.with_low(kept.high, kept.low, u.low * (kept.high * slope))
    return kept


def _lower_sech2(s: Walk, e: Expr) -> Pair:
    u = s.pair(e.args[0])
    t, _ = negative_exp(u, 2.0)
    return s.arithmetic.mul(_sech2_parts(s, u, t), exact(t))


def split_sech2(s: Walk, e: Expr) -> tuple[Pair, Pair]:
    u = s.pair(e.args[0])
    half = call("exp", negative(absolute(u.high)))
    return _sech2_parts(s, u, half * half), exact(half)


def split_exp(s: Walk, e: Expr) -> tuple[Pair, Pair]:
    return exact(ONE), _half_exp(s, s.pair(e.args[0]))


def _lower_expm1(s: Walk, e: Expr) -> Pair:
    u = s.pair(e.args[0])
    value = call("expm1", u.high)
    return s.arithmetic.correct(value, u, value + ONE)


def _lower_log1p(s: Walk, e: Expr) -> Pair:
    u = s.pair(e.args[0])
    return s.arithmetic.correct(call("log1p", u.high), u, ONE / (ONE + u.high))


def _lower_log(s: Walk, e: Expr) -> Pair:
    u = s.pair(e.args[0])
    return s.arithmetic.correct(call("log", u.high), u, ONE / u.high)


def _lower_log1mexp(s: Walk, e: Expr) -> Pair:
    """log(1 - e^-u): log(-expm1(-u)) up to log 2, log1p(-e^-u) beyond (Maechler 2012)."""
    u = s.pair(e.args[0])
    down = negative(u.high)
    m = call("expm1", down)
    t = call("exp", down)
    near, far = call("log", negative(m)), call("log1p", negative(t))
    value = select(node("le", u.high, const(math.log(2))), near, far)
    return s.arithmetic.correct(value, u, t / negative(m))


def _lower_hypot(s: Walk, e: Expr) -> Pair:
    a, u, v = s.arithmetic, s.pair(e.args[0]), s.pair(e.args[1])
    value = call("hypot", u.high, v.high)
    if not a.compensated:
        return Pair(value)
    # the residual of the root, u^2 + v^2 - h^2, without cancellation: the larger square first
    first = node("lt", absolute(v.high), absolute(u.high))
    large, small = select(first, u.high, v.high), select(first, v.high, u.high)
    squares = [a.mul(exact(n), exact(n)) for n in (large, value, small)]
    rest = (squares[0].high - squares[1].high) + squares[2].high
    for sign, square in zip((1, -1, 1), squares, strict=True):
        assert square.low is not None
        rest = rest + square.low if sign > 0 else rest - square.low
    parts = [p.high / value * p.low for p in (u, v) if p.low is not None]
    return a.with_low(value, rest / (value + value), *parts)


def _wave(primitive: str) -> Callable[[Walk, Expr], Pair]:
    """A sine or cosine: far out, the low part is many turns, which no first-order correction can follow."""

    def lower(s: Walk, e: Expr) -> Pair:
        if s.arithmetic.compensated and e.args[0].is_Mul and len(e.args[0].args) == 2:
            a, b = (s.pair(f) for f in sorted(e.args[0].args, key=sp.default_sort_key))
            if a.low is None and b.low is None:
                return Pair(call(f"{primitive}_product", a.high, b.high))
        u = s.pair(e.args[0])
        return Pair(call(primitive, u.high) if u.low is None else call(f"{primitive}_sum", u.high, u.low))

    return lower


def _plain_call(primitive: str, slope: Callable[[Node, Node], Node]) -> Callable[[Walk, Expr], Pair]:
    def lower(s: Walk, e: Expr) -> Pair:
        u = s.pair(e.args[0])
        value = call(primitive, u.high)
        return s.arithmetic.correct(value, u, slope(u.high, value) if u.low is not None else None)

    return lower


def _through(form: Callable[[Expr], Expr]) -> Code:
    """The code of another expression of the same value, in primitives, that is good on the whole domain."""
    return lambda s, e: s.pair(form(e.args[0]))


TABLE: Mapping[type, Code] = {
    sp.exp: lambda s, e: exponential(s, e.args[0]),
    sp.log: _lower_log,
    sp.sin: _wave("sin"),
    sp.cos: _wave("cos"),
    sp.tan: _plain_call("tan", lambda u, v: ONE + v * v),
    sp.atan: _plain_call("atan", lambda u, v: ONE / (ONE + u * u)),
    # of the half angle's kind: neither end of the domain cancels
    sp.asin: _through(lambda u: sp.atan(u / (sp.sqrt(1 - u) * sp.sqrt(1 + u)))),
    sp.acos: _through(lambda u: 2 * sp.atan(sp.sqrt((1 - u) / (1 + u)))),
    sp.acosh: _through(lambda u: sp.asinh(sp.sqrt(u - 1) * sp.sqrt(u + 1))),
    sp.atanh: _through(lambda u: vocabulary.log1p(2 * u / (1 - u)) / 2),
    sp.asinh: _plain_call("asinh", lambda u, v: ONE / node("sqrt", ONE + u * u)),
    sp.sinh: _plain_call("sinh", lambda u, v: call("cosh", u)),
    sp.cosh: _plain_call("cosh", lambda u, v: call("sinh", u)),
    sp.tanh: _plain_call("tanh", lambda u, v: ONE - v * v),
    vocabulary.sigmoid: _lower_sigmoid,
    vocabulary.softplus: _lower_softplus,
    vocabulary.tanh: _lower_tanh,
    vocabulary.sech2: _lower_sech2,
    vocabulary.expm1: _lower_expm1,
    vocabulary.log1p: _lower_log1p,
    vocabulary.log1mexp: _lower_log1mexp,
    vocabulary.hypot: _lower_hypot,
}
