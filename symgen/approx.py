"""Polynomials fitted to an exact function in ball arithmetic, with the error that the rounded coefficients really have.

The function is sampled by the oracle at Chebyshev points to far more bits than float64 has, interpolated exactly, the
coefficients rounded, and the rounded polynomial compared with the function again between the points. The leading
coefficient keeps a low part, since it carries most of the value.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

import numpy as np
from flint import acb, arb, arb_mat, arb_poly, ctx

from symgen.arithmetic import Pair, nearest, parts
from symgen.kernel import Node, const, fma

PRECISION = 256
LARGEST = 1000  # exponent of two; coefficients beyond it are no good to float64
Exact = Callable[[arb], arb | None]


@dataclass(frozen=True)
class Polynomial:
    """``sum c[k] t**(step*k)``; `low` is the rest of c[0], `error` the largest relative error seen."""

    coefficients: tuple[float, ...]
    low: float
    step: int
    error: float

    def node(self, t: Node) -> Pair:
        """Horner's scheme; the constant term is added last, with its low part."""
        z = t if self.step == 1 else t * t
        first, low = parts(self.coefficients[0], self.low)
        rest = self.coefficients[1:]
        if not rest:
            return Pair(const(first), const(low) if low else None)
        total = const(rest[-1])
        for c in reversed(rest[:-1]):
            total = fma(total, z, const(c))
        tail = fma(total, z, const(low))
        high = const(first) + tail
        return Pair(high, tail - (high - const(first)))

    def horner(self, t: Node) -> Node:
        """The value as one node, for a polynomial whose own last place does not matter."""
        total = const(self.coefficients[-1])
        for c in reversed(self.coefficients[:-1]):
            total = fma(total, t, const(c))
        return total

    def slope(self, t: Node) -> Node:
        """The derivative at t, for correcting by the rounding error of t (step 1 only)."""
        terms = [k * c for k, c in enumerate(self.coefficients)][1:] or [0.0]
        total = const(terms[-1])
        for c in reversed(terms[:-1]):
            total = fma(total, t, const(c))
        return total


def to_fraction(ball: arb) -> Fraction:
    """The midpoint of a ball, exactly."""
    mantissa, exponent = ball.mid().man_exp()
    return Fraction(int(mantissa)) * Fraction(2) ** int(exponent)


def split(ball: arb, count: int = 2) -> tuple[float, ...]:
    """The midpoint as the nearest number of the format in use, the nearest to the rest, and so on."""
    rest, found = to_fraction(ball), []
    for _ in range(count):
        found.append(nearest(rest))
        rest = rest - Fraction(found[-1]) if math.isfinite(found[-1]) else Fraction(0)
    return tuple(found)


def fit(f: Exact, low: float, high: float, bits: float, step: int = 1, most: int = 26) -> Polynomial | None:
    """The shortest polynomial in t**step on [low, high] that is within 2**-bits of f, relatively; None if none is.

    Args:
        f: the exact function; None or a ball around zero where it cannot be evaluated.
        low: lower end of the interval in t; with step 2 (an even function) it is zero.
        high: upper end of the interval.
        bits: the relative error asked for, as a power of two.
        step: 1, or 2 for a function of t**2.
        most: the largest number of coefficients tried.
    """
    for count in _lengths(f, low, high, bits, step, most):
        candidate = _interpolate(f, low, high, count, step, 2.0**-bits)
        if candidate is None:
            return None
        if candidate.error < 2.0**-bits:
            return candidate
    return None


LENGTHS = (1, 2, 3, 4, 5, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26)


def _lengths(f: Exact, low: float, high: float, bits: float, step: int, most: int) -> list[int]:
    """The lengths that are worth trying, judged from how fast the Chebyshev coefficients of the function fall off."""
    saved = ctx.prec
    ctx.prec = PRECISION
    try:
        nodes = _points(low, high, most + 2, 0.5) if step == 1 else _points(0.0, high * high, most + 2, 0.5)
        values: list[float] = []
        for x in nodes:
            value = f(x if step == 1 else x.sqrt().mid())
            if value is None or not value.is_finite() or value.contains(0):
                return []
            values.append(value.mid())
    finally:
        ctx.prec = saved
    if len({bool(v > 0) for v in values}) != 1:
        return []
    ratios = np.array([float(v / values[0]) for v in values])  # float64 is enough to see 50 bits fall off
    angles = (np.arange(most + 2) + 0.5) * math.pi / (most + 2)
    with np.errstate(all="ignore"):  # ratios that leave the range of float64 leave no length worth trying
        sizes = np.abs(np.cos(np.outer(np.arange(most + 2), angles)) @ ratios) * 2 / (most + 2)
        left_out = np.cumsum(sizes[::-1])[::-1] / np.abs(ratios).min()
    # a little too hopeful, for an estimate must not leave out a length that would do
    return [k for k in LENGTHS if k <= most and left_out[k] < max(8 * 2.0**-bits, 2.0**-44)]


def _points(low: float, high: float, count: int, shift: float) -> list[arb]:
    middle, half = (arb(low) + arb(high)) / 2, (arb(high) - arb(low)) / 2
    return [(middle + half * arb(math.cos(math.pi * (k + shift) / count))).mid() for k in range(count)]


def _interpolate(
    f: Exact, low: float, high: float, count: int, step: int, most: float = math.inf
) -> Polynomial | None:
    """The polynomial of a length; measured only until its error is known to be larger than `most`."""
    saved = ctx.prec
    ctx.prec = PRECISION
    try:
        nodes = _points(low, high, count, 0.5) if step == 1 else _points(0.0, high * high, count, 0.5)
        values = [f(x if step == 1 else x.sqrt().mid()) for x in nodes]
        known = [v.mid() for v in values if v is not None and v.is_finite()]
        if len(known) < count:
            return None
        fitted = arb_poly.interpolate([v.mid() for v in nodes], known)
        exact = [fitted[k] for k in range(count)]
        if not all(c.is_finite() for c in exact):
            return None
        if any(abs(c) > arb(2) ** LARGEST for c in exact):
            return None
        first, rest = split(exact[0])
        coefficients = (first, *(nearest(to_fraction(c)) for c in exact[1:]))
        rounded = arb_poly([arb(first) + arb(rest), *(arb(c) for c in coefficients[1:])])
        worst, signs = 0.0, set()
        for x in _points(low if step == 1 else 0.0, high, 3 * count + 4, 0.37):
            truth = f(x)
            if truth is None or not truth.is_finite() or truth.contains(0):
                return None
            signs.add(bool(truth > 0))
            gap = abs((rounded(x if step == 1 else x * x) - truth) / truth)
            worst = max(worst, float(gap.abs_upper()))
            if worst > most:
                break
        # next to a root no relative error holds, however good it looks at the points
        return Polynomial(coefficients, rest, step, worst) if len(signs) == 1 else None
    finally:
        ctx.prec = saved


def fit_proved(f: Callable[[Any], Any], low: float, high: float, bits: float, most: int = 40) -> Polynomial | None:
    """The shortest polynomial on [low, high] that is proved to be within 2**-bits of f, relatively; None if none is.

    Args:
        f: the exact function of real and of complex balls, analytic around the interval.
        low: lower end.
        high: upper end.
        bits: the relative error asked for, as a power of two.
        most: the largest number of coefficients tried.
    """
    for count in range(2, most + 1):
        candidate = _interpolate(f, low, high, count, 1, 2.0**-bits)
        if candidate is not None and candidate.error < 2.0**-bits:
            bound = prove(candidate, f, low, high)
            if bound < 2.0**-bits:
                return replace(candidate, error=bound)
    return None


def fit_in_turn(f: Exact, low: float, high: float, bits: float, most: int = 20) -> Polynomial | None:
    """The shortest polynomial whose rounded coefficients are within 2**-bits of f at the points that are checked.

    Rounding all coefficients at once loses what later ones could make up for, of few digits too much: here each is
    rounded in turn, and those after it fitted to what that leaves, by least squares of the relative error.

    Args:
        f: the exact function, without a root.
        low: lower end of the interval.
        high: upper end.
        bits: the relative error asked for, as a power of two.
        most: the largest number of coefficients tried.
    """
    saved = ctx.prec
    ctx.prec = PRECISION
    try:
        sample, checked = ([(x, f(x)) for x in _points(low, high, 6 * most, at)] for at in (0.5, 0.37))
        if any(v is None or not v.is_finite() or v.contains(0) for _, v in (*sample, *checked)):
            return None
        for count in range(2, most + 1):
            low_part, *coefficients = _in_turn([(x, v.mid()) for x, v in sample if v is not None], count)
            polynomial = arb_poly([arb(coefficients[0]) + arb(low_part), *(arb(c) for c in coefficients[1:])])
            worst = max(float(abs(polynomial(x) / v - 1).abs_upper()) for x, v in checked if v is not None)
            if worst < 2.0**-bits:
                return Polynomial(tuple(coefficients), low_part, 1, worst)
        return None
    finally:
        ctx.prec = saved


def _in_turn(points: list[tuple[arb, arb]], count: int) -> list[float]:
    """The rest of the first coefficient and the coefficients, each rounded before those after it are fitted."""
    found: list[float] = []
    low = 0.0
    for k in range(count):
        known = arb_poly([arb(c) for c in found]) + arb(low)
        terms = arb_mat([[x**j / v for j in range(k, count)] for x, v in points])
        left = arb_mat([[1 - known(x) / v] for x, v in points])
        turned = terms.transpose()
        first, rest = split((turned * terms).solve(turned * left)[0, 0])
        found.append(first)
        low = low if k else rest
    return [low, *found]


def prove(polynomial: Polynomial, f: Callable[[Any], Any], low: float, high: float) -> float:
    """A bound of |P - f|/|f| on [low, high] that holds everywhere there; infinite where ball arithmetic shows none.

    The difference d = P - f is analytic in an ellipse around the interval, where ball arithmetic bounds it by M. Then
    the polynomial that agrees with d at m Chebyshev points is within 4 M r^-m / (r - 1) of d (Trefethen, Approximation
    Theory, theorem 8.2), and a polynomial of degree below m is at most 1/cos(pi m / 2 n) times what it reaches at n > m
    Chebyshev points (Ehlich and Zeller 1964).

    Args:
        polynomial: of step one; the low part of its first coefficient is not counted.
        f: the exact function of real and of complex balls, analytic in the ellipse.
        low: lower end.
        high: upper end.
    """
    saved = ctx.prec
    ctx.prec = PRECISION
    try:
        p = [arb(c) for c in polynomial.coefficients]
        middle, half = (arb(low) + arb(high)) / 2, (arb(high) - arb(low)) / 2
        largest = _largest_on_ellipse(p, f, middle, half)
        degree = DEGREE
        truncation = 4 * largest * arb(RATIO) ** -degree / (arb(RATIO) - 1)
        seen = arb(0)
        for t in _points(low, high, OVERSAMPLED * degree, 0.5):
            gap = abs(_horner(p, t) - f(t)).abs_upper()
            seen = max(seen, gap)
        # what the interpolant is at those points differs from d by the truncation, too
        above = (seen + truncation) / (arb.pi() / (2 * OVERSAMPLED)).cos() + truncation
        least = min((abs(f(piece)).abs_lower() for piece in _pieces(low, high)), key=float)
        return float((above / least).abs_upper()) if least > 0 else math.inf
    finally:
        ctx.prec = saved


RATIO = 2.0  # of the ellipse: the sum of its half axes, for the interval [-1, 1]
DEGREE = 96  # 2^-96 times what the difference is on the ellipse is far below every target
OVERSAMPLED = 4
ARCS = 48


def _horner(coefficients: list[Any], t: Any) -> Any:
    total = coefficients[-1]
    for c in reversed(coefficients[:-1]):
        total = total * t + c
    return total


def _largest_on_ellipse(p: list[arb], f: Callable[[Any], Any], middle: arb, half: arb) -> arb:
    """A bound of |p - f| on the ellipse with foci at the ends, which is where it is largest."""
    largest = arb(0)
    for k in range(ARCS):
        angle = arb(2 * k + 1, 1) * arb.pi() / ARCS
        z = acb(0, angle).exp()
        t = middle + half * (RATIO * z + 1 / (RATIO * z)) / 2
        bound = abs(_horner([acb(c) for c in p], t) - f(t)).abs_upper()
        if not bound.is_finite():
            return arb(math.inf)
        largest = max(largest, bound)
    return largest


def _pieces(low: float, high: float, count: int = 64) -> list[arb]:
    """Balls that cover the interval."""
    width = (arb(high) - arb(low)) / count
    return [arb(low) + width * (arb(2 * k + 1, 1) / 2) for k in range(count)]
