"""What is computed before a selection, so that a compiler sees vector code where it would see branches."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from symgen.cost import of_call
from symgen.kernel import BRANCH_FREE, Node, topological

DEAR = 59.0  # operations, see `cost`: a logarithm in full


def dear_in_arms(results: Sequence[Node]) -> frozenset[Node]:
    """The dear calls that would stand in an arm of a selection when a graph is printed.

    A compiler takes an arm for code that runs half of the time, so that scalar code looks cheap to it beside vectors,
    which compute both arms: with a logarithm in one, LLVM gives up on the loop where vectors have four numbers. In
    front of the selection the call is like any other.
    """
    order = topological(results)
    uses = Counter(a for n in order for a in n.args) + Counter(results)
    found: set[Node] = set()
    for selection in order:
        nested = [a for a in selection.args[1:] if uses[a] == 1] if selection.op == "select" else []
        while nested:
            n = nested.pop()
            if n.op == "call" and n.value in BRANCH_FREE and of_call(n.value) >= DEAR:
                found.add(n)
            nested += [a for a in n.args if uses[a] == 1]
    return frozenset(found)
