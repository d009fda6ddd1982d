"""Taylor series of a formula at a point or over a whole interval, to any order: what proofs about polynomials rest on.

The k-th coefficient over a ball encloses f^(k)(s)/k! for every s in it, so that the last one is a Lagrange remainder.
Series are lists of balls; coefficients beyond their end are zero, so that constants and polynomials stay short.
Elementary functions are computed from their differential equation, starting from values that are sharp over a ball.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import zip_longest
from typing import Any

import sympy as sp
from flint import arb, arb_poly, fmpq
from sympy import Expr, Symbol
from sympy.logic.boolalg import And, BooleanFalse, BooleanTrue, Not, Or

from symgen import heads, vocabulary
from symgen.kinks import unfold
from symgen.oracle_balls import OracleError, order

Series = list[arb]
Slope = Callable[[Sequence[Series], int], arb]
ZERO, ONE = arb(0), arb(1)
COMPARISONS: dict[type[Any], Callable[[int], bool]] = {
    sp.Eq: lambda order: order == 0,
    sp.Ne: lambda order: order != 0,
    sp.Lt: lambda order: order < 0,
    sp.Le: lambda order: order <= 0,
    sp.Gt: lambda order: order > 0,
    sp.Ge: lambda order: order >= 0,
}


def taylor(expression: Expr, wrt: Symbol, at: arb, length: int, values: Mapping[Symbol, arb] | None = None) -> Series:
    """Taylor coefficients of a formula at a point, or enclosures of them over a ball, at the working precision.

    Args:
        expression: the formula.
        wrt: the symbol to expand in.
        at: the point, or a ball.
        length: how many coefficients.
        values: of the formula's other symbols.

    Returns:
        ``length`` balls; some may be infinite or NaN where the formula cannot be enclosed.

    Raises:
        UndecidedError: a comparison inside the formula holds in one part of the ball only.
        OracleError: the formula has a node without a series.

    Example:
        >>> from sympy import Symbol, exp
        >>> [float(c) for c in taylor(exp(Symbol("x")), Symbol("x"), arb(0), 4)]
        [1.0, 1.0, 0.5, 0.16666666666666666]
    """
    found = _Expansion(wrt, at, length, values or {}).series(expression)
    return found[:length] + [ZERO] * (length - len(found))


class _Expansion:
    """The series of all nodes of a formula at one place."""

    def __init__(self, wrt: Symbol, at: arb, length: int, values: Mapping[Symbol, arb]) -> None:
        self.length = length
        self.known: dict[Expr, Series] = {symbol: [value] for symbol, value in values.items()}
        self.known[wrt] = [at, ONE]

    def series(self, node: Expr) -> Series:
        found = self.known.get(node)
        if found is None:
            found = self.known[node] = self.build(node)
        return found

    def build(self, node: Expr) -> Series:
        plain = unfold(node)
        for kinds, build in NODES:
            if isinstance(plain, kinds):
                return build(self, plain)[: self.length]
        if type(plain) in ELEMENTARY:
            u = self.series(plain.args[0])
            result = ELEMENTARY[type(plain)](u, self.length)
            return result[:1] if len(u) == 1 else result[: self.length]
        if type(plain) in vocabulary.DEFINITIONS:
            return self.series(vocabulary.DEFINITIONS[type(plain)](*plain.args))
        raise OracleError(f"no Taylor series is known for {type(plain).__name__} in {plain}")

    def total(self, node: sp.Add) -> Series:
        result = self.series(node.args[0])
        for argument in node.args[1:]:
            result = add(result, self.series(argument))
        return result

    def product(self, node: sp.Mul) -> Series:
        result = self.series(node.args[0])
        for argument in node.args[1:]:
            result = multiply(result, self.series(argument), self.length)
        return result

    def power(self, node: sp.Pow) -> Series:
        base, exponent = node.args
        if exponent.is_Integer and abs(exponent.p) <= 4096:
            return integer_power(self.series(base), int(exponent), self.length)
        if exponent.free_symbols:
            return self.series(sp.exp(exponent * sp.log(base), evaluate=False))
        return general_power(self.series(base), self.series(exponent)[0], self.length)

    def cases(self, node: heads.Cases) -> Series:
        return self.series(node.then if self.holds(node.condition) else node.otherwise)

    def straight_through(self, node: Expr) -> Series:
        return self.series(node.args[0])[:1] + self.series(node.args[1])[1:]

    def holds(self, condition: Any) -> bool:
        if isinstance(condition, BooleanTrue | BooleanFalse):
            return bool(condition)
        if isinstance(condition, And | Or):
            return (all if isinstance(condition, And) else any)(self.holds(a) for a in condition.args)
        if isinstance(condition, Not):
            return not self.holds(condition.args[0])
        if type(condition) not in COMPARISONS:
            raise OracleError(f"the condition {condition} cannot be decided")
        return COMPARISONS[type(condition)](order(self.series(condition.lhs)[0], self.series(condition.rhs)[0]))


# --- arithmetic of series -------------------------------------------------------------------------------------------


def add(a: Series, b: Series) -> Series:
    return [x + y for x, y in zip_longest(a, b, fillvalue=ZERO)]


def negate(a: Series) -> Series:
    return [-x for x in a]


def multiply(a: Series, b: Series, length: int) -> Series:
    if len(a) == 1 or len(b) == 1:
        (factor, *_), other = (a, b) if len(a) == 1 else (b, a)
        return [factor * x for x in other]
    product: Series = (arb_poly(a) * arb_poly(b)).coeffs()[:length]
    return product + [ZERO] * (min(len(a) + len(b) - 1, length) - len(product))


def convolution(a: Series, b: Series, k: int) -> arb:
    """The k-th coefficient of a product."""
    low, high = max(0, k - len(b) + 1), min(k, len(a) - 1)
    total = ZERO
    for i in range(low, high + 1):
        total += a[i] * b[k - i]
    return total


def divide(a: Series, b: Series, length: int) -> Series:
    inverse = 1 / b[0]
    if len(b) == 1:
        return [x * inverse for x in a]
    result: Series = []
    for k in range(length):
        rest = a[k] if k < len(a) else ZERO
        for j in range(1, min(k, len(b) - 1) + 1):
            rest -= b[j] * result[k - j]
        result.append(rest * inverse)
    return result


def integrate(start: arb, slope: Series, u: Series, length: int) -> Series:
    """The series of y with y' = slope u', from its first coefficient."""
    pace = [j * c for j, c in enumerate(u)]
    return [start, *(convolution(pace, slope, k) / k for k in range(1, length))]


def flow(u: Series, starts: Sequence[arb], slopes: Sequence[Slope], length: int) -> list[Series]:
    """Series of functions of u whose derivatives are polynomials in each other.

    Args:
        u: the series of the argument.
        starts: values of the functions.
        slopes: for each, the k-th coefficient of its derivative by u, from the coefficients up to k of all of them.
        length: how many coefficients.
    """
    pace = [j * c for j, c in enumerate(u)]
    found: list[Series] = [[start] for start in starts]
    derivatives: list[Series] = [[] for _ in starts]
    for k in range(1, length if len(u) > 1 else 1):
        for derivative, slope in zip(derivatives, slopes, strict=True):
            derivative.append(slope(found, k - 1))
        for y, derivative in zip(found, derivatives, strict=True):
            y.append(convolution(pace, derivative, k) / k)
    return found


def compose(outer: Series, u: Series, length: int) -> Series:
    """The series of g(u) from the Taylor coefficients of g where u starts."""
    step = [ZERO, *u[1:]]
    result = [outer[-1]]
    for c in reversed(outer[:-1]):
        result = multiply(result, step, length)
        result = add(result, [c])
    return result


def integer_power(u: Series, exponent: int, length: int) -> Series:
    if exponent < 0:
        return divide([ONE], integer_power(u, -exponent, length), length)
    result, square = [ONE], u
    while exponent:
        result = multiply(result, square, length) if exponent & 1 else result
        exponent >>= 1
        square = multiply(square, square, length) if exponent else square
    return result


def general_power(u: Series, a: arb, length: int) -> Series:
    """u^a from u y' = a u' y."""
    result, inverse = [u[0].sqrt() if a == arb(0.5) else u[0] ** a], 1 / u[0]
    for k in range(1, length if len(u) > 1 else 1):
        total = ZERO
        for j in range(1, min(k, len(u) - 1) + 1):
            total += (a * j - (k - j)) * u[j] * result[k - j]
        result.append(total * inverse / k)
    return result


# --- elementary functions -------------------------------------------------------------------------------------------


def between(function: Callable[[arb], arb], u: arb) -> arb:
    """A monotone function over a ball, from its values at the two ends."""
    return function(u.lower()).union(function(u.upper())) if not u.is_exact() else function(u)


def root_pi() -> arb:
    return arb.const_sqrt_pi()


def exponential(u: Series, n: int) -> Series:
    return flow(u, [u[0].exp()], [lambda y, k: y[0][k]], n)[0]


def expm1(u: Series, n: int) -> Series:
    return [u[0].expm1(), *exponential(u, n)[1:]]


def logarithm(u: Series, n: int) -> Series:
    return integrate(u[0].log(), divide([ONE], u, n), u, n)


def log1p(u: Series, n: int) -> Series:
    return integrate(u[0].log1p(), divide([ONE], add(u, [ONE]), n), u, n)


def circular(u: Series, n: int) -> list[Series]:
    return flow(u, [u[0].sin(), u[0].cos()], [lambda y, k: y[1][k], lambda y, k: -y[0][k]], n)


def tangent(u: Series, n: int) -> Series:
    return flow(u, [u[0].tan()], [lambda y, k: convolution(y[0], y[0], k) + (0 if k else 1)], n)[0]


def hyperbolic(u: Series, n: int) -> list[Series]:
    return flow(u, [u[0].sinh(), u[0].cosh()], [lambda y, k: y[1][k], lambda y, k: y[0][k]], n)


def tanh_sech2(u: Series, n: int) -> list[Series]:
    """With t' = s and s' = -2 t s, both sharp where t is nearly one."""
    starts = [between(arb.tanh, u[0]), u[0].sech() * u[0].sech()]
    return flow(u, starts, [lambda y, k: y[1][k], lambda y, k: -2 * convolution(y[0], y[1], k)], n)


def logistic(u: Series, n: int) -> list[Series]:
    """Softplus, sigma(u) and sigma(-u), all three sharp where any of them is nearly zero."""
    starts = [
        between(lambda v: v.exp().log1p(), u[0]),
        between(lambda v: 1 / (1 + (-v).exp()), u[0]),
        between(lambda v: 1 / (1 + v.exp()), u[0]),
    ]
    slopes: list[Slope] = [
        lambda y, k: y[1][k],
        lambda y, k: convolution(y[1], y[2], k),
        lambda y, k: -convolution(y[1], y[2], k),
    ]
    return flow(u, starts, slopes, n)


def log1mexp(u: Series, n: int) -> Series:
    """log(1 - e^-u) has the derivative w = 1/(e^u - 1), and w' = -w - w^2."""
    starts = [between(lambda v: (-(-v).expm1()).log(), u[0]), between(lambda v: 1 / v.expm1(), u[0])]
    return flow(u, starts, [lambda y, k: y[1][k], lambda y, k: -y[1][k] - convolution(y[1], y[1], k)], n)[0]


def bell(u: Series, n: int) -> Series:
    """2/sqrt(pi) e^(-u^2), the derivative of erf."""
    return multiply([2 / root_pi()], exponential(negate(multiply(u, u, n)), n), n)


def erf(u: Series, n: int) -> Series:
    return integrate(between(arb.erf, u[0]), bell(u, n), u, n)


def erfc(u: Series, n: int) -> Series:
    return integrate(between(arb.erfc, u[0]), negate(bell(u, n)), u, n)


def erfcx(u: Series, n: int) -> Series:
    """Beyond one, U(1/2, 1/2, s)/sqrt(pi) with s = u^2: each derivative by s is again such a U, and monotone."""
    square = multiply(u, u, n)
    if not u[0] > 1:
        return multiply(exponential(square, n), erfc(u, n), n)
    outer, factor = [], 1 / root_pi()
    for k in range(n):
        a = arb(2 * k + 1) / 2
        outer.append(factor * between(partial(_tricomi, a), square[0]))
        factor *= -a / (k + 1)
    return compose(outer, square, n)


def _tricomi(a: arb, s: arb) -> arb:
    return s.hypgeom_u(a, a)


def log_half_erfc(u: Series, n: int) -> Series:
    if not u[0] > 1:
        return logarithm(multiply([arb(0.5)], erfc(u, n), n), n)
    return add(negate(multiply(u, u, n)), logarithm(multiply([arb(0.5)], erfcx(u, n), n), n))


def loggamma(u: Series, n: int) -> Series:
    """From the Hurwitz zeta function, whose derivatives are again such."""
    outer = [u[0].lgamma(), u[0].digamma()]
    outer += [(-1) ** k * between(arb(k).zeta, u[0]) / k for k in range(2, n)]
    return compose(outer[:n], u, n)


def _inverse(start: Callable[[arb], arb], square: int, constant: int, root: bool) -> Callable[[Series, int], Series]:
    """Inverse functions with the derivative 1/(constant + square u^2), or the root of that."""

    def series(u: Series, n: int) -> Series:
        radicand = add(multiply([arb(square)], multiply(u, u, n), n), [arb(constant)])
        slope = general_power(radicand, arb(fmpq(-1, 2)), n) if root else divide([ONE], radicand, n)
        return integrate(start(u[0]), slope, u, n)

    return series


ELEMENTARY: dict[type[Expr], Callable[[Series, int], Series]] = {
    sp.exp: exponential,
    sp.log: logarithm,
    sp.sin: lambda u, n: circular(u, n)[0],
    sp.cos: lambda u, n: circular(u, n)[1],
    sp.tan: tangent,
    sp.asin: _inverse(arb.asin, -1, 1, True),
    sp.acos: lambda u, n: add([arb.pi() / 2], negate(ELEMENTARY[sp.asin](u, n))),
    sp.atan: _inverse(arb.atan, 1, 1, False),
    sp.sinh: lambda u, n: hyperbolic(u, n)[0],
    sp.cosh: lambda u, n: hyperbolic(u, n)[1],
    sp.tanh: lambda u, n: tanh_sech2(u, n)[0],
    sp.asinh: _inverse(arb.asinh, 1, 1, True),
    sp.acosh: _inverse(arb.acosh, 1, -1, True),
    sp.atanh: _inverse(arb.atanh, -1, 1, False),
    sp.erf: erf,
    sp.erfc: erfc,
    sp.loggamma: loggamma,
    vocabulary.tanh: lambda u, n: tanh_sech2(u, n)[0],
    vocabulary.sech2: lambda u, n: tanh_sech2(u, n)[1],
    vocabulary.sigmoid: lambda u, n: logistic(u, n)[1],
    vocabulary.softplus: lambda u, n: logistic(u, n)[0],
    vocabulary.expm1: expm1,
    vocabulary.log1p: log1p,
    vocabulary.log1mexp: log1mexp,
    vocabulary.erf: erf,
    vocabulary.erfc: erfc,
    vocabulary.erfcx: erfcx,
    vocabulary.log_half_erfc: log_half_erfc,
}

CONSTANTS: dict[type[Expr], Callable[[], arb]] = {
    type(sp.pi): arb.pi,
    type(sp.E): lambda: arb(1).exp(),
    type(sp.EulerGamma): arb.const_euler,
    type(sp.oo): arb.pos_inf,
    type(-sp.oo): arb.neg_inf,
}

NODES: tuple[tuple[Any, Callable[[_Expansion, Any], Series]], ...] = (
    (sp.Rational, lambda _, node: [arb(fmpq(node.p, node.q))]),
    (sp.Float, lambda self, node: self.series(sp.Rational(node))),
    (tuple(CONSTANTS), lambda _, node: [CONSTANTS[type(node)]()]),
    (sp.Add, _Expansion.total),
    (sp.Mul, _Expansion.product),
    (sp.Pow, _Expansion.power),
    (heads.Cases, _Expansion.cases),
    (heads.straight_through, _Expansion.straight_through),
)
