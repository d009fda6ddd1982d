"""A piece of the exact function as data: what it computes can be read off its fields, evaluated, printed and proved.

With t = x - centre (t = 1/x in a tail) and P the polynomial, a piece is

    zero, tail     |x|^p P(t), or x^p P(t) where p is an integer
    root           (x - centre - centre_low)^p P(t)
    interior       P(t)
    decaying       e^(rate x) P(t), rate a number of few bits, so that rate x has no rounding error in pairs
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction

import sympy as sp
from sympy import Expr, Symbol

from symgen.approx import Polynomial
from symgen.arithmetic import COMPENSATED, ONE, PLAIN, Arithmetic, Pair, absolute, exact
from symgen.kernel import Node, const, node
from symgen.lowering import lower

SHAPES = ("zero", "root", "interior", "tail", "decaying")
MAGNITUDE = Symbol("y", positive=True)


@dataclass(frozen=True)
class Piece:
    """A polynomial fitted to the exact function, times what makes it smooth on the interval.

    Attributes:
        shape: one of `SHAPES`.
        polynomial: P.
        power: p of the base; a fraction only at zero and in a tail.
        centre: origin of t, or the root.
        centre_low: what the root has beyond a float64.
        centre_last: and beyond two: a scaled argument comes closer to a root than any float64 does.
        arithmetic: "short", "plain" or "compensated".
        rate: of the exponential of a decaying piece.
    """

    shape: str
    polynomial: Polynomial
    power: int | Fraction = 0
    centre: float = 0.0
    centre_low: float = 0.0
    arithmetic: str = "plain"
    rate: float = 0.0
    centre_last: float = 0.0

    @property
    def expression(self) -> None:
        return None

    @property
    def kind(self) -> str:
        return "piece"

    @property
    def note(self) -> str:
        degree = self.polynomial.step * (len(self.polynomial.coefficients) - 1)
        where = {
            "zero": "around zero",
            "root": f"around the root {self.centre!r}",
            "interior": f"around {self.centre!r}",
            "tail": "in 1/x",
            "decaying": f"around {self.centre!r}, times exp({self.rate!r} x)",
        }[self.shape]
        error = math.log2(self.polynomial.error) if self.polynomial.error else -math.inf
        return f"polynomial of degree {degree} {where}, within 2^{error:.1f} at the points checked"

    def node(self, x: Symbol, bound: Mapping[Symbol, Pair], scale: Expr = sp.S.One) -> Node:
        a = COMPENSATED if self.arithmetic == "compensated" else PLAIN
        v = bound[x] if a.compensated else Pair(bound[x].high)
        base = Pair(node("sub", v.high, const(self.centre)), v.low) if self.centre else v
        t = ONE / v.high if self.shape == "tail" else base.high
        value = self.polynomial.node(t)
        value = value if a.compensated else Pair(value.high)
        if v.low is not None and self.shape != "tail" and self.polynomial.step == 1:
            value = a.with_low(value.high, value.low, v.low * self.polynomial.slope(t))
        if self.shape == "root":
            base = self._from_root(a, base)
        if scale != 1:
            value = a.mul(lower(scale, bound, a), value)
        if self.shape == "decaying":
            return a.rounded(self._decaying(a, v, value))
        inverse = exact(absolute(t) if self.power % 1 else t)
        return a.rounded(self._with_power(a, value, base, inverse))

    def _from_root(self, a: Arithmetic, base: Pair) -> Pair:
        """The distance from the root; of two numbers that have low parts all bits of those may cancel."""
        distance = a.sub(base, exact(const(self.centre_low)))
        if base.low is None:
            return distance
        distance = a.normal(distance)
        return a.with_low(distance.high, distance.low, const(-self.centre_last))

    def _with_power(self, a: Arithmetic, value: Pair, base: Pair, inverse: Pair) -> Pair:
        """The value times base**power; a plain tail has 1/x already, in pairs a quotient has the smaller error."""
        whole = int(self.power)
        rest = self.power - whole
        if rest:
            root = lower(sp.Pow(MAGNITUDE, sp.Rational(abs(rest))), {MAGNITUDE: a.abs(base)}, a)
            value, base = (a.mul if rest > 0 else a.div)(value, root), a.abs(base)
        divided = whole < 0 and (a.compensated or self.shape != "tail")
        for _ in range(abs(whole)):
            value = a.div(value, base) if divided else a.mul(value, base if whole > 0 else inverse)
        return value

    def _decaying(self, a: Arithmetic, v: Pair, value: Pair) -> Pair:
        """P(t) e^(rate x); in pairs by halves, multiplied in last, so that a subnormal result is rounded once."""
        if not a.compensated:
            return a.mul(value, a.function("exp", v.high * const(self.rate)))
        u = a.mul(v, exact(const(self.rate / 2)))
        grown = a.function("exp", u.high)
        half = a.correct(grown, u, grown.high)
        return a.mul(a.mul(value, half), half)
