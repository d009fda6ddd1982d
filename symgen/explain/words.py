"""Findings, stretches and long formulas in words, and the words explained."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence

import sympy as sp
from sympy import Expr, Symbol

from symgen.explain.conditioning import Stretch
from symgen.explain.findings import Finding
from symgen.rules.engine import replace

ARITHMETIC = {
    "short": "as plain, with the short forms of elementary functions, which are enough for float32",
    "short annihilating": "short; a product is zero where a factor that underflows is zero, even times infinity",
    "medium": "as plain, with elementary functions that are one float64 each, right to about an ULP",
    "medium annihilating": "medium; a product is zero where a factor that underflows is zero, even times infinity",
    "plain": "every operation is one of float64, rounded once",
    "compensated": "what each operation rounds off is carried along as a second number, and added at the end",
    "halved": "compensated; a factor that can underflow is the square of its square root, multiplied in last",
    "annihilating": "compensated; a product is zero where such a factor is zero, even times infinity",
    "renewed": "compensated; a sum is rounded again, so that products of differences of near equals keep their digits",
    "fine": "compensated; exponentials tell what rounding their values has lost, all that is left beside a root",
}
"""What the words beside a segment mean, see `symgen.arithmetic`."""

CONDITIONING = {
    "root": "a root: leading digits cancel",
    "oscillation": "an oscillation, with roots all along",
    "decay": "a tail that falls towards 0",
    "growth": "a tail that grows towards infinity",
    "change": "a steep change",
}


def number(value: float) -> str:
    """A float for a reader: at most nine digits."""
    return "inf" if value == math.inf else "-inf" if value == -math.inf else f"{value:.9g}"


def setting_text(setting: Mapping[str, float]) -> str:
    return "".join(f", {name} = {value:g}" for name, value in setting.items())


GLUE = "\N{NO-BREAK SPACE}=\N{NO-BREAK SPACE}"
FAILURES = {"lost": "0 for a number", "overflow": "overflow", "nan": "NaN"}


def finding_text(found: Finding, operand: str = "") -> str:
    """A finding in a few words: the largest error, and the first input of each kind of failure.

    Args:
        found: what was measured.
        operand: the name of the input; empty to leave the inputs out.
    """
    largest = [] if math.isnan(found.ulp) else [(size_text(found.ulp), found.at, found.setting)]
    parts = [*largest, *((FAILURES[f.kind], f.at, f.setting) for f in found.failures)]
    shown = (text + (f" at {place_text(operand, at, setting)}" if operand else "") for text, at, setting in parts)
    return "; ".join(shown) or "not measured"


def place_text(operand: str, at: float, setting: Mapping[str, float]) -> str:
    """An input with the values of free arguments, which `folded` leaves on one line."""
    return "".join([f"{operand} = {at:.6g}", setting_text(setting)]).replace(" = ", GLUE)


def size_text(ulp: float) -> str:
    return "no overflow where the truth does" if math.isinf(ulp) else f"{ulp:.4g} ULP"


def conditioning_text(stretch: Stretch, operand: str) -> str:
    span = f"{number(stretch.lower)} .. {number(stretch.upper)}"
    worst = "unbounded" if math.isinf(stretch.worst) else f"up to {stretch.worst:.2g}"
    return f"{span}: {worst} at {place_text(operand, stretch.at, stretch.setting)}; {CONDITIONING[stretch.kind]}"


# -- formulas ----------------------------------------------------------------------------------------------------------

_LETTERS = "uvwstpq"
_LEAST_LENGTH, _LEAST_SAVING = 9, 24


def abbreviations(expressions: Sequence[Expr], width: int) -> dict[Symbol, Expr]:
    """Names for what long formulas repeat, the most saving first; none where every formula fits into the width.

    A later part may be stated in the letters of earlier ones.
    """
    taken = {s.name for e in expressions for s in e.free_symbols}
    found: dict[Symbol, Expr] = {}
    rest = list(expressions)
    for letter in (name for name in _LETTERS if name not in taken):
        part = _best(rest) if max((len(str(e)) for e in rest), default=0) > width else None
        if part is None:
            break
        name = Symbol(letter, real=True)
        found[name] = part
        rest = [replace(e, part, name) for e in rest]
    return found


def _best(expressions: Sequence[Expr]) -> Expr | None:
    counts: Counter[Expr] = Counter()
    for e in dict.fromkeys(expressions):
        counts.update(n for n in sp.preorder_traversal(e) if isinstance(n, Expr) and n.args)
    lengths = {e: len(str(e)) for e, count in counts.items() if count > 1 and not e.is_number}
    saving = {e: (counts[e] - 1) * size for e, size in lengths.items() if size >= _LEAST_LENGTH}
    return max((e for e, s in saving.items() if s >= _LEAST_SAVING), key=lambda e: (saving[e], str(e)), default=None)


def abbreviated(expression: Expr, names: Mapping[Symbol, Expr]) -> str:
    for name, part in names.items():
        expression = replace(expression, part, name)
    return str(expression)


def folded(text: str, width: int, first: str = "", rest: str | None = None) -> list[str]:
    """A text as lines of at most that width, broken at spaces or else behind a ``*`` or a comma."""
    rest = " " * len(first) if rest is None else rest
    lines, line = [], first
    for word in re.findall(r"[^ ]+?(?:\*(?![*])(?<!\*\*)|,)(?=[^ ])|[^ ]+ *", text):
        if len(line) + len(word.rstrip()) > width and line.strip() and line not in (first, rest):
            lines.append(line.rstrip())
            line = rest
        line += word
    return [shown.replace("\N{NO-BREAK SPACE}", " ") for shown in (*lines, line.rstrip())]
