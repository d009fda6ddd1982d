"""What a formula is made of before it is stabilised: weights in front, and a function of a difference of two tensors.

Most losses are ``w f(a - b)``. The weights scale every output and need no sampling; a function of the difference alone
is stabilised in the difference, as any function of one variable is, and its kernels take the difference exactly.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import sympy as sp
from sympy import Expr, Symbol

from symgen.arithmetic import COMPENSATED, ZERO, Pair, exact
from symgen.heads import weighted
from symgen.kernel import Node, node, select, var

RESIDUALS = ("r", "residual", "difference")


@dataclass(frozen=True)
class Difference:
    """``symbol = minuend - subtrahend``."""

    symbol: Symbol
    minuend: Symbol
    subtrahend: Symbol

    @property
    def expression(self) -> Expr:
        return self.minuend - self.subtrahend

    def pair(self) -> Pair:
        """The difference of the kernel's operands, exactly."""
        return COMPENSATED.sub(exact(var(self.minuend.name)), exact(var(self.subtrahend.name)))


@dataclass(frozen=True)
class Structure:
    """``formula = product of weights * core``, the core perhaps in a difference instead of two tensors."""

    core: Expr
    weights: tuple[Symbol, ...] = ()
    difference: Difference | None = None

    def spelled(self, expression: Any) -> Any:
        """An expression over the difference in the operands again."""
        if self.difference is None:
            return expression
        return expression.xreplace({self.difference.symbol: self.difference.expression})

    def scaled(self, result: Node, but: str = "") -> Node:
        """A graph times every weight (but one); a weight of zero makes zero of anything."""
        names = [w.name for w in self.weights if w.name != but]
        if not names:
            return result
        weight = var(names[0])
        for name in names[1:]:
            weight *= var(name)
        return select(node("eq", weight, ZERO), ZERO, weight * result)


def structure(value: Expr, tensors: Iterable[Symbol], weights: Iterable[Symbol]) -> Structure:
    """Take a formula apart.

    Args:
        value: the formula of a variant.
        tensors: its tensor operands, in signature order.
        weights: its operands that are weights.

    Example:
        >>> from sympy import Symbol
        >>> a, b, w = (Symbol(n, real=True) for n in "abw")
        >>> structure(w * (a - b) ** 2, (a, b), (w,)).core
        r**2
    """
    core, taken = value, []
    for w in weights:
        if value.is_Mul and w in value.args and not (rest := core / w).has(w):
            core = rest
            taken.append(w)
    found = _difference(core, tuple(tensors))
    if found is None:
        return Structure(core, tuple(taken))
    return Structure(found[0], tuple(taken), found[1])


def _difference(value: Expr, tensors: tuple[Symbol, ...]) -> tuple[Expr, Difference] | None:
    """The formula in the difference of the first two tensors, if it depends on them in no other way."""
    if len(tensors) < 2:
        return None
    a, b = tensors[:2]
    taken = {s.name for s in value.free_symbols}
    r = Symbol(next(n for n in RESIDUALS if n not in taken), real=True)
    moved = value.xreplace({a: r + b})
    if {a, b} & moved.free_symbols or r not in moved.free_symbols:
        return None
    return moved, Difference(r, a, b)


def annihilated(value: Any, light: frozenset[Symbol]) -> Any:
    """Products in which a factor made of weights and probabilities alone is zero are zero, whatever the rest is."""
    if not light or not getattr(value, "args", ()) or not light & value.free_symbols:
        return value
    if not value.is_Mul:
        return value.func(*(annihilated(a, light) for a in value.args))
    factors = [f for f in value.args if f.free_symbols and f.free_symbols <= light]
    rest = [annihilated(f, light) for f in value.args if f not in factors and not f.is_number]
    number = sp.Mul(*(f for f in value.args if f.is_number))
    if not factors or not any(_may_be_infinite(f) for f in rest):
        return sp.Mul(number, *factors, *rest)
    return number * weighted(sp.Mul(*factors), sp.Mul(*rest))


def _may_be_infinite(e: Expr) -> bool:
    """Whether a factor has a pole or a logarithm in it; none over what is never below 1, as in a sigmoid."""
    divisors = (p.base for p in e.atoms(sp.Pow) if p.exp.is_negative)
    return bool(e.has(sp.log)) or not all((d - 1).is_nonnegative for d in divisors)
