"""Symbolic differentiation in the vocabulary: one table of patterns, with the spec's conventions at kinks.

SymPy's own ``diff`` is not used: it answers a kink with DiracDelta and Heaviside, and undoes heads by evaluating them.
Here the derivative of ``sign`` is zero, a tie of `first_max` goes to its first argument, a tie of `maximum` is shared,
and a case distinction is differentiated branch by branch with its condition left alone.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import sympy as sp
from sympy import Expr, S, Symbol

from symgen.heads import Cases, first_max, first_min, maximum, minimum, nearest, straight_through, weighted
from symgen.vocabulary import HALF, Head

Differentiate = Callable[[Expr], Expr]


class DerivativeError(ValueError):
    """An expression holds a node that calculus has no rule for."""


# one partial derivative per argument; functions that are constant almost everywhere have derivative zero by convention
PARTIALS: dict[type[Any], tuple[Callable[..., Expr], ...]] = {
    sp.exp: (sp.exp,),
    sp.log: (lambda u: 1 / u,),
    sp.sin: (sp.cos,),
    sp.cos: (lambda u: -sp.sin(u),),
    sp.tan: (lambda u: 1 + sp.tan(u) ** 2,),
    sp.asin: (lambda u: 1 / sp.sqrt(1 - u**2),),
    sp.acos: (lambda u: -1 / sp.sqrt(1 - u**2),),
    sp.atan: (lambda u: 1 / (1 + u**2),),
    sp.sinh: (sp.cosh,),
    sp.cosh: (sp.sinh,),
    sp.tanh: (lambda u: 1 - sp.tanh(u) ** 2,),
    sp.asinh: (lambda u: 1 / sp.sqrt(1 + u**2),),
    sp.acosh: (lambda u: 1 / sp.sqrt(u**2 - 1),),
    sp.atanh: (lambda u: 1 / (1 - u**2),),
    sp.erf: (lambda u: 2 / sp.sqrt(sp.pi) * sp.exp(-(u**2)),),
    sp.erfc: (lambda u: -2 / sp.sqrt(sp.pi) * sp.exp(-(u**2)),),
    sp.loggamma: (lambda u: sp.polygamma(0, u),),
    sp.polygamma: (lambda *_: S.NaN, lambda n, u: sp.polygamma(n + 1, u)),  # the order is a number
    sp.Abs: (sp.sign,),
    sp.sign: (lambda _: S.Zero,),
    sp.floor: (lambda _: S.Zero,),
    sp.ceiling: (lambda _: S.Zero,),
}


def cases(condition: Any, then: Expr, otherwise: Expr) -> Expr:
    """`Cases`, or the branch itself where both are the same."""
    return then if then == otherwise else Cases(condition, then, otherwise)


def _sum(e: Expr, d: Differentiate) -> Expr:
    return sp.Add(*map(d, e.args))


def _product(e: Expr, d: Differentiate) -> Expr:
    terms = []
    for i, factor in enumerate(e.args):
        slope = d(factor)
        if slope != 0:
            terms.append(sp.Mul(*e.args[:i], slope, *e.args[i + 1 :]))
    return sp.Add(*terms)


def _power(e: Expr, d: Differentiate) -> Expr:
    base, exponent = e.base, e.exp
    in_base, in_exponent = d(base), d(exponent)
    by_base = exponent * base ** (exponent - 1) * in_base if in_base != 0 else S.Zero
    by_exponent = e * sp.log(base) * in_exponent if in_exponent != 0 else S.Zero
    return by_base + by_exponent


def _cases(e: Expr, d: Differentiate) -> Expr:
    return cases(e.condition, d(e.then), d(e.otherwise))


def _first(relation: type[Any]) -> Callable[[Expr, Differentiate], Expr]:
    """The first argument wins a tie, so its derivative goes where ``a relation b`` holds with equality."""
    return lambda e, d: cases(relation(*e.args, evaluate=False), d(e.args[0]), d(e.args[1]))


def _shared(relation: type[Any]) -> Callable[[Expr, Differentiate], Expr]:
    """Each argument has half of the derivative at a tie."""

    def rule(e: Expr, d: Differentiate) -> Expr:
        a, b = e.args
        da, db = d(a), d(b)
        if da == db:
            return da
        tie = Cases(relation(b, a, evaluate=False), db, HALF * (da + db))
        return Cases(relation(a, b, evaluate=False), da, tie)

    return rule


def _weighted(e: Expr, d: Differentiate) -> Expr:
    weight, value = e.args
    in_weight, in_value = d(weight), d(value)
    by_value = weighted(weight, in_value) if in_value != 0 else S.Zero
    if in_weight == 0:
        return by_value
    return by_value + (in_weight * value if in_weight.is_number else weighted(in_weight, value))


STRUCTURES: dict[type[Any], Callable[[Expr, Differentiate], Expr]] = {
    sp.Add: _sum,
    sp.Mul: _product,
    sp.Pow: _power,
    Cases: _cases,
    first_max: _first(sp.Ge),
    first_min: _first(sp.Le),
    maximum: _shared(sp.Gt),
    minimum: _shared(sp.Lt),
    weighted: _weighted,
    straight_through: lambda e, d: d(e.args[1]),
    nearest: lambda e, d: d(e.args[0]),
}


def _chain(e: Expr, partials: tuple[Callable[..., Expr], ...], d: Differentiate) -> Expr:
    slopes = [d(a) for a in e.args]
    return sp.Add(*(partial(*e.args) * s for partial, s in zip(partials, slopes, strict=True) if s != 0))


def derivative(expression: Expr, symbol: Symbol) -> Expr:
    """The derivative of an expression in one symbol, with the declared conventions at kinks.

    Args:
        expression: SymPy nodes, `symgen.heads` and the heads of `symgen.vocabulary`.
        symbol: the symbol to differentiate in; every other symbol is a constant.

    Returns:
        The derivative, in the same nodes. A case distinction at the top stays one.

    Raises:
        DerivativeError: a node has no rule here; the message names it.

    Example:
        >>> from sympy import Abs, Symbol
        >>> x = Symbol("x", real=True)
        >>> derivative(x * Abs(x), x)
        x*sign(x) + Abs(x)
    """
    known: dict[Expr, Expr] = {}

    def d(e: Expr) -> Expr:
        found = known.get(e)
        if found is None:
            found = known[e] = _differentiate(e, symbol, d)
        return found

    return d(sp.sympify(expression))


def _differentiate(e: Expr, symbol: Symbol, d: Differentiate) -> Expr:
    if e == symbol:
        return S.One
    if not e.args or symbol not in e.free_symbols:
        return S.Zero
    structure = STRUCTURES.get(type(e))
    if structure:
        return structure(e, d)
    partials = e.partials if isinstance(e, Head) else PARTIALS.get(type(e))
    if partials:
        return _chain(e, partials, d)
    raise DerivativeError(
        f"no derivative is known for {type(e).__name__}, in {e}\n"
        f"  known: {', '.join(sorted(t.__name__ for t in (*STRUCTURES, *PARTIALS)))}\n"
        f"  hint: write it with these, or give {type(e).__name__} a line in symgen/calculus.py"
    )
