"""One variant of a spec in print: its label, its definition from the text, and what its settings decide there."""

from __future__ import annotations

import ast
from fractions import Fraction
from pathlib import Path
from typing import Any

import sympy as sp

from symgen import resources
from symgen.backends import latex_names as names
from symgen.backends.latex_expr import latex
from symgen.backends.latex_notation import Node
from symgen.backends.latex_text import Definition, Setting, definition
from symgen.backends.latex_typeset import typeset
from symgen.spec.model import REQUIRED, Argument, Op, Variant, role_limits

_RELATIONS: dict[type[ast.cmpop], Any] = {
    ast.Lt: sp.Lt,
    ast.LtE: sp.Le,
    ast.Gt: sp.Gt,
    ast.GtE: sp.Ge,
    ast.Eq: sp.Eq,
    ast.NotEq: sp.Ne,
}
_ARITHMETIC: dict[type[ast.operator], Any] = {
    ast.Add: lambda a, b: a + b,
    ast.Sub: lambda a, b: a - b,
    ast.Mult: lambda a, b: a * b,
    ast.Div: lambda a, b: a / b,
    ast.Pow: lambda a, b: a**b,
}
_LIMITS = {">": ">", ">=": r"\ge", "<": "<", "<=": r"\le", "!=": r"\ne", "==": "="}


def definition_of(op: Op, variant: Variant) -> Definition:
    """The spec's text as a formula for one variant."""
    return definition(op.source.text, _setting(op, variant), dict(op.symbols), op.name, _imported(op))


def _imported(op: Op) -> dict[str, str]:
    """Names that the spec's file imports under another name, from that other name; empty if the file is not there."""
    for root in (resources.specs().parent, Path()):
        try:
            tree = ast.parse((root / op.source.file).read_text(encoding="utf-8"))
        except (OSError, SyntaxError):
            continue
        aliases = (a for e in tree.body if isinstance(e, ast.ImportFrom) for a in e.names)
        return {a.asname: a.name for a in aliases if a.asname}
    return {}


def alternative_of(op: Op, text: str) -> Definition:
    """Another form that the spec states, given as an expression or as a ``def``."""
    if not text.lstrip().startswith("def "):
        arguments = ", ".join(a.name for a in op.arguments)
        text = f"def {op.name}({arguments}):\n    return {text.strip()}"
    return definition(text, None, dict(op.symbols))


def stated(op: Op, found: Definition) -> list[tuple[str, Node]]:
    """A definition as pairs of left and right side, its locals after it."""
    left = f"f({names.symbol(op.operands[0].name, dict(op.symbols)).tex})"
    return [(left, found.value), *((typeset(local.name), local.value) for local in found.where)]


def label(op: Op, variant: Variant) -> str:
    """What chooses a variant, as TeX text; empty where there is only one."""
    parts = []
    for name, value in variant.settings:
        shown = {None: r"\textit{none}", "given": r"\textit{given}"}.get(value) if _hashable(value) else None  # type: ignore[call-overload]
        parts.append(f"{names.code(name)} {shown}" if shown else f"{names.code(name)} = {names.code(repr(value))}")
    parts += [f"${latex(c if truth else sp.Not(c), dict(op.symbols))}$" for c, truth in variant.conditions]
    return ", ".join(parts)


def _hashable(value: object) -> bool:
    return value is None or isinstance(value, str)


def _setting(op: Op, variant: Variant) -> Setting:
    symbols = {a.name: op.symbol(a.name) for a in op.arguments}

    def decide(text: str) -> bool | None:
        relation = _relation(ast.parse(text, mode="eval").body, symbols)
        for condition, truth in variant.conditions:
            if relation == condition:
                return truth
            if relation is not None and relation == sp.Not(condition):
                return not truth
        return None

    return Setting(dict(variant.settings), decide)


def _relation(e: ast.expr, symbols: dict[str, Any]) -> Any:
    if not isinstance(e, ast.Compare) or len(e.ops) != 1 or type(e.ops[0]) not in _RELATIONS:
        return None
    sides = _value(e.left, symbols), _value(e.comparators[0], symbols)
    return None if None in sides else _RELATIONS[type(e.ops[0])](*sides)


def _value(e: ast.expr, symbols: dict[str, Any]) -> Any:
    match e:
        case ast.Constant(value=int() | float() as value):
            return sp.Rational(repr(value))
        case ast.Name(id="inf"):
            return sp.oo
        case ast.Name(id=name):
            return symbols.get(name)
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            inner = _value(operand, symbols)
            return None if inner is None else -inner
        case ast.BinOp(left=left, op=operator, right=right):
            a, b = _value(left, symbols), _value(right, symbols)
            return None if a is None or b is None else _ARITHMETIC[type(operator)](a, b)
    return None


def argument_note(op: Op, argument: Argument) -> str:
    """One argument besides the input: its symbol, its name in code, what it may be and its default, as TeX text."""
    role = argument.role
    symbol = names.symbol(argument.name, dict(op.symbols)).tex
    limits = "".join(rf"{_LIMITS[o]} {number(v)}" for o, v in role_limits(role))
    if role.kind == "choice":
        head = f"{names.code(argument.name)}: " + " or ".join(names.code(repr(c)) for c in role.choices)
        details = []
    else:
        plain = symbol == argument.name
        head = f"${symbol}$" + ("" if plain else f" = {names.code(argument.name)}")
        details = [f"${symbol}{limits}$"] if limits else []
    if role.kind == "param":
        details.append("learned")
    if role.optional:
        details.append("optional")
    if argument.default is not REQUIRED and argument.default is not None:
        shown = number(argument.default)
        details.append(f"default ${shown}$" if shown else f"default {names.code(repr(argument.default))}")
    return ", ".join([head, *details])


def number(value: object) -> str:
    """A Python number as TeX, as short as it was written; empty for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float | Fraction):
        return ""
    if value in (float("inf"), float("-inf")):
        return names.float_number(float(value))
    text = repr(value)
    return "-" + names.decimal(text[1:]).tex if text.startswith("-") else names.decimal(text).tex
