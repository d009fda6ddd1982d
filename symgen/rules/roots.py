"""Rules of roots and absolute values: hypot against overflow, conjugates against cancellation."""

from __future__ import annotations

from sympy import Abs, sign, sqrt

from symgen.rules.rule import Rule, a, u, v
from symgen.vocabulary import hypot

RECOGNIZE = (
    Rule("hypot-intro", sqrt(u**2 + v**2), hypot(u, v),
         "recognize", "no overflow of the squares", "exponential", "Moler and Morrison 1983", ((u, "not a number"),)),
    Rule("hypot-intro-root", sqrt(u**2 + a), hypot(u, sqrt(a)),
         "recognize", "no overflow of the square", "exponential", "Moler and Morrison 1983",
         ((u, "not a number"), (a, "nonnegative"))),
    Rule("hypot-even", hypot(-u, v), hypot(u, v),
         "recognize", "one spelling", "exponential", "parity", ((u, "written without minus"),)),
    Rule("hypot-even-second", hypot(u, -v), hypot(u, v),
         "recognize", "one spelling", "exponential", "parity", ((v, "written without minus"),)),
)

STABILIZE = (
    Rule("abs-intro", u * sign(u), Abs(u),
         "stabilize", "no kink where there is none", "sides", "definition of abs"),
    Rule("conjugate-hypot", hypot(u, v) - u, v**2 / (hypot(u, v) + u),
         "stabilize", "no difference of near equals", "exponential", "Higham 2002, section 1.7", ((u, "positive"),)),
    Rule("conjugate-hypot-second", hypot(u, v) - v, u**2 / (hypot(u, v) + v),
         "stabilize", "no difference of near equals", "exponential", "Higham 2002, section 1.7", ((v, "positive"),)),
    Rule("conjugate-root", sqrt(u**2 + a) - u, a / (sqrt(u**2 + a) + u),
         "stabilize", "no difference of near equals", "exponential", "Higham 2002, section 1.7",
         ((u, "positive"), (a, "not a number"))),
    Rule("conjugate-roots", sqrt(u) - sqrt(v), (u - v) / (sqrt(u) + sqrt(v)),
         "stabilize", "no difference of near equals", "exponential", "Higham 2002, section 1.7",
         ((u, "positive"), (v, "nonnegative"))),
    Rule("hypot-square", hypot(u, v) ** 2 - u**2, v**2,
         "stabilize", "exact", "exponential", "definition of hypot"),
    Rule("hypot-square-second", hypot(u, v) ** 2 - v**2, u**2,
         "stabilize", "exact", "exponential", "definition of hypot"),
)
