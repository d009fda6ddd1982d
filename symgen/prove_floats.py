"""Whether a rule is worth applying: both sides in float64 with ideal heads, against the truth.

An identity can be true and still a bad rule: ``log(1 + e^-x) -> -x + log1p(e^x)`` overflows where its left side does
not. Every head counts as correctly rounded here, so what is measured is the shape of the formula alone.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import mpmath
import sympy as sp
from mpmath import mp
from sympy import Expr, Symbol

from symgen import vocabulary
from symgen.heads import maximum, minimum
from symgen.prove_points import KEPT, Counterexample, Point, value

# a side that is off by this many units in the last place has lost something
BAD = 64.0

_EXPONENTS = (-60, -40, -30, -20, -10, -5, -2, 0, 1, 2, 3, 5, 7, 9, 12, 600)
_IDEAL: dict[type[Any], Callable[..., Any]] = {
    sp.exp: mpmath.exp,
    sp.log: mpmath.log,
    sp.sinh: mpmath.sinh,
    sp.cosh: mpmath.cosh,
    sp.tanh: mpmath.tanh,
    sp.erf: mpmath.erf,
    sp.erfc: mpmath.erfc,
    sp.Abs: abs,
    sp.sign: mpmath.sign,
    maximum: max,
    minimum: min,
    vocabulary.sigmoid: lambda u: 1 / (1 + mpmath.exp(-u)),
    vocabulary.softplus: lambda u: mpmath.log1p(mpmath.exp(u)),
    vocabulary.tanh: mpmath.tanh,
    vocabulary.sech2: lambda u: mpmath.cosh(u) ** -2,
    vocabulary.expm1: mpmath.expm1,
    vocabulary.log1p: mpmath.log1p,
    vocabulary.log1mexp: lambda u: mpmath.log(-mpmath.expm1(-u)),
    vocabulary.erf: mpmath.erf,
    vocabulary.erfc: mpmath.erfc,
    vocabulary.erfcx: lambda u: mpmath.exp(u * u) * mpmath.erfc(u),
    vocabulary.log_half_erfc: lambda u: mpmath.log(mpmath.erfc(u) / 2) if u > 0 else mpmath.log1p(-mpmath.erfc(-u) / 2),
    vocabulary.hypot: mpmath.hypot,
}


def _rounded(function: Callable[..., Any], arguments: Sequence[float]) -> float:
    """A function of floats, correctly rounded; what it is not defined for is NaN."""
    if not all(map(math.isfinite, arguments)):
        return math.nan if any(map(math.isnan, arguments)) else _at_infinity(function, arguments)
    try:
        exact = function(*map(mpmath.mpf, arguments))
    except (ValueError, ZeroDivisionError):
        return math.nan
    return math.nan if isinstance(exact, mpmath.mpc) else _to_float(exact)


def _to_float(exact: Any) -> float:
    try:
        return float(exact)
    except OverflowError:
        return math.copysign(math.inf, exact)


def _at_infinity(function: Callable[..., Any], arguments: Sequence[float]) -> float:
    """The limit, read off at the largest float."""
    largest = [math.copysign(2.0**20, a) if math.isinf(a) else a for a in arguments]
    limit = _to_float(function(*map(mpmath.mpf, largest)))
    return math.copysign(math.inf, limit) if abs(limit) >= 2.0**19 else limit


def _product(factors: list[float], divisors: list[float]) -> float:
    """Multiplications and divisions in turn, as the lowering orders them."""
    total, rest = 1.0, list(divisors)
    for f in factors:
        total *= f
        if rest:
            total = _divide(total, rest.pop(0))
    for d in rest:
        total = _divide(total, d)
    return total


def _divide(a: float, b: float) -> float:
    if b == 0:
        return math.nan if a == 0 or math.isnan(a) else math.copysign(math.inf, a)
    return a / b


def in_float64(e: Expr, point: dict[Symbol, float]) -> float:
    """An expression as float64 code computes it, every head correctly rounded."""
    if e.is_Symbol:
        return point[e]
    if e.is_number:
        return float(e)
    if e.is_Add:
        return math.fsum([0.0]) + sum(in_float64(a, point) for a in e.args)
    if e.is_Mul or e.is_Pow:
        return _quotient(e, point)
    return _rounded(_IDEAL[type(e)], [in_float64(a, point) for a in e.args])


def _quotient(e: Expr, point: dict[Symbol, float]) -> float:
    above: list[float] = []
    below: list[float] = []
    for f in sp.Mul.make_args(e):
        base, power = (f.base, f.exp) if f.is_Pow and not f.is_number else (f, sp.S.One)
        x = in_float64(base, point)
        if not power.is_Integer:
            x = math.sqrt(x) if x >= 0 else math.nan
            power *= 2
        (above if power > 0 else below).extend([x] * abs(int(power)))
    return _product(above, below)


def ulps(got: float, truth: Any) -> float:
    """The error in units in the last place of the truth; infinite where a finite truth came out non-finite."""
    nearest = _to_float(truth)
    if math.isinf(nearest):
        return 0.0 if got == nearest else math.inf
    if not math.isfinite(got):
        return math.inf
    return float(abs(got - truth) / math.ulp(nearest))


@dataclass(frozen=True)
class Comparison:
    """The worst point of each side, and the first point where the right side is the worse one by far."""

    left: float
    right: float
    worse: Counterexample | None
    points: int


def _float_points(symbols: Sequence[Symbol], domain: Sequence[tuple[Symbol, str]]) -> Iterator[Point]:
    choices = []
    for s in symbols:
        sizes = [sp.Rational(5, 4) * sp.Rational(2) ** k for k in _EXPONENTS]
        both = [x * sign for x in sizes for sign in (1, -1)]
        choices.append([x for x in both if all(KEPT.get(c, lambda _: True)(x) for v, c in domain if v == s)])
    every = list(itertools.product(*choices))
    stride = 1 if len(every) <= 300 else len(every) // 300
    for combination in every[::stride]:
        yield dict(zip(symbols, combination, strict=True))


def compare(left: Expr, right: Expr, domain: Sequence[tuple[Symbol, str]] = ()) -> Comparison:
    """Measure both sides of an identity in float64 over the whole range of each variable.

    Args:
        left, right: expressions in heads and SymPy functions, equal on the domain.
        domain: pairs of a symbol and a condition of `symgen.rules.rule.CONDITIONS`.
    """
    symbols = sorted(left.free_symbols | right.free_symbols, key=lambda s: s.name)
    worst = [0.0, 0.0]
    worse, seen = None, 0
    for point in _float_points(symbols, domain):
        with mp.workdps(400):
            truth = value(right, point)
            if truth is None:
                continue
            floats = {s: float(x) for s, x in point.items()}
            errors = [ulps(in_float64(side, floats), truth) for side in (left, right)]
        seen += 1
        worst = [max(w, e) for w, e in zip(worst, errors, strict=True)]
        if worse is None and errors[1] > BAD + 4 * errors[0]:
            at = tuple((s.name, repr(floats[s])) for s in symbols)
            worse = Counterexample(at, f"off by {errors[0]:.3g} ULP", f"off by {errors[1]:.3g} ULP")
    return Comparison(worst[0], worst[1], worse, seen)
