"""The plot on a card: which window shows a function's shape, and its curves, cut where they jump, as coordinates.

The values come from the generated kernel, so a plot is a test that people can see. Curves of very different heights
are drawn to one scale by a power-of-ten-like factor that the legend states.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from symgen.backends.latex_facts import Joint
from symgen.backends.latex_samples import Array, Samples

_POINTS = 121
_HALF_WIDTH = 4.0
_SAME_SCALE = 12.0
_NEIGHBOURS = 3
_LABELS = ("f", "f'", "f''")


@dataclass(frozen=True)
class Curve:
    """One curve: its legend, its pieces as lists of coordinates, and the dots that show the value at a jump."""

    label: str
    pieces: tuple[str, ...]
    dots: tuple[str, ...]


@dataclass(frozen=True)
class Plot:
    """What pgfplots draws: the window and the curves f, f' and f''."""

    left: str
    right: str
    bottom: str
    top: str
    curves: tuple[Curve, ...]


def plot(samples: Samples, joints: Sequence[Joint], domain: tuple[float, float]) -> Plot:
    """The curves of f, f' and f'' over a window that shows what the function does.

    Args:
        samples: f, f' and f'' of the generated kernel at float64 points.
        joints: Where curves may jump; they are cut there.
        domain: Open interval outside which nothing is drawn.
    """
    left, right = window(samples, joints, domain)
    edges = [left, *(j.at for j in joints if left < j.at < right), right]
    inside = [_grid(a, b, right - left) for a, b in pairwise(edges)]
    values = [[np.asarray(v, dtype=np.float64) for v in samples(x)] for x in inside]
    factors = _factors(values)
    bottom, top = _heights(values, factors)
    dots = [j.at for j in joints if left < j.at < right]
    at_joints = [np.asarray(v, dtype=np.float64) for v in samples(np.array(dots))] if dots else []
    curves = []
    for k, factor in enumerate(factors):
        pieces = tuple(
            c for x, v in zip(inside, values, strict=True) for c in _coordinates(x, v[k] * factor, bottom, top)
        )
        marks = tuple(
            f"({_short(at)},{_short(at_joints[k][i] * factor)})"
            for i, at in enumerate(dots)
            if _jumps(values[i][k], values[i + 1][k], factor, top - bottom)
        )
        curves.append(Curve(_legend(_LABELS[k], factor), pieces, marks))
    return Plot(_short(left), _short(right), _short(bottom), _short(top), tuple(curves))


def family(x: Array, curves: Mapping[str, Array]) -> Plot:
    """Curves over one window and to one scale.

    Args:
        x: the points, increasing.
        curves: values at the points, by legend.
    """
    values = {label: np.asarray(y, dtype=np.float64) for label, y in curves.items()}
    bottom, top = _heights([list(values.values())], tuple(1.0 for _ in values))
    drawn = (Curve(label, tuple(_coordinates(x, y, bottom, top)), ()) for label, y in values.items())
    return Plot(_short(x[0]), _short(x[-1]), _short(bottom), _short(top), tuple(drawn))


def window(samples: Samples, joints: Sequence[Joint], domain: tuple[float, float]) -> tuple[float, float]:
    """An interval around zero (or at the domain's end) in which the function bends, and every joint well inside."""
    half = _HALF_WIDTH
    while half > 1e-3 and _turns(samples, half, domain) > 5:
        half /= 2
    while half < 1e3 and _bends_outside(samples, half, domain):
        half *= 2
    left, right = -half, half
    for j in joints:
        left, right = min(left, j.at - half / 2), max(right, j.at + half / 2)
    if domain[0] >= 0:
        left, right = domain[0], max(right, domain[0] + half)
    return max(left, domain[0]), min(right, domain[1])


def _slopes(samples: Samples, half: float, domain: tuple[float, float]) -> Array:
    x = np.linspace(max(-half, domain[0]), min(half, domain[1]), 2003)[1:-1]
    f1: Array = np.asarray(samples(x)[1], dtype=np.float64)
    return f1[np.isfinite(f1)]


def _turns(samples: Samples, half: float, domain: tuple[float, float]) -> int:
    signs = np.sign(_slopes(samples, half, domain))
    signs = signs[signs != 0]
    return int(np.count_nonzero(signs[1:] != signs[:-1]))


def _bends_outside(samples: Samples, half: float, domain: tuple[float, float]) -> bool:
    """Whether the slope changes mostly beyond the window: then it shows little but a straight line."""
    near, far, farther = (_slopes(samples, m * half, domain) for m in (1, 64, 256))
    if not near.size or not far.size or not farther.size:
        return False
    # a slope that grows for ever has no window that shows it all
    return 4 * float(np.ptp(near)) < float(np.ptp(far)) > 0.8 * float(np.ptp(farther))


def _grid(a: float, b: float, span: float) -> Array:
    """Points from a to b, the ends a hair inside, so that a jump belongs to neither side."""
    hair = span * 1e-9
    count = max(2, round(_POINTS * (b - a) / span) + 1)
    return np.linspace(a + hair, b - hair, count)


def _size(values: list[list[Array]], k: int) -> float:
    everything = np.concatenate([np.abs(v[k][np.isfinite(v[k])]) for v in values])
    return float(np.quantile(everything, 0.97)) if everything.size else 0.0


def _factors(values: list[list[Array]]) -> tuple[float, ...]:
    """By what f, f' and f'' are multiplied so that they can share an axis: 1 unless their heights differ greatly."""
    f = _size(values, 0)
    out = [1.0]
    for k in (1, 2):
        size = _size(values, k)
        ratio = f / size if size > 0 and f > 0 else 1.0
        out.append(1.0 if 1 / _SAME_SCALE < ratio < _SAME_SCALE else _round(ratio))
    return tuple(out)


def _round(ratio: float) -> float:
    """A ratio rounded to 1, 2 or 5 times a power of ten."""
    power = 10.0 ** np.floor(np.log10(ratio))
    return float(power * min((1, 2, 5, 10), key=lambda m: abs(np.log(ratio / power / m))))


def _heights(values: list[list[Array]], factors: tuple[float, ...]) -> tuple[float, float]:
    everything = []
    for k, factor in enumerate(factors):
        v = np.concatenate([piece[k] for piece in values]) * factor
        v = v[np.isfinite(v)]
        if v.size:
            everything += [np.quantile(v, 0.02), np.quantile(v, 0.98)]
    low, high = min(everything), max(everything)
    if high - low < 1e-12:
        low, high = low - 1, high + 1
    margin = 0.08 * (high - low)
    return float(low - margin), float(high + margin)


def _jumps(before: Array, after: Array, factor: float, height: float) -> bool:
    gap = abs(after[0] - before[-1]) * factor
    return bool(gap > 0.01 * height)


def _coordinates(x: Array, y: npt.NDArray[np.float64], bottom: float, top: float) -> list[str]:
    """Runs of points that lie near the window, without those in the midst of a straight stretch.

    TeX's arithmetic has no infinities, and clips slowly.
    """
    room = top - bottom
    near = np.isfinite(y) & (y > bottom - room) & (y < top + room)
    runs: list[list[str]] = [[]]
    for i in range(x.size):
        if not near[i]:
            runs.append([])
        elif not _is_straight(y[max(i - 1, 0) : i + 2], room):
            runs[-1].append(f"({_short(x[i])},{_short(y[i])})")
    return ["".join(r) for r in runs if len(r) > 1]


def _is_straight(y: npt.NDArray[np.float64], room: float) -> bool:
    """Whether the middle one of three evenly spaced values lies on the line of the others."""
    return y.size == _NEIGHBOURS and bool(abs(y[0] - 2 * y[1] + y[2]) < 1e-7 * room)


def _short(value: float) -> str:
    text = f"{value:.5g}"
    return "0" if text == "-0" else text


def _legend(name: str, factor: float) -> str:
    if factor == 1:
        return f"${name}$"
    if factor < 1:
        return f"${name}/{_short(1 / factor)}$"
    return rf"${_short(factor)}\,{name}$"
