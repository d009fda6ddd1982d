"""Naming variants: a short identifier for each, readable in a traceback and stable from build to build."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

from sympy.core.relational import Relational

from symgen.spec.model import Variant

WORDS = {"==": "eq", "!=": "ne", "<": "lt", "<=": "le", ">": "gt", ">=": "ge"}
OPPOSITE = {"==": "!=", "!=": "==", "<": ">=", ">=": "<", ">": "<=", "<=": ">"}


def name_variants(variants: list[Variant]) -> tuple[Variant, ...]:
    """The variants with their suffixes, empty for a single one."""
    if len(variants) == 1:
        return tuple(variants)
    suffixes = [suffix(v) for v in variants]
    unique = [s if suffixes.count(s) == 1 else f"{s}_{i + 1}" for i, s in enumerate(suffixes)]
    return tuple(replace(v, suffix=s) for v, s in zip(variants, unique, strict=True))


def suffix(variant: Variant) -> str:
    parts = [setting_word(name, value) for name, value in variant.settings]
    parts += [condition_word(condition, truth) for condition, truth in variant.conditions]
    return identifier("_".join(parts))


def setting_word(name: str, value: object) -> str:
    if isinstance(value, bool):
        return name if value else f"no_{name}"
    if isinstance(value, str) and value != "given":
        return value
    return f"{name}_{'none' if value is None else value}"


def condition_word(condition: Any, truth: bool) -> str:
    if not isinstance(condition, Relational):
        return f"case_{'yes' if truth else 'no'}"
    op = condition.rel_op if truth else OPPOSITE[condition.rel_op]
    left, right = (re.sub(r"\boo\b", "inf", str(a).replace("-", "minus_")) for a in condition.args)
    return f"{left}_{WORDS[op]}_{right}"


def identifier(text: str) -> str:
    """The text with everything but letters, digits and single underscores taken out."""
    return re.sub(r"_+", "_", re.sub(r"\W", "_", text)).strip("_") or "other"
