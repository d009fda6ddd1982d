"""Naive text becomes vocabulary before calculus: ``1/(1+e^-u)`` is sigmoid(u), ``log(1+e^u)`` is softplus(u)."""

from __future__ import annotations

from sympy import Expr

from symgen.rules import PROCEDURES, RECOGNIZE, Step
from symgen.rules.engine import fixpoint, ordered

_MERGE = tuple(p for p in PROCEDURES if p.name == "exp-merge")
_RULES = (*_MERGE, *ordered(RECOGNIZE))


def recognize(expression: Expr) -> tuple[Expr, tuple[Step, ...]]:
    """Write a naive expression in the heads of the vocabulary.

    Branches of cases are recognised each for itself; conditions stay as the spec wrote them.

    Args:
        expression: a spec's value.

    Returns:
        The same function in heads, and the rules that were applied, in order.

    Example:
        >>> from sympy import Symbol, exp
        >>> x = Symbol("x", real=True)
        >>> recognize(x / (1 + exp(-x)))[0]
        x*sigmoid(x)
    """
    return fixpoint(_RULES, expression)
