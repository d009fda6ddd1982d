"""Exact normal form: an expression as a quotient of polynomials in exponentials, roots and opaque functions.

Exponentials of one monomial are powers of one generator, a square root is a generator whose square is known, and what
is left (erf, log, an unknown function) is a generator of its own. Two expressions with the same normal form are equal
wherever both are defined. The work is bounded by the number of terms, not by a clock.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce
from typing import Any

import sympy as sp
from flint import Ordering, fmpq, fmpq_mpoly_ctx
from sympy import Expr, S

from symgen.heads import weighted
from symgen.vocabulary import expand_heads

Polynomial = Any
Fraction = tuple[Polynomial, Polynomial]

# a rule has a few dozen terms; a polynomial beyond this says that the tactic does not fit
LARGEST = 4000


class NormalFormError(ValueError):
    """The expression has no normal form here: a node outside the field, or too many terms."""


_WRITTEN: dict[type[Any], Callable[..., Expr]] = {
    sp.sinh: lambda u: (sp.exp(u) - sp.exp(-u)) / 2,
    sp.cosh: lambda u: (sp.exp(u) + sp.exp(-u)) / 2,
    sp.tanh: lambda u: (sp.exp(u) - sp.exp(-u)) / (sp.exp(u) + sp.exp(-u)),
    sp.asinh: lambda u: sp.log(u + sp.sqrt(u**2 + 1)),
    sp.erfc: lambda u: 1 - sp.erf(u),
    weighted: lambda weight, value: weight * value,  # all numbers of a proof are finite
}


def plain(expression: Expr) -> Expr:
    """Heads by their definitions, hyperbolic functions by exponentials."""
    return _plain(expand_heads(expression))


def _plain(e: Expr) -> Expr:
    if not e.args:
        return e
    arguments = [_plain(a) for a in e.args]
    if isinstance(e, sp.log):
        return _log_of_sum(arguments[0])
    if e.is_Pow and not arguments[1].is_Rational and arguments[0] is not S.Exp1:
        return sp.exp(sp.expand(arguments[1] * _log_of_power(arguments[0])))
    written = _WRITTEN.get(type(e))
    return written(*arguments) if written else e.func(*arguments)


def _log_of_power(base: Expr) -> Expr:
    """``log(p^n) -> n log(p)`` where p is positive, such as what stands below a line."""
    root, times = base.as_base_exp()
    return times * _log_of_sum(root) if root.is_positive else sp.log(base)


def _log_of_sum(inside: Expr) -> Expr:
    """``log(1 + e^-u) -> log(1 + e^u) - u``: of the ways to take out an exponential, the one without minus signs."""
    exponents = [_exponent(t) for t in sp.Add.make_args(inside)]
    for out in sorted(set(exponents), key=sp.default_sort_key):
        if out != 0 and not any((e - out).could_extract_minus_sign() for e in exponents):
            return out + sp.log(sp.Add(*(t * sp.exp(-out) for t in sp.Add.make_args(inside))))
    return sp.log(inside)


def _exponent(term: Expr) -> Expr:
    return sp.Add(*(f.args[0] for f in sp.Mul.make_args(term) if isinstance(f, sp.exp)))


def exponent_terms(argument: Expr) -> list[tuple[Expr, Expr]]:
    """An exponent as rational multiples of monomials."""
    terms = [t.as_coeff_Mul() for t in sp.Add.make_args(sp.expand(argument))]
    if not all(c.is_Rational for c, _ in terms):
        raise NormalFormError(f"no rational exponent in exp({argument})")
    return terms


class Field:
    """Rational functions over the generators that an expression needs."""

    def __init__(self, expressions: list[Expr]) -> None:
        self._roots: dict[Expr, int] = {}
        self._names: dict[tuple[str, Expr], int] = {}
        self._squares: dict[int, Expr] = {}
        for e in expressions:
            self._collect(e)
        names = tuple(f"g{i}" for i in range(len(self._names))) or ("g0",)
        self.context = fmpq_mpoly_ctx.get(names, Ordering.lex)
        self.one = self.context.constant(1)
        self._generators = self.context.gens()
        self._known: dict[Expr, Fraction] = {}

    # -- generators -------------------------------------------------------------------------------------------------

    def _name(self, kind: str, e: Expr) -> int:
        return self._names.setdefault((kind, e), len(self._names))

    def _collect(self, e: Expr) -> None:
        if e.is_Rational:
            return
        if isinstance(e, sp.exp) or e is S.Exp1:
            for c, rest in exponent_terms(e.args[0] if e.args else S.One):
                if isinstance(rest, sp.log) and (2 * c).is_Integer:
                    self._collect(rest.args[0] if c.is_Integer else sp.sqrt(rest.args[0]))
                else:
                    self._name("exp", rest)
                    self._roots[rest] = int(sp.ilcm(self._roots.get(rest, 1), c.q))
        elif e.is_Add or e.is_Mul or (e.is_Pow and e.exp.is_Integer):
            for a in e.args:
                self._collect(a)
        elif e.is_Pow and (2 * e.exp).is_Integer:
            self._collect(e.base)
            self._squares[self._name("sqrt", e.base)] = e.base
        else:
            self._name("opaque", e)

    def _generator(self, kind: str, e: Expr) -> Polynomial:
        return self._generators[self._names[kind, e]]

    # -- arithmetic -------------------------------------------------------------------------------------------------

    def _reduced(self, n: Polynomial, d: Polynomial) -> Fraction:
        if len(n) > LARGEST or len(d) > LARGEST:
            raise NormalFormError("too many terms")
        if d == 0:
            raise NormalFormError("division by zero")
        if n == 0:
            return n, self.one
        common = n.gcd(d)
        return n / common, d / common

    def add(self, a: Fraction, b: Fraction) -> Fraction:
        return self._reduced(a[0] * b[1] + b[0] * a[1], a[1] * b[1])

    def multiply(self, a: Fraction, b: Fraction) -> Fraction:
        return self._reduced(a[0] * b[0], a[1] * b[1])

    def power(self, a: Fraction, n: int) -> Fraction:
        base = a if n >= 0 else self._reduced(a[1], a[0])
        if abs(n) > 64:
            raise NormalFormError(f"power {n}")
        return base[0] ** abs(n), base[1] ** abs(n)

    # -- conversion -------------------------------------------------------------------------------------------------

    def convert(self, e: Expr) -> Fraction:
        found = self._known.get(e)
        if found is None:
            found = self._known[e] = self._convert(e)
        return found

    def _convert(self, e: Expr) -> Fraction:
        if e.is_Rational:
            return self.context.constant(fmpq(int(e.p), int(e.q))), self.one
        if isinstance(e, sp.exp) or e is S.Exp1:
            return self._exponential(e.args[0] if e.args else S.One)
        if e.is_Add:
            return reduce(self.add, map(self.convert, e.args))
        if e.is_Mul:
            return reduce(self.multiply, map(self.convert, e.args))
        if e.is_Pow and e.exp.is_Integer:
            return self.power(self.convert(e.base), int(e.exp))
        if e.is_Pow and (2 * e.exp).is_Integer:
            return self.power((self._generator("sqrt", e.base), self.one), int(2 * e.exp))
        return self._generator("opaque", e), self.one

    def _exponential(self, argument: Expr) -> Fraction:
        total: Fraction = (self.one, self.one)
        for c, rest in exponent_terms(argument):
            if isinstance(rest, sp.log) and (2 * c).is_Integer:
                base = self.convert(rest.args[0] if c.is_Integer else sp.sqrt(rest.args[0]))
                factor = self.power(base, int(c if c.is_Integer else 2 * c))
            else:
                generator = (self._generator("exp", rest), self.one)
                factor = self.power(generator, int(c * self._roots[rest]))
            total = self.multiply(total, factor)
        return total

    def is_zero(self, e: Expr) -> bool:
        """Whether the expression is zero, after the squares of roots are put in."""
        numerator, _ = self.convert(e)
        for _ in range(len(self._squares) + 1):
            for index, base in self._squares.items():
                numerator = self._without_square(numerator, index, base)
            if numerator == 0:
                return True
        return False

    def _without_square(self, p: Polynomial, index: int, base: Expr) -> Polynomial:
        """The numerator with even powers of a root replaced by powers of what stands under it."""
        above, below = self.convert(base)
        parts: dict[int, dict[tuple[int, ...], Any]] = {}
        for monomial, c in p.to_dict().items():
            n = int(monomial[index])
            rest = tuple(int(m) if i != index else n % 2 for i, m in enumerate(monomial))
            part = parts.setdefault(n // 2, {})
            part[rest] = part.get(rest, 0) + c
        most = max(parts, default=0)
        return sum(
            (self.context.from_dict(part) * above**n * below ** (most - n) for n, part in parts.items()),
            self.context.constant(0),
        )


def equal(left: Expr, right: Expr) -> bool:
    """Whether two expressions have the same normal form.

    Raises:
        NormalFormError: the tactic does not fit these expressions.
    """
    difference = plain(left) - plain(right)
    return bool(difference == 0) or Field([difference]).is_zero(difference)
