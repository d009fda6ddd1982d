"""Search for counterexamples: both sides at points of the domain, in precision that is raised until it suffices."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import mpmath
import sympy as sp
from mpmath import mp, mpf
from sympy import Expr, Symbol

from symgen.heads import maximum, minimum
from symgen.vocabulary import expand_heads

DIGITS = 60
# the precision at which a value that has not settled counts as unknown
MOST_DIGITS = 2000

Point = dict[Symbol, sp.Rational]

_SIZES = (sp.Rational(1, 2**20), sp.Rational(1, 100), sp.Rational(1, 3), 1, sp.Rational(5, 2), 7, 20)
_VALUES = tuple(sp.Rational(s) * sign for s in _SIZES for sign in (1, -1)) + (sp.Rational(0),)

# the points of the domain that conditions keep; a variable that stands for a number is tried at the same points
KEPT: dict[str, Callable[[Any], bool]] = {
    "positive": lambda x: x > 0,
    "nonnegative": lambda x: x >= 0,
    "negative": lambda x: x < 0,
    "nonpositive": lambda x: x <= 0,
}


@dataclass(frozen=True)
class Counterexample:
    """A point, and what the two sides are there (None: undefined)."""

    point: tuple[tuple[str, str], ...]
    left: str | None
    right: str | None

    def __str__(self) -> str:
        at = ", ".join(f"{name} = {value}" for name, value in self.point)
        return f"at {at}: left {self.left or 'undefined'}, right {self.right or 'undefined'}"


def points(symbols: Sequence[Symbol], domain: Sequence[tuple[Symbol, str]]) -> Iterator[Point]:
    """Exact points of the domain: every value of each variable, and a spread of combinations, zero included."""
    choices = []
    for s in symbols:
        kept = [x for x in _VALUES if all(KEPT.get(c, lambda _: True)(x) for v, c in domain if v == s)]
        if s.is_positive:
            kept = [x for x in kept if x > 0]
        choices.append(kept)
    # a stride that shares no factor with the number of values visits a spread of the grid, the same on every run
    every = list(itertools.product(*choices))
    stride = 1 if len(every) <= 60 else max(1, len(every) // 60)
    for combination in every[::stride]:
        yield dict(zip(symbols, combination, strict=True))


# -- evaluation -------------------------------------------------------------------------------------------------------


_FUNCTIONS: dict[type[Any], Callable[..., Any]] = {
    sp.exp: mpmath.exp,
    sp.log: mpmath.log,
    sp.sin: mpmath.sin,
    sp.cos: mpmath.cos,
    sp.tan: mpmath.tan,
    sp.asin: mpmath.asin,
    sp.acos: mpmath.acos,
    sp.atan: mpmath.atan,
    sp.sinh: mpmath.sinh,
    sp.cosh: mpmath.cosh,
    sp.tanh: mpmath.tanh,
    sp.asinh: mpmath.asinh,
    sp.acosh: mpmath.acosh,
    sp.atanh: mpmath.atanh,
    sp.erf: mpmath.erf,
    sp.erfc: lambda u: 1 - mpmath.erf(u),
    sp.loggamma: mpmath.loggamma,
    sp.Abs: abs,
    sp.sign: mpmath.sign,
    sp.Max: max,
    sp.Min: min,
    maximum: max,
    minimum: min,
}


class Undefined(ArithmeticError):  # noqa: N818
    """A side has no real value here."""


def _value(e: Expr, point: Point) -> Any:
    if e.is_Symbol:
        x = point[e]
        return mpf(int(x.p)) / int(x.q)
    if e.is_Rational:
        return mpf(int(e.p)) / int(e.q)
    if not e.args:
        return mpf(e.evalf(mp.dps + 5)._to_mpmath(mp.prec))
    arguments = [_value(a, point) for a in e.args]
    if e.is_Add:
        return mpmath.fsum(arguments)
    if e.is_Mul:
        return mpmath.fprod(arguments)
    if e.is_Pow:
        return _real(mpmath.power(*arguments))
    if type(e) not in _FUNCTIONS:
        raise Undefined(f"no value for {type(e).__name__}")
    return _real(_FUNCTIONS[type(e)](*arguments))


def _real(x: Any) -> Any:
    if isinstance(x, mpmath.mpc) or not mpmath.isfinite(x):
        raise Undefined("not a real number")
    return x


def value(expression: Expr, point: Point) -> Any | None:
    """An expression at a point, right to `DIGITS` digits or zero; None where it is undefined or does not settle."""
    e = expand_heads(expression)
    digits, before = DIGITS + 20, None
    while digits <= MOST_DIGITS:
        with mp.workdps(digits):
            try:
                now = _value(e, point)
            except (Undefined, ZeroDivisionError, ValueError):
                now = None
        if before is not None and now is not None and abs(now - before) <= abs(now) * mpf(10) ** -DIGITS:
            return now
        if now is None and digits > 2 * DIGITS and before is None:
            return None
        digits, before = digits * 2, now
    # what stays below any precision is zero
    return mpf(0) if before is not None and abs(before) < mpf(10) ** (-DIGITS * 10) else None


def find_counterexample(
    left: Expr, right: Expr, domain: Sequence[tuple[Symbol, str]] = ()
) -> tuple[Counterexample | None, int]:
    """A point where the sides differ or only the left is defined, and how many points were looked at."""
    symbols = sorted(left.free_symbols | right.free_symbols, key=lambda s: s.name)
    seen = 0
    for point in points(symbols, domain):
        seen += 1
        a = value(left, point)
        if a is None:
            continue
        b = value(right, point)
        if b is None or abs(a - b) > mpf(10) ** (-DIGITS + 10) * max(abs(a), abs(b)):
            at = tuple((s.name, str(point[s])) for s in symbols)
            return Counterexample(at, mpmath.nstr(a, 17), None if b is None else mpmath.nstr(b, 17)), seen
    return None, seen
