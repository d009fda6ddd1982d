"""Rules of exp and log: their cancellations near zero, each undoing the other, and quotients that overflow."""

from __future__ import annotations

from sympy import S, asinh, exp, log, sqrt

from symgen.rules.rule import Rule, a, u, v
from symgen.vocabulary import expm1, hypot, log1p

_BOTH_POSITIVE = ((u, "positive"), (a, "positive"))

RECOGNIZE = (
    Rule("exp-of-base", a**u, exp(u * log(a)),
         "recognize", "one exponential, whose cancellations are known", "exponential", "definition of powers",
         ((a, "positive"), (a, "number"), (u, "not a number"))),
    Rule("log-ratio", log((1 + u) / (1 - u)), log1p(u) - log1p(-u),
         "recognize", "no rounding of 1 + u and 1 - u", "exponentiate", "DLMF 4.37"),
    Rule("log-two-minus-exp", log(2 - exp(u)), log1p(-expm1(u)),
         "recognize", "no rounding of 2 - e^u", "exponential", "definition of expm1"),
    Rule("log-of-exponential", log(a * exp(u)), log(a) + u,
         "recognize", "no logarithm of an underflow", "exponentiate", "definition of log", ((a, "positive"),)),
    Rule("asinh-intro", log(u + hypot(u, 1)), asinh(u),
         "recognize", "no cancellation under the logarithm", "exponentiate", "DLMF 4.37"),
    Rule("expm1-intro", exp(u) - 1, expm1(u),
         "recognize", "no cancellation at 0", "exponential", "Higham 2002, section 1.14"),
    Rule("log1p-intro", log(1 + u), log1p(u),
         "recognize", "no rounding of 1 + u", "exponential", "Goldberg 1991, theorem 4", ((u, "not a number"),)),
)

STABILIZE = (
    Rule("log-difference", log(u) - log(v), log1p((u - v) / v),
         "stabilize", "no difference of near equals", "exponentiate", "Hamming 1973, section 3.4",
         ((u - v, "positive"),)),
    Rule("log1p-minus-log", log1p(u) - log(u), log1p(1 / u),
         "stabilize", "no difference of near equals", "exponentiate", "Hamming 1973, section 3.4"),
    Rule("exp-difference-double", exp(2 * u) - exp(u), exp(u) * expm1(u),
         "stabilize", "no cancellation at 0", "exponential", "definition of expm1"),
    Rule("expm1-minus-exp", expm1(u) - exp(u), -S.One,
         "stabilize", "exact", "exponential", "definition of expm1"),
    Rule("exp-over-expm1", exp(u) / expm1(u), -1 / expm1(-u),
         "stabilize", "no overflow of both", "exponential", "definition of expm1", ((u, "nonnegative"),)),
)

UNFOLD = (
    Rule("log1p-step", log1p(u) - log1p(v), 2 * asinh((u - v) / (2 * sqrt(1 + u) * sqrt(1 + v))),
         "unfold", "no difference of near equals, whichever is larger", "hyperbolic sine", "DLMF 4.37",
         ((u, "not a number"), (v, "not a number"))),
)
