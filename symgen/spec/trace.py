"""The state of one run through a spec: which conditions on options were met, and how each was answered."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import sympy as sp
from sympy import Symbol
from sympy.core.relational import Relational
from sympy.logic.boolalg import And, Boolean, BooleanAtom, Not, Or

from symgen.spec.model import RELATIONS, Axis, Mistake, Number, exact

HALF = sp.Rational(1, 2)
CONNECTIVES = {And, Or, Not}
Limits = tuple[tuple[Any, bool], ...]


@dataclass
class Trace:
    """One run: its options, the answers given so far, and what was learnt on the way."""

    options: frozenset[Symbol] = frozenset()
    known: tuple[Any, ...] = ()
    path: dict[Any, bool] = field(default_factory=dict)
    axes: dict[Symbol, Axis] = field(default_factory=dict)
    indices: dict[Symbol, Axis] = field(default_factory=dict)
    value_axes: dict[str, Axis] = field(default_factory=dict)
    assertions: list[Any] = field(default_factory=list)
    calls: list[object] = field(default_factory=list)
    asserting: bool = False

    def axis(self, axis: Axis) -> Axis:
        """Remember an axis by its running index, so that an expression tells along what it varies."""
        return self.axes.setdefault(axis.run, axis)

    def axes_of(self, expression: Any) -> tuple[Axis, ...]:
        """The axes along which an expression varies, by name."""
        symbols = sp.sympify(expression).free_symbols
        return tuple(sorted((a for run, a in self.axes.items() if run in symbols), key=str))

    def decide(self, condition: Any) -> bool | None:
        """The truth of a condition: itself where it is plain, an answer on the path for options, None for data."""
        if isinstance(condition, sp.Expr) or not is_symbolic(condition):
            return truth(condition)
        if self.asserting or not condition.free_symbols <= self.options:
            return None
        if condition in self.path:
            return self.path[condition]
        negated = Not(condition)
        if negated in self.path:
            return not self.path[negated]
        facts = [*self.known, *(c if answer else Not(c) for c, answer in self.path.items())]
        if not possible([*facts, negated]):
            return True
        if not possible([*facts, condition]):
            return False
        self.path[condition] = True
        return True


def is_symbolic(condition: Any) -> bool:
    return isinstance(condition, sp.Basic) and not isinstance(condition, BooleanAtom)


def truth(condition: Any) -> bool:
    if isinstance(condition, (bool, BooleanAtom)):
        return bool(condition)
    raise Mistake(f"'{condition}' is not a condition", "compare it with something")


def possible(conditions: Iterable[Any]) -> bool:
    """Whether conditions on options can hold together, as far as comparisons of one option with numbers tell."""
    by_symbol: dict[Symbol, list[Boolean]] = {}
    for condition in conditions:
        if condition in (sp.true, True):
            continue
        if condition in (sp.false, False):
            return False
        if len(condition.free_symbols) == 1 and is_simple(condition):
            by_symbol.setdefault(next(iter(condition.free_symbols)), []).append(condition)
    return all(
        any(all(c.subs(symbol, point) == sp.true for c in together) for point in witnesses(symbol, together))
        for symbol, together in by_symbol.items()
    )


def is_simple(condition: Any) -> bool:
    """Whether it is made of comparisons between a bare option and a number, which a few witnesses decide."""
    if type(condition) in CONNECTIVES:
        return all(is_simple(a) for a in condition.args)
    if not isinstance(condition, Relational):
        return False
    return any(a.is_Symbol and (b.is_number or b.is_infinite) for a, b in (condition.args, condition.args[::-1]))


def witnesses(symbol: Symbol, conditions: list[Any]) -> list[Any]:
    """A point in every cell into which the conditions' numbers cut the line."""
    cuts = sorted({n for c in conditions for r in c.atoms(Relational) for n in r.args if n.is_number and n.is_finite})
    if symbol.is_integer:
        return sorted({sp.floor(c) + d for c in cuts or [sp.S.Zero] for d in (-1, 0, 1, 2)})
    if not cuts:
        return [sp.S.Zero, sp.oo, -sp.oo]
    between = [(a + b) * HALF for a, b in pairwise(cuts)]
    return [-sp.oo, cuts[0] - 1, *cuts, *between, cuts[-1] + 1, sp.oo]


def limit_facts(symbol: Symbol, limits: tuple[tuple[str, Number], ...]) -> tuple[Any, ...]:
    """The stated limits of an option as relations."""
    return tuple(RELATIONS[o](symbol, exact(v)) for o, v in limits)
