"""An output's way from the text to the stable form, with what each form comes to in floating point."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from sympy import Expr

from symgen.calculus import DerivativeError, derivative
from symgen.explain.findings import Finding, measured
from symgen.rules import ALL_RULES
from symgen.rules.engine import replace
from symgen.stabilize.candidates import traced
from symgen.stabilize.probe import Probe
from symgen.stabilize.recognize import recognize

if TYPE_CHECKING:
    from symgen.derivation import Output
    from symgen.rules import Step

Findings = Mapping[str, Finding]  # by dtype


@dataclass(frozen=True)
class Stage:
    """A form of an output on its way, and what it comes to in plain floating point.

    Attributes:
        title: a rule's name, or what was done.
        whole: the output in this form.
        error: of the form, by dtype.
        before, after: the part that a rule rewrote, and what it became; None where no rule did.
        gain: what the rule wins.
        proof: how it is proved.
        error_before: of the form before the rule.
    """

    title: str
    whole: Expr
    error: Findings
    before: Expr | None = None
    after: Expr | None = None
    gain: str = ""
    proof: str = ""
    error_before: Findings | None = None


def stages(output: Output, probe: Probe | None = None) -> Iterator[Stage]:
    """From the text to the stable form: of a derivative, first what differentiating the text itself would give.

    Args:
        output: the value or a derivative.
        probe: where its forms are measured, if not where the output was.
    """
    parameters = output.cores["f64"].parameters
    measure = partial(measured, parameters=parameters, probe=probe or output.probe)
    if output.order == 0:
        stage = Stage("as written", output.naive, measure(output.naive))
        yield stage
        yield from _replayed(stage, (*recognize(output.naive)[1], *traced(output.recognized)[1]), measure)
        return
    text = _differentiated(output)
    if text is not None and text != output.recognized:
        yield Stage("the text, differentiated", text, measure(text))
    stage = Stage("the recognised form, differentiated", output.recognized, measure(output.recognized))
    yield stage
    yield from _replayed(stage, traced(output.recognized)[1], measure)


def _differentiated(output: Output) -> Expr | None:
    expression = output.naive
    symbols = {s.name: s for s in expression.free_symbols}
    try:
        for _ in range(output.order):
            expression = derivative(expression, symbols[output.wrt or ""])
    except (DerivativeError, KeyError):
        return None
    return expression


def _replayed(stage: Stage, steps: tuple[Step, ...], measure: Callable[[Expr], Findings]) -> Iterator[Stage]:
    known = {rule.name: rule for rule in ALL_RULES}
    for step in steps:
        whole = replace(stage.whole, step.before, step.after)
        if str(step.before) == str(step.after) or whole == stage.whole:  # a head that only changes its class
            stage = Stage(stage.title, whole, stage.error)
            continue
        rule = known.get(step.rule)
        gain, proof = (rule.gain, rule.proof) if rule else ("", "")
        stage = Stage(step.rule, whole, measure(whole), step.before, step.after, gain, proof, stage.error)
        yield stage
