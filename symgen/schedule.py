"""From a form to the scalar function that backends print: segments become selects, and the ends of the line are kept.

A NaN comes out where one goes in, and minus zero keeps its sign where the function passes through zero there. Both are
tests on the finished graph, added only where the graph does not have the property already.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from symgen.arithmetic import ZERO, negative
from symgen.kernel import Node, ScalarFunction, const, node, select, var, verify


def finish(
    name: str,
    parameters: Sequence[str],
    x: str,
    result: Node,
    settings: Sequence[Mapping[str, float]],
    below_zero: float | None = None,
    limits: Sequence[tuple[str, float]] = (),
    others: Sequence[str] = (),
) -> ScalarFunction:
    """The scalar function of a graph, with the guards that it needs.

    Args:
        name: of the function, as the backend prints it.
        parameters: names in signature order, x among them.
        x: the operand whose NaN must come out again.
        result: the graph.
        settings: values of the other parameters to try the graph at.
        limits: the domain of x, as (relation, number); outside the result is NaN, for derivatives too.
        others: further tensor operands, whose NaN must come out again too.
        below_zero: where the value at zero is zero, the sign of the truth just below it, or 0.0 where the function is
            flat on both sides; None where nothing is known.
    """
    operand = var(x)
    sign = -1.0 if below_zero is not None and below_zero < 0 else 1.0
    if below_zero is not None and (np.copysign(1.0, _at(parameters, x, result, settings, -0.0)) != sign).any():
        passed = ZERO if below_zero == 0 else operand if below_zero < 0 else negative(operand)
        result = select(node("eq", operand, ZERO), passed, result)
    for relation, end in limits:
        # the end itself stays: there the result is the limit from inside
        if relation in (">", ">="):
            result = select(node("le", const(end), operand), result, const(math.nan))
        elif relation in ("<", "<="):
            result = select(node("le", operand, const(end)), result, const(math.nan))
    tried = [{x: at, **s} for at in (1.5, -1.5) for s in settings]  # what one branch reads the other may not
    for name_of in (x, *others):
        if not np.isnan(_at(parameters, name_of, result, tried, math.nan)).all():
            result = select(node("ne", var(name_of), var(name_of)), var(name_of), result)
    return verify(ScalarFunction(name, tuple(parameters), (result,)))


def with_sign_of_zero(
    parameters: Sequence[str], x: str, result: Node, plain: Node, settings: Sequence[Mapping[str, float]]
) -> Node:
    """At zero what the formula gives in plain arithmetic, if the graph has that zero with another sign at -0.0.

    A pair loses the sign of a zero to its low part; where parameters turn the function over, no one sign replaces it.
    """
    ours, theirs = (_at(parameters, x, node_, settings, -0.0) for node_ in (result, plain))
    turned = (ours == 0) & (theirs == 0) & (np.signbit(ours) != np.signbit(theirs))
    return select(node("eq", var(x), ZERO), plain, result) if turned.any() else result


def _at(
    parameters: Sequence[str], x: str, result: Node, settings: Sequence[Mapping[str, float]], value: float
) -> npt.NDArray[np.float64]:
    """The graph at one value of x, for each setting of the others."""
    function = ScalarFunction("probe", tuple(parameters), (result,))
    return function.evaluate([np.array([value if p == x else s[p] for s in settings]) for p in parameters])[0]
