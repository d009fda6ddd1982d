"""A proved stand-in for the truth at every float32: polynomials with an error bound that ball arithmetic has shown.

The oracle is far too slow for four billion inputs. A table covers a range of them by pieces, each of which holds a
Taylor polynomial of the definition itself, at the middle of the piece, with a bound of its distance from the exact
function: Lagrange's remainder enclosed over the whole piece, the rounding of the coefficients and that of Horner's
scheme. Nothing in it comes from a kernel. Where no polynomial is good enough, the piece is halved; single floats that
are left over are evaluated by the oracle.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import sympy as sp
from flint import arb
from numpy.typing import NDArray
from sympy import Symbol

from symgen.enclosure import Enclosure, Form
from symgen.features import SIGN
from symgen.kinks import decided
from symgen.oracle import Oracle, working_precision
from symgen.oracle_balls import OracleError, UndecidedError
from symgen.taylor import Series, taylor
from symgen.truth import Floats
from symgen.ulp import FORMATS, from_ordinals, ulp

COUNT = 12  # coefficients of a polynomial
TARGET = 2.0**-20  # ULP of float32: how far a polynomial may be from the function
PRECISIONS = (160, 512)
LINE_PRECISION = 640  # covers the squares of the smallest floats
ALONE = 8  # so few floats are evaluated one by one
MOST_ALONE = 2_000
MOST_PIECES = 5_000
WIDEST = 8.0  # ratio of the ends of a piece for which a polynomial is tried
LINE_BITS = 29  # with the 24 of float32, products by such a slope are exact in float64
MOST_DIVISOR = 2**20  # of a straight line: its product with a midpoint, of 25 bits, is exact in float64
NARROW = 1.25  # ratio of the ends of a piece within which the side of a line shows, if there is one
ROUNDING = 4 * COUNT * 2.0**-53  # of Horner's scheme, multiplications and additions rounded apart, with room to spare
FLOAT32 = FORMATS["float32"]
LARGEST = FLOAT32.largest_ordinal

POLYNOMIAL, ABOVE, BELOW, EXACT, CONSTANT = range(5)
"""What a piece says of the exact value: within the bound; above or below the polynomial, which is exact in float64; on
a straight line of rational coefficients, which the piece holds; or that every input rounds to the first coefficient."""


class NotCoveredError(ValueError):
    """No table of a reasonable size covers the function; the message says where it fails."""


@dataclass(frozen=True)
class Piece:
    """One polynomial in ``(x - centre) * scale`` from one ordinal to another (included).

    Attributes:
        first: ordinal of the smallest magnitude.
        last: ordinal of the largest.
        kind: one of the constants above.
        coefficients: float64, `COUNT` of them.
        bound: distance from the exact function, at most, in ULP of float32.
        line: p, q and r of a straight line ``(p x + q) / r``, of which ``p x``, or q = 0, and products of r with
            midpoints between two float32 are exact.
    """

    first: int
    last: int
    kind: int
    centre: float
    scale: float
    coefficients: tuple[float, ...]
    bound: float
    line: tuple[float, float, float] = (0.0, 0.0, 1.0)


@dataclass(frozen=True)
class Table:
    """Pieces in the order of their inputs, as columns; what no piece covers has no value.

    Attributes:
        first: int64 (n,), ordinals of magnitudes.
        last: int64 (n,).
        kind: int64 (n,).
        places: float64 (n, 2), centre and scale.
        coefficients: float64 (n, COUNT).
        bound: float64 (n,), in ULP.
        line: float64 (n, 3).
        sign: of the inputs, 1 or -1.
    """

    first: NDArray[np.int64]
    last: NDArray[np.int64]
    kind: NDArray[np.int64]
    places: Floats
    coefficients: Floats
    bound: Floats
    line: Floats
    sign: int

    @staticmethod
    def of(pieces: Sequence[Piece], sign: int) -> Table:
        return Table(
            np.array([p.first for p in pieces], np.int64),
            np.array([p.last for p in pieces], np.int64),
            np.array([p.kind for p in pieces], np.int64),
            np.array([(p.centre, p.scale) for p in pieces], np.float64).reshape(-1, 2),
            np.array([p.coefficients for p in pieces], np.float64).reshape(-1, COUNT),
            np.array([p.bound for p in pieces], np.float64),
            np.array([p.line for p in pieces], np.float64).reshape(-1, 3),
            sign,
        )

    @property
    def proved(self) -> float:
        """The largest bound of a piece, in ULP."""
        return float(self.bound.max(initial=0.0))

    def roots(self) -> list[int]:
        """Ordinals at which the function changes sign, or is zero at a single float."""
        first, second = self.coefficients[:, 0], self.coefficients[:, 1]
        lines = (self.kind == ABOVE) | (self.kind == BELOW) | (self.kind == EXACT)
        sign = np.sign(first + np.where(lines, second * self.sign * from_ordinals(self.first, "float32"), 0.0))
        known = np.flatnonzero(sign)
        changed = known[1:][sign[known[1:]] != sign[known[:-1]]]
        alone = [i for i in range(1, len(sign) - 1) if sign[i] == 0 and sign[i - 1] and sign[i + 1]]
        return sorted({int(self.first[i]) for i in (*changed, *alone)})


@dataclass
class Builder:
    """Covers a range of float32 inputs of one sign with proved pieces.

    Args:
        formulas: as `Enclosure` takes them, for inputs of this sign.
        wrt: the input.
        derivative: which one, 0 for the value.
        parameters: values of the other symbols by name.
        sign: of the inputs.
    """

    formulas: Sequence[Form]
    wrt: Symbol
    derivative: int
    parameters: Mapping[str, float]
    sign: int
    alone: list[int] = field(default_factory=list)
    pieces: list[Piece] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.exact = Enclosure(self.formulas, self.wrt, self.derivative, self.parameters)
        self.oracle = Oracle(self.exact.definition, self.wrt, self.derivative, self.exact.equal)
        self.inverse = 1 / self.exact.definition.diff(self.wrt, self.derivative)
        numbers = {s: sp.Rational(self.parameters[s.name]) for s in self.exact.values}
        self.rational = self.exact.definition.xreplace(numbers)

    def table(self, first: int, last: int, beyond: int = 0) -> Table:
        """Pieces from the magnitude with ordinal ``first`` to that of ``last``.

        Args:
            first: of the range.
            last: of the range.
            beyond: so many floats more on both sides, so that a root close by is seen.

        Raises:
            NotCoveredError: too many floats are left over, as of a function that oscillates.
        """
        waiting = [(max(first - beyond, 1), first - 1), (first, last), (last + 1, min(last + beyond, LARGEST))]
        waiting = [(low, high) for low, high in waiting if low <= high]
        while waiting:
            low, high = waiting.pop()
            piece = self.prove(low, high)
            if piece is not None:
                self.pieces.append(piece)
            elif high - low < ALONE:
                self.alone += range(low, high + 1)
            else:
                middle = _split(low, high)
                waiting += [(middle, high), (low, middle - 1)]
            if len(self.alone) > MOST_ALONE or len(self.pieces) > MOST_PIECES:
                x = self.sign * float(from_ordinals(low, "float32"))
                raise NotCoveredError(f"no proved polynomial on a useful interval, as around {x!r}")
        self.pieces += self._singles()
        return Table.of(sorted(self.pieces, key=lambda p: p.first), self.sign)

    def prove(self, first: int, last: int) -> Piece | None:
        """One piece for a range, if its error can be bounded tightly enough."""
        low, high = (float(v) for v in from_ordinals([first, last], "float32"))
        for which in self.exact.order():
            for precision in PRECISIONS if last - first < 2**20 else PRECISIONS[:1]:
                with working_precision(precision):
                    piece = self._attempt(which, first, last, low, high)
                if piece is not None:
                    self.exact.best = which
                    return piece
        return None

    def _attempt(self, which: int, first: int, last: int, low: float, high: float) -> Piece | None:
        """Try the ways in which a piece can be proved, the cheapest first."""
        wide = high > WIDEST * low
        try:
            over = self.exact.over(which, _interval(low, high) * self.sign, 1 if wide else COUNT + 1)
        except UndecidedError:
            return None
        constant = _constant(over[0])
        if constant is None and wide and not over[0].abs_lower() > 0:
            constant = self._overflow(low, high)
        if constant is not None:
            error = 0.0 if constant else min(_up(abs(over[0])) / FLOAT32.smallest, 0.5)
            return Piece(first, last, CONSTANT, 0.0, 0.0, _padded([constant]), error)
        if wide or not over[COUNT].is_finite():
            return None
        if all(c.is_zero() for c in over[2:]):
            straight = self._straight(first, last, low, high, over[0])
            if straight is not None:
                return straight
        if over[0].abs_lower() < FLOAT32.tiny:
            line = self._line(which, first, last, low, high)
            if line is not None:
                return line
            if high > NARROW * low:
                return None  # a side that holds for each half may be hard to show for both
        return self._polynomial(which, first, last, low, high, over)

    def _overflow(self, low: float, high: float) -> float | None:
        """The infinity that all results round to, if the reciprocal is tiny: no ball holds e^100 and e^1e30 alone."""
        try:
            over = taylor(self.inverse, self.wrt, _interval(low, high) * self.sign, 1, self.exact.values)[0]
        except (UndecidedError, OracleError):
            return None
        if not over.abs_upper() < 2.0 ** -(FLOAT32.most + 1):
            return None
        at = self.oracle.ball(self.sign * low, self.derivative, self.parameters, SIGN)
        return None if at is None else math.inf if at > 0 else -math.inf

    def _polynomial(self, which: int, first: int, last: int, low: float, high: float, over: Series) -> Piece | None:
        """A Taylor polynomial, with everything that separates its computed value from the exact one added up."""
        centre = self.sign * (low + high) / 2  # exact: both have 24 bits and lie within a factor of `WIDEST`
        _, exponent = math.frexp((high - low) / 2)  # the half width is at most 2^exponent
        unit = arb(2) ** exponent
        exact = self.exact.at(which, arb(centre), over)[:COUNT]
        scaled = [c * unit**k for k, c in enumerate(exact)]
        if not all(c.is_finite() for c in scaled):
            return None
        rounded = [float(c.mid()) for c in scaled]
        missing = over[COUNT] * unit**COUNT
        rest = sum((abs(c) for c in rounded[1:]), 0.0)
        error = sum((abs(c - r) for c, r in zip(scaled, rounded, strict=True)), abs(missing))
        if rest:  # a constant is not rounded
            error += arb(ROUNDING) * rest + arb(2.0**-52) * abs(rounded[0]) + arb(2.0**-1000)
        size = _up(error)
        least = max(abs(rounded[0]) - rest * (1 + 2.0**-40) - size, _down(over[0].abs_lower()), 0.0)
        bound = size / float(ulp([least], "float32")[0])
        if not bound <= TARGET or not math.isfinite(rest + abs(rounded[0])):
            return None
        return Piece(first, last, POLYNOMIAL, centre, math.ldexp(1.0, -exponent), tuple(rounded), bound)

    def _straight(self, first: int, last: int, low: float, high: float, over: arb) -> Piece | None:
        """(p x + q) / r, exactly, where all higher derivatives vanish: the function itself is a polynomial there.

        Of a line such as x/6 + 1/2, a third of all inputs may give a tie, which no approximation tells from what lies
        beside it.
        """
        if first == last:
            return None
        ends = sp.Rational(low), sp.Rational(high)
        points = [
            self.sign * (ends[0] + (ends[1] - ends[0]) * k / (self.derivative + 1)) for k in range(self.derivative + 2)
        ]
        values = [decided(self.rational.xreplace({self.wrt: point})) for point in points]
        if not all(value.is_Rational for value in values):
            return None
        found = sp.Poly(sp.interpolate(list(zip(points, values, strict=True)), self.wrt), self.wrt)
        found = found.diff((self.wrt, self.derivative)) if self.derivative else found
        slope, intercept = found.coeff_monomial(self.wrt), found.coeff_monomial(1)
        common = int(sp.ilcm(slope.q, intercept.q))
        divisor = common // (common & -common)
        line = float(slope * divisor), float(intercept * divisor), float(divisor)
        exact = sp.Rational(line[0]) == slope * divisor and sp.Rational(line[1]) == intercept * divisor
        if not exact or divisor > MOST_DIVISOR or not (_short(line[0]) or line[1] == 0):
            return None
        error = 2.0**-51 * (abs(float(slope)) * high + abs(float(intercept)))
        bound = error / float(ulp([max(_down(abs(over)), 0.0)], "float32")[0])
        if not bound <= TARGET:
            return None
        return Piece(first, last, EXACT, 0.0, 1.0, _padded([float(intercept), float(slope)]), bound, line)

    def _line(self, which: int, first: int, last: int, low: float, high: float) -> Piece | None:
        """f(x) = slope x with an exact product, and the side on which the function is.

        Results below the normal numbers are coarse: half of all inputs of x/2 + x^2 give a tie in float64, and only the
        side tells which way to round.
        """
        with working_precision(LINE_PRECISION):
            centre = arb((low + high) / 2) * self.sign
            at = self.exact.at(which, centre, self.exact.over(which, centre, 2))
            slope = float(at[1].mid()) if at[1].is_finite() else math.nan
            if not math.isfinite(slope) or not _short(slope):
                return None
            over = self.exact.over(which, _interval(low, high) * self.sign, 3)
            step = arb(0, (high - low) / 2)
            rest = (at[0] - centre * slope) + (at[1] - slope) * step + over[2] * step * step
            kind = ABOVE if rest > 0 else BELOW if rest < 0 else None
            bound = _up(abs(rest)) / FLOAT32.smallest
            if kind is None or not bound <= TARGET:
                return None
            return Piece(first, last, kind, 0.0, 1.0, _padded([0.0, slope]), bound)

    def _singles(self) -> Iterator[Piece]:
        """The floats that are left over, from the oracle; one at which there is no value gets no piece."""
        if not self.alone:
            return
        points = self.sign * from_ordinals(np.array(self.alone), "float32")
        (truth,) = self.oracle.truth(points, self.parameters, (self.derivative,))
        if truth.unknown.any():
            x = float(points[truth.unknown][0])
            raise NotCoveredError(f"the oracle's highest precision is not enough at {x!r}")
        for ordinal, value in zip(self.alone, truth.high.tolist(), strict=True):
            if math.isnan(value):
                continue
            if abs(value) < 2 * FLOAT32.max:
                error = math.ulp(value) / float(ulp([value], "float32")[0]) if value else 0.0
                yield Piece(ordinal, ordinal, POLYNOMIAL, 0.0, 0.0, _padded([value]), error)
            else:
                yield Piece(ordinal, ordinal, CONSTANT, 0.0, 0.0, _padded([math.copysign(math.inf, value)]), 0.0)


def _interval(low: float, high: float) -> arb:
    """A ball that holds every number from low to high."""
    return arb(low).union(arb(high))


def _constant(over: arb) -> float | None:
    """What float32 results all values in a ball round to, if that is zero or an infinity."""
    if over.abs_upper() < FLOAT32.smallest / 2:
        return 0.0
    if over.is_finite() and over.abs_lower() > 2.0 ** (FLOAT32.most + 1):
        return math.inf if over > 0 else -math.inf
    return None


def _split(low: int, high: int) -> int:
    """The ordinal between low (excluded) and high that is divisible by the largest power of two, near the middle."""
    middle = (low + high + 1) // 2
    for bits in range(middle.bit_length() - 1, -1, -1):
        for candidate in (middle >> bits << bits, ((middle >> bits) + 1) << bits):
            if low + (high - low) // 4 < candidate <= high - (high - low) // 4:
                return candidate
    return middle


def _padded(values: Sequence[float]) -> tuple[float, ...]:
    return (*values, *(0.0,) * (COUNT - len(values)))


def _short(slope: float) -> bool:
    """Whether a number has few enough bits for exact products with any float32."""
    mantissa, _ = math.frexp(slope)
    return (mantissa * 2.0**LINE_BITS).is_integer()


def _up(ball: arb) -> float:
    """A float64 not below a nonnegative ball."""
    if not ball.is_finite():
        return math.inf
    return 0.0 if ball.is_zero() else math.nextafter(float(ball.abs_upper()), math.inf)


def _down(ball: arb) -> float:
    return max(math.nextafter(float(ball.lower()), -math.inf), 0.0) if ball.is_finite() else 0.0
