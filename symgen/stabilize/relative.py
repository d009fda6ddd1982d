"""Whether a formula keeps the relative precision of its elementary functions, by a static argument over ranges.

Short elementary functions are right to 2^-35, which a float32 result does not tell from the truth unless something is
subtracted from them. Where operands with data meet, roots are anywhere, and no probe has seen them all. A product, a
quotient, a root and a sum of one sign keep what is known relatively; so does any sum that is never small beside what it
is made of. What is computed from operands alone, without an elementary function, is as exact in short arithmetic as in
any other, and is left to the probes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import sympy as sp
from sympy import Expr, Symbol

from symgen import vocabulary
from symgen.heads import Cases, first_max, first_min, maximum, minimum, straight_through, weighted

MOST = 16.0  # errors of an elementary function that a result may have
ANYTHING = (-math.inf, math.inf)

Range = tuple[float, float]


@dataclass(frozen=True)
class Known:
    """What is known of a number: its relative error, in those of one elementary function, and its range."""

    error: float
    low: float
    high: float

    @property
    def most(self) -> float:
        return max(abs(self.low), abs(self.high))

    @property
    def least(self) -> float:
        return 0.0 if self.low <= 0 <= self.high else min(abs(self.low), abs(self.high))


def keeps_precision(expression: Expr, ranges: Mapping[Symbol, Range]) -> bool:
    """Whether nothing that an elementary function enters is lost, for all values of the operands.

    Args:
        expression: in the vocabulary.
        ranges: of its symbols; of one that is not there nothing is known.

    Example:
        >>> x, t = Symbol("x", real=True), Symbol("t", real=True)
        >>> ranges = {x: ANYTHING, t: (0.0, 1.0)}
        >>> keeps_precision(t * sp.exp(x) + (1 - t) * sp.exp(-x), ranges), keeps_precision(sp.exp(x) - t, ranges)
        (True, False)
    """
    return _known(expression, ranges, {}).error <= MOST


def _known(e: Any, ranges: Mapping[Symbol, Range], done: dict[Any, Known]) -> Known:
    if e not in done:
        if e.is_Symbol:
            done[e] = Known(0.0, *ranges.get(e, ANYTHING))
        elif e.is_number:
            done[e] = Known(0.0, float(e), float(e)) if e.is_extended_real else Known(math.inf, *ANYTHING)
        else:
            parts = e.args[1:] if isinstance(e, Cases) else e.args  # conditions are decided in pairs
            done[e] = _combined(e, [_known(a, ranges, done) for a in parts])
    return done[e]


def _combined(e: Expr, parts: list[Known]) -> Known:
    rule = RULES.get(type(e))
    if rule is not None:
        return rule(parts)
    function = FUNCTIONS.get(type(e), UNKNOWN)
    error = sum(function.condition(p) * p.error for p in parts if p.error)
    return Known(1.0 + error, *function.range(*parts))


def total(parts: list[Known]) -> Known:
    """A sum: of one sign it is as right as its terms are."""
    low, high = sum(p.low for p in parts), sum(p.high for p in parts)
    low, high = (-math.inf if math.isnan(low) else low), (math.inf if math.isnan(high) else high)
    found = Known(0.0, low, high)
    if all(p.low >= 0 for p in parts) or all(p.high <= 0 for p in parts):
        return Known(max(p.error for p in parts), low, high)
    lost = sum(p.error * p.most for p in parts if p.error)
    return Known(lost / found.least if lost and found.least else math.inf if lost else 0.0, low, high)


def product(parts: list[Known]) -> Known:
    """A product: relative errors add up."""
    low, high = 1.0, 1.0
    for p in parts:
        ends = [0.0 if 0.0 in (a, b) else a * b for a in (low, high) for b in (p.low, p.high)]
        low, high = min(ends), max(ends)
    return Known(sum(p.error for p in parts), low, high)


def power(parts: list[Known]) -> Known:
    """A base and an exponent, which multiplies the relative error of the base."""
    base, exponent = parts
    n = exponent.low
    if exponent.low != exponent.high or not math.isfinite(n):
        return Known(math.inf if base.error or exponent.error else 1.0, *_range_of_power(base))
    own = 0.0 if (2 * n).is_integer() else 1.0  # a root is no elementary function
    if not n.is_integer() or n % 2 == 0:
        ends = [_power_of(v, n) for v in (base.least, base.most)]
    elif base.low >= 0 or base.high <= 0 or n > 0:
        ends = [_power_of(v, n) for v in (base.low, base.high)]
    else:
        ends = [*ANYTHING]
    return Known(own + abs(n) * base.error, min(ends), max(ends))


def _power_of(v: float, n: float) -> float:
    if v == 0 and n < 0:
        return math.copysign(math.inf, v)
    try:
        return float(v**n)
    except OverflowError:
        return math.copysign(math.inf, v)


def _range_of_power(base: Known) -> Range:
    return (0.0, math.inf) if base.low >= 0 else ANYTHING


def either(parts: list[Known]) -> Known:
    """One of several numbers."""
    return Known(max(p.error for p in parts), min(p.low for p in parts), max(p.high for p in parts))


def _larger(parts: list[Known]) -> Known:
    return Known(max(p.error for p in parts), max(p.low for p in parts), max(p.high for p in parts))


def _smaller(parts: list[Known]) -> Known:
    return Known(max(p.error for p in parts), min(p.low for p in parts), min(p.high for p in parts))


def _sign(parts: list[Known]) -> Known:
    """What is known relatively has the sign of the truth."""
    return Known(0.0 if parts[0].error <= MOST else math.inf, -1.0, 1.0)


def _quotient(parts: list[Known]) -> Known:
    return product([parts[0], power([parts[1], Known(0.0, -1.0, -1.0)])])


RULES: Mapping[type, Callable[[list[Known]], Known]] = {
    sp.Add: total,
    sp.Mul: product,
    weighted: product,
    vocabulary.quotient: _quotient,
    sp.Pow: power,
    sp.Abs: lambda p: Known(p[0].error, p[0].least, p[0].most),
    sp.sign: _sign,
    Cases: either,
    first_max: _larger,
    maximum: _larger,
    first_min: _smaller,
    minimum: _smaller,
    straight_through: lambda p: p[0],
}


@dataclass(frozen=True)
class Function:
    """An elementary function or head, of which code is right relatively wherever the argument is exact.

    Attributes:
        range: of its values.
        condition: how many times a relative error of an argument is one of the value, at most.
    """

    range: Callable[..., Range]
    condition: Callable[[Known], float] = lambda p: math.inf


def _rising(of: Callable[[float], float]) -> Callable[[Known], Range]:
    """The range of a function that rises."""

    def ends(p: Known) -> Range:
        found = []
        for v, beyond in ((p.low, -math.inf), (p.high, math.inf)):
            try:
                value = of(v)
            except (OverflowError, ValueError):
                value = beyond
            found.append(beyond if math.isnan(value) else value)
        return found[0], found[1]

    return ends


def _between(low: float, high: float) -> Callable[..., Range]:
    return lambda *_: (low, high)


def _below_one(p: Known) -> float:
    """|u/((1 + u) log(1 + u))| falls with u, and is one at zero."""
    if p.low >= 0:
        return 1.0
    return p.low / ((1 + p.low) * math.log1p(p.low)) if p.low > -1 else math.inf


def _of_logarithm(p: Known) -> float:
    if not (p.high < 1 or p.low > 1):
        return math.inf
    return max(1 / abs(math.log(v)) for v in (p.low, p.high) if 0 < v < math.inf)


def _at_most_one(_: Known) -> float:
    return 1.0


UNKNOWN = Function(_between(*ANYTHING))
FUNCTIONS: Mapping[type, Function] = {
    sp.exp: Function(_rising(math.exp), lambda p: p.most),
    sp.log: Function(_rising(math.log), _of_logarithm),
    sp.sin: Function(_between(-1.0, 1.0)),
    sp.cos: Function(_between(-1.0, 1.0)),
    sp.sinh: Function(_rising(math.sinh), lambda p: 1 + p.most),
    sp.cosh: Function(_between(1.0, math.inf), lambda p: p.most),
    sp.tanh: Function(_rising(math.tanh), _at_most_one),
    sp.asinh: Function(_rising(math.asinh), _at_most_one),
    sp.atan: Function(_rising(math.atan), _at_most_one),
    vocabulary.tanh: Function(_rising(math.tanh), _at_most_one),
    vocabulary.expm1: Function(_rising(math.expm1), lambda p: 1 + max(p.high, 0.0)),
    vocabulary.log1p: Function(_rising(math.log1p), _below_one),
    vocabulary.erf: Function(_rising(math.erf), _at_most_one),
    vocabulary.erfc: Function(_between(0.0, 2.0)),
    vocabulary.erfcx: Function(_between(0.0, math.inf)),
    vocabulary.sigmoid: Function(_between(0.0, 1.0)),
    vocabulary.softplus: Function(_between(0.0, math.inf)),
    vocabulary.sech2: Function(_between(0.0, 1.0)),
    vocabulary.log1mexp: Function(_between(-math.inf, 0.0)),
    vocabulary.log_half_erfc: Function(_between(-math.inf, 0.0)),
    vocabulary.log_mixture: Function(_between(-math.inf, 0.0)),
    vocabulary.mixture_slope: Function(_between(-1.0, 1.0)),
    vocabulary.mixture_surprise: Function(_between(1.0, math.inf)),
    vocabulary.hypot: Function(lambda u, v: (max(u.least, v.least), math.inf), _at_most_one),
}


def magnitude(of: Range) -> Range:
    """The range of the absolute value."""
    known = Known(0.0, *of)
    return known.least, known.most

