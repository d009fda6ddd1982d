"""From a stable SymPy expression to kernel nodes: one table from head to code, plain or compensated.

Every head of the vocabulary is computed here in the form that keeps its accuracy over its whole range: logistic heads
through ``exp(-|u|)``, hyperbolic ones through ``expm1(-2|u|)``, the Gaussian ones through ``exp(-u^2) erfcx(u)`` with
the square split exactly. What an expression means is never changed; products are ordered so that nothing overflows
before it is divided.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

import sympy as sp
from sympy import Expr, Symbol

from symgen.arithmetic import Arithmetic, Pair, number_format
from symgen.lowering import gaussian, heads, kinks, products
from symgen.lowering.walk import Code, LoweringError, Walk, number

__all__ = ["TABLE", "Lowering", "LoweringError", "lower", "number"]

_WHOLE: Mapping[type, Code] = {**products.TABLE, **heads.TABLE, **gaussian.TABLE, **kinks.TABLE}


def _as_product(code: Code) -> Code:
    """A head that can underflow is a product of one factor where such factors are split."""
    return lambda s, e: products.lower_mul(s, e) if s.arithmetic.halved else code(s, e)


TABLE: Mapping[type, Code] = {**_WHOLE, **{head: _as_product(_WHOLE[head]) for head in products.SPLIT}}


class Lowering(Walk):
    """The walk with the code of every head.

    Example:
        >>> from sympy import Symbol
        >>> from symgen.arithmetic import PLAIN, Pair
        >>> from symgen.kernel import var
        >>> x = Symbol("x", real=True)
        >>> Lowering(PLAIN, {x: Pair(var("x"))}).pair(2 * x).high.op
        'mul'
    """

    table = TABLE


def lower(expression: Expr, bound: Mapping[Symbol, Pair], arithmetic: Arithmetic) -> Pair:
    """The kernel graph of an expression.

    Args:
        expression: heads of the vocabulary and SymPy nodes.
        bound: what each free symbol stands for.
        arithmetic: plain, compensated or halved.

    Returns:
        The value, with what its rounding left where the arithmetic tracks that.

    Raises:
        LoweringError: a node of the expression has no code; the message names it.

    Example:
        >>> from sympy import Symbol, exp
        >>> from symgen.arithmetic import PLAIN, Pair
        >>> from symgen.kernel import var
        >>> x = Symbol("x", real=True)
        >>> lower(exp(x), {x: Pair(var("x"))}, PLAIN).high.value
        'exp'
    """
    return _walk(arithmetic, tuple(bound.items()), number_format()).pair(sp.sympify(expression))


@lru_cache(maxsize=64)
def _walk(arithmetic: Arithmetic, bound: tuple[tuple[Symbol, Pair], ...], _format: type) -> Lowering:
    """One walk for all candidates of an output: they share most of their subexpressions."""
    return Lowering(arithmetic, dict(bound))
