"""Formulas as Python text that any array library can run: `where(x > 0, x, exp(x) - 1)` in names that it provides."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import sympy as sp

from symgen.heads import Cases

FUNCTIONS: Mapping[str, str] = {
    "exp": "exp", "log": "log", "sin": "sin", "cos": "cos", "tan": "tan", "sinh": "sinh", "cosh": "cosh",
    "tanh": "tanh", "atan": "arctan", "asinh": "arcsinh", "erf": "erf", "Abs": "abs", "sign": "sign",
    "first_max": "maximum", "first_min": "minimum", "maximum": "maximum", "minimum": "minimum",
    "Max": "maximum", "Min": "minimum",
}  # fmt: skip
SIGNS = {
    sp.Add: "+", sp.And: "&", sp.Or: "|",
    sp.Gt: ">", sp.Ge: ">=", sp.Lt: "<", sp.Le: "<=", sp.Eq: "==", sp.Ne: "!=",
}  # fmt: skip
Number = Callable[[float], str]


class UnprintableError(ValueError):
    """A formula has a part that has no name here; the message has the name that is missing."""


def text(expression: Any, number: Number = repr) -> str:
    """An expression as text.

    Args:
        expression: a SymPy expression without parameters.
        number: writes a constant, for libraries in which a Python number has a dtype of its own.

    Example:
        >>> x = sp.Symbol("x", real=True)
        >>> text(1 / (1 + sp.exp(-x)))
        '(1.0 / (1.0 + exp((-1.0 * x))))'
    """
    if expression.is_Symbol:
        return str(expression.name)
    if getattr(expression, "is_number", False) and expression.is_real:
        return number(float(expression))
    if isinstance(expression, sp.Mul):
        return _product(expression, number)
    if isinstance(expression, sp.Pow):
        return _power(expression.base, expression.exp, number)
    parts = [text(a, number) for a in expression.args]
    if isinstance(expression, Cases):
        return f"where({', '.join(parts)})"
    if isinstance(expression, sp.Not):
        return f"(~{parts[0]})"
    sign = next((sign for kind, sign in SIGNS.items() if isinstance(expression, kind)), None)
    if sign is not None:
        return f"({f' {sign} '.join(parts)})"
    name = FUNCTIONS.get(type(expression).__name__)
    if name is None:
        raise UnprintableError(type(expression).__name__)
    return f"{name}({', '.join(parts)})"


def _product(expression: Any, number: Number) -> str:
    """A product, what has a negative power as a division."""
    below = [a for a in expression.args if a.is_Pow and a.exp == -1]
    above = [a for a in expression.args if a not in below]
    top = " * ".join(text(a, number) for a in above) or number(1.0)
    bottom = " * ".join(text(a.base, number) for a in below)
    return f"({top} / ({bottom}))" if below else f"({top})"


def _power(base: Any, exponent: Any, number: Number) -> str:
    if exponent == sp.Rational(1, 2):
        return f"sqrt({text(base, number)})"
    if exponent == -1:
        return f"({number(1.0)} / {text(base, number)})"
    if exponent.is_Integer and 1 < abs(exponent) <= 4:
        once = text(base, number)
        many = f"({' * '.join([once] * abs(int(exponent)))})"
        return many if exponent > 0 else f"({number(1.0)} / {many})"
    return f"({text(base, number)} ** {text(exponent, number)})"
