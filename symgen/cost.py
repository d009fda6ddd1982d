"""What a graph costs: its distinct operations, weighted by about how long vector code takes for each.

All segments of a form are computed for every element and selected from, so that the cost of a form is that of the
distinct nodes of its whole graph, whichever segment an element falls into.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache

from symgen.elementary import graph_of
from symgen.kernel import BRANCH_FREE, Node, topological

# relative to one addition; what costs nothing folds into its user
WEIGHTS: dict[str, float] = {
    "const": 0.0, "var": 0.0, "neg": 0.5, "abs": 0.5, "copysign": 1.0,
    "add": 1.0, "sub": 1.0, "mul": 1.0, "fma": 1.0, "select": 1.0,
    "lt": 1.0, "le": 1.0, "eq": 1.0, "ne": 1.0, "and": 0.5, "or": 0.5, "not": 0.5,
    "div": 10.0, "sqrt": 10.0, "pow2": 1.0, "exponent": 2.0, "mantissa": 3.0,
}  # fmt: skip
SCALAR = 100.0  # a call of the C library, which keeps the whole loop from being vector code


def weights(results: Iterable[Node]) -> dict[Node, float]:
    """The weight of every node that the results need, so that costs of unions can be summed."""
    return {n: of_call(n.value) if n.op == "call" else WEIGHTS[n.op] for n in topological(results)}


@cache
def of_call(primitive: str) -> float:
    """The cost of a primitive's own graph; of a low part, what it costs beyond the rounded value."""
    if primitive not in BRANCH_FREE:
        return SCALAR
    results = graph_of(primitive).results
    if not primitive.endswith("_low"):
        return cost(results)
    high = graph_of(primitive.removesuffix("_low")).results
    return cost([*results, *high]) - cost(high)


def cost(results: Iterable[Node]) -> float:
    """The cost of a graph.

    Example:
        >>> from symgen.kernel import const, var
        >>> x = var("x")
        >>> cost([x * x + const(1.0) / (x * x)])
        12.0
    """
    return sum(weights(results).values())
