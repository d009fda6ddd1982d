"""Rules of exp and log near their cancellations: expm1, log1p, and quotients in which both overflow."""

from __future__ import annotations

from sympy import S, exp, log

from symgen.rules.rule import Rule, u
from symgen.vocabulary import expm1, log1p

RECOGNIZE = (
    Rule("expm1-intro", exp(u) - 1, expm1(u), "recognize", "no cancellation at 0", source="R17"),
    Rule("log1p-intro", log(1 + u), log1p(u), "recognize", "no rounding of 1 + u", source="R17", domain=((u, "not a number"),)),
)

STABILIZE = (
    Rule("expm1-plus-one", expm1(u) + 1, exp(u), "stabilize", "no cancellation for negative u", source="R17"),
    Rule("expm1-minus-exp", expm1(u) - exp(u), -S.One, "stabilize", "exact", source="R17"),
    Rule("exp-over-expm1", exp(u) / expm1(u), -1 / expm1(-u), "stabilize", "no overflow of both", source="R41", domain=((u, "not negative"),)),
)
