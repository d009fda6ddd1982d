"""Keeps what is about to underflow from standing alone where it is a factor of something that may be large.

A gate ``sigmoid(b)`` is subnormal below -87 in float32, and has lost bits that ``a*sigmoid(b)`` has for a large a.
So such a factor is multiplied in as two square roots (see `Arithmetic.halved`), which takes that it stands in the very
product: not in a stage of its own, and not in a sum that is multiplied afterwards.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import replace

import sympy as sp
from sympy import Expr

from symgen.lowering.products import SPLIT
from symgen.program import Program, Stage
from symgen.rows.indices import base_of, free_symbols, index, parts, read, replaced
from symgen.rows.lower import needed
from symgen.rules.products import factor_common


def falls(body: Expr, operands: Collection[str]) -> bool:
    """Whether a product has a factor that can underflow and an entry of an operand, which may be of any size."""
    return any(_is_falling(f) for e in parts(body) if e.is_Mul and _has_operand(e, operands) for f in e.args)


def _is_falling(factor: Expr) -> bool:
    return isinstance(factor.as_base_exp()[0] if factor.is_Pow else factor, tuple(SPLIT))


def _has_operand(product: Expr, operands: Collection[str]) -> bool:
    return any(isinstance(f, sp.Indexed) and base_of(f) in operands for f in product.args)


def gathered(program: Program) -> Program:
    """The program with factors that can underflow in the products that they are factors of, as far as that is free.

    What the parts of an entry share is computed once anyway, whether or not it is a stage.
    """
    operands = {s.name for s in program.inputs}
    inlined = {s.out: s for s in program.stages if _is_falling(s.body) and s.op == "=" and _reader(program, s)}
    reads = {read(n, map(index, s.axes)): s.body for n, s in inlined.items()}
    bodies = [(s.body, _multiplied(replaced(s.body, reads), operands)) for s in program.stages]
    made = (replace(s, body=whole if falls(whole, operands) else body)
            for s, (body, whole) in zip(program.stages, bodies, strict=True))
    return needed(replace(program, stages=tuple(made)))


def _reader(program: Program, stage: Stage) -> bool:
    """Whether one other stage alone reads a stage, at its own entries or at those of its parts."""
    readers = [s for s in program.stages if any(stage.out == base_of(r) for e in s.taken for r in free_symbols(e))]
    return len(readers) == 1 and readers[0].op == "=" and _entries(readers[0]) == stage.axes


def _entries(stage: Stage) -> tuple[str, ...]:
    return tuple(a for a in stage.axes if not a.isdigit())


def _multiplied(e: Expr, operands: Collection[str]) -> Expr:
    """An expression without sums of such products as factors: what they share is taken out, or each term multiplied."""
    if not e.args or isinstance(e, sp.Indexed):
        return e
    whole = e.func(*(_multiplied(a, operands) for a in e.args))
    if not whole.is_Mul or not _has_operand(whole, operands):
        return whole
    sums = [f for f in whole.args if f.is_Add and any(map(_is_falling, _factors(f)))]
    for total in sums:
        shared = factor_common(total)
        rest = whole / total
        whole = rest * shared if shared is not None else sp.Add(*(rest * t for t in total.args))
    return whole


def _factors(total: Expr) -> Iterator[Expr]:
    return (f for term in total.args for f in sp.Mul.make_args(term))
