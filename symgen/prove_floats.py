"""Whether a rule is worth applying: both sides in float64 with ideal heads, against the truth.

An identity can be true and still a bad rule: ``log(1 + e^-x) -> -x + log1p(e^x)`` overflows where its left side does
not. Every head counts as correctly rounded here, so what is measured is the shape of the formula alone.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import sympy as sp
from flint import arb
from sympy import Expr, Symbol

from symgen import vocabulary
from symgen.prove_points import Counterexample, enclose, spread, value

# a side that is off by this many units in the last place has lost something
BAD = 64.0

# the last but one is where e^-u is subnormal
_POWERS = (-60, -40, -30, -20, -10, -5, -2, 0, 1, 2, 3, 5, 7, 9, 12)
_SIZES = (*(sp.Rational(5, 4) * sp.Rational(2) ** k for k in _POWERS), sp.Integer(720), sp.Integer(2) ** 600)
_VALUES = tuple(size * sign for size in _SIZES for sign in (1, -1))
_MOST_POINTS = 300
_ARGUMENTS = sp.symbols("argument_0 argument_1", real=True)

# beyond it erfc has underflown, and the first term of its asymptotic series is all of it
_FAR = 2.0**20


def _erfc(u: Any) -> Any:
    return arb(0) if u > _FAR else u.erfc()


def _erfcx(u: Any) -> Any:
    return 1 / (u * arb.pi().sqrt()) if u > _FAR else (u * u).exp() * u.erfc()


def _log_half_erfc(u: Any) -> Any:
    return -u * u - (2 * u * arb.pi().sqrt()).log() if u > _FAR else (u.erfc() / 2).log()


# heads whose definition would need thousands of digits in the tail; every other head is its definition, rounded once
_IDEAL: dict[type[Any], Callable[..., Any]] = {
    vocabulary.erfc: _erfc,
    vocabulary.erfcx: _erfcx,
    vocabulary.log_half_erfc: _log_half_erfc,
}


def _to_float(ball: Any | None) -> float:
    if ball is None:
        return math.nan
    try:
        return float(ball)
    except OverflowError:
        return math.copysign(math.inf, 1 if ball > 0 else -1)


def _rounded(e: Expr, arguments: Sequence[float]) -> float:
    """A head of floats, correctly rounded; what it is not defined for is NaN."""
    if any(map(math.isnan, arguments)):
        return math.nan
    # an infinite argument stands for one so large that the head has reached its limit, or keeps growing
    finite = [math.copysign(_FAR, a) if math.isinf(a) else a for a in arguments]
    ideal = _IDEAL.get(type(e))
    if ideal:
        result = _to_float(enclose(lambda: ideal(*map(arb, finite))))
    else:
        # through symbols, so that SymPy does not evaluate log(0) before ball arithmetic sees it
        symbols = _ARGUMENTS[: len(finite)]
        result = _to_float(value(e.func(*symbols), dict(zip(symbols, map(sp.Rational, finite), strict=True))))
    grown = finite != list(arguments) and abs(result) >= _FAR / 2
    return math.copysign(math.inf, result) if grown else result


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
        return _to_float(value(e, {})) if e.atoms(sp.Function) else float(e)
    if e.is_Add:
        return sum(in_float64(a, point) for a in e.args)
    if e.is_Mul or e.is_Pow:
        return _quotient(e, point)
    return _rounded(e, [in_float64(a, point) for a in e.args])


def _raised(x: float, power: float) -> float:
    """A power as the C library gives it, rounded once."""
    try:
        return math.pow(x, power)
    except OverflowError:
        return math.inf
    except ValueError:
        return math.inf if x == 0 else math.nan


def _quotient(e: Expr, point: dict[Symbol, float]) -> float:
    above: list[float] = []
    below: list[float] = []
    for f in sp.Mul.make_args(e):
        base, power = (f.base, f.exp) if f.is_Pow and not f.is_number else (f, sp.S.One)
        x = in_float64(base, point)
        if not (2 * power).is_Integer:
            x, power = _raised(x, in_float64(power, point)), sp.S.One
        elif not power.is_Integer:
            x = math.sqrt(x) if x >= 0 else math.nan
            power *= 2
        (above if power > 0 else below).extend([x] * abs(int(power)))
    return _product(above, below)


def ulps(got: float, truth: Any) -> float:
    """The error in units in the last place of the truth; infinite where a finite truth came out non-finite."""
    nearest = _to_float(truth)
    if math.isinf(nearest) or got == nearest == 0:
        return 0.0 if got == nearest else math.inf
    if not math.isfinite(got):
        return math.inf
    return float(abs(arb(got) - truth) / arb(math.ulp(nearest)))


@dataclass(frozen=True)
class Comparison:
    """The worst point of each side, and the first point where the right side is the worse one by far."""

    left: float
    right: float
    worse: Counterexample | None
    points: int


def compare(left: Expr, right: Expr, domain: Sequence[tuple[Expr, str]] = ()) -> Comparison:
    """Measure both sides of an identity in float64 over the whole range of each variable.

    Args:
        left: an expression in heads and SymPy functions.
        right: another, equal to it on the domain; the truth is its exact value.
        domain: pairs of an expression, most often a symbol, and a condition of `symgen.rules.rule.CONDITIONS`.
    """
    symbols = sorted(left.free_symbols | right.free_symbols, key=lambda s: s.name)
    worst = [0.0, 0.0]
    worse, seen = None, 0
    for point in spread(symbols, _VALUES, domain, _MOST_POINTS):
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
