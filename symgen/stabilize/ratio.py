"""Two operands of one dimension: what is homogeneous in both is a power of the larger, times a function of their ratio.

``f(k x, k s) = k^n f(x, s)`` for every k > 0, so that ``f(x, s)`` is ``s^n f(x/s, 1)`` where ``|x| <= s`` and
``|x|^n f(x/|x|, s/|x|)`` beyond. In neither half does a square or a quotient of the two leave the range of numbers, as
``x^2/s^2`` does. A variance counts as the square of s. That a formula is homogeneous is read off its structure, which
is the proof: a sum has terms of one degree, a product adds degrees, a function takes what has degree zero; a logarithm
turns a degree into a term. See docs/adr/0029-ratios.md.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache

import sympy as sp
from sympy import Abs, Expr, Symbol, log, sign

from symgen.heads import Cases, first_max, straight_through
from symgen.stabilize.candidates import attempt, sides
from symgen.vocabulary import hypot, log1p, quotient

RATIO = Symbol("t", real=True)  # x/s where |x| <= s
INVERSE = Symbol("t", positive=True)  # s/|x| beyond


class NotHomogeneousError(ValueError):
    """The formula has no degree in the two."""


@dataclass(frozen=True)
class Homogeneous:
    """``unit + logs log(m)``, times ``m^degree``, where m is the larger of the two; `logs` only where that is one."""

    unit: Expr
    degree: Expr = sp.S.Zero
    logs: Expr = sp.S.Zero


@dataclass(frozen=True)
class Half:
    """One of the two halves: what x and s are, divided by the larger one.

    Attributes:
        x: the variable.
        s: the other one, which is positive.
        weight: the degree of s itself.
        side: the sign of x where it is the larger one, else zero.
    """

    x: Symbol
    s: Symbol
    weight: int
    side: int

    def of(self, e: Expr) -> tuple[Expr, Expr]:
        """An expression in this half, twice: powers of the ratio by themselves may stand as powers of both.

        A ratio may be subnormal where what it is multiplied by makes up for that, and so may a product of powers.

        Raises:
            NotHomogeneousError: it has no degree.
        """
        found = self._parts(e)
        size = root(self.s, self.weight)
        own, ratio, other = (size, INVERSE, Abs(self.x)) if self.side else (self.x, RATIO, size)
        whole = reduced(found.unit)
        power, rest = split(whole, ratio)
        logs = found.logs * log(other)
        together = other**found.degree * whole if power else scaled(whole, other, found.degree)
        forms = together, own**power * other ** (found.degree - power) * rest
        kept, apart = (quotients(form + logs, ratio, own, other) for form in forms)
        return kept, apart

    def _parts(self, e: Expr) -> Homogeneous:
        """An expression over the larger one, and its degree."""
        if not e.free_symbols & {self.x, self.s}:
            return Homogeneous(e)
        if e == self.x:
            return Homogeneous(sp.Integer(self.side) if self.side else RATIO, sp.S.One)
        if e == self.s:
            return Homogeneous(INVERSE**self.weight if self.side else sp.S.One, sp.Integer(self.weight))
        parts = [self._parts(a) for a in e.args]
        if e.is_Add:
            return self._sum(parts)
        if e.is_Mul:
            return self._product(parts)
        first, units, degrees = parts[0], [p.unit for p in parts], {p.degree for p in parts}
        if any(p.logs != 0 for p in parts):
            raise NotHomogeneousError
        if e.is_Pow and e.exp.is_number:
            return Homogeneous(first.unit**e.exp, first.degree * e.exp)
        if isinstance(e, log):
            return Homogeneous(log(first.unit), logs=first.degree)
        if degrees == {sp.S.Zero} or (isinstance(e, Abs | hypot) and len(degrees) == 1):
            return Homogeneous(self._large(e.func(*units)), degrees.pop())
        raise NotHomogeneousError

    @staticmethod
    def _sum(parts: list[Homogeneous]) -> Homogeneous:
        degrees, logs = {p.degree for p in parts}, sp.Add(*(p.logs for p in parts))
        if len(degrees) != 1 or (logs != 0 and degrees != {sp.S.Zero}):
            raise NotHomogeneousError
        return Homogeneous(sp.Add(*(p.unit for p in parts)), degrees.pop(), logs)

    @staticmethod
    def _product(parts: list[Homogeneous]) -> Homogeneous:
        degree, logs = sp.Add(*(p.degree for p in parts)), [p for p in parts if p.logs != 0]
        if len(logs) > 1 or (logs and degree != 0):
            raise NotHomogeneousError
        others = sp.Mul(*(p.unit for p in parts if p.logs == 0))
        return Homogeneous(sp.Mul(*(p.unit for p in parts)), degree, logs[0].logs * others if logs else sp.S.Zero)

    def _large(self, e: Expr) -> Expr:
        """A function of what is large where t is small, by one of what is small."""
        return LARGE[type(e)](*e.args) if self.side and type(e) in LARGE else e


def _log1p_of_large(u: Expr) -> Expr:
    """``log1p(c/t^n) = log1p(t^n/c) - log(1/c) + n log(t)``."""
    rest, power = u.as_independent(INVERSE, as_Add=False)
    base, n = power.as_base_exp()
    if base != INVERSE or not n.is_negative:
        return log1p(u)
    return log1p(1 / u) - log(1 / rest) + n * log(INVERSE)


def _hypot_of_large(u: Expr, v: Expr) -> Expr:
    """``hypot(u, c/t) = hypot(t u, c)/t``."""
    least = min((e.as_coeff_exponent(INVERSE)[1] for e in (u, v)), key=lambda n: n if n.is_number else sp.S.Zero)
    if not least.is_negative:
        return hypot(u, v)
    return hypot(u / INVERSE**least, v / INVERSE**least) * INVERSE**least


WEIGHTS = (1, 2)
MOST_DIVISORS = 4
TRANSCENDENTAL = (log, log1p, sp.exp)  # beside them, quotients are no shorter over one divisor
LARGE: Mapping[type, Callable[..., Expr]] = {log1p: _log1p_of_large, hypot: _hypot_of_large}


def reduced(e: Expr) -> Expr:
    """A sum whose terms that are quotients of polynomials stand over one divisor, which powers of the ratio leave."""
    terms = sp.Add.make_args(e)
    others = [t for t in terms if t.has(*TRANSCENDENTAL)]
    return sp.Add(sp.factor(sp.Add(*(t for t in terms if t not in others))), *others)


def root(s: Expr, weight: int) -> Expr:
    """What s is the power of."""
    return s ** sp.Rational(1, weight)


def scaled(unit: Expr, m: Expr, degree: Expr) -> Expr:
    """A number of moderate size times a power that may be near the end of the range, which must not come first."""
    base, n = (m**degree).as_base_exp()
    if not (n.is_Integer and -MOST_DIVISORS <= n < 0):
        return base**n * unit
    for _ in range(-int(n)):
        unit = quotient(unit, base)
    return unit


def quotients(e: Expr, ratio: Symbol, own: Expr, other: Expr) -> Expr:
    """An expression with a quotient for the ratio, and for what divides by it the other one: neither is inverted."""
    powers = {p: quotient(other, own) ** -p.exp for p in e.atoms(sp.Pow) if p.base == ratio and p.exp.is_negative}
    return e.xreplace({**powers, ratio: quotient(own, other)})


def split(e: Expr, ratio: Symbol) -> tuple[Expr, Expr]:
    """A product as a power of the ratio and the rest."""
    powers = dict(f.as_base_exp() for f in sp.Mul.make_args(e))
    power = powers.get(ratio, sp.S.Zero)
    return power, e / ratio**power


@lru_cache(maxsize=256)  # of one function at a time: its targets ask for the same ones
def halves(e: Expr, x: Symbol) -> tuple[tuple[Expr, Expr, Expr], ...]:
    """What is positive and has a dimension that makes an expression homogeneous in x beside it, and its halves."""
    return tuple(_halves(e, x))


def _halves(e: Expr, x: Symbol) -> Iterator[tuple[Expr, Expr, Expr]]:
    for s, weight in itertools.product(positive(e, x), WEIGHTS):
        known = s if s.is_Symbol else Symbol("bound", positive=True)
        whole = e.xreplace({s: known})
        if known != s and whole.free_symbols & s.free_symbols:
            continue
        try:
            forms = zip(*(Half(x, known, weight, side).of(whole) for side in (0, 1, -1)), strict=True)
        except NotHomogeneousError:
            continue
        for near, above, below in forms:
            one, other = attempt(above), attempt(below)
            far = above if one == other else sign(x) * above if one == -other else Cases(x > 0, above, below)
            if len(sides(x)) == 1:
                far = above if sides(x) == (1,) else below
            yield root(s, weight), near.xreplace({known: s}), far.xreplace({known: s})


def positive(e: Expr, x: Symbol) -> Iterator[Expr]:
    """Symbols and lower bounds of them that are positive."""
    bounds = (a for a in e.atoms(straight_through) if isinstance(a.args[0], first_max))
    yield from sorted((b for b in bounds if any(a.is_positive for a in b.args[0].args)), key=str)
    yield from sorted((s for s in e.free_symbols - {x} if s.is_positive), key=str)
