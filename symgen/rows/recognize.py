"""Stages in the vocabulary before calculus: cases outermost, logarithms undone, weights that annihilate.

``log(exp(u)/s)`` is ``u - log(s)`` before anybody differentiates it: the quotient would underflow, and its derivative
would carry the exponentials that cancel.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

import sympy as sp
from sympy import Expr

from symgen.heads import Cases, straight_through, weighted
from symgen.program import Program
from symgen.rows.indices import base_of, opened
from symgen.rows.lower import verify
from symgen.rules.rule import Step
from symgen.stabilize.candidates import hoist
from symgen.stabilize.recognize import recognize


def recognized(program: Program, light: Collection[str]) -> tuple[Program, tuple[Step, ...]]:
    """The program in heads of the vocabulary.

    Args:
        program: as lowered.
        light: operands that are weights or probabilities: a product with one of them is zero where it is.
    """
    stages, steps = [], []
    for stage in program.stages:
        body, back = opened(stage.body)
        factors = frozenset(s for s, r in back.items() if base_of(r) in light)
        factors |= {s for s in body.free_symbols if str(s) in light}
        known, found = recognize(without_quotients(annihilating(body, factors)))
        steps += [Step(s.rule, s.before.xreplace(back), s.after.xreplace(back)) for s in found]
        stages.append(replace(stage, body=known.xreplace(back)))
    return verify(replace(program, stages=tuple(stages))), tuple(steps)


def without_quotients(e: Expr) -> Expr:
    """Logarithms of products with the exponentials taken out: log(exp(u) r) is u + log(r), which overflows nowhere.

    A power of such a product to an exponent that is no number is the exponential of its logarithm.
    """
    if not e.args or isinstance(e, sp.logic.boolalg.Boolean):
        return e
    inner = [without_quotients(a) for a in e.args]
    if isinstance(e, sp.log):
        return log_of_cases(inner[0])
    if isinstance(e, sp.Pow) and not e.exp.is_number and inner[0].has(sp.exp):
        return sp.exp(inner[1] * log_of_cases(inner[0]))
    return e.func(*inner)


def log_of_cases(u: Expr) -> Expr:
    """The logarithm of a product, the cases of a mask in it outermost.

    What is left out is log(0), whatever it is divided by; only a divisor that is zero too makes it no number.
    """
    masks = [f for f in sp.Mul.make_args(u) if isinstance(f, Cases) and f.otherwise == 0]
    if len(masks) != 1:
        moved = hoist(u)
        if isinstance(moved, Cases):
            return Cases(moved.condition, log_of_cases(moved.then), log_of_cases(moved.otherwise))
        return log_of(u)
    (mask,), rest = masks, sp.Mul(*(f for f in sp.Mul.make_args(u) if f is not masks[0]))
    divisor = sp.fraction(rest)[1]
    absent = -sp.oo if divisor.is_number else straight_through(-sp.oo * divisor, -sp.oo)
    return Cases(mask.condition, log_of_cases(mask.then * rest), absent)


def log_of(u: Expr) -> Expr:
    """The logarithm of a positive product, exponentials and divisors taken out."""
    if u.is_zero:
        return -sp.oo
    exponents, rest = [], []
    for factor in sp.Mul.make_args(u):
        base, power = factor.as_base_exp() if not isinstance(factor, sp.exp) else (factor, sp.S.One)
        if isinstance(base, sp.exp) and power.is_Integer:
            exponents.append(power * base.args[0])
        else:
            rest.append(factor)
    if not exponents:
        return sp.log(u)
    left = sp.Mul(*rest)
    numerator, denominator = sp.fraction(left)
    parts = [sp.log(p) * sign for p, sign in ((numerator, 1), (denominator, -1)) if p != 1]
    return sp.Add(*exponents, *parts)


def annihilating(e: Expr, light: frozenset[Expr]) -> Expr:
    """Products with a weight as `weighted`, where the rest may be infinite; only numbers and options are finite."""
    if not e.args or isinstance(e, sp.logic.boolalg.Boolean) or not light & e.free_symbols:
        return e
    if not e.is_Mul:
        return e.func(*(annihilating(a, light) for a in e.args))
    taken = [f for f in e.args if _light(f, light)]
    rest = [annihilating(f, light) for f in e.args if f not in taken]
    if not taken or all(_finite(f) for f in rest):
        return sp.Mul(*taken, *rest)
    number = sp.Mul(*(f for f in rest if f.is_number))
    return number * weighted(sp.Mul(*taken), sp.Mul(*(f for f in rest if not f.is_number)))


def _light(e: Expr, light: frozenset[Expr]) -> bool:
    """Whether a factor is made of weights and probabilities alone, and finite, as one less a probability is."""
    symbols = e.free_symbols
    return bool(symbols) and symbols <= light and bool(e.is_polynomial(*symbols))


def _finite(e: Expr) -> bool:
    poles = e.has(sp.log, sp.exp, Cases) or any(p.exp.is_negative for p in e.atoms(sp.Pow))
    return not poles and not any(isinstance(s, sp.Dummy) for s in e.free_symbols)
