"""The card of one function: everything about it on half a page, from its derivation, its values and its certificate.

The card is built as plain records of TeX strings; `templates/latex/card.tex.jinja` decides how they stand on the page.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from symgen.backends import latex_names as names
from symgen.backends.latex_accuracy import Accuracy, accuracy
from symgen.backends.latex_behaviour import behaviour, joints, left_side
from symgen.backends.latex_device import device
from symgen.backends.latex_device import measured as on_device
from symgen.backends.latex_errors import remains
from symgen.backends.latex_part import Formula, Part, formula, parts
from symgen.backends.latex_plot import Plot, plot
from symgen.backends.latex_samples import Samples, domain, is_curve, shown_options
from symgen.backends.latex_variant import alternative_of, argument_note, number, stated
from symgen.layers import layer
from symgen.spec.model import REQUIRED, Op

if TYPE_CHECKING:
    from symgen.derivation import Derivation

_COLUMN_WIDTH = 42  # half letters of a formula beside the plot


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
    remains: tuple[tuple[str, str, str], ...]


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
    variants = parts(op, derivation.variants)
    outputs = {o.name: left_side(op, o) for v in derivation.variants for o in v.outputs}
    measured = None if certificate is None else accuracy(certificate, [o.name for o in derivation.variants[0].outputs])
    return Card(
        name=op.name,
        title=names.escape(op.name),
        signature=_signature(op.whole or op),
        torch="" if op.torch is None else names.code(op.torch),
        cite="" if op.cite is None else _cite(op.cite),
        aliases=", ".join(names.code(a) for a in op.aliases),
        summary=names.prose(op.summary),
        arguments=tuple(argument_note(op, a) for a in op.arguments[1:]),
        parts=variants,
        wide=any(f.width > _COLUMN_WIDTH for p in variants for f in (*p.definition, *p.derivatives)),
        alternatives=tuple(
            (tuple(formula(*f) for f in stated(op, alternative_of(op, a.text))), names.prose(a.note))
            for a in op.alternatives
        ),
        facts=(
            *_product(op),
            *behaviour(derivation, found, samples),
            *(on_device(certificate, outputs) or device(derivation)),
        ),
        plot=None if samples is None else plot(samples, found, domain(op)),
        shown=_shown_text(op),
        accuracy=measured,
        outputs=outputs,
        remains=remains(op, derivation),
    )


def heading(
    op: Op,
    variants: tuple[Part, ...],
    measured: Accuracy | None,
    outputs: Mapping[str, str],
    picture: tuple[Plot, str],
    facts: Iterable[tuple[str, str]] = (),
) -> Card:
    """A card of what the definition itself says, what is known of its variants, what was measured, and a plot."""
    return Card(
        name=op.name, title=names.escape(op.name), signature=_signature(op.whole or op),
        torch="" if op.torch is None else names.code(op.torch), cite="" if op.cite is None else _cite(op.cite),
        aliases=", ".join(names.code(a) for a in op.aliases), summary=names.prose(op.summary),
        arguments=tuple(argument_note(op, a) for a in op.arguments[1:]), parts=variants, wide=True, alternatives=(),
        facts=(*_product(op), ("Shown", picture[1]), *facts),
        plot=picture[0], shown="",
        accuracy=measured, outputs=outputs, remains=(),
    )  # fmt: skip


# -- heading --------------------------------------------------------------------------------------------------------


def _signature(op: Op) -> str:
    parts: list[str] = []
    for a in op.arguments:
        if a.keyword_only and "*" not in parts:
            parts.append("*")
        parts.append(a.name if a.default is REQUIRED else f"{a.name}={a.default!r}")
    return names.code(f"{op.name}({', '.join(parts)})")


def _product(op: Op) -> tuple[tuple[str, str], ...]:
    """What the card of a layer says of its matrix product, and on what all else on it rests."""
    found = None if op.whole is None else layer(op.whole)
    if found is None:
        return ()
    factors = [names.code(a.name) for a in (found.tensor, found.matrix)]
    product, axis = names.symbol(found.product, dict(op.symbols)).tex, names.escape(found.over.name)
    own, device = (names.code(f"{op.name}.{end}") for end in ("epilogue", "epilogue.cuda"))
    what = rf"${product}$ is the matrix product of {factors[0]} and {factors[1]} over ${axis}$"
    error = rf"off by at most $|{axis}|\,u \sum |\cdot|\,|\cdot|$ of its terms, which $f$ multiplies by its slope"
    return (
        ("Product", f"{what}; derivatives in these are products of matrices with what is derived here"),
        ("Given it", f"all else is of $f$ given ${product}$, as {own} computes it; the product is by BLAS, {error}"),
        ("On a GPU", f"{device} of a product of yours; {names.code(op.name + '.cuda')} is refused"),
    )


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
