"""The card of a row function: its definition as stages over indices, its gradients, and what runs after the shift."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import sympy as sp
from sympy import Expr, Indexed, Symbol

from symgen.backends import latex_names as names
from symgen.backends.latex_accuracy import accuracy
from symgen.backends.latex_card import Card, heading
from symgen.backends.latex_device import measured as on_device
from symgen.backends.latex_expr import notation
from symgen.backends.latex_notation import width
from symgen.backends.latex_part import Formula, Part, Rewriting
from symgen.backends.latex_samples import default_variant
from symgen.backends.latex_typeset import lines
from symgen.backends.latex_variant import label
from symgen.heads import nearest
from symgen.program import Program, Stage
from symgen.rows.derive import DerivedRows, RowDerivation, RowOutput, gradient_of
from symgen.rows.indices import index, is_index, reads
from symgen.rows.plot import plot

OPERATORS = {"=": "", "sum": r"\sum", "prod": r"\prod", "max": r"\max", "min": r"\min"}
FREE = r"\max"  # what a free parameter is chosen as
_WIDTH = 60  # half letters of a formula on one line
_LONGEST = 400  # half letters of a formula that is printed at all


def card(derivation: RowDerivation, certificate: Mapping[str, Any] | None = None) -> Card:
    """Everything that the card says.

    Args:
        derivation: of a row function.
        certificate: what was measured of its kernel, as loaded from its file.
    """
    display = dict(derivation.op.symbols)
    outputs = {"value": _name("out", (), display)}
    for output in (o for v in derivation.variants for o in v.outputs if o.name.startswith("vjp")):
        outputs.setdefault(output.name, ", ".join(_name(gradient_of(w), (), display) for w in output.wrt))
    measured = None if certificate is None else accuracy(certificate, outputs)
    parts = tuple(_part(derivation, v) for v in derivation.variants)
    picture = plot(derivation.op, default_variant(derivation).variant)
    return heading(derivation.op, parts, measured, outputs, picture, on_device(certificate, outputs))


def _part(derivation: RowDerivation, derived: DerivedRows) -> Part:
    display = dict(derivation.op.symbols)
    wanted = [o for o in derived.outputs if o.name in ("value", "vjp")]
    return Part(
        label=label(derivation.op, derived.variant),
        definition=tuple(stages(derived.program, display)),
        derivatives=tuple(f for o in wanted[1:] for f in stages(o.recognized, display)),
        forms=tuple(f for o in wanted for f in stages(o.stable, display)),
        running=(),
        steps=tuple(_free(o, display) for o in wanted if o.families),
    )


def _free(output: RowOutput, display: Mapping[str, str]) -> tuple[str, tuple[Rewriting, ...]]:
    """Which free parameters were put in, and what proves that they do not matter."""
    means = (s.out for s in output.stable.stages if s.body.has(nearest))
    free = [(names.code("shift"), family.parameter) for family in output.families]
    free += [(names.code("mean"), name) for name in means]
    left = "f" if not output.wrt else ", ".join(_name(gradient_of(w), (), display) for w in output.wrt)
    steps = ((rule, rf"\frac{{\partial {left}}}{{\partial {name[0]}_{{{name[1:]}}}}} = 0") for rule, name in free)
    return left, tuple(Rewriting(rule, (formula,)) for rule, formula in steps)


def stages(program: Program, display: Mapping[str, str]) -> Iterable[Formula]:
    """Each stage as a formula; the gradient in an operand by its name."""
    for stage in program.stages:
        yield _formula(stage, display)


def _formula(stage: Stage, display: Mapping[str, str]) -> Formula:
    left = _name(stage.out, map(index, stage.axes), display)
    body, known = spelled(stage.body, display)
    node = notation(body, known)
    if width(node) > _LONGEST:
        return Formula(left, (rf"\text{{a formula of {sp.count_ops(body)} operations, as the kernel has it}}",))
    found = lines(node, _WIDTH)
    if stage.over:
        operator = OPERATORS.get(stage.op, FREE) + f"_{{{', '.join(_letter(index(i)) for i in stage.over)}}}"
        grouped = stage.body.is_Add and len(found) == 1
        first = rf"{operator} \left({found[0]}\right)" if grouped else rf"{operator} {found[0]}"
        found = [first, *found[1:]]
    return Formula(left, tuple(found))


def spelled(e: Expr, display: Mapping[str, str]) -> tuple[Expr, dict[str, str]]:
    """An expression with plain symbols for what it reads, and how each is printed."""
    known = dict(display)
    renamed: dict[Any, Symbol] = {}
    for r in reads(e):
        known[str(r)] = _name(str(r.base), r.indices, display)
        renamed[r] = Symbol(str(r), real=True)
    for s in e.free_symbols:
        if isinstance(s, Symbol) and is_index(s):
            known[s.name] = _letter(s)
        elif str(s).startswith("|"):
            known[str(s)] = rf"\left|{str(s).strip('|')}\right|"
    return e.xreplace(renamed), known


def _name(base: str, at: Iterable[Any], display: Mapping[str, str]) -> str:
    letter = names.symbol(base, display).tex
    if base.startswith("d") and len(base) > 1 and not base[1:].isdigit():
        letter = rf"\bar{{{names.symbol(base[1:], display).tex}}}"
    places = ", ".join(_place(i, display) for i in at)
    if not places:
        return letter
    return rf"{letter}_{{{places}}}" if "_" not in letter else rf"{{{letter}}}_{{{places}}}"


def _place(i: Any, display: Mapping[str, str]) -> str:
    if is_index(i):
        return _letter(i)
    if isinstance(i, Indexed):
        return _name(str(i.base), i.indices, display)
    return str(i) if i.is_Integer else names.symbol(str(i), display).tex


def _letter(i: Symbol) -> str:
    axis, _, depth = i.name.partition(".")
    letter = axis[0].lower() if not axis.isdigit() else "h"
    return letter + "'" * int(depth or 0)
