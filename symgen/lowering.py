"""From a stable SymPy expression to kernel nodes: one table from head to code, plain or compensated.

Every head of the vocabulary is computed here in the form that keeps its accuracy over its whole range: logistic heads
through ``exp(-|u|)``, hyperbolic ones through ``expm1(-2|u|)``, the Gaussian ones through ``exp(-u^2) erfcx(u)`` with
the square split exactly. What an expression means is never changed; products are ordered so that nothing overflows
before it is divided.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from functools import lru_cache
from typing import Any

import sympy as sp
from sympy import Expr, Symbol
from sympy.core.relational import Relational

from symgen import heads, vocabulary
from symgen.arithmetic import COMPENSATED, ONE, ZERO, Arithmetic, Pair, absolute, exact, negative
from symgen.elementary import erfcx_nonnegative
from symgen.kernel import Node, call, const, node, select

TWO_OVER_ROOT_PI = 2.0 / math.sqrt(math.pi)
LARGEST_COMMON_DENOMINATOR = 1024  # beyond it, bringing a sum over one denominator loses more range than it saves rounding


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
        return math.copysign(math.inf, value), 0.0
    return high, float(value - Fraction(high))


def _is_float(value: Fraction) -> bool:
    try:
        return Fraction(float(value)) == value
    except OverflowError:
        return False


@dataclass
class Lowering:
    """One walk over an expression; `bound` tells what each symbol stands for."""

    arithmetic: Arithmetic
    bound: Mapping[Symbol, Pair]
    _done: dict[Expr, Pair] = field(default_factory=dict)

    def pair(self, e: Expr) -> Pair:
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
        rule = TABLE.get(type(e))
        if rule is None:
            raise LoweringError(f"no code for {type(e).__name__} in {e}")
        return rule(self, e)

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
        op, swap = RELATIONS[type(c)]
        sides = Lowering(COMPENSATED, self.bound)
        a, b = sides.pair(c.lhs), sides.pair(c.rhs)
        if swap:
            a, b = b, a
        if a.low is None and b.low is None:
            return node(op, a.high, b.high)
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


# -- sums and products ------------------------------------------------------------------------------------------------


def _lower_add(s: Lowering, e: Expr) -> Pair:
    """A sum in a declared order, over one common denominator where that makes the coefficients exact."""
    terms = sorted((t.as_coeff_Mul() for t in e.args), key=lambda ct: (ct[1].is_number, sp.default_sort_key(ct[1])))
    denominator = 1
    if all(c.is_Rational for c, _ in terms):
        denominator = math.lcm(*(int(c.q) for c, _ in terms))
    if not 1 < denominator <= LARGEST_COMMON_DENOMINATOR or denominator & (denominator - 1) == 0:
        denominator = 1
    total: Pair | None = None
    for c, rest in terms:
        term = s.pair(c * denominator * rest)
        total = term if total is None else s.arithmetic.add(total, term)
    assert total is not None
    return total if denominator == 1 else s.arithmetic.div(total, exact(const(denominator)))


def _factors(e: Expr) -> tuple[Expr, list[tuple[Expr, Expr]]]:
    """A product as its constant and (base, exponent) in a declared order."""
    numbers = [f for f in e.args if f.is_number] if e.is_Mul else []
    others = [f for f in (e.args if e.is_Mul else (e,)) if not f.is_number]
    parts = []
    for f in sorted(others, key=sp.default_sort_key):
        parts.append((f.base, f.exp) if f.is_Pow else (f, sp.Integer(1)))
    return sp.Mul(*numbers), parts


def _lower_mul(s: Lowering, e: Expr) -> Pair:
    a = s.arithmetic
    constant, parts = _factors(e)
    above: list[Pair] = []
    below: list[Pair] = []
    last: list[Pair] = []
    for base, exponent in parts:
        n = int(exponent) if exponent.is_Integer else 0
        split = SPLIT.get(type(base)) if a.halved and n > 0 else None
        if split:
            kept, half = split(s, base)
            above += [kept] * n
            last += [half] * (2 * n)
        elif n < 0 and a.halved and type(base) in SPLIT_BELOW:
            divisor, half = SPLIT_BELOW[type(base)](s, base)
            below += [divisor] * -n
            last += [half] * (-2 * n)
        elif n < 0 and a.halved and base.is_Add:
            # half of each term and half of the constant: the sum may leave the range where the quotient does not
            below += [s.pair(sp.Add(*(t / 2 for t in base.args)))] * -n
            constant = constant / 2**-n
        elif n:
            (above if n > 0 else below).extend([s.pair(base)] * abs(n))
        elif exponent.could_extract_minus_sign():
            below.append(s.pair(sp.Pow(base, -exponent)))
        else:
            above.append(s.pair(sp.Pow(base, exponent)))
    total = _with_constant(a, constant, above, below)
    for half in last:
        total = a.mul(total, half)
    return total


def _with_constant(a: Arithmetic, constant: Expr, above: list[Pair], below: list[Pair]) -> Pair:
    """constant * above / below with as few and as harmless roundings as there can be."""
    sign = constant.could_extract_minus_sign()
    constant = -constant if sign else constant
    if constant.is_Rational and not _is_float(Fraction(int(constant.p), int(constant.q))):
        top, bottom = Fraction(int(constant.p)), Fraction(int(constant.q))
        if _is_float(top) and _is_float(bottom) and bottom <= LARGEST_COMMON_DENOMINATOR:
            above = above if top == 1 and above else [exact(const(float(top))), *above]
            below = [exact(const(float(bottom))), *below]
        else:
            above = [a.constant(*number(constant)), *above]
    elif constant != 1:
        above = [a.constant(*number(constant)), *above]
    if not a.compensated:
        total = _product(a, above)
        total = a.div(total, _product(a, below)) if below else total
    else:
        # alternate, so that neither x*x/d/d nor x/(d*d) leaves the range while the result is inside it
        rest = list(below)
        total = above[0] if above else exact(ONE)
        for factor in above[1:]:
            if rest:
                total = a.div(total, rest.pop(0))
            total = a.mul(total, factor)
        for divisor in rest:
            total = a.div(total, divisor)
    return a.neg(total) if sign else total


def _product(a: Arithmetic, factors: list[Pair]) -> Pair:
    total = factors[0] if factors else exact(ONE)
    for f in factors[1:]:
        total = a.mul(total, f)
    return total


def _lower_pow(s: Lowering, e: Expr) -> Pair:
    a, base, exponent = s.arithmetic, e.base, e.exp
    if base is sp.E:
        return _exp(s, exponent)
    if exponent.is_Integer:
        n = int(exponent)
        if n > 0:
            return a.power(s.pair(base), n)
        if a.compensated:
            return _with_constant(a, sp.Integer(1), [], [s.pair(base)] * -n)
        return a.div(exact(ONE), a.power(s.pair(base), -n))
    if exponent.is_Rational and exponent.q == 2:
        root = a.sqrt(s.pair(base))
        n = int(exponent.p)
        value = a.power(root, abs(n)) if abs(n) != 3 else a.mul(s.pair(base), root)
        return value if n > 0 else a.div(exact(ONE), value)
    b, x = s.pair(base), s.pair(exponent)
    return Pair(call("pow", a.rounded(b), a.rounded(x)))


# -- heads ------------------------------------------------------------------------------------------------------------


def _exp(s: Lowering, argument: Expr) -> Pair:
    u = s.pair(argument)
    value = call("exp", u.high)
    return s.arithmetic.correct(value, u, value)


def _half_exp(s: Lowering, u: Pair) -> Pair:
    """exp(u/2), whose square is exp(u)."""
    value = call("exp", u.high * const(0.5))
    return s.arithmetic.correct(value, u, value * const(0.5))


def _negative_exp(s: Lowering, u: Pair, factor: float = 1.0) -> tuple[Node, Node]:
    """exp(-factor |u.high|) and |u.high|."""
    size = absolute(u.high)
    return call("exp", negative(size if factor == 1.0 else size * const(factor))), size


def _lower_sigmoid(s: Lowering, e: Expr) -> Pair:
    a, u = s.arithmetic, s.pair(e.args[0])
    t, _ = _negative_exp(s, u)
    up = node("le", ZERO, u.high)
    under = a.add(exact(ONE), exact(t))
    value = a.div(exact(select(up, ONE, t)), under)
    if a.compensated and u.low is not None:
        other = select(up, t, ONE) / under.high
        return a.with_low(value.high, value.low, u.low * (value.high * other))
    return value


def _split_sigmoid(s: Lowering, e: Expr) -> tuple[Pair, Pair]:
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


def _lower_softplus(s: Lowering, e: Expr) -> Pair:
    a, u = s.arithmetic, s.pair(e.args[0])
    t, _ = _negative_exp(s, u)
    up = node("lt", ZERO, u.high)
    value = a.add(exact(select(up, u.high, ZERO)), exact(call("log1p", t)))
    if a.compensated and u.low is not None:
        slope = select(up, ONE, t) / (ONE + t)
        return a.with_low(value.high, value.low, u.low * slope)
    return value


def _lower_tanh(s: Lowering, e: Expr) -> Pair:
    a, u = s.arithmetic, s.pair(e.args[0])
    m = call("expm1", absolute(u.high) * const(-2.0))
    size = a.div(exact(negative(m)), a.add(exact(const(2.0)), exact(m)))
    value = Pair(node("copysign", size.high, u.high), size.low)
    if size.low is not None:
        value = Pair(value.high, select(node("lt", u.high, ZERO), negative(size.low), size.low))
    if a.compensated and u.low is not None:
        t, _ = _negative_exp(s, u, 2.0)
        d = ONE + t
        return a.with_low(value.high, value.low, u.low * (const(4.0) * t / (d * d)))
    return value


def _sech2_parts(s: Lowering, u: Pair, t: Node) -> Pair:
    """4/(1 + t)^2 with the correction for u.low: sech2 is this times t = e^(-2|u|)."""
    a = s.arithmetic
    d = a.add(exact(ONE), exact(t))
    kept = a.div(exact(const(4.0)), a.mul(d, d))
    if u.low is not None:
        slope = node("copysign", (t - ONE) / d.high * const(2.0), u.high)
        slope = select(node("lt", u.high, ZERO), absolute(slope), negative(absolute(slope)))
        kept = a.with_low(kept.high, kept.low, u.low * (kept.high * slope))
    return kept


def _lower_sech2(s: Lowering, e: Expr) -> Pair:
    u = s.pair(e.args[0])
    t, _ = _negative_exp(s, u, 2.0)
    return s.arithmetic.mul(_sech2_parts(s, u, t), exact(t))


def _split_sech2(s: Lowering, e: Expr) -> tuple[Pair, Pair]:
    u = s.pair(e.args[0])
    half = call("exp", negative(absolute(u.high)))
    return _sech2_parts(s, u, half * half), exact(half)


def _split_exp(s: Lowering, e: Expr) -> tuple[Pair, Pair]:
    return exact(ONE), _half_exp(s, s.pair(e.args[0]))


def _lower_expm1(s: Lowering, e: Expr) -> Pair:
    u = s.pair(e.args[0])
    value = call("expm1", u.high)
    return s.arithmetic.correct(value, u, value + ONE)


def _lower_log1p(s: Lowering, e: Expr) -> Pair:
    u = s.pair(e.args[0])
    return s.arithmetic.correct(call("log1p", u.high), u, ONE / (ONE + u.high))


def _lower_log(s: Lowering, e: Expr) -> Pair:
    u = s.pair(e.args[0])
    return s.arithmetic.correct(call("log", u.high), u, ONE / u.high)


def _lower_log1mexp(s: Lowering, e: Expr) -> Pair:
    """log(1 - e^-u): log(-expm1(-u)) up to log 2, log1p(-e^-u) beyond (Maechler 2012)."""
    u = s.pair(e.args[0])
    down = negative(u.high)
    m = call("expm1", down)
    near, far = call("log", negative(m)), call("log1p", negative(call("exp", down)))
    value = select(node("le", u.high, const(math.log(2))), near, far)
    return s.arithmetic.correct(value, u, (m + ONE) / negative(m))


def _square_exp(s: Lowering, u: Node, half: bool = False) -> Pair:
    """exp(-u^2), or its square root, with the rounding error of the square put back."""
    a = s.arithmetic
    square = a.mul(exact(u), exact(u))
    scale = const(0.5 if half else 1.0)
    value = call("exp", negative(square.high * scale if half else square.high))
    return Pair(value, None if square.low is None else negative(square.low * value * scale))


def _erfc_slope(u: Node) -> Node:
    return const(-2.0 / math.sqrt(math.pi)) * call("exp", negative(u * u))


def _lower_erfc(s: Lowering, e: Expr) -> Pair:
    a, u = s.arithmetic, s.pair(e.args[0])
    size = absolute(u.high)
    tail = a.mul(erfcx_nonnegative(a, size), _square_exp(s, size))
    rest = a.sub(exact(const(2.0)), tail)
    up = node("le", ZERO, u.high)
    value = _choose(up, tail, rest)
    if a.compensated and u.low is not None:
        return a.with_low(value.high, value.low, u.low * _erfc_slope(u.high))
    return value


def _split_erfc(s: Lowering, e: Expr) -> tuple[Pair, Pair]:
    """erfc(u) = erfcx(u) * h^2 for u >= 0 with h = e^(-u^2/2); itself times 1 below."""
    a, u = s.arithmetic, s.pair(e.args[0])
    size = absolute(u.high)
    up = node("le", ZERO, u.high)
    scaled = erfcx_nonnegative(a, size)
    if u.low is not None:
        # erfc(h + l) = erfc(h) (1 - 2 l / (sqrt(pi) erfcx(h)))
        scaled = a.with_low(scaled.high, scaled.low, u.low * const(-2.0 / math.sqrt(math.pi)))
    half = _square_exp(s, size, half=True)
    whole = s.pair(e)
    one = exact(ONE)
    return _choose(up, scaled, whole), _choose(up, half, one)


def _split_reciprocal_erfcx(s: Lowering, e: Expr) -> tuple[Pair, Pair]:
    """1/erfcx(u) = h^2/d: for u < 0, where erfcx overflows, h^2 = e^(-u^2) and d = erfc(u)."""
    a, u = s.arithmetic, s.pair(e.args[0])
    size = absolute(u.high)
    scaled = erfcx_nonnegative(a, size)
    rest = a.sub(exact(const(2.0)), a.mul(scaled, _square_exp(s, size)))
    if u.low is not None:
        # the logarithmic derivative of erfcx is 2 u - 2/(sqrt(pi) erfcx(u)); h^2 takes no correction
        up = node("le", ZERO, u.high)
        erfcx_u = scaled.high
        slope = select(up, const(2.0) * u.high * erfcx_u - const(TWO_OVER_ROOT_PI), const(2.0) * u.high * rest.high)
        tail = select(up, ZERO, const(-TWO_OVER_ROOT_PI) * _square_exp(s, size).high)
        scaled = a.with_low(scaled.high, scaled.low, u.low * slope)
        rest = a.with_low(rest.high, rest.low, u.low * (slope + tail))
    up = node("le", ZERO, u.high)
    return _choose(up, scaled, rest), _choose(up, exact(ONE), _square_exp(s, size, half=True))


def _lower_erfcx(s: Lowering, e: Expr) -> Pair:
    a, u = s.arithmetic, s.pair(e.args[0])
    size = absolute(u.high)
    value = erfcx_nonnegative(a, size)
    if not e.args[0].is_nonnegative:
        grow = a.mul(exact(u.high), exact(u.high))
        big = call("exp", grow.high)
        large = a.mul(exact(const(2.0)), Pair(big, None if grow.low is None else grow.low * big))
        value = _choose(node("le", ZERO, u.high), value, a.sub(large, value))
    if a.compensated and u.low is not None:
        slope = const(2.0) * u.high * value.high - const(2.0 / math.sqrt(math.pi))
        return a.with_low(value.high, value.low, u.low * slope)
    return value


def _lower_erf(s: Lowering, e: Expr) -> Pair:
    u = s.pair(e.args[0])
    return s.arithmetic.correct(call("erf", u.high), u, negative(_erfc_slope(u.high)))


def _lower_log_half_erfc(s: Lowering, e: Expr) -> Pair:
    """log(erfc(u)/2): log(erfcx(u)/2) - u^2 for u > 0, log1p(-erfc(-u)/2) below."""
    a, u = s.arithmetic, s.pair(e.args[0])
    size = absolute(u.high)
    scaled = erfcx_nonnegative(a, size)
    half = a.mul(exact(const(0.5)), scaled)
    log = a.correct(call("log", half.high), half, ONE / half.high)
    above = a.sub(log, a.mul(exact(size), exact(size)))
    tail = a.mul(half, _square_exp(s, size))
    below = a.correct(call("log1p", negative(tail.high)), a.neg(tail), ONE / (ONE - tail.high))
    value = _choose(node("lt", ZERO, u.high), above, below)
    if a.compensated and u.low is not None:
        square = call("exp", negative(size * size))
        ratio = select(node("lt", ZERO, u.high), ONE / scaled.high, square / (const(2.0) - scaled.high * square))
        return a.with_low(value.high, value.low, u.low * (const(-2.0 / math.sqrt(math.pi)) * ratio))
    return value


def _lower_hypot(s: Lowering, e: Expr) -> Pair:
    a, u, v = s.arithmetic, s.pair(e.args[0]), s.pair(e.args[1])
    value = call("hypot", u.high, v.high)
    if not a.compensated:
        return Pair(value)
    # the residual of the root, u^2 + v^2 - h^2, without cancellation: the larger square first
    first = node("lt", absolute(v.high), absolute(u.high))
    large, small = select(first, u.high, v.high), select(first, v.high, u.high)
    squares = [a.mul(exact(n), exact(n)) for n in (large, value, small)]
    rest = ((squares[0].high - squares[1].high) + squares[2].high)
    for sign, square in zip((1, -1, 1), squares, strict=True):
        assert square.low is not None
        rest = rest + square.low if sign > 0 else rest - square.low
    parts = [p.high / value * p.low for p in (u, v) if p.low is not None]
    return a.with_low(value, rest / (value + value), *parts)


def _wave(primitive: str) -> Callable[[Lowering, Expr], Pair]:
    """A sine or cosine: far out, the low part is many turns, which no first-order correction can follow."""

    def lower(s: Lowering, e: Expr) -> Pair:
        u = s.pair(e.args[0])
        return Pair(call(primitive, u.high) if u.low is None else call(f"{primitive}_sum", u.high, u.low))

    return lower


def _plain_call(primitive: str, slope: Callable[[Node, Node], Node]) -> Callable[[Lowering, Expr], Pair]:
    def lower(s: Lowering, e: Expr) -> Pair:
        u = s.pair(e.args[0])
        value = call(primitive, u.high)
        return s.arithmetic.correct(value, u, slope(u.high, value) if u.low is not None else None)

    return lower


# -- kinks ------------------------------------------------------------------------------------------------------------


def _choose(condition: Node, a: Pair, b: Pair) -> Pair:
    low = None
    if a.low is not None or b.low is not None:
        low = select(condition, a.low or ZERO, b.low or ZERO)
    return Pair(select(condition, a.high, b.high), low)


def _lower_cases(s: Lowering, e: Expr) -> Pair:
    return _choose(s.condition(e.args[0]), s.pair(e.args[1]), s.pair(e.args[2]))


def _larger(s: Lowering, e: Expr, sign: int) -> Pair:
    """max or min; data, not the constant, comes out of a tie or a NaN, so that both NaN and -0 pass through."""
    left, right = e.args if not e.args[1].is_number else (e.args[1], e.args[0])
    a, b = s.pair(left), s.pair(right)
    return _choose(node("lt", b.high, a.high) if sign > 0 else node("lt", a.high, b.high), a, b)


def _lower_sign(s: Lowering, e: Expr) -> Pair:
    u = s.arithmetic.rounded(s.pair(e.args[0]))
    return exact(select(node("lt", ZERO, u), ONE, select(node("lt", u, ZERO), const(-1.0), ZERO)))


def _lower_weighted(s: Lowering, e: Expr) -> Pair:
    w, v = s.pair(e.args[0]), s.pair(e.args[1])
    return _choose(node("eq", w.high, ZERO), exact(ZERO), s.arithmetic.mul(w, v))


TABLE: dict[type, Callable[[Lowering, Expr], Pair]] = {
    sp.Add: _lower_add,
    sp.Mul: _lower_mul,
    sp.Pow: _lower_pow,
    sp.exp: lambda s, e: _exp(s, e.args[0]),
    sp.log: _lower_log,
    sp.Abs: lambda s, e: s.arithmetic.abs(s.pair(e.args[0])),
    sp.sign: _lower_sign,
    sp.sin: _wave("sin"),
    sp.cos: _wave("cos"),
    sp.tan: _plain_call("tan", lambda u, v: ONE + v * v),
    sp.atan: _plain_call("atan", lambda u, v: ONE / (ONE + u * u)),
    sp.asinh: _plain_call("asinh", lambda u, v: ONE / node("sqrt", ONE + u * u)),
    sp.sinh: _plain_call("sinh", lambda u, v: call("cosh", u)),
    sp.cosh: _plain_call("cosh", lambda u, v: call("sinh", u)),
    sp.tanh: _plain_call("tanh", lambda u, v: ONE - v * v),
    sp.erf: _lower_erf,
    heads.Cases: _lower_cases,
    heads.first_max: lambda s, e: _larger(s, e, 1),
    heads.first_min: lambda s, e: _larger(s, e, -1),
    heads.maximum: lambda s, e: _larger(s, e, 1),
    heads.minimum: lambda s, e: _larger(s, e, -1),
    heads.weighted: _lower_weighted,
    heads.straight_through: lambda s, e: s.pair(e.args[0]),
    vocabulary.sigmoid: _lower_sigmoid,
    vocabulary.softplus: _lower_softplus,
    vocabulary.tanh: _lower_tanh,
    vocabulary.sech2: _lower_sech2,
    vocabulary.expm1: _lower_expm1,
    vocabulary.log1p: _lower_log1p,
    vocabulary.log1mexp: _lower_log1mexp,
    vocabulary.erf: _lower_erf,
    vocabulary.erfc: _lower_erfc,
    vocabulary.erfcx: _lower_erfcx,
    vocabulary.log_half_erfc: _lower_log_half_erfc,
    vocabulary.hypot: _lower_hypot,
}

# A factor that can underflow, as what is kept times a square: see Arithmetic.halved.
SPLIT: dict[type, Callable[[Lowering, Expr], tuple[Pair, Pair]]] = {
    sp.exp: _split_exp,
    vocabulary.sigmoid: _split_sigmoid,
    vocabulary.sech2: _split_sech2,
    vocabulary.erfc: _split_erfc,
}


# The same for divisors that overflow: one over the function is a square over what is kept.
SPLIT_BELOW: dict[type, Callable[[Lowering, Expr], tuple[Pair, Pair]]] = {vocabulary.erfcx: _split_reciprocal_erfcx}


def lower(expression: Expr, bound: Mapping[Symbol, Pair], arithmetic: Arithmetic) -> Pair:
    """The kernel graph of an expression.

    Raises:
        LoweringError: a node of the expression has no code; the message names it.
    """
    return Lowering(arithmetic, bound).pair(sp.sympify(expression))
