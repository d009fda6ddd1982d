"""What is computed before a selection, so that a compiler sees vector code where it would see branches."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from symgen.cost import of_call
from symgen.kernel import BRANCH_FREE, Node, topological

DEAR = 59.0  # operations, see `cost`: a logarithm in full


def dear_in_arms(results: Sequence[Node], every: bool = False) -> frozenset[Node]:
    """The dear calls that would stand in an arm of a selection when a graph is printed.

    A compiler takes an arm for code that runs half of the time, so that scalar code looks cheap to it beside vectors,
    which compute both arms: with a logarithm in one, LLVM gives up on the loop where vectors have four numbers. In
    front of the selection the call is like any other.

    Args:
        results: of a graph.
        every: whether short and medium forms of such calls count too, if they are as dear together.
    """
    order = topological(results)
    uses = Counter(a for n in order for a in n.args) + Counter(results)
    found: set[Node] = set()
    for selection in order:
        nested = [a for a in selection.args[1:] if uses[a] == 1] if selection.op == "select" else []
        while nested:
            n = nested.pop()
            if n.op == "call" and n.value in BRANCH_FREE and of_call(_in_full(n.value)) >= DEAR:
                found.add(n)
            nested += [a for a in n.args if uses[a] == 1]
    whole = {n for n in found if of_call(n.value) >= DEAR}
    return frozenset(found if every and sum(of_call(n.value) for n in found) >= DEAR else whole)


def _in_full(primitive: str) -> str:
    """The full form of a short or a medium one."""
    return primitive.removesuffix("_short").removesuffix("_medium")
