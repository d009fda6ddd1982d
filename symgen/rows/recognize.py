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
from symgen.vocabulary import softplus


def recognized(program: Program, light: Collection[str]) -> tuple[Program, tuple[Step, ...]]:
    """The program in heads of the vocabulary.

    Args:
        program: as lowered.
        light: operands that are weights or probabilities: a product with one of them is zero where it is.
    """
    stages, steps = [], []
    sums: set[str] = set()  # of exponentials, so that they are positive wherever they are not empty
    for stage in program.stages:
        body, back = opened(stage.body)
        factors = frozenset(s for s, r in back.items() if base_of(r) in light)
        factors |= {s for s in body.free_symbols if str(s) in light}
        positive = frozenset(s for s, r in back.items() if base_of(r) in sums)
        positive |= {s for s in body.free_symbols if str(s) in sums}
        known, found = recognize(without_quotients(annihilating(body, factors), positive))
        steps += [Step(s.rule, s.before.xreplace(back), s.after.xreplace(back)) for s in found]
        stages.append(replace(stage, body=known.xreplace(back)))
        if stage.op == "sum" and _is_exponential(stage.body, frozenset()):
            sums.add(stage.out)
    return verify(replace(program, stages=tuple(stages))), tuple(steps)


def without_quotients(e: Expr, positive: frozenset[Expr] = frozenset()) -> Expr:
    """Logarithms of products with the exponentials taken out: log(exp(u) r) is u + log(r), which overflows nowhere.

    Of one and such a product it is a softplus, of two of them a softplus and one of the two. A power of a product to an
    exponent that is no number is the exponential of its logarithm.

    Args:
        e: a body, with a symbol for each read.
        positive: those that stand for sums of exponentials.
    """
    if not e.args or isinstance(e, sp.logic.boolalg.Boolean):
        return e
    inner = [without_quotients(a, positive) for a in e.args]
    if isinstance(e, sp.log):
        return _log_of_two(inner[0], positive) or log_of_cases(inner[0])
    if isinstance(e, sp.Pow) and not e.exp.is_number and inner[0].has(sp.exp) and not inner[0].is_Add:
        return sp.exp(inner[1] * log_of_cases(inner[0]))
    return e.func(*inner)


def _log_of_two(u: Expr, positive: frozenset[Expr]) -> Expr | None:
    """The logarithm of two terms that are exponentials, or of one and a product that holds several."""
    if not u.is_Add or len(u.args) != 2 or not all(_is_exponential(t, positive) for t in u.args):
        return None
    first, second = sorted(u.args, key=lambda t: (t.is_number, sp.default_sort_key(t)))
    if second.is_number:
        many = [f for f in sp.Mul.make_args(first) if not f.is_number]
        return sp.log(second) + softplus(_log_of_terms(first) - sp.log(second)) if len(many) > 1 else None
    if not (first.has(sp.exp) and second.has(sp.exp)):
        return None
    above, below = _log_of_terms(first), _log_of_terms(second)
    apart = above - below  # of two infinities alike there is no difference, but there is a logarithm
    return below + softplus(straight_through(Cases(sp.Eq(above, below, evaluate=False), sp.S.Zero, apart), apart))


def _log_of_terms(u: Expr) -> Expr:
    """The logarithm of a product of positive factors, one by one."""
    factors = map(_power, sp.Mul.make_args(u))
    return sp.Add(*(n * (b.args[0] if isinstance(b, sp.exp) else sp.log(b)) for b, n in factors))


def _power(factor: Expr) -> tuple[Expr, Expr]:
    return (factor, sp.S.One) if isinstance(factor, sp.exp) else tuple(factor.as_base_exp())


def _is_exponential(e: Expr, positive: frozenset[Expr]) -> bool:
    """Whether an expression is a product of exponentials, of sums of such, and of positive numbers, in each case."""
    if isinstance(e, Cases):
        return e.otherwise == 0 and _is_exponential(e.then, positive)
    bases = [b for b, _ in map(_power, sp.Mul.make_args(e))]
    return all(isinstance(b, sp.exp) or b in positive or b.is_positive for b in bases)


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
