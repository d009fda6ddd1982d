"""How good code is on the probe points: where its results have nothing to do with the truth, and its largest error."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from sympy import Expr

from symgen.arithmetic import PLAIN, Pair
from symgen.kernel import ScalarFunction, var
from symgen.lowering import LoweringError, lower
from symgen.stabilize.probe import TARGETS, Flags, Floats, Probe, Target, error
from symgen.stabilize.regimes import evaluate

DTYPES = {"f32": "float32", "f64": "float64"}


@dataclass(frozen=True)
class Failure:
    """A result that has nothing to do with the truth: the input nearest to zero that has one, and how it fails.

    Attributes:
        kind: "lost" (zero for a normal number), "overflow" (an infinity for a number) or "nan".
        at: the input.
        setting: the values of free arguments with which it happens.
    """

    kind: str
    at: float
    setting: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Finding:
    """How good a computation is on a set of points, in one dtype.

    Attributes:
        ulp: the largest error in ULP of the dtype after rounding to it, where nothing failed; NaN where nothing was
            measured.
        at: the input where it is.
        setting: the values of free arguments there.
        failures: at most one of each kind.
    """

    ulp: float = math.nan
    at: float = math.nan
    setting: Mapping[str, float] = field(default_factory=dict)
    failures: tuple[Failure, ...] = ()


UNKNOWN = Finding()


def finding(got: Floats, probe: Probe, target: Target, where: Flags | None = None) -> Finding:
    """Measure results that were computed in float64 and are rounded once to the target's dtype.

    Args:
        got: (settings, points).
        probe: the truth at the same points.
        target: the dtype; for float32 only float32 inputs count.
        where: (points,) or (settings, points), which of them to look at; all if not said.
    """
    with np.errstate(all="ignore"):
        rounded = got.astype(np.float32).astype(np.float64) if target.name == "f32" else got
    each = error(rounded, probe, target)
    counted = ~np.isnan(each) if where is None else ~np.isnan(each) & where
    if target.name == "f32":
        counted &= probe.single
    size = np.abs(probe.high)
    failed = {
        "lost": counted & (rounded == 0) & (size >= 2.0**target.least),
        "overflow": counted & np.isinf(rounded) & (size <= target.largest),
        "nan": counted & np.isnan(rounded),
    }
    failures = tuple(_nearest(kind, flags, probe) for kind, flags in failed.items() if flags.any())
    counted &= ~np.logical_or.reduce(list(failed.values()))
    if not counted.any():
        return Finding(failures=failures)
    row, column = np.unravel_index(int(np.argmax(np.where(counted, each, -1.0))), each.shape)
    return Finding(float(each[row, column]), float(probe.x[column]), probe.settings[int(row)], failures)


def _nearest(kind: str, failed: Flags, probe: Probe) -> Failure:
    columns = np.flatnonzero(failed.any(axis=0))
    column = columns[int(np.argmin(np.abs(probe.x[columns])))]
    return Failure(kind, float(probe.x[column]), probe.settings[int(np.argmax(failed[:, column]))])


def plain(expression: Expr, parameters: Sequence[str]) -> ScalarFunction:
    """An expression as code of plain float64 operations, each rounded once.

    Raises:
        LoweringError: a node has no code.
    """
    bound = {s: Pair(var(s.name)) for s in expression.free_symbols}
    return ScalarFunction("plain", tuple(parameters), (lower(expression, bound, PLAIN).high,))


def measured(expression: Expr, parameters: Sequence[str], probe: Probe) -> dict[str, Finding]:
    """How good an expression is in plain float64, and rounded from there to float32, by dtype."""
    try:
        got = evaluate(plain(expression, parameters), probe)
    except LoweringError:
        return dict.fromkeys(DTYPES.values(), UNKNOWN)
    return {DTYPES[target.name]: finding(got, probe, target) for target in TARGETS}
