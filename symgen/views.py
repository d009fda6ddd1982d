"""A derivation as text: what `symgen show` prints, one function for each stage."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from symgen.build_compile import Job, card_text, emit, kernel_digest

if TYPE_CHECKING:
    from symgen.derivation import Derivation, DerivedVariant, Output


def lower(derivation: Derivation) -> str:
    """The program of each variant: stages over named axes."""
    return _sections(derivation, lambda variant: str(variant.program))


def recognize(derivation: Derivation) -> str:
    """Each output in the vocabulary, before anything was made stable."""
    return _sections(derivation, lambda variant: _outputs(variant, lambda output: [str(output.recognized)]))


def stabilize(derivation: Derivation) -> str:
    """The stable form of each output, and what computes which part of the line."""
    return _sections(derivation, lambda variant: _outputs(variant, _stable))


def schedule(derivation: Derivation) -> str:
    """The scalar cores: how many operations of which kind each output takes, for either precision."""
    return _sections(derivation, lambda variant: _outputs(variant, _cores))


def code(derivation: Derivation, job: Job) -> str:
    """The generated module."""
    return "".join(emit(derivation, job).values())


def card(derivation: Derivation, job: Job) -> str:
    """The reference card as LaTeX."""
    return card_text(derivation, job, kernel_digest(emit(derivation, job)))


STAGES: dict[str, Callable[[Derivation], str]] = {
    "lower": lower,
    "recognize": recognize,
    "stabilize": stabilize,
    "schedule": schedule,
}


def _of(suffix: str) -> str:
    return f" of variant {suffix}" if suffix else ""


def _sections(derivation: Derivation, text: Callable[[DerivedVariant], str]) -> str:
    parts = []
    for variant in derivation.variants:
        heading = f"{derivation.op.name}{_of(variant.variant.suffix)}\n" if len(derivation.variants) > 1 else ""
        parts.append(heading + text(variant))
    return "\n\n".join(parts)


def _outputs(variant: DerivedVariant, lines: Callable[[Output], list[str]]) -> str:
    return "\n".join("\n".join([output.name, *(f"  {line}" for line in lines(output))]) for output in variant.outputs)


def _stable(output: Output) -> list[str]:
    lines = [str(output.stable)]
    for region in output.regions:
        if region.condition is not None:
            lines.append(f"where {region.condition}")
        for segment in region.segments:
            what = segment.note if segment.expression is None else f"{segment.expression}   ({segment.note})"
            lines.append(f"  {segment.lower:>24.17g} .. {segment.upper:<24.17g} {segment.arithmetic:<12} {what}")
    return lines


def _cores(output: Output) -> list[str]:
    from collections import Counter

    from symgen.kernel import topological

    lines = []
    for precision, core in output.cores.items():
        nodes = [node for node in topological(core.results) if node.op not in {"const", "var"}]
        counts = Counter(node.value if node.op == "call" else node.op for node in nodes)
        used = ", ".join(f"{count} {name}" for name, count in sorted(counts.items())) or "nothing to compute"
        lines.append(f"{precision}({', '.join(core.parameters)}): {used}")
    return lines
