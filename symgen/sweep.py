"""Runs a kernel on every float32 of a range and compares each result with a proved reference, in fixed memory.

Inputs are taken in the order of their bits, so that the piece of the reference only ever advances and the comparison is
vector code. An error that lies nearer to half a ULP than the reference is proved leaves open which way to round; such
inputs are collected and the oracle settles them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from symgen import ulp
from symgen.reference import ABOVE, BELOW, CONSTANT, COUNT, EXACT, POLYNOMIAL, Table
from symgen.runtime.trig import fma
from symgen.truth import Truth

BLOCK = 1 << 18  # inputs at a time: their results and errors stay in the second-level cache
MOST_AMBIGUOUS = 200_000  # inputs of one range that are left to the oracle
LEAST, MOST = ulp.FORMATS["float32"].least, ulp.FORMATS["float32"].most
OVERFLOW = float(2.0**128 - 2.0**103)  # what rounds to infinity
SIGN_BIT = 0x80000000

Call = Callable[[NDArray[np.float32]], NDArray[Any]]
Settle = Callable[[NDArray[np.float64]], Truth]


class TooManyError(ValueError):
    """More results than the oracle can settle lie within the reference's bound of a midpoint."""


@dataclass(frozen=True)
class Tally:
    """What was found on some inputs.

    Attributes:
        inputs: how many have a truth.
        error: the largest error in ULP, the reference's bound included; -1 where there are no inputs.
        at: the input where it is.
        misrounded: results that are not the correctly rounded ones.
        nonfinite: NaN or infinity although the truth is in range; ``nonfinite_at`` the one nearest zero.
        zeros: zero although the truth is a normal number; ``zeros_at`` the one nearest zero.
        settled: how many inputs the oracle had to settle.
        bound: the largest bound of the reference, in ULP.
    """

    inputs: int = 0
    error: float = -1.0
    at: float | None = None
    misrounded: int = 0
    nonfinite: int = 0
    nonfinite_at: float | None = None
    zeros: int = 0
    zeros_at: float | None = None
    settled: int = 0
    bound: float = 0.0

    def __add__(self, other: Tally) -> Tally:
        larger = other if other.error > self.error else self
        return Tally(
            inputs=self.inputs + other.inputs,
            error=larger.error,
            at=larger.at,
            misrounded=self.misrounded + other.misrounded,
            nonfinite=self.nonfinite + other.nonfinite,
            nonfinite_at=_nearest(self.nonfinite_at, other.nonfinite_at),
            zeros=self.zeros + other.zeros,
            zeros_at=_nearest(self.zeros_at, other.zeros_at),
            settled=self.settled + other.settled,
            bound=max(self.bound, other.bound),
        )


def _nearest(a: float | None, b: float | None) -> float | None:
    return min((v for v in (a, b) if v is not None), key=abs, default=None)


def sweep(call: Call, table: Table, first: int, last: int, settle: Settle) -> Tally:
    """Compare a kernel with the reference at every float32 from one magnitude to another, both included.

    Args:
        call: the kernel: float32 (n,) to float32 (n,).
        table: a reference that covers the range.
        first: ordinal of the smallest magnitude.
        last: ordinal of the largest.
        settle: the truth at float64 (n,) points.

    Raises:
        TooManyError: the reference is not sharp enough for this function.
    """
    total, errors = Tally(), np.empty(BLOCK)
    ambiguous: list[NDArray[np.int64]] = []
    flip = 0 if table.sign > 0 else SIGN_BIT
    for start in range(first, last + 1, BLOCK):
        stop = min(start + BLOCK, last + 1)
        x = (np.arange(start, stop, dtype=np.uint32) | np.uint32(flip)).view(np.float32)
        got = np.asarray(call(x))
        low = int(np.searchsorted(table.last, start))
        for i in range(low, int(np.searchsorted(table.first, stop))):
            a, b = max(int(table.first[i]), start) - start, min(int(table.last[i]) + 1, stop) - start
            found, left = _compare(table, i, x[a:b], got[a:b], errors[: b - a], total.error)
            total = total + found
            if len(left):
                ambiguous.append(left + (start + a))
                if sum(map(len, ambiguous)) > MOST_AMBIGUOUS:
                    raise TooManyError(f"too many results near midpoints, as at {float(x[a + left[0]])!r}")
    return total + _settled(call, ambiguous, flip, settle) if ambiguous else total


def _compare(
    table: Table, i: int, x: NDArray[np.float32], got: NDArray[Any], errors: NDArray[np.float64], record: float
) -> tuple[Tally, NDArray[np.int64]]:
    """One piece; also the positions that only the oracle can settle. Errors up to a record need no place."""
    kind, bound = int(table.kind[i]), float(table.bound[i])
    coefficients = table.coefficients[i]
    if kind == CONSTANT:
        return _compare_constant(float(coefficients[0]), bound, x, got), np.empty(0, np.int64)
    centre, scale = table.places[i]
    suspects, worst = _errors(x, got, centre, scale, coefficients, bound, errors)
    tally = Tally(len(x), bound=bound)
    left = np.empty(0, np.int64)
    if suspects:
        flags = np.empty(len(x), np.uint8)
        worst = _judge(x, got, centre, scale, coefficients, kind, bound, table.line[i], errors, flags)
        tally = replace(
            tally,
            misrounded=int(np.count_nonzero(flags & MISROUNDED)),
            nonfinite=int(np.count_nonzero(flags & NONFINITE)),
            nonfinite_at=_first(x, flags & NONFINITE),
            zeros=int(np.count_nonzero(flags & ZERO)),
            zeros_at=_first(x, flags & ZERO),
        )
        left = np.flatnonzero(flags & AMBIGUOUS)
        tally = replace(tally, inputs=len(x) - len(left))
    error = min(worst + bound, 0.5) if worst <= 0.5 and not tally.misrounded else worst + bound
    at = float(x[int(np.argmax(errors == worst))]) if error > record and worst >= 0 else None
    return replace(tally, error=error if worst >= 0 else -1.0, at=at), left


def _compare_constant(want: float, bound: float, x: NDArray[np.float32], got: NDArray[np.float32]) -> Tally:
    """A piece on which every result rounds to zero, or to an infinity."""
    wrong = ~(got == np.float32(want))
    if not wrong.any():
        return Tally(len(x), bound, float(x[0]))
    steps = np.abs(got.astype(np.float64)) / ulp.FORMATS["float32"].smallest + 0.5
    steps = np.where(np.isfinite(got) & (want == 0), steps, np.inf)
    error = np.where(wrong, steps, 0.0)
    nonfinite = wrong & ~np.isfinite(got) & (np.isnan(got) | (want == 0))
    at = int(np.argmax(error))
    return Tally(
        inputs=len(x),
        error=float(error[at]),
        at=float(x[at]),
        misrounded=int(np.count_nonzero(wrong)),
        nonfinite=int(np.count_nonzero(nonfinite)),
        nonfinite_at=_first(x, nonfinite),
        zeros=int(np.count_nonzero(wrong & (got == 0))),
        zeros_at=_first(x, wrong & (got == 0)),
    )


def _first(x: NDArray[np.float32], where: NDArray[Any]) -> float | None:
    found = np.flatnonzero(where)
    return float(x[found[0]]) if len(found) else None


def _settled(call: Call, ambiguous: Sequence[NDArray[np.int64]], flip: int, settle: Settle) -> Tally:
    """What the oracle says of the inputs that the reference leaves open; none of them has been counted."""
    x = (np.concatenate(ambiguous).astype(np.uint32) | np.uint32(flip)).view(np.float32)
    return measured(call, x, settle)


def measured(call: Call, x: NDArray[np.float32], settle: Settle) -> Tally:
    """Compare a kernel with the truth itself at a few inputs."""
    points, got = x.astype(np.float64), np.asarray(call(x))
    truth = settle(points)
    values, known = got.astype(np.float64), ~np.isnan(truth.high)
    error = np.where(known, ulp.error(got, truth, "float32"), -1.0)
    form, size = ulp.FORMATS["float32"], np.abs(truth.high)
    nonfinite = known & ~np.isfinite(values) & (size <= form.max)
    zeros = known & (values == 0) & (size >= form.tiny)
    at = int(np.argmax(error))
    return Tally(
        inputs=int(np.count_nonzero(known)),
        error=float(error[at]),
        at=float(points[at]),
        misrounded=int(np.count_nonzero(known & (values != ulp.rounded(truth, "float32")))),
        nonfinite=int(np.count_nonzero(nonfinite)),
        nonfinite_at=_first(x, nonfinite),
        zeros=int(np.count_nonzero(zeros)),
        zeros_at=_first(x, zeros),
        settled=len(x),
    )


# --- compiled -------------------------------------------------------------------------------------------------------

MISROUNDED, NONFINITE, ZERO, AMBIGUOUS = 1, 2, 4, 8


@njit(nogil=True, fastmath={"contract"}, cache=True)
def _errors(x: Any, got: Any, centre: Any, scale: Any, coefficients: Any, bound: Any, errors: Any) -> Any:
    """Error of each result in ULP, how many are not surely rounded correctly, and the largest."""
    c = coefficients
    c0, c1, c2, c3, c4, c5 = c[0], c[1], c[2], c[3], c[4], c[5]
    c6, c7, c8, c9, c10, c11 = c[6], c[7], c[8], c[9], c[10], c[11]
    allowed = np.float64(0.5 - bound).view(np.int64)
    suspects, worst = np.int64(0), np.int64(0)
    for i in range(len(x)):
        t = (np.float64(x[i]) - centre) * scale
        y = c11 * t + c10
        y = y * t + c9
        y = y * t + c8
        y = y * t + c7
        y = y * t + c6
        y = y * t + c5
        y = y * t + c4
        y = y * t + c3
        y = y * t + c2
        y = y * t + c1
        y = y * t + c0
        exponent: Any = (np.float64(y).view(np.int64) >> 52) & 2047
        exponent = min(max(exponent, 1023 + LEAST), 1023 + MOST)
        steps = np.int64((2046 + 23 - exponent) << 52).view(np.float64)
        error = abs(np.float64(got[i]) - y) * steps
        errors[i] = error
        bits = np.float64(error).view(np.int64)  # ordered as the errors are, NaN last; vector code needs integers
        suspects += np.int64(bits >= allowed)
        worst = max(worst, bits)
    return suspects, np.int64(worst).view(np.float64)


@njit(nogil=True, fastmath={"contract"}, cache=True)
def _judge(
    x: Any,
    got: Any,
    centre: Any,
    scale: Any,
    coefficients: Any,
    kind: Any,
    bound: Any,
    line: Any,
    errors: Any,
    flags: Any,
) -> Any:
    """What is wrong with each result, if anything; errors of settled results only, and the largest of them."""
    worst = -1.0
    for i in range(len(x)):
        flags[i] = 0
        error = errors[i]
        if error < 0.5 - bound:
            worst = max(worst, error)
            continue
        t = (np.float64(x[i]) - centre) * scale
        y = 0.0
        for k in range(COUNT - 1, -1, -1):
            y = y * t + coefficients[k]
        g = np.float64(got[i])
        if np.isinf(g) and (g > 0) == (y > 0) and abs(y) > OVERFLOW * 0.999999:
            # within the reference's bound of the threshold only the oracle tells
            near = abs(abs(y) - OVERFLOW) <= bound * 2.0**104
            flags[i] = AMBIGUOUS if near else 0 if abs(y) > OVERFLOW else MISROUNDED | NONFINITE
            errors[i] = -1.0 if near else 0.0 if abs(y) > OVERFLOW else error
        elif not np.isfinite(g):
            flags[i] = MISROUNDED | NONFINITE
            errors[i] = np.inf
        elif error <= 0.5 + bound and kind == POLYNOMIAL:
            flags[i] = AMBIGUOUS
            errors[i] = -1.0
        elif error <= 0.5 + bound and kind == EXACT and _nearest_to_line(g, y, np.float64(x[i]), line):
            errors[i] = 0.5
        elif error == 0.5 and (got[i] > y if kind == ABOVE else got[i] < y and kind == BELOW):
            pass
        else:
            flags[i] = MISROUNDED | (ZERO if g == 0.0 and abs(y) >= 2.0**LEAST else 0)
        worst = max(worst, errors[i])
    return worst


@njit(nogil=True, cache=True)
def _nearest_to_line(got: Any, y: Any, x: Any, line: Any) -> Any:
    """Whether a result is the float32 nearest to (p x + q) / r, which is about y and half a ULP away from it."""
    p, q, r = line[0], line[1], line[2]
    exponent: Any = (np.float64(y).view(np.int64) >> 52) & 2047
    exponent = min(max(exponent, 1023 + LEAST), 1023 + MOST)
    half = np.int64((exponent - 24) << 52).view(np.float64)
    middle = got + half if y > got else got - half
    high = p * x
    total = high + q
    part = total - high
    low = fma(p, x, -high) + (high - (total - part)) + (q - part)  # one of the two is zero
    beyond = (total - r * middle) + low
    if beyond == 0.0:
        return (np.float32(got).view(np.int32) & 1) == 0
    return (beyond > 0.0) == (got > middle)
