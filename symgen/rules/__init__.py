"""The rules: every family's, in one table that proofs, listings and the stabiliser share."""

from __future__ import annotations

from symgen.rules import circular, exponential, gaussian, hyperbolic, logistic, powers, products, roots
from symgen.rules.rule import Procedure, Rule, Step

_FAMILIES = (logistic, hyperbolic, gaussian, exponential, roots, powers, circular)

RECOGNIZE: tuple[Rule, ...] = tuple(r for family in _FAMILIES for r in family.RECOGNIZE)
STABILIZE: tuple[Rule, ...] = tuple(r for family in _FAMILIES for r in family.STABILIZE)
PROCEDURES: tuple[Procedure, ...] = (*products.STABILIZE, *powers.PROCEDURES)
UNFOLD: tuple[Rule | Procedure, ...] = (*logistic.UNFOLD, *hyperbolic.UNFOLD, *exponential.UNFOLD, *powers.UNFOLD)
NARROW: tuple[Rule, ...] = logistic.NARROW  # where exponentials leave the range soon, as in float32 arithmetic
ROOTS = roots.RECOGNIZE  # for normal forms too, which write a root out again
ALL_RULES: tuple[Rule | Procedure, ...] = (*RECOGNIZE, *STABILIZE, *PROCEDURES, *UNFOLD, *NARROW)

__all__ = [
    "ALL_RULES", "NARROW", "PROCEDURES", "RECOGNIZE", "ROOTS", "STABILIZE", "UNFOLD", "Procedure", "Rule", "Step",
]  # fmt: skip
