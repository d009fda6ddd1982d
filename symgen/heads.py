"""The exact heads that spec formulas are made of: SymPy's own Piecewise, Max and Min forget what a kink means."""

from __future__ import annotations

from typing import Any, Self

from sympy import Expr, Function, sympify


class Cases(Expr):
    """``then if condition else otherwise``, evaluated lazily and never folded.

    SymPy's Piecewise moves conditions through reductions; this node only ever does what it says.
    """

    is_commutative = True

    def __new__(cls, condition: Any, then: Any, otherwise: Any) -> Self:
        node: Self = Expr.__new__(cls, sympify(condition), sympify(then), sympify(otherwise))
        return node

    @property
    def condition(self) -> Any:
        return self.args[0]

    @property
    def then(self) -> Any:
        return self.args[1]

    @property
    def otherwise(self) -> Any:
        return self.args[2]

    def _eval_is_extended_real(self) -> bool | None:
        return True if self.args[1].is_extended_real and self.args[2].is_extended_real else None

    def _sympystr(self, printer: Any) -> str:
        then, condition, otherwise = (printer._print(self.args[i]) for i in (1, 0, 2))
        return f"({then} if {condition} else {otherwise})"


class RealFunction(Function):
    """A head whose value is real for real arguments, with no automatic evaluation."""

    def _eval_is_extended_real(self) -> bool | None:
        return True if all(a.is_extended_real for a in self.args) else None


class first_max(RealFunction):
    """``max(a, b)`` of a spec: the larger one, the first argument at a tie."""

    nargs = 2


class first_min(RealFunction):
    """``min(a, b)`` of a spec: the smaller one, the first argument at a tie."""

    nargs = 2


class maximum(RealFunction):
    """The larger of two; at a tie each has half of the derivative."""

    nargs = 2


class minimum(RealFunction):
    """The smaller of two; at a tie each has half of the derivative."""

    nargs = 2


class weighted(RealFunction):
    """``w * v``, and zero where the weight is zero, whatever v is."""

    nargs = 2


class straight_through(RealFunction):
    """The value of the first argument with the derivative of the second."""

    nargs = 2


class defined(RealFunction):
    """The second argument where the first is a number, else NaN: what a condition on the first would swallow."""

    nargs = 2


class nearest(RealFunction):
    """Its argument rounded to one float, so that differences from other floats are exact."""

    nargs = 1
