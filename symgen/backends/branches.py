"""Chooses which selections of a graph become branches on a GPU, and what is computed under each of their arms.

A graph computes all arms of its selections, which is how vectors want it. The threads of a warp share their
instructions, too, but an arm that none of them takes costs nothing under a branch. So what only one arm needs goes
there if that is dear and typical operands seldom ask for it; the results stay the same to the last bit.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from statistics import NormalDist

import numpy as np

from symgen.kernel import Array, Node, ScalarFunction, topological

# Instructions of an operation, roughly; others are one, and what is folded into its user none.
COSTS = {"const": 0, "var": 0, "neg": 0, "abs": 0, "div": 12, "inverse": 6, "sqrt": 12, "call": 24}
BRANCH = 6  # and of a branch, and of where its arms meet
WARP = 32
POINTS, SPREAD = 1024, 3.0

Arms = tuple[frozenset[Node], frozenset[Node]]


def branches(function: ScalarFunction, held: Mapping[str, float]) -> dict[Node, Arms]:
    """The selections that save work as branches, each with the nodes that its first and its second arm alone need.

    Args:
        function: The graph.
        held: The parameters that are one number for all threads, with one that they may be; others are data.
    """
    order, found = topological(function.results), arms(function.results)
    dear = {s: parts for s, parts in found.items() if max(map(_cost, parts)) > BRANCH}
    if not dear:
        return {}
    chosen: dict[Node, Arms] = {}
    holds = dict(zip(dear, _conditions(function, list(dear), held), strict=True))
    for s in reversed(order):  # from the results on, so that it is known which threads get to a selection
        if s not in dear:
            continue
        here = np.ones(POINTS, bool)
        for outer, parts in chosen.items():
            for part, taken in zip(parts, (holds[outer], ~holds[outer]), strict=True):
                here &= taken | (s not in part)
        takers = (here & holds[s], here & ~holds[s])
        saved = sum(_cost(part) * _spared(taken) for part, taken in zip(dear[s], takers, strict=True))
        if saved > BRANCH * (1 - _spared(here)):
            chosen[s] = dear[s]
    return chosen


def arms(results: Sequence[Node]) -> dict[Node, Arms]:
    """The selections of a graph, each with the nodes that its first and its second arm alone need."""
    return {s: (_alone(results, s, 1), _alone(results, s, 2)) for s in topological(results) if s.op == "select"}


def _alone(results: Sequence[Node], selection: Node, place: int) -> frozenset[Node]:
    """What the results need through one arm of a selection and by no other way."""
    seen: set[Node] = set()
    stack = list(results)
    while stack:
        n = stack.pop()
        if n not in seen:
            seen.add(n)
            stack += n.args if n is not selection else (a for k, a in enumerate(n.args) if k != place)
    return frozenset(topological([selection.args[place]], seen))


def _cost(nodes: frozenset[Node]) -> int:
    return sum(COSTS.get(n.op, 1) for n in nodes)


def _spared(taken: Array) -> float:
    """How many warps have no thread that takes an arm, from the points that do."""
    return float(1.0 - taken.mean()) ** WARP


def _conditions(function: ScalarFunction, selections: Sequence[Node], held: Mapping[str, float]) -> Iterator[Array]:
    """Where the conditions of selections hold, for numbers as they are met: normal, of some spread."""
    values = [held.get(p, _spread(k)) for k, p in enumerate(function.parameters)]
    probe = ScalarFunction(function.name, function.parameters, tuple(s.args[0] for s in selections))
    return (np.broadcast_to(np.asarray(r) != 0, POINTS) for r in probe.evaluate(values, dtype=np.float32))


def _spread(k: int) -> Array:
    """The data of the k-th parameter: the quantiles of a normal distribution, in an order of its own."""
    root = 2.0 ** (1.0 / (k + 2)) if k else 0.5
    places = np.modf((np.arange(POINTS) + 0.5) * (root if k else 1.0 / POINTS))[0]
    return np.array([SPREAD * NormalDist().inv_cdf(min(max(p, 1e-6), 1 - 1e-6)) for p in places])
