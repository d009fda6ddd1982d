"""Conditions between options, as the manifest writes them: prefix lists over numbers and option names."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import Any

Condition = Any  # nested lists of strings and numbers, straight from JSON
Values = Mapping[str, Any]

RELATIONS: dict[str, tuple[str, Callable[[Any, Any], bool]]] = {
    "eq": ("==", operator.eq),
    "ne": ("!=", operator.ne),
    "lt": ("<", operator.lt),
    "le": ("<=", operator.le),
    "gt": (">", operator.gt),
    "ge": (">=", operator.ge),
}
SYMBOLS: dict[str, Callable[[Any, Any], bool]] = dict(RELATIONS.values())


class UndecidableError(Exception):
    """A condition mentions an option that is None, so that it says nothing."""


def number(value: Any) -> float:
    """The float that a manifest leaf stands for: a number, "inf", "-inf" or an exact fraction such as "1/3"."""
    return float(Fraction(value)) if isinstance(value, str) and "/" in value else float(value)


def _leaf(leaf: Any, values: Values) -> Any:
    if isinstance(leaf, str) and leaf in values:
        if values[leaf] is None:
            raise UndecidableError
        return values[leaf]
    return number(leaf)


def holds(condition: Condition, values: Values) -> bool:
    """Whether a condition holds for these option values.

    Raises:
        UndecidableError: where it compares an option that is None.
    """
    head, *rest = condition
    if head == "and":
        return all(holds(c, values) for c in rest)
    if head == "or":
        return any(holds(c, values) for c in rest)
    if head == "not":
        return not holds(rest[0], values)
    left, right = (_leaf(leaf, values) for leaf in rest)
    return bool(RELATIONS[head][1](left, right))


def text(condition: Condition) -> str:
    """A condition as a reader would write it."""
    head, *rest = condition
    if head in ("and", "or"):
        return f" {head} ".join(f"({text(c)})" if c[0] in ("and", "or") else text(c) for c in rest)
    if head == "not":
        return f"not ({text(rest[0])})"
    return f"{_leaf_text(rest[0])} {RELATIONS[head][0]} {_leaf_text(rest[1])}"


def _leaf_text(leaf: Any) -> str:
    return leaf if isinstance(leaf, str) else f"{leaf:g}"


def names(condition: Condition) -> list[str]:
    """The options that a condition mentions, each once, in order."""
    head, *rest = condition
    if head in RELATIONS:
        return list(dict.fromkeys(x for x in rest if isinstance(x, str) and x.isidentifier() and x != "inf"))
    return list(dict.fromkeys(name for c in rest for name in names(c)))
