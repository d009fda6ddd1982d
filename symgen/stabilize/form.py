"""What the stabiliser decides: which code computes which part of the line, as data that explains itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol

import sympy as sp
from sympy import Expr, Symbol

from symgen.arithmetic import (
    ANNIHILATING,
    COMPENSATED,
    FINELY,
    FOR_SINGLE,
    FOR_SINGLE_ANNIHILATING,
    HALVED,
    PLAIN,
    RENEWED,
    SHORT,
    SHORT_ANNIHILATING,
    Arithmetic,
    Pair,
    exact,
)  # fmt: skip
from symgen.kernel import Node, const, node, select
from symgen.lowering import Lowering, lower
from symgen.stabilize.piece import MAGNITUDE, Piece

__all__ = ["ARITHMETICS", "MAGNITUDE", "Body", "Constant", "Form", "Formula", "Piece", "Region", "Segment"]

ARITHMETICS: dict[str, Arithmetic] = {
    "short": SHORT,
    "short annihilating": SHORT_ANNIHILATING,
    "medium": FOR_SINGLE,
    "medium annihilating": FOR_SINGLE_ANNIHILATING,
    "plain": PLAIN,
    "compensated": COMPENSATED,
    "halved": HALVED,
    "annihilating": ANNIHILATING,
    "renewed": RENEWED,
    "fine": FINELY,
}
QUICK = {"compensated": "medium", "halved": "medium annihilating", "annihilating": "medium annihilating"}


@dataclass(frozen=True)
class Formula:
    """An algebraic form; with a side it is written in y = |x| and holds on that side of zero only."""

    expression: Expr
    arithmetic: str
    side: int = 0
    source: str = "rules"
    variable: str = "x"

    @property
    def kind(self) -> str:
        return "formula"

    @property
    def note(self) -> str:
        where = {0: "", 1: f" with y = {self.variable}", -1: f" with y = -{self.variable}"}[self.side]
        return f"{self.source}{where}"

    def node(self, x: Symbol, bound: Mapping[Symbol, Pair], scale: Expr = sp.S.One) -> Node:
        arithmetic = ARITHMETICS[self.arithmetic]
        names = dict(bound)
        if self.side:
            # with its low part, which a scaled argument has
            names[MAGNITUDE] = arithmetic.abs(bound[x] if arithmetic.compensated else Pair(bound[x].high))
        return arithmetic.rounded(lower(scale * self.expression, names, arithmetic))


@dataclass(frozen=True)
class Constant:
    """The value that the function has reached for every float from here on."""

    value: float
    arithmetic: str = "plain"

    @property
    def expression(self) -> None:
        return None

    @property
    def kind(self) -> str:
        return "constant"

    @property
    def note(self) -> str:
        return f"{self.value!r}, which the function has reached to the last bit"

    def node(self, _x: Symbol, bound: Mapping[Symbol, Pair], scale: Expr = sp.S.One) -> Node:
        if scale == 1:
            return const(self.value)
        return COMPENSATED.rounded(COMPENSATED.mul(lower(scale, bound, COMPENSATED), exact(const(self.value))))


class Body(Protocol):
    """What computes one segment: a `Formula`, a `Piece`, a `Constant`, or an `inner.Inner`."""

    @property
    def kind(self) -> str: ...
    @property
    def expression(self) -> Expr | None: ...
    @property
    def note(self) -> str: ...
    @property
    def arithmetic(self) -> str: ...
    def node(self, x: Symbol, bound: Mapping[Symbol, Pair], scale: Expr = ..., /) -> Node: ...


@dataclass(frozen=True)
class Segment:
    """One body on ``lower <= x < upper``; the last one of a line includes its upper end."""

    lower: float
    upper: float
    body: Body

    @property
    def kind(self) -> str:
        return self.body.kind

    @property
    def expression(self) -> Expr | None:
        return self.body.expression

    @property
    def note(self) -> str:
        return self.body.note

    @property
    def arithmetic(self) -> str:
        return self.body.arithmetic


def _quickened(body: Body) -> Body:
    return replace(body, arithmetic=QUICK.get(body.arithmetic, body.arithmetic)) if isinstance(body, Formula) else body


@dataclass(frozen=True)
class Region:
    """The segments that hold where the condition does; None where the definition has no cases."""

    condition: Any
    segments: tuple[Segment, ...]


@dataclass(frozen=True)
class Form:
    """A leaf (segments) or a case split, as nested as the definition."""

    segments: tuple[Segment, ...] = ()
    condition: Any = None
    then: Form | None = None
    otherwise: Form | None = None

    def node(self, x: Symbol, bound: Mapping[Symbol, Pair], scale: Expr = sp.S.One) -> Node:
        """The code of all segments; what scales the function is multiplied in where each is still unrounded."""
        if self.then is not None and self.otherwise is not None:
            chosen = Lowering(COMPENSATED, bound).condition(self.condition)
            return select(chosen, self.then.node(x, bound, scale), self.otherwise.node(x, bound, scale))
        total = self.segments[-1].body.node(x, bound, scale)
        for segment in reversed(self.segments[:-1]):
            below = node("lt", bound[x].high, const(segment.upper))
            total = select(below, segment.body.node(x, bound, scale), total)
        return total

    def quickened(self) -> Form:
        """The same in arithmetic without pairs, where nothing is known to be wrong with it but what cancels."""
        if self.then is not None and self.otherwise is not None:
            return replace(self, then=self.then.quickened(), otherwise=self.otherwise.quickened())
        return replace(self, segments=tuple(replace(s, body=_quickened(s.body)) for s in self.segments))

    def regions(self, given: Any = None) -> tuple[Region, ...]:
        """The leaves with the condition that leads to each, in the order of the definition."""
        if self.then is None or self.otherwise is None:
            return (Region(given, self.segments),)
        yes = self.condition if given is None else given & self.condition
        no = ~self.condition if given is None else given & ~self.condition
        return self.then.regions(yes) + self.otherwise.regions(no)
