"""The card of one function: everything about it on half a page, from its derivation, its values and its certificate.

The card is built as plain records of TeX strings; `templates/latex/card.tex.jinja` decides how they stand on the page.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Any

import numpy as np
import sympy as sp

from symgen.backends import latex_facts as facts
from symgen.backends import latex_names as names
from symgen.backends.latex_accuracy import Accuracy, accuracy
from symgen.backends.latex_behaviour import behaviour, joints, left_side
from symgen.backends.latex_expr import latex, notation
from symgen.backends.latex_notation import Node, width
from symgen.backends.latex_plot import Plot, plot
from symgen.backends.latex_samples import Samples, domain, is_curve, shown_options
from symgen.backends.latex_typeset import lines
from symgen.backends.latex_variant import alternative_of, argument_note, definition_of, label, number, stated
from symgen.spec.model import REQUIRED, Op

if TYPE_CHECKING:
    from symgen.pipeline import Derivation, DerivedVariant, Output
    from symgen.stabilize.form import Segment


_LARGEST = float(np.finfo(np.float64).max)
_FORM_WIDTH = 62  # half letters on a line of "what runs"
_COLUMN_WIDTH = 42  # half letters of a formula beside the plot


@dataclass(frozen=True)
class Formula:
    """One displayed line: left side, the lines of its right side."""

    left: str
    lines: tuple[str, ...]
    width: int = 0


@dataclass(frozen=True)
class Row:
    """One line of how something runs: where it holds, and what is computed there."""

    where: str
    what: str
    note: str = ""


@dataclass(frozen=True)
class Running:
    """What the kernel computes for one output."""

    left: str
    rows: tuple[Row, ...]


@dataclass(frozen=True)
class Rewriting:
    """One step of a derivation: the rule's name, before and after."""

    rule: str
    before: str
    after: str


@dataclass(frozen=True)
class Part:
    """What a card says about one variant."""

    label: str
    definition: tuple[Formula, ...]
    derivatives: tuple[Formula, ...]
    running: tuple[Running, ...]
    steps: tuple[tuple[str, tuple[Rewriting, ...]], ...]


@dataclass(frozen=True)
class Card:
    """A card, ready for the template."""

    name: str
    title: str
    signature: str
    torch: str
    cite: str
    aliases: str
    summary: str
    arguments: tuple[str, ...]
    parts: tuple[Part, ...]
    wide: bool
    alternatives: tuple[tuple[tuple[Formula, ...], str], ...]
    facts: tuple[tuple[str, str], ...]
    plot: Plot | None
    shown: str
    accuracy: Accuracy | None
    outputs: Mapping[str, str]


def card(derivation: Derivation, samples: Samples | None = None, certificate: Mapping[str, Any] | None = None) -> Card:
    """Everything that the card of a function says.

    Args:
        derivation: What the pipeline derived.
        samples: f, f' and f'' of its generated code, see `latex_samples`; None leaves out the plot and what is read
            off values.
        certificate: What `symgen certify` measured, as loaded from its file; None where nothing was measured.
    """
    op = derivation.op
    samples = samples if is_curve(op) else None
    found = joints(derivation, samples)
    parts = tuple(_part(op, v) for v in derivation.variants)
    measured = None if certificate is None else accuracy(certificate, [o.name for o in derivation.variants[0].outputs])
    return Card(
        name=op.name,
        title=names.escape(op.name),
        signature=_signature(op),
        torch="" if op.torch is None else names.code(op.torch),
        cite="" if op.cite is None else _cite(op.cite),
        aliases=", ".join(names.code(a) for a in op.aliases),
        summary=names.prose(op.summary),
        arguments=tuple(argument_note(op, a) for a in op.arguments[1:]),
        parts=parts,
        wide=any(f.width > _COLUMN_WIDTH for p in parts for f in (*p.definition, *p.derivatives)),
        alternatives=tuple(
            (_formulas(stated(op, alternative_of(op, a.text))), names.prose(a.note)) for a in op.alternatives
        ),
        facts=tuple(behaviour(derivation, found, samples)),
        plot=None if samples is None else plot(samples, found, domain(op)),
        shown=_shown_text(op),
        accuracy=measured,
        outputs={o.name: left_side(op, o) for v in derivation.variants for o in v.outputs},
    )


# -- formulas -------------------------------------------------------------------------------------------------------


def _part(op: Op, derived: DerivedVariant) -> Part:
    outputs = derived.outputs
    return Part(
        label=label(op, derived.variant),
        definition=_formulas(stated(op, definition_of(op, derived.variant))),
        derivatives=tuple(_derivative(op, o) for o in outputs if o.order),
        running=tuple(Running(left_side(op, o), _rows(op, o)) for o in outputs),
        steps=_steps(op, outputs),
    )


def _formulas(found: Sequence[tuple[str, Node]]) -> tuple[Formula, ...]:
    return tuple(_formula(left, right) for left, right in found)


def _formula(left: str, right: Node) -> Formula:
    return Formula(left, tuple(lines(right)), width(right))


def _derivative(op: Op, output: Output) -> Formula:
    e = output.recognized
    if facts.is_zero_everywhere(e):
        return Formula(left_side(op, output), (r"0 \quad\text{almost everywhere}" if e != 0 or _switches(op) else "0",))
    return _formula(left_side(op, output), notation(e, dict(op.symbols)))


def _switches(op: Op) -> bool:
    """Whether the value itself has cases, so that a derivative that is zero says nothing about its jumps."""
    return any(v.value.has(sp.Rel) or len(facts.branches(v.value)) > 1 for v in op.variants)


# -- what runs ------------------------------------------------------------------------------------------------------


def _rows(op: Op, output: Output) -> tuple[Row, ...]:
    """Where each form runs; neighbours that differ in their arithmetic alone are one row."""
    display = dict(op.symbols)
    x = names.symbol(op.operands[0].name, display).tex
    rows = []
    for region in output.regions:
        condition = "" if region.condition is None else latex(region.condition, display)
        for what, run in groupby(region.segments, lambda s: _what(s, display)):
            segments = list(run)
            where = _interval(x, segments[0].lower, segments[-1].upper)
            both = r",\; ".join(t for t in (condition, where) if t)
            rows.append(Row(both, what, _note(segments)))
    return tuple(rows)


def _interval(x: str, lower: float, upper: float) -> str:
    """Where a segment holds, as TeX; empty for every finite number, which a reader expects."""
    if upper <= -_LARGEST or lower > _LARGEST:
        return rf"{x} = {'-' if upper < 0 else ''}\infty"
    low, high = names.float_number(lower), names.float_number(upper)
    below, above = lower > -_LARGEST, upper < _LARGEST
    if below and above:
        return rf"{low} \le {x} < {high}"
    return rf"{x} \ge {low}" if below else f"{x} < {high}" if above else ""


def _what(segment: Segment, display: Mapping[str, str]) -> str:
    if segment.expression is not None:
        shown = lines(notation(segment.expression, display), _FORM_WIDTH)
        text = shown[0] if len(shown) == 1 else r"\begin{aligned}[t]& " + r" \\ & ".join(shown) + r"\end{aligned}"
        return rf"$\displaystyle {text}${_mirrored(segment)}"
    if segment.kind == "constant":
        return f"${names.float_number(float(segment.note.partition(',')[0]))}$"
    note = re.sub(r"2\^(-?[\d.]+)", r"$2^{\1}$", names.escape(segment.note).replace(r"\textasciicircum{}", "^"))
    return re.sub(r"(?<![\w.$^{-])(-?\d+\.\d+(?:e[+-]?\d+)?)", lambda m: f"${_rounded(m[1])}$", note)


def _rounded(text: str) -> str:
    return names.float_number(float(text), 6)


def _mirrored(segment: Segment) -> str:
    """Of which variable a form in y is written."""
    found = re.search(r"with (\w) = (-?\w+)", segment.note)
    return rf"\enspace with ${found[1]} = {found[2]}$" if found else ""


def _note(segments: Sequence[Segment]) -> str:
    if segments[0].kind == "constant":
        return "constant"
    careful = [s.arithmetic != "plain" for s in segments if s.expression is not None]
    return "" if not any(careful) else "compensated" if all(careful) else "partly compensated"


# -- derivation -----------------------------------------------------------------------------------------------------


def _steps(op: Op, outputs: Sequence[Output]) -> tuple[tuple[str, tuple[Rewriting, ...]], ...]:
    """The rules applied, each once, under the first output that needed it."""
    display, seen = dict(op.symbols), set()
    traces = []
    for output in outputs:
        steps = []
        for step in output.trace:
            before, after = difference(step.before, step.after)
            new = Rewriting(names.code(step.rule), latex(before, display), latex(after, display))
            if new.before != new.after and new not in seen:
                seen.add(new)
                steps.append(new)
        if steps:
            traces.append((left_side(op, output), tuple(steps)))
    return tuple(traces)


def difference(before: Any, after: Any) -> tuple[Any, Any]:
    """The smallest parts in which two expressions differ: what a rule did, without its surroundings."""
    if before == after or not before.args or type(before) is not type(after):
        return before, after
    if isinstance(before, sp.Add | sp.Mul):
        gone, come = Counter(before.args), Counter(after.args)
        rest = [sorted((a - b).elements(), key=sp.default_sort_key) for a, b in ((gone, come), (come, gone))]
        if gone & come and all(rest):
            return difference(*(type(before)(*r) for r in rest))
        if len(rest[0]) == len(rest[1]) == 1:
            return difference(rest[0][0], rest[1][0])
        return before, after
    if len(before.args) != len(after.args):
        return before, after
    changed = [(a, b) for a, b in zip(before.args, after.args, strict=True) if a != b]
    if len(changed) != 1 or not isinstance(changed[0][0], sp.Expr):
        return before, after
    return difference(*changed[0])


# -- heading --------------------------------------------------------------------------------------------------------


def _signature(op: Op) -> str:
    parts: list[str] = []
    for a in op.arguments:
        if a.keyword_only and "*" not in parts:
            parts.append("*")
        parts.append(a.name if a.default is REQUIRED else f"{a.name}={a.default!r}")
    return names.code(f"{op.name}({', '.join(parts)})")


def _cite(text: str) -> str:
    paper = re.fullmatch(r"arXiv:(\S+)", text)
    shown = names.escape(text)
    return rf"\href{{https://arxiv.org/abs/{paper[1]}}}{{{shown}}}" if paper else shown


def _shown_text(op: Op) -> str:
    """At which values of the options the plot and the values hold."""
    shown = shown_options(op)
    parts = []
    for a in op.arguments[1:]:
        value = shown.get(a.name, a.default)
        tex = number(value)
        if tex:
            parts.append(f"${names.symbol(a.name, dict(op.symbols)).tex} = {tex}$")
        elif isinstance(value, str):
            parts.append(f"{names.code(a.name)} = {names.code(repr(value))}")
    return ", ".join(parts)
