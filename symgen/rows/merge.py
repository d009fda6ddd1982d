"""What the reductions of a row are, given those of its parts: with their free parameter they form a monoid.

``s = sum f(x, m)`` under a parameter m that is the largest of its row's exponents changes by one factor that no entry
occurs in when m does: ``f(x, M) = f(x, m) h(m, M)``. So of two parts (m, s) and (m', s') the whole is
(M, s h(m, M) + s' h(m', M)) with M the larger of m and m', in whatever order the parts are taken: a row may be read
once, tile by tile, or by several who each read a part. So it is of the scale of a row's entries. The factor is read off
the degree that `free` has found, and the identity, with ``h(a, a) = 1`` and ``h(a, b) h(b, c) = h(a, c)``, is proved of
each body. See docs/adr/0035-rows-by-parts.md.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

import sympy as sp
from sympy import Dummy, Expr, Symbol

from symgen.program import Program, Stage
from symgen.rows.free import branches, degrees, is_zero
from symgen.rows.indices import base_of, index, opened, places, reads, replaced
from symgen.rows.lower import needed
from symgen.rows.shift import Family

PART = "_part"  # a number of a part goes by the name of the row's and this


@dataclass(frozen=True)
class Merged:
    """A sum over a row from those over its parts.

    Attributes:
        stage: the sum.
        parameter: the free parameter that it is under.
        extreme: which of its parts' parameters the row's is: "max" of peaks, "min" of scales, which are reciprocal.
        before: stands for the parameter of a part.
        after: stands for that of the row.
        factor: what the part's sum is multiplied by, in the two.
    """

    stage: str
    parameter: str
    extreme: str
    before: Symbol
    after: Symbol
    factor: Expr

    def __str__(self) -> str:
        own, part = f"{self.stage}{PART}", f"{self.parameter}{PART}"
        shown = self.factor.xreplace({self.before: Symbol(part), self.after: Symbol(self.parameter)})
        return f"{self.stage} of parts = sum of {shown * Symbol(own)}, with {self.parameter} = {self.extreme} of {part}"


def merged(program: Program, families: Iterable[Family]) -> tuple[Merged, ...]:
    """The sums of a program that follow from those of a row's parts, with what they are multiplied by.

    Args:
        program: with free parameters.
        families: these.
    """
    known = tuple(families)
    free = frozenset(f.parameter for f in known)
    return tuple(m for family in known for m in _of_family(program, family, free))


def _of_family(program: Program, family: Family, free: frozenset[str]) -> Iterator[Merged]:
    made = {s.out: s for s in program.stages}
    peak = made[family.parameter]
    sums = (s for s in program.stages if s.op == "sum" and not s.axes and s.over == peak.over and not peak.axes)
    before, after = (Symbol(n, positive=True) for n in ("before", "after"))
    for stage in sums:
        body = _whole(stage, made, family.parameter)
        found = degrees(needed(replace(program, results=(stage.out,))), family, free) if body is not None else None
        degree = (found or {}).get(stage.out, sp.S.Zero)
        if body is None or degree == 0:
            continue
        factor = sp.exp(degree * (before - after)) if family.exponential else before**degree * after**-degree
        one = Merged(stage.out, family.parameter, "max" if family.exponential else "min", before, after, factor)
        if holds(one, body):
            yield one


def _whole(stage: Stage, made: dict[str, Stage], parameter: str) -> Expr | None:
    """A sum's body in terms of operands and the parameter, None where it reads what else the whole row decides."""
    body = stage.body
    while later := [r for r in reads(body) if base_of(r) in made]:
        entries = [r for r in later if made[base_of(r)].op == "=" and len(places(r)) == len(made[base_of(r)].axes)]
        if len(entries) < len(later):
            return None
        body = replaced(body, {r: _entry(made[base_of(r)], places(r)) for r in entries})
    numbers = {str(s) for s in body.free_symbols if isinstance(s, Symbol)} & made.keys()
    return body if numbers <= {parameter} else None


def _entry(stage: Stage, at: tuple[Expr, ...]) -> Expr:
    entry: Expr = replaced(stage.body, dict(zip(map(index, stage.axes), at, strict=True)))
    return entry


def holds(one: Merged, body: Expr) -> bool:
    """Whether a sum's body changes by the factor with its parameter, and changes of the parameter compose.

    Args:
        one: the claim.
        body: of the sum, in operands and the parameter.
    """
    bare, back = opened(body, {one.parameter: "positive"})
    here = next((s for s, r in back.items() if base_of(r) == one.parameter), None)
    if here is None:
        return False
    between = Dummy("between", positive=True)
    first = one.factor.xreplace({one.after: between})
    second = one.factor.xreplace({one.before: between})
    composed = is_zero(first * second - one.factor) and is_zero(one.factor.xreplace({one.after: one.before}) - 1)
    pairs = branches(bare.xreplace({here: one.after}), bare.xreplace({here: one.before}))
    return composed and all(is_zero(sp.expand(new - old * one.factor)) for new, old in pairs)
