"""Mutation operators for rules: every way in which one sign, number, function, term or condition may be wrong."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import sympy as sp
from sympy import Expr

from symgen.heads import maximum, minimum
from symgen.rules import Procedure, Rule
from symgen.rules.rule import VARIABLES, u, v
from symgen.vocabulary import erf, erfc, erfcx, expm1, log1p, sech2, sigmoid, softplus, tanh

# a function and one that a hand might write in its place
SIBLINGS: dict[Any, Any] = {
    sp.exp: expm1, expm1: sp.exp, sp.log: log1p, log1p: sp.log, sp.sin: sp.cos, sp.cos: sp.sin, sp.tan: sp.sin,
    sp.atan: sp.asinh, sp.asinh: sp.atan, sp.sinh: sp.cosh, sp.cosh: sp.sinh, tanh: sigmoid, sigmoid: tanh, sech2: tanh,
    softplus: sp.Abs, sp.Abs: softplus, erf: erfc, erfc: erf, erfcx: erfc, maximum: minimum, minimum: maximum,
}  # fmt: skip


def mutants(rule: Rule) -> Iterator[tuple[str, Expr]]:
    """What is wrong, and the right side with it; none of them is the right side itself."""
    seen = {rule.right}
    for what, mutated in _all(rule.right):
        if mutated not in seen:
            seen.add(mutated)
            yield what, mutated


def _all(right: Expr) -> Iterator[tuple[str, Expr]]:
    yield "negated", -right
    for variable in sorted(right.free_symbols & VARIABLES, key=str):
        yield f"-{variable}", right.xreplace({variable: -variable})
        yield f"2 {variable}", right.xreplace({variable: 2 * variable})
    yield "u and v exchanged", right.xreplace({u: v, v: u}) if {u, v} <= right.free_symbols else right
    for number in sorted({n for n in right.atoms(sp.Rational) if n != 0}, key=sp.default_sort_key):
        yield f"{number} + 1", right.xreplace({number: number + 1})
        yield f"{number}/2", right.xreplace({number: number / 2})
        yield f"-{number}", right.xreplace({number: -number})
    for node in sorted(right.atoms(sp.Function), key=sp.default_sort_key):
        sibling = SIBLINGS.get(type(node))
        if sibling is not None:
            yield f"{sibling.__name__} for {node}", right.xreplace({node: sibling(*node.args)})
    for node in sp.preorder_traversal(right):
        if node.is_Add:
            for term in node.args:
                yield f"without {term}", right.xreplace({node: node - term})
                yield f"minus {term}", right.xreplace({node: node - 2 * term})
        elif node.is_Mul:
            for factor in node.args:
                yield f"without a factor {factor}", right.xreplace({node: node / factor})


def without_each_condition(rule: Rule) -> Iterator[tuple[str, Rule]]:
    """The rule with one condition of its domain left out."""
    for i, (e, condition) in enumerate(rule.domain):
        yield f"{e} {condition}", replace(rule, domain=rule.domain[:i] + rule.domain[i + 1 :])


def broken(procedure: Procedure) -> Iterator[tuple[str, Procedure]]:
    """The procedure with a wrong result."""
    changes: dict[str, Callable[[Expr], Expr]] = {
        "negated": lambda e: -e,
        "one more": lambda e: e + 1,
        "doubled": lambda e: 2 * e,
        "reciprocal": lambda e: 1 / e,
    }
    for what, change in changes.items():
        yield what, replace(procedure, run=_changed(procedure.run, change))


def _changed(run: Callable[[Expr], Expr | None], change: Callable[[Expr], Expr]) -> Callable[[Expr], Expr | None]:
    def changed(e: Expr) -> Expr | None:
        after = run(e)
        return None if after is None else change(after)

    return changed
