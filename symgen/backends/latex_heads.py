"""Heads that only print has: a factor that is one or zero, and a sum or a largest entry within a formula."""

from __future__ import annotations

from typing import Any

from sympy import Expr, S, Symbol

from symgen.heads import RealFunction


class iverson(RealFunction):
    """``[condition]``: one where it holds, else zero, and then what it multiplies is nothing."""

    nargs = 1


class reduction(RealFunction):
    """``op over(indices) where condition of body``, as one number: ``reduction(op, condition, body, index, ...)``."""


    @classmethod
    def of(cls, op: str, indices: tuple[Symbol, ...], body: Expr, condition: Any) -> Expr:
        """The reduction of a body over all that fulfils a condition; what no index moves stands before a sum."""
        alone, rest = body.as_independent(*indices, as_Add=False) if op == "sum" else (S.One, body)
        return alone * cls(Symbol(op), condition, rest, *indices)

    def _eval_is_extended_real(self) -> bool:
        return True
