"""Truth: the spec's own naive formula and its derivatives in ball arithmetic, at whatever precision a point needs.

Nothing here knows a stable form. A value is accepted when its ball is narrow (relative), or so near zero that it is
zero in every dtype, or so large that it is infinite in every dtype. What the literal formula cannot give at the highest
precision is reported as unknown, or taken from a ``fallback``, a form that has been proved equal.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Executor
from contextlib import contextmanager
from functools import lru_cache
from itertools import pairwise, takewhile
from math import inf
from types import MappingProxyType
from typing import Any

import numpy as np
from flint import arb, ctx
from numpy.typing import ArrayLike, NDArray
from sympy import Expr, Symbol, default_sort_key

from symgen.oracle_balls import OracleError, UndecidedError, UndefinedError
from symgen.oracle_jets import Body, compile_jet
from symgen.truth import BITS, PAIR_NEEDS_SCALING, Floats, Table, Truth, is_tiny, power_of_two

__all__ = ["Oracle", "OracleError", "Truth", "shared"]

Parameters = Mapping[str, Any]
NONE: Parameters = MappingProxyType({})

LADDER = (128, 320, 1152, 2304, 4608)  # 1152 covers the exponents of float64, 2304 their squares
# evenly spaced, so that a logarithm grows by equal steps; the nearer ones where the far ones exhaust the precision
LIMIT_EXPONENTS = ((1100, 2100, 3100, 4100, 5100), (600, 700, 800, 900, 1000))
LIMIT_PRECISION = 8192
PATIENCE = 1152  # bits that the formula itself is given before a form that is proved equal is asked
CHUNK = 16384
CACHED_BODIES = 512


@contextmanager
def working_precision(bits: int) -> Iterator[None]:
    """Run at a working precision, which python-flint keeps in one global variable."""
    before = ctx.prec
    ctx.prec = bits
    try:
        yield
    finally:
        ctx.prec = before


def as_ball(value: Any) -> arb:
    """An exact ball from a float, integer, fraction or ball."""
    if isinstance(value, arb):
        return value
    if hasattr(value, "numerator") and hasattr(value, "denominator"):
        return arb(int(value.numerator)) / int(value.denominator)
    return arb(float(value))


class Oracle:
    """The value of a formula and its derivatives along one symbol, to any accuracy.

    Args:
        expression: the spec's naive formula. Heads of the vocabulary are evaluated as what they mean.
        wrt: the symbol to differentiate by; every other free symbol is a parameter.
        order: the highest derivative that can be asked for, 0 to 2.
        fallback: an expression proved equal, used only where the formula itself is exhausted.
        ladder: working precisions in bits, rising; the last is the cap.
        patience: bits that the formula is given before the fallback is asked; more only where that cannot tell either.

    Raises:
        OracleError: the formula has a node without ball arithmetic.

    Example:
        >>> from sympy import Symbol, exp
        >>> x = Symbol("x", real=True)
        >>> Oracle(1 / (1 + exp(-x)), x).truth([0.0, 40.0])[1].high
        array([2.50000000e-01, 4.24835426e-18])
    """

    def __init__(
        self,
        expression: Expr,
        wrt: Symbol,
        order: int = 2,
        fallback: Expr | None = None,
        ladder: Sequence[int] = LADDER,
        patience: int = PATIENCE,
    ) -> None:
        self.expression, self.wrt, self.order, self.ladder = expression, wrt, order, tuple(ladder)
        self.patience = patience
        self.fallback = None if fallback is None else Oracle(fallback, wrt, order, ladder=ladder)
        free = set(expression.free_symbols) | (set(fallback.free_symbols) if fallback is not None else set())
        self.parameters: tuple[Symbol, ...] = tuple(sorted(free - {wrt}, key=default_sort_key))
        self._programs: dict[Any, Any] = {}
        self._bodies: dict[Any, Body] = {}
        self._program(order, ())

    def __reduce__(self) -> tuple[Any, ...]:
        fallback = None if self.fallback is None else self.fallback.expression
        return shared, (self.expression, self.wrt, self.order, fallback, self.ladder, self.patience)

    # --- programs ---------------------------------------------------------------------------------------------------

    def _program(self, order: int, varying: tuple[str, ...]) -> Any:
        key = order, varying
        if key not in self._programs:
            fixed = [s for s in self.parameters if s.name not in varying]
            moving = [s for s in self.parameters if s.name in varying]
            self._programs[key] = compile_jet(self.expression, self.wrt, fixed, moving, order)
        return self._programs[key]

    def source(self, order: int | None = None) -> str:
        """The generated Python, to look at."""
        return str(self._program(self.order if order is None else order, ())[0])

    def _bind(
        self, order: int, values: Parameters, varying: tuple[str, ...] = (), checked: bool = False, final: bool = False
    ) -> Body:
        """The function of one point at the present working precision, with scalar parameters put in."""
        names = [s.name for s in self.parameters if s.name not in varying]
        missing = [name for name in names if name not in values]
        if missing:
            raise OracleError(f"no value for parameter {', '.join(missing)} of {self.expression}")
        plain = all(isinstance(values[name], float | int) for name in names)
        key = (order, varying, checked, final, ctx.prec, *(values[name] for name in names)) if plain else None
        body = self._bodies.get(key) if plain else None
        if body is None:
            body = self._program(order, varying)[1](checked, final)(*(as_ball(values[name]) for name in names))
            if plain and len(self._bodies) < CACHED_BODIES:
                self._bodies[key] = body
        return body

    # --- one point --------------------------------------------------------------------------------------------------

    def jet(self, at: Any, parameters: Parameters = NONE, precision: int = 128) -> tuple[arb, ...]:
        """Value and derivatives (not Taylor coefficients) as balls at one working precision.

        Args:
            at: a float, or a ball, which gives an enclosure over the whole ball.
            parameters: values of the other symbols by name, floats or balls.
            precision: the working precision.

        Returns:
            order + 1 balls; all NaN where a comparison inside the formula cannot be decided over the ball.
        """
        with working_precision(precision):
            try:
                return self._bind(self.order, parameters)(as_ball(at))
            except UndecidedError:
                return (arb.nan(),) * (self.order + 1)

    def ball(self, at: Any, order: int, parameters: Parameters = NONE, bits: int = BITS) -> arb | None:
        """One derivative at an exact point, as a ball that is narrow enough.

        Args:
            at: the point, an exact float or ball.
            order: which derivative, 0 for the value.
            parameters: values of the other symbols by name.
            bits: relative accuracy asked for.

        Returns:
            A ball accurate to ``bits``, or one inside +-2^-1150; None where undefined or where precision is exhausted.
        """
        ladder = self.ladder if bits <= BITS else tuple(p + bits for p in self.ladder)
        for p in ladder:
            with working_precision(p):
                found = self._try(at, order, parameters, p == ladder[-1])
                if isinstance(found, UndefinedError):
                    return None
                if found is not None and (found.rel_accuracy_bits() >= bits or is_tiny(found)):
                    return found
        return self.fallback.ball(at, order, parameters, bits) if self.fallback else None

    def _try(self, at: Any, order: int, values: Parameters, final: bool) -> arb | UndefinedError | None:
        """One derivative at the present precision; None where it needs more."""
        try:
            found = self._bind(order, values, final=final)(as_ball(at))[order]
            if found.is_finite():
                return found
            self._bind(order, values, checked=True, final=final)(as_ball(at))
        except UndecidedError:
            pass
        except UndefinedError as certain:
            return certain
        return None

    # --- many points ------------------------------------------------------------------------------------------------

    def truth(
        self,
        points: ArrayLike,
        parameters: Parameters = NONE,
        orders: Sequence[int] = (0, 1, 2),
        executor: Executor | None = None,
    ) -> tuple[Truth, ...]:
        """Correctly rounded values at many exact points.

        Args:
            points: float64 (n,), finite values of ``wrt``.
            parameters: by name, a float, or float64 (n,) for a value of its own at each point.
            orders: which derivatives, each at most ``order``.
            executor: a process pool to share the work with, in chunks; none means here.

        Returns:
            A `Truth` of length n for each order asked for.

        Raises:
            OracleError: a parameter has no value, or an order is higher than the oracle was made for.
        """
        xs = np.ascontiguousarray(points, np.float64).ravel()
        scalars = {k: v for k, v in parameters.items() if not isinstance(v, np.ndarray) or v.ndim == 0}
        arrays = {
            k: np.broadcast_to(np.asarray(v, np.float64), xs.shape) for k, v in parameters.items() if k not in scalars
        }
        if max(orders) > self.order:
            raise OracleError(f"order {max(orders)} asked of an oracle made for order {self.order}")
        if not len(xs):
            empty = np.empty(0)
            return tuple(Truth(empty, empty, empty, np.empty(0, bool)) for _ in orders)
        jobs = [
            (self, xs[i : i + CHUNK], scalars, {k: v[i : i + CHUNK] for k, v in arrays.items()}, tuple(orders))
            for i in range(0, len(xs), CHUNK)
        ]
        parts = list((executor.map if executor else map)(_truth_of_chunk, jobs))
        return tuple(Truth.join([p[j] for p in parts]) for j in range(len(orders)))

    def _chunk(
        self, xs: Floats, scalars: Parameters, arrays: Mapping[str, Floats], orders: tuple[int, ...]
    ) -> tuple[Truth, ...]:
        """Climb the ladder with whatever points are not settled yet, each order for itself.

        Before the last rungs, which cost most, the fallback is asked: where the formula cancels beyond all exponents
        of float64, only thousands of bits would help it, and mostly not even these.
        """
        tables = {k: Table(len(xs)) for k in orders}
        first = sum(bits <= self.patience for bits in self.ladder) if self.fallback else len(self.ladder)
        self._climb(self.ladder[:first], tables, xs, scalars, arrays)
        if self.fallback:
            self._fall_back(tables, xs, scalars, arrays)
        self._climb(self.ladder[first:], tables, xs, scalars, arrays)
        return tuple(tables[k].truth() for k in orders)

    def _climb(
        self,
        rungs: Sequence[int],
        tables: Mapping[int, Table],
        xs: Floats,
        scalars: Parameters,
        arrays: Mapping[str, Floats],
    ) -> None:
        """Try the points that are not settled at one precision after the other."""
        for bits in rungs:
            pending = _pending(tables)
            if not len(pending):
                break
            with working_precision(bits):
                self._pass(tables, pending, xs, scalars, arrays)
            for table in tables.values():
                table.update()

    def _pass(
        self,
        tables: Mapping[int, Table],
        pending: NDArray[np.int64],
        xs: Floats,
        scalars: Parameters,
        arrays: Mapping[str, Floats],
    ) -> None:
        """Try the points that are not settled at the present precision; this loop decides how fast the oracle is."""
        top = max(k for k, t in tables.items() if t.unknown.any())
        final = ctx.prec == self.ladder[-1]
        names = tuple(s.name for s in self.parameters if s.name in arrays)
        columns = (map(arb, column[pending].tolist()) for column in (xs, *(arrays[name] for name in names)))
        body: Body | None = None
        checked: Body | None = None
        rows = [(k, t, (t.unknown_list, t.high, t.low)) for k, t in tables.items() if k <= top]
        for i, point in zip(pending.tolist(), zip(*columns, strict=True), strict=True):
            try:
                body = body or self._bind(top, scalars, names, final=final)
                jet = body(*point)
                found = []
                for k, _, (unknown, highs, lows) in rows:  # nearly all points are settled here, at once
                    if unknown[i]:
                        ball = jet[k]
                        high = float(ball)
                        plain = PAIR_NEEDS_SCALING < abs(high) < inf or ball.is_zero()
                        if not plain or ball.rel_accuracy_bits() < BITS:
                            break
                        found.append((unknown, highs, lows, high, float(ball - high)))
                else:
                    for unknown, highs, lows, high, low in found:
                        unknown[i], highs[i], lows[i] = False, high, low
                    continue
                if not (jet[0].is_finite() and jet[top].is_finite()):
                    checked = checked or self._bind(top, scalars, names, checked=True, final=final)
                    checked(*point)
            except UndecidedError:
                continue
            except UndefinedError:
                self._mark_undefined(tables, i, xs, scalars, arrays)
                continue
            for k, table, _ in rows:
                table.put(i, jet[k])

    def _mark_undefined(
        self, tables: Mapping[int, Table], i: int, xs: Floats, scalars: Parameters, arrays: Mapping[str, Floats]
    ) -> None:
        """Settle which orders certainly have no value: sqrt(0) has one, its derivative has not."""
        values = {**scalars, **{k: float(v[i]) for k, v in arrays.items()}}
        for k in sorted(k for k, table in tables.items() if table.unknown_list[i]):
            if tables[k].unknown_list[i]:
                table, found = tables[k], self._try(float(xs[i]), k, values, False)
                if isinstance(found, UndefinedError):
                    for higher in tables:
                        if higher >= k:
                            tables[higher].undefined(i)
                elif found is not None:
                    table.put(i, found)

    def _fall_back(
        self, tables: Mapping[int, Table], xs: Floats, scalars: Parameters, arrays: Mapping[str, Floats]
    ) -> None:
        """Settle what the form that was proved equal can tell."""
        needed = _pending(tables)
        if not len(needed) or self.fallback is None:
            return
        others = self.fallback._chunk(xs[needed], scalars, {k: v[needed] for k, v in arrays.items()}, tuple(tables))
        for table, other in zip(tables.values(), others, strict=True):
            table.adopt(needed, other)

    # --- limits -----------------------------------------------------------------------------------------------------

    def limit(self, sign: int, order: int = 0, parameters: Parameters = NONE) -> float | None:
        """The limit at plus or minus infinity, judged from the values at 2^1100 to 2^5100, or at 2^600 to 2^1000.

        Args:
            sign: 1 or -1.
            order: which derivative, 0 for the value.
            parameters: values of the other symbols by name.

        Returns:
            0.0, an infinity, or the correctly rounded constant; None where there is no limit, or none can be seen.
        """
        with working_precision(LIMIT_PRECISION):
            for exponents in LIMIT_EXPONENTS:
                tried = (self._try(arb(2) ** e * sign, order, parameters, True) for e in exponents)
                known = [*takewhile(lambda v: isinstance(v, arb), tried)]
                if len(known) == len(exponents):
                    return _limit_of(known)
        return self.fallback.limit(sign, order, parameters) if self.fallback else None


def _limit_of(values: Sequence[arb]) -> float | None:
    """What values at rapidly growing points tend to: a constant, zero, infinity, or nothing that can be told."""
    last = values[-1]
    if all(v.abs_upper() < power_of_two(-1000) for v in values):
        return 0.0
    if all(abs(last - v) <= abs(last) * power_of_two(-200) for v in values):
        return float(last)
    sizes = [abs(v) for v in values]
    if _diverges([1 / v for v in sizes]) and sizes[0] < 0.01:
        return 0.0
    if _diverges(sizes) and (all(v > 0 for v in values) or all(v < 0 for v in values)):
        return math.inf if last > 0 else -math.inf
    return None


def _diverges(values: Sequence[arb]) -> bool:
    """Growth by steps that do not shrink (up to rounding), which bounded sequences do not have."""
    steps = [b - a for a, b in pairwise(values)]
    grows = all(b >= a * (1 - power_of_two(-60)) for a, b in pairwise(steps))
    return bool(steps[0] > 0 and grows and values[-1] > 4 * values[0])


def _pending(tables: Mapping[int, Table]) -> NDArray[np.int64]:
    """The points of which some order is not settled."""
    return np.flatnonzero(np.any([t.unknown for t in tables.values()], axis=0))


def _truth_of_chunk(job: tuple[Oracle, Floats, Parameters, Mapping[str, Floats], tuple[int, ...]]) -> tuple[Truth, ...]:
    oracle, xs, scalars, arrays, orders = job
    return oracle._chunk(xs, scalars, arrays, orders)


@lru_cache(maxsize=64)
def shared(
    expression: Expr,
    wrt: Symbol,
    order: int = 2,
    fallback: Expr | None = None,
    ladder: tuple[int, ...] = LADDER,
    patience: int = PATIENCE,
) -> Oracle:
    """The same oracle for the same question: compiling one takes as long as some hundred points do."""
    return Oracle(expression, wrt, order, fallback, ladder, patience)
