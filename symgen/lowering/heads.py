"""Exponentials and what is made of them, logarithms, circular and hyperbolic functions, each good on its whole range.

Logistic heads go through ``exp(-|u|)``, hyperbolic ones through ``expm1(-2|u|)``, so that nothing overflows and no
tail is lost.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np
import sympy as sp
from sympy import Expr

from symgen import vocabulary
from symgen.arithmetic import (
    ONE,
    ZERO,
    Arithmetic,
    Pair,
    absolute,
    exact,
    has_logarithms_of_sums,
    has_powers_of_sums,
    negative,
    number_format,
)
from symgen.kernel import Node, call, const, node, select
from symgen.lowering.walk import Code, Walk, choose


def exponential(s: Walk, argument: Expr) -> Pair:
    mixture = _power_of_mixture(argument)
    if mixture:
        rest, power = mixture_power(s, *mixture)
        return s.arithmetic.mul(rest, power)
    u = s.pair(argument)
    value = s.arithmetic.function("exp", u.high)
    return s.arithmetic.correct(value, u, value.high)


def _half_exp(s: Walk, u: Pair) -> Pair:
    """exp(u/2), whose square is exp(u)."""
    value = s.arithmetic.function("exp", u.high * const(0.5))
    return s.arithmetic.correct(value, u, value.high * const(0.5))


def negative_exp(s: Walk, u: Pair, factor: float = 1.0) -> Pair:
    """exp(-factor |u.high|)."""
    size = absolute(u.high)
    return s.arithmetic.function("exp", negative(size if factor == 1.0 else size * const(factor)))


def _lower_sigmoid(s: Walk, e: Expr) -> Pair:
    a, u = s.arithmetic, s.pair(e.args[0])
    t = negative_exp(s, u)
    up = node("le", ZERO, u.high)
    under = a.add(exact(ONE), t)
    value = a.div(choose(up, exact(ONE), t), under)
    if a.compensated and u.low is not None:
        other = select(up, t.high, ONE) / under.high
        return a.with_low(value.high, value.low, u.low * (value.high * other))
    return value


def split_sigmoid(s: Walk, e: Expr) -> tuple[Pair, Pair]:
    """sigmoid(u) = 1/(1 + t) * h^2 with h^2 = e^min(u, 0)."""
    a, u = s.arithmetic, s.pair(e.args[0])
    half = negative_exp(s, u, 0.5)
    t = a.mul(half, half)
    up = node("le", ZERO, u.high)
    kept = a.div(exact(ONE), a.add(exact(ONE), t))
    if u.low is not None:
        other = select(up, t.high, ONE) / (ONE + t.high)
        kept = a.with_low(kept.high, kept.low, u.low * (kept.high * other))
    return kept, choose(up, exact(ONE), half)


def _log1p_unit(s: Walk, t: Pair) -> Pair:
    """log(1 + t) for t from 0 to 1."""
    a = s.arithmetic
    return a.correct(a.function("log1p_unit", t.high), t, None if t.low is None else ONE / (ONE + t.high))


def _lower_softplus(s: Walk, e: Expr) -> Pair:
    a, u = s.arithmetic, s.pair(e.args[0])
    t = negative_exp(s, u)
    up = node("lt", ZERO, u.high)
    value = a.add(exact(select(up, u.high, ZERO)), _log1p_unit(s, t))
    if a.compensated and u.low is not None:
        slope = select(up, ONE, t.high) / (ONE + t.high)
        return a.with_low(value.high, value.low, u.low * slope)
    return value


def split_softplus(s: Walk, e: Expr) -> tuple[Pair, Pair]:
    """softplus(u) = log1p(t)/t * h^2 with t = h^2 = e^u for u < 0, where it underflows; itself times 1 above."""
    a, u = s.arithmetic, s.pair(e.args[0])
    half = negative_exp(s, u, 0.5)
    t = a.mul(half, half)
    log = _log1p_unit(s, t)
    kept = a.div(log, t)
    gone = node("lt", t.high, const(2.0**-60))
    # the derivative of log(log1p(t)/t) in u is smaller than t; that of h^2 is one
    kept = Pair(select(gone, ONE, kept.high), select(gone, ZERO, kept.low or ZERO))
    if u.low is not None:
        inner = select(gone, ZERO, t.high / ((ONE + t.high) * log.high) - ONE)
        kept = a.with_low(kept.high, kept.low, u.low * (kept.high * (ONE + inner)))
    up = node("lt", ZERO, u.high)
    whole = _lower_softplus(s, e)
    low = select(up, whole.low or ZERO, kept.low or ZERO)
    return Pair(select(up, whole.high, kept.high), low), choose(up, exact(ONE), half)


def _mixed(s: Walk, e: Expr, z: Pair) -> tuple[Pair, Pair, Pair, Node]:
    """With z = e^-|u|: the share that stays without z, the other one, both as they mix, and whether the first is 0."""
    a, share, up = s.arithmetic, s.pair(e.args[1]), node("lt", ZERO, s.pair(e.args[0]).high)
    other = s.pair(1 - e.args[1])
    stays, goes = choose(up, other, share), choose(up, share, other)
    return stays, goes, a.add(stays, a.mul(goes, z)), node("eq", stays.high, ZERO)


def _mixture_slope_parts(s: Walk, e: Expr, z: Pair) -> tuple[Pair, Node]:
    """(1 - 2a)/((1 + z) m), and whether its other factor z/m has become one; m is what `_mixed` mixes."""
    a, u = s.arithmetic, s.pair(e.args[0])
    _, _, both, alone = _mixed(s, e, z)
    kept = a.div(a.div(s.pair(1 - 2 * e.args[1]), a.add(exact(ONE), z)), choose(alone, exact(ONE), both))
    if u.low is not None:
        value = kept.high * select(alone, ONE, z.high)
        falls = value + node("copysign", (ONE - z.high) / (ONE + z.high), u.high)
        kept = a.with_low(kept.high, kept.low, negative(u.low * (kept.high * falls)))
    return kept, alone


def _lower_mixture_slope(s: Walk, e: Expr) -> Pair:
    z = negative_exp(s, s.pair(e.args[0]))
    kept, alone = _mixture_slope_parts(s, e, z)
    return s.arithmetic.mul(kept, choose(alone, exact(ONE), z))


def split_mixture_slope(s: Walk, e: Expr) -> tuple[Pair, Pair]:
    half = negative_exp(s, s.pair(e.args[0]), 0.5)
    kept, alone = _mixture_slope_parts(s, e, s.arithmetic.mul(half, half))
    return kept, choose(alone, exact(ONE), half)


def _lower_mixture_surprise(s: Walk, e: Expr) -> Pair:
    """(stays |u| + log(1 + z)) (1 + z) over what `_mixed` mixes; where z is all of that, log(1 + z)/z instead."""
    a, u = s.arithmetic, s.pair(e.args[0])
    size = absolute(u.high)
    z = negative_exp(s, u)
    stays, goes, both, alone = _mixed(s, e, z)
    log = _log1p_unit(s, z)
    gone = node("lt", z.high, const(2.0**-60))  # where the quotient is one, or nothing by nothing
    lone = choose(gone, exact(ONE), a.div(log, z))
    surprise = choose(alone, lone, a.add(a.mul(stays, exact(size)), log))
    under = choose(alone, exact(ONE), both)
    value = a.div(a.mul(surprise, a.add(exact(ONE), z)), under)
    if u.low is None:
        return value
    rises = stays.high * (ONE + z.high) - z.high - z.high * surprise.high + value.high * (goes.high * z.high)
    slope = select(alone, surprise.high - ONE, rises / under.high)
    slope = select(node("lt", u.high, ZERO), negative(slope), slope)
    return a.with_low(value.high, value.low, u.low * slope)


def _lower_log_mixture(s: Walk, e: Expr) -> Pair:
    """The logarithm of the mixture below one half, log1p of what it lacks to one above; -|u| apart where z is all."""
    a, u = s.arithmetic, s.pair(e.args[0])
    z = negative_exp(s, u)
    stays, goes, both, alone = _mixed(s, e, z)
    under = a.add(exact(ONE), z)
    lacks = a.div(a.add(goes, a.mul(stays, z)), under)
    mixture = a.div(choose(alone, exact(ONE), both), under)
    near = a.correct(a.function("log1p", negative(lacks.high)), a.neg(lacks), ONE / (ONE - lacks.high))
    far = a.correct(a.function("log", mixture.high), mixture, ONE / mixture.high)
    far = choose(alone, a.add(a.neg(a.abs(Pair(u.high))), far), far)
    value = choose(node("lt", lacks.high, const(0.5)), near, far)
    if u.low is None:
        return value
    return a.with_low(value.high, value.low, u.low * _lower_mixture_slope(s, e).high)


def _power_of_mixture(argument: Expr) -> tuple[Expr, Expr] | None:
    """What the logarithm of a mixture is multiplied by, and the logarithm, where an argument is their product."""
    exponent, rest = argument.as_independent(vocabulary.log_mixture, as_Add=False)
    return (exponent, rest) if isinstance(rest, vocabulary.log_mixture) else None


def mixture_power(s: Walk, exponent: Expr, log: Expr) -> tuple[Pair, Pair]:
    """A power of a mixture, as e^(-n |u|) where z is all of it, else one, times a power of the rest.

    No logarithm is rounded before it is multiplied by a long exponent, and the rest is as exact as that asks for.
    """
    a, n, u = s.arithmetic, s.pair(exponent), s.pair(log.args[0])
    finely = replace(a, fine=True)
    z = finely.function("exp", negative(absolute(u.high)))
    _, _, both, alone = _mixed(s, log, z)
    mixture = a.div(choose(alone, exact(ONE), both), a.add(exact(ONE), z))
    power = general_power(finely, mixture, n, nonnegative=True)
    if u.low is not None:
        slope = n.high * _lower_mixture_slope(s, log).high
        power = a.with_low(power.high, power.low, u.low * (power.high * slope))
    down = a.neg(a.mul(n, exact(absolute(u.high))))
    gone = node("and", alone, node("ne", n.high, ZERO))
    outside = choose(gone, down, exact(ZERO))
    rest = a.function("exp", outside.high)
    return a.correct(rest, outside, rest.high), power


def general_power(a: Arithmetic, base: Pair, exponent: Pair, *, nonnegative: bool) -> Pair:
    """``base**exponent``; `nonnegative` tells that it is known that the base is."""
    b, x = a.normal(base), a.normal(exponent)
    if nonnegative and has_powers_of_sums() and not (b.low is None and x.low is None):
        return a.function("pow_sum", b.high, b.low or ZERO, x.high, x.low or ZERO)
    found = a.function("pow", b.high, x.high)
    result = found.high
    # a long exponent times a large logarithm, or a base with a rounding error, is worth many ULP
    from_base = None if b.low is None else result * (x.high * (b.low / b.high))
    from_exponent = None if x.low is None else result * (x.low * call("log", b.high))
    return a.with_low(result, found.low, from_base, from_exponent)


def _lower_tanh(s: Walk, e: Expr) -> Pair:
    a, u = s.arithmetic, s.pair(e.args[0])
    m = a.function("expm1", absolute(u.high) * const(-2.0))
    size = a.div(a.neg(m), a.add(exact(const(2.0)), m))
    value = Pair(node("copysign", size.high, u.high), size.low)
    if size.low is not None:
        value = Pair(value.high, select(node("lt", u.high, ZERO), negative(size.low), size.low))
    if a.compensated and u.low is not None:
        t = ONE + m.high
        d = ONE + t
        return a.with_low(value.high, value.low, u.low * (const(4.0) * t / (d * d)))
    return value


def _sech2_parts(s: Walk, u: Pair, t: Pair) -> Pair:
    """4/(1 + t)^2 with the correction for u.low: sech2 is this times t = e^(-2|u|)."""
    a = s.arithmetic
    d = a.add(exact(ONE), t)
    kept = a.div(exact(const(4.0)), a.mul(d, d))
    if u.low is not None:
        slope = node("copysign", (t.high - ONE) / d.high * const(2.0), u.high)
        slope = select(node("lt", u.high, ZERO), absolute(slope), negative(absolute(slope)))
        kept = a.with_low(kept.high, kept.low, u.low * (kept.high * slope))
    return kept


def _lower_sech2(s: Walk, e: Expr) -> Pair:
    u = s.pair(e.args[0])
    t = negative_exp(s, u, 2.0)
    return s.arithmetic.mul(_sech2_parts(s, u, t), t)


def split_sech2(s: Walk, e: Expr) -> tuple[Pair, Pair]:
    u = s.pair(e.args[0])
    half = negative_exp(s, u)
    return _sech2_parts(s, u, s.arithmetic.mul(half, half)), half


def split_exp(s: Walk, e: Expr) -> tuple[Pair, Pair]:
    mixture = _power_of_mixture(e.args[0])
    if mixture:
        rest, power = mixture_power(s, mixture[0] / 2, mixture[1])
        return exact(ONE), s.arithmetic.mul(rest, power)
    return exact(ONE), _half_exp(s, s.pair(e.args[0]))


def _lower_expm1(s: Walk, e: Expr) -> Pair:
    u = s.pair(e.args[0])
    value = s.arithmetic.function("expm1", u.high)
    return s.arithmetic.correct(value, u, value.high + ONE)


def _logarithm(a: Arithmetic, name: str, u: Pair, slope: Node) -> Pair:
    """log or log1p."""
    if a.fine and has_logarithms_of_sums() and not (name == "log" and u.low is None):
        whole = a.normal(u)
        return a.function(f"{name}_sum", whole.high, whole.low or ZERO)
    return a.correct(a.function(name, u.high), u, slope)


def _lower_log1p(s: Walk, e: Expr) -> Pair:
    a, u = s.arithmetic, s.pair(e.args[0])
    if a.renewed and u.low is not None:  # the argument may be minus one and a little, which is all that counts
        one_more = a.add(exact(ONE), u)
        return a.correct(a.function("log", one_more.high), one_more, ONE / one_more.high)
    return _logarithm(a, "log1p", u, ONE / (ONE + u.high))


def _lower_log(s: Walk, e: Expr) -> Pair:
    u = s.pair(e.args[0])
    value = _logarithm(s.arithmetic, "log", u, ONE / u.high)
    if not isinstance(e.args[0], vocabulary.quotient):
        return value
    above, below = map(sp.log, e.args[0].args)  # where the quotient is no normal number
    ends = np.finfo(number_format())
    inside = node("and", node("le", const(float(ends.tiny)), u.high), node("le", u.high, const(float(ends.max))))
    return choose(inside, value, s.pair(above - below))


def _lower_log1mexp(s: Walk, e: Expr) -> Pair:
    """log(1 - e^-u): log(-expm1(-u)) up to log 2, log1p(-e^-u) beyond (Maechler 2012)."""
    a, u = s.arithmetic, s.pair(e.args[0])
    down = negative(u.high)
    m, t = a.neg(a.function("expm1", down)), a.function("exp", down)
    near = a.correct(a.function("log", m.high), m, ONE / m.high)
    far = a.correct(a.function("log1p", negative(t.high)), a.neg(t), ONE / (ONE - t.high))
    value = choose(node("le", u.high, const(math.log(2))), near, far)
    return a.correct(value, u, t.high / m.high)


def _lower_atanh(s: Walk, e: Expr) -> Pair:
    """log1p(2 |u|/(1 - |u|))/2 with the sign of u: a quotient near -1 would take the logarithm's accuracy."""
    a, u = s.arithmetic, s.pair(e.args[0])
    size = a.abs(u)
    ratio = a.div(a.add(size, size), a.sub(exact(ONE), size))
    double = a.correct(a.function("log1p", ratio.high), ratio, ONE / (ONE + ratio.high))
    value = a.mul(double, exact(const(0.5)))
    low = None if value.low is None else select(node("lt", u.high, ZERO), negative(value.low), value.low)
    return Pair(node("copysign", value.high, u.high), low)


def _lower_hypot(s: Walk, e: Expr) -> Pair:
    a, u, v = s.arithmetic, s.pair(e.args[0]), s.pair(e.args[1])
    found = a.function("hypot", u.high, v.high)
    value = found.high
    parts = [p.high / value * p.low for p in (u, v) if p.low is not None]
    if found.low is not None or not a.compensated:
        return a.with_low(value, found.low, *parts)
    # the residual of the root, u^2 + v^2 - h^2, without cancellation: the larger square first
    first = node("lt", absolute(v.high), absolute(u.high))
    large, small = select(first, u.high, v.high), select(first, v.high, u.high)
    squares = [a.mul(exact(n), exact(n)) for n in (large, value, small)]
    rest = (squares[0].high - squares[1].high) + squares[2].high
    for sign, square in zip((1, -1, 1), squares, strict=True):
        assert square.low is not None
        rest = rest + square.low if sign > 0 else rest - square.low
    return a.with_low(value, rest / (value + value), *parts)


def _wave(primitive: str) -> Callable[[Walk, Expr], Pair]:
    """A sine or cosine: far out, the low part is many turns, which no first-order correction can follow."""

    def lower(s: Walk, e: Expr) -> Pair:
        short = "_short" if s.arithmetic.short else ""
        if (s.arithmetic.compensated or short) and e.args[0].is_Mul and len(e.args[0].args) == 2:
            a, b = (s.pair(f) for f in sorted(e.args[0].args, key=sp.default_sort_key))
            if a.low is None and b.low is None:
                return Pair(call(f"{primitive}_product{short}", a.high, b.high))
        u = s.pair(e.args[0])
        if u.low is not None:
            return Pair(call(f"{primitive}_sum", u.high, u.low))
        return Pair(call(f"{primitive}{short}", u.high))

    return lower


def _direct(function: str, slope: Callable[[Node, Node], Node]) -> Code:
    """The function at the high part, corrected by the low part times its slope, which takes argument and value."""

    def lower(s: Walk, e: Expr) -> Pair:
        u = s.pair(e.args[0])
        value = s.arithmetic.function(function, u.high)
        return s.arithmetic.correct(value, u, slope(u.high, value.high) if u.low is not None else None)

    return lower


def _plain_call(primitive: str, slope: Callable[[Node, Node], Node]) -> Code:
    """A function of the C library, which does not tell what it loses."""

    def lower(s: Walk, e: Expr) -> Pair:
        u = s.pair(e.args[0])
        value = call(primitive, u.high)
        return s.arithmetic.correct(exact(value), u, slope(u.high, value) if u.low is not None else None)

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
    sp.atan: _direct("atan", lambda u, v: ONE / (ONE + u * u)),
    # of the half angle's kind: neither end of the domain cancels
    sp.asin: _through(lambda u: sp.atan(u / (sp.sqrt(1 - u) * sp.sqrt(1 + u)))),
    sp.acos: _through(lambda u: 2 * sp.atan(sp.sqrt((1 - u) / (1 + u)))),
    sp.acosh: _through(lambda u: sp.asinh(sp.sqrt(u - 1) * sp.sqrt(u + 1))),
    sp.atanh: _lower_atanh,
    sp.asinh: _direct("asinh", lambda u, v: ONE / node("sqrt", ONE + u * u)),
    sp.sinh: _direct("sinh", lambda u, v: call("cosh", u)),
    sp.cosh: _direct("cosh", lambda u, v: call("sinh", u)),
    sp.tanh: _lower_tanh,
    vocabulary.sigmoid: _lower_sigmoid,
    vocabulary.softplus: _lower_softplus,
    vocabulary.tanh: _lower_tanh,
    vocabulary.sech2: _lower_sech2,
    vocabulary.expm1: _lower_expm1,
    vocabulary.log1p: _lower_log1p,
    vocabulary.log1mexp: _lower_log1mexp,
    vocabulary.hypot: _lower_hypot,
    vocabulary.log_mixture: _lower_log_mixture,
    vocabulary.mixture_slope: _lower_mixture_slope,
    vocabulary.mixture_surprise: _lower_mixture_surprise,
    vocabulary.quotient: lambda s, e: s.arithmetic.div(*map(s.pair, e.args)),
}
