"""Rules of roots and absolute values: hypot against overflow, conjugates against cancellation."""

from __future__ import annotations

from sympy import Abs, sign, sqrt

from symgen.rules.rule import Rule, a, u, v
from symgen.vocabulary import hypot

RECOGNIZE = (
    Rule("hypot-intro", sqrt(u**2 + v**2), hypot(u, v), "recognize", "no overflow of the squares", source="R70", domain=((u, "not a number"),)),
    Rule("hypot-intro-root", sqrt(u**2 + a), hypot(u, sqrt(a)), "recognize", "no overflow of the square", source="R70", domain=((u, "not a number"), (a, "nonnegative"))),
    Rule("hypot-even", hypot(-u, v), hypot(u, v), "recognize", "one spelling", source="parity", domain=((u, "written without minus"),)),
    Rule("hypot-even-second", hypot(u, -v), hypot(u, v), "recognize", "one spelling", source="parity", domain=((v, "written without minus"),)),
)

STABILIZE = (
    Rule("abs-intro", u * sign(u), Abs(u), "stabilize", "no kink where there is none", "sides", "R80"),
    Rule("conjugate-hypot", hypot(u, v) - u, v**2 / (hypot(u, v) + u), "stabilize", "no difference of near equals", source="R76", domain=((u, "positive"),)),
    Rule("conjugate-hypot-second", hypot(u, v) - v, u**2 / (hypot(u, v) + v), "stabilize", "no difference of near equals", source="R76", domain=((v, "positive"),)),
    Rule("conjugate-root", sqrt(a) - u, (a - u**2) / (sqrt(a) + u), "stabilize", "no difference of near equals", source="R76", domain=((a, "nonnegative"), (a, "not a number"), (u, "positive"))),
    Rule("hypot-square", hypot(u, v) ** 2 - u**2, v**2, "stabilize", "exact", source="R75"),
    Rule("hypot-square-second", hypot(u, v) ** 2 - v**2, u**2, "stabilize", "exact", source="R75"),
)
