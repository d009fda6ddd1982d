"""Units in the last place: how errors are measured in each dtype, and which inputs are worth measuring."""

from __future__ import annotations

import importlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from symgen.truth import Floats, Truth

Ordinals = NDArray[np.int64]


class UnknownFormatError(ValueError):
    """A dtype that certificates do not cover, or whose package is not installed."""


@dataclass(frozen=True)
class Format:
    """A binary floating-point format.

    Attributes:
        name: as NumPy and ml_dtypes call it.
        precision: bits of the significand, the implied one included.
        least: exponent of the smallest normal number.
        most: exponent of the largest binade.
        bits: of storage.
    """

    name: str
    precision: int
    least: int
    most: int
    bits: int

    @cached_property
    def dtype(self) -> np.dtype[Any]:
        kind: Any = self.name
        if self.name == "bfloat16":
            try:
                kind = importlib.import_module("ml_dtypes").bfloat16
            except ImportError:
                raise UnknownFormatError("bfloat16 needs the package ml_dtypes: pip install ml_dtypes") from None
        found: np.dtype[Any] = np.dtype(kind)
        return found

    @property
    def tiny(self) -> float:
        """The smallest normal number."""
        return float(2.0**self.least)

    @property
    def max(self) -> float:
        return float((2 - 2.0 ** (1 - self.precision)) * 2.0**self.most)

    @property
    def smallest(self) -> float:
        """The smallest subnormal number, and the spacing of all subnormal ones."""
        return float(np.ldexp(1.0, self.least - self.precision + 1))

    @property
    def largest_ordinal(self) -> int:
        """The number of positive finite values."""
        return (((1 << (self.bits - self.precision)) - 1) << (self.precision - 1)) - 1


FORMATS: dict[str, Format] = {
    f.name: f
    for f in (
        Format("float64", 53, -1022, 1023, 64),
        Format("float32", 24, -126, 127, 32),
        Format("float16", 11, -14, 15, 16),
        Format("bfloat16", 8, -126, 127, 16),
    )
}


def format_of(dtype: Any) -> Format:
    """The format of a dtype, by dtype or by name.

    Raises:
        UnknownFormatError: there is none.
    """
    name = dtype if isinstance(dtype, str) else np.dtype(dtype).name
    if name not in FORMATS:
        raise UnknownFormatError(f"no ULP is defined for dtype {name}: known are {', '.join(FORMATS)}")
    return FORMATS[name]


# --- errors -----------------------------------------------------------------------------------------------------------


def ulp(values: Any, dtype: Any) -> Floats:
    """The unit in the last place of a format at given magnitudes.

    Args:
        values: float64 (n,), exact values of any magnitude.
        dtype: the format whose spacing is asked for.

    Returns:
        float64 (n,): 2^(floor(log2 |value|) - precision + 1), at least the spacing of the subnormal numbers, at most
        that of the largest binade.

    Example:
        >>> ulp([1.0, 1.5, 0.0], "float16")
        array([9.76562500e-04, 9.76562500e-04, 5.96046448e-08])
    """
    form = format_of(dtype)
    size = np.abs(np.asarray(values, np.float64))
    _, exponent = np.frexp(np.where(np.isfinite(size) & (size > 0), size, np.where(size > 0, form.max, 1.0)))
    binade = np.clip(np.where(size == 0, form.least, exponent - 1), form.least, form.most)
    spacing: Floats = np.ldexp(1.0, binade - form.precision + 1)
    return spacing


def error(got: Any, truth: Truth, dtype: Any) -> Floats:
    """Errors of computed values, in units in the last place of their dtype at the truth.

    Args:
        got: (n,) in the dtype, what a kernel returned.
        truth: of length n.
        dtype: the format of ``got``.

    Returns:
        float64 (n,): |got - truth| / ulp(truth), exact to about 2^-50. An infinity is right where the truth rounds to
        it, and otherwise counts as the power of two that follows the largest number. A NaN, or a finite value where
        the truth is beyond float64, is off by infinity. NaN where the truth is undefined or unknown.
    """
    form = format_of(dtype)
    values = np.asarray(got).astype(np.float64)
    unit = ulp(truth.high, dtype)
    with np.errstate(all="ignore"):
        overflow = np.isinf(values)
        steps = np.where(overflow, np.copysign(2.0**form.most / unit * 2, values), values / unit)  # divisions are exact
        result = np.abs(steps - truth.high / unit - truth.residual * (ulp(truth.high, "float64") / unit))
        beyond = np.isinf(truth.high)
    result = np.where(overflow & (rounded(truth, dtype) == values), 0.0, result)
    result = np.where(np.isnan(values) | (beyond & (truth.high != values)), np.inf, result)
    return np.where(np.isnan(truth.high), np.nan, result)


def rounded(truth: Truth, dtype: Any) -> Floats:
    """The truth rounded once to nearest even in a format, as float64 (n,).

    Values that float64 holds are rounded exactly, although the format is reached from the pair of high and residual.
    """
    form = format_of(dtype)
    if form.name == "float64":
        return truth.high
    unit = ulp(truth.high, dtype)
    with np.errstate(all="ignore"):
        steps = truth.high / unit
        nearest = np.rint(steps)
        tie = np.abs(steps - np.trunc(steps)) == 0.5
        away = np.where(truth.residual > 0, np.ceil(steps), np.floor(steps))
        nearest = np.where(tie & (truth.residual != 0), away, nearest)
        result = nearest * unit
    result = np.where(np.abs(result) > form.max, np.copysign(np.inf, result), result)
    return np.where(np.isfinite(truth.high), result, truth.high)


# --- inputs -----------------------------------------------------------------------------------------------------------


def from_ordinals(ordinals: Any, dtype: Any) -> Floats:
    """Values by position in the order of a format's numbers: 0 is zero, 1 the smallest positive, -1 its negative.

    Args:
        ordinals: int64 (n,), clipped to the finite numbers.
        dtype: the format.

    Returns:
        float64 (n,), each a number of the format.
    """
    form = format_of(dtype)
    wanted = np.clip(np.asarray(ordinals, np.int64), -form.largest_ordinal, form.largest_ordinal)
    size = np.abs(wanted).astype(f"uint{form.bits}").view(form.dtype).astype(np.float64)
    return np.where(wanted < 0, -size, size)


def to_ordinals(values: Any, dtype: Any) -> Ordinals:
    """Positions of values, rounded to the format, in the order of its numbers; the inverse of `from_ordinals`."""
    form = format_of(dtype)
    with np.errstate(all="ignore"):
        numbers = np.atleast_1d(np.asarray(values, np.float64)).astype(form.dtype)
    bits = numbers.view(f"uint{form.bits}").astype(np.uint64)
    size = (bits & np.uint64((1 << (form.bits - 1)) - 1)).astype(np.int64)
    return np.where(numbers.astype(np.float64) < 0, -size, size)


def log_spaced(count: int, dtype: Any, seed: int = 0) -> Floats:
    """Points of both signs over the whole range, subnormal numbers included, equally many in every binade.

    Args:
        count: how many, half of each sign.
        dtype: the format.
        seed: of the place that each point has in its stratum.

    Returns:
        float64 (about count,), sorted, numbers of the format, none of them zero.
    """
    form = format_of(dtype)
    half = min(max(count // 2, 1), form.largest_ordinal)
    edges = 1 + (np.arange(half + 1) * (form.largest_ordinal / half)).astype(np.int64)
    edges = np.minimum(edges, form.largest_ordinal + 1)
    within = np.random.default_rng(seed).random(half)
    inside = edges[:-1] + (within * (edges[1:] - edges[:-1])).astype(np.int64)
    ordinals = np.unique(np.concatenate([inside, [1, form.largest_ordinal]]))
    return from_ordinals(np.concatenate([-ordinals[::-1], ordinals]), dtype)


def neighbourhood(centres: Iterable[float], count: int, dtype: Any) -> Floats:
    """The numbers of a format within ``count`` steps of each centre, sorted, each once."""
    around = [to_ordinals(c, dtype) + np.arange(-count, count + 1) for c in centres if np.isfinite(c)]
    return from_ordinals(np.unique(np.concatenate(around)), dtype) if around else np.empty(0)


def specials(dtype: Any) -> Floats:
    """Zero, the ends of the subnormal and normal numbers, one and its neighbours, of both signs; no infinity or NaN."""
    form = format_of(dtype)
    positive = [form.smallest, form.tiny - form.smallest, form.tiny, 1.0, 1.0 + 2.0 ** (1 - form.precision), form.max]
    return np.array([-v for v in reversed(positive)] + [0.0] + positive)


def all_values(dtype: Any) -> Floats:
    """Every finite number of a 16-bit format, sorted, zero once."""
    form = format_of(dtype)
    if form.bits > 16:
        raise UnknownFormatError(f"{form.name} has too many values to list them")
    return from_ordinals(np.arange(-form.largest_ordinal, form.largest_ordinal + 1), dtype)


def inside(points: Floats, limits: Sequence[tuple[str, Any]]) -> NDArray[np.bool_]:
    """Which points a domain holds, stated as pairs such as ``(">", 0)``."""
    compare = {">": np.greater, ">=": np.greater_equal, "<": np.less, "<=": np.less_equal, "!=": np.not_equal}
    result = np.ones(points.shape, bool)
    for relation, bound in limits:
        result &= compare[relation](points, float(bound))
    return result
