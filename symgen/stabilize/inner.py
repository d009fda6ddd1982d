"""Free parameters that only scale the argument: ``E(x, p) = c(p) G(u)`` with ``u = p x`` leaves a fixed function of u.

What algebra cannot do for a formula with parameters (there are no pieces of a function that is not fixed) it can then
do for G, whose cuts are in u and hold for every value of the parameter.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import sympy as sp
from sympy import Expr, Function, Symbol

from symgen.arithmetic import COMPENSATED, Pair, absolute
from symgen.kernel import Node, const, node, select, var
from symgen.lowering import lower
from symgen.stabilize.form import Form

U = Symbol("u", real=True)
TINY = 2.0**-64  # beside one: the second term of an expansion at zero is then below rounding


@dataclass(frozen=True)
class Split:
    """``expression = scale * g(U=argument)``, the scale made of parameters alone."""

    argument: Expr
    scale: Expr
    g: Expr


def split(expression: Expr, x: Symbol) -> Split | None:
    """The fixed function inside an expression with parameters, if all heads share one multiple of x."""
    ratios = []
    for head in expression.atoms(Function):
        for argument in head.args:
            if argument.has(x):
                ratio = argument.coeff(x, 1)
                if ratio == 0 or argument != sp.expand(ratio * x):
                    return None
                ratios.append(ratio.as_coeff_Mul()[1])
    scales = set(ratios)
    if len(scales) != 1:
        return None
    scale = scales.pop()
    if scale.is_number:
        return None
    free, g = sp.factor_terms(expression.xreplace({x: U / scale})).as_independent(U, as_Add=False)
    if g.free_symbols != {U}:
        return None
    return Split(scale * x, free, g)


def split_argument() -> Pair:
    """u as a sum whose low part is not zero: what is measured with it holds for a scaled argument, which has one.

    With a low part a square of u, say, is lost beside it, where an exact u would keep it.
    """
    u = var("u")
    high = u * const(1 + 2.0**-52)
    return Pair(high, u - high)


@dataclass(frozen=True)
class Inner:
    """The body of a segment: a fixed function's form at a scaled argument, times what the parameters contribute."""

    split: Split
    form: Form
    small: Expr | None = None  # the first term of g at zero
    arithmetic: str = "compensated"

    @property
    def kind(self) -> str:
        return "formula"

    @property
    def expression(self) -> Expr:
        return self.split.scale * self.split.g.xreplace({U: self.split.argument})

    @property
    def note(self) -> str:
        parts = [s for region in self.form.regions() for s in region.segments]
        pieces = sum(s.kind == "piece" for s in parts)
        return f"in u = {self.split.argument}: {len(parts)} segments, {pieces} of them pieces of the exact function"

    def node(self, _x: Symbol, bound: Mapping[Symbol, Pair], _scale: Expr = sp.S.One) -> Node:
        u = COMPENSATED.normal(lower(self.split.argument, bound, COMPENSATED))
        # multiplied in within each segment: what is subnormal by itself need not be so once scaled
        value = self.form.node(U, {**bound, U: u}, self.split.scale)
        if self.small is None:
            return value
        # c(p) g'(0) u is an expression in x again: u itself may be subnormal, or zero, where that is not
        first = self.split.scale * self.small.xreplace({U: self.split.argument})
        small = COMPENSATED.rounded(lower(first, bound, COMPENSATED))
        return select(node("lt", absolute(u.high), const(TINY)), small, value)
