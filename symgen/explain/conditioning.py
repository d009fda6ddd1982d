"""Where the problem itself is ill-conditioned: how much a relative error of the input is multiplied in the result.

No code can help there: two inputs that round to the same float have results that far apart. The condition number is
``|x f'(x) / f(x)|``; it is large near roots, in tails, before overflow, and for large arguments of a sine.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from sympy import Expr, Symbol

from symgen.oracle import Oracle, OracleError
from symgen.stabilize.probe import Floats, Probe

Indices = npt.NDArray[np.int64]

ILL = 100.0  # two decimal digits
MOST_POINTS = 400
OSCILLATION = 4  # changes of sign within one stretch
APART = 4  # points between two stretches that are told as one
MOST_ROOTS = 12
NEAR_A_ROOT = 33  # points between two of opposite signs, a few percent apart


@dataclass(frozen=True)
class Stretch:
    """Neighbouring inputs whose condition number is above `ILL`.

    Attributes:
        kind: "root", "oscillation", "decay" (towards zero), "growth" (towards infinity) or "change".
        lower, upper: the first and the last point.
        worst: the largest condition number seen, at the input ``at``; infinite at a root.
        setting: the values of free arguments.
    """

    kind: str
    lower: float
    upper: float
    worst: float
    at: float
    setting: Mapping[str, float]


def stretches(expression: Expr, x: Symbol | None, probe: Probe) -> tuple[Stretch, ...]:
    """Where an output is ill-conditioned in its first operand, at the default setting of everything else.

    Args:
        expression: the output in the vocabulary; it is evaluated in ball arithmetic.
        x: the operand; None where the output does not depend on it.
        probe: the points, of which an even selection is looked at.
    """
    points = _selection(probe)
    if x is None or not points.size:
        return ()
    setting = probe.settings[0]
    try:
        value, slope = Oracle(expression, x, 1).truth(points, setting, orders=(0, 1))
    except OracleError:
        return ()
    with np.errstate(all="ignore"):
        number = np.abs(points * (slope.high / value.high))
    number = np.where(np.isfinite(number) & np.isfinite(value.high) & (value.high != 0), number, 0.0)
    ill = np.flatnonzero(number > ILL)
    runs = np.split(ill, np.flatnonzero(np.diff(ill) > APART) + 1) if ill.size else []
    return tuple(_stretch(points, value.high, number, run, setting) for run in runs)


def _selection(probe: Probe) -> Floats:
    """An even selection, and more points wherever the sign changes: near a root the stretch is narrow."""
    known = np.isfinite(probe.x) & (probe.x != 0) & np.isfinite(probe.high[0])
    step = max(-(-int(known.sum()) // MOST_POINTS), 1)
    x, value = probe.x[known][::step], probe.high[0][known][::step]
    (change,) = np.nonzero(np.sign(value[:-1]) * np.sign(value[1:]) < 0)
    near = [np.linspace(x[i], x[i + 1], NEAR_A_ROOT) for i in change[:MOST_ROOTS]]
    points: Floats = np.unique(np.concatenate([x, *near]))
    return points[np.flatnonzero(points)]


def _stretch(points: Floats, value: Floats, number: Floats, run: Indices, setting: Mapping[str, float]) -> Stretch:
    first, last = int(run[0]), int(run[-1])
    at = first + int(np.argmax(number[first : last + 1]))
    signs = np.sign(value[first : last + 1])
    (changes,) = np.nonzero(signs[:-1] * signs[1:] < 0)
    outward = np.abs(value[first : last + 1])
    if points[last] < 0:
        outward = outward[::-1]  # seen from zero
    ends = float(points[first]), float(points[last])
    if 0 < changes.size < OSCILLATION:
        root = first + int(changes[0])
        return Stretch("root", *ends, math.inf, float(points[root] / 2 + points[root + 1] / 2), setting)
    if changes.size:
        kind = "oscillation"
    elif outward[-1] < outward[0]:
        kind = "decay"
    else:
        kind = "growth" if outward[-1] > outward[0] else "change"
    return Stretch(kind, *ends, float(number[at]), float(points[at]), setting)
