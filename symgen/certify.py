"""Measures public kernels against the oracle, in every dtype and where it is hard: what accuracy claims rest on."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import get_context
from typing import TYPE_CHECKING, Any

from sympy import Expr, Symbol

from symgen.certificate import Certificate, Row
from symgen.certify_cases import OUTPUTS, Case, CertifyError, cases, directions
from symgen.certify_survey import Effort, Knowledge, Progress, Survey
from symgen.features import merge
from symgen.spec.model import Op
from symgen.stabilize.form import MAGNITUDE, Formula

if TYPE_CHECKING:
    from symgen.derivation import Derivation, Output

__all__ = ["CertifyError", "Effort", "Knowledge", "certify", "certify_cases", "knowledge_of"]

FULL = Effort()
ORDERS = dict(OUTPUTS)
IDENTITIES = frozenset({"rules", "rules, unfolded", "as derived", "normal form"})
"""Sources of forms that equal their formula everywhere; others, as a leading term at zero, do so to a float only."""


def certify(
    op: Op,
    kernel: Any,
    *,
    knowledge: Mapping[str, Knowledge] | None = None,
    digest: str = "",
    effort: Effort = FULL,
    processes: int = 1,
    progress: Progress | None = None,
) -> Certificate:
    """Measure a kernel: value, derivatives and gradients in its parameters.

    Args:
        op: what the kernel claims to compute.
        kernel: called as ``kernel(*operands, **options)``, ``kernel.grad(*operands, order=k, **options)`` and
            ``kernel.grad(*operands, order=1, wrt=(name,), **options)``, with arrays of each dtype.
        knowledge: by the suffix of the variant, what its derivation says.
        digest: hash of the kernel's files, to be kept in the certificate.
        effort: how many points.
        processes: how many processes compute the truth.
        progress: called with what is being done and the fraction that is done.

    Returns:
        The certificate; whether it passes is for `Certificate.failures` to say.

    Raises:
        CertifyError: the function is not elementwise, or the kernel returned another dtype or shape than it was given.
        OracleError: the formula has a node without ball arithmetic.
    """
    return certify_cases(
        op.name, cases(op), kernel, knowledge, digest=digest, effort=effort, processes=processes, progress=progress
    )


def certify_cases(
    name: str,
    of: Sequence[Case],
    kernel: Any,
    knowledge: Mapping[str, Knowledge] | None = None,
    *,
    digest: str = "",
    effort: Effort = FULL,
    processes: int = 1,
    progress: Progress | None = None,
) -> Certificate:
    """Measure a kernel at given cases; see `certify`, which derives them from a spec."""
    rows: list[Row] = []
    features: dict[str, tuple[float, ...]] = {}
    with _pool(processes) as executor:
        for i, case in enumerate(of):
            known = (knowledge or {}).get(case.variant.suffix if case.variant else "", Knowledge())

            def report(what: str, fraction: float, i: int = i) -> None:
                if progress:
                    progress(f"{name}: {what}", (i + fraction) / len(of))

            for along in directions(case):
                survey = Survey(case, along, known, effort, executor, report)
                rows += survey.rows(kernel)
                for kind, points in survey.features.items():
                    features[kind] = merge(features.get(kind, ()), points)
    return Certificate(name, digest, tuple(rows), features)


@contextmanager
def _pool(processes: int) -> Iterator[Executor | None]:
    """Fresh processes, not forked ones: a fork would inherit the threads of a kernel that has run."""
    if processes <= 1:
        yield None
        return
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as executor:
        yield executor


def named(expression: Expr, op: Op) -> Expr:
    """The expression over the spec's own symbols, whatever a derivation assumed of their signs."""
    known = {a.name for a in op.arguments}
    return expression.xreplace({s: op.symbol(s.name) for s in expression.free_symbols if s.name in known})


def knowledge_of(derivation: Derivation) -> dict[str, Knowledge]:
    """Cuts and proved forms of a derivation's variants, by suffix."""
    found = {}
    for one in derivation.variants:
        ends = [e for o in one.outputs for r in o.regions for s in r.segments for e in (s.lower, s.upper)]
        value = next((o for o in one.outputs if o.name == "value"), None)
        form = None if value is None else named(value.recognized, derivation.op)
        along = (o for o in one.outputs if o.name in ORDERS and o.difference is None)
        sides = tuple(s for o in along for s in sides_of(o, derivation.op.symbol))
        found[one.variant.suffix] = Knowledge(merge(map(float, ends)), form, sides)
    return found


def sides_of(output: Output, symbol: Callable[[str], Symbol]) -> Iterator[tuple[Expr, int, int]]:
    """The algebraic forms of an output; the magnitude that one for a single side is written in becomes the input."""
    for segment in output.regions[0].segments if len(output.regions) == 1 else ():
        if isinstance(segment.body, Formula) and segment.body.source in IDENTITIES:
            side, x = segment.body.side, symbol(segment.body.variable)
            form = segment.body.expression.xreplace({MAGNITUDE: side * x}) if side else segment.body.expression
            yield form.xreplace({s: symbol(s.name) for s in form.free_symbols}), output.order, side
