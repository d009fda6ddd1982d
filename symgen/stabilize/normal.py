"""The exact normal form of a formula on one side of zero: a quotient of polynomials in y = |x|, t = exp(-c y) and a few
more generators, reduced by exact gcd, so that what cancels in exact arithmetic is gone before floating point sees it.

Generators beside y and t are constants, logarithms and roots of polynomials, and any other function of y as a whole.
Tails explain themselves in t: powers of it stand in front, a factor 1 - t is -expm1(-c y), a logarithm of 1 + t p is a
log1p. A derivative brought to this form has lost what the quotient rule left, such as infinity over infinity.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from fractions import Fraction
from math import gcd, lcm
from typing import Any

import sympy as sp
from flint import fmpq, fmpq_mpoly_ctx
from sympy import Expr

from symgen import vocabulary
from symgen.stabilize.piece import MAGNITUDE
from symgen.vocabulary import DEFINITIONS, expm1, log1p

GENERATORS = 12  # beside y and t
DEGREE = 24  # of t; beyond that a polynomial is no explanation
TERMS = 120
NAMES = ("y", "t", *(f"g{i}" for i in range(GENERATORS)))
RING = fmpq_mpoly_ctx.get(NAMES, "lex")
GENS = RING.gens()
Y, T = GENS[0], GENS[1]
ONE, ZERO = RING.constant(1), RING.constant(0)
Poly = Any  # fmpq_mpoly
# what becomes exponentials and logarithms on the way in
HYPERBOLIC: dict[type[Any], Any] = {
    sp.tanh: lambda u: (1 - sp.exp(-2 * u)) / (1 + sp.exp(-2 * u)),
    sp.sinh: lambda u: (sp.exp(u) - sp.exp(-u)) / 2,
    sp.cosh: lambda u: (sp.exp(u) + sp.exp(-u)) / 2,
    vocabulary.hypot: lambda u, v: sp.sqrt(u**2 + v**2),
    vocabulary.tanh: lambda u: (1 - sp.exp(-2 * u)) / (1 + sp.exp(-2 * u)),
    vocabulary.sech2: lambda u: 4 * sp.exp(-2 * u) / (1 + sp.exp(-2 * u)) ** 2,
    **{
        head: DEFINITIONS[head]
        for head in (vocabulary.sigmoid, vocabulary.softplus, vocabulary.expm1, vocabulary.log1p, vocabulary.log1mexp)
    },
}


class OutsideError(ValueError):
    """The formula does not belong to the field, or grows too large in it."""


class _UnitError(ValueError):
    """An exponent is no multiple of the unit in which t counts; carries the unit that both are multiples of."""

    def __init__(self, unit: Fraction) -> None:
        super().__init__(unit)
        self.unit = unit


@dataclass(frozen=True)
class Quotient:
    """An element of the field, in lowest terms."""

    top: Poly
    bottom: Poly

    def __mul__(self, other: Quotient) -> Quotient:
        return quotient(self.top * other.top, self.bottom * other.bottom)

    def __add__(self, other: Quotient) -> Quotient:
        return quotient(self.top * other.bottom + other.top * self.bottom, self.bottom * other.bottom)

    def inverse(self) -> Quotient:
        return quotient(self.bottom, self.top)

    def power(self, n: int) -> Quotient:
        if abs(n) > DEGREE:
            raise OutsideError(f"power {n}")
        base, total = (self if n >= 0 else self.inverse()), Quotient(ONE, ONE)
        for _ in range(abs(n)):
            total *= base
        return total


def quotient(top: Poly, bottom: Poly) -> Quotient:
    """Lowest terms, the leading coefficient of the divisor one."""
    if bottom.is_zero():
        raise OutsideError("division by zero")
    if top.is_zero():
        return Quotient(ZERO, ONE)
    if len(top) > TERMS or len(bottom) > TERMS:
        raise OutsideError("too many terms")
    common = top.gcd(bottom)
    if not common.is_one():
        top, bottom = top / common, bottom / common
    scale = bottom.leading_coefficient()
    return Quotient(top * (1 / scale), bottom * (1 / scale))


def rational(value: Fraction) -> Quotient:
    return Quotient(RING.constant(fmpq(value.numerator, value.denominator)), ONE)


def fraction(value: Any) -> Fraction:
    return Fraction(int(value.p), int(value.q))


def _term(exponents: tuple[int, ...], c: Fraction) -> Poly:
    return RING.from_dict({exponents: fmpq(c.numerator, c.denominator)})


def monomials(p: Poly) -> list[tuple[tuple[int, ...], Fraction]]:
    """Exponents and coefficient of each term."""
    return [(tuple(map(int, exponents)), fraction(c)) for exponents, c in p.to_dict().items()]


@dataclass
class Field:
    """The generators of one formula: what each stands for, and the relation that a root satisfies."""

    unit: Fraction
    meaning: list[Expr] = field(default_factory=list)  # in y
    logs: dict[int, Quotient] = field(default_factory=dict)  # generator -> what it is the logarithm of
    units: dict[Expr, Fraction] = field(default_factory=dict)  # monomial -> the multiple in whose exp others count
    roots: dict[int, tuple[int, Poly]] = field(default_factory=dict)  # generator -> degree and radicand

    def generator(self, meaning: Expr) -> Quotient:
        """The generator that stands for a function of y or a constant."""
        return Quotient(GENS[2 + self._index(meaning)], ONE)

    def _index(self, meaning: Expr) -> int:
        if meaning not in self.meaning:
            if len(self.meaning) >= GENERATORS:
                raise OutsideError("too many generators")
            self.meaning.append(meaning)
        return self.meaning.index(meaning)

    def reduced(self, q: Quotient) -> Quotient:
        """Powers of roots that are polynomials, put in."""
        for k, (degree, radicand) in self.roots.items():
            top, bottom = (self._without(p, 2 + k, degree, radicand) for p in (q.top, q.bottom))
            if top is not q.top or bottom is not q.bottom:
                q = quotient(top, bottom)
        return q

    @staticmethod
    def _without(p: Poly, k: int, degree: int, radicand: Poly) -> Poly:
        if all(e[k] < degree for e, _ in monomials(p)):
            return p
        total = ZERO
        for exponents, c in monomials(p):
            whole, rest = divmod(exponents[k], degree)
            kept = (*exponents[:k], rest, *exponents[k + 1 :])
            total += _term(kept, c) * radicand**whole
        return total

    # --- in -----------------------------------------------------------------------------------------------------------

    def convert(self, e: Expr) -> Quotient:
        """An expression in y as an element of the field."""
        if e.is_Rational:
            return rational(Fraction(int(e.p), int(e.q)))
        if e == MAGNITUDE:
            return Quotient(Y, ONE)
        if e.is_Add or e.is_Mul:
            total = self.convert(e.args[0])
            for a in e.args[1:]:
                total = total + self.convert(a) if e.is_Add else total * self.convert(a)
                total = self.reduced(total)
            return total
        if isinstance(e, sp.exp):
            return self._exp(e.args[0])
        if e.is_Pow and e.exp.is_Rational:
            return self._power(e.base, Fraction(int(e.exp.p), int(e.exp.q)))
        if isinstance(e, sp.log):
            return self._log(self.convert(e.args[0]))
        if type(e) in HYPERBOLIC:
            return self.convert(HYPERBOLIC[type(e)](*e.args))
        if e.is_number or e.is_Symbol or (isinstance(e, sp.Function) and len(e.args) == 1):
            return self.generator(e)
        raise OutsideError(str(e))

    def _power(self, base: Expr, exponent: Fraction) -> Quotient:
        u = self.convert(base)
        if exponent.denominator == 1:
            return self.reduced(u.power(exponent.numerator))
        if u.bottom != ONE:
            u_bottom = self._root(u.bottom, exponent.denominator).power(-exponent.numerator)
            return self.reduced(self._root(u.top, exponent.denominator).power(exponent.numerator) * u_bottom)
        return self.reduced(self._root(u.top, exponent.denominator).power(exponent.numerator))

    def _root(self, p: Poly, degree: int) -> Quotient:
        """A root of a polynomial; what is a power of y or t comes out of it."""
        if p.is_constant() and p.is_one():
            return Quotient(ONE, ONE)
        outside = Quotient(ONE, ONE)
        least = [min(e[k] for e, _ in monomials(p)) // degree for k in (0, 1)]
        for k, n in enumerate(least):
            if n:
                p, outside = p / GENS[k] ** (n * degree), outside * Quotient(GENS[k] ** n, ONE)
        if p.is_constant() and p.is_one():
            return outside
        root = self.generator(sp.Pow(self.expression(p), sp.Rational(1, degree)))
        self.roots[NAMES.index(str(root.top)) - 2] = (degree, p)
        return outside * root

    def _exp(self, argument: Expr) -> Quotient:
        u = self.convert(sp.expand(argument))
        if not u.bottom.is_constant():
            return self.generator(sp.exp(argument))
        scale = fraction(u.bottom.leading_coefficient())
        total, others = Quotient(ONE, ONE), sp.Integer(0)
        for exponents, coefficient in monomials(u.top):
            c = coefficient / scale
            used = [k for k, n in enumerate(exponents) if n]
            single = used[0] if len(used) == 1 and exponents[used[0]] == 1 else None
            if single == 0:
                total *= self._t(-c)
            elif single is not None and single - 2 in self.logs and c.denominator == 1:
                total *= self.logs[single - 2].power(int(c))
            elif used and used != [1]:
                total *= self._other_exp(exponents, c)
            else:
                others += self.expression(_term(exponents, c))
        return self.reduced(total if others == 0 else total * self.generator(sp.exp(others)))

    def _other_exp(self, exponents: tuple[int, ...], c: Fraction) -> Quotient:
        """exp(c m) of another monomial m, as a power of one generator where coefficients are multiples of the first."""
        m = self.expression(_term(exponents, Fraction(1)))
        unit = self.units.setdefault(m, abs(c))
        n = -c / unit
        if n.denominator != 1:
            return self.generator(sp.exp(self._rational(c) * m))
        return self.generator(sp.exp(-self._rational(unit) * m)).power(int(n))

    def _t(self, c: Fraction) -> Quotient:
        """exp(-c y)."""
        if not self.unit:
            raise _UnitError(abs(c))
        n = c / self.unit
        if n.denominator != 1:
            both = lcm(c.denominator, self.unit.denominator)
            raise _UnitError(Fraction(gcd(int(c * both), int(self.unit * both)), both))
        if abs(n) > DEGREE:
            raise OutsideError("large exponents")
        return Quotient(T ** int(n), ONE) if n >= 0 else Quotient(ONE, T ** int(-n))

    def _log(self, u: Quotient) -> Quotient:
        """A logarithm: powers of t come out of it; what is near one for small t is a log1p."""
        total, constant = Quotient(ZERO, ONE), Fraction(1)
        left: list[list[tuple[Poly, int]]] = [[], []]
        for p, sign, kept in ((u.top, 1, left[0]), (u.bottom, -1, left[1])):
            content, factors = p.factor()
            constant *= fraction(content) ** sign
            for f, multiplicity in factors:
                n = int(multiplicity)
                if f == T:
                    total += rational(-self.unit * n * sign) * Quotient(Y, ONE)
                    continue
                start = _start(f)
                constant *= start ** (n * sign)
                kept.append((f * fmpq(start.denominator, start.numerator), n))
        if constant < 0:
            raise OutsideError("logarithm of a negative number")
        if constant != 1:
            total += self.generator(sp.log(sp.Rational(constant.numerator, constant.denominator)))
        above, below = left
        if above and below and all(_near_one(f) for f, _ in (*above, *below)):
            return total + self._log_of(Quotient(_product(above), _product(below)))
        for kept, sign in ((above, 1), (below, -1)):
            for f, n in kept:
                total += rational(Fraction(n * sign)) * self._log_of(Quotient(f, ONE))
        return total

    def _log_of(self, q: Quotient) -> Quotient:
        if q.top == ONE - T and q.bottom == ONE:
            meaning = vocabulary.log1mexp(self._rational(self.unit) * MAGNITUDE)
        elif q.bottom != ONE or _near_one(q.top):
            meaning = log1p(self.written(quotient(q.top - q.bottom, q.bottom)))
        else:
            meaning = sp.log(self.expression(q.top))
        found = self.generator(meaning)
        self.logs[NAMES.index(str(found.top)) - 2] = q
        return found

    # --- out ----------------------------------------------------------------------------------------------------------

    def conjugated(self, q: Quotient) -> Quotient:
        """The same with each factor a + b sqrt(r) as (a^2 - b^2 r)/(a - b sqrt(r)), which cancels where it does not."""
        total = Quotient(ONE, ONE)
        for p, sign in ((q.top, 1), (q.bottom, -1)):
            content, factors = p.factor()
            total *= Quotient(RING.constant(content), ONE).power(sign)
            for f, n in factors:
                total *= self._conjugate(f).power(int(n) * sign)
        return total

    def _conjugate(self, p: Poly) -> Quotient:
        for k, (degree, radicand) in self.roots.items():
            terms = monomials(p)
            if degree != 2 or max(e[2 + k] for e, _ in terms) != 1 or len(terms) < 2:
                continue
            with_root = sum((_term(e, c) for e, c in terms if e[2 + k]), ZERO)
            without, factor = p - with_root, with_root / GENS[2 + k]
            square = Quotient(without * without - factor * factor * radicand, ONE)
            return self.reduced(square) * Quotient(ONE, without - with_root)
        return Quotient(p, ONE)

    def written(self, q: Quotient) -> Expr:
        """An element of the field as an expression in y: factors, powers of t in front, Horner's scheme inside."""
        parts: list[Expr] = []
        numbers = Fraction(1)
        exponent = Fraction(0)
        for p, sign in ((q.top, 1), (q.bottom, -1)):
            if p.is_zero():
                return sp.Integer(0)
            content, factors = p.factor()
            numbers *= fraction(content) ** sign
            for f, multiplicity in factors:
                n = int(multiplicity) * sign
                if f == T:
                    exponent += self.unit * n
                elif f in (T - ONE, ONE - T):
                    numbers *= -1 if f == ONE - T and n % 2 else 1
                    parts.append(sp.Pow(expm1(-self._rational(self.unit) * MAGNITUDE), n))
                else:
                    scale = lcm(*(c.denominator for _, c in monomials(f)))
                    numbers /= Fraction(scale) ** n
                    parts.append(sp.Pow(self.expression(f * scale), n))
        if exponent:
            parts.append(sp.exp(-self._rational(exponent) * MAGNITUDE))
        return sp.Mul(self._rational(numbers), *parts)

    @staticmethod
    def _rational(value: Fraction) -> Expr:
        return sp.Rational(value.numerator, value.denominator)

    def expression(self, p: Poly) -> Expr:
        """A polynomial by Horner's scheme in t, its coefficients by Horner's scheme in y."""
        by_t: dict[int, Poly] = {}
        for exponents, c in monomials(p):
            rest = (exponents[0], 0, *exponents[2:])
            by_t[exponents[1]] = by_t.get(exponents[1], ZERO) + _term(rest, c)
        total, at = sp.Integer(0), 0
        for power in sorted(by_t, reverse=True):
            if total != 0:
                total = total * sp.exp(-self._rational(self.unit * (at - power)) * MAGNITUDE)
            total, at = total + self._in_y(by_t[power]), power
        return total * sp.exp(-self._rational(self.unit * at) * MAGNITUDE) if at else total

    def _in_y(self, p: Poly) -> Expr:
        by_y: dict[int, Expr] = {}
        for exponents, c in monomials(p):
            others = sp.Mul(*(self.meaning[k] ** n for k, n in enumerate(exponents[2:]) if n))
            by_y[exponents[0]] = by_y.get(exponents[0], sp.Integer(0)) + self._rational(c) * others
        total, at = sp.Integer(0), 0
        for power in sorted(by_y, reverse=True):
            if total != 0:
                total = total * MAGNITUDE ** (at - power)
            total, at = total + by_y[power], power
        return total * MAGNITUDE**at if at else total


def _start(p: Poly) -> Fraction:
    """The constant of a polynomial, by which its logarithm can be a log1p; else its leading coefficient."""
    constant = sum((c for e, c in monomials(p) if not any(e)), Fraction(0))
    return constant or fraction(p.leading_coefficient())


def _near_one(p: Poly) -> bool:
    """Whether a polynomial is one plus terms that are small where t, or y, is."""
    return any(not any(e) and c == 1 for e, c in monomials(p))


def _product(factors: list[tuple[Poly, int]]) -> Poly:
    total = ONE
    for f, n in factors:
        total *= f**n
    return total


def normal_forms(expression: Expr) -> tuple[Expr, ...]:
    """A formula in y > 0 in its normal form, and with its roots conjugated; none where it has none of reasonable size.

    Args:
        expression: in the symbol `MAGNITUDE` and in parameters, heads of the vocabulary and SymPy nodes.

    Example:
        >>> from sympy import exp, sqrt
        >>> y = MAGNITUDE
        >>> normal_forms(exp(y) / (1 + exp(y)) ** 2)
        (exp(-y)/(1 + exp(-y))**2,)
        >>> normal_forms(sqrt(y**2 + 1) - 1)
        (sqrt(y**2 + 1) - 1, y**2/(sqrt(y**2 + 1) + 1))
    """
    if not expression.has(MAGNITUDE):
        return ()
    unit = Fraction(0)
    for _ in range(4):
        found = Field(unit)
        try:
            q = found.convert(expression)
            return tuple(dict.fromkeys((found.written(q), found.written(found.conjugated(q)))))
        except _UnitError as other:
            unit = other.unit
        except (OutsideError, ZeroDivisionError, ValueError, OverflowError):
            return ()
    return ()
