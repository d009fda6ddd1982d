"""Directed rules make a value or a derivative computable: no overflow, no lost tail, no cancellation in a tail."""

from __future__ import annotations

from sympy import Expr

from symgen.rules import PROCEDURES, RECOGNIZE, STABILIZE, Step
from symgen.rules.engine import fixpoint, ordered

# merging and dividing through bring a head to one power before a rule replaces it
_FIRST = tuple(p for p in PROCEDURES if p.first)
_LAST = tuple(p for p in PROCEDURES if not p.first)
_RULES = (*_FIRST, *ordered((*RECOGNIZE, *STABILIZE)), *_LAST)


def rewrite(expression: Expr) -> tuple[Expr, tuple[Step, ...]]:
    """Rewrite a recognised value, or a derivative of one, into a form that floating point computes well.

    Some rules need the sign of their argument; they fire where SymPy knows it, so a caller that wants them passes one
    side of zero, in a positive symbol.

    Args:
        expression: heads of the vocabulary and SymPy nodes.

    Returns:
        The stable form, and the rules that were applied, in order.

    Example:
        >>> from sympy import Symbol
        >>> from symgen.vocabulary import sigmoid
        >>> x = Symbol("x", real=True)
        >>> rewrite(sigmoid(x) + x * sigmoid(x) * (1 - sigmoid(x)))[0]
        (x*sigmoid(-x) + 1)*sigmoid(x)
    """
    return fixpoint(_RULES, expression)
