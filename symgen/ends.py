"""What is read off the truth beside a function's formula: its values where an operand is infinite, its sign at zero."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from symgen.kernel import Node, ScalarFunction, const, node, select, var
from symgen.stabilize.probe import Probe

MIDDLE = np.array([-1.5, 0.25, 3.0])  # where a function is asked what it is where another operand is infinite


@dataclass(frozen=True)
class End:
    """What a function is where an operand beside its variable is infinite."""

    name: str
    at: float
    value: float
    middle: tuple[float, ...]  # values of the variable where that was seen

    def kept(self, graph: Node, parameters: tuple[str, ...], x: str, settings: Iterable[Mapping[str, float]]) -> Node:
        """The graph, with a selection where it gives NaN there: infinity less infinity, or over itself."""
        tried = [{**s, x: v, self.name: self.at} for s in settings for v in self.middle]
        function = ScalarFunction("probe", parameters, (graph,))
        (found,) = function.evaluate([np.array([s[p] for s in tried]) for p in parameters])
        if not np.isnan(found).any():
            return graph
        return select(node("eq", var(self.name), const(self.at)), const(self.value), graph)


NEAR = 30  # probe points beside zero that tell how a function passes through it


def below_zero(probe: Probe) -> float | None:
    """How a function that is zero at zero gets there: its sign just below, or 0.0 where it is flat on both sides.

    None where the settings disagree, or where only one side is flat: then the code's own answer stands.
    """
    i = int(np.searchsorted(probe.x, 0.0))
    if i == 0 or i >= probe.x.size or probe.x[i] != 0 or np.any(probe.high[:, i] != 0):
        return None
    signs = set()
    for row in probe.high:
        sides = row[max(i - NEAR, 0) : i], row[i + 1 : i + 1 + NEAR]
        left, right = (np.sign(side[~np.isnan(side)]) for side in sides)
        below = {float(v) for v in left if v}
        signs.add(below.pop() if len(below) == 1 else math.nan if below or right.any() else 0.0)
    return signs.pop() if len(signs) == 1 and not any(map(math.isnan, signs)) else None
