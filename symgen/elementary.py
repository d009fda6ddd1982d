"""Elementary functions generated from specs/elementary: reductions there, polynomials fitted and proved here.

The C library's functions are calls, which keep a loop from becoming vector code, and give no more than one float64. A
spec writes each function twice as a branch-free graph of kernel operations: `short` is right to about 2^-35, which is
what a float32 result needs, and `full` is a sum high + low, high the rounded value, right to about 2^-56. Some have a
`medium` form, a float64 without compensation, for what is summed or subtracted before it is rounded to float32. A graph
calls them as ``exp_short``, ``exp``, ``exp_low`` and ``exp_medium``; NumPy evaluates the very graph that is printed.
Some have a `single` form in float32 arithmetic, which GPUs compute where a graph calls the function in float32.
"""

from __future__ import annotations

import inspect
import runpy
from collections.abc import Callable, Mapping
from contextvars import Context
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from flint import arb, ctx

from symgen import approx, resources
from symgen.approx import Polynomial
from symgen.arithmetic import computing_in
from symgen.kernel import ROUNDING, Node, ScalarFunction, const, fma, node, topological, var, verify
from symgen.loops import loop

BIAS = ROUNDING + 1023  # a sum with it carries the biased exponent of 2^n in its last bits: see `kernel.pow2`
SUFFIXES = {"short": "_short", "medium": "_medium", "single": "_single", "high": "", "low": "_low"}


@dataclass(frozen=True)
class Core:
    """A function on a core interval that a polynomial stands for, proved within 2^-bits of it, relatively.

    Attributes:
        exact: The function in ball arithmetic, of real and of complex balls.
        interval: Where it is used; its ends must be no poles.
        bits: What the polynomials of the short and the full form must reach.
    """

    exact: Callable[[Any], Any]
    interval: tuple[float, float]
    bits: float | tuple[float, float]
    analytic: bool = True

    def short(self, t: Node) -> Node:
        return self.polynomial(min(self._bits)).horner(t)

    def full(self, t: Node) -> Node:
        return self.polynomial(max(self._bits)).horner(t)

    def sum(self, t: Node, slope: Node | None = None, low: Node | None = None) -> tuple[Node, Node]:
        """The value at t + low as high + low, the first coefficient to twice the precision."""
        p = self.polynomial(max(self._bits)).node(t)
        assert p.low is not None
        return p.high, p.low if slope is None or low is None else fma(slope, low, p.low)

    def single(self, t: Node) -> tuple[Node, Node]:
        """The value in float32 arithmetic as high + low, which knows what adding the first coefficient loses."""
        found = _in_single(self, min(self._bits))
        first, *rest = map(const, found.coefficients)
        tail = rest.pop()
        for c in reversed(rest):
            tail = fma(tail, t, c)
        high = fma(tail, t, first)
        return high, fma(tail, t, first - high) + found.low

    @property
    def _bits(self) -> tuple[float, ...]:
        return self.bits if isinstance(self.bits, tuple) else (self.bits,)

    def polynomial(self, bits: float) -> Polynomial:
        """The shortest polynomial that is proved to reach the target.

        Raises:
            ArithmeticError: no polynomial of reasonable length does.
        """
        return _proved(self, bits)


@cache
def _proved(core: Core, bits: float) -> Polynomial:
    low, high = core.interval
    fit = approx.fit_proved if core.analytic else approx.fit
    found = Context().run(fit, core.exact, low, high, bits)  # in float64, whatever arithmetic asks for it first
    return _reached(found, core, bits)


@cache
def _in_single(core: Core, bits: float) -> Polynomial:
    """The shortest polynomial with float32 coefficients that was found to reach the target."""
    with computing_in(np.float32):
        return _reached(approx.fit_in_turn(core.exact, *core.interval, bits), core, bits)


def _reached(found: Polynomial | None, core: Core, bits: float) -> Polynomial:
    if found is None:
        low, high = core.interval
        raise ArithmeticError(
            f"specs/elementary: no polynomial on [{low}, {high}] is proved within 2^-{bits}; change the reduction"
        )
    return found


@dataclass(frozen=True)
class Constant:
    """A number as the sum of two floats."""

    high: float
    low: float


def constant(value: Callable[[], arb], bits: int = 53) -> Constant:
    """A number to twice the precision of float64; its high part has `bits` bits."""
    saved = ctx.prec
    ctx.prec = approx.PRECISION
    try:
        exact = value()
        scale = arb(2) ** (bits - 1 - int(np.floor(np.log2(abs(float(exact))))))
        high = float((exact * scale + arb(0.5)).floor() / scale)
        return Constant(high, float(exact - arb(high)))
    finally:
        ctx.prec = saved


def quick_sum(a: Node, b: Node) -> tuple[Node, Node]:
    """a + b rounded and what rounding loses, for |a| >= |b| or a = 0 (Dekker 1971)."""
    total = a + b
    return total, b - (total - a)


def two_sum(a: Node, b: Node) -> tuple[Node, Node]:
    """a + b rounded and what rounding loses (Knuth)."""
    total = a + b
    back = total - a
    return total, (a - (total - back)) + (b - back)


def product(a: tuple[Node, Node], b: tuple[Node, Node]) -> tuple[Node, Node]:
    """The product of two sums high + low, as such a sum."""
    high = a[0] * b[0]
    return high, fma(a[0], b[0], -high) + (a[0] * b[1] + a[1] * b[0])


@dataclass(frozen=True)
class Elementary:
    """One function: `short`, `medium` and `single` give a node, `full` a high and a low one."""

    name: str
    summary: str
    parameters: tuple[str, ...]
    short: Callable[..., Node]
    full: Callable[..., tuple[Node, Node]]
    medium: Callable[..., Node] | None = None
    single: Callable[..., Node] | None = None

    @property
    def arguments(self) -> tuple[Node, ...]:
        return tuple(var(p) for p in self.parameters)

    def graph(self, part: str) -> ScalarFunction:
        """The graph of a part: "short", "medium", "single", "high" or "low"."""
        return _graph(self, part)


@cache
def _graph(spec: Elementary, part: str) -> ScalarFunction:
    alone = {"short": spec.short, "medium": spec.medium, "single": spec.single}.get(part)
    result = alone(*spec.arguments) if alone else spec.full(*spec.arguments)[part == "low"]
    return verify(ScalarFunction(f"{spec.name}{SUFFIXES[part]}", spec.parameters, (result,)))


def elementary(spec: type) -> Elementary:
    """Declare an elementary function: the class has its name and `short` and `full`, functions of nodes.

    A `medium` and a `single` form may be missing.
    """
    short, full = (inspect.getattr_static(spec, form) for form in ("short", "full"))
    others = (inspect.getattr_static(spec, form, None) for form in ("medium", "single"))
    parameters = tuple(inspect.signature(full).parameters)
    return Elementary(spec.__name__, inspect.getdoc(spec) or "", parameters, short, full, *others)


@cache
def catalogue() -> dict[str, Elementary]:
    """Every function of specs/elementary by name."""
    found: dict[str, Elementary] = {}
    for path in sorted((resources.specs() / "elementary").glob("*.py")):
        for value in runpy.run_path(str(path)).values():
            if isinstance(value, Elementary):
                found[value.name] = value
    return found


@cache
def graph_of(primitive: str) -> ScalarFunction:
    """The graph behind a primitive's name, such as ``exp_low``."""
    spec, part = _named(primitive)
    return spec.graph(part)


def _named(primitive: str) -> tuple[Elementary, str]:
    for part, suffix in SUFFIXES.items():
        name = primitive.removesuffix(suffix) if suffix else primitive
        if primitive.endswith(suffix) and name in catalogue():
            return catalogue()[name], part
    raise KeyError(primitive)


def evaluate(primitive: str, arrays: tuple[Any, ...]) -> Any:
    """A primitive at arrays of float64, by the operations of its graph."""
    (found,) = _loop(primitive)(*arrays)
    return found


@cache
def _loop(primitive: str) -> Callable[..., tuple[Any, ...]]:
    return loop(graph_of(primitive).parameters, [_whole(primitive)])


@cache
def _whole(primitive: str) -> Node:
    """The graph of a primitive with those of the primitives that it calls in place."""
    return _with(graph_of(primitive).results[0], {})


def _with(result: Node, bound: Mapping[str, Node]) -> Node:
    """A graph with nodes in place of its variables, and without calls."""
    made: dict[Node, Node] = {}
    for n in topological([result]):
        given = [made[a] for a in n.args]
        if n.op == "call":
            inner = dict(zip(graph_of(n.value).parameters, given, strict=True))
            made[n] = _with(_whole(n.value), inner)
        elif n.op == "var":
            made[n] = bound.get(n.value, n)
        else:
            made[n] = node(n.op, *given, value=n.value)
    return made[result]
