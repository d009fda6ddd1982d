"""Sums, products and powers: few roundings, none that loses range, and factors that underflow multiplied in last."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from fractions import Fraction

import sympy as sp
from sympy import Expr

from symgen import vocabulary
from symgen.arithmetic import ONE, ZERO, Arithmetic, Pair, exact, nearest
from symgen.kernel import const, node, select
from symgen.lowering.gaussian import split_erfc, split_reciprocal_erfcx
from symgen.lowering.heads import (
    exponential,
    general_power,
    split_exp,
    split_mixture_slope,
    split_sech2,
    split_sigmoid,
    split_softplus,
)
from symgen.lowering.walk import Code, Walk, number

# Beyond it, bringing a sum over one denominator loses more range than it saves rounding.
LARGEST_COMMON_DENOMINATOR = 1024
MOST_FACTORS = 32  # a power is written out as factors, which may alternate with divisors; a larger one by squaring

Splitter = Callable[[Walk, Expr], tuple[Pair, Pair]]

# A factor that can underflow, as what is kept times a square: see Arithmetic.halved.
SPLIT: Mapping[type, Splitter] = {
    sp.exp: split_exp,
    vocabulary.sigmoid: split_sigmoid,
    vocabulary.softplus: split_softplus,
    vocabulary.sech2: split_sech2,
    vocabulary.mixture_slope: split_mixture_slope,
    vocabulary.erfc: split_erfc,
}

# The same for divisors that overflow: one over the function is a square over what is kept.
SPLIT_BELOW: Mapping[type, Splitter] = {vocabulary.erfcx: split_reciprocal_erfcx}


def lower_add(s: Walk, e: Expr) -> Pair:
    """A sum in a declared order, over one common denominator where that makes the coefficients exact."""
    terms = _ordered([t.as_coeff_Mul() for t in e.args])
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


def _ordered(terms: list[tuple[Expr, Expr]]) -> list[tuple[Expr, Expr]]:
    """Symbols and rational numbers first where there are both and more: their sum is exact, and may leave nothing.

    ``t - 1 + t*exp(-y)`` at t = 1 is as accurate as the exponential, ``t + t*exp(-y) - 1`` has no digit of it.
    """
    known = [rest.is_Symbol or (c * rest).is_Rational for c, rest in terms]
    apart = not all(known) and len({rest.is_Symbol for (_, rest), k in zip(terms, known, strict=True) if k}) == 2
    place = {rest: apart and not k for (_, rest), k in zip(terms, known, strict=True)}
    return sorted(terms, key=lambda ct: (place[ct[1]], ct[1].is_number, sp.default_sort_key(ct[1])))


def _factors(e: Expr) -> tuple[Expr, list[tuple[Expr, Expr]]]:
    """A product as its constant and (base, exponent) in a declared order."""
    numbers = [f for f in e.args if f.is_number] if e.is_Mul else []
    others = [f for f in (e.args if e.is_Mul else (e,)) if not f.is_number]
    ordered = sorted(others, key=sp.default_sort_key)
    return sp.Mul(*numbers), [(f.base, f.exp) if f.is_Pow else (f, sp.Integer(1)) for f in ordered]


def _spread(parts: list[tuple[Expr, Expr]]) -> list[tuple[Expr, Expr]]:
    """Single factors instead of powers: those that can underflow first, then the highest power, its copies apart.

    With a divisor after each, neither ``x*x`` leaves the range nor does what it is divided by.
    """
    powers = [(b, int(n)) for b, n in parts if n.is_Integer and 0 < n <= MOST_FACTORS]
    most = max((n for _, n in powers), default=0)
    if most <= 1:
        return parts
    powers.sort(key=lambda bn: (type(bn[0]) not in SPLIT, -bn[1]))
    rest = [(b, n) for b, n in parts if not (n.is_Integer and 0 < n <= MOST_FACTORS)]
    return [(b, sp.Integer(1)) for k in range(most) for b, n in powers if k < n] + rest


def lower_mul(s: Walk, e: Expr) -> Pair:
    a = s.arithmetic
    constant, parts = _factors(e)
    above: list[Pair] = []
    below: list[Pair] = []
    last: list[Pair] = []
    falling: list[Pair] = []  # factors that become zero, where they are no squares
    for base, exponent in _spread(parts) if a.halved else parts:
        n = int(exponent) if exponent.is_Integer else 0
        split = SPLIT.get(type(base)) if a.halved and n > 0 else None
        if split:
            kept, half = split(s, base)
            above += [kept] * n
            last += [half] * (2 * n)
        elif a.annihilating and 0 < n <= MOST_FACTORS and type(base) in SPLIT:
            falling.append(s.pair(base))
            above += falling[-1:] * n
        elif n < 0 and a.halved and type(base) in SPLIT_BELOW:
            divisor, half = SPLIT_BELOW[type(base)](s, base)
            below += [divisor] * -n
            last += [half] * (-2 * n)
        elif n < 0 and a.halved and base.is_Add:
            # half of each term and half of the constant: the sum may leave the range where the quotient does not
            below += [s.pair(sp.Add(*(t / 2 for t in base.args)))] * -n
            constant = constant / 2**-n
        elif abs(n) > MOST_FACTORS:
            (above if n > 0 else below).append(a.power(s.pair(base), abs(n)))
        elif n:
            (above if n > 0 else below).extend([s.pair(base)] * abs(n))
        elif exponent.could_extract_minus_sign():
            below.append(s.pair(sp.Pow(base, -exponent)))
        else:
            above.append(s.pair(sp.Pow(base, exponent)))
    above, last = _woven(a, above, last, [s.pair(base) for base, n in parts if n == 1 and base.is_Symbol])
    total = _with_constant(a, constant, above, below)
    for half in last:
        total = a.mul(total, half)
    return _annihilated(total, [*last, *falling]) if a.annihilating else total


def _woven(a: Arithmetic, above: list[Pair], halves: list[Pair], operands: list[Pair]) -> tuple[list[Pair], list[Pair]]:
    """Halves with the operands that they are factors of, and those that are left: of several, the product overflows."""
    if not a.woven or len(operands) < 2:
        return above, halves
    left = iter(halves)
    woven = [a.mul(f, half) if f in operands and (half := next(left, None)) else f for f in above]
    return woven, list(left)


def _annihilated(total: Pair, factors: list[Pair]) -> Pair:
    """Zero where an exponential has become zero, whatever it multiplies: nothing algebraic outgrows it."""
    for factor in dict.fromkeys(f.high for f in factors):
        gone = node("eq", factor, ZERO)
        low = None if total.low is None else select(gone, ZERO, total.low)
        total = Pair(select(gone, ZERO, total.high), low)
    return total


def _with_constant(a: Arithmetic, constant: Expr, above: list[Pair], below: list[Pair]) -> Pair:
    """constant * above / below with as few and as harmless roundings as there can be."""
    sign = constant.could_extract_minus_sign()
    constant = -constant if sign else constant
    factor: Pair | None = None
    if constant.is_Rational and not _is_float(Fraction(int(constant.p), int(constant.q))):
        top, bottom = Fraction(int(constant.p)), Fraction(int(constant.q))
        if _is_float(top) and _is_float(bottom) and bottom <= LARGEST_COMMON_DENOMINATOR:
            factor = None if top == 1 and above else exact(const(float(top)))
            below = [exact(const(float(bottom))), *below]
        else:
            factor = a.constant(*number(constant))
    elif constant != 1:
        factor = a.constant(*number(constant))
    if factor is not None:
        # alternating, a divisor takes what comes first: a number over it could leave the range where x over it does not
        place = 0 if not (a.compensated and below) else 1 if a.halved and constant < 1 else len(above)
        above = [*above[:place], factor, *above[place:]]
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


def lower_pow(s: Walk, e: Expr) -> Pair:
    a, base, exponent = s.arithmetic, e.base, e.exp
    if base is sp.E:
        return exponential(s, exponent)
    if exponent.is_Integer:
        n = int(exponent)
        if n > 0:
            return a.power(s.pair(base), n)
        if a.halved and type(base) in SPLIT_BELOW:
            return lower_mul(s, e)
        if a.compensated and -n <= MOST_FACTORS:
            return _with_constant(a, sp.Integer(1), [], [s.pair(base)] * -n)
        return a.div(exact(ONE), a.power(s.pair(base), -n))
    if exponent.is_Rational and exponent.q == 2:
        root = a.sqrt(s.pair(base))
        n = int(exponent.p)
        value = a.power(root, abs(n)) if abs(n) != 3 else a.mul(s.pair(base), root)
        return value if n > 0 else a.div(exact(ONE), value)
    return general_power(a, s.pair(base), s.pair(exponent), nonnegative=bool(base.is_nonnegative))


def _is_float(value: Fraction) -> bool:
    try:
        return Fraction(nearest(value)) == value
    except OverflowError:
        return False


TABLE: Mapping[type, Code] = {sp.Add: lower_add, sp.Mul: lower_mul, sp.Pow: lower_pow}
