"""What the piecewise heads mean, as lazy cases: one table, so that a kink has the same convention everywhere."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import sympy as sp
from sympy import Expr

from symgen import heads, vocabulary
from symgen.heads import Cases


def _relation(kind: type[sp.Rel], a: Expr, b: Any) -> Any:
    return kind(a, b, evaluate=False)


def _three_way(a: Expr, b: Any, above: Any, below: Any, tie: Any) -> Expr:
    return Cases(_relation(sp.Gt, a, b), above, Cases(_relation(sp.Lt, a, b), below, tie))


UNFOLD: dict[type[Expr], Callable[..., Expr]] = {
    sp.Abs: lambda u: _three_way(u, 0, u, -u, 0),
    sp.sign: lambda u: _three_way(u, 0, 1, -1, 0),
    heads.first_max: lambda a, b: Cases(_relation(sp.Ge, a, b), a, b),
    heads.first_min: lambda a, b: Cases(_relation(sp.Le, a, b), a, b),
    heads.maximum: lambda a, b: _three_way(a, b, a, b, (a + b) / 2),
    heads.minimum: lambda a, b: _three_way(a, b, b, a, (a + b) / 2),
    heads.weighted: lambda w, v: Cases(_relation(sp.Eq, w, 0), 0, w * v),
    vocabulary.hypot: lambda a, b: sp.Pow(a * a + b * b, sp.S.Half, evaluate=False),
}


def unfold(node: Expr) -> Expr:
    """A piecewise head as `Cases` (its outermost layer only); any other node as it is."""
    meaning = UNFOLD.get(type(node))
    return meaning(*node.args) if meaning else node


def decided(expression: Expr) -> Expr:
    """A formula without symbols as the number that it is: of each case distinction, the branch that applies.

    Example:
        >>> from sympy import Abs, Rational
        >>> decided(Abs(Rational(-1, 3)))
        1/3
    """
    node = unfold(expression)
    if isinstance(node, Cases):
        return decided(node.then if decided(node.condition) == sp.true else node.otherwise)
    return node.func(*map(decided, node.args)) if node.args else node


def switches(expression: Expr) -> Iterator[Expr]:
    """Expressions whose zeros are where a formula changes from one case to another, in a fixed order.

    Example:
        >>> from sympy import Symbol, Abs
        >>> list(switches(Abs(Symbol("x", real=True) - 1)))
        [x - 1]
    """
    seen: dict[Expr, None] = {}
    for node in sp.preorder_traversal(unfold(expression)):
        if type(node) in UNFOLD and type(node) is not vocabulary.hypot:
            seen.update(dict.fromkeys(switches(unfold(node))))
        if isinstance(node, sp.Rel):
            seen.setdefault(node.lhs - node.rhs)
    yield from seen
