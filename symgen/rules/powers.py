"""Rules of powers: differences of squares and cubes, and small or general exponents through expm1 and log1p."""

from __future__ import annotations

from sympy import exp, log

from symgen.rules.rule import Rule, b, u, v
from symgen.vocabulary import expm1, log1p

RECOGNIZE = (
    Rule("compound-power", (1 + u) ** v, exp(v * log1p(u)),
         "recognize", "the rounding of 1 + u is not raised to a power", "exponential", "Goldberg 1991, section 1.4",
         ((u, "positive"), (v, "not a number"))),
)

STABILIZE = (
    Rule("power-minus-one", u**b - 1, expm1(b * log(u)),
         "stabilize", "no cancellation where the power is near 1", "exponential", "definition of powers",
         ((u, "positive"), (b, "not an integer"))),
    Rule("power-difference", u**b - v**b, v**b * expm1(b * (log(u) - log(v))),
         "stabilize", "no difference of near equals", "exponential", "definition of powers",
         ((u, "positive"), (v, "positive"), (b, "not an integer"))),
    Rule("cube-difference", u**3 - v**3, (u - v) * (u**2 + u * v + v**2),
         "stabilize", "no difference of rounded cubes", "exponential", "Goldberg 1991, section 1.4"),
)
