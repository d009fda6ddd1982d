"""What a definition says of an operand before anything is derived: the sign that its symbol has, and its range."""

from __future__ import annotations

import math

from sympy import Symbol

from symgen.spec import Argument
from symgen.spec.model import role_limits


def finite(argument: Argument) -> Symbol:
    """The symbol of an argument as a finite real with what its domain says of its sign."""
    limits = role_limits(argument.role)
    if any((o == ">" and v >= 0) or (o == ">=" and v > 0) for o, v in limits):
        return Symbol(argument.name, positive=True)
    if any(o == ">=" and v == 0 for o, v in limits):
        return Symbol(argument.name, nonnegative=True)
    if ("!=", 0) in limits:
        return Symbol(argument.name, real=True, nonzero=True)
    return Symbol(argument.name, real=True)


def domain(argument: Argument) -> tuple[float, float]:
    """The range of a tensor operand; an open end at a number is left out by one float."""
    low, high = -math.inf, math.inf
    for relation, value in role_limits(argument.role):
        if relation in (">", ">="):
            low = max(low, math.nextafter(float(value), math.inf) if relation == ">" else float(value))
        if relation in ("<", "<="):
            high = min(high, math.nextafter(float(value), -math.inf) if relation == "<" else float(value))
    return low, high
