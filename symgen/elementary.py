"""Elementary functions that the libraries lack, generated from specs/elementary: reduction, core interval, target.

A spec states how the argument u >= 0 is mapped to the core interval and what the function is multiplied by there; the
build samples the function of that name in ball arithmetic, fits the core, and emits ``core(map(u)) / scale(u)``.
"""

from __future__ import annotations

import runpy
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

from flint import arb, ctx

from symgen import resources
from symgen.approx import Polynomial, fit
from symgen.arithmetic import Arithmetic, Pair, exact
from symgen.kernel import Node, const

# The meaning of each name for real arguments, in ball arithmetic.
EXACT: dict[str, Callable[[arb], arb]] = {
    "erfcx": lambda u: (u * u).hypgeom_u(arb(1) / 2, arb(1) / 2) / arb.pi().sqrt(),
}


@dataclass(frozen=True)
class Elementary:
    """One elementary function of a non-negative argument."""

    name: str
    reduce: Callable[[Any], tuple[Any, Any]]
    interval: tuple[int, int]
    bits: int


def elementary(interval: tuple[int, int], bits: int) -> Callable[[Callable[[Any], tuple[Any, Any]]], Elementary]:
    """Declare an elementary function; the decorated one returns (core variable, scale) of its argument."""
    return lambda f: Elementary(f.__name__, f, interval, bits)


@cache
def catalogue() -> dict[str, Elementary]:
    found: dict[str, Elementary] = {}
    for path in sorted((resources.specs() / "elementary").glob("*.py")):
        for value in runpy.run_path(str(path)).values():
            if isinstance(value, Elementary):
                found[value.name] = value
    return found


class _Traced:
    """Arithmetic on pairs under Python's own operators, so that a reduction is written once."""

    def __init__(self, pair: Pair, arithmetic: Arithmetic) -> None:
        self.pair, self.arithmetic = pair, arithmetic

    def _wrap(self, other: Any) -> Pair:
        return other.pair if isinstance(other, _Traced) else exact(const(float(other)))

    def __add__(self, other: Any) -> _Traced:
        return _Traced(self.arithmetic.add(self.pair, self._wrap(other)), self.arithmetic)

    def __sub__(self, other: Any) -> _Traced:
        return _Traced(self.arithmetic.sub(self.pair, self._wrap(other)), self.arithmetic)

    def __mul__(self, other: Any) -> _Traced:
        return _Traced(self.arithmetic.mul(self.pair, self._wrap(other)), self.arithmetic)

    def __truediv__(self, other: Any) -> _Traced:
        return _Traced(self.arithmetic.div(self.pair, self._wrap(other)), self.arithmetic)

    __radd__ = __add__
    __rmul__ = __mul__


@cache
def core(name: str) -> Polynomial:
    """The fitted core of an elementary function.

    Raises:
        ArithmeticError: no polynomial of reasonable length reaches the target of the spec.
    """
    spec = catalogue()[name]

    def exact_core(q: arb) -> arb:
        u = _inverse(spec, q)
        return EXACT[name](u) * spec.reduce(u)[1]

    saved = ctx.prec
    ctx.prec = 256
    try:
        found = fit(exact_core, float(spec.interval[0]), float(spec.interval[1]), spec.bits)
    finally:
        ctx.prec = saved
    if found is None:
        raise ArithmeticError(f"specs/elementary: no polynomial fits {name} to 2^-{spec.bits}; change its reduction")
    return found


def _inverse(spec: Elementary, q: arb) -> arb:
    """The argument u whose core variable is q: the reduction is a Moebius map, known by three values."""
    at0, at1, far = spec.reduce(arb(0))[0], spec.reduce(arb(1))[0], spec.reduce(arb(2) ** 4000)[0]
    limit = arb(round(float(far)))
    # q = (limit*u + b)/(u + d) with b = at0*d and at1 = (limit + b)/(1 + d)
    d = (limit - at1) / (at1 - at0)
    return (at0 * d - q * d) / (q - limit)


def erfcx_nonnegative(arithmetic: Arithmetic, u: Node) -> Pair:
    """erfcx(u) for u >= 0; beyond 2^60 the reduction has reached its end, and 1/u is left."""
    spec, polynomial = catalogue()["erfcx"], core("erfcx")
    variable, scale = spec.reduce(_Traced(exact(u), arithmetic))
    if not arithmetic.compensated:
        return arithmetic.div(Pair(polynomial.node(variable.pair.high).high), scale.pair)
    # the rounding of the core variable is worth most of an ULP where the core is steep
    reduced = arithmetic.normal(variable.pair)
    value = arithmetic.correct(polynomial.node(reduced.high).high, reduced, polynomial.slope(reduced.high))
    value = arithmetic.with_low(value.high, value.low, polynomial.node(reduced.high).low)
    return arithmetic.div(value, scale.pair)
