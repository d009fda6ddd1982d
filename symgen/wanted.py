"""The outputs that a variant has to have: the value and its derivatives as calculus leaves them, to be stabilised."""

from __future__ import annotations

from collections.abc import Container, Iterator, Sequence
from dataclasses import dataclass

import sympy as sp
from sympy import Expr, Symbol

from symgen.calculus import DerivativeError, derivative
from symgen.heads import Cases, weighted
from symgen.rules.rule import Step
from symgen.stabilize.candidates import attempt
from symgen.stabilize.sampler import Question

STRUCTURES_OF_CASES = (Cases, weighted)


@dataclass(frozen=True)
class Wanted:
    """An output before it is stabilised; `also` are further shapes of the same function."""

    name: str
    wrt: str | None
    question: Question
    recognized: Expr
    steps: tuple[Step, ...]
    also: tuple[Expr, ...] = ()

    @staticmethod
    def all_of(
        x: Symbol, tensors: Sequence[Symbol], further: Sequence[Symbol], twice: Container[Symbol],
        naive: Expr, known: Expr, steps: tuple[Step, ...],
    ) -> Iterator[Wanted]:  # fmt: skip
        """Value, derivatives in every tensor, gradients in everything else, in this order.

        Of what is to be derived `twice`, there is a second derivative too, where it is not zero.
        """
        yield Wanted("value", None, Question(naive, known, x, 0), known, steps)
        for s in tensors:
            name, suffix = s.name, "" if len(tensors) == 1 else f"_{s.name}"
            slope = bounded(derivative(known, s))
            again = derivative(attempt(slope), s)
            bend = bounded(derivative(slope, s))
            joined = tuple(over_one_divisor(e) for e in (slope, bend)) if len(tensors) > 1 else ((), ())
            yield Wanted(f"grad{suffix}", name, Question(naive, known, s, 1, (2,)), slope, steps, joined[0])
            yield Wanted(f"grad2{suffix}", name, Question(naive, known, s, 2, (1,)), bend, steps, (again, *joined[1]))
        for s in further:
            slope = derivative(known, s)
            question = Question(naive, known, s, 1)
            if slope.free_symbols == {x}:  # the formula is linear in it: its slope is a function of x and nothing else
                question = Question(derivative(naive, s), slope, x, 0)
            yield Wanted(f"grad_{s.name}", s.name, question, slope, steps)
            if s in twice and (bend := derivative(slope, s)) != 0:
                yield Wanted(f"grad2_{s.name}", s.name, Question(naive, known, s, 2), bounded(bend), steps)


LARGEST = 2000  # nodes of a derivative; the largest of the catalogue has 189


def bounded(expression: Expr) -> Expr:
    """The derivative itself, if it is small enough to be made accurate before anybody loses patience."""
    sizes: dict[Expr, int] = {}

    def size(e: Expr) -> int:
        if e not in sizes:
            sizes[e] = 1 + sum(map(size, e.args))
        return sizes[e]

    if size(expression) > LARGEST:
        raise DerivativeError(
            f"a derivative of this formula has {size(expression):,} terms and factors, more than {LARGEST:,}\n"
            "  hint: nest fewer calls, or leave out factors"
        )
    return expression


def over_one_divisor(expression: Expr) -> tuple[Expr, ...]:
    """A sum of quotients over one divisor, where terms of the numerator cancel then, in each case."""
    if isinstance(expression, Cases):
        condition, *cases = expression.args
        joined = [next(iter(over_one_divisor(e)), e) for e in cases]
        return () if joined == cases else (Cases(condition, *joined),)
    if expression.has(*STRUCTURES_OF_CASES) or not any(p.exp.is_negative for p in expression.atoms(sp.Pow)):
        return ()
    whole = sp.cancel(expression)
    left, given = (len(sp.Add.make_args(e)) for e in (sp.fraction(whole)[0], sp.expand(expression)))
    return (whole,) if left < given else ()
