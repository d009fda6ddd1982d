"""Saying in plain text what was understood of a spec: what ``symgen show NAME --stage load`` prints."""

from __future__ import annotations

from symgen.spec.model import REQUIRED, Argument, Axis, Op, Parts, Variant

KINDS = {
    "tensor": "array",
    "param": "learned array, shared by all samples",
    "weight": "array of weights, not negative",
    "prob": "array of probabilities",
    "index": "array of integers",
    "labels": "array of class lists, each ended by -1",
    "mask": "array of truth values",
    "shape": "sizes of the last axes",
    "real": "number",
    "int": "integer",
    "choice": "choice",
}


def describe(op: Op) -> str:
    """What was understood of a spec, in plain text.

    Args:
        op: a loaded op.

    Returns:
        Lines that name the source, the formula as written, the arguments with roles, domains and defaults, the
        relations between options, and each variant with its conditions and its value; without a trailing newline.

    Example:
        >>> from symgen.spec import describe, load
        >>> from symgen.catalogue import folder
        >>> print(describe(load(folder() / "activations" / "relu.py")["relu"]))
        relu: Positive part.
          kind       activation
          source     specs/activations/relu.py:7
          PyTorch    relu
        <BLANKLINE>
        as written
          return max(0, x)
        <BLANKLINE>
        arguments
          x  Tensor  array, required
        <BLANKLINE>
        value
          first_max(0, x)
    """
    facts = [
        ("kind", op.kind),
        ("source", f"{op.source.file}:{op.source.line}"),
        ("PyTorch", op.torch or ""),
        ("reference", op.cite or ""),
        ("aliases", ", ".join(op.aliases)),
        ("reduction", op.reduction if op.kind == "loss" else ""),
    ]
    lines = [f"{op.name}: {op.summary}", *(f"  {name:<10} {value}" for name, value in facts if value)]
    lines += ["", "as written", *(f"  {line}" for line in op.definition.splitlines())]
    lines += ["", "arguments", *argument_lines(op)]
    if op.assertions:
        lines += ["", "checked at call", *(f"  {a}" for a in op.assertions)]
    lines.append("")
    lines += variant_lines(op)
    for alternative in op.alternatives:
        lines += ["", "also written", f"  {alternative.text}", f"  {alternative.note}"]
    return "\n".join(lines)


def argument_lines(op: Op) -> list[str]:
    """One aligned line for each argument."""
    names = [a.name for a in op.arguments]
    roles = [str(a.role) for a in op.arguments]
    wide, wider = max(map(len, names)), max(map(len, roles))
    lines = []
    for a, role in zip(op.arguments, roles, strict=True):
        keyword = ", by keyword" if a.keyword_only else ""
        lines.append(f"  {a.name:<{wide}}  {role:<{wider}}  {meaning(a)}{keyword}")
    return lines


def meaning(argument: Argument) -> str:
    """The role in words, with its default."""
    role = argument.role
    kind = " or ".join(KINDS[k.kind] for k in role.kinds) if role.kinds else KINDS[role.kind]
    axes = [a.axis if isinstance(a, Parts) else a for a in (*role.axes, role.of)]
    places = [place(a) for a in axes if isinstance(a, Axis)]
    where = f" along {', '.join(places)}" if places else ""
    default = "required" if argument.default is REQUIRED else f"default {argument.default!r}"
    return f"{kind}{where}, {default}"


def place(axis: Axis) -> str:
    return f"{axis} (axis {axis.at}{', where there is one' if axis.optional else ''})"


def variant_lines(op: Op) -> list[str]:
    if len(op.variants) == 1:
        return ["value", *value_lines(op.variants[0])]
    lines = []
    for variant in op.variants:
        lines += [f"variant {variant.suffix}: {when(variant)}", *value_lines(variant)]
    return lines


def value_lines(variant: Variant) -> list[str]:
    share = [] if variant.share is None else [f"  share in the mean: {variant.share}"]
    return [f"  {variant.value}", *share]


def when(variant: Variant) -> str:
    """The settings and conditions that choose a variant."""
    parts = [f"{name} is {'given' if value == 'given' else repr(value)}" for name, value in variant.settings]
    parts += [f"{condition}" if truth else f"not {condition}" for condition, truth in variant.conditions]
    return " and ".join(parts)
