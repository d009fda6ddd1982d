"""What a formula needs in order to be defined: that a divisor is not zero, that a logarithm's argument is positive."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import sympy as sp
from sympy import Expr, Symbol

from symgen import heads
from symgen.spec.spans import Span, Undefined, contains_zero, enclose, holds, is_point

Guards = tuple[tuple[Any, bool], ...]


@dataclass(frozen=True)
class Need:
    """A condition on one argument: its test on a span, the assumption that settles it, and how a breach reads."""

    met: Callable[..., bool | None]
    assumption: str
    breach: str


def nonzero(a: Span) -> bool | None:
    if not contains_zero(a):
        return True
    return False if is_point(a) and a[0] == 0 else None


def positive(a: Span) -> bool | None:
    if a[0] > 0:
        return True
    return False if a[1] <= 0 else None


def nonnegative(a: Span) -> bool | None:
    if a[0] >= 0:
        return True
    return False if a[1] < 0 else None


def no_pole(a: Span) -> bool | None:
    """The logarithm of the gamma function is real for positive arguments here; poles are at 0, -1, ..."""
    if a[0] > 0:
        return True
    at = a[0].unique_fmpz() if is_point(a) and a[0].is_exact() else None
    return False if at is not None else None


def real_power(base: Span, exponent: Span) -> bool | None:
    """Real powers need a positive base; zero has positive powers, and a negative base has whole ones."""
    if base[0] > 0 or (base[0] >= 0 and exponent[0] > 0):
        return True
    if is_point(base) and base[0] == 0:
        return False if exponent[1] < 0 else None
    if base[1] < 0 and is_point(exponent) and exponent[0].is_exact():
        return exponent[0].unique_fmpz() is not None
    return None


NEEDS = {
    "divisor": Need(nonzero, "is_nonzero", "{node} divides by zero"),
    "logarithm": Need(positive, "is_positive", "{node} is the logarithm of {value}"),
    "root": Need(nonnegative, "is_nonnegative", "{node} is a root of {value}"),
    "divided root": Need(positive, "is_positive", "{node} is a root of {value} in a divisor"),
    "power": Need(real_power, "is_positive", "{node} is a power of {value} with a real exponent"),
    "gamma": Need(no_pole, "is_positive", "{node} has a pole at {value}"),
    "arc": Need(nonnegative, "is_nonnegative", "{node} is outside the domain of its function"),
    "open arc": Need(positive, "is_positive", "{node} is outside the domain of its function, or at its end"),
    "tangent": Need(nonzero, "is_nonzero", "{node} has a pole"),
}


@dataclass(frozen=True)
class Obligation:
    """At every point where the guards hold, the subject meets the need."""

    need: str
    node: Expr
    subject: Expr
    guards: Guards
    exponent: Expr | None = None

    @property
    def symbols(self) -> list[Symbol]:
        found = set(self.subject.free_symbols)
        for other in (self.exponent, *(condition for condition, _ in self.guards)):
            found |= other.free_symbols if other is not None else set()
        return sorted(found, key=str)

    def status(self, box: Mapping[Any, Span]) -> bool | None:
        """True where nothing is wrong in the box, False where it is breached in all of it, None where that is open."""
        known: dict[Any, Span] = {}
        reached: bool | None = True
        for condition, wanted in self.guards:
            truth = holds(condition, box, known)
            if truth is None:
                reached = None
            elif truth != wanted:
                return True
        try:
            subjects = [self.subject] if self.exponent is None else [self.subject, self.exponent]
            met = NEEDS[self.need].met(*(enclose(s, box, known) for s in subjects))
        except Undefined:
            return None
        return met if met or reached else None


def obligations(expression: Any, guards: Guards = ()) -> Iterator[Obligation]:
    """Everything that an expression needs in order to be defined, each under the cases in which it is evaluated."""
    if isinstance(expression, heads.Cases):
        condition, then, otherwise = expression.args
        yield from obligations(condition, guards)
        yield from obligations(then, (*guards, (condition, True)))
        yield from obligations(otherwise, (*guards, (condition, False)))
        return
    if isinstance(expression, heads.weighted):
        weight, value = expression.args
        yield from obligations(weight, guards)
        yield from obligations(value, (*guards, (sp.Ne(weight, 0), True)))
        return
    for argument in expression.args:
        if isinstance(argument, sp.Basic) and not isinstance(argument, sp.Tuple):
            yield from obligations(argument, guards)
    found = need_of(expression)
    if found is not None:
        exponent = expression.args[1] if found[0] == "power" else None
        yield Obligation(found[0], expression, found[1], guards, exponent)


def need_of(node: Any) -> tuple[str, Expr] | None:
    """What one node needs of its argument, None where it is defined everywhere."""
    if isinstance(node, sp.log):
        return "logarithm", node.args[0]
    if isinstance(node, sp.loggamma):
        return "gamma", node.args[0]
    if isinstance(node, sp.tan):
        return "tangent", sp.cos(node.args[0])
    if isinstance(node, sp.asin | sp.acos | sp.acosh):
        u = node.args[0]
        return "arc", u - 1 if isinstance(node, sp.acosh) else (1 - u) * (1 + u)
    if isinstance(node, sp.atanh):
        return "open arc", (1 - node.args[0]) * (1 + node.args[0])
    if not isinstance(node, sp.Pow) or node.base.is_positive:
        return None
    base, exponent = node.args
    if exponent.is_Integer:
        return ("divisor", base) if exponent.is_negative else None
    if exponent.is_number:
        return ("root" if exponent.is_positive else "divided root"), base
    return "power", base


def settled(obligation: Obligation, assumed: Mapping[Symbol, Symbol]) -> bool:
    """Whether SymPy's assumptions alone show that the need is met."""
    if obligation.subject.is_number:
        return bool(getattr(obligation.subject, NEEDS[obligation.need].assumption))
    subject = obligation.subject.xreplace(assumed)
    exponent = None if obligation.exponent is None else obligation.exponent.xreplace(assumed)
    if exponent is not None and subject.is_nonnegative and exponent.is_positive:
        return True
    return bool(getattr(subject, NEEDS[obligation.need].assumption, None))
