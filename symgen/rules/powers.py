"""Rules of powers: differences of squares and cubes, and small or general exponents through expm1 and log1p."""

from __future__ import annotations

import sympy as sp
from sympy import Expr, Symbol, asinh, exp, log

from symgen.rules.rule import Procedure, Rule, a, b, u, v
from symgen.vocabulary import expm1, hypot, log1p, softplus

RECOGNIZE = (
    Rule("compound-power", (1 + u) ** v, exp(v * log1p(u)),
         "recognize", "the rounding of 1 + u is not raised to a power", "exponential", "Goldberg 1991, section 1.4",
         ((u, "nonnegative"), (v, "not a number"))),
    Rule("asinh-power", (u + hypot(u, 1)) ** v, exp(v * asinh(u)),
         "recognize", "the rounding of a sum that is near 1 is not raised to a power", "exponential", "DLMF 4.37",
         ((v, "not a number"),)),
)


def merge_powers(e: Expr) -> Expr | None:
    """``y^p y^q -> y^(p + q)``, which SymPy leaves apart where an exponent has several terms."""
    powers = [f for f in e.args if f.is_Pow and f.base.is_positive and f.exp.free_symbols] if e.is_Mul else []
    for base in dict.fromkeys(f.base for f in powers):
        mine = [f for f in e.args if f == base or (f.is_Pow and f.base == base)]
        if len(mine) > 1:
            return sp.Mul(base ** sp.Add(*(f.as_base_exp()[1] for f in mine)), *(f for f in e.args if f not in mine))
    return None


_y = Symbol("y", positive=True)

PROCEDURES = (
    Procedure("power-merge", merge_powers, "stabilize", "no overflowing times an underflowing factor",
              (_y * _y ** (a - 1), _y ** (2 * a - 2) * _y ** (1 - a)), "law of exponents"),
)

UNFOLD = (
    Rule("power-softplus", log1p(u**v), softplus(v * log(u)),
         "unfold", "no overflow of the power", "exponentiate", "definition of softplus",
         ((u, "positive"), (v, "not a number"))),
)

STABILIZE = (
    Rule("power-minus-one", u**b - 1, expm1(b * log(u)),
         "stabilize", "no cancellation where the power is near 1", "exponential", "definition of powers",
         ((u, "positive"), (b, "not an integer"))),
    Rule("power-difference", u**b - v**b, v**b * expm1(b * (log(u) - log(v))),
         "stabilize", "no difference of near equals", "exponential", "definition of powers",
         ((u, "positive"), (v, "positive"), (b, "not an integer"))),
    Rule("share-complement", 1 - u / (u + v), v / (u + v),
         "stabilize", "no cancellation where the share is near 1", "exponential", "field arithmetic"),
    Rule("cube-difference", u**3 - v**3, (u - v) * (u**2 + u * v + v**2),
         "stabilize", "no difference of rounded cubes", "exponential", "Goldberg 1991, section 1.4"),
)
