"""What a node is made of: the parts that rules may rewrite, and the functions that a pattern needs to find in it."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import sympy as sp
from sympy import Expr

from symgen.heads import Cases


def operands(e: Expr) -> tuple[Expr, ...]:
    """The parts of a node that rules may rewrite; a condition is left as the spec wrote it."""
    parts: tuple[Expr, ...] = e.args
    return parts[1:] if isinstance(e, Cases) else parts


def kinds_of(parts: Sequence[Expr]) -> frozenset[type[Expr]]:
    """The functions among the parts, and whether there is a root or a general power: a pattern needs all of its own."""
    found = {type(n) for n in parts if isinstance(n, sp.Function)}
    return frozenset(found | {sp.Pow for n in parts if n.is_Pow and not n.exp.is_Integer})


@lru_cache(maxsize=65536)
def inside(e: Expr) -> frozenset[type[Expr]]:
    """The same of one node and all in it; a bare e is an exponential."""
    own = kinds_of([e]) | ({sp.exp} if e is sp.E else frozenset())
    return own.union(*map(inside, operands(e)))
