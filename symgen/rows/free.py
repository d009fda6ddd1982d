"""Proofs that parameters are free: no result of a program changes with them, stage by stage, case by case."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Collection, Iterable, Mapping
from functools import lru_cache
from typing import Any

import sympy as sp
from flint import arb
from sympy import Dummy, Expr, Symbol

from symgen.calculus import derivative
from symgen.heads import Cases, first_max, first_min, maximum, minimum, weighted
from symgen.program import Program
from symgen.prove_points import ball
from symgen.rows.indices import base_of, opened
from symgen.rows.shift import Family, combined
from symgen.vocabulary import hypot

SIZED = 1 << 20  # beyond the places of the symbols that stand for reads
CLOSE = 1e-9  # how near a whole number one must come to be taken for it
MOST = 64  # no degree is beyond that
USUAL = tuple(map(sp.Integer, (0, 1, -1, 2, -2)))  # degrees that are tried before any number is computed


def proved(program: Program, families: Iterable[Family]) -> bool:
    """Whether no result changes with the free parameters: their total derivative vanishes, stage by stage.

    Of a stage with the factor ``exp(c m)`` taken out, the derivative in m is ``-c`` times the stage, and so is m times
    the derivative where the factor is ``m^c``; that is checked by symbolic differentiation of each body, given the same
    of the stages that it reads. Of results, c is zero. Each parameter is free by itself, whatever the others are.
    """
    made = tuple(families)
    free = frozenset(f.parameter for f in made)
    return all(degrees(program, family, free, program.results) is not None for family in made)


def degrees(program: Program, family: Family, free: frozenset[str], results: Collection[str] = ()
            ) -> dict[str, Expr] | None:
    """The c of each stage, None where a stage has none or one of the results has one that is not zero.

    Args:
        program: with free parameters.
        family: what one of these belongs to.
        free: all of them.
        results: stages that are not to change.
    """
    known: dict[str, Expr] = dict.fromkeys(free, sp.S.Zero)
    made = {s.out for s in program.stages}
    for stage in program.stages:
        if stage.out in free:
            continue
        body, back = opened(stage.body, {family.parameter: "positive"})
        slope = sp.S.Zero
        for symbol, target in {**back, **{s: s for s in body.free_symbols if s not in back}}.items():
            name = base_of(target)
            if name == family.parameter:
                slope += derivative(body, symbol) * (1 if family.exponential else symbol)
            elif known.get(name, 0) != 0:
                slope -= known[name] * symbol * derivative(body, symbol)
        degree = _degree(slope, body, made)
        if degree is None or (stage.out in results and degree != 0):
            return None
        known[stage.out] = degree
    return known


def _degree(slope: Expr, body: Expr, made: Collection[str]) -> Expr | None:
    """The c for which the slope is ``-c body``, a number or made of options, None if there is none."""
    pairs = _distinct(slope, body)
    for candidate in (_quotient(s, b, made) for s, b in pairs):
        if candidate is not None and all(_agrees(s, candidate, b) for s, b in pairs):
            return candidate
    return None


@lru_cache(maxsize=1 << 12)
def _distinct(slope: Expr, body: Expr) -> tuple[tuple[Expr, Expr], ...]:
    return tuple(dict.fromkeys(branches(slope, body)))


def _agrees(slope: Expr, degree: Expr, body: Expr) -> bool:
    if body.is_infinite:  # what a mask leaves out is minus infinity whatever the parameter
        return bool(slope == 0 and degree == 0)
    return is_zero(slope + degree * body)


@lru_cache(maxsize=1 << 12)  # the kernels of a function share most of their stages
def is_zero(e: Expr) -> bool:
    """Whether an expression is shown to be zero: multiplied out, with powers gathered, over one divisor, or both."""
    forms = (sp.expand, _gathered, _over_one_divisor, _gathered_over_one)
    return bool(e == 0 or (not _differs(e) and any(form(e) == 0 for form in forms)))


def _differs(e: Expr) -> bool:
    """Whether digits at one point show that an expression is not zero, which no form of it needs to be sought for."""
    there = _at_one_point(e)
    return there is not None and not there.contains(0)


def _gathered(e: Expr) -> Expr:
    """A sum of products with one power of each base: SymPy leaves ``s s**(1/p - 1)`` as it is."""
    return sp.Add(*(combined(term) for term in sp.Add.make_args(sp.expand(e))))


def _over_one_divisor(e: Expr) -> Expr:
    return sp.expand(sp.fraction(sp.together(e))[0])


def _gathered_over_one(e: Expr) -> Expr:
    return _gathered(sp.fraction(sp.together(_gathered(e)))[0])


def _at_one_point(e: Expr) -> arb | None:
    """What an expression is where all of its symbols are numbers, none of them like another, if that can be told."""
    symbols = sorted(e.free_symbols, key=sp.default_sort_key)
    numbers = zip(symbols, map(sp.prime, itertools.count(5)), strict=False)
    there = {s: n / (sp.S.One if s.is_integer else sp.Integer(7)) for s, n in numbers}
    return ball(e, there)


def _quotient(slope: Expr, body: Expr, made: Collection[str]) -> Expr | None:
    """What the slope is to minus the body, None if that is not made of options."""
    found = _ratio(slope, body)
    return None if found is None or any(isinstance(s, Dummy) or str(s) in made for s in found.free_symbols) else found


@lru_cache(maxsize=1 << 12)
def _ratio(slope: Expr, body: Expr) -> Expr | None:
    """A number that is to be proved, or else the quotient with the powers of each base gathered."""
    usual = next((c for c in USUAL if sp.expand(slope + c * body) == 0), None)
    if usual is not None or body == 0:
        return usual
    there = _at_one_point(MOST - slope / body)  # of zero itself no digit could be computed
    if there is not None and abs(there) < 2 * MOST and abs(there - round(float(there))) < CLOSE:
        return sp.Integer(round(float(there)) - MOST)
    return _gathered(-slope / body)


def branches(slope: Expr, body: Expr) -> Iterable[tuple[Expr, Expr]]:
    """Slope and body together, for each choice of all cases' conditions and signs, heads written out; where defined."""
    found = {u for e in (slope, body) for s in e.atoms(sp.Abs, sp.sign) for u in s.args if isinstance(u, Symbol)}
    sized = sorted(found, key=sp.default_sort_key)
    positive = {u: Dummy(u.name, dummy_index=SIZED + i, positive=True) for i, u in enumerate(sized)}
    for bits in range(1 << len(sized)):
        signed = {u: -t if bits >> i & 1 else t for i, (u, t) in enumerate(positive.items())}
        yield from _cases_taken(*(_written_out(e.xreplace(signed)) for e in (slope, body)))


def _cases_taken(slope: Expr, body: Expr) -> Iterable[tuple[Expr, Expr]]:
    conditions = sorted({c.condition for e in (slope, body) for c in e.atoms(Cases)}, key=sp.default_sort_key)
    for bits in range(1 << len(conditions)):
        truth: Mapping[Any, bool] = {c: bool(bits >> i & 1) for i, c in enumerate(conditions)}
        taken = _taken(slope, truth), _taken(body, truth)
        if not any(e.has(sp.nan, sp.zoo) for e in taken):
            yield taken


# as `symgen.calculus` differentiates them, so that slope and body have the same conditions
_WRITTEN_OUT: dict[type, Callable[[Expr, Expr], Expr]] = {
    weighted: lambda w, v: w * v,
    hypot: lambda u, v: sp.sqrt(u**2 + v**2),
    first_max: lambda a, b: Cases(sp.Ge(a, b, evaluate=False), a, b),
    first_min: lambda a, b: Cases(sp.Le(a, b, evaluate=False), a, b),
    maximum: lambda a, b: Cases(sp.Gt(a, b, evaluate=False), a, Cases(sp.Gt(b, a, evaluate=False), b, (a + b) / 2)),
    minimum: lambda a, b: Cases(sp.Lt(a, b, evaluate=False), a, Cases(sp.Lt(b, a, evaluate=False), b, (a + b) / 2)),
}


def _written_out(e: Expr) -> Expr:
    if not e.args or isinstance(e, sp.logic.boolalg.Boolean):
        return e
    return _WRITTEN_OUT.get(type(e), e.func)(*map(_written_out, e.args))


def _taken(e: Expr, truth: Mapping[Any, bool]) -> Expr:
    if isinstance(e, Cases):
        return _taken(e.then if truth[e.condition] else e.otherwise, truth)
    if not e.args or isinstance(e, sp.logic.boolalg.Boolean):
        return e
    return e.func(*(_taken(a, truth) for a in e.args))
