"""Rules of the hyperbolic family: tanh and its derivative, and what they become after softplus."""

from __future__ import annotations

import sympy as sp
from sympy import Abs, exp, log

from symgen.rules.rule import Rule, a, u, v
from symgen.vocabulary import log1mexp, log1p, sech2, sigmoid, softplus, tanh

_POSITIVE_FACTOR = ((a, "positive"),)
_ONE_SIGN = ((u, "written without minus"),)
_APART = ((u * v, "of several operands"),)

RECOGNIZE = (
    Rule("tanh-intro-double", (exp(2 * u) - 1) / (exp(2 * u) + 1), tanh(u),
         "recognize", "no overflow of both exponentials", "exponential", "DLMF 4.28"),
    Rule("sinh-intro", exp(u) - exp(-u), 2 * sp.sinh(u),
         "recognize", "no cancellation at 0", "exponential", "DLMF 4.28"),
    Rule("cosh-intro", exp(u) + exp(-u), 2 * sp.cosh(u),
         "recognize", "one head, whose minimum and tails are known", "exponential", "DLMF 4.28"),
    Rule("tanh-reciprocal", (v - 1 / v) / (v + 1 / v), tanh(log(v)),
         "recognize", "one head, whose tails are known", "exponential", "DLMF 4.28", ((v, "positive"),)),
    Rule("tanh-quotient", sp.sinh(u) / sp.cosh(u), tanh(u),
         "recognize", "no overflow of both", "exponential", "DLMF 4.28"),
    Rule("coth-quotient", sp.cosh(u) / sp.sinh(u), 1 / tanh(u),
         "recognize", "no overflow of both", "exponential", "DLMF 4.28"),
    Rule("sech2-intro", sp.cosh(u) ** -2, sech2(u),
         "recognize", "no overflow of the hyperbolic cosine", "exponential", "DLMF 4.28"),
    Rule("tanh-name", sp.tanh(u), tanh(u),
         "recognize", "a head that SymPy does not evaluate", "exponential", "DLMF 4.28"),
    Rule("tanh-odd", tanh(-u), -tanh(u),
         "recognize", "one spelling", "exponential", "DLMF 4.30", _ONE_SIGN),
    Rule("tanh-plus-one", 1 + tanh(u), 2 * sigmoid(2 * u),
         "recognize", "no cancellation where tanh is near -1", "exponential", "DLMF 4.35"),
    Rule("tanh-minus-one", 1 - tanh(u), 2 * sigmoid(-2 * u),
         "recognize", "no cancellation where tanh is near 1", "exponential", "DLMF 4.35"),
    Rule("tanh-square", 1 - tanh(u) ** 2, sech2(u),
         "recognize", "no cancellation where tanh is near 1", "exponential", "DLMF 4.35"),
)

STABILIZE = (
    Rule("sech2-complement", 1 - sech2(u), tanh(u) ** 2,
         "stabilize", "no cancellation at 0", "exponential", "DLMF 4.35"),
    Rule("tanh-apart", tanh(u) - tanh(v),
         2 * tanh(u - v) * (sigmoid(2 * u) * sigmoid(-2 * v) + sigmoid(2 * v) * sigmoid(-2 * u)),
         "stabilize", "no difference of near equals, and no overflow where they are far apart", "exponential",
         "DLMF 4.35", _APART),
    Rule("exp-apart", exp(u) - exp(v), tanh((u - v) / 2) * (exp(u) + exp(v)),
         "stabilize", "no difference of near equals, nor of two infinities", "exponential", "DLMF 4.35", _APART),
    Rule("tanh-softplus", tanh(softplus(u)), sigmoid(u) * (1 + sigmoid(-u)) / (1 + sigmoid(-u) ** 2),
         "stabilize", "sigmoids of one argument only", "exponential", "arXiv:1908.08681"),
    Rule("sech2-softplus", sech2(softplus(u)), 4 * sigmoid(-u) ** 2 / (1 + sigmoid(-u) ** 2) ** 2,
         "stabilize", "the tail's rounding is not magnified", "exponential", "arXiv:1908.08681"),
    Rule("cosh-minus-one", sp.cosh(u) - 1, 2 * sp.sinh(u / 2) ** 2,
         "stabilize", "no cancellation at 0", "exponential", "DLMF 4.35"),
    Rule("sech-lower", 1 / sp.cosh(u), 2 * exp(-Abs(u)) * sigmoid(2 * Abs(u)),
         "stabilize", "no lost tail where the hyperbolic cosine overflows", "sides", "DLMF 4.28"),
    Rule("log-sinh", log(a * sp.sinh(u)), u + log1mexp(2 * u) + log(a / 2),
         "stabilize", "no overflow of the hyperbolic sine", "exponentiate", "Maechler 2012",
         ((a, "positive"), (u, "positive"))),
    Rule("log-cosh", log(a * sp.cosh(u)), Abs(u) + softplus(-2 * Abs(u)) + log(a / 2),
         "stabilize", "no overflow of the hyperbolic cosine", "sides", "DLMF 4.28", _POSITIVE_FACTOR),
)

UNFOLD = (
    Rule("log-cosh-near", u + softplus(-2 * u) - log(2), log1p(2 * sp.sinh(u / 2) ** 2),
         "unfold", "no cancellation at 0, before the hyperbolic sine overflows", "exponentiate", "DLMF 4.35"),
)
