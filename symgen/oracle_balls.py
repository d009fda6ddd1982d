"""What the oracle's generated programs call, and the table of elementary functions."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import sympy as sp
from flint import arb, fmpq
from sympy import Expr

from symgen import vocabulary


class UndecidedError(ArithmeticError):
    """A comparison of two balls that overlap: more precision is needed."""


class UndefinedError(ArithmeticError):
    """The formula has no real value at this point, and that is certain."""


class OracleError(ValueError):
    """The formula has a node whose truth the oracle does not know."""


# --- what generated code calls; checked variants raise UndefinedError where a value certainly does not exist --------


def _inverse(d: arb) -> arb:
    return 1 / d


def _checked_inverse(d: arb) -> arb:
    if d.is_zero():
        raise UndefinedError
    return 1 / d


def _checked_log(u: arb) -> arb:
    if u <= 0:
        raise UndefinedError
    return u.log()


def _checked_sqrt(u: arb) -> arb:
    if u < 0:
        raise UndefinedError
    return u.sqrt()


def _within(low: int | None, high: int | None, method: str) -> Callable[[arb], arb]:
    """An elementary function that certainly has no value outside [low, high]."""

    def call(u: arb) -> arb:
        if (low is not None and u < low) or (high is not None and u > high):
            raise UndefinedError
        return getattr(u, method)()

    return call


def _power(base: arb, exponent: arb, checked: bool) -> arb:
    """base**exponent; an exact integer exponent is a product, so that a base of either sign or zero is fine."""
    n = exponent.unique_fmpz() if exponent.is_exact() and exponent.is_integer() else None
    if n is not None and abs(int(n)) <= 4096:
        product, square, count = arb(1), base, abs(int(n))
        while count:
            product = product * square if count & 1 else product
            square, count = square * square, count >> 1
        return product if n >= 0 else (_checked_inverse(product) if checked else 1 / product)
    if base.is_zero() and exponent > 0:
        return arb(0)
    if checked and (base < 0 or base.is_zero()):
        raise UndefinedError
    return (exponent * base.log()).exp()


def _power_coefficient(base: arb, exponent: arb, j: int, checked: bool) -> arb:
    """The j-th Taylor coefficient of u**exponent at u = base; zero where the falling factorial is exactly zero."""
    factor = arb(1)
    for i in range(j):
        factor = factor * (exponent - i) / (i + 1)
    return factor if factor.is_zero() else factor * _power(base, exponent - j, checked)


def _erfc(u: arb) -> arb:
    """Flint's erfc of an inexact ball is only as narrow as erfc(0) would be; far out, monotonicity is far sharper."""
    return u.lower().erfc().union(u.upper().erfc()) if u > 2 else u.erfc()


def order(a: arb, b: arb, final: bool = False) -> int:
    """The sign of a - b for all values in the two balls; of those that overlap at the last precision, zero."""
    if a < b:
        return -1
    if a > b:
        return 1
    if a.is_exact() and b.is_exact() and a == b:
        return 0
    if final and a.is_finite() and b.is_finite():
        return 0
    raise UndecidedError


def namespace(checked: bool, final: bool) -> dict[str, Any]:
    domains = {"asin": (-1, 1), "acos": (-1, 1), "atanh": (-1, 1), "acosh": (1, None), "log1p": (-1, None)}
    plain = {name: getattr(arb, name) for name in (*domains, "log", "sqrt", "rsqrt", "lgamma", "digamma")}
    guarded = {name: _within(low, high, name) for name, (low, high) in domains.items()}
    guarded |= {"log": _checked_log, "sqrt": _checked_sqrt, "rsqrt": lambda u: _checked_inverse(_checked_sqrt(u))}
    return {
        "arb": arb,
        "fmpq": fmpq,
        "ZERO": arb(0),
        "ONE": arb(1),
        "inverse": _checked_inverse if checked else _inverse,
        "power": partial(_power_coefficient, checked=checked),
        "order": partial(order, final=final),
        "erfc": _erfc,
        "trigamma": lambda u: arb(2).zeta(u),
        **plain,
        **(guarded if checked else {}),
    }


# --- elementary functions: value, first and second Taylor coefficient, from u, f (the value) and g (the first) ------

TWO_OVER_ROOT_PI = "2 / arb.const_sqrt_pi()"
OUTER: dict[type[Expr], tuple[str, str, str]] = {
    sp.exp: ("{u}.exp()", "{f}", "{f} / 2"),
    sp.log: ("log({u})", "inverse({u})", "-{g} * {g} / 2"),
    sp.sin: ("{u}.sin()", "{u}.cos()", "-{f} / 2"),
    sp.cos: ("{u}.cos()", "-{u}.sin()", "-{f} / 2"),
    sp.tan: ("{u}.tan()", "1 + {f} * {f}", "{f} * {g}"),
    sp.asin: ("asin({u})", "rsqrt(1 - {u} * {u})", "{u} * {g} * {g} * {g} / 2"),
    sp.acos: ("acos({u})", "-rsqrt(1 - {u} * {u})", "{u} * {g} * {g} * {g} / 2"),
    sp.atan: ("{u}.atan()", "1 / (1 + {u} * {u})", "-{u} * {g} * {g}"),
    sp.sinh: ("{u}.sinh()", "{u}.cosh()", "{f} / 2"),
    sp.cosh: ("{u}.cosh()", "{u}.sinh()", "{f} / 2"),
    sp.tanh: ("{u}.tanh()", "square({u}.sech())", "-{f} * {g}"),
    sp.asinh: ("{u}.asinh()", "(1 + {u} * {u}).rsqrt()", "-{u} * {g} * {g} * {g} / 2"),
    sp.acosh: ("acosh({u})", "rsqrt({u} * {u} - 1)", "-{u} * {g} * {g} * {g} / 2"),
    sp.atanh: ("atanh({u})", "inverse(1 - {u} * {u})", "{u} * {g} * {g}"),
    sp.erf: ("{u}.erf()", f"(-{{u}} * {{u}}).exp() * ({TWO_OVER_ROOT_PI})", "-{u} * {g}"),
    sp.erfc: ("erfc({u})", f"-(-{{u}} * {{u}}).exp() * ({TWO_OVER_ROOT_PI})", "-{u} * {g}"),
    sp.loggamma: ("lgamma({u})", "digamma({u})", "trigamma({u}) / 2"),
    sp.floor: ("{u}.floor()", "ZERO", "ZERO"),
    sp.ceiling: ("{u}.ceil()", "ZERO", "ZERO"),
    vocabulary.sigmoid: ("1 / (1 + (-{u}).exp())", "{f} / (1 + {u}.exp())", "-{g} * ({u} / 2).tanh() / 2"),
    vocabulary.softplus: ("{u}.exp().log1p()", "1 / (1 + (-{u}).exp())", "{g} / (1 + {u}.exp()) / 2"),
    vocabulary.sech2: ("square({u}.sech())", "-2 * {f} * {u}.tanh()", "{f} * (2 - 3 * {f})"),
    vocabulary.expm1: ("{u}.expm1()", "{u}.exp()", "{g} / 2"),
    vocabulary.log1p: ("log1p({u})", "inverse(1 + {u})", "-{g} * {g} / 2"),
    vocabulary.log1mexp: ("log(-(-{u}).expm1())", "inverse({u}.expm1())", "-{g} * (1 + {g}) / 2"),
    vocabulary.erfcx: (
        "({u} * {u}).exp() * erfc({u})",
        f"2 * {{u}} * {{f}} - {TWO_OVER_ROOT_PI}",
        "{f} + {u} * {g}",
    ),
    vocabulary.log_half_erfc: (
        "(erfc({u}) / 2).log()",
        f"-(-{{u}} * {{u}}).exp() / erfc({{u}}) * ({TWO_OVER_ROOT_PI})",
        "-{g} * (2 * {u} + {g}) / 2",
    ),
}
OUTER[vocabulary.tanh] = OUTER[sp.tanh]
OUTER[vocabulary.erf] = OUTER[sp.erf]
OUTER[vocabulary.erfc] = OUTER[sp.erfc]
