"""Rules of the error functions: complements, scaled tails, and logarithms of tails."""

from __future__ import annotations

import sympy as sp
from sympy import exp, log

from symgen.rules.rule import Rule, a, u
from symgen.vocabulary import erf, erfc, erfcx, log_half_erfc

_POSITIVE_FACTOR = ((a, "positive"),)

RECOGNIZE = (
    Rule("erf-name", sp.erf(u), erf(u),
         "recognize", "a head that SymPy does not evaluate", "exponential", "DLMF 7.2"),
    Rule("erfc-name", sp.erfc(u), erfc(u),
         "recognize", "a head that SymPy does not evaluate", "exponential", "DLMF 7.2"),
    Rule("erf-plus-one", 1 + erf(u), erfc(-u),
         "recognize", "no cancellation where erf is near -1", "exponential", "PyTensor, local_one_plus_erf"),
    Rule("erf-minus-one", 1 - erf(u), erfc(u),
         "recognize", "no cancellation where erf is near 1", "exponential", "DLMF 7.2"),
    Rule("erfc-complement", 2 - erfc(u), erfc(-u),
         "recognize", "no cancellation where erfc is near 2", "exponential", "DLMF 7.4"),
    Rule("log-erfc-intro", log(a * erfc(u)), log(2 * a) + log_half_erfc(u),
         "recognize", "no logarithm of an underflow", "exponentiate", "SciPy, log_ndtr", _POSITIVE_FACTOR),
    Rule("erfcx-intro", exp(u**2) * erfc(u), erfcx(u),
         "recognize", "no overflowing times an underflowing factor", "exponential", "Cody 1969"),
)

STABILIZE = (
    Rule("gaussian-tail-ratio", exp(-(u**2)) / erfc(u), 1 / erfcx(u),
         "stabilize", "no quotient of two underflows", "exponential", "Cody 1969"),
)
