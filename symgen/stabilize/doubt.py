"""Quick graphs for float32 results, and of each result whether that was enough: pairs are for those where it was not.

Where a root moves with another operand, two numbers cancel that float64 knows to 2^-53 each, and pairs keep right what
is left. But float32 results have 29 bits to lose before anybody can tell, and hardly any operands are that near a root.
So beside its result a quick graph computes what rounding has done to it at most: nothing that counts where it is known
relatively (see `relative`), else a few roundings of its *size*, the sum of what cancels in it. A result that is small
beside its size is in doubt, and so is one that is infinite or no number. Conditions are decided in pairs in any
arithmetic, and the arms of the selections in elementary code agree where they meet.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import reduce

import sympy as sp

from symgen import vocabulary
from symgen.arithmetic import ONE, ZERO, absolute
from symgen.kernel import Node, const, node, select, var
from symgen.stabilize.relative import ANYTHING, FUNCTIONS, UNKNOWN, Known, Range, either, power, product, total

ENOUGH = 2.0**20  # roundings of a float64: 2^-33 of a result, a five hundredth of a unit of float32
OWN = {"short": 2.0**18, "medium": 4.0, "": 2.0}  # roundings of an elementary function, by its form
OF_POWER = 2.0**11  # of a power: its logarithm, up to 700, is rounded

# of primitives, which head says where their values lie and what becomes of an error of the argument
HEADS: Mapping[str, type] = {
    "exp": sp.exp, "log": sp.log, "sinh": sp.sinh, "cosh": sp.cosh, "asinh": sp.asinh, "atan": sp.atan,
    "expm1": vocabulary.expm1, "log1p": vocabulary.log1p, "log1p_unit": vocabulary.log1p, "erf": vocabulary.erf,
    "erfcx": vocabulary.erfcx, "hypot": vocabulary.hypot,
}  # fmt: skip


class UnknownSizeError(Exception):
    """A graph holds what has no size here."""


@dataclass(frozen=True)
class Sized:
    """A node's relative error in roundings; where that is no number, `size` is the error itself, but for its own."""

    known: Known
    size: Node | None = None

    @property
    def relative(self) -> bool:
        return self.size is None


def doubt(result: Node, ranges: Mapping[str, Range], watched: Iterable[str] = ()) -> Node | None:
    """A number that is zero where enough of a result is left for a float32.

    Args:
        result: a graph without compensation.
        ranges: of its variables, which are exact.
        watched: variables of which an infinity is in doubt, too.

    Returns:
        None if something in it has no size here.

    Example:
        >>> from symgen.kernel import ScalarFunction, call, var
        >>> difference = call("exp_medium", var("x")) - var("t")
        >>> graph = ScalarFunction("doubt", ("x", "t"), (doubt(difference, {}),))
        >>> [float(graph.evaluate([0.0, t])[0]) for t in (0.5, 1 + 2.0**-23)]
        [0.0, 1.0]
    """
    try:
        found = _Sizes(ranges).doubt(result)
    except UnknownSizeError:
        return None
    finite = reduce(Node.__add__, (n - n for n in (result, *map(var, watched))))  # zero
    return finite if found is None else found + finite


@dataclass
class _Sizes:
    ranges: Mapping[str, Range]
    done: dict[Node, Sized] = field(default_factory=dict)

    def doubt(self, n: Node) -> Node | None:
        """A number that is zero where a number is right to a float32; None where it always is.

        What is multiplied has the relative errors of its factors. Numbers and selections become vector code sooner than
        conditions that are joined.
        """
        found = self.of(n)
        if found.relative:
            return None
        if n.op in ("mul", "div"):
            return reduce(Node.__add__, (d for a in n.args if (d := self.doubt(a)) is not None))
        if n.op in ("neg", "abs", "copysign"):
            return self.doubt(n.args[0])
        if n.op == "select":
            return select(n.args[0], *(self.doubt(a) or ZERO for a in n.args[1:]))
        assert found.size is not None
        return select(node("le", found.size, absolute(n) * ENOUGH), ZERO, ONE)

    def of(self, n: Node) -> Sized:
        if n not in self.done:
            rule = _RULES.get(n.op)
            if rule is None:
                raise UnknownSizeError(n.op)
            found = rule(self, n)
            if found.relative and not found.known.error <= ENOUGH:
                raise UnknownSizeError(n.op)
            self.done[n] = found
        return self.done[n]

    def error(self, n: Node) -> Node | None:
        """The error of a number, its own rounding with it; None of an exact one."""
        found = self.of(n)
        size = self._size(n)
        if found.size is not None:
            return found.size + size
        return None if not found.known.error else _times(size, found.known.error)

    def _size(self, n: Node) -> Node:
        return n if self.of(n).known.low >= 0 else absolute(n)

    def number(self, n: Node) -> Sized:
        value = n.value if n.op == "const" else None
        return Sized(Known(0.0, *(self.ranges.get(n.value, ANYTHING) if value is None else (value, value))))

    def total(self, n: Node) -> Sized:
        parts = [self.of(a).known for a in n.args]
        if n.op == "sub":
            parts[1] = _negative(parts[1])
        found = total(parts)
        if all(self.of(a).relative for a in n.args) and found.error <= ENOUGH:
            return Sized(_rounded(found))
        errors = [e for e in map(self.error, n.args) if e is not None]
        return Sized(replace(found, error=math.inf), errors[0] if len(errors) == 1 else errors[0] + errors[1])

    def product(self, n: Node) -> Sized:
        a, b = n.args
        other = self.of(b).known
        found = product([self.of(a).known, power([other, Known(0.0, -1.0, -1.0)]) if n.op == "div" else other])
        if self.of(a).relative and self.of(b).relative:
            return Sized(_rounded(found))
        first, second = self.error(a), self.error(b)
        if n.op == "div":
            second = None if second is None else (n if found.low >= 0 else absolute(n)) * second
            parts = [p for p in (first, second) if p is not None]
            return Sized(found, _sum(parts) / self._size(b))
        parts = [e * self._size(other) for e, other in ((first, b), (second, a)) if e is not None]
        return Sized(found, _sum(parts))

    def turned(self, n: Node) -> Sized:
        of = self.of(n.args[0])
        if n.op == "neg":
            return Sized(_negative(of.known), of.size)
        low, high = (of.known.least, of.known.most) if n.op == "abs" else (-of.known.most, of.known.most)
        return Sized(Known(of.known.error, low, high), of.size)

    def root(self, n: Node) -> Sized:
        of = self.of(n.args[0])
        if not of.relative:
            raise UnknownSizeError(n.op)
        return Sized(_rounded(power([of.known, Known(0.0, 0.5, 0.5)])))

    def selection(self, n: Node) -> Sized:
        condition, then, otherwise = n.args
        known = [_within(condition, self.of(then).known, then, True),
                 _within(condition, self.of(otherwise).known, otherwise, False)]  # fmt: skip
        if self.of(then).relative and self.of(otherwise).relative:
            return Sized(either(known))
        errors = [self.of(a).size or self.error(a) or ZERO for a in (then, otherwise)]
        return Sized(either(known), select(condition, *errors))

    def call(self, n: Node) -> Sized:
        name, _, form = n.value.rpartition("_")
        if form not in OWN or not form:
            name, form = n.value, ""
        if name == "pow":
            return self.power(n)
        if name not in HEADS:
            raise UnknownSizeError(n.value)
        function, arguments = FUNCTIONS.get(HEADS[name], UNKNOWN), [self.of(a) for a in n.args]
        low, high = function.range(*(a.known for a in arguments))
        relative = OWN[form] + sum(function.condition(a.known) * a.known.error for a in arguments if a.known.error)
        if all(a.relative for a in arguments) and relative <= ENOUGH:
            return Sized(Known(relative, low, high))
        slope, u = SLOPES.get(name), n.args[0]
        if slope is None or not arguments[0].known.error:
            raise UnknownSizeError(n.value)
        error = self.error(u)
        assert error is not None
        constant = name == "log" and arguments[0].relative  # what is relatively wrong with the argument
        grown = const(arguments[0].known.error) if constant else slope(n, u, error)
        mine = _times(n if low >= 0 else absolute(n), OWN[form])
        return Sized(Known(math.inf, low, high), mine + grown)

    def power(self, n: Node) -> Sized:
        """The logarithm of the base has what is relatively wrong with it, and the exponent multiplies that."""
        base, exponent = (self.of(a) for a in n.args)
        if not base.relative or exponent.known.error or base.known.low < 0:
            raise UnknownSizeError(n.value)
        grown = _times(absolute(n.args[1]), base.known.error) + OF_POWER
        return Sized(Known(math.inf, 0.0, math.inf), n * grown)


SLOPES = {
    "exp": lambda n, u, error: n * error,
    "log": lambda n, u, error: error / absolute(u),
    "log1p": lambda n, u, error: error / (ONE + u),
}
_RULES = {
    "const": _Sizes.number, "var": _Sizes.number, "add": _Sizes.total, "sub": _Sizes.total, "mul": _Sizes.product,
    "div": _Sizes.product, "neg": _Sizes.turned, "abs": _Sizes.turned, "copysign": _Sizes.turned, "sqrt": _Sizes.root,
    "select": _Sizes.selection, "call": _Sizes.call,
}  # fmt: skip


def _sum(parts: list[Node]) -> Node:
    return parts[0] if len(parts) == 1 else parts[0] + parts[1]


def _times(n: Node, factor: float) -> Node:
    return n if factor == 1 else n * factor


def _rounded(known: Known) -> Known:
    return replace(known, error=known.error + 1)


def _negative(known: Known) -> Known:
    return Known(known.error, -known.high, -known.low)


def _within(condition: Node, known: Known, arm: Node, holds: bool) -> Known:
    """What is known of an arm of a selection that asks for its own size: ``x if 0 < x else 0`` is not negative."""
    if condition.op in ("lt", "le"):
        below, above = condition.args if holds else condition.args[::-1]
        if below.op == "const" and above is arm:
            return replace(known, low=max(known.low, below.value))
        if above.op == "const" and below is arm:
            return replace(known, high=min(known.high, above.value))
    return known
