"""What a card says of one variant: its definition, its derivatives, what runs, and the rules that led there."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import TYPE_CHECKING, Any

import numpy as np
import sympy as sp

from symgen.backends import latex_facts as facts
from symgen.backends import latex_names as names
from symgen.backends.latex_abbreviate import abbreviations, substitute
from symgen.backends.latex_behaviour import left_side
from symgen.backends.latex_errors import Gain, gains
from symgen.backends.latex_expr import latex, notation
from symgen.backends.latex_notation import Node, ink, width
from symgen.backends.latex_typeset import LINE_WIDTH, lines, typeset
from symgen.backends.latex_variant import definition_of, label, stated
from symgen.spec.model import Op

if TYPE_CHECKING:
    from symgen.derivation import DerivedVariant, Output
    from symgen.stabilize.form import Segment

_LARGEST = float(np.finfo(np.float64).max)
_FORM_WIDTH = 60  # half letters on a line of "what runs"
_STEP_WIDTH = 64  # half letters of a derivation's step on one line


@dataclass(frozen=True)
class Formula:
    """One displayed formula: left side, the lines of its right side, and how wide it is in half letters."""

    left: str
    lines: tuple[str, ...]
    width: int = 0


@dataclass(frozen=True)
class Row:
    """What is computed on some part of the line: TeX text, the places where, and a remark."""

    what: str
    where: tuple[str, ...]
    note: str = ""


@dataclass(frozen=True)
class Running:
    """What the kernel computes for one output."""

    left: str
    rows: tuple[Row, ...]


@dataclass(frozen=True)
class Rewriting:
    """One step of a derivation: the rule's name, and TeX of what became what."""

    rule: str
    lines: tuple[str, ...]


@dataclass(frozen=True)
class Part:
    """One variant."""

    label: str
    definition: tuple[Formula, ...]
    derivatives: tuple[Formula, ...]
    forms: tuple[Formula, ...]
    running: tuple[Running, ...]
    steps: tuple[tuple[str, tuple[Rewriting, ...]], ...]
    gains: tuple[Gain, ...] = ()


def formula(left: str, right: Node) -> Formula:
    """A formula on as many lines as it needs."""
    return Formula(left, tuple(lines(right)), width(right))


def parts(op: Op, variants: Sequence[DerivedVariant]) -> tuple[Part, ...]:
    """Every variant, in the order of the definition; a step that an earlier one showed is not shown again."""
    seen: set[tuple[str, Any, Any]] = set()
    return tuple(_Printer(op, v, seen).part() for v in variants)


@dataclass
class _Printer:
    """Prints one variant; `short` are the names that its long formulas share."""

    op: Op
    derived: DerivedVariant
    seen: set[tuple[str, Any, Any]]
    short: dict[Node, Node] = field(default_factory=dict)

    def part(self) -> Part:
        stated_definition = [formula(left, right) for left, right in stated(self.op, self.definition)]
        derivatives = self.derivatives()
        forms = self.name(self.forms(), _FORM_WIDTH)
        return Part(
            label=label(self.op, self.derived.variant),
            definition=tuple(stated_definition),
            derivatives=tuple(derivatives),
            forms=(*self.difference(), *forms),
            running=tuple(Running(self.left(o), self.rows(o)) for o in self.derived.outputs),
            steps=self.steps(),
            gains=gains(self.op, self.derived),
        )

    def difference(self) -> tuple[Formula, ...]:
        """What the difference stands for in which forms are stated."""
        found = dict(o.difference for o in self.derived.outputs if o.difference is not None)
        return tuple(formula(latex(symbol), self.node(meaning)) for symbol, meaning in found.items())

    def left(self, output: Output) -> str:
        """An output without the factor that its forms are multiplied by."""
        left, factor = left_side(self.op, output), output.factor
        sign, size = ("-", -factor) if factor.could_extract_minus_sign() else ("", factor)
        return sign + left + ("" if size == 1 else f"/{latex(size, dict(self.op.symbols))}")

    @property
    def definition(self) -> Any:
        return definition_of(self.op, self.derived.variant)

    def node(self, e: Any) -> Node:
        """An expression as notation, with the names given so far."""
        return substitute(notation(e, dict(self.op.symbols)), self.short)

    def name(self, formulas: Sequence[Node], limit: int) -> list[Formula]:
        """Give names to what these formulas repeat, and say what they stand for."""
        taken = [notation(e, dict(self.op.symbols)) for e in self.derived.variant.value.free_symbols]
        taken += list(self.short.values())
        new = abbreviations(formulas, limit, taken)
        self.short |= new
        return [formula(typeset(letter), part) for part, letter in new.items()]

    # -- derivatives ------------------------------------------------------------------------------------------------

    def derivatives(self) -> list[Formula]:
        outputs = [o for o in self.derived.outputs if o.order]
        where = self.name([self.shorter(o) for o in outputs], LINE_WIDTH)
        return [*(self.derivative(o) for o in outputs), *where]

    def shorter(self, output: Output) -> Node:
        """A derivative as calculus left it, or as the rules made it where that is shorter."""
        return min((self.node(e) for e in (output.recognized, output.stable)), key=ink)

    def derivative(self, output: Output) -> Formula:
        left = left_side(self.op, output)
        if not facts.is_zero_everywhere(output.recognized):
            return formula(left, self.shorter(output))
        flat = output.recognized == 0 and not self.has_cases()
        return Formula(left, ("0" if flat else r"0 \quad\text{almost everywhere}",))

    def has_cases(self) -> bool:
        """Whether the value has cases, so that a derivative that is zero says nothing about its jumps."""
        value = self.derived.variant.value
        return value.has(sp.Rel) or len(facts.branches(value)) > 1

    # -- what runs --------------------------------------------------------------------------------------------------

    def forms(self) -> list[Node]:
        """Every form that runs, each once."""
        segments = [s for o in self.derived.outputs for r in o.regions for s in r.segments]
        return [self.node(e) for e in dict.fromkeys(s.expression for s in segments if s.expression is not None)]

    def rows(self, output: Output) -> tuple[Row, ...]:
        """What runs where; places with the same form are one row, as are neighbours of different arithmetic."""
        display = dict(self.op.symbols)
        variable = self.op.operands[0].name if output.difference is None else str(output.difference[0])
        x = names.symbol(variable, display).tex
        found: dict[tuple[str, str], list[tuple[str, list[Segment]]]] = {}
        for region in output.regions:
            condition = "" if region.condition is None else latex(region.condition, display)
            for what, run in groupby(region.segments, self.what):
                segments = list(run)
                where = interval(x, segments[0].lower, segments[-1].upper)
                found.setdefault((condition, what), []).append((where, segments))
        return tuple(_row(condition, what, places) for (condition, what), places in found.items())

    def what(self, segment: Segment) -> str:
        if segment.expression is not None:
            return rf"$\displaystyle {aligned(lines(self.node(segment.expression), _FORM_WIDTH))}${_mirrored(segment)}"
        if segment.kind == "constant":
            return f"${names.float_number(float(segment.note.partition(',')[0]))}$"
        return _described(segment.note)

    # -- derivation -------------------------------------------------------------------------------------------------

    def steps(self) -> tuple[tuple[str, tuple[Rewriting, ...]], ...]:
        """The rules applied, each once, under the first output that needed it."""
        traces = []
        for output in self.derived.outputs:
            steps = []
            for step in output.trace:
                before, after = difference(step.before, step.after)
                shown = self.step(before, after)
                if shown and (step.rule, before, after) not in self.seen:
                    self.seen.add((step.rule, before, after))
                    steps.append(Rewriting(names.code(step.rule), shown))
            if steps:
                traces.append((left_side(self.op, output), tuple(steps)))
        return tuple(traces)

    def step(self, before: Any, after: Any) -> tuple[str, ...]:
        """What became what; empty where both look the same in print."""
        display = dict(self.op.symbols)
        plain = notation(before, display), notation(after, display)
        if plain[0] == plain[1]:
            return ()
        for left, right in (plain, (self.node(before), self.node(after))):
            if width(left) + width(right) <= _STEP_WIDTH:
                return (rf"{typeset(left)} \;\to\; {typeset(right)}",)
        first, *rest = lines(right, _STEP_WIDTH)
        return (*lines(left, _STEP_WIDTH), rf"\to\; {first}", *rest)


def aligned(found: Sequence[str]) -> str:
    """Several lines as one formula."""
    return found[0] if len(found) == 1 else r"\begin{aligned}[t]& " + r" \\ & ".join(found) + r"\end{aligned}"


def interval(x: str, lower: float, upper: float) -> str:
    """Where a segment holds, as TeX; empty for every finite number, which a reader expects."""
    if upper <= -_LARGEST or lower > _LARGEST:
        return rf"{x} = {'-' if upper < 0 else ''}\infty"
    low, high = names.float_number(lower, 4), names.float_number(upper, 4)
    below, above = lower > -_LARGEST, upper < _LARGEST
    if below and above:
        return rf"{low} \le {x} < {high}"
    return rf"{x} \ge {low}" if below else f"{x} < {high}" if above else ""


def _row(condition: str, what: str, places: Sequence[tuple[str, list[Segment]]]) -> Row:
    where = tuple(r",\; ".join(t for t in (condition, place) if t) for place, _ in places)
    return Row(what, where, _note([s for _, segments in places for s in segments]))


def _described(note: str) -> str:
    """A piece's note as TeX, its numbers in few digits."""
    text = re.sub(r"polynomial of degree (\d+)", r"polynomial of degree \1", note)
    text = re.sub(r", within 2\^(-?[\d.]+) at the points checked", r", error \\ensuremath{2^{\1}}", text)
    return re.sub(r"(?<![\w.{^-])(-?\d+\.\d+(?:e[+-]?\d+)?)(?![\d}])", _rounded, text)


def _rounded(match: re.Match[str]) -> str:
    return rf"\ensuremath{{{names.float_number(float(match[1]), 5)}}}"


def _mirrored(segment: Segment) -> str:
    """Of which variable a form in y is written."""
    found = re.search(r"with (\w) = (-?\w+)", segment.note)
    return rf"\enspace with ${found[1]} = {found[2]}$" if found else ""


def _note(segments: Sequence[Segment]) -> str:
    if segments[0].kind == "constant":
        return "constant"
    careful = [s.arithmetic not in ("short", "plain") for s in segments if s.expression is not None]
    return "" if not any(careful) else "compensated" if all(careful) else "partly compensated"


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
