"""What kinds of kernels there are, and how each is derived, printed and described: one line of a table for each.

Whether a function is elementwise or one of rows is read off its formula; nothing else in the driver asks.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from symgen import build_compile, pipeline, views
from symgen.backends.manifest import VariantFacts
from symgen.backends.numba_row_passes import walks
from symgen.kernel import ScalarFunction
from symgen.rows import derive as rows
from symgen.rows import text as row_text
from symgen.rows.lower import is_row_function
from symgen.rows.measure import measured
from symgen.spec import Op

Derived = Any  # a Derivation or a RowDerivation; each line of the table gets its own


@dataclass(frozen=True)
class Archetype:
    """How functions of one kind are built.

    Attributes:
        name: as the manifest says it.
        derive: makes a derivation of a definition.
        facts: what the manifest says of its variants.
        emit: the text of its module.
        cores: every scalar function in it.
        card: its card on the reference sheet, with a certificate where there is one.
        stages: what `symgen show` can show of it, by name.
        emit_device: the text of its module for GPUs, empty where there is none.
    """

    name: str
    derive: Callable[..., Derived]
    facts: Callable[[Derived], Sequence[VariantFacts]]
    emit: Callable[[Derived, str], str]
    cores: Callable[[Derived], Iterable[ScalarFunction]]
    card: Callable[[Derived, Mapping[str, Any] | None], str]
    stages: Mapping[str, Callable[[Derived], str]]
    emit_device: Callable[[Derived, str], str]


def _sheet() -> Any:
    """What prints cards, which is imported where one is wanted: a build without a reference needs none of it."""
    return importlib.import_module("symgen.sheet")


def _row_card(derived: rows.RowDerivation, certificate: Mapping[str, Any] | None) -> str:
    text: str = _sheet().render_card(importlib.import_module("symgen.rows.card").card(derived, certificate))
    return text


ELEMENTWISE = Archetype(
    name="elementwise",
    derive=pipeline.derive,
    facts=lambda d: [VariantFacts(tuple(o.name for o in v.outputs)) for v in d.variants],
    emit=build_compile.emit_elementwise,
    cores=lambda d: [core for v in d.variants for o in v.outputs for core in o.every_core],
    card=lambda d, certificate: _sheet().card_text(d, certificate=certificate),
    stages=views.STAGES,
    emit_device=build_compile.emit_elementwise_cuda,
)
ROWS = Archetype(
    name="rows",
    derive=lambda op, *, only=None, device=False: measured(rows.derive(op, only=only)),  # a GPU runs the same program
    facts=lambda d: [row_facts(v) for v in d.variants],
    emit=build_compile.emit_rows,
    cores=row_text.cores,
    card=_row_card,
    stages=row_text.STAGES,
    emit_device=build_compile.emit_rows_cuda,
)


def row_facts(derived: rows.DerivedRows) -> VariantFacts:
    """What the manifest says of a variant of a row function."""
    walked = {o.name: walks(o.schedules[-1].steps) for o in derived.outputs}
    walked = {name: found for name, found in walked.items() if found}
    return VariantFacts(derived.names, axes=derived.axes, walks=walked)


def archetype_of(op: Op) -> Archetype:
    """The kind of a definition's kernels."""
    return ROWS if is_row_function(op) else ELEMENTWISE
