"""The card of a row function: its definition as stages over indices, its gradients, and what runs after the shift."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import sympy as sp
from sympy import Expr, Indexed, Symbol

from symgen.backends import latex_names as names
from symgen.backends.latex_abbreviate import abbreviations, substitute
from symgen.backends.latex_accuracy import accuracy
from symgen.backends.latex_card import Card, heading
from symgen.backends.latex_device import measured as on_device
from symgen.backends.latex_expr import notation
from symgen.backends.latex_heads import reduction
from symgen.backends.latex_notation import Atom, Node, width
from symgen.backends.latex_part import Formula, Part, Rewriting
from symgen.backends.latex_samples import default_variant
from symgen.backends.latex_typeset import LINE_WIDTH, lines, typeset
from symgen.backends.latex_variant import label
from symgen.heads import nearest
from symgen.program import Stage
from symgen.rows.derive import DerivedRows, RowDerivation, RowOutput, gradient_of
from symgen.rows.indices import base_of, index, is_index, list_of, reads
from symgen.rows.plot import plot
from symgen.rows.readable import plain, readable, restricted
from symgen.spec import Op

_WIDTH = 60  # half letters of a formula on one line
_INLINE = 56  # half letters of a formula that other stages are put into
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
    parts = _parts(derivation)
    picture = plot(derivation.op, default_variant(derivation).variant)
    return heading(derivation.op, parts, measured, outputs, picture, on_device(certificate, outputs))


def _parts(derivation: RowDerivation) -> tuple[Part, ...]:
    """The definition of each variant; gradients and what runs of the one that the defaults choose."""
    shown = default_variant(derivation)
    return tuple(_part(derivation, v, whole=v is shown) for v in derivation.variants)


def _part(derivation: RowDerivation, derived: DerivedRows, whole: bool) -> Part:
    printer = _Printer(derivation.op)
    wanted = [o for o in derived.outputs if o.name in ("value", "vjp")] if whole else []
    definition = readable(derived.program, printer.fits)
    gradients = [s for o in wanted[1:] for s in readable(o.recognized, printer.fits) if s not in definition]
    return Part(
        label=label(derivation.op, derived.variant),
        definition=printer.formulas(definition),
        derivatives=printer.formulas(gradients),
        forms=printer.formulas(plain(s) for o in wanted for s in o.stable.stages),
        running=(),
        steps=tuple(_free(o, printer.display) for o in wanted if o.families),
    )


def _free(output: RowOutput, display: Mapping[str, str]) -> tuple[str, tuple[Rewriting, ...]]:
    """Which free parameters were put in, and what proves that they do not matter."""
    means = (s.out for s in output.stable.stages if s.body.has(nearest))
    free = [(names.code("shift"), family.parameter) for family in output.families]
    free += [(names.code("mean"), name) for name in means]
    left = "f" if not output.wrt else ", ".join(_name(gradient_of(w), (), display) for w in output.wrt)
    steps = ((rule, rf"\frac{{\partial {left}}}{{\partial {name[0]}_{{{name[1:]}}}}} = 0") for rule, name in free)
    return left, tuple(Rewriting(rule, (formula,)) for rule, formula in steps)


class _Printer:
    """Prints stages of one variant; what long formulas repeat gets a letter, one for the whole card."""

    def __init__(self, op: Op) -> None:
        self.display = dict(op.symbols)
        self.masks = frozenset(a.name for a in op.operands if a.role.kind == "mask")
        self.taken = tuple(names.symbol(a.name, self.display) for a in op.arguments)
        self.short: dict[Node, Node] = {}

    def formulas(self, stages: Iterable[Stage]) -> tuple[Formula, ...]:
        """The stages in order, then what the letters in them stand for."""
        found = list(dict.fromkeys(stages))
        nodes = [self.shown(substitute(self.node(s), self.short), s) for s in found]
        short = abbreviations(nodes, LINE_WIDTH, (*self.taken, *self.short.values()))
        self.short |= short
        lefts = [_name(s.out, map(index, s.axes), self.display) for s in found]
        said = [*zip(lefts, (substitute(n, short) for n in nodes), strict=True)]
        said += [(typeset(letter), part) for part, letter in short.items()]
        return tuple(Formula(left, tuple(lines(node, _WIDTH))) for left, node in said)

    def shown(self, node: Node, stage: Stage) -> Node:
        """The formula, or how long it would be."""
        told = rf"\text{{a formula of {sp.count_ops(stage.body)} operations, as the kernel has it}}"
        return node if width(node) <= _LONGEST else Atom(told)

    def fits(self, stage: Stage) -> bool:
        return width(self.node(stage)) <= _INLINE

    def node(self, stage: Stage) -> Node:
        condition, body = restricted(stage)
        whole = reduction.of(stage.op, tuple(map(index, stage.over)), body, condition) if stage.over else stage.body
        return notation(*spelled(whole, self.display, self.masks))


def spelled(e: Expr, display: Mapping[str, str], masks: Iterable[str] = ()) -> tuple[Expr, dict[str, str]]:
    """An expression with plain symbols for what it reads, and how each is printed."""
    known = dict(display)
    renamed: dict[Any, Symbol] = {}
    for r in reads(e):
        known[str(r)] = _name(str(r.base), r.indices, display)
        renamed[r] = Symbol(str(r), real=True)
        if base_of(r) in masks:
            renamed[r > 0] = renamed[r]  # a mask is itself true or false
    for s in e.free_symbols:
        if isinstance(s, Symbol) and is_index(s):
            known[s.name] = _letter(s)
        elif str(s).startswith("|"):
            known[str(s)] = rf"\left|{str(s).strip('|')}\right|"
    return e.xreplace(renamed), known


def _name(base: str, at: Iterable[Any], display: Mapping[str, str]) -> str:
    letter = names.symbol(base, display).tex
    if base.startswith("d") and len(base) > 1 and not base[1:].isdigit():
        of = names.symbol(base[1:], display)
        letter = rf"\{'bar' if of.width == 1 else 'overline'}{{{of.tex}}}"
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
    letter = (list_of(axis) or axis)[0].lower() if not axis.isdigit() else "h"
    return letter + "'" * int(depth or 0)
