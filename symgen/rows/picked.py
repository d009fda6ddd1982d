"""The slope of a loss in the one class that a sample picks, as one factor times what the others have of the row.

Where a loss depends on a share ``p = exp(x[t])/s`` of the row, calculus adds what it owes to the sum and what it owes
to the entry: ``B - A exp(x[t])``, two numbers that cancel where the row is sure. As ``A = B/s``, it is ``B (1 - p)``.
Weights and conditions in front, which make a loss zero whatever its rest is, stay in front of ``B``.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace

import sympy as sp
from sympy import Expr, Symbol

from symgen.heads import Cases, weighted
from symgen.program import Program, Stage
from symgen.rows.indices import base_of, free_symbols, index, loops, opened, read, replaced
from symgen.rows.lower import needed, verify

OWED = "b"  # what a picked entry is owed is a number of the row, called this and a count


def factored(program: Program) -> Program:
    """The program with slopes of picked entries as products with what is left of the row, where that is proved."""
    known = {s.out: s for s in program.stages}
    made: list[Stage] = []
    count = 0
    for stage in program.stages:
        found = _factored(stage, known, f"{OWED}{count}")
        made += found
        count += len(found) - 1
    return needed(verify(replace(program, stages=tuple(made)))) if count else program


def _factored(stage: Stage, known: Mapping[str, Stage], name: str) -> tuple[Stage, ...]:
    """The stage with a factor that it takes from one before it, or as it is."""
    if stage.op != "=" or len(stage.axes) != 1:
        return (stage,)
    here = index(*stage.axes)
    factor, inner = stage.body.as_independent(here, as_Add=False)
    terms = sp.Add.make_args(inner)
    for picked in (t for t in terms if _is_picked(t, here)):
        front, owes = _behind(picked.then)
        for shared, entry, rate in _spread(terms, here, front):
            for total in _sums_of(entry, here, known):
                rest = _rest(known[rate], front, owes, read(total.out))
                if rest is None:
                    continue
                owed, part = read(name), entry / read(total.out)
                if front:  # what makes a loss zero makes its slope zero, whatever the row holds
                    both = Cases(picked.condition, weighted(owed, 1 - part), -weighted(owed, part))
                else:
                    both = Cases(picked.condition, owed * (1 - part), -weighted(entry, owed / read(total.out)))
                others = (t for t in terms if t not in (picked, shared))
                body = factor * sp.Add(*others, both, weighted(entry, rest) if rest != 0 else rest)
                return Stage(name, "=", (), (), picked.then), replace(stage, body=body)
    return (stage,)


def _is_picked(term: Expr, here: Symbol) -> bool:
    """Whether a term is there at one position alone, and more than what operands say."""
    if not isinstance(term, Cases) or term.otherwise != 0 or not isinstance(term.condition, sp.Eq):
        return False
    return here in term.condition.args and not loops(term.then) and term.then.has(sp.exp, sp.log)


def _behind(e: Expr, weights: bool = True) -> tuple[tuple[Expr, ...], Expr]:
    """What is in front of a formula that may make zero of it, from outside in, and the formula behind."""
    number, term = e.as_coeff_Mul()
    if isinstance(term, weighted) and weights:
        front, behind = _behind(number * term.args[1])
        return (term.args[0], *front), behind
    if isinstance(e, Cases) and 0 in (e.then, e.otherwise):
        condition, branch = (e.condition, e.then) if e.otherwise == 0 else (sp.Not(e.condition), e.otherwise)
        front, behind = _behind(branch, weights)
        return (condition, *front), behind
    return (), e


def _spread(terms: tuple[Expr, ...], here: Symbol, front: Collection[Expr]) -> Iterator[tuple[Expr, Expr, str]]:
    """The terms that are an entry times a number of the row, with the two, where conditions leave them."""
    for term in terms:
        conditions, inner = _behind(term, weights=False)
        if not set(conditions) <= set(front):
            continue
        known = inner.args if isinstance(inner, weighted) else inner.as_independent(here, as_Add=False)
        rate, entry = known if isinstance(known[0], Symbol) else known[::-1]
        if isinstance(rate, Symbol) and isinstance(entry, sp.exp) and here in free_symbols(entry):
            yield term, entry, base_of(rate)


def _sums_of(entry: Expr, here: Symbol, known: Mapping[str, Stage]) -> Iterator[Stage]:
    """The stages that are the sum of an entry over the row."""
    alone = (s for s in known.values() if s.op == "sum" and not s.axes and len(s.over) == 1)
    yield from (s for s in alone if s.body == replaced(entry, {here: index(*s.over)}))


def _rest(rate: Stage, front: tuple[Expr, ...], owed: Expr, total: Expr) -> Expr | None:
    """What is left of a rate without ``-owed/total``: nothing, or a sum that a stage computes; None if it is more."""
    if rate.op != "=" or rate.axes:
        return None
    terms = sp.Add.make_args(rate.body)
    sums = [t for t in terms if isinstance(t, Symbol)]
    before, own = _behind(sp.Add(*(t for t in terms if t not in sums)))
    if before != front:
        return None
    body, _ = opened(own * total + owed)
    return sp.Add(*sums) if _vanishes(body) else None


def _vanishes(e: Expr) -> bool:
    """Whether an expression is zero by algebra, whatever its elementary functions are."""
    return bool(sp.cancel(sp.together(e)) == 0)
