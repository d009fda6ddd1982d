"""Expressions seen as products: a rational number, one exponential, and powers of bases."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import sympy as sp
from sympy import Expr, S


@dataclass(frozen=True)
class Product:
    """``number * exp(exponent) * prod(base ** power)``, powers rational and not zero."""

    number: Expr
    exponent: Expr
    powers: tuple[tuple[Expr, Expr], ...]

    def join(self) -> Expr:
        factors = [base**power for base, power in self.powers]
        if self.exponent != 0:
            factors.append(sp.exp(self.exponent))
        return sp.Mul(self.number, *factors)


@lru_cache(maxsize=65536)
def split(e: Expr) -> Product:
    """See an expression as a product."""
    number, exponent = S.One, S.Zero
    powers: dict[Expr, Expr] = {}
    for f in sp.Mul.make_args(e):
        if f.is_Rational:
            number *= f
        elif isinstance(f, sp.exp):
            exponent += f.args[0]
        elif f is S.Exp1:
            exponent += 1
        else:
            base, power = (f.base, f.exp) if f.is_Pow and f.exp.is_Rational else (f, S.One)
            powers[base] = powers.get(base, S.Zero) + power
    return Product(number, exponent, tuple((base, p) for base, p in powers.items() if p != 0))


def merged(e: Expr) -> Expr:
    """A product with one exponential; SymPy leaves ``exp(x)*exp(y)`` apart."""
    return split(e).join() if e.is_Mul else e


def denominator(e: Expr) -> dict[Expr, Expr]:
    """The bases that a product divides by, with their (negative) powers."""
    return {base: power for base, power in split(e).powers if power < 0}
