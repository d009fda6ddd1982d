"""Spares float32 graphs for a GPU instructions that make no result worse: one for a product and a sum, none for guards.

A product that one sum alone needs is rounded with it: error terms of a product need the product itself, too, so that
none of them is of such a product. Sums of two products stay as they are, for equal ones have to cancel. A guard asks
whether what a number is missing is itself a number; it goes where bounds tell that it is, whatever finite or infinite
numbers the operands are, and where an operand that is NaN makes the number NaN anyway.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Mapping, Sequence

import numpy as np

from symgen.backends.bounds import Interval, bounds
from symgen.kernel import Node, const, fma, node, select, topological

LARGEST, SMALLEST = 2.0**126, 2.0**-120  # with room for rounding and for a sum of two, from what float32 holds
INFINITE = const(np.inf)
TOTAL = frozenset({"exp", "expm1", "erf", "erfc", "tanh", "atan", "asinh"})  # functions that have no NaN of numbers
CARRYING = frozenset({"add", "sub", "mul", "div", "fma", "neg", "abs", "sqrt", "inverse", "call"})  # NaN comes through

Known = Mapping[Node, Interval]


def fused(results: Sequence[Node]) -> tuple[Node, ...]:
    """The results with products and sums in one operation, where nothing else needs the product.

    Example:
        >>> from symgen.kernel import var
        >>> [n.op for n in topological(fused([var("x") * var("y") + var("z")]))]
        ['var', 'var', 'var', 'fma']
    """
    order = topological(results)
    uses = Counter([a for n in order for a in n.args] + list(results))
    made: dict[Node, Node] = {}

    def factors(n: Node) -> tuple[Node, Node] | None:
        """Of a product that has no other use, perhaps with the other sign."""
        if uses[n] != 1:
            return None
        if n.op == "mul":
            return made[n.args[0]], made[n.args[1]]
        inner = factors(n.args[0]) if n.op == "neg" else None
        return inner and (_negative(inner[0]), inner[1])

    for n in order:
        args = [made[a] for a in n.args]
        made[n] = n if args == list(n.args) else node(n.op, *args, value=n.value)
        if n.op in ("add", "sub"):
            first, second = map(factors, n.args)
            if all(map(_is_product, n.args)):
                continue  # which may be equal, and have to cancel then
            if second is not None:
                a, b = second
                made[n] = fma(_negative(a) if n.op == "sub" else a, b, args[0])
            elif first is not None:
                made[n] = fma(*first, _negative(args[1]) if n.op == "sub" else args[1])
    return tuple(made[r] for r in results)


def _is_product(n: Node) -> bool:
    return n.op == "mul" or (n.op == "neg" and _is_product(n.args[0]))


def _negative(n: Node) -> Node:
    return n.args[0] if n.op == "neg" else const(-n.value) if n.op == "const" else node("neg", n)


def unguarded(results: Sequence[Node], given: Known | None = None) -> tuple[Node, ...]:
    """The results without guards that always hold; others ask for the size of a number and not for its difference.

    Args:
        results: Of a graph in float32.
        given: Intervals of some of its nodes.
    """
    order, known = topological(results), bounds(results, given)
    numbers, within, carried = _defined(order, known), _variables(order), _carried(order)
    made: dict[Node, Node] = {}

    def always(condition: Node, otherwise: Node) -> bool:
        of = _asked(condition)
        return of in numbers and of is not None and _finite(known[of]) and within[of] <= carried[otherwise]

    for n in order:
        args = tuple(made[a] for a in n.args)
        asked = _asked(n)
        if asked is not None:
            made[n] = node("lt", _size(made[asked]), INFINITE)
        elif n.op == "select" and always(n.args[0], n.args[2]):
            made[n] = args[1]
        else:
            made[n] = select(*args) if n.op == "select" else n if args == n.args else node(n.op, *args, value=n.value)
    return tuple(made[r] for r in results)


def _asked(n: Node) -> Node | None:
    """The number of which a condition asks whether it is one: ``a - a == 0``."""
    if n.op != "eq" or n.args[1].op != "const" or n.args[1].value != 0:
        return None
    difference = n.args[0]
    return difference.args[0] if difference.op == "sub" and difference.args[0] is difference.args[1] else None


def _size(n: Node) -> Node:
    return n if n.op == "abs" else node("abs", n.args[0] if n.op == "neg" else n)


def _finite(a: Interval) -> bool:
    return a[0] >= -LARGEST and a[1] <= LARGEST


def _apart(a: Interval) -> bool:
    """Whether no number of an interval is zero, or becomes it."""
    return a[0] >= SMALLEST or a[1] <= -SMALLEST


def _defined(order: Sequence[Node], known: Known) -> Collection[Node]:
    """The nodes that are no NaN unless a variable is."""
    found: set[Node] = set()
    for n in order:
        numbers = n.args[1:] if n.op == "select" else n.args
        if found.issuperset(numbers) and _gives_numbers(n, [known[a] for a in numbers]):
            found.add(n)
    return found


def _gives_numbers(n: Node, at: Sequence[Interval]) -> bool:
    """Whether an operation on numbers of some intervals is a number or infinite."""
    if n.op in ("var", "neg", "abs", "copysign", "select", "inverse"):
        return True
    if n.op == "const":
        return not np.isnan(n.value)
    if n.op in ("add", "sub"):
        return _finite(at[0]) or _finite(at[1])
    if n.op == "mul":
        return _multiplies(*at)
    if n.op == "fma":
        a, b, c = at
        return _multiplies(a, b) and (_finite(c) or (_finite(a) and _finite(b) and _finite(_product(a, b))))
    if n.op == "div":
        return _apart(at[1]) and (_finite(at[0]) or _finite(at[1]))
    if n.op == "sqrt":
        return at[0][0] >= 0
    if n.op == "call":
        name = re.sub("_(?:short|medium|unit|fine)$", "", str(n.value))
        return name in TOTAL or (name == "log1p" and at[0][0] >= 0)
    return False


def _multiplies(a: Interval, b: Interval) -> bool:
    return (_finite(a) or _apart(b)) and (_finite(b) or _apart(a))


def _product(a: Interval, b: Interval) -> Interval:
    ends = [x * y for x in a for y in b]
    return min(ends), max(ends)


def _variables(order: Sequence[Node]) -> dict[Node, frozenset[Node]]:
    """The variables that each node is computed from."""
    found: dict[Node, frozenset[Node]] = {}
    for n in order:
        found[n] = frozenset([n]) if n.op == "var" else frozenset().union(*(found[a] for a in n.args))
    return found


def _carried(order: Sequence[Node]) -> dict[Node, frozenset[Node]]:
    """The variables each of which makes a node NaN where it is."""
    found: dict[Node, frozenset[Node]] = {}
    for n in order:
        if n.op == "select":
            found[n] = found[n.args[1]] & found[n.args[2]]
        elif n.op == "var":
            found[n] = frozenset([n])
        else:
            found[n] = frozenset().union(*(found[a] for a in n.args)) if n.op in CARRYING else frozenset()
    return found
