"""Rewrites float32 graphs for a GPU, where an elementary function is some thirty instructions and a division a dozen.

What is the same but for signs is computed once, what bounds decide not at all, and a function that both arms of a
selection call is called once, of the argument that is selected. All of this leaves every bit as it is.

A division that is rounded to the last bit takes a dozen instructions and its own reciprocal. What a compensated
quotient is missing is added to it anyway, so two units are enough for it, and for what it is missing; a plain quotient
needs one step of Newton's. Both need a denominator of moderate size, which is known of sums like 1 + exp(-abs(x)).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from symgen.backends.bounds import Interval, bounds
from symgen.backends.device_fused import fused, unguarded
from symgen.kernel import Node, const, fma, node, select, topological

MODERATE = 2.0**64  # of a size up to this, and down to its inverse, products and reciprocals stay normal
Known = Mapping[Node, Interval]
SUMS = ("add", "sub", "neg")
DEAR = ("call", "div", "sqrt", "inverse")
FINER = {"exp": ("exp_fine",), "log": ("log_fine", "log_sum"), "log1p": ("log1p_sum",)}  # which tell what they lose


def quick(results: Sequence[Node], given: Known | None = None, alike: bool = False) -> tuple[Node, ...]:
    """The same results with less work; quotients are right to two units where what they are missing is added to them.

    Args:
        results: Of a graph in float32.
        given: Intervals of some of its nodes.
        alike: Whether sums stay as they are, since what is computed by two ways has to cancel to the last bit.
    """
    found = unguarded(joined(near(plain(results, given), given)), given)
    return found if alike else fused(found)


def plain(results: Sequence[Node], given: Known | None = None) -> tuple[Node, ...]:
    """The results without what makes no difference: signs that cancel, and selections that are known."""
    return _decided(_signs(_finest(results)), given)


def usual(results: Sequence[Node]) -> tuple[Node, ...]:
    """The results with elementary functions as good as float64 needs: more is dear on a GPU."""

    def change(n: Node, args: tuple[Node, ...]) -> Node:
        return node(n.op, *args, value=n.value.replace("_fine", "")) if n.op == "call" else _same(n, args)

    return _rebuilt(results, change)


def _rebuilt(results: Sequence[Node], change: Callable[[Node, tuple[Node, ...]], Node]) -> tuple[Node, ...]:
    """The results, each node made again of its new arguments."""
    made: dict[Node, Node] = {}
    for n in topological(results):
        made[n] = change(n, tuple(made[a] for a in n.args))
    return tuple(made[r] for r in results)


def _same(n: Node, args: tuple[Node, ...]) -> Node:
    return n if args == n.args else node(n.op, *args, value=n.value)


def _signs(results: Sequence[Node]) -> tuple[Node, ...]:
    """Factors without signs that cancel, and no factors of one: what differs in these alone is computed once."""

    def change(n: Node, args: tuple[Node, ...]) -> Node:
        if n.op not in ("mul", "fma"):
            return _same(n, args)
        a, b, *rest = args
        while (a is b and a.op in ("neg", "abs")) or a.op == b.op == "neg":
            a, b = a.args[0], b.args[0]
        if n.op == "mul" and any(f.op == "const" and f.value == 1.0 for f in (a, b)):
            return a if b.op == "const" and b.value == 1.0 else b
        return _same(n, (a, b, *rest))

    return _rebuilt(results, change)


def _finest(results: Sequence[Node]) -> tuple[Node, ...]:
    """What is called with all that it loses is called for that alone, too: the other function is one call more."""
    fine = {(n.value, n.args) for n in topological(results) if n.op == "call" and n.value.endswith("_fine")}

    def change(n: Node, args: tuple[Node, ...]) -> Node:
        known = n.op == "call" and (f"{n.value}_fine", n.args) in fine
        return node("call", *args, value=f"{n.value}_fine") if known else _same(n, args)

    return _rebuilt(results, change)


def _decided(results: Sequence[Node], given: Known | None) -> tuple[Node, ...]:
    """No selections by a condition that never holds, and none inside an arm of another one by the same condition."""
    known = bounds(results, given)

    def never(n: Node) -> bool:
        if n.op in ("and", "or"):
            return (any if n.op == "and" else all)(map(never, n.args))
        if n.op not in ("lt", "le", "eq"):
            return False
        (low, high), (least, most) = (known[a] for a in n.args)
        return low > most or (n.op == "lt" and low == most) or (n.op == "eq" and high < least)

    def change(n: Node, args: tuple[Node, ...]) -> Node:
        if n.op != "select":
            return _same(n, args)
        condition, *arms = args
        if never(n.args[0]):
            return arms[1]
        for k in range(2):
            while arms[k].op == "select" and arms[k].args[0] is condition:
                arms[k] = arms[k].args[1 + k]
        return select(condition, *arms)

    return _rebuilt(results, change)


def joined(results: tuple[Node, ...]) -> tuple[Node, ...]:
    """One call of a function where the arms of selections by a condition need one each, of the finer one of two."""
    while found := next(_pairs(results), None):
        condition, first, second, name = found
        count = max(len(first.args), len(second.args))
        given = [(*n.args, *[const(0.0)] * (count - len(n.args))) for n in (first, second)]
        arguments = tuple(select(condition, a, b) for a, b in zip(*given, strict=True))
        made = {n: node(n.op, *arguments, value=name) for n in (first, second)}
        made |= {low: node("call", *arguments, value=low.value) for n in made if (low := _low(n)) and n.value == name}
        results = _replaced(results, made)
    return results


def _replaced(results: Sequence[Node], by: Mapping[Node, Node]) -> tuple[Node, ...]:
    return _rebuilt(results, lambda n, args: by[n] if n in by else _same(n, args))


def _low(n: Node) -> Node | None:
    """What a call is missing."""
    return node("call", *n.args, value=f"{n.value}_low") if n.op == "call" else None


def _pairs(results: Sequence[Node]) -> Iterator[tuple[Any, ...]]:
    """Conditions, and two calls of one function of which the first is needed where it holds, the second elsewhere.

    And the function's name: of two that differ in what they tell, that of the finer one. What either is missing nobody
    else may ask.
    """
    order = topological(results)
    for condition in dict.fromkeys(n.args[0] for n in order if n.op == "select"):
        needed = [_needed(results, condition, k) for k in (1, 2)]
        arms = [[n for n in order if n.op in DEAR and n not in some] for some in needed]
        for first in arms[0]:
            below = topological(first.args)
            for second in arms[1]:
                name = _common(first, second)
                apart = second not in {first, *below} and first not in topological(second.args)
                alone = all(_low(n) not in some for n, some in zip((first, second), needed, strict=True))
                if name and apart and alone and first not in arms[1] and second not in arms[0]:
                    yield condition, first, second, *name


def _common(first: Node, second: Node) -> tuple[Any, ...]:
    """The value of the node that can stand for both; nothing where there is none."""
    if first.op == second.op:
        if first.value == second.value:
            return (first.value,)
        for less, more in ((first.value, second.value), (second.value, first.value)):
            if more in FINER.get(less, ()):
                return (more,)
    return ()


def _needed(results: Sequence[Node], condition: Node, arm: int) -> set[Node]:
    """What the results need but for an arm of the selections by a condition."""
    seen: set[Node] = set()
    stack = list(results)
    while stack:
        n = stack.pop()
        if n not in seen:
            seen.add(n)
            own = n.op == "select" and n.args[0] is condition
            stack += [a for k, a in enumerate(n.args) if not own or k != arm]
    return seen


def near(results: Sequence[Node], given: Known | None = None) -> tuple[Node, ...]:
    """Divisions by reciprocals, where what that changes is made up for."""
    exact = {n for n in topological(results) if n.op == "fma" and _is_rest(n)}  # what a quotient or a root is missing
    ample = {n.args[0].args[0] for n in exact} - set(_bare(results, exact))
    known = _factors(results, given or {})

    def change(n: Node, args: tuple[Node, ...]) -> Node:
        if n.op != "div":
            return _same(n, args)
        above, below = known[n]
        moderate = _within(below)
        if _reaches(n.args[0], exact) or (moderate and n in ample):
            return _times_inverse(*args)
        if moderate and _within((1.0, max(map(abs, above)))):
            first = _times_inverse(*args)
            return fma(fma(-first, args[1], args[0]), _inverse(args[1]), first)
        return _same(n, args)

    return _rebuilt(results, change)


def _bare(results: Sequence[Node], exact: Collection[Node]) -> Iterator[Node]:
    """The quotients that some result takes as they are, without what they are missing."""
    for result in results:
        within = set(topological([result]))
        yield from (n.args[0].args[0] for n in exact if n not in within and n.args[0].args[0] in within)


def _factors(results: Sequence[Node], given: Known) -> dict[Node, tuple[Interval, Interval]]:
    """Between which numbers both sides of each division lie, where its quotient is needed."""
    order, known = topological(results), bounds(results, given)
    divisions = [n for n in order if n.op == "div"]
    found = {n: (known[n.args[0]], known[n.args[1]]) for n in divisions}
    for condition in dict.fromkeys(n.args[0] for n in order if n.op == "select" and n.args[0].op == "lt"):
        number, least = condition.args
        if least.op == "const" and known[number][0] < least.value:
            # of divisions that only the other arm needs, what is less is nobody's concern
            needed = _needed(results, condition, 2)
            here = bounds(results, {**given, number: (least.value, max(least.value, known[number][1]))})
            found |= {n: (_both(a, here[n.args[0]]), _both(b, here[n.args[1]]))
                      for n, (a, b) in found.items() if n not in needed}  # fmt: skip
    return found


def _both(a: Interval, b: Interval) -> Interval:
    """What lies in both intervals; the second where none does, for then nothing is computed there."""
    low, high = max(a[0], b[0]), min(a[1], b[1])
    return (low, high) if low <= high else b


def _times_inverse(a: Node, b: Node) -> Node:
    return _inverse(b) if a.op == "const" and a.value == 1.0 else a * _inverse(b)


def _inverse(b: Node) -> Node:
    return const(float(1 / np.float32(b.value))) if b.op == "const" else node("inverse", b)


def _is_rest(n: Node) -> bool:
    """Whether it is ``a - q b`` of ``q = a / b``, or ``a - q q`` of the root q of a."""
    negative, b, a = n.args
    if negative.op != "neg":
        return False
    (q,) = negative.args
    return (q.op == "div" and q.args == (a, b)) or (q.op == "sqrt" and q is b and q.args == (a,))


def _reaches(n: Node, wanted: Collection[Node]) -> bool:
    """Whether a sum has a term among some nodes."""
    seen: set[Node] = set()
    stack = [n]
    while stack:
        term = stack.pop()
        if term in wanted:
            return True
        if term not in seen and term.op in SUMS:
            stack += term.args
        seen.add(term)
    return False


def _within(interval: Interval) -> bool:
    """Whether the numbers of an interval are of moderate size."""
    low, high = sorted(map(abs, interval))
    return interval[0] * interval[1] > 0 and low >= 1 / MODERATE and high <= MODERATE
