"""Every float32 input of a function of one argument: the sweep cut into parts, what they found kept, rows made of it.

A part is one output on 2^28 inputs of one sign. Parts are independent, so that two processes share them evenly, and
each one that is done is written to a file in the user's cache, so that an interrupted sweep goes on where it was.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from flint import arb
from sympy import Expr

from symgen import files, ulp
from symgen.build_keys import combine
from symgen.certificate import Certificate, Row
from symgen.certify_cases import OUTPUTS, Case
from symgen.certify_survey import Knowledge, call
from symgen.enclosure import ProofError
from symgen.oracle import Oracle, as_ball, working_precision
from symgen.oracle_balls import OracleError
from symgen.reference import LARGEST, Builder, NotCoveredError
from symgen.sweep import Call, Settle, Tally, TooManyError, measured, sweep
from symgen.truth import Floats, Truth

VERSION = 2  # of what a sweep measures; results of another version are not taken up again
STRIDE = 1 << 28  # inputs of a part
NEAR = 1000  # floats on each side of a root that count as its neighbourhood
FIRST_NAN = 0x7F800001
DECISIVE = 1100  # bits: the squares of the smallest floats beside the largest ones
NOTHING = Tally()


@dataclass(frozen=True)
class Part:
    """One output of one case on the magnitudes from one ordinal to another; sign 0 stands for zeros and NaN."""

    case: int
    output: str
    order: int
    sign: int
    first: int = 0
    last: int = 0

    @property
    def key(self) -> str:
        return f"{self.case} {self.output} {self.sign:+d} {self.first}-{self.last}"

    @property
    def inputs(self) -> int:
        return self.last - self.first + 1


@dataclass(frozen=True)
class Found:
    """What a part found away from roots and near them, or why it could not be done.

    Attributes:
        away: inputs outside the neighbourhoods of roots.
        near: inputs within one.
        nan: every NaN gives NaN.
        reason: why the part has no result; empty if it has one.
    """

    away: Tally = NOTHING
    near: Tally = NOTHING
    nan: bool = True
    reason: str = ""

    def __add__(self, other: Found) -> Found:
        return Found(
            self.away + other.away, self.near + other.near, self.nan and other.nan, self.reason or other.reason
        )


@dataclass(frozen=True)
class Subject:
    """A kernel with the cases that can be swept, and the proved forms of their formulas.

    Attributes:
        kernel: as `symgen.certify.certify` takes it.
        cases: of the function.
        known: by the suffix of the variant.
    """

    kernel: Any
    cases: tuple[Case, ...]
    known: Mapping[str, Knowledge] = field(default_factory=dict)

    def formulas(self, case: Case, order: int = 0, sign: int = 0) -> tuple[tuple[Expr, int], ...]:
        """The definition first, then forms proved equal to a derivative of it for inputs of a sign."""
        known = self.known.get(case.variant.suffix if case.variant else "", Knowledge())
        return tuple(dict.fromkeys(((case.expression, 0), *known.forms(order, sign))))


def swept(cases: Sequence[Case]) -> tuple[Case, ...]:
    """The cases of which every input is measured: one array, options at their main setting."""
    return tuple(c for c in cases if c.base and len(c.operands) <= 1 and c.outputs == OUTPUTS)


def parts(cases: Sequence[Case]) -> tuple[Part, ...]:
    """The work of a function, the slowest outputs first."""
    found = []
    for i, case in enumerate(cases):
        for output, order in reversed(case.outputs):
            for sign in (-1, 1):
                ranges = (_allowed(case, sign, a, min(a + STRIDE - 1, LARGEST)) for a in range(0, LARGEST, STRIDE))
                found += [Part(i, output, order, sign, first, last) for first, last in ranges if first <= last]
            found.append(Part(i, output, order, 0))
    return tuple(found)


def _allowed(case: Case, sign: int, first: int, last: int) -> tuple[int, int]:
    """The magnitudes of a range that the domain holds; zero is measured apart."""
    first = max(first, 1)
    for relation in case.limits:
        ends = [_inside(relation, sign, o) for o in (first, last)]
        if not any(ends):
            return first, first - 1
        if not all(ends):
            low, high = first, last
            while high - low > 1:
                middle = (low + high) // 2
                low, high = (middle, high) if _inside(relation, sign, middle) == ends[0] else (low, middle)
            first, last = (first, low) if ends[0] else (high, last)
    return first, last


def _inside(relation: tuple[str, Any], sign: int, ordinal: int) -> bool:
    return bool(ulp.inside(sign * ulp.from_ordinals([ordinal], "float32"), (relation,))[0])


# --- one part -------------------------------------------------------------------------------------------------------


def run(subject: Subject, part: Part) -> Found:
    """Sweep one part. What the reference does not cover is told as a reason, not raised."""
    try:
        return _zeros_and_nan(subject, part) if part.sign == 0 else _swept(subject, part)
    except (NotCoveredError, TooManyError, OracleError, ProofError) as reason:
        return Found(reason=str(reason))


def _swept(subject: Subject, part: Part) -> Found:
    case = subject.cases[part.case]
    kernel, settle = _kernel(subject, part), _settle(subject, part)
    formulas = subject.formulas(case, part.order, part.sign)
    builder = Builder(formulas, case.symbol, part.order, dict(case.parameters), part.sign)
    table = builder.table(part.first, part.last, NEAR)
    roots = table.roots() + ([0] if _root_at_zero(case, settle) else [])
    found = Found()
    for first, last, near in _split(part, roots):
        tally = sweep(kernel, table, first, last, settle)
        found += Found(near=tally) if near else Found(away=tally)
    return found


def _kernel(subject: Subject, part: Part) -> Call:
    return partial(call, subject.kernel, subject.cases[part.case], part.output, part.order)


def _settle(subject: Subject, part: Part) -> Settle:
    """The truth of a part's output, from the definition; a proved form of it where that is exhausted."""
    case = subject.cases[part.case]
    equal = next((form for form, done in subject.formulas(case)[1:] if not done), None)
    oracle = Oracle(case.expression, case.symbol, part.order, equal)
    return partial(decided, oracle, part.order, dict(case.parameters))


def decided(oracle: Oracle, order: int, parameters: Mapping[str, float], points: Floats) -> Truth:
    """The truth, so sharp that it tells on which side of a midpoint between two float32 it lies, or that it is one."""
    (truth,) = oracle.truth(points, parameters, (order,))
    with np.errstate(all="ignore"):
        steps = truth.high / ulp.ulp(truth.high, "float32")
        close = np.flatnonzero(np.abs(steps - np.trunc(steps)) == 0.5)
    residual = truth.residual.copy()
    for i in close.tolist():
        ball = oracle.ball(float(points[i]), order, parameters, DECISIVE)
        high = float(truth.high[i])
        with working_precision(2 * DECISIVE):
            rest = arb(0) if ball is None else (ball - high) / as_ball(math.ulp(high))
        residual[i] = 0.0 if rest.contains(0) else float(rest)
    return replace(truth, residual=residual)


def _zeros_and_nan(subject: Subject, part: Part) -> Found:
    case, kernel, settle = subject.cases[part.case], _kernel(subject, part), _settle(subject, part)
    zeros = np.array([0.0, -0.0], np.float32)
    found = Found()
    if ulp.inside(np.zeros(1), case.limits)[0]:
        tally = measured(kernel, zeros, settle)
        found = Found(near=tally) if _root_at_zero(case, settle) else Found(away=tally)
    nan = True
    for flip in (0, 0x80000000):
        bits = np.arange(FIRST_NAN, 0x80000000, dtype=np.uint32) | np.uint32(flip)
        nan = nan and all(bool(np.isnan(kernel(b.view(np.float32))).all()) for b in np.array_split(bits, 32))
    return found + Found(nan=nan)


def _root_at_zero(case: Case, settle: Settle) -> bool:
    return bool(ulp.inside(np.zeros(1), case.limits)[0]) and bool(settle(np.zeros(1)).high[0] == 0)


def _split(part: Part, roots: Iterable[int]) -> Iterator[tuple[int, int, bool]]:
    """The range in pieces that lie within the neighbourhood of a root, or wholly outside."""
    at = part.first
    for root in sorted(roots):
        first, last = max(root - NEAR, at), min(root + NEAR, part.last)
        if first > last:
            continue
        if at < first:
            yield at, first - 1, False
        yield first, last, True
        at = last + 1
    if at <= part.last:
        yield at, part.last, False


# --- what was found -------------------------------------------------------------------------------------------------


@dataclass
class State:
    """Results of the parts that are done, in a file that is written after each.

    Args:
        path: of the file.
        digest: of what was measured; results of anything else are dropped.
    """

    path: Path
    digest: str
    done: dict[str, Found] = field(default_factory=dict)

    @staticmethod
    def load(name: str, kernel: str, cases: Sequence[Case]) -> State:
        """The state of one function's sweep, empty if there is none for this kernel and these formulas."""
        described = [f"{case.expression} {case.settings} {case.limits}" for case in cases]
        digest = combine([str(VERSION), kernel, *described])
        state = State(folder() / f"{name}.json", digest)
        try:
            content = json.loads(files.read(state.path) or "{}")
        except json.JSONDecodeError:
            content = {}
        if content.get("digest") == digest:
            state.done = {key: _found(value) for key, value in content["parts"].items()}
        return state

    def put(self, part: Part, found: Found) -> None:
        self.done[part.key] = found
        content = {"digest": self.digest, "parts": {key: asdict(value) for key, value in self.done.items()}}
        files.write(self.path, json.dumps(content, indent=1) + "\n")


def folder() -> Path:
    """Where interrupted sweeps are kept: ``symgen/sweeps`` in the user's cache."""
    base = os.environ.get("XDG_CACHE_HOME") or os.environ.get("LOCALAPPDATA") or str(Path.home() / ".cache")
    return Path(base) / "symgen" / "sweeps"


def _found(content: Mapping[str, Any]) -> Found:
    tallies = {key: Tally(**content[key]) for key in ("away", "near")}
    return Found(**tallies, nan=content["nan"], reason=content["reason"])


def exhaust(certificate: Certificate, cases: Sequence[Case], done: Mapping[str, Found]) -> Certificate:
    """The certificate with the figures of a sweep in place of the samples that it makes superfluous.

    Args:
        certificate: of a function, with a row for each output.
        cases: those that were swept.
        done: results by the key of the part; an output counts once all its parts are there.
    """
    rows = {(row.output, row.dtype, row.settings): row for row in certificate.rows}
    notes = list(certificate.notes)
    for i, case in enumerate(cases):
        for output, _ in case.outputs:
            mine = [part.key for part in parts(cases) if part.case == i and part.output == output]
            if all(key in done for key in mine):
                total, key = sum((done[k] for k in mine), Found()), (output, "float32", case.settings)
                if total.reason:
                    notes.append(f"{rows[key].title} is a sample, not exhaustive: {total.reason}")
                else:
                    rows[key] = _with_figures(rows[key], total)
    return replace(certificate, rows=tuple(rows.values()), notes=tuple(dict.fromkeys(notes)))


def keep_exhaustive(new: Certificate, old: Certificate | None) -> Certificate:
    """A new certificate of the same kernel, with the sweeps that the old one holds."""
    if old is None or not new.kernel or old.kernel != new.kernel:
        return new
    kept = {(row.output, row.dtype, row.settings): row for row in old.rows if row.exhaustive}
    rows = tuple(kept.get((row.output, row.dtype, row.settings), row) for row in new.rows)
    return replace(new, rows=rows, notes=tuple(dict.fromkeys((*new.notes, *old.notes))))


def _with_figures(sample: Row, total: Found) -> Row:
    """A sampled row with the figures of the sweep; infinities and situations are those of the sample."""
    both, near = total.away + total.near, total.near
    return replace(
        sample,
        inputs=both.inputs,
        sampled=False,
        error=_figure(max(total.away.error, 0.0)),
        at=total.away.at if total.away.error > 0 else None,
        root_error=_figure(near.error) if near.inputs else None,
        root_at=near.at if near.error > 0 else None,
        misrounded=both.misrounded,
        nonfinite=both.nonfinite,
        nonfinite_at=both.nonfinite_at,
        zeros=both.zeros,
        zeros_at=both.zeros_at,
        unknown=0,
        nan=total.nan,
        bound=_figure(both.bound),
    )


def _figure(error: float) -> float:
    """Six digits, rounded up: a bound stays a bound."""
    digits = float(f"{error:.6g}")
    return digits if digits >= error else float(f"{error * (1 + 5e-6):.6g}")
