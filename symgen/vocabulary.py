"""The smooth heads that calculus and rules work in, each with its definition and its derivative in stable form.

A head never evaluates itself (SymPy turns ``erfc(-x)`` into ``2 - erfc(x)`` and so undoes a stable form), and its
derivative is written in heads again, so that differentiating twice stays inside the vocabulary. ``DEFINITIONS`` gives
each head in SymPy's own functions: the meaning that proofs and the oracle use. The derivatives here are checked
against the definitions by `symgen.prove`, they are not believed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import sympy as sp
from sympy import Expr, pi, sqrt

from symgen.heads import RealFunction

HALF = sp.Rational(1, 2)


class Head(RealFunction):
    """One smooth function of the vocabulary; the class attribute tells its derivative in each argument."""

    partials: tuple[Callable[..., Expr], ...] = ()

    def fdiff(self, argindex: int = 1) -> Expr:
        return type(self).partials[argindex - 1](*self.args)


class sigmoid(Head):
    """1/(1 + e^-u), between 0 and 1."""

    nargs = 1

    def _eval_is_positive(self) -> bool | None:
        return True if self.args[0].is_finite else None


class softplus(Head):
    """log(1 + e^u), positive."""

    nargs = 1

    def _eval_is_positive(self) -> bool | None:
        return True if self.args[0].is_finite else None


class tanh(Head):
    """Hyperbolic tangent, odd."""

    nargs = 1


class sech2(Head):
    """1/cosh(u)^2 = 1 - tanh(u)^2, the derivative of tanh, even."""

    nargs = 1


class expm1(Head):
    """e^u - 1 without cancellation at zero."""

    nargs = 1


class log1p(Head):
    """log(1 + u) without cancellation at zero, u > -1."""

    nargs = 1


class log1mexp(Head):
    """log(1 - e^-u), u > 0."""

    nargs = 1


class erf(Head):
    """Error function, odd."""

    nargs = 1


class erfc(Head):
    """Complementary error function 1 - erf(u)."""

    nargs = 1


class erfcx(Head):
    """Scaled complementary error function e^(u^2) erfc(u)."""

    nargs = 1

    def _eval_is_positive(self) -> bool | None:
        return True if self.args[0].is_finite else None


class log_half_erfc(Head):
    """log(erfc(u)/2), which goes like -u^2 where erfc underflows: log Phi(x) is this at -x/sqrt(2)."""

    nargs = 1


class hypot(Head):
    """sqrt(u^2 + v^2) without overflow."""

    nargs = 2

    def _eval_is_nonnegative(self) -> bool | None:
        return True


class log_mixture(Head):
    """log(a sigmoid(-u) + (1 - a) sigmoid(u)), of a share a from 0 to 1."""

    nargs = 2


class mixture_slope(Head):
    """What log_mixture rises by in u: (1 - 2a)/(1 + a e^-u + (1 - a) e^u), between -1 and 1."""

    nargs = 2


class mixture_surprise(Head):
    """(a softplus(-u) + (1 - a) softplus(u)) over what log_mixture is the logarithm of, at least one."""

    nargs = 2

    def _eval_is_positive(self) -> bool | None:
        return True if all(a.is_finite for a in self.args) else None


class quotient(Head):
    """u/v as one number, whose powers keep the range that those of u and v leave."""

    nargs = 2

    def _eval_is_positive(self) -> bool | None:
        return True if all(a.is_positive for a in self.args) else None


DEFINITIONS: dict[type[Expr], Callable[..., Expr]] = {
    sigmoid: lambda u: 1 / (1 + sp.exp(-u)),
    softplus: lambda u: sp.log(1 + sp.exp(u)),
    tanh: sp.tanh,
    sech2: lambda u: 1 - sp.tanh(u) ** 2,
    expm1: lambda u: sp.exp(u) - 1,
    log1p: lambda u: sp.log(1 + u),
    log1mexp: lambda u: sp.log(1 - sp.exp(-u)),
    erf: sp.erf,
    erfc: lambda u: 1 - sp.erf(u),
    erfcx: lambda u: sp.exp(u**2) * (1 - sp.erf(u)),
    log_half_erfc: lambda u: sp.log((1 - sp.erf(u)) / 2),
    hypot: lambda u, v: sqrt(u**2 + v**2),
    quotient: lambda u, v: u / v,
    log_mixture: lambda u, a: sp.log(a / (1 + sp.exp(u)) + (1 - a) / (1 + sp.exp(-u))),
    mixture_slope: lambda u, a: (1 - 2 * a) / (1 + a * sp.exp(-u) + (1 - a) * sp.exp(u)),
    mixture_surprise: lambda u, a: (a * sp.log(1 + sp.exp(-u)) + (1 - a) * sp.log(1 + sp.exp(u)))
    / (a / (1 + sp.exp(u)) + (1 - a) / (1 + sp.exp(-u))),
}

sigmoid.partials = (lambda u: sigmoid(u) * sigmoid(-u),)
softplus.partials = (sigmoid,)
tanh.partials = (sech2,)
sech2.partials = (lambda u: -2 * tanh(u) * sech2(u),)
expm1.partials = (sp.exp,)
log1p.partials = (lambda u: 1 / (1 + u),)
log1mexp.partials = (lambda u: -sp.exp(-u) / expm1(-u),)
erf.partials = (lambda u: 2 / sqrt(pi) * sp.exp(-(u**2)),)
erfc.partials = (lambda u: -2 / sqrt(pi) * sp.exp(-(u**2)),)
erfcx.partials = (lambda u: 2 * u * erfcx(u) - 2 / sqrt(pi),)
log_half_erfc.partials = (lambda u: -2 / sqrt(pi) / erfcx(u),)
quotient.partials = (lambda u, v: 1 / v, lambda u, v: -u / v**2)
hypot.partials = (lambda u, v: u / hypot(u, v), lambda u, v: v / hypot(u, v))
log_mixture.partials = (mixture_slope, lambda u, a: -tanh(u / 2) * sp.exp(-log_mixture(u, a)))
mixture_slope.partials = (
    lambda u, a: -mixture_slope(u, a) * (mixture_slope(u, a) + tanh(u / 2)),
    lambda u, a: sp.exp(-log_mixture(u, a)) * (tanh(u / 2) * mixture_slope(u, a) - sech2(u / 2) / 2),
)
mixture_surprise.partials = (
    lambda u, a: sp.exp(-log_mixture(u, a)) * ((1 - a) * sigmoid(u) - a * sigmoid(-u))
    - mixture_surprise(u, a) * mixture_slope(u, a),
    lambda u, a: sp.exp(-log_mixture(u, a)) * (mixture_surprise(u, a) * tanh(u / 2) - u),
)

HEADS: tuple[type[Expr], ...] = tuple(DEFINITIONS)


def expand_heads(expression: Any) -> Expr:
    """Write every head by its definition, innermost first: the meaning of an expression in SymPy's own functions."""
    e = sp.sympify(expression)
    if not e.args:
        return e
    arguments = [expand_heads(a) for a in e.args]
    define = DEFINITIONS.get(type(e))
    return define(*arguments) if define else e.func(*arguments)
