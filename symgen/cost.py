"""What a graph costs: its distinct operations, weighted by about how long vector code takes for each.

All segments of a form are computed for every element and selected from, so that the cost of a form is that of the
distinct nodes of its whole graph, whichever segment an element falls into.
"""

from __future__ import annotations

from collections.abc import Iterable

from symgen.kernel import Node, topological

# relative to one addition; what costs nothing folds into its user
WEIGHTS: dict[str, float] = {
    "const": 0.0, "var": 0.0, "neg": 0.5, "abs": 0.5, "copysign": 1.0,
    "add": 1.0, "sub": 1.0, "mul": 1.0, "fma": 1.0, "select": 1.0,
    "lt": 1.0, "le": 1.0, "eq": 1.0, "ne": 1.0, "and": 0.5, "or": 0.5, "not": 0.5,
    "div": 10.0, "sqrt": 10.0, "call": 20.0,
}  # fmt: skip


def weights(results: Iterable[Node]) -> dict[int, float]:
    """The weight of every node that the results need, by identity, so that costs of unions can be summed."""
    return {id(n): WEIGHTS[n.op] for n in topological(results)}


def cost(results: Iterable[Node]) -> float:
    """The cost of a graph.

    Example:
        >>> from symgen.kernel import const, var
        >>> x = var("x")
        >>> cost([x * x + const(1.0) / (x * x)])
        12.0
    """
    return sum(weights(results).values())
