"""Rules of the error functions: complements, scaled tails, and logarithms of tails."""

from __future__ import annotations

import sympy as sp
from sympy import exp, log

from symgen.rules.rule import Rule, a, u
from symgen.vocabulary import erf, erfc, erfcx, log_half_erfc

_POSITIVE_FACTOR = ((a, "positive"),)
_ONE_SIGN = ((u, "written without minus"),)
_RIGHT = ((u, "nonnegative"),)
_LEFT = ((u, "nonpositive"),)

RECOGNIZE = (
    Rule("erf-name", sp.erf(u), erf(u), "recognize", "a head that SymPy does not evaluate", source="R30"),
    Rule("erfc-name", sp.erfc(u), erfc(u), "recognize", "a head that SymPy does not evaluate", source="R30"),
    Rule("erf-odd", erf(-u), -erf(u), "recognize", "one spelling", source="parity", domain=_ONE_SIGN),
    Rule("erf-plus-one", 1 + erf(u), erfc(-u), "recognize", "no cancellation where erf is near -1", source="R30"),
    Rule("erf-minus-one", 1 - erf(u), erfc(u), "recognize", "no cancellation where erf is near 1", source="R30"),
    Rule("erfc-complement", 2 - erfc(u), erfc(-u), "recognize", "no cancellation where erfc is near 2", source="R30"),
    Rule("log-erfc-intro", log(a * erfc(u)), log(2 * a) + log_half_erfc(u), "recognize", "no logarithm of an underflow", "exponentiate", "R35", _POSITIVE_FACTOR),
    Rule("erfcx-intro", exp(u**2) * erfc(u), erfcx(u), "recognize", "no overflowing times an underflowing factor", source="R31"),
)

STABILIZE = (
    Rule("gaussian-tail-ratio", exp(-(u**2)) / erfc(u), 1 / erfcx(u), "stabilize", "no quotient of two underflows", source="R31", domain=_RIGHT),
    Rule("scaled-tail-left", 1 / erfcx(u), exp(-(u**2)) / erfc(u), "stabilize", "no overflow of erfcx on the left", source="R31", domain=_LEFT),
)
