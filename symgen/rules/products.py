"""Procedures on sums and products that no single pattern states: merging, factoring out, cancelling a quotient."""

from __future__ import annotations

from functools import reduce

import sympy as sp
from sympy import Expr, S, Symbol, exp, symbols

from symgen.rules.rule import Procedure
from symgen.rules.terms import denominator, merged, split
from symgen.vocabulary import erfcx, sigmoid


def merge_exponentials(e: Expr) -> Expr | None:
    """``e^a e^b -> e^(a+b)``."""
    if not e.is_Mul or sum(isinstance(f, exp) for f in e.args) < 2:
        return None
    return merged(e)


def _common_power(powers: list[Expr]) -> Expr:
    """What all powers of one base share: zero unless all have one sign."""
    if all(p > 0 for p in powers):
        return min(powers)
    return max(powers) if all(p < 0 for p in powers) else S.Zero


# beyond it, taking a denominator out of a sum turns decimals that a reader knows into long integers
LARGEST_CONTENT = 12


def _content(terms: tuple[Expr, ...]) -> Expr:
    """A small rational number that leaves integer coefficients, negative where all terms are."""
    coefficients = [t.as_coeff_Mul()[0] for t in terms]
    if not all(c.is_Rational for c in coefficients):
        return S.One
    size = sp.Rational(reduce(sp.igcd, (c.p for c in coefficients)), reduce(sp.ilcm, (c.q for c in coefficients)))
    size = size if size.q <= LARGEST_CONTENT else S.One
    return -size if all(c < 0 for c in coefficients) else size


def factor_common(e: Expr) -> Expr | None:
    """``k a + k b -> k (a + b)`` for heads and quotients, not for monomials, which stay as the spec has them."""
    if not e.is_Add:
        return None
    products = [split(t) for t in e.args]
    tables = [dict(p.powers) for p in products]
    shared = [base for base in tables[0] if all(base in t for t in tables)]
    factor = sp.Mul(*(base ** _common_power([t[base] for t in tables]) for base in shared))
    exponents = {p.exponent for p in products}
    if len(exponents) == 1 and exponents != {S.Zero}:
        factor *= exp(exponents.pop())
    if not factor.has(sp.Function, sp.Add):
        return None
    rest = tuple(merged(t / factor) for t in e.args)
    content = _content(rest)
    return sp.Mul(content, factor, sp.Add(*(t / content for t in rest)))


def cancel_quotient(e: Expr) -> Expr | None:
    """Put a sum of quotients over one denominator, where its numerator then has fewer terms."""
    if not e.is_Add:
        return None
    below = [{d: p for d, p in denominator(t).items() if not d.is_number and p.is_Integer} for t in e.args]
    involved = [i for i, d in enumerate(below) if d]
    if len(involved) < 2 or not any(d.is_Add for t in below for d in t):
        return None
    bases = sorted({d for t in below for d in t}, key=sp.default_sort_key)
    common = sp.Mul(*(d ** min(t.get(d, S.Zero) for t in below) for d in bases))
    # heads are opaque here: what stands inside them is not expanded
    above = sp.Add(*(sp.expand(merged(e.args[i] / common), deep=False) for i in involved))
    if len(sp.Add.make_args(above)) >= len(involved):
        return None
    others = [t for i, t in enumerate(e.args) if i not in involved]
    return sp.Add(*others, above * common)


def divide_through(e: Expr) -> Expr | None:
    """``(a f + b)/f^2 -> (a + b/f)/f``: a sum under a head that it contains."""
    if not e.is_Mul:
        return None
    product = split(e)
    table = dict(product.powers)
    for head, power in product.powers:
        if not isinstance(head, sp.Function) or power > -1:
            continue
        for base, times in product.powers:
            if base.is_Add and times == 1 and any(dict(split(t).powers).get(head, 0) >= 1 for t in base.args):
                table[head] += 1
                table[base] -= 1
                rest = sp.Mul(product.number, exp(product.exponent), *(b**p for b, p in table.items()))
                return rest * sp.Add(*(merged(t / head) for t in base.args))
    return None


def _square_root(term: Expr) -> Expr | None:
    """What a term is the square of, where that has no root sign."""
    number, rest = term.as_coeff_Mul()
    root = sp.sqrt(number)
    powers = split(rest)
    if not root.is_Rational or powers.exponent != 0 or any(p % 2 != 0 for _, p in powers.powers):
        return None
    return root * sp.Mul(*(base ** (p / 2) for base, p in powers.powers))


def square_difference(e: Expr) -> Expr | None:
    """``a^2 - b^2 -> (a - b) (a + b)`` for a sum of two terms; a longer one is a polynomial, and stays one."""
    if not e.is_Add or len(e.args) != 2:
        return None
    content = _content(e.args)
    terms = [t / content for t in e.args]
    factors = [t if t.is_number else t.as_coeff_Mul()[0] for t in terms]
    if [bool(f.is_positive) for f in factors].count(True) != 1 or not all(f.is_extended_real for f in factors):
        return None  # where a formula is carried beyond its domain, logarithms are complex
    signed = sorted(zip(factors, terms, strict=True), key=lambda r: bool(r[0].is_negative))
    above, below = (_square_root(-t if f.is_negative else t) for f, t in signed)
    return None if above is None or below is None else content * (above - below) * (above + below)


_x, _y = Symbol("x", real=True), symbols("y", positive=True)

STABILIZE = (
    Procedure("exp-merge", merge_exponentials, "stabilize", "no overflowing times an underflowing factor",
              (exp(_x) * exp(-(_x**2)),), "law of exponents", first=True),
    Procedure("divide-through", divide_through, "stabilize", "a head that grows stands below only",
              ((_x * erfcx(_x) - 1) / erfcx(_x) ** 2,), "field arithmetic", first=True),
    Procedure("quotient-cancel", cancel_quotient, "stabilize", "no difference of near equals",
              (1 / (1 + _y) - _y / (1 + _y) ** 2, -2 / (1 + _y) ** 2 + 2 * _y / (1 + _y) ** 3), "field arithmetic"),
    Procedure("factor-common", factor_common, "stabilize", "one product instead of a sum of tails",
              (sigmoid(_x) + _x * sigmoid(_x) * sigmoid(-_x),), "distributive law"),
    Procedure("square-difference", square_difference, "stabilize", "no difference of rounded squares",
              (1 - _x**2, _x**4 - 4 * _y**2), "Goldberg 1991, section 1.4"),
)
