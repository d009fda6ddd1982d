"""The error functions, through ``exp(-u^2) erfcx(u)`` with the square split exactly, so that tails keep their bits."""

from __future__ import annotations

import math
from collections.abc import Mapping

import sympy as sp
from sympy import Expr

from symgen import vocabulary
from symgen.arithmetic import ONE, ZERO, Pair, absolute, exact, negative
from symgen.kernel import Node, call, const, node, select
from symgen.lowering.walk import Code, Walk, choose

TWO_OVER_ROOT_PI = 2.0 / math.sqrt(math.pi)
FAR = 2.0**12  # erfcx(u) u is constant beyond it to 2^-25, more than a correction of a correction needs


def _square_exp(s: Walk, u: Node, half: bool = False) -> Pair:
    """exp(-u^2), or its square root, with the rounding error of the square put back."""
    a = s.arithmetic
    square = a.mul(exact(u), exact(u))
    scale = const(0.5 if half else 1.0)
    value = a.function("exp", negative(square.high * scale if half else square.high))
    return a.correct(value, square, negative(value.high * scale))


def _erfcx_slope(u: Node, value: Node) -> Node:
    """The derivative 2 u erfcx(u) - 2/sqrt(pi), which cancels far out, where erfcx is c/u and its slope -erfcx/u."""
    near = const(2.0) * u * value - const(TWO_OVER_ROOT_PI)
    return select(node("lt", const(FAR), u), negative(value / u), near)


def _erfc_slope(u: Node) -> Node:
    return const(-2.0 / math.sqrt(math.pi)) * call("exp", negative(u * u))


def _bell(s: Walk, u: Expr, size: Node) -> Pair:
    """exp(-u^2) of an expression, whose size is given: where no rounding is put back, of u^2 as it is written.

    So it is shared: beside erfc(x/sqrt(2)) its derivative's exp(-x^2/2) stands.
    """
    return _square_exp(s, size) if s.arithmetic.compensated else s.pair(sp.exp(-(u**2)))


def _lower_erfc(s: Walk, e: Expr) -> Pair:
    a, u = s.arithmetic, s.pair(e.args[0])
    size = absolute(u.high)
    tail = a.mul(a.function("erfcx", size), _bell(s, e.args[0], size))
    rest = a.sub(exact(const(2.0)), tail)
    up = node("le", ZERO, u.high)
    value = choose(up, tail, rest)
    if a.compensated and u.low is not None:
        return a.with_low(value.high, value.low, u.low * _erfc_slope(u.high))
    return value


def split_erfc(s: Walk, e: Expr) -> tuple[Pair, Pair]:
    """erfc(u) = erfcx(u) * h^2 for u >= 0 with h = e^(-u^2/2); itself times 1 below."""
    a, u = s.arithmetic, s.pair(e.args[0])
    size = absolute(u.high)
    up = node("le", ZERO, u.high)
    scaled = a.function("erfcx", size)
    if u.low is not None:
        # erfc(h + l) = erfc(h) (1 - 2 l / (sqrt(pi) erfcx(h)))
        scaled = a.with_low(scaled.high, scaled.low, u.low * const(-2.0 / math.sqrt(math.pi)))
    half = _square_exp(s, size, half=True)
    whole = _lower_erfc(s, e)
    one = exact(ONE)
    return choose(up, scaled, whole), choose(up, half, one)


def split_reciprocal_erfcx(s: Walk, e: Expr) -> tuple[Pair, Pair]:
    """1/erfcx(u) = h^2/d: for u < 0, where erfcx overflows, h^2 = e^(-u^2) and d = erfc(u)."""
    a, u = s.arithmetic, s.pair(e.args[0])
    size = absolute(u.high)
    scaled = a.function("erfcx", size)
    rest = a.sub(exact(const(2.0)), a.mul(scaled, _square_exp(s, size)))
    if u.low is not None:
        # the logarithmic derivative of erfcx is 2 u - 2/(sqrt(pi) erfcx(u)); h^2 takes no correction
        up = node("le", ZERO, u.high)
        erfcx_u = scaled.high
        slope = select(up, _erfcx_slope(u.high, erfcx_u), const(2.0) * u.high * rest.high)
        tail = select(up, ZERO, const(-TWO_OVER_ROOT_PI) * _square_exp(s, size).high)
        scaled = a.with_low(scaled.high, scaled.low, u.low * slope)
        rest = a.with_low(rest.high, rest.low, u.low * (slope + tail))
    up = node("le", ZERO, u.high)
    return choose(up, scaled, rest), choose(up, exact(ONE), _square_exp(s, size, half=True))


def _lower_erfcx(s: Walk, e: Expr) -> Pair:
    a, u = s.arithmetic, s.pair(e.args[0])
    size = absolute(u.high)
    value = a.function("erfcx", size)
    if not e.args[0].is_nonnegative:
        grow = a.mul(exact(u.high), exact(u.high))
        big = a.function("exp", grow.high)
        large = a.mul(exact(const(2.0)), a.correct(big, grow, big.high))
        value = choose(node("le", ZERO, u.high), value, a.sub(large, value))
    if a.compensated and u.low is not None:
        return a.with_low(value.high, value.low, u.low * _erfcx_slope(u.high, value.high))
    return value


def _lower_erf(s: Walk, e: Expr) -> Pair:
    u = s.pair(e.args[0])
    value = s.arithmetic.function("erf", u.high)
    return s.arithmetic.correct(value, u, None if u.low is None else negative(_erfc_slope(u.high)))


def _lower_log_half_erfc(s: Walk, e: Expr) -> Pair:
    """log(erfc(u)/2): log(erfcx(u)/2) - u^2 for u > 0, log1p(-erfc(-u)/2) below."""
    a, u = s.arithmetic, s.pair(e.args[0])
    size = absolute(u.high)
    scaled = a.function("erfcx", size)
    half = a.mul(exact(const(0.5)), scaled)
    log = a.correct(a.function("log", half.high), half, ONE / half.high)
    above = a.sub(log, a.mul(exact(size), exact(size)))
    tail = a.mul(half, _square_exp(s, size))
    below = a.correct(a.function("log1p", negative(tail.high)), a.neg(tail), ONE / (ONE - tail.high))
    value = choose(node("lt", ZERO, u.high), above, below)
    if a.compensated and u.low is not None:
        square = call("exp", negative(size * size))
        ratio = select(node("lt", ZERO, u.high), ONE / scaled.high, square / (const(2.0) - scaled.high * square))
        return a.with_low(value.high, value.low, u.low * (const(-2.0 / math.sqrt(math.pi)) * ratio))
    return value


TABLE: Mapping[type, Code] = {
    sp.erf: _lower_erf,
    vocabulary.erf: _lower_erf,
    vocabulary.erfc: _lower_erfc,
    vocabulary.erfcx: _lower_erfcx,
    vocabulary.log_half_erfc: _lower_log_half_erfc,
}
