"""The report on a function as data: every step with the error before and after, every cut, and what remains."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
from sympy import Expr, Symbol

from symgen.arithmetic import COMPENSATED, Pair
from symgen.explain.conditioning import Stretch, stretches
from symgen.explain.findings import DTYPES, Finding, finding
from symgen.explain.stages import Findings, Stage, stages
from symgen.kernel import ScalarFunction, const, select, var
from symgen.lowering import Lowering
from symgen.missed import Miss, misses
from symgen.proofs import Proof
from symgen.prove import prove
from symgen.rules import ALL_RULES
from symgen.settings import first_tensor
from symgen.spec.description import argument_lines, when
from symgen.stabilize.probe import TARGETS, Flags
from symgen.stabilize.recognize import recognize
from symgen.stabilize.regimes import evaluate

if TYPE_CHECKING:
    from symgen.derivation import Derivation, DerivedVariant, Output


@dataclass(frozen=True)
class Cut:
    """One segment of a core: ``lower <= x < upper``, what computes it, and its error there.

    Attributes:
        condition: the case of the definition that it belongs to; None where there are no cases.
        kind: "formula", "piece" (a polynomial fitted to the exact function) or "constant".
        expression: the formula, or None.
        note: where the formula comes from, or what the piece is and how well it was proved to fit.
        arithmetic: a key of `ARITHMETIC`.
    """

    condition: Any
    lower: float
    upper: float
    kind: str
    expression: Expr | None
    note: str
    arithmetic: str
    error: Finding


@dataclass(frozen=True)
class OutputReport:
    """Everything that is told of one output; the operand is what its inputs are values of."""

    name: str
    order: int
    operand: str
    stages: tuple[Stage, ...]
    kernel: Findings
    cuts: Mapping[str, tuple[Cut, ...]]  # by dtype
    missed: tuple[Miss, ...]
    conditioning: tuple[Stretch, ...]


@dataclass(frozen=True)
class VariantReport:
    """One formula of a function: when it applies, as it was written and as it was recognised."""

    suffix: str
    applies: str
    written: Expr
    recognized: Expr
    settings: tuple[Mapping[str, float], ...]
    outputs: tuple[OutputReport, ...]


@dataclass(frozen=True)
class Report:
    """What `symgen explain` tells of a function."""

    name: str
    summary: str
    source: str
    definition: str
    arguments: tuple[str, ...]
    variants: tuple[VariantReport, ...]
    certified: Mapping[tuple[str, str], float]  # largest error measured, by output and dtype


def report(derivation: Derivation, certified: Mapping[tuple[str, str], float] | None = None) -> Report:
    """Measure and collect what is to be told of a derivation.

    Args:
        derivation: the function.
        certified: the largest errors that `symgen certify` found, by output and dtype.
    """
    op = derivation.op
    x = first_tensor(op).name
    return Report(
        op.name,
        op.summary,
        f"{op.source.file}:{op.source.line}",
        op.definition,
        tuple(line.strip() for line in argument_lines(op)),
        tuple(_variant(variant, x, misses(derivation)) for variant in derivation.variants if variant.outputs),
        certified or {},
    )


def _variant(derived: DerivedVariant, x: str, missed: tuple[Miss, ...]) -> VariantReport:
    first, suffix, outputs = derived.outputs[0], derived.variant.suffix, derived.outputs
    mine = {o.name: tuple(m for m in missed if m.output == o.name and m.variant in ("", suffix)) for o in outputs}
    return VariantReport(
        suffix,
        when(derived.variant),
        first.naive,
        recognize(first.naive)[0],
        first.probe.settings,
        tuple(_output(o, x, mine[o.name]) for o in outputs),
    )


def _output(output: Output, x: str, missed: tuple[Miss, ...]) -> OutputReport:
    symbols = {s.name: s for s in output.naive.free_symbols | output.recognized.free_symbols}
    kernel, cuts = {}, {}
    for target in TARGETS:
        got = evaluate(output.cores[target.name], output.probe)
        kernel[DTYPES[target.name]] = finding(got, output.probe, target)
        cuts[DTYPES[target.name]] = tuple(_cuts(output, target.name, got, symbols))
    return OutputReport(
        output.name,
        output.order,
        x,
        tuple(replace(stage, proof=_proof(stage.title)) if stage.proof else stage for stage in stages(output)),
        kernel,
        cuts,
        missed,
        stretches(output.recognized, symbols.get(x), output.probe),
    )


@cache
def _proof(name: str) -> str:
    """How a rule is proved: the label of a proof that has just been made, which takes milliseconds."""
    (rule,) = (rule for rule in ALL_RULES if rule.name == name)
    verdict = prove(rule)
    return verdict.label if isinstance(verdict, Proof) else str(verdict)


def _cuts(output: Output, target_name: str, got: Any, symbols: Mapping[str, Symbol]) -> Iterator[Cut]:
    (target,) = (t for t in TARGETS if t.name == target_name)
    x, core = output.probe.x, output.cores[target_name]
    for region in output.forms[target_name].regions():
        inside = _holds(region.condition, core, output, symbols)
        for s in region.segments:
            where = (x >= s.lower) & ((x < s.upper) | (np.isinf(s.upper) & (x == s.upper)))
            error = finding(got, output.probe, target, where & inside)
            yield Cut(region.condition, s.lower, s.upper, s.kind, s.expression, s.note, s.arithmetic, error)


def _holds(condition: Any, core: ScalarFunction, output: Output, symbols: Mapping[str, Symbol]) -> Flags:
    """Where a region's condition holds, for each setting and point."""
    if condition is None:
        return np.ones((len(output.probe.settings), output.probe.x.size), bool)
    bound = {s: Pair(var(s.name)) for s in symbols.values()}
    if output.difference is not None:
        symbol, spelled = output.difference
        condition = condition.xreplace({symbol: spelled})
    chosen = Lowering(COMPENSATED, bound).condition(condition)
    flag = ScalarFunction("holds", core.parameters, (select(chosen, const(1.0), const(0.0)),))
    return np.asarray(evaluate(flag, output.probe) > 0)
