"""Pieces of the exact function where no algebra is good enough: near zero, around a root, in between, and in a tail.

The oracle is sampled at Chebyshev points to many more bits than the target has. Which shape is tried follows from where
the gap lies; a gap that one polynomial cannot cover is halved. Nothing here knows where the function came from.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from flint import arb, ctx
from sympy import Rational, Symbol

from symgen.approx import fit, split
from symgen.oracle import Oracle
from symgen.stabilize.form import Formula, Piece, Segment
from symgen.stabilize.probe import Target

DEEPEST = 5
STEEPEST = 12  # powers of x that a piece may carry
SAMPLE_BITS = 130


@dataclass(frozen=True)
class Gap:
    """An interval that wants pieces; infinite ends are allowed, `root` is a sign change inside."""

    lower: float
    upper: float
    root: float | None = None


@dataclass(frozen=True)
class Fitter:
    """The exact function of one output, and how exactly a piece must follow it."""

    x: Symbol
    oracle: Oracle
    order: int
    target: Target

    def exact(self, x: arb, bits: int = SAMPLE_BITS) -> arb | None:
        return self.oracle.ball(x, self.order, {}, bits)

    def cover(self, gap: Gap, depth: int = 0) -> list[Segment] | None:
        """Segments that cover the gap, or None where no piece of reasonable size does."""
        if gap.lower < 0 < gap.upper or 0.0 in (gap.lower, gap.upper):
            return self._around_zero(gap, depth)
        if math.isinf(gap.lower) or math.isinf(gap.upper):
            return self._tail(gap)
        found = self._root_piece(gap) if gap.root is not None else self._interior(gap)
        if found is not None:
            return [Segment(gap.lower, gap.upper, found)]
        return self._halved(gap, depth)

    def _halved(self, gap: Gap, depth: int) -> list[Segment] | None:
        if depth >= DEEPEST:
            return None
        root = gap.root
        if root is None:
            middle = _middle(gap.lower, gap.upper)
            parts = [Gap(gap.lower, middle), Gap(middle, gap.upper)]
        else:
            # keep the root inside a piece of its own, a quarter of the way to either end
            left, right = root - (root - gap.lower) / 4, root + (gap.upper - root) / 4
            parts = [Gap(gap.lower, left), Gap(left, right, root), Gap(right, gap.upper)]
        total: list[Segment] = []
        for part in parts:
            piece = self.cover(part, depth + 1)
            if piece is None:
                return None
            total += piece
        return total

    def _fit(
        self, shape: str, low: float, high: float, origin: arb, power: int, zero: arb | None, step: int = 1
    ) -> Piece | None:
        """A polynomial in t for f(origin + t) / (origin + t - zero)**power."""

        def quotient(t: arb) -> arb | None:
            x = origin + t if shape != "tail" else 1 / t
            value = self.exact(x.mid())
            if value is None:
                return None
            base = x - zero if zero is not None else x
            for _ in range(abs(power)):
                value = value / base if power > 0 else value * base
            return value

        polynomial = fit(quotient, low, high, self.target.bits, step)
        if polynomial is None:
            return None
        centre, rest = split(zero if zero is not None else origin)
        arithmetic = "plain" if self.target.name == "f32" else "compensated"
        return Piece(shape, polynomial, power, centre, rest if shape == "root" else 0.0, arithmetic)

    def _interior(self, gap: Gap) -> Piece | None:
        if gap.upper - gap.lower > 8 * min(abs(gap.lower), abs(gap.upper)):
            return None
        centre = (gap.lower + gap.upper) / 2
        return self._fit("interior", gap.lower - centre, gap.upper - centre, arb(centre), 0, None)

    def _root_piece(self, gap: Gap) -> Piece | None:
        assert gap.root is not None
        root = self.refine(gap)
        if root is None:
            return None
        centre = float(root.mid())
        return self._fit("root", gap.lower - centre, gap.upper - centre, arb(centre), 1, root)

    def refine(self, gap: Gap) -> arb | None:
        """The root inside the gap to about 120 bits, by bisection on the sign of balls."""
        saved = ctx.prec
        ctx.prec = 200
        try:
            a, b = arb(gap.lower), arb(gap.upper)
            left = self.exact(a, 30)
            if left is None:
                return None
            for _ in range(190):
                middle = ((a + b) / 2).mid()
                value = self.oracle.jet(middle, {}, 400)[self.order]
                if value.contains(0):
                    # wider than 400 bits can tell: this is the root as far as anybody needs
                    return middle
                if (value > 0) == (left > 0):
                    a = middle
                else:
                    b = middle
            return ((a + b) / 2).mid()
        finally:
            ctx.prec = saved

    def _around_zero(self, gap: Gap, depth: int) -> list[Segment] | None:
        width = max(abs(gap.lower), abs(gap.upper))
        sides = [s for s in (-1, 1) if (gap.lower < 0 if s < 0 else gap.upper > 0)]
        power = self._power(sides[0] * width * 2.0**-60, 2)
        if power is None or power < 0:
            return None
        for reach in _shrinking(width, 6):
            piece = self._zero_piece(reach, sides, power)
            if piece is None:
                continue
            low, high = (-reach if -1 in sides else 0.0), (reach if 1 in sides else 0.0)
            total = [Segment(max(low, gap.lower), min(high, gap.upper), piece)]
            for rest in (Gap(gap.lower, low), Gap(high, gap.upper)):
                if rest.lower < rest.upper:
                    more = self.cover(rest, depth + 1)
                    if more is None:
                        return None
                    total += more
            return sorted(total, key=lambda s: s.lower)
        return None

    def _zero_piece(self, reach: float, sides: list[int], power: int) -> Piece | None:
        even = len(sides) == 2 and all(self._is_even(t, power) for t in (reach / 3, reach / 2))
        if even:
            return self._fit("zero", 0.0, reach, arb(0), power, None, step=2)
        return self._fit("zero", -reach if -1 in sides else 0.0, reach if 1 in sides else 0.0, arb(0), power, None)

    def _is_even(self, t: float, power: int) -> bool:
        right, left = self.exact(arb(t)), self.exact(arb(-t))
        return right is not None and left is not None and right.overlaps(-left if power % 2 else left)

    def _power(self, x: float, factor: int) -> int | None:
        """The power p where f goes like x**p near this x."""
        a, b = self.exact(arb(x)), self.exact(arb(x) * factor)
        if a is None or b is None or a.contains(0) or b.contains(0):
            return None
        p = float((abs(b / a).log() / arb(factor).log()).mid())
        return round(p) if abs(p) < STEEPEST and abs(p - round(p)) < 1e-3 else None

    def _tail(self, gap: Gap) -> list[Segment] | None:
        sign = 1.0 if math.isinf(gap.upper) else -1.0
        start = gap.lower if sign > 0 else -gap.upper
        if math.isinf(gap.lower) and math.isinf(gap.upper):
            return None
        power = self._tail_power(sign)
        if power is None:
            return None
        for reach in _growing(start, 12):
            end = 1.0 / reach
            piece = self._fit("tail", 0.0 if sign > 0 else -end, end if sign > 0 else 0.0, arb(0), power, None)
            if piece is None:
                continue
            body = self._power_law(piece) or piece
            tail = Segment(reach, math.inf, body) if sign > 0 else Segment(-math.inf, -reach, body)
            if reach == start:
                return [tail]
            rest = self.cover(Gap(start, reach) if sign > 0 else Gap(-reach, -start))
            return None if rest is None else ([*rest, tail] if sign > 0 else [tail, *rest])
        return None

    def _power_law(self, piece: Piece) -> Formula | None:
        """A tail that is one power of x, as a formula, which says more than a polynomial of degree zero."""
        if len(piece.polynomial.coefficients) > 1 or piece.polynomial.low:
            return None
        constant = Rational(piece.polynomial.coefficients[0])
        return Formula(constant * self.x**piece.power, piece.arithmetic, source="what it has become")

    def _tail_power(self, sign: float) -> int | None:
        a, b = self.exact(arb(sign) * arb(2) ** 1000), self.exact(arb(sign) * arb(2) ** 1001)
        if a is None or b is None or a.contains(0) or b.contains(0):
            return None
        p = float((abs(b / a).log() / arb(2).log()).mid())
        return round(p) if abs(p) < STEEPEST and abs(p - round(p)) < 1e-9 else None


def _middle(low: float, high: float) -> float:
    """Between two numbers of one sign: geometric where they differ much, else arithmetic."""
    if low * high > 0 and max(abs(low), abs(high)) > 4 * min(abs(low), abs(high)):
        return math.copysign(math.sqrt(abs(low)) * math.sqrt(abs(high)), low)
    return (low + high) / 2


def _shrinking(start: float, times: int) -> Iterator[float]:
    for k in range(times):
        yield start / 2**k


def _growing(start: float, times: int) -> Iterator[float]:
    for k in range(times):
        yield start * 2**k
