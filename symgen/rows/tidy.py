"""Programs put in order before code is made of them: sums that are zero left out, stages by the pass they belong to.

None of it changes a number that a kernel computes, but for those that are zero.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

import sympy as sp
from sympy import Expr

from symgen.program import Program, Stage
from symgen.rows.indices import (
    axis_of,
    base_of,
    free_symbols,
    index,
    is_index,
    loops,
    parts,
    places,
    read,
    replaced,
    size,
)
from symgen.rows.lower import needed, verify
from symgen.rows.share import DEAR

LARGEST_POWER = 6  # of float32 numbers that float64 holds with what rounding leaves: 2**-149 to the 6th is 2**-894


def without_zeros(program: Program) -> Program:
    """The program without sums that are zero whatever the operands are, such as that of differences from a mean.

    Calculus makes them: the derivative of a variance in its mean is one.
    """
    sums: dict[tuple[tuple[str, ...], Expr], str] = {}
    zeros: dict[Expr, Expr] = {}
    made = []
    for stage in program.stages:
        own = replace(stage, body=replaced(stage.body, zeros)) if zeros else stage
        if own.op == "sum" and not own.axes and len(own.over) == 1 and own.out not in program.results:
            if _total(own, sums) == 0:
                zeros[read(own.out)] = sp.S.Zero
                continue
            sums[own.over, own.body] = own.out
        made.append(own)
    return needed(Program(program.name, program.inputs, tuple(made), program.results)) if zeros else program


def _total(stage: Stage, sums: Mapping[tuple[tuple[str, ...], Expr], str]) -> Expr | None:
    """The sum in terms of other sums, None if it takes one that no stage computes."""
    (bound,) = stage.over
    found = []
    for term in sp.Add.make_args(sp.expand(stage.body)):
        factor, rest = term.as_independent(index(bound), as_Add=False)
        known = sums.get((stage.over, rest))
        if rest == 1:
            found.append(factor * size(bound))
        elif known is not None:
            found.append(factor * read(known))
        else:
            return None
    return sp.expand(sp.Add(*found))


def in_range(program: Program) -> bool:
    """Whether float64 arithmetic on float32 operands stays in range without scales: where all powers are low."""
    powers = (e.exp for stage in program.stages for e in parts(stage.body) if isinstance(e, sp.Pow))
    return all(p.is_number and abs(p) <= LARGEST_POWER for p in powers)


def hoisted(program: Program, inverses: bool = True) -> Program:
    """The program with a stage for what passes would compute at each entry alike, if it is all algebra.

    Where there are elementary functions, what is added to what first decides what is exact.

    Args:
        program: what to rewrite.
        inverses: whether divisions become products: quotients of equals cancel exactly, products of inverses do not.
    """
    if any(isinstance(e, DEAR) for stage in program.stages for e in parts(stage.body)):
        return program
    made: list[Stage] = []
    known: dict[Expr, Expr] = {}
    for stage in program.stages:
        body = stage.body
        if any(not axis_of(i).isdigit() for i in (*stage.axes, *stage.over)):
            numbers = {e for e in _alike(body, inverses) if e not in known}
            for e in sorted(numbers, key=sp.default_sort_key):
                known[e] = read(f"n{len(known)}")
                made.append(Stage(str(known[e]), "=", (), (), e))
            body = replaced(_apart(body, inverses), known)
        made.append(replace(stage, body=body))
    return needed(Program(program.name, program.inputs, tuple(made), program.results))


def _apart(e: Expr, inverses: bool) -> Expr:
    """An expression whose sums and products have what does not depend on an index as one of their parts."""
    if not e.args or not loops(e) or isinstance(e, sp.Indexed):
        return e
    args = [_apart(a, inverses) for a in e.args]
    alike = [a for a in args if not loops(a) and (inverses or not _divides(a))]
    if isinstance(e, sp.Add | sp.Mul) and len(alike) > 1 and any(free_symbols(a) for a in alike):
        own = e.func(*alike)
        return e.func(own, *(a for a in args if a not in alike), evaluate=False)
    return e.func(*args) if args != list(e.args) else e


def _divides(e: Expr) -> bool:
    return isinstance(e, sp.Pow) and bool(e.exp.is_negative)


def _alike(e: Expr, inverses: bool) -> Iterator[Expr]:
    """The largest parts that no index occurs in, where they take more than reading a number."""
    pending = [_apart(e, inverses)]
    while pending:
        part = pending.pop()
        if loops(part) or (_divides(part) and not inverses):
            pending += () if isinstance(part, sp.Indexed) else part.args
        elif isinstance(part, sp.Add | sp.Mul | sp.Pow) and free_symbols(part) and not part.as_coeff_Mul()[1].is_Symbol:
            yield part


def in_passes(program: Program) -> Program:
    """The program with stages in the order of the passes that they can be made in, so that fewer passes do.

    A reduction is made as soon as it can be, an entry when the first reader wants it.
    """
    made = {s.out: s for s in program.stages}
    depth: dict[str, int] = {}
    for stage in program.stages:
        depth[stage.out] = max([0, *(_after(stage, made[n], e, depth[n]) for e, n in _taken(stage, made))])
    for stage in reversed(program.stages):
        if stage.op == "=" and stage.axes and stage.out not in program.results:
            readers = [depth[s.out] - _after(s, stage, e, 0) for s in program.stages for e, n in _taken(s, made)
                       if n == stage.out]  # fmt: skip
            depth[stage.out] = min(readers, default=depth[stage.out])
    order = sorted(program.stages, key=lambda s: (depth[s.out], bool(s.axes or s.over)))
    return verify(Program(program.name, program.inputs, tuple(order), program.results))


def _taken(stage: Stage, made: Mapping[str, Stage]) -> Iterator[tuple[Expr, str]]:
    found = {e for whole in stage.taken for e in free_symbols(whole)}
    return ((e, base_of(e)) for e in sorted(found, key=sp.default_sort_key) if base_of(e) in made)


def _after(stage: Stage, source: Stage, e: Expr, depth: int) -> int:
    """The first pass in which a stage can read another that is made in a pass."""
    if not source.axes and not source.over:
        return depth
    inner = next(reversed((*stage.axes, *stage.over)), "")
    joins = source.op == "=" and len(stage.axes) + len(stage.over) == 1 == len(source.axes)
    here = joins and all(is_index(p) and p.name == inner for p in places(e))
    return depth if here and axis_of(source.axes[0]) == axis_of(inner) else depth + 1
