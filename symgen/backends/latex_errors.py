"""Errors in print: what the text itself comes to in float64, what the rules made of it, and which bar is missed."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from symgen.backends import latex_names as names
from symgen.backends.latex_behaviour import left_side
from symgen.explain.findings import Finding, finding
from symgen.explain.stages import stages
from symgen.missed import Miss, misses, worst
from symgen.spec.model import Op
from symgen.stabilize.probe import TARGETS, Probe
from symgen.stabilize.regimes import evaluate

if TYPE_CHECKING:
    from symgen.derivation import Derivation, DerivedVariant

_DTYPE = "float64"
_FAILURES = {"lost": "lost", "overflow": r"$\infty$", "nan": "NaN"}
_DIGITS = 2  # of errors; the text of a card should not depend on the last bits of somebody's C library


@dataclass(frozen=True)
class Mark:
    """An error or a failure as TeX text, and TeX of the input where it is."""

    what: str
    at: str


@dataclass(frozen=True)
class Gain:
    """What the text comes to, what the rules made of it, and what runs, for one output."""

    left: str
    text: tuple[Mark, ...]
    rules: tuple[Mark, ...]
    runs: tuple[Mark, ...]


def gains(op: Op, derived: DerivedVariant) -> tuple[Gain, ...]:
    """The largest errors at the probe points in float64, with the options at their defaults.

    Only outputs are told of whose text misses the bar.
    """
    (target,) = (t for t in TARGETS if t.digits == 53)
    found = []
    for output in derived.outputs:
        probe = _first_setting(output.probe)
        first, *rest = stages(output, probe)
        error = first.error[_DTYPE]
        if error.failures or error.ulp > target.bar:
            last = rest[-1] if rest else first
            runs = finding(evaluate(output.cores[target.name], probe), probe, target)
            marks = (_marks(f) for f in (error, last.error[_DTYPE], runs))
            found.append(Gain(left_side(op, output), *marks))
    return tuple(found)


def remains(op: Op, derivation: Derivation) -> tuple[tuple[str, str, str], ...]:
    """Each output that misses a bar: its name, the dtype, and the worst of it in TeX."""
    outputs = {o.name: o for v in derivation.variants for o in v.outputs}
    return tuple((left_side(op, outputs[m.output]), m.dtype, _missed(op, m)) for m in worst(misses(derivation)))


def _missed(op: Op, miss: Miss) -> str:
    size = f"{names.float_number(miss.error, _DIGITS)}" if miss.error < float("inf") else r"\text{no digit is right}"
    variant = f", {names.code(miss.variant)}" if miss.variant else ""
    return rf"${size}$ ULP at ${_place(op, miss.at, dict(miss.setting))}${variant}; the bar is {miss.bar:g}"


def _first_setting(probe: Probe) -> Probe:
    return Probe(probe.x, probe.settings[:1], probe.high[:1], probe.low[:1])


def _marks(found: Finding) -> tuple[Mark, ...]:
    size = [] if math.isnan(found.ulp) else [Mark(f"${names.float_number(found.ulp, _DIGITS)}$", _at(found.at))]
    return (*size, *(Mark(_FAILURES[f.kind], _at(f.at)) for f in found.failures))


def _at(x: float) -> str:
    return names.float_number(x, 3)


def _place(op: Op, at: float, setting: Mapping[str, float]) -> str:
    shown = {op.operands[0].name: at, **setting}
    symbols = {name: names.symbol(name, dict(op.symbols)).tex for name in shown}
    return r",\;".join(f"{symbols[name]} = {names.float_number(value, 4)}" for name, value in shown.items())
