"""Where candidates are measured: points over the whole range with the truth at each, and the error of a result there.

Points are float32 values where float32 reaches (they serve both targets) and float64 values beyond. Tails and roots
are where errors live: the points are spaced by octaves over the whole exponent range, densely where functions bend,
and roots are found and surrounded by their neighbours.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, cached_property, lru_cache
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import sympy as sp
from flint import arb
from sympy import Expr, Symbol

from symgen.heads import Cases
from symgen.kernel import Node
from symgen.kinks import decided, switches, unfold
from symgen.oracle import Oracle, Truth, working_precision
from symgen.stabilize.form import Segment

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]

DENSE = (-12, 11)  # octaves in which functions of the catalogue's kind bend
PER_OCTAVE = 20
SPARSE = 0.71  # octaves from one point to the next outside
PRECISE = (-110, 55)  # octaves in which float64 loses one term beside another, or the square of it
APART = 12  # points on each side of a root of even order at which the function is well away from zero
LARGEST = (float(np.finfo(np.float32).max), 2.0**1023 * 1.5, float(np.finfo(np.float64).max))  # doubled, they overflow
EXACTLY = 160  # bits that tell which float64 is the nearest
TOUCHING = 2.0**-36  # of the values there
MOST_CASES = 128  # of a condition: cases within cases multiply
MOST_ROOTS = 12  # an oscillating function has more than anybody can treat one by one


@dataclass(frozen=True)
class Target:
    """What a core is for.

    `limits` are errors, in ULP of the dtype and for single precision before rounding, that a candidate should keep:
    the first one if that does not cost much. `bar` is the error beyond which a stretch is reported as unresolved.
    `window` is how many neighbours of a point must be good too, on each side: where the error is a few roundings, it is
    as noisy as they are.
    """

    name: str
    limits: tuple[float, ...]
    bar: float
    bits: float  # relative error of a fitted piece, as a power of two
    digits: int
    least: int  # exponent of the smallest normal number
    largest: float
    window: int
    computes: type = np.float64  # what the graph's operations are done in

    @property
    def single(self) -> bool:
        """Whether its arguments are float32 values, so that other points do not count."""
        return self.digits == 24


TARGETS = (
    Target("f32", (0.004,), 0.01, 33.0, 24, -126, float(np.finfo(np.float32).max), 2),
    Target("f64", (1.0, 1.6, 2.0), 2.0, 55.0, 53, -1022, float(np.finfo(np.float64).max), 10),
)

# float32 arithmetic on a GPU: the bar is 4 ULP. Candidates are measured with correctly rounded primitives, which a GPU
# has not: hence the margin. See docs/adr/0021-float32-on-gpus.md.
DEVICE = Target("cuda32", (2.2,), 2.8, 25.0, 24, -126, float(np.finfo(np.float32).max), 4, np.float32)


def powers(exponents: Floats) -> Floats:
    """Powers of two, correctly rounded: NumPy's differ in the last bit from processor to processor, and cuts stand at
    these points.

    Example:
        >>> powers(np.array([-1.0, 0.5])).tolist()
        [0.5, 1.4142135623730951]
    """
    with working_precision(EXACTLY):
        return np.array([float(arb(2) ** arb(e)) for e in exponents.tolist()])


@cache
def magnitudes() -> Floats:
    """Positive probe points, ascending, from the smallest subnormal to the largest float64."""
    single = np.concatenate(
        [
            powers(np.arange(-149.0, DENSE[0], SPARSE)),
            powers(np.arange(float(DENSE[0]), float(DENSE[1]), 1 / PER_OCTAVE)),
            powers(np.arange(float(DENSE[1]), 127.9, SPARSE)),
        ]
    )
    single = single.astype(np.float32).astype(np.float64)
    # float64 points need all their bits: the square of a float32 value is exact, and would hide what a square loses
    double = np.concatenate(
        [
            powers(np.arange(-1074.0, -149.0, 13.7)),
            powers(np.arange(-148.6, PRECISE[0], 2.9)),
            powers(np.arange(PRECISE[0], DENSE[0], SPARSE)),
            powers(np.arange(DENSE[0] + 0.013, float(DENSE[1]), 1 / PER_OCTAVE)),
            powers(np.arange(DENSE[1] + 0.3, PRECISE[1], SPARSE)),
            powers(np.arange(PRECISE[1] + 0.3, 128.0, 2.9)),
            powers(np.arange(128.5, 1023.99, 13.7)),
        ]
    )
    return np.unique(np.concatenate([single, double, LARGEST]))


def grid(low: float, high: float, thin: int = 1) -> Floats:
    """Probe points of both signs and zero inside [low, high], with the infinities where they are."""
    m = np.union1d(magnitudes()[::thin], LARGEST)
    points = np.concatenate([-m[::-1], [0.0], m])
    points = points[(points >= low) & (points <= high)]
    ends = [e for e in (low, high) if np.isinf(e)]
    return np.unique(np.concatenate([points, ends]))


def cells(x: Floats) -> Floats:
    """Where points lie, in steps of the grid: lengths that do not change where more points are measured."""
    with np.errstate(divide="ignore"):
        octave = np.clip([math.log2(v) if v else -math.inf for v in np.abs(x).tolist()], -1080.0, 1024.0)
    knots, steps = (-1080.0, -149.0, *map(float, DENSE), 128.0, 1024.0), (13.7, SPARSE, 1 / PER_OCTAVE, SPARSE, 13.7)
    ends = np.cumsum([0.0, *((b - a) / step for (a, b), step in zip(pairwise(knots), steps, strict=True))])
    return np.asarray(np.sign(x) * np.interp(octave, knots, ends))


def kinks(expression: Expr, x: Symbol) -> list[float]:
    """Where a formula changes its case at a number: the roots of its linear switches."""
    found = set()
    for switch in switches(expression):
        slope = switch.diff(x) if switch.free_symbols == {x} and switch.is_polynomial(x) else None
        if slope is not None and slope.is_Rational and slope != 0:
            found.add(float(-switch.subs(x, 0) / slope))
    return sorted(found)


def nested_kinks(expression: Expr, x: Symbol) -> list[float]:
    """The same where cases lie within cases or lines are curves: roots of all switches that are polynomials by cases.

    Example:
        >>> from sympy import Abs
        >>> x = Symbol("x", real=True)
        >>> nested_kinks(Abs(Abs(x) - 2), x)
        [-2.0, 0.0, 2.0]
    """
    found = set()
    for switch in switches(expression):
        for case in dict.fromkeys(itertools.islice(_cases(switch), MOST_CASES)) if switch.free_symbols == {x} else ():
            if case.is_polynomial(x) and case.has(x) and all(c.is_Rational for c in case.as_poly(x).all_coeffs()):
                found |= {r for r in sp.real_roots(case) if decided(switch.xreplace({x: r})).is_zero}
    return sorted(map(float, found))


def _cases(e: Expr) -> Iterator[Expr]:
    """A piecewise formula in each combination of its cases, whether or not it ever occurs."""
    e = unfold(e)
    if isinstance(e, Cases):
        yield from _cases(e.then)
        yield from _cases(e.otherwise)
    elif not e.args:
        yield e
    else:
        yield from (e.func(*parts) for parts in _products(e.args))


def _products(parts: Sequence[Expr]) -> Iterator[tuple[Expr, ...]]:
    """All combinations of the cases of several formulas, made one by one: there may be very many."""
    if not parts:
        yield ()
    else:
        for one in _cases(parts[0]):
            yield from ((one, *others) for others in _products(parts[1:]))


def neighbours(root: float, thin: int = 1) -> Floats:
    """Floats around a root or another number: float64 and float32 ones, near and less near; none for an infinity."""
    if not np.isfinite(root):
        return np.empty(0)
    steps = np.array([1, 2, 3, 7, 20, 60, 200, 1000, 10**4, 10**6, 10**8, 10**10, 10**12], dtype=np.float64)[::thin]
    steps = np.concatenate([-steps[::-1], [0.0], steps])
    double = root + steps * np.spacing(abs(root))
    if abs(root) > float(np.finfo(np.float32).max):
        return np.unique(double)
    near = np.float32(root)
    away = np.ldexp(1.0, np.arange(0, 14, thin))
    small = np.concatenate([-away[::-1], [0.0], away])
    single = (np.float64(near) + small * np.float64(np.spacing(np.abs(near)))).astype(np.float32).astype(np.float64)
    return np.unique(np.concatenate([double, single]))


@dataclass(frozen=True)
class Probe:
    """Points x, ascending, and the truth for each setting of the parameters (one row each)."""

    x: Floats
    settings: tuple[Mapping[str, float], ...]
    high: Floats  # (settings, points); NaN where the truth is undefined or unknown
    low: Floats
    # what nodes came to at these points, in each dtype: candidates share most of their subexpressions
    memory: dict[type, dict[Node, Any]] = field(default_factory=dict, compare=False, repr=False)
    _units: dict[Target, tuple[Floats, Flags]] = field(default_factory=dict, init=False, compare=False, repr=False)

    def units(self, target: Target) -> tuple[Floats, Flags]:
        """One ULP of the target at each truth, and where the truth is beyond all numbers of the target."""
        if target not in self._units:
            with np.errstate(all="ignore"):
                size = np.where(np.isfinite(self.high), np.abs(self.high), 0.0)
                exponent = np.where(size > 0, np.maximum(np.frexp(size)[1] - 1, target.least), target.least)
                ulp = np.ldexp(1.0, np.maximum(exponent - (target.digits - 1), -1074))
                self._units[target] = ulp, (np.abs(self.high) > target.largest) & ~np.isnan(self.high)
        return self._units[target]

    def only(self, rows: Sequence[int]) -> Probe:
        """The same at some of the settings."""
        chosen = list(rows)
        return Probe(self.x, tuple(self.settings[k] for k in chosen), self.high[chosen], self.low[chosen])

    def first(self, count: int) -> Probe:
        """The same at the first of the settings; all of them if there are not as many."""
        return self.only(range(len(self.settings))[:count])

    @cached_property
    def single(self) -> Flags:
        """Which points are float32 values."""
        with np.errstate(over="ignore"):
            return np.asarray(self.x.astype(np.float32).astype(np.float64) == self.x)

    @cached_property
    def singles(self) -> Probe:
        """The same at the points that are float32 values alone."""
        return Probe(self.x[self.single], self.settings, self.high[:, self.single], self.low[:, self.single])


def measure(oracle: Oracle, order: int, x: Floats, settings: tuple[Mapping[str, float], ...]) -> Probe:
    """The truth at the points; at the infinities it is the limit, where there is one."""
    finite = np.isfinite(x)
    truths = [oracle.truth(x[finite], parameters, orders=(order,))[0] for parameters in settings]
    return _probe(oracle, order, x, settings, truths)


def _probe(
    oracle: Oracle, order: int, x: Floats, settings: tuple[Mapping[str, float], ...], truths: Sequence[Truth]
) -> Probe:
    """A probe from the truth at its finite points, for each setting."""
    finite = np.isfinite(x)
    high = np.full((len(settings), x.size), np.nan)
    low = np.zeros_like(high)
    for row, (parameters, truth) in enumerate(zip(settings, truths, strict=True)):
        high[row, finite] = np.where(truth.unknown, np.nan, truth.high)
        low[row, finite] = truth.low
        for i in np.flatnonzero(~finite):
            # zero times infinity has no value: with a parameter or another factor at zero IEEE's NaN stands
            told = all(parameters.values()) and not vanishes(oracle.expression, parameters)
            limit = _limit(oracle, 1 if x[i] > 0 else -1, order, tuple(parameters.items())) if told else None
            high[row, i] = np.nan if limit is None else limit
    return Probe(x, settings, high, low)


@lru_cache(maxsize=256)
def _limit(oracle: Oracle, sign: int, order: int, setting: tuple[tuple[str, float], ...]) -> float | None:
    return oracle.limit(sign, order, dict(setting))


def vanishes(expression: Expr, parameters: Mapping[str, float]) -> bool:
    """Whether some product in a formula has a factor made of parameters that is zero at these."""
    given = {s: parameters[s.name] for s in expression.free_symbols if s.name in parameters}
    factors = {f for product in expression.atoms(sp.Mul) for f in product.args if f.is_Add}
    return any(f.free_symbols <= set(given) and f.xreplace(given) == 0 for f in factors)


def together(oracle: Oracle, order: int, x: Floats, settings: tuple[Mapping[str, float], ...]) -> Probe:
    """As `measure`, where other orders are asked for at the same points: all cost little more than one."""
    points = x[np.isfinite(x)].tobytes()
    truths = [_all_orders(oracle, points, tuple(setting.items()))[order] for setting in settings]
    return _probe(oracle, order, x, settings, truths)


@lru_cache(maxsize=256)  # of one function at a time: float64 and float32 operands share most of their settings
def _all_orders(oracle: Oracle, points: bytes, setting: tuple[tuple[str, float], ...]) -> tuple[Truth, ...]:
    return oracle.truth(np.frombuffer(points), dict(setting), orders=tuple(range(oracle.order + 1)))


def scaled(settings: Sequence[Mapping[str, float]], thin: int) -> Floats:
    """Points at which extreme parameters move what a function does near one: around p, 1/p and their roots."""
    bend = powers(np.arange(float(DENSE[0]), float(DENSE[1]), thin / PER_OCTAVE))
    values = {abs(v) for s in settings for v in s.values() if v and not 0.05 < abs(v) < 20}
    factors = {f for v in values for f in (v, 1 / v, v**0.5, v**-0.5)}
    points = [bend * f for f in sorted(factors)]
    if not points:
        return np.empty(0)
    double = np.concatenate(points)
    with np.errstate(over="ignore"):
        double = np.concatenate([double, double[::3].astype(np.float32).astype(np.float64)])
    double = double[np.isfinite(double)]
    return np.unique(np.concatenate([-double, double]))


def between(segments: Sequence[Segment], x: Floats, count: int = 5) -> Floats:
    """Points between the probe points next to each cut, where two bodies meet and nothing has been measured yet."""
    found: list[Floats] = []
    for cut in (s.lower for s in segments[1:]):
        i = int(np.searchsorted(x, cut))
        for a, b in zip(x[max(i - 2, 0) : i + 2], x[max(i - 1, 0) : i + 3], strict=False):
            if np.isfinite(a) and np.isfinite(b) and b > np.nextafter(a, b):
                found.append(_spaced(float(a), float(b), count))
    return np.unique(np.concatenate(found)) if found else np.empty(0)


def around(x: Floats, at: npt.NDArray[np.int64]) -> Floats:
    """The points at these positions and further ones between them and their neighbours."""
    found = [x[at]]
    for i in at.tolist():
        for a, b in ((i - 1, i), (i, i + 1)):
            if a >= 0 and b < x.size and np.isfinite(x[[a, b]]).all() and x[b] > np.nextafter(x[a], x[b]):
                found.append(_spaced(float(x[a]), float(x[b]), 4))
    return np.unique(np.concatenate(found))


def _spaced(a: float, b: float, count: int) -> Floats:
    """Points inside (a, b), by ratio where the signs agree, the odd ones float32 values."""
    steps = np.arange(1, count + 1) / (count + 1)
    if a * b > 0:
        points = np.sign(a) * np.array([abs(a) ** (1 - s) * abs(b) ** s for s in steps.tolist()])
    else:
        points = a + steps * (b - a)
    with np.errstate(over="ignore"):
        single = points.astype(np.float32).astype(np.float64)
    points = np.concatenate([points, single[1::2]])
    return points[(points > a) & (points < b)]


def roots(probe: Probe) -> list[float]:
    """Points next to which the truth changes its sign or touches zero (first setting), the nearest to zero if many."""
    value = probe.high[0]
    known = np.flatnonzero(np.isfinite(value) & (value != 0) & np.isfinite(probe.x))
    left, right = known[:-1], known[1:]
    change = value[left] * np.sign(value[right]) < 0
    ends = zip(probe.x[left[change]].tolist(), probe.x[right[change]].tolist(), strict=True)
    found = [0.0 if a < 0 < b else (a + b) / 2 for a, b in ends]
    return sorted(sorted({*found, *_touching(probe)}, key=abs)[:MOST_ROOTS])


def _touching(probe: Probe) -> list[float]:
    """Points at which the truth is zero, or next to nothing, between values of one sign: roots of even order."""
    value, n = probe.high[0], probe.x.size
    size = np.abs(value)
    inner = np.flatnonzero(np.isfinite(size) & (probe.x != 0))
    inner = inner[(inner >= APART) & (inner < n - APART)]
    aside = np.minimum(size[inner - APART], size[inner + APART])
    beside = np.minimum(size[inner - 1], size[inner + 1])
    same = np.sign(value[inner - APART]) * np.sign(value[inner + APART]) > 0
    low = same & (size[inner] <= beside) & (beside > 0) & (size[inner] < TOUCHING * aside) & np.isfinite(aside)
    found: list[float] = []
    for i in inner[low].tolist():
        if not found or i - found[-1] > APART:
            found.append(i)
    return [float(probe.x[int(i)]) for i in found]


def merged(*probes: Probe) -> Probe:
    """The points and settings of all probes; the truth is known where one of them knows it."""
    x = np.unique(np.concatenate([p.x for p in probes]))
    settings = {_key(s): s for p in probes for s in p.settings}
    rows = {key: row for row, key in enumerate(settings)}
    high, low = np.full((len(rows), x.size), np.nan), np.zeros((len(rows), x.size))
    for p in probes:
        columns = np.searchsorted(x, p.x)
        for setting, above, below in zip(p.settings, p.high, p.low, strict=True):
            known, row = ~np.isnan(above), rows[_key(setting)]
            high[row, columns[known]], low[row, columns[known]] = above[known], below[known]
    return Probe(x, tuple(settings.values()), high, low)


def _key(setting: Mapping[str, float]) -> tuple[tuple[str, float], ...]:
    return tuple(sorted(setting.items()))


def error(got: Floats, probe: Probe, target: Target) -> Floats:
    """The error of results (settings, points) in ULP of the target; NaN where the truth is not known."""
    ulp, beyond = probe.units(target)
    with np.errstate(all="ignore"):
        gap = np.abs((got - probe.high) - probe.low) / ulp
        if beyond.any():
            same = (np.abs(got) >= target.largest) & (np.sign(got) == np.sign(probe.high))
            gap = np.where(beyond, np.where(same, 0.0, np.inf), gap)
        gap = np.where(np.isnan(gap), np.inf, gap)
        return np.where(np.isnan(probe.high), np.nan, gap)
