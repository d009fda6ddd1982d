"""Arithmetic on kernel nodes, plain or compensated: a number is a float64 `high` and, where known, its missing `low`.

The high part is always exactly what plain float64 arithmetic computes. The low part follows beside it through
error-free transformations (two-sum, fma residuals), so that one final ``high + low`` gives a result that is right to
about one rounding of each elementary function in it. A low part that is not a number (an intermediate overflowed)
falls back to the plain result. References: Dekker 1971; Ogita, Rump and Oishi 2005.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np

from symgen.kernel import FINE, MEDIUM, Node, call, const, fma, node, select

ZERO, ONE, TWO = const(0.0), const(1.0), const(2.0)
DOUBLE, SINGLE, POWER_OF_TWO = 53, 24, 1  # bits of a float64, of a float32, and of what multiplies without rounding


FINEST = frozenset({"exp_fine", "log_fine", "log_sum", "log1p_sum"})  # what tells in float32 what it loses where finest

_format: ContextVar[type] = ContextVar("format", default=np.float64)
_telling: ContextVar[frozenset[str] | None] = ContextVar("telling", default=None)  # None stands for all


@contextmanager
def computing_in(dtype: type, telling: Collection[str] = ()) -> Iterator[None]:
    """Graphs that are built inside are for arithmetic in this dtype: their constants are rounded to it.

    Only constants know a precision; every operation of a graph is meant in the one that it will run in.

    Args:
        dtype: of the arithmetic.
        telling: the elementary functions that tell there what rounding their value has lost.
    """
    tokens = _format.set(dtype), _telling.set(frozenset(telling))
    try:
        yield
    finally:
        _format.reset(tokens[0])
        _telling.reset(tokens[1])


def number_format() -> type:
    """The dtype that graphs are built for at present."""
    return _format.get()


def has_powers_of_sums() -> bool:
    """Whether powers take what their base and exponent are missing, as they do in float32."""
    return _telling.get() is not None


def has_logarithms_of_sums() -> bool:
    """Whether logarithms take what their argument is missing, and tell what they lose."""
    return "log_sum" in (_telling.get() or ())


def nearest(value: float | Fraction) -> float:
    """The number of the format in use that is nearest."""
    with np.errstate(over="ignore"):
        return float(_format.get()(float(value)))


def parts(high: float, low: float) -> tuple[float, float]:
    """``high + low`` as two numbers of the format in use."""
    first = nearest(high)
    rest = (high - first) + low if np.isfinite(first) else 0.0
    return first, nearest(rest)


@dataclass(frozen=True)
class Pair:
    """``high + low``; `low` is None where the number is exact or its error is not tracked.

    `bits` is how many an exact number has at most: products of short ones are exact. `nearest` tells that `high` is
    what the exact number rounds to, as it is where one operation on exact numbers gave both.
    """

    high: Node
    low: Node | None = None
    bits: int = DOUBLE
    nearest: bool = False

    @property
    def settled(self) -> bool:
        """Whether `high` alone orders the number among floats, up to ties that `low` decides."""
        return self.low is None or self.nearest


def exact(value: Node) -> Pair:
    return Pair(value)


def negative(n: Node) -> Node:
    if n.op == "neg":
        return n.args[0]
    return const(-n.value) if n.op == "const" else node("neg", n)


def absolute(n: Node) -> Node:
    while n.op in ("neg", "abs"):
        n = n.args[0]
    return const(abs(n.value)) if n.op == "const" else node("abs", n)


def _sum(*parts: Node | None) -> Node | None:
    """The sum of the parts that are there."""
    total: Node | None = None
    for part in parts:
        if part is not None:
            total = part if total is None else total + part
    return total


def _times(a: Node | None, b: Node | None) -> Node | None:
    return None if a is None or b is None else a * b


def _is_power_of_two(n: Node) -> bool:
    if n.op != "const" or n.value == 0 or n.value in (float("inf"), float("-inf")):
        return False
    numerator, denominator = abs(Fraction(n.value)).as_integer_ratio()
    return (numerator & (numerator - 1)) == 0 and (denominator & (denominator - 1)) == 0


@dataclass(frozen=True)
class Arithmetic:
    """The operations on pairs; `compensated` tells whether low parts are computed at all.

    `halved` computes a factor that can underflow as the square of its square root, multiplied in last, so that
    ``x * exp(x)`` keeps its bits where ``exp(x)`` alone is subnormal; `woven` multiplies it into the operands beside it
    first, where there are several, whose product may leave the range. `annihilating` makes a product zero where such a
    factor is zero, so that ``x * exp(x)`` is 0 at minus infinity. `short` calls the short forms of elementary
    functions, which a result that is rounded to float32 does not tell from the full ones. `medium` are those of which
    it calls the medium form, a float64 like others. `tracked` takes from elementary functions also what rounding their
    values to float64 loses, which a sum that is rounded to float32 does not tell. Without
    `own` low parts that are there are carried on, and the roundings of the arithmetic itself are not looked at. `fine`
    takes from exponentials, logarithms and powers low parts that know more, for results in which they cancel. `renewed`
    rounds sums of numbers with low parts again, so that a low part is small beside its number where most of the sum has
    cancelled: the product of two such differences would lose what their low parts make together.
    """

    compensated: bool = False
    halved: bool = False
    annihilating: bool = False
    short: bool = False
    medium: frozenset[str] = frozenset()
    tracked: bool = True
    own: bool = True
    fine: bool = False
    woven: bool = False
    renewed: bool = False

    def constant(self, high: float, low: float) -> Pair:
        high, low = parts(high, low)
        rest = const(low) if self.compensated and low else None
        return Pair(const(high), rest, nearest=rest is not None)

    def neg(self, a: Pair) -> Pair:
        return Pair(negative(a.high), None if a.low is None else negative(a.low), a.bits, a.nearest)

    def abs(self, a: Pair) -> Pair:
        if a.low is None:
            return Pair(absolute(a.high), None, a.bits)
        low = select(node("lt", a.high, ZERO), negative(a.low), a.low)
        return Pair(absolute(a.high), low, nearest=a.nearest)

    def add(self, a: Pair, b: Pair) -> Pair:
        if b.high.op == "neg" and b.low is None:
            total = a.high - b.high.args[0]
        elif a.high.op == "neg" and a.low is None and b.high.op != "neg":
            total = b.high - a.high.args[0]
        else:
            total = a.high + b.high
        if not self.compensated:
            return Pair(total)
        if not self.own:
            return Pair(total, _sum(a.low, b.low))
        back = total - a.high
        lost = (a.high - (total - back)) + (b.high - back)
        sum_of = Pair(total, _sum(lost, a.low, b.low), nearest=a.low is None and b.low is None)
        return self.normal(sum_of) if self.renewed and not sum_of.nearest else sum_of

    def sub(self, a: Pair, b: Pair) -> Pair:
        return self.add(a, self.neg(b))

    def mul(self, a: Pair, b: Pair) -> Pair:
        for p, q in ((a, b), (b, a)):
            if p.high.op == "const" and p.low is None:
                if p.high.value == 1.0:
                    return q
                if p.high.value == -1.0:
                    return self.neg(q)
                if _is_power_of_two(p.high):
                    return Pair(q.high * p.high, None if q.low is None else q.low * p.high)
            if p.bits == POWER_OF_TWO and p.low is None:
                return Pair(q.high * p.high, None if q.low is None else q.low * p.high, q.bits, q.nearest)
        product = a.high * b.high
        if not self.compensated:
            return Pair(product)
        if a.low is None and b.low is None and a.bits + b.bits <= DOUBLE:
            return Pair(product, None, a.bits + b.bits)
        lost = fma(a.high, b.high, negative(product)) if self.own else None
        once = self.own and a.low is None and b.low is None
        return Pair(product, _sum(lost, _times(a.high, b.low), _times(a.low, b.high)), nearest=once)

    def div(self, a: Pair, b: Pair) -> Pair:
        if b.high.op == "const" and b.low is None and _is_power_of_two(b.high) and abs(b.high.value) > 2.0**-1024:
            return self.mul(a, exact(const(1.0 / b.high.value)))
        quotient = a.high / b.high
        if not self.compensated:
            return Pair(quotient)
        if not self.own:
            carried = _sum(a.low, None if b.low is None else negative(quotient * b.low))
            return Pair(quotient, None if carried is None else carried / b.high)
        rest = fma(negative(quotient), b.high, a.high)
        if a.low is not None:
            rest = rest + a.low
        if b.low is not None:
            rest = rest - quotient * b.low
        return Pair(quotient, rest / b.high, nearest=a.low is None and b.low is None)

    def sqrt(self, a: Pair) -> Pair:
        root = node("sqrt", a.high)
        if not self.compensated:
            return Pair(root)
        if not self.own:
            return Pair(root, None if a.low is None else a.low / (root + root))
        rest = fma(negative(root), root, a.high)
        if a.low is not None:
            rest = rest + a.low
        # at zero the quotient is 0/0, and the final rounding then takes the high part alone
        return Pair(root, rest / (root + root), nearest=a.low is None)

    def power(self, a: Pair, n: int) -> Pair:
        """a**n for n >= 1 by squaring."""
        result: Pair | None = None
        square = a
        while True:
            if n & 1:
                result = square if result is None else self.mul(result, square)
            n >>= 1
            if not n:
                assert result is not None
                return result
            square = self.mul(square, square)

    def function(self, name: str, *at: Node) -> Pair:
        """A function of specs/elementary: its short form, its rounded value, or its value with what rounding left."""
        if self.short:
            return Pair(call(f"{name}_short", *at))
        if f"{name}_medium" in self.medium:
            return Pair(call(f"{name}_medium", *at))
        telling = _telling.get()  # most of a GPU's own functions, which stand behind the name in float32, do not
        fine = f"{name}_fine"
        if self.fine and fine in (FINE if telling is None else telling):
            name = fine
        tracked = self.compensated and self.tracked and (telling is None or name in telling)
        return Pair(call(name, *at), call(f"{name}_low", *at) if tracked else None)

    def correct(self, value: Pair, a: Pair, slope: Node | None) -> Pair:
        """f(a.high + a.low) from f(a.high) and f'(a.high), to first order."""
        if not self.tracked and slope is value.high:  # of e^u it is, relatively, no more than what is not tracked
            return value
        return self.with_low(value.high, value.low, _times(a.low, slope))

    def with_low(self, value: Node, *parts: Node | None) -> Pair:
        found = Pair(value, _sum(*parts) if self.compensated else None)
        return self.normal(found) if self.renewed else found

    def rounded(self, a: Pair) -> Node:
        """The number as one float64."""
        if a.low is None or a.nearest:
            return a.high
        total = a.high + a.low
        # an overflowed low part, infinite or no number, says nothing; the plain result is the answer then
        return select(node("eq", a.low - a.low, ZERO), total, a.high)

    def normal(self, a: Pair) -> Pair:
        """The same number with the high part correctly rounded."""
        if a.low is None:
            return a
        known = node("eq", a.low - a.low, ZERO)
        if a.nearest:
            return replace(a, low=select(known, a.low, ZERO))
        total = a.high + a.low
        return Pair(select(known, total, a.high), select(known, a.low - (total - a.high), ZERO))


OF_ROWS = frozenset({"exp_medium"})  # what rows call for every entry
SHORT = Arithmetic(short=True)
SHORT_ANNIHILATING = Arithmetic(short=True, annihilating=True)
PLAIN = Arithmetic()
FOR_SINGLE = Arithmetic(medium=MEDIUM)
FOR_SINGLE_ANNIHILATING = Arithmetic(medium=MEDIUM, annihilating=True)
QUICK = Arithmetic(medium=OF_ROWS, tracked=False)
COMPENSATED = Arithmetic(compensated=True)
SHORTENED = Arithmetic(compensated=True, short=True, tracked=False)
UNTRACKED = Arithmetic(compensated=True, medium=OF_ROWS, tracked=False)
CARRIED = Arithmetic(compensated=True, medium=OF_ROWS, tracked=False, own=False)
FINELY = Arithmetic(compensated=True, fine=True)
RENEWED = Arithmetic(compensated=True, renewed=True)
HALVED = Arithmetic(compensated=True, halved=True)
ANNIHILATING = Arithmetic(compensated=True, halved=True, annihilating=True)
