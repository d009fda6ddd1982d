"""Names for what a long formula repeats: "with u = softplus(x)", so that a second derivative stays readable."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields, replace
from typing import Any

from symgen.backends.latex_notation import Atom, CaseRows, Logic, Node, Number, Relation, children, width
from symgen.backends.latex_typeset import typeset

Names = Mapping[Node, Node]

_LETTERS = ("u", "v", "w", "s", "t")
_LEAST_WIDTH = 11
_LEAST_SAVING = 24
_WHOLE = Atom | Number | CaseRows | Relation | Logic  # what gets no name: too small, or no number


def abbreviations(formulas: Sequence[Node], limit: int, taken: Sequence[Node] = ()) -> dict[Node, Node]:
    """Names for repeated parts, most saving first; none if every formula is at most `limit` wide.

    Args:
        formulas: What will be printed with the names.
        limit: A width, as `latex_notation.width` has it.
        taken: Further formulas whose letters must not be used.

    Returns:
        Names by part; a later part may be stated in earlier names' letters.
    """
    found: dict[Node, Node] = {}
    used = {a.tex for f in (*formulas, *taken) for a in _parts(f) if isinstance(a, Atom)}
    rest = list(formulas)
    for letter in (name for name in _LETTERS if name not in used):
        if max(map(width, rest), default=0) <= limit:
            break
        part = _best(rest)
        if part is None:
            break
        found[part] = Atom(letter)
        rest = [substitute(f, {part: Atom(letter)}) for f in rest]
    return found


def substitute(node: Node, names: Names) -> Node:
    """A formula with its parts called by their names, in the order in which the names were given."""
    for part, name in names.items():
        node = _replaced(node, part, name)
    return node


def _replaced(value: Any, part: Node, name: Node) -> Any:
    if value == part:
        return name
    if isinstance(value, tuple):
        return tuple(_replaced(v, part, name) for v in value)
    if hasattr(value, "__dataclass_fields__"):
        return replace(value, **{f.name: _replaced(getattr(value, f.name), part, name) for f in fields(value)})
    return value


def _parts(node: Node) -> Iterator[Node]:
    yield node
    for child in children(node):
        yield from _parts(child)


def _best(formulas: Sequence[Node]) -> Node | None:
    counts = Counter(p for f in formulas for p in _parts(f) if not isinstance(p, _WHOLE) and width(p) >= _LEAST_WIDTH)
    saving = {p: (count - 1) * (width(p) - 1) for p, count in counts.items() if count > 1}
    worth = [p for p, s in saving.items() if s >= _LEAST_SAVING]
    return min(worth, key=lambda p: (-saving[p], -width(p), typeset(p)), default=None)
