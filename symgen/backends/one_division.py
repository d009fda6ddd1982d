"""Brings what float32 results are computed from over one division, which takes vector code as long as ten products.

Quotients are carried as a numerator and the factors of a denominator until something else than arithmetic needs them.
That rounds a few times more, in float64, of which a float32 shows nothing; it is done where bounds tell that no
denominator leaves a moderate range, and where what it costs in products is less than the divisions that it saves.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from functools import reduce

from symgen.backends.bounds import Interval, bounds
from symgen.cost import cost
from symgen.kernel import Node, const, fma, node, select, topological

MODERATE = 2.0**60  # of a denominator and of its inverse: what it multiplies stays far from the ends of float64
ONE = const(1.0)

Factors = Counter[Node]
Fraction = tuple[Node, Factors]  # a numerator, and the factors of a denominator


def once_divided(results: Sequence[Node]) -> tuple[Node, ...]:
    """The same numbers to a few roundings of float64, with fewer divisions where that is cheaper.

    Args:
        results: of a graph whose variables are float32 and whose results are rounded to it.

    Example:
        >>> from symgen.kernel import call, var
        >>> x, e = var("x"), call("exp", -abs(var("x")))
        >>> q = e / (e + 1.0)
        >>> [n.op for n in topological(once_divided([x * q / (q * q + 1.0)]))].count("div")
        1
    """
    walk = _Walk(bounds(results))
    for n in topological(results):
        walk.visit(n)
    found = walk.together([walk.fractions[r] for r in results])
    return found if cost(found) < cost(results) else tuple(results)


def _product(first: Node, factors: Factors) -> Node:
    return reduce(lambda a, b: b if a is ONE else a * b, factors.elements(), first)


class _Walk:
    """The nodes of a graph as fractions, and as numbers where these are needed."""

    def __init__(self, known: Mapping[Node, Interval]) -> None:
        self.known = known
        self.fractions: dict[Node, Fraction] = {}
        self.numbers: dict[Node, Node] = {}
        self.within: dict[Node, Interval] = {}  # of factors of denominators; those that are kept are positive

    def visit(self, n: Node) -> None:
        """Find the fraction of a node whose arguments are known."""
        rule = getattr(self, f"_{n.op}", None)
        found = rule(n, *(self.fractions[a] for a in n.args)) if rule is not None else None
        if found is None:
            made = tuple(self.whole(a) for a in n.args)
            found = (n if made == n.args else node(n.op, *made, value=n.value)), Factors()
        self.fractions[n] = found

    def whole(self, n: Node) -> Node:
        """A node as a number."""
        if n not in self.numbers:
            top, bottom = self.fractions[n]
            self.numbers[n] = top / _product(ONE, bottom) if bottom else top
        return self.numbers[n]

    def together(self, fractions: Sequence[Fraction]) -> tuple[Node, ...]:
        """Results by one inverse where that of several is moderate, else by a division each."""
        every = reduce(lambda a, b: a | b, (bottom for _, bottom in fractions))
        if not every:
            return tuple(top for top, _ in fractions)
        if len(fractions) == 1 or not self._is_moderate(every):
            return tuple(top / _product(ONE, bottom) if bottom else top for top, bottom in fractions)
        inverse = ONE / _product(ONE, every)
        return tuple(_product(top, every - bottom) * inverse if bottom else top for top, bottom in fractions)

    def _is_moderate(self, factors: Factors) -> bool:
        low, high = self._bounds(factors)
        return low >= 1 / MODERATE and high <= MODERATE

    def _bounds(self, factors: Factors) -> Interval:
        ends = [self.within[f] for f in factors.elements()]
        return math.prod(low for low, _ in ends), math.prod(high for _, high in ends)

    def _kept(self, top: Node, bottom: Factors) -> Fraction | None:
        return (top, bottom) if self._is_moderate(bottom) else None

    def _div(self, n: Node, a: Fraction, b: Fraction) -> Fraction | None:
        low, high = self.known[n.args[1]]
        (top, bottom), (divisor, under) = a, b
        if divisor.op == "const":
            moderate = not under and 1 / MODERATE <= abs(divisor.value) <= MODERATE
            return (top * const(1 / divisor.value), bottom) if moderate else None
        least, most = self._bounds(under)
        self.within.setdefault(divisor, (low * least, high * most))
        common = bottom & under
        return self._kept(_product(top, under - common), bottom - common + Factors([divisor]))

    def _mul(self, _: Node, a: Fraction, b: Fraction) -> Fraction | None:
        return self._kept(_times(a[0], b[0]), a[1] + b[1])

    def _neg(self, _: Node, a: Fraction) -> Fraction:
        return node("neg", a[0]), a[1]

    def _add(self, _: Node, a: Fraction, b: Fraction) -> Fraction | None:
        (first, second), every = self._alike(a, b)
        return self._kept(first + second, every)

    def _sub(self, _: Node, a: Fraction, b: Fraction) -> Fraction | None:
        (first, second), every = self._alike(a, b)
        return self._kept(first - second, every)

    def _fma(self, _: Node, a: Fraction, b: Fraction, c: Fraction) -> Fraction | None:
        if not (a[1] or b[1] or c[1]):
            return fma(a[0], b[0], c[0]), Factors()
        product = self._kept(a[0] * b[0], a[1] + b[1])
        return product and self._add(product[0], product, c)

    def _select(self, n: Node, _: Fraction, a: Fraction, b: Fraction) -> Fraction | None:
        return (select(self.whole(n.args[0]), a[0], b[0]), a[1]) if a[1] == b[1] else None

    def _alike(self, *fractions: Fraction) -> tuple[Iterable[Node], Factors]:
        """Numerators over one denominator, and its factors."""
        every = reduce(lambda a, b: a | b, (bottom for _, bottom in fractions))
        return (_product(top, every - bottom) for top, bottom in fractions), every


def _times(a: Node, b: Node) -> Node:
    return b if a is ONE else a if b is ONE else a * b
