"""Pieces of the exact function where no algebra is good enough: near zero, around a root, in between, and in a tail.

The oracle is sampled at Chebyshev points to many more bits than the target has. Which shape is tried follows from where
the gap lies; a gap that one polynomial cannot cover is halved. Nothing here knows where the function came from.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Any

import numpy as np
import sympy as sp
from flint import arb, ctx
from sympy import Expr, Rational, Symbol

from symgen.approx import Polynomial, fit, split
from symgen.arithmetic import Pair
from symgen.kernel import Node
from symgen.oracle import Oracle
from symgen.stabilize.form import Constant, Formula, Piece, Segment
from symgen.stabilize.probe import Target

DEEPEST = 5
MOST_FITS = 200  # tried for one output: effort is bounded, and what is left is reported
STEEPEST = 12  # powers of x that a piece may carry
DENOMINATOR = 6  # of a power at zero or in a tail
SAMPLE_BITS = 130
FAR = (1000, 500, 250, 120, 60)  # octaves at which a tail's power is judged, the nearer ones where f is tiny far out
WIDE = 16.0  # ratio of the ends of a gap beyond which it is treated as a part of a tail, or of what is around zero
STEEP = 30.0  # ratio of the ends of a gap beyond which an exponential is taken out
FLATTEST = 2.0**-40  # of a rate: below, the exponential is as good as constant
_EMPTY = Polynomial((0.0,), 0.0, 1, 0.0)  # until it is fitted


@dataclass(frozen=True)
class Gap:
    """An interval that wants pieces; infinite ends are allowed, `root` is a root inside."""

    lower: float
    upper: float
    root: float | None = None

    @property
    def width(self) -> float:
        """In octaves where one sign leaves zero out, so that halves and tails compare."""
        near, far = sorted((abs(self.lower), abs(self.upper)))
        if self.lower < 0 < self.upper or near == 0 or math.isinf(far):
            return 1.0
        return math.log(far / near)

    @property
    def sign(self) -> float:
        return 1.0 if self.lower >= 0 else -1.0


@dataclass(frozen=True)
class Hole:
    """A part of a gap that no piece can serve, such as the end of a domain at which a derivative has no bound."""

    arithmetic: str = "plain"
    expression: None = None
    kind: str = "hole"
    note: str = "nothing fits"

    def node(self, _x: Symbol, _bound: Mapping[Symbol, Pair], _scale: Expr = sp.S.One) -> Node:
        raise AssertionError("a hole has no code")


@dataclass
class Memory:
    """What a fitter has done: the gaps that it has covered, and how many fits it has tried."""

    covered: dict[Gap, list[Segment] | None] = field(default_factory=dict)
    fits: int = 0
    partial: Memory | None = None


@dataclass(frozen=True)
class Fitter:
    """The exact function of one output, and how exactly a piece must follow it."""

    x: Symbol
    oracle: Oracle
    order: int
    target: Target
    memory: Memory = field(default_factory=Memory, compare=False, repr=False)
    partial: bool = False

    def partially(self) -> Fitter:
        """The same, but content with a part of a gap: what it cannot cover is a `Hole`."""
        self.memory.partial = self.memory.partial or Memory()
        return replace(self, memory=self.memory.partial, partial=True)

    @property
    def arithmetic(self) -> str:
        return "short" if self.target.name == "f32" else "compensated"

    def exact(self, x: arb, bits: int = SAMPLE_BITS) -> arb | None:
        return self.oracle.ball(x, self.order, {}, bits)

    def fill(self, gap: Gap) -> list[Segment] | None:
        """As `cover`, from memory where a gap has been covered that holds this one and is not much wider."""
        for old, segments in self.memory.covered.items():
            if old.lower <= gap.lower and gap.upper <= old.upper and (old.root is None) == (gap.root is None):
                if segments is None and old == gap:
                    return None
                if segments is not None and gap.width > old.width / 2:
                    inside = [s for s in segments if s.upper > gap.lower and s.lower < gap.upper]
                    return [Segment(max(s.lower, gap.lower), min(s.upper, gap.upper), s.body) for s in inside]
        found = self.memory.covered[gap] = self.cover(gap)
        return found

    def cover(self, gap: Gap, depth: int = 0) -> list[Segment] | None:
        """Segments that cover the gap, or None where no piece of reasonable size does."""
        if gap.lower < 0 < gap.upper or 0.0 in (gap.lower, gap.upper):
            return self._around_zero(gap, depth)
        if math.isinf(gap.lower) or math.isinf(gap.upper):
            return self._tail(gap, depth)
        found = self._root_piece(gap) if gap.root is not None else self._wide(gap) or self._interior(gap)
        if found is not None:
            return [Segment(gap.lower, gap.upper, found)]
        return self._halved(gap, depth)

    def _halved(self, gap: Gap, depth: int) -> list[Segment] | None:
        if depth >= DEEPEST:
            return None
        root = gap.root
        if root is None:
            middle = _middle(gap.lower, gap.upper)
            return self._all([Gap(gap.lower, middle), Gap(middle, gap.upper)], depth + 1)
        # keep the root inside a piece of its own, a quarter of the way to either end
        left, right = root - (root - gap.lower) / 4, root + (gap.upper - root) / 4
        return self._all([Gap(gap.lower, left), Gap(left, right, root), Gap(right, gap.upper)], depth + 1)

    def _all(self, parts: list[Gap], depth: int) -> list[Segment] | None:
        """Segments for several gaps; one of them may stay a hole where a part is better than nothing."""
        found = [(p, self.cover(p, depth)) for p in parts if p.lower < p.upper]
        if sum(segments is None for _, segments in found) > (1 if len(found) > 1 and self.partial else 0):
            return None
        total: list[Segment] = []
        for part, segments in found:
            total += [Segment(part.lower, part.upper, Hole())] if segments is None else segments
        return total

    def _fit(self, piece: Piece, low: float, high: float, origin: arb, factor: Callable[[arb], arb]) -> Piece | None:
        """The piece with a polynomial for f(x) / factor(x), t between low and high, x = origin + t or 1/t in a tail."""

        def quotient(t: arb) -> arb | None:
            x = (origin + t if piece.shape != "tail" else 1 / t).mid()
            value = self.exact(x)
            return None if value is None else value / factor(x)

        self.memory.fits += 1
        if self.memory.fits > MOST_FITS:
            return None
        polynomial = fit(quotient, low, high, self.target.bits, piece.polynomial.step)
        if polynomial is None or not _has_numbers(polynomial, self.target):
            return None
        return replace(piece, polynomial=polynomial)

    def _piece(self, shape: str, step: int = 1, **fields: Any) -> Piece:
        return Piece(shape, replace(_EMPTY, step=step), arithmetic=self.arithmetic, **fields)

    def _wide(self, gap: Gap) -> Piece | None:
        """Over many octaves: a power of x times a polynomial in 1/x or in x, as in a tail or at zero."""
        near, far = sorted((abs(gap.lower), abs(gap.upper)))
        if far < WIDE * near:
            return None
        tail = self._tail_power(gap.sign)
        if tail is not None and (found := self._in_tail(gap, tail)):
            return found
        zero = self._power(lambda h: arb(gap.sign) * h, near, 2.0**-60)
        if zero is None:
            return None
        piece = self._piece("zero", power=_plain(zero))
        return self._fit(piece, gap.lower, gap.upper, arb(0), lambda x: _raised(x, zero))

    def _in_tail(self, gap: Gap, power: Fraction) -> Piece | None:
        ends = [0.0 if math.isinf(v) else 1.0 / v for v in (gap.upper, gap.lower)]
        piece = self._piece("tail", power=_plain(power))
        return self._fit(piece, ends[0], ends[1], arb(0), lambda x: _raised(x, power))

    def _interior(self, gap: Gap) -> Piece | None:
        if gap.upper - gap.lower > 8 * min(abs(gap.lower), abs(gap.upper)):
            return None
        centre = (gap.lower + gap.upper) / 2
        low, high = gap.lower - centre, gap.upper - centre
        rate = self._rate(gap)
        if rate is None:
            return None
        shape = "decaying" if rate else "interior"
        piece = self._piece(shape, centre=centre, rate=rate)
        return self._fit(piece, low, high, arb(centre), lambda x: (arb(rate) * x).exp())

    def _rate(self, gap: Gap) -> float | None:
        """The exponential to take out of a gap whose ends differ much, in few bits; zero where they do not.

        None where the function is zero, infinite or unknown at an end, or known to too few bits to compare them.
        """
        left, right = self.exact(arb(gap.lower), 60), self.exact(arb(gap.upper), 60)
        if left is None or right is None or left.contains(0) or right.contains(0):
            return None
        growth = float(abs(right / left).log())
        if not math.isfinite(growth):
            return None
        slope = growth / (gap.upper - gap.lower)
        if abs(growth) < math.log(STEEP) or abs(slope) < FLATTEST:
            return 0.0
        mantissa, exponent = math.frexp(slope)
        return math.ldexp(round(mantissa * 64) / 64, exponent)

    def _root_piece(self, gap: Gap) -> Piece | None:
        assert gap.root is not None
        root = self.refine(gap)
        if root is None:
            return None
        centre, rest, last = split(root, 3)
        power = self._power(lambda h: root + h, gap.upper - centre, 2.0**-20)
        if power is None or power < 1 or power.denominator != 1:
            return None
        piece = self._piece("root", power=int(power), centre=centre, centre_low=rest, centre_last=last)
        low, high = gap.lower - centre, gap.upper - centre
        return self._fit(piece, low, high, arb(centre), lambda x: _raised(x - root, power))

    def refine(self, gap: Gap) -> arb | None:
        """The root inside the gap to about 120 bits, by bisection on the sign of balls.

        A root at which the function does not change its sign is one of the derivative.
        """
        saved = ctx.prec
        ctx.prec = 200
        try:
            for order in (self.order, self.order + 1):
                if order <= self.oracle.order:
                    left, right = (self.oracle.ball(arb(v), order, {}, 30) for v in (gap.lower, gap.upper))
                    if left is not None and right is not None and (left > 0) != (right > 0):
                        found = self._bisected(gap, order, bool(left > 0))
                        # of high order, a root that is a float64 is known better than bisection can tell
                        near = arb(float(found))
                        return near if self.oracle.jet(near, {}, 400)[self.order].is_zero() else found
            # of even order, and beyond the derivatives at hand: it may still be a number of few bits
            value = None if gap.root is None else self.oracle.jet(arb(gap.root), {}, 400)[self.order]
            return arb(gap.root) if value is not None and value.is_zero() else None
        finally:
            ctx.prec = saved

    def _bisected(self, gap: Gap, order: int, left: bool) -> arb:
        a, b = arb(gap.lower), arb(gap.upper)
        for _ in range(190):
            middle = ((a + b) / 2).mid()
            value = self.oracle.jet(middle, {}, 400)[order]
            if value.contains(0):
                # wider than 400 bits can tell: this is the root as far as anybody needs
                return middle
            a, b = (middle, b) if bool(value > 0) == left else (a, middle)
        return ((a + b) / 2).mid()

    def _around_zero(self, gap: Gap, depth: int) -> list[Segment] | None:
        if depth >= DEEPEST:
            return None
        width = max(abs(gap.lower), abs(gap.upper))
        sides = [s for s in (-1, 1) if (gap.lower < 0 if s < 0 else gap.upper > 0)]
        power = self._power(lambda h: arb(sides[0]) * h, width, 2.0**-60)
        if power is not None and (power.denominator == 1 or len(sides) == 1):
            for reach in _shrinking(width, 6):
                piece = self._zero_piece(reach, sides, power)
                if piece is None:
                    continue
                low, high = (-reach if -1 in sides else 0.0), (reach if 1 in sides else 0.0)
                middle = Segment(max(low, gap.lower), min(high, gap.upper), piece)
                sides_left = [g for g in (Gap(gap.lower, low), Gap(high, gap.upper)) if g.lower < g.upper]
                around = [self.cover(g, depth + 1) for g in sides_left]
                if None in around and not self.partial:
                    return None
                rest = [s or [Segment(g.lower, g.upper, Hole())] for g, s in zip(sides_left, around, strict=True)]
                return sorted([middle, *(s for segments in rest for s in segments)], key=lambda s: s.lower)
        # a kink at zero: each side has a series of its own
        return self._all([Gap(gap.lower, 0.0), Gap(0.0, gap.upper)], depth + 1) if len(sides) == 2 else None

    def _zero_piece(self, reach: float, sides: list[int], power: Fraction) -> Piece | None:
        even = len(sides) == 2 and all(self._is_even(t, power) for t in (reach / 3, reach / 2))
        piece = self._piece("zero", 2 if even else 1, power=_plain(power))
        low = 0.0 if even or -1 not in sides else -reach
        return self._fit(piece, low, reach if 1 in sides else 0.0, arb(0), lambda x: _raised(x, power))

    def _is_even(self, t: float, power: Fraction) -> bool:
        right, left = self.exact(arb(t)), self.exact(arb(-t))
        return right is not None and left is not None and right.overlaps(-left if power % 2 else left)

    def _power(self, at: Callable[[arb], arb], width: float, near: float) -> Fraction | None:
        """The power p where f goes like h**p, at points h a small part of the width away."""
        h = arb(width) * arb(near)
        a, b = self.exact(at(h).mid()), self.exact(at(2 * h).mid())
        return _slope(a, b, 1e-3 if near > 2.0**-30 else 1e-6)

    def _tail(self, gap: Gap, depth: int) -> list[Segment] | None:
        if (math.isinf(gap.lower) and math.isinf(gap.upper)) or depth >= DEEPEST:
            return None
        sign = gap.sign
        start = gap.lower if sign > 0 else -gap.upper
        power = self._tail_power(sign)
        if power is None:
            return self._exponential_tail(gap, depth)
        for reach in _growing(start, 16):
            found = self._in_tail(Gap(reach, math.inf) if sign > 0 else Gap(-math.inf, -reach), power)
            if found is None:
                continue
            body = self._power_law(found) or found
            tail = Segment(reach, math.inf, body) if sign > 0 else Segment(-math.inf, -reach, body)
            rest = self._all([Gap(start, reach) if sign > 0 else Gap(-reach, -start)], depth + 1)
            return None if rest is None else ([*rest, tail] if sign > 0 else [tail, *rest])
        return None

    def _power_law(self, piece: Piece) -> Formula | None:
        """A tail that is one power of x, as a formula, which says more than a polynomial of degree zero."""
        if len(piece.polynomial.coefficients) > 1 or piece.polynomial.low or isinstance(piece.power, Fraction):
            return None
        constant = Rational(piece.polynomial.coefficients[0])
        return Formula(constant * self.x**piece.power, piece.arithmetic, source="what it has become")

    def _tail_power(self, sign: float) -> Fraction | None:
        for octave in FAR:
            far = arb(sign) * arb(2) ** octave
            a, b = self.exact(far), self.exact(2 * far)
            if a is None or b is None or a.contains(0) or b.contains(0):
                continue
            return _slope(a, b, 1e-6 if octave < 100 else 1e-9)
        return None

    def _exponential_tail(self, gap: Gap, depth: int) -> list[Segment] | None:
        """Pieces as far as the function is a number of the target, then the zero or the infinity that it has become."""
        sign = gap.sign
        start = gap.lower if sign > 0 else -gap.upper
        ends = self._gone(sign, start)
        if ends is None:
            return None
        end, value = ends
        rest = Segment(end, math.inf, Constant(value)) if sign > 0 else Segment(-math.inf, -end, Constant(value))
        before = self._all([Gap(start, end) if sign > 0 else Gap(-end, -start)], depth + 1)
        return None if before is None else ([*before, rest] if sign > 0 else [rest, *before])

    def _gone(self, sign: float, start: float) -> tuple[float, float] | None:
        """From where on the function is zero or infinite in the target, if it is so at a moderate distance."""
        small, large = arb(2) ** (self.target.least - self.target.digits), arb(self.target.largest)

        def state(x: float) -> float | None:
            value = self.exact(arb(sign * x), 30)
            if value is None:
                return math.nan
            if value.abs_upper() < small:
                return 0.0
            return math.copysign(math.inf, float(value.mid())) if value.abs_lower() > large else None

        far = next((start * 2**k for k in range(1, 14) if state(start * 2**k) is not None), None)
        if far is None or math.isnan(state(far) or 0.0):
            return None
        low, high = far / 2, far
        while high - low > 2.0**-12 * high:
            middle = (low + high) / 2
            low, high = (low, middle) if state(middle) is not None else (middle, high)
        value = state(high)
        return None if value is None or math.isnan(value) else (high, value)


def _has_numbers(polynomial: Polynomial, target: Target) -> bool:
    """Whether coefficients are in the range of what computes: next to an exponential that vanishes some are not."""
    with np.errstate(over="ignore"):
        return bool(np.isfinite(np.asarray(polynomial.coefficients, target.computes)).all())


def _slope(a: arb | None, b: arb | None, tolerance: float) -> Fraction | None:
    """The power of two by which values at h and 2h differ, if it is a simple fraction."""
    if a is None or b is None or a.contains(0) or b.contains(0):
        return None
    p = float((abs(b / a).log() / arb(2).log()).mid())
    if not abs(p) < STEEPEST:
        return None
    power = Fraction(p).limit_denominator(DENOMINATOR)
    return power if abs(p - power) < tolerance else None


def _plain(power: Fraction) -> int | Fraction:
    return int(power) if power.denominator == 1 else power


def _raised(base: arb, power: Fraction) -> arb:
    """base**power, of the magnitude where the power is no integer."""
    if power.denominator != 1:
        return (abs(base).log() * power.numerator / power.denominator).exp()
    product = arb(1)
    for _ in range(abs(power.numerator)):
        product = product * base
    return product if power >= 0 else 1 / product


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
