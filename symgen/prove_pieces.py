"""Proofs of fitted pieces: how far each is from the exact function, on its whole interval, by ball arithmetic.

What is compared is the piece as its fields define it, in exact arithmetic; rounding while it is evaluated is measured,
not proved. An interval is covered by boxes. On a box, the Taylor coefficients of piece minus function at the middle and
Lagrange's remainder over the box bound the difference, and the same for the function alone bounds its size from below.
Around a zero of the function both vanish; there the common power of x - root is divided out of the series first.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import partial

import sympy as sp
from flint import arb, fmpq
from sympy import Expr, Symbol

from symgen import build, build_keys, config, files
from symgen.certify import Knowledge, sides_of
from symgen.derivation import DerivedVariant, Output
from symgen.enclosure import Enclosure, ProofError
from symgen.layers import generated
from symgen.oracle import working_precision
from symgen.oracle_balls import OracleError, UndecidedError
from symgen.pipeline import derive
from symgen.proofs import Obligation, Proof, Refutation, Undecided, Verdict
from symgen.spec import load
from symgen.spec.model import Op
from symgen.stabilize.form import Form
from symgen.stabilize.piece import Piece
from symgen.taylor import Series, add, exponential, general_power, integer_power, multiply

DTYPES = {"f32": "float32", "f64": "float64", "cuda32": "float32 on a GPU"}
PRECISION = 320
AT_ZERO = 6000  # bits: the definition's error at zero itself must vanish beside powers of the smallest float
LENGTH = 24  # Taylor coefficients on a box
MARGIN = 2.0  # a proof allows so much more than the error at the points checked
FLOOR = 2.0**-70  # below, the exact fraction does not matter
MOST_BOXES = 20_000
NARROWEST = 2.0**-44  # of a box, relatively
WIDEST = 2.0  # octaves of a box on one side of zero
GROWTH = 1.4  # a box this much wider than one that was good may be good too; one that failed need not be tried again
LARGEST = sys.float_info.max
SMALLEST = arb(2) ** -1074
NARROWED = 40  # halvings of the box around a root


@dataclass(frozen=True)
class Claim:
    """A piece on its interval, for one derivative of a formula.

    Attributes:
        title: output, dtype and interval, for a person.
        piece: what is evaluated there.
        lower: end of the interval, perhaps infinite.
        upper: the other end.
        exact: the function for inputs of each sign.
    """

    title: str
    piece: Piece
    lower: float
    upper: float
    exact: dict[int, Enclosure]

    @property
    def allowed(self) -> float:
        return MARGIN * max(self.piece.polynomial.error, FLOOR)

    def at(self, x: arb, length: int) -> Series:
        """Taylor coefficients of the piece at a point or over a ball."""
        t = [x - self.piece.centre, arb(1)]
        if self.piece.shape == "tail":
            t = integer_power([x, arb(1)], -1, length)
        value = _evaluated(self.polynomial(), t, length)
        if self.piece.shape == "decaying":
            return multiply(value, exponential([x * self.piece.rate, arb(self.piece.rate)], length), length)
        base = [x - self.piece.centre - self.piece.centre_low, arb(1)] if self.piece.shape == "root" else [x, arb(1)]
        return multiply(value, _powered(base, self.piece.power, length), length)

    def polynomial(self) -> Series:
        """P in powers of t."""
        p = self.piece.polynomial
        dense = [arb(0)] * (p.step * (len(p.coefficients) - 1) + 1)
        for k, c in enumerate(p.coefficients):
            dense[k * p.step] = arb(c)
        dense[0] += arb(p.low)
        return dense


def _evaluated(coefficients: Series, t: Series, length: int) -> Series:
    """Horner's scheme on a series."""
    result = [coefficients[-1]]
    for c in reversed(coefficients[:-1]):
        result = add(multiply(result, t, length), [c])
    return result + [arb(0)] * (length - len(result))


def _powered(base: Series, power: int | Fraction, length: int) -> Series:
    if power == int(power):
        return integer_power(base, int(power), length)
    positive = base if base[0] > 0 else [-c for c in base]
    return general_power(positive, arb(fmpq(power.numerator, power.denominator)), length)


class NotShownError(ValueError):
    """Ball arithmetic does not bound the error; the message says where."""


class RefutedError(ValueError):
    """At one point the error is certainly larger than allowed."""


def bound(claim: Claim) -> tuple[float, int]:
    """An upper bound of the relative error of a piece at every float64 of its interval, and how many boxes it took.

    Raises:
        RefutedError: the error is larger than `Claim.allowed` at a point.
        NotShownError: the boxes became too many or too narrow.
    """
    with working_precision(PRECISION):
        worst, boxes, waiting = 0.0, 0, []
        for low, high in _around_root(claim):
            if low is None:
                worst, boxes = max(worst, high), boxes + 1
            else:
                waiting.append((low, high))
        widest = WIDEST
        while waiting:
            low, high = waiting.pop()
            width = _width(low, high)
            if width <= widest:
                boxes, found = boxes + 1, _on_box(claim, low, high)
                if found <= claim.allowed:
                    worst, widest = max(worst, found), max(widest, min(width * GROWTH, WIDEST))
                    continue
                widest = width / GROWTH
            if boxes > MOST_BOXES or high - low < NARROWEST * max(abs(low), abs(high)):
                raise NotShownError(f"{claim.title}: no bound around {low!r}")
            middle = _middle(low, high)
            waiting += [(middle, high), (low, middle)]
        return worst, boxes


def _width(low: float, high: float) -> float:
    """In octaves, infinite where zero is inside."""
    return abs(math.log2(abs(high)) - math.log2(abs(low))) if low < high < 0 or 0 < low < high else math.inf


def _middle(low: float, high: float) -> float:
    """The arithmetic mean of near ends, the geometric one of far ends of the same sign."""
    if low < 0 < high:
        return 0.0
    size = sorted((abs(low), abs(high)))
    if size[0] == 0 or size[1] <= 2.0**WIDEST * size[0]:
        return low / 2 + high / 2
    return math.copysign(math.sqrt(size[0]) * math.sqrt(size[1]), low + high)


def _on_box(claim: Claim, low: float, high: float) -> float:
    """The relative error on a box that does not hold zero, infinite where it cannot be bounded."""
    exact, best = claim.exact[1 if high > 0 else -1], math.inf
    centre = arb(low / 2 + high / 2)
    radius = max(arb(high) - centre, centre - arb(low)).abs_upper()
    ball = arb(low).union(arb(high))
    for which in exact.order():
        try:
            over = exact.over(which, ball, LENGTH + 1)
            truth = exact.at(which, centre, over)
        except UndecidedError:
            continue
        fitted, fitted_over = claim.at(centre, LENGTH), claim.at(ball, LENGTH + 1)
        gap = _taylor_bound(_minus(fitted, truth[:LENGTH]), fitted_over[LENGTH:], over[LENGTH:], radius)
        size = max(_least(truth[:LENGTH], over[LENGTH:], radius), over[0].abs_lower())
        if size > 0 and gap.is_finite():
            best = min(best, _up(gap / size))
        if truth[0].abs_lower() > 0 and fitted and abs(fitted[0] - truth[0]) > abs(truth[0]) * claim.allowed:
            piece, function = (c[0].str(20, radius=False) for c in (fitted, truth))
            raise RefutedError(f"{claim.title}: at {float(centre)!r} the piece is {piece}, the function {function}")
        if best <= claim.allowed:
            exact.best = which
            break
    return best


def _minus(a: Series, b: Series) -> Series:
    return add(a, [-c for c in b])


def _taylor_bound(difference: Series, fitted: Series, exact: Series, radius: arb) -> arb:
    """What a difference is at most within a radius, from its series and both remainders."""
    total = (abs(fitted[0]) if fitted else arb(0)) * radius**LENGTH + abs(exact[0]) * radius**LENGTH
    for k, c in enumerate(difference):
        total += abs(c) * radius**k
    return total.abs_upper()


def _least(truth: Series, remainder: Series, radius: arb) -> arb:
    """What a function is at least within a radius."""
    rest = abs(remainder[0]) * radius**LENGTH
    for k in range(1, LENGTH):
        rest += abs(truth[k]) * radius**k
    return (abs(truth[0]) - rest).lower()


# --- around a root --------------------------------------------------------------------------------------------------


def _around_root(claim: Claim) -> Iterator[tuple[float | None, float]]:
    """The error on a box around the root as (None, error), and what is left of the interval on both sides."""
    piece = claim.piece
    lower, upper, root = max(claim.lower, -LARGEST), min(claim.upper, LARGEST), piece.centre
    if piece.shape not in {"zero", "root"} or piece.power < 1 or piece.power % 1 or not lower <= root <= upper:
        yield lower, upper
        return
    size = max(upper - root, root - lower)
    for _ in range(NARROWED):
        low, high = max(lower, root - size), min(upper, root + size)
        fitted, moved = _divided(claim, low, high, size)
        if fitted <= claim.allowed:
            yield None, fitted + moved
            yield from ((a, b) for a, b in ((lower, low), (high, upper)) if a < b)
            return
        size /= 2
    raise NotShownError(f"{claim.title}: no bound around the root {root!r}")


def _divided(claim: Claim, low: float, high: float, size: float) -> tuple[float, float]:
    """The relative error on a box around the root, after dividing piece and function by (x - root)^power.

    Returns:
        The error of the polynomial, and what comes of the piece's root, which is that of the function rounded to two
        float64: the first coefficients of the function are then small, not zero, and count with the distance of the
        nearest float64 from the root. Infinities where there is no bound.
    """
    piece, power = claim.piece, int(claim.piece.power)
    exact = claim.exact[_side(piece, low, high)]
    root = arb(piece.centre) + arb(piece.centre_low)
    radius = arb(size) + abs(arb(piece.centre_low))
    best = math.inf, math.inf
    for which in exact.order():
        try:
            over = exact.over(which, arb(low).union(arb(high)), LENGTH + 1)
            with working_precision(AT_ZERO if piece.shape == "zero" else PRECISION):
                truth = exact.at(which, root, over)
                gap = SMALLEST if piece.shape == "zero" else _distance(piece)
                moved = sum((abs(c) * gap ** (k - power) for k, c in enumerate(truth[:power])), arb(0))
        except UndecidedError:
            continue
        rest = abs(over[LENGTH]) * radius ** (LENGTH - power)
        total, least = rest, abs(truth[power]) - rest - moved
        # the polynomial is one in x - centre
        fitted = _evaluated(claim.polynomial(), [arb(piece.centre_low), arb(1)], LENGTH)
        for k, c in enumerate(_minus(fitted, truth[power:LENGTH])):
            total += abs(c) * radius**k
        for k in range(power + 1, LENGTH):
            least -= abs(truth[k]) * radius ** (k - power)
        if least > 0 and total.is_finite():
            best = min(best, (_up(total / least), _up(moved / least)))
    return best


def _side(piece: Piece, low: float, high: float) -> int:
    """The sign of all inputs of a box, 0 if it holds both."""
    if piece.centre:
        return 1 if piece.centre > 0 else -1
    return 1 if low >= 0 else -1 if high <= 0 else 0


def _distance(piece: Piece) -> arb:
    """How far the nearest float64 is from a root, at least."""
    centre, low = piece.centre, arb(piece.centre_low)
    beside = min(centre - math.nextafter(centre, -math.inf), math.nextafter(centre, math.inf) - centre)
    nearest = abs(low) if piece.centre_low else arb(beside)
    return min(nearest, arb(beside) - abs(low)).lower()


def _up(ball: arb) -> float:
    return math.nextafter(float(ball.abs_upper()), math.inf) if ball.is_finite() else math.inf


# --- the pieces of a derivation -------------------------------------------------------------------------------------


def claims(op: Op, variant: DerivedVariant) -> list[Claim]:
    """Every piece that the kernels of a variant evaluate, for each dtype; there are none where parameters are free."""
    found: dict[tuple[str, float, float, Piece], Claim] = {}
    lines = [line for line in (_line(op, output) for output in variant.outputs) if line is not None]
    value = next((line for line in lines if not line.output.order), None)
    sides = tuple(s for line in lines for s in sides_of(line.output, line.symbol))
    known = Knowledge((), None if value is None else value.spelled(value.output.recognized), sides)
    for line in lines:
        output, exact = line.output, _enclosures(line, known)
        device = {} if output.device is None else {"cuda32": output.device.form}
        for target, form in {**output.forms, **device}.items():
            for lower, upper, piece in _pieces(form):
                title = f"{output.name} {DTYPES[target]} on [{lower:.6g}, {upper:.6g}]"
                found.setdefault((output.name, lower, upper, piece), Claim(title, piece, lower, upper, exact))
    return list(found.values())


def _pieces(form: Form) -> Iterator[tuple[float, float, Piece]]:
    for region in form.regions():
        for segment in region.segments:
            if isinstance(segment.body, Piece):
                yield float(segment.lower), float(segment.upper), segment.body


@dataclass(frozen=True)
class _Line:
    """An output whose forms are functions of one symbol: the operand, or the difference of two."""

    output: Output
    symbols: dict[str, Symbol]  # by name
    operands: dict[str, Expr]  # what each operand is in that symbol

    def symbol(self, name: str) -> Symbol:
        return self.symbols[name]

    def spelled(self, expression: Expr) -> Expr:
        """An expression in the operands, without the weights in front, in the one symbol."""
        bare = expression / self.output.factor
        return bare.xreplace({s: self.operands[s.name] for s in bare.free_symbols if s.name in self.operands})


def _line(op: Op, output: Output) -> _Line | None:
    """None where parameters are free, and for what another output is the negative of."""
    if output.difference is None:
        symbols = {a.name: op.symbol(a.name) for a in op.arguments}
        line = _Line(output, symbols, dict(symbols))
        along = {None, op.arguments[0].name}
    else:
        symbol, spelled = output.difference
        operands = {s.name: symbol if spelled.coeff(s) == 1 else sp.S.Zero for s in spelled.free_symbols}
        line = _Line(output, {symbol.name: symbol}, operands)
        along = {None, *(name for name, e in operands.items() if e is symbol)}
    return line if output.wrt in along and len(line.spelled(output.naive).free_symbols) == 1 else None


def _enclosures(line: _Line, known: Knowledge) -> dict[int, Enclosure]:
    definition = line.spelled(line.output.naive)
    (wrt,) = definition.free_symbols
    order = line.output.order
    return {
        side: Enclosure(tuple(dict.fromkeys(((definition, 0), *known.forms(order, side)))), wrt, order, {})
        for side in (-1, 0, 1)
    }


def prove_function(name: str) -> Verdict:
    """Every piece of a function of the project, or of the catalogue; proved only if all are."""
    project = config.load() or config.catalogue()
    job = build.job(project, build_keys.targets(project)[name])
    op = generated(load(job.file, root=job.specs)[name])
    derivation = derive(op, device=job.cuda and op.kind == "activation")
    shown: list[str] = []
    for variant in derivation.variants:
        for claim in claims(op, variant):
            try:
                error, boxes = bound(claim)
            except RefutedError as reason:
                return Refutation(str(reason), 0.0)
            except (NotShownError, OracleError, ProofError) as reason:
                return Undecided(str(reason), 0.0)
            size = f"2^{math.log2(error):.1f}" if error else "0"
            shown.append(f"{claim.title} within {size} ({boxes} boxes)")
    if not shown:
        return Undecided("its pieces are functions of more than the operand, or of a part of the formula", 0.0)
    return Proof("ball arithmetic on each interval", 0.0, "; ".join(shown))


def obligations() -> list[Obligation]:
    """The functions of the project, or of the catalogue, whose kernels evaluate fitted pieces."""
    project = config.load() or config.catalogue()
    return [
        Obligation("piece", name, partial(prove_function, name))
        for name, entry in sorted(build.read_manifest(project.out)["functions"].items())
        if any("polynomial of degree" in (files.read(project.out / file) or "") for file in entry["files"])
    ]
