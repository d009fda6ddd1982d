"""What is needed more than once is computed once and kept: elementary functions are dearer than memory for a row.

Of a row's entries those that several passes read, of its sums those that a pass would compute at every entry.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import replace

import sympy as sp
from sympy import Expr, Symbol

from symgen.heads import Cases
from symgen.program import Program, Stage
from symgen.rows.indices import axis_of, free_symbols, index, loops, parts, read, replaced
from symgen.rows.lower import needed
from symgen.vocabulary import HEADS

DEAR = (sp.exp, sp.log, sp.sin, sp.cos, sp.loggamma, *HEADS)


def shared(program: Program) -> Program:
    """The program with a stage for each elementary function that is computed more often than it has values."""
    count: Counter[Expr] = Counter()
    for stage in program.stages:
        for form in dict.fromkeys(map(canonical, dear(stage.body))):
            inside_loop = len(loops(form)) < len(stage.axes) + len(stage.over)
            count[form] += 2 if inside_loop else 1
    names = {form: f"e{i}" for i, form in enumerate(f for f, n in count.items() if n > 1)}
    made: list[Stage] = []
    done: set[Expr] = set()
    for stage in program.stages:
        here = {e: canonical(e) for e in dear(stage.body)}
        for form in dict.fromkeys(f for f in here.values() if f in names and f not in done):
            made.append(Stage(names[form], "=", tuple(i.name for i in loops(form)), (), form))
            done.add(form)
        reads = {e: read(names[form], loops(e)) for e, form in here.items() if form in names}
        made.append(replace(stage, body=replaced(stage.body, reads)))
    return needed(Program(program.name, program.inputs, tuple(made), program.results))


def dear(e: Expr) -> Iterator[Expr]:
    """The outermost elementary functions and roots in an expression, each once, in a fixed order."""
    seen: set[Expr] = set()
    pending = [e]
    while pending:
        part = pending.pop()
        if part in seen:
            continue
        seen.add(part)
        if free_symbols(part) and (isinstance(part, DEAR) or (part.is_Pow and not part.exp.is_Integer)):
            yield part
        else:
            pending += reversed(part.args)


def canonical(e: Expr) -> Expr:
    """An expression at its running indices, so that what two stages compute compares equal."""
    names: dict[Symbol, Symbol] = {}
    depth: Counter[str] = Counter()
    for i in loops(e):
        axis = axis_of(i.name)
        names[i] = index(f"{axis}.{depth[axis]}" if depth[axis] else axis)
        depth[axis] += 1
    return replaced(e, names)


def lifted(program: Program, finite: bool = False) -> Program:
    """The program with what a sum's terms have in common taken out: done once for the row, not once an entry.

    Args:
        program: what to rewrite.
        finite: whether it may be taken out of cases that leave an entry out, as if no number were infinite.
    """
    made: list[Stage] = []
    for stage in program.stages:
        bound = {index(n) for n in stage.over}
        common, rest = _common(stage.body, bound, finite) if stage.op == "sum" else (sp.S.One, stage.body)
        if common in (1, -1) or common.is_number or not rest.free_symbols & bound:
            made.append(stage)
            continue
        whole = f"{stage.out}_of"
        made.append(replace(stage, out=whole, body=rest))
        made.append(Stage(stage.out, "=", stage.axes, (), common * read(whole, map(index, stage.axes))))
    return needed(Program(program.name, program.inputs, tuple(made), program.results))


def _common(body: Expr, bound: Collection[Symbol], finite: bool) -> tuple[Expr, Expr]:
    """What does not depend on a sum's indices, and the rest of what it sums."""
    if finite and isinstance(body, Cases) and body.otherwise == 0:
        common, then = body.then.as_independent(*bound, as_Add=False)
        return common, Cases(body.condition, then, body.otherwise)
    common, rest = body.as_independent(*bound, as_Add=False)
    return common, rest


def inverted(program: Program, bounded: Collection[str] | None = None) -> Program:
    """The program with divisions by a number of the row as products: one division for the row, not one an entry.

    Of a pair the inverse is as good as the number.

    Args:
        program: what to rewrite.
        bounded: the numbers whose inverses do not leave the range of float64; all if this is None, as where operands
            are float32: float64 holds the squares and cubes of those, and so their inverses.
    """
    numbers = {s.out for s in program.stages if not s.axes and s.out not in program.results}
    numbers &= numbers if bounded is None else set(bounded)
    made: list[Stage] = []
    done: set[str] = set()
    for stage in program.stages:
        powers = [e for e in parts(stage.body) if isinstance(e, sp.Pow) and str(e.base) in numbers and _divides(e)]
        if not powers or not (stage.axes or stage.over):
            made.append(stage)
            continue
        for base in sorted({str(e.base) for e in powers} - done):
            made.append(Stage(f"r_{base}", "=", (), (), 1 / read(base)))
            done.add(base)
        inverses = {e: read(f"r_{e.base}") ** -e.exp for e in powers}
        made.append(replace(stage, body=replaced(stage.body, inverses)))
    return needed(Program(program.name, program.inputs, tuple(made), program.results))


def _divides(e: sp.Pow) -> bool:
    return bool(e.exp.is_Integer and e.exp.is_negative)
