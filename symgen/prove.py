"""Proofs of rules: exact tactics in bounded steps, or a refutation with a counterexample; a label never claims more.

A rule is proved when its sides have the same normal form (perhaps after differentiating, exponentiating or splitting
by sign), and when at sampled points of its domain, ends included, the right side is defined wherever the left one is.
Before any of that the points are searched for a counterexample, which is what a wrong rule gets for an answer.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import sympy as sp
from flint import arb
from sympy import Expr, Symbol

from symgen import prove_normal
from symgen.heads import maximum, minimum
from symgen.proofs import Obligation, Proof, Refutation, Undecided, Verdict
from symgen.prove_balls import BallError, difference_bound
from symgen.prove_normal import NormalFormError
from symgen.prove_points import find_counterexample
from symgen.rules import ALL_RULES
from symgen.rules.rule import Procedure, Rule
from symgen.vocabulary import DEFINITIONS, HEADS, Head

Domain = tuple[tuple[Expr, str], ...]

SAMPLED = "sampled at 60 digits"


class TacticError(ValueError):
    """The tactic does not decide this identity."""


# -- tactics ----------------------------------------------------------------------------------------------------------


def _need(condition: bool, reason: str) -> None:
    if not condition:
        raise TacticError(reason)


def by_normal_form(left: Expr, right: Expr) -> str:
    """Both sides are one rational function of exponentials and opaque functions."""
    _need(prove_normal.equal(left, right), "the normal forms differ")
    return "one normal form in exponentials"


def by_exponentiating(left: Expr, right: Expr) -> str:
    """Equal exponentials mean equal sides, since exp is injective on the reals."""
    try:
        return by_normal_form(left, right)
    except TacticError:
        sides = [prove_normal.plain(side) for side in (left, right)]
        _need(prove_normal.equal(*(sp.exp(sp.expand(s)) for s in sides)), "the exponentials differ")
        return "one normal form after exponentiating both sides"


def by_hyperbolic_sine(left: Expr, right: Expr) -> str:
    """Equal hyperbolic sines of the halves mean equal sides, since sinh is injective on the reals."""

    def sine(side: Expr) -> Expr:
        half = sp.expand(side / 2)
        if half.has(sp.asinh):
            return sp.sinh(half)
        half = sp.expand(prove_normal.plain(half))
        return (sp.exp(half) - sp.exp(-half)) / 2

    _need(prove_normal.equal(sine(left), sine(right)), "the hyperbolic sines differ")
    return "one normal form of the hyperbolic sines of both halves"


def by_derivative(left: Expr, right: Expr) -> str:
    """Equal derivatives in one variable after the other, and equal values at one exact point of each."""
    difference = prove_normal.plain(left) - prove_normal.plain(right)
    shown: list[str] = []
    while difference != 0:
        _need(bool(difference.free_symbols), f"the values{' at ' if shown else ''}{' and '.join(shown)} differ")
        variable = min(difference.free_symbols, key=lambda s: s.name)
        _need(prove_normal.equal(sp.diff(difference, variable), sp.S.Zero), f"the derivatives in {variable} differ")
        point = 1 if variable.is_positive else 0
        difference = difference.subs(variable, point)
        shown.append(f"{variable} = {point}")
    return f"equal derivatives in {', '.join(s.split()[0] for s in shown)}, equal values at {', '.join(shown)}"


def by_sides(left: Expr, right: Expr) -> str:
    """Split the variables under ``Abs`` and ``sign`` by sign, so that these resolve; zero is looked at by itself."""
    kinks = (left - right).atoms(sp.Abs, sp.sign)
    for variable in sorted({s for k in kinks for s in k.free_symbols}, key=lambda s: s.name):
        size = Symbol(f"abs_{variable.name}", positive=True)
        for value in (size, -size, sp.S.Zero):
            by_exponentiating(*(_ordered(side.xreplace({variable: value})) for side in (left, right)))
    return "one normal form on each side of zero and at zero"


def _ordered(expression: Expr) -> Expr:
    """Take the larger (smaller) argument of ``maximum`` (``minimum``) where its sign tells which that is."""

    def larger(p: Expr, q: Expr) -> Expr:
        return p if (p - q).is_nonnegative else q if (q - p).is_nonnegative else maximum(p, q)

    def smaller(p: Expr, q: Expr) -> Expr:
        return q if (p - q).is_nonnegative else p if (q - p).is_nonnegative else minimum(p, q)

    return expression.replace(maximum, larger).replace(minimum, smaller)


def by_order(left: Expr, right: Expr) -> str:
    """Split two variables by which is larger, so that ``maximum``, the absolute difference and its sign resolve.

    Where they are equal the sides are compared too, if both are defined; points of the domain are where that is asked.
    """
    first, second = sorted((left - right).free_symbols, key=lambda s: s.name)
    for larger, smaller, gap in (
        (first, second, Symbol("gap", positive=True)),
        (second, first, Symbol("gap", positive=True)),
        (first, second, sp.S.Zero),
    ):
        top = smaller + gap
        moved = (side.xreplace({larger: top}) for side in (left, right))
        resolved = [e.replace(maximum, lambda *_, t=top: t).replace(minimum, lambda *_, s=smaller: s) for e in moved]
        if not any(prove_normal.plain(e).has(sp.zoo, sp.nan) for e in resolved):
            by_exponentiating(*resolved)
    return "one normal form for each order of the two variables"


def by_half_angles(left: Expr, right: Expr) -> str:
    """Every angle doubled, sums of angles expanded, and sin, cos of each angle as rational functions of a tangent."""
    sides = [side.replace(sp.tan, lambda u: sp.sin(u) / sp.cos(u)) for side in (left, right)]
    angles = {s: 2 * s for side in sides for s in side.free_symbols}
    expanded = [sp.expand_trig(side.xreplace(angles)) for side in sides]
    _need(prove_normal.equal(*(e.replace(sp.sin, _half_sine).replace(sp.cos, _half_cosine) for e in expanded)),
          "the rational functions of tangents differ")  # fmt: skip
    return "one rational function of tangents of half angles"


def _tangent(u: Expr) -> Expr:
    _need(u.is_Symbol, f"the angle {u} is no multiple of half a variable")
    return Symbol(f"tan_{u}", real=True)


def _half_sine(u: Expr) -> Expr:
    return 2 * _tangent(u) / (1 + _tangent(u) ** 2)


def _half_cosine(u: Expr) -> Expr:
    return (1 - _tangent(u) ** 2) / (1 + _tangent(u) ** 2)


def by_free_parameter(left: Expr, right: Expr, parameter: Symbol, value: Expr = sp.S.Zero) -> str:
    """A side that does not depend on a parameter equals its value at any one choice of it (shifts, scalings)."""
    difference = prove_normal.plain(right) - prove_normal.plain(left)
    _need(prove_normal.equal(sp.diff(difference, parameter), sp.S.Zero), f"it depends on {parameter}")
    by_exponentiating(left, right.xreplace({parameter: value}))
    return f"independent of {parameter}, equal at {parameter} = {value}"


def by_instances(build: Callable[[int], tuple[Expr, Expr]], sizes: Sequence[int] = (2, 3, 4)) -> str:
    """A reduction rule at small lengths, each by normal form: evidence for every length, proof for these."""
    for n in sizes:
        by_exponentiating(*build(n))
    return f"normal form at lengths {', '.join(map(str, sizes))}"


def by_balls(left: Expr, right: Expr, lower: float, upper: float, bits: int = 60) -> str:
    """Ball arithmetic bounds the difference on a whole interval, by Taylor expansion on boxes."""
    bound, boxes = difference_bound(left, right, lower, upper, bits)
    _need(bool(bound < arb(2) ** -bits), f"the difference may be as large as {bound}")
    return f"difference below 2^-{bits} on [{lower}, {upper}], {boxes} boxes"


TACTICS: dict[str, tuple[str, Callable[[Expr, Expr], str]]] = {
    "exponential": ("symbolic", by_normal_form),
    "exponentiate": ("symbolic", by_exponentiating),
    "hyperbolic sine": ("symbolic", by_hyperbolic_sine),
    "derivative": ("symbolic", by_derivative),
    "sides": ("symbolic, by sign", by_sides),
    "order": ("symbolic, by order", by_order),
    "circular": ("symbolic", by_half_angles),
}


# -- proving ----------------------------------------------------------------------------------------------------------


def prove_identity(left: Expr, right: Expr, tactic: str = "exponential", domain: Domain = ()) -> Verdict:
    """Prove or refute ``left = right`` for all values of the free symbols that satisfy the domain.

    Args:
        left: an expression in heads and SymPy functions.
        right: what it is claimed to equal.
        tactic: a key of `TACTICS`; where it does not decide, the answer is a proof by sampling that says so.
        domain: pairs of an expression, most often a symbol, and a condition of `symgen.rules.rule.CONDITIONS`.

    Returns:
        A proof with its label, or a refutation with a counterexample; undecided where there is nothing to compare.
    """
    start = time.perf_counter()
    found, points = find_counterexample(left, right, domain)
    if found is not None:
        return Refutation(found, time.perf_counter() - start)
    if points == 0:
        return Undecided("the left side has no value at any point of the domain", time.perf_counter() - start)
    label, run = TACTICS[tactic]
    try:
        evidence = f"{run(left, right)}; defined alike at {points} points"
    except (TacticError, NormalFormError, BallError) as undecided:
        label, evidence = SAMPLED, f"equal at {points} points; {tactic}: {undecided}"
    return Proof(label, time.perf_counter() - start, evidence)


def prove(rule: Rule | Procedure) -> Verdict:
    """Prove or refute a rule; of a procedure, every example that it carries."""
    if isinstance(rule, Rule):
        return prove_identity(rule.left, rule.right, rule.proof, rule.domain)
    start = time.perf_counter()
    for example in rule.examples:
        after = rule.run(example)
        result = prove_identity(example, example if after is None else after, rule.proof)
        if not isinstance(result, Proof) or result.label == SAMPLED:
            return result
    evidence = f"one normal form before and after, {len(rule.examples)} examples"
    return Proof("symbolic, on examples", time.perf_counter() - start, evidence)


def prove_head(head: type[Head]) -> Verdict:
    """Check a head's table of derivatives against SymPy's derivative of its definition."""
    start = time.perf_counter()
    arguments = sp.symbols("u v", positive=True) if head.nargs == {2} else (Symbol("u", real=True),)
    definition = DEFINITIONS[head](*arguments)
    for i, symbol in enumerate(arguments):
        result = prove_identity(sp.diff(definition, symbol), head.partials[i](*arguments))
        if not isinstance(result, Proof) or result.label == SAMPLED:
            return result
    evidence = f"one normal form with the derivative of the definition in {len(arguments)} arguments"
    return Proof("symbolic", time.perf_counter() - start, evidence)


def obligations() -> list[Obligation]:
    """Every rule and procedure, and every head's table of derivatives."""
    rules = [Obligation("rule" if isinstance(r, Rule) else "procedure", r.name, partial(_prove_named, r.name))
             for r in ALL_RULES]  # fmt: skip
    return [*rules, *(Obligation("derivative", h.__name__, partial(prove_head, h)) for h in HEADS)]


def _prove_named(name: str) -> Verdict:
    """By name, since what a procedure runs cannot be pickled everywhere."""
    return prove(next(r for r in ALL_RULES if r.name == name))


def table(users: Mapping[str, list[str]] | None = None) -> list[dict[str, Any]]:
    """Every rule as a row: what it says and where, how it was proved just now, what it wins, where it comes from.

    Args:
        users: for each rule the functions whose derivation applies it.
    """
    rows = []
    for rule in ALL_RULES:
        result = prove(rule)
        pattern = isinstance(rule, Rule)
        rows.append(
            {
                "name": rule.name,
                "kind": "rule" if pattern else "procedure",
                "left": str(rule.left if isinstance(rule, Rule) else rule.examples[0]),
                "right": str(rule.right if isinstance(rule, Rule) else rule.run(rule.examples[0])),
                "domain": rule.domain_text() if isinstance(rule, Rule) else "reals",
                "phase": rule.phase,
                "proof": result.label if isinstance(result, Proof) else type(result).__name__.lower(),
                "evidence": result.evidence if isinstance(result, Proof) else str(result),
                "gain": rule.gain,
                "source": rule.source,
                "used by": (users or {}).get(rule.name, []),
            }
        )
    return rows
