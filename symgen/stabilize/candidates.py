"""Forms worth measuring: the rewritten expression, the unrewritten one, and both again on each side of zero."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import sympy as sp
from sympy import Expr, Symbol

from symgen.calculus import derivative
from symgen.heads import Cases, first_max, first_min
from symgen.rules import ROOTS, UNFOLD
from symgen.rules.engine import RewriteError, fixpoint
from symgen.rules.rule import Procedure, Rule, Step
from symgen.stabilize.form import MAGNITUDE, Formula
from symgen.stabilize.normal import normal_forms
from symgen.stabilize.rewrite import rewrite
from symgen.vocabulary import expand_heads

Steps = tuple[Step, ...]


def resolve(expression: Expr) -> Expr:
    """Take the branch of every case whose condition has become certain."""
    if not expression.args:
        return expression
    if isinstance(expression, Cases):
        condition, then, otherwise = expression.args
        if condition is sp.true:
            return resolve(then)
        if condition is sp.false:
            return resolve(otherwise)
        return Cases(condition, resolve(then), resolve(otherwise))
    if isinstance(expression, sp.logic.boolalg.Boolean):
        return expression
    return expression.func(*(resolve(a) for a in expression.args))


def hoist(expression: Expr, most: int = 8) -> Expr:
    """Bring cases to the top: f(a if c else b) becomes f(a) if c else f(b), while that stays small."""
    if isinstance(expression, Cases):
        condition, then, otherwise = expression.args
        return Cases(condition, hoist(then, most), hoist(otherwise, most))
    if len(expression.atoms(Cases)) > most:
        return expression
    for i, argument in enumerate(expression.args):
        if isinstance(argument, sp.logic.boolalg.Boolean) or not argument.has(Cases):
            continue
        inner = hoist(argument, most)
        if isinstance(inner, Cases):
            condition, then, otherwise = inner.args
            rest = list(expression.args)
            yes = expression.func(*rest[:i], then, *rest[i + 1 :])
            no = expression.func(*rest[:i], otherwise, *rest[i + 1 :])
            return Cases(condition, hoist(yes, most), hoist(no, most))
    return expression


def sides(x: Symbol) -> tuple[int, ...]:
    """The sides of zero that the domain of x has."""
    if x.is_nonnegative:
        return (1,)
    return (-1,) if x.is_nonpositive else (1, -1)


def sided(expression: Expr, x: Symbol, side: int) -> Expr:
    """The expression on one side of zero, in y = |x|."""
    return resolve(expression.xreplace({x: side * MAGNITUDE}))


def traced(expression: Expr) -> tuple[Expr, Steps]:
    """The rewritten expression and the steps, or the expression itself where the rules do not come to an end on it."""
    try:
        return rewrite(expression)
    except RewriteError:
        return expression, ()


def settled(rules: Sequence[Rule | Procedure], expression: Expr) -> Expr:
    """What some rules make of an expression; the expression itself where they do not come to an end on it."""
    try:
        return fixpoint(rules, expression)[0]
    except RewriteError:
        return expression


@lru_cache(maxsize=4096)
def attempt(expression: Expr) -> Expr:
    """The rewritten expression alone; both targets and every round of refinement ask for the same ones."""
    return traced(expression)[0]


@lru_cache(maxsize=1024)
def reduced(half: Expr) -> tuple[Expr, ...]:
    """The normal forms of an expression in y = |x|; both targets and every round ask for the same ones."""
    return normal_forms(half)


def collected(expression: Expr, x: Symbol) -> Expr:
    """A sum over what depends on x, each with all of its coefficients: ``p f(x) - f(x)`` is ``(p - 1) f(x)``."""
    if not expression.is_Add:
        return expression
    found: dict[Expr, list[Expr]] = {}
    for term in expression.args:
        coefficient, rest = term.as_independent(x, as_Add=False)
        found.setdefault(rest, []).append(coefficient)
    return sp.Add(*(sp.Add(*coefficients) * rest for rest, coefficients in found.items()))


def leading(expression: Expr, x: Symbol) -> list[Expr]:
    """The first term of the expansion at zero: what is left where the argument itself is subnormal."""
    if expression.has(Cases, sp.Abs, sp.sign, first_max, first_min):
        return []
    at_zero = expand_heads(expression).subs(x, 0)
    if at_zero.is_zero:
        slope = expand_heads(derivative(expression, x)).subs(x, 0)
        return [slope * x] if slope.is_finite and not slope.is_zero else []
    return [at_zero] if at_zero.is_finite else []


def distributed(expression: Expr, x: Symbol) -> Expr:
    """What scales a whole sum by parameters, in each of its terms: a sum that underflows may be none once scaled."""
    scale, rest = expression.as_independent(x, as_Add=False)
    if not rest.is_Add or scale.is_number:
        return expression
    return sp.Add(*(scale * term for term in rest.args))


def candidates(stable: Expr, raw: Sequence[Expr], x: Symbol, arithmetics: Sequence[str]) -> list[Formula]:
    """Formulas in order of preference: cheap arithmetic first, then the rewritten form, then the rest.

    Args:
        stable: the expression after all rules.
        raw: the same function as calculus left it, in other shapes.
        x: the variable.
        arithmetics: names of `form.ARITHMETICS`, cheapest first.
    """
    known = shapes(stable, tuple(raw), x)
    return [Formula(e, a, side, source, x.name) for a in arithmetics for e, side, source in known]


@lru_cache(maxsize=256)  # of one function at a time: its targets differ in their arithmetic alone
def shapes(stable: Expr, raw: tuple[Expr, ...], x: Symbol) -> tuple[tuple[Expr, int, str], ...]:
    """The expressions of the candidates, each with the side of zero that it is for and where it comes from."""
    found: list[tuple[Expr, int, str]] = [(stable, 0, "rules"), *((r, 0, "as derived") for r in raw)]
    both = len(sides(x)) == 2
    for side in sides(x):
        seen: list[Expr] = []
        for e in (stable, *raw):
            half = sided(e, x, side)
            for form in (attempt(half), half):
                # what only spells x as y, or as -y, is the same code twice
                if form not in seen and not (both and form.xreplace({MAGNITUDE: side * x}) == e) and form != e:
                    seen.append(form)
                    found.append((form, side, "rules"))
        found += [(other, side, "rules, unfolded") for form in seen if (other := settled(UNFOLD, form)) != form]
        normal = [form for e in (stable, *raw) for form in reduced(sided(e, x, side))]
        normal += [other for form in normal for other in (collected(form, MAGNITUDE), settled(ROOTS, form))]
        found += [(form, side, "normal form") for form in normal]
    unfolded = settled(UNFOLD, stable)
    if unfolded != stable:
        found.append((unfolded, 0, "rules, unfolded"))
    spread = distributed(stable, x)
    if spread != stable:
        found.append((spread, 0, "rules, scaled term by term"))
    unique = list(dict.fromkeys(found))
    unique += [(t, 0, "leading term at zero") for t in leading(stable, x) if (t, 0, "rules") not in unique]
    return tuple(unique)
