"""What the manifest says of one function: plain JSON, from which the runtime binds arguments and chooses a variant."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import sympy as sp
from sympy.core.sorting import default_sort_key
from sympy.logic.boolalg import BooleanFalse, BooleanTrue

from symgen.layers import layer
from symgen.spec.model import REQUIRED, Argument, Axis, Op, Parts, Variant, role_limits

FOLDERS = {"activation": "activations", "loss": "losses"}
ARRAYS, NUMBERS = ("tensor", "param", "weight", "prob"), ("real", "int")
RELATIONS = {sp.Eq: "eq", sp.Ne: "ne", sp.Lt: "lt", sp.Le: "le", sp.Gt: "gt", sp.Ge: "ge"}
CONNECTIVES = {sp.And: "and", sp.Or: "or", sp.Not: "not"}
TRUTHS = {BooleanTrue: ["eq", 0, 0], BooleanFalse: ["ne", 0, 0]}


class ManifestError(ValueError):
    """Something in a spec that the manifest cannot say yet; the message names it."""


@dataclass(frozen=True)
class VariantFacts:
    """What was derived of one variant: its outputs' names, and their limits as text ({"value": {"-inf": "0"}})."""

    outputs: tuple[str, ...]
    limits: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    axes: tuple[str, ...] = ()  # of a row function, along which the value of a sample varies
    walks: Mapping[str, list[list[str]]] = field(default_factory=dict)  # the axes of each pass of a row's outputs


def module_name(op: Op) -> str:
    """The module of a function below the generated package, such as ``activations.gelu``."""
    return f"{FOLDERS[op.kind]}.{op.name}"


def kernel_arguments(op: Op) -> tuple[tuple[str, str], ...]:
    """What every kernel of a function takes, as (name, role): arrays first, then numbers, each in signature order."""
    arrays = [(a.name, a.role.kind) for a in op.arguments if a.role.kind in ARRAYS]
    return (*arrays, *((a.name, a.role.kind) for a in op.arguments if a.role.kind in NUMBERS))


def entry(op: Op, facts: Sequence[VariantFacts], archetype: str = "elementwise") -> dict[str, Any]:
    """The manifest's record of one function; the build adds the key and the hashes of the files.

    Args:
        op: The function as loaded.
        facts: One for each of its variants, in their order.
        archetype: Which template its module was written with.

    Returns:
        Values that JSON can hold, infinities as "inf" and "-inf".

    Raises:
        ManifestError: if a condition between options is more than comparisons of options and numbers.
    """
    return _layered(op, {
        "module": module_name(op),
        "kind": op.kind,
        "family": Path(op.source.file).stem,  # variants of one idea share a file of specs
        "archetype": archetype,
        "summary": op.summary,
        "doc": op.doc,
        "definition": op.definition,
        "torch": op.torch,
        "cite": op.cite,
        "reduction": op.reduction if op.kind == "loss" else None,
        "aliases": list(op.aliases),
        "arguments": [_argument(a) | _row_facts(op, a) for a in op.arguments],
        "assertions": [condition(c) for c in op.assertions],
        "variants": [_variant(v, f) for v, f in zip(op.variants, facts, strict=True)],
        "source": {"file": op.source.file, "line": op.source.line},
    })


def _layered(op: Op, made: dict[str, Any]) -> dict[str, Any]:
    """The record of the definition that this is the epilogue of, with what is its own; of others as it is."""
    found = None if op.whole is None else layer(op.whole)
    if op.whole is None or found is None:
        return made
    factors = {"product": found.product, "tensor": found.tensor.name, "matrix": found.matrix.name,
               "first": found.first}  # fmt: skip
    epilogue = {"archetype": made["archetype"], "arguments": made["arguments"], **factors}
    return {**made, "archetype": "layer", "arguments": [_argument(a) for a in op.whole.arguments],
            "epilogue": epilogue}  # fmt: skip


def condition(relation: Any) -> list[Any]:
    """A condition over options as a prefix list: ``["and", ["gt", "beta", 0], ["ne", "p", "inf"]]``."""
    for kind, name in RELATIONS.items():
        if isinstance(relation, kind):
            return [name, _leaf(relation.args[0]), _leaf(relation.args[1])]
    for kind, name in CONNECTIVES.items():
        if isinstance(relation, kind):
            return [name, *(condition(c) for c in sorted(relation.args, key=default_sort_key))]
    for kind, always in TRUTHS.items():
        if isinstance(relation, kind):
            return list(always)
    raise ManifestError(f"'{relation}' is not a comparison of options and numbers; write it as one, or as and/or/not")


def _leaf(expression: Any) -> Any:
    """A number or an option's name."""
    if isinstance(expression, sp.Symbol):
        return expression.name
    if expression.is_number and expression.is_extended_real:
        return json_value(expression)
    raise ManifestError(f"'{expression}' computes with options; a condition may only compare them: give it an option")


def json_value(value: Any) -> Any:
    """A default, a limit or a choice as JSON: the nearest float of an exact number, infinities as text."""
    if value is None or isinstance(value, (bool, str, int)):
        return value
    if isinstance(value, sp.Integer):
        return int(value)
    number = float(value)
    return number if abs(number) < float("inf") else str(number)


def _argument(argument: Argument) -> dict[str, Any]:
    role = argument.role
    required = argument.default is REQUIRED
    return {
        "name": argument.name,
        "role": role.kind,
        "axes": [_axis(axis) for axis in role.axes],
        "default": {"required": True} if required else json_value(argument.default),
        "keyword_only": argument.keyword_only,
        "optional": role.optional,
        "choices": [json_value(choice) for choice in role.choices],
        "limits": [[operator, json_value(limit)] for operator, limit in role_limits(role)],
    }


def _row_facts(op: Op, argument: Argument) -> dict[str, Any]:
    """What only operands of row functions have: several roles, the axis that an index picks from, what it skips."""
    role, facts = argument.role, dict[str, Any]()
    if role.kinds:
        kinds = [replace(argument, role=kind) for kind in role.kinds]
        facts["kinds"] = [_argument(a) | _row_facts(op, a) for a in kinds]
    if role.of is not None:
        facts["of"] = role.of.name
        facts["beside"] = skipped(op, argument.name)
    return facts


def skipped(op: Op, name: str) -> list[str]:
    """The options that a definition compares an index with: positions that it never looks at."""
    options = {a.name for a in op.options}
    relations = {r for v in op.variants for r in v.value.atoms(sp.Eq, sp.Ne)}
    sides = [{str(side) for side in r.args} for r in relations]
    return sorted(option for s in sides if name in s for option in s & options)


def _axis(axis: Axis | Parts | int) -> dict[str, Any]:
    """A named axis; `at` is null where the caller may move it; one of parts, or of a length, is unpacked."""
    if isinstance(axis, Axis):
        place = {"name": axis.name, "at": None if axis.at == -1 else axis.at, "optional": axis.optional}
        return place | ({"rank": axis.rank} if axis.rank else {})
    if isinstance(axis, Parts):
        return {**_axis(axis.axis), "parts": axis.count}
    return {"name": "", "at": None, "optional": False, "parts": axis}


def _variant(variant: Variant, facts: VariantFacts) -> dict[str, Any]:
    return {
        "suffix": variant.suffix,
        "settings": {name: json_value(choice) for name, choice in variant.settings},
        "conditions": [[condition(c), truth] for c, truth in variant.conditions],
        "outputs": list(facts.outputs),
        "limits": {output: dict(limits) for output, limits in facts.limits.items()},
        **({"axes": list(facts.axes)} if facts.axes else {}),
        **({"walks": dict(facts.walks)} if facts.walks else {}),
    }
