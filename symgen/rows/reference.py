"""Truth for rows: a definition as it is written, on concrete arrays, in ball arithmetic with a tape for its gradients.

It walks the spec's own formula, sums and all, and never sees a Stage or a rewritten form; its calculus is a scalar tape
over balls, not the one of `symgen.rows.adjoint`. Precision is doubled until every ball is narrow.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import numpy as np
import sympy as sp
from flint import arb
from sympy import Expr, Symbol

from symgen import heads, vocabulary
from symgen.oracle import working_precision
from symgen.oracle_balls import OracleError
from symgen.rows.indices import axis_of, loops, size
from symgen.spec.axes import AxisMax, AxisMin
from symgen.spec.model import along_list

LADDER = (128, 256, 512, 1024, 2304)
ENOUGH = 64  # bits that a ball has to be right to
Arrays = Mapping[str, Any]


@dataclass(eq=False)
class Number:
    """A ball, and how it depends on the balls that it was made of."""

    value: arb
    parents: tuple[tuple[Number, arb], ...] = ()
    slope: arb = field(default_factory=lambda: arb(0))


# value and partial derivatives, from the arguments u, ... and the value f
TABLE: dict[type, tuple[Callable[..., arb], Callable[..., tuple[arb, ...]]]] = {
    sp.exp: (lambda u: u.exp() if u.is_finite() else arb(0) if u < 0 else u, lambda f, u: (f,)),
    sp.log: (lambda u: u.log(), lambda f, u: (1 / u,)),
    sp.sin: (lambda u: u.sin(), lambda f, u: (u.cos(),)),
    sp.cos: (lambda u: u.cos(), lambda f, u: (-u.sin(),)),
    sp.tanh: (lambda u: u.tanh(), lambda f, u: (1 - f * f,)),
    sp.tan: (lambda u: u.tan(), lambda f, u: (1 + f * f,)),
    sp.atan: (lambda u: u.atan(), lambda f, u: (1 / (1 + u * u),)),
    sp.asin: (lambda u: u.asin(), lambda f, u: (1 / (1 - u * u).sqrt(),)),
    sp.acos: (lambda u: u.acos(), lambda f, u: (-1 / (1 - u * u).sqrt(),)),
    sp.acosh: (lambda u: u.acosh(), lambda f, u: (1 / (u * u - 1).sqrt(),)),
    sp.atanh: (lambda u: u.atanh(), lambda f, u: (1 / (1 - u * u),)),
    sp.sinh: (lambda u: u.sinh(), lambda f, u: (u.cosh(),)),
    sp.cosh: (lambda u: u.cosh(), lambda f, u: (u.sinh(),)),
    sp.asinh: (lambda u: u.asinh(), lambda f, u: (1 / (1 + u * u).sqrt(),)),
    sp.erf: (lambda u: u.erf(), lambda f, u: (2 * (-u * u).exp() / arb.pi().sqrt(),)),
    sp.erfc: (lambda u: u.erfc(), lambda f, u: (-2 * (-u * u).exp() / arb.pi().sqrt(),)),
    sp.loggamma: (lambda u: u.lgamma(), lambda f, u: (u.digamma(),)),
    sp.Abs: (abs, lambda f, u: (_sign(u),)),
    sp.sign: (lambda u: arb(1) if u > 0 else arb(-1) if u < 0 else arb(0), lambda f, u: (arb(0),)),
    vocabulary.sigmoid: (lambda u: 1 / (1 + (-u).exp()), lambda f, u: (f * (1 - f),)),
}


def _sign(u: arb) -> arb:
    return arb(1) if u > 0 else arb(-1) if u < 0 else arb(0)


@dataclass
class Walk:
    """One evaluation of a formula: where the indices stand, and what was computed already."""

    arrays: Mapping[str, Any]  # nested lists of Number, or of int for positions
    lengths: Mapping[str, int]
    known: dict[tuple[Any, ...], Number] = field(default_factory=dict)
    order: list[Number] = field(default_factory=list)

    def make(self, value: arb, *parents: tuple[Number, arb]) -> Number:
        number = Number(value, parents)
        self.order.append(number)
        return number

    def at(self, e: Any, where: Mapping[Symbol, int]) -> Number:
        key = (e, *((i, where[i]) for i in _facts(e)[0] if i in where))
        if key not in self.known:
            self.known[key] = self._at(e, where)
        return self.known[key]

    def position(self, e: Any, where: Mapping[Symbol, int]) -> int:
        if e in where:
            return where[e]
        if e.is_Integer:
            return int(e)
        found = self.lookup(e, where)
        return int(found if isinstance(found, int) else float(found.value.mid()))

    def lookup(self, e: Any, where: Mapping[Symbol, int]) -> Any:
        found = self.arrays[str(e.base) if isinstance(e, sp.Indexed) else str(e)]
        for i in e.indices if isinstance(e, sp.Indexed) else ():
            found = found[self.position(i, where)]
        return found

    def _at(self, e: Any, where: Mapping[Symbol, int]) -> Number:
        if e in where:
            return self.make(arb(where[e]))
        if isinstance(e, sp.Indexed) or (isinstance(e, Symbol) and str(e) in self.arrays):
            found = self.lookup(e, where)
            return found if isinstance(found, Number) else self.make(arb(found))
        if isinstance(e, Symbol):
            return self.make(arb(self.lengths[str(e).strip("|")]))
        if _facts(e)[1]:
            return self.make(_constant(e))
        for kinds, rule in self.RULES:
            if isinstance(e, kinds):
                return rule(self, e, where)
        if type(e) in TABLE:
            value, partials = TABLE[type(e)]
            arguments = [self.at(a, where) for a in e.args]
            result = value(*(a.value for a in arguments))
            slopes = partials(result, *(a.value for a in arguments))
            return self.make(result, *zip(arguments, slopes, strict=True))
        raise OracleError(f"the oracle of rows has no ball arithmetic for {type(e).__name__} in {e}")

    def add(self, e: Expr, where: Mapping[Symbol, int]) -> Number:
        terms = [self.at(a, where) for a in e.args]
        return self.make(_total([t.value for t in terms]), *((t, arb(1)) for t in terms))

    def multiply(self, e: Expr, where: Mapping[Symbol, int]) -> Number:
        return self._product([self.at(a, where) for a in e.args])

    def _product(self, factors: Sequence[Number]) -> Number:
        before, after = [arb(1)], [arb(1)]
        for f in factors:
            before.append(before[-1] * f.value)
        for f in reversed(factors):
            after.append(after[-1] * f.value)
        count = len(factors)
        slopes = [before[i] * after[count - 1 - i] for i in range(count)]
        return self.make(before[-1], *zip(factors, slopes, strict=True))

    def power(self, e: Expr, where: Mapping[Symbol, int]) -> Number:
        base, exponent = self.at(e.base, where), self.at(e.exp, where)
        b, n = base.value, exponent.value
        if b.is_zero() and n > 0:  # a norm at zero: its derivative is zero by convention
            return self.make(arb(0), (base, arb(1) if n == 1 else arb(0)))
        value = b**n
        parents = [(base, n * b ** (n - 1))]
        return self.make(value, *(parents if e.exp.is_number else [*parents, (exponent, value * b.log())]))

    def cases(self, e: Expr, where: Mapping[Symbol, int]) -> Number:
        return self.at(e.then if self.truth(e.condition, where) else e.otherwise, where)

    def truth(self, c: Any, where: Mapping[Symbol, int]) -> bool:
        if c in (sp.true, sp.false):
            return bool(c)
        if isinstance(c, sp.And | sp.Or):
            return (all if isinstance(c, sp.And) else any)(self.truth(a, where) for a in c.args)
        if isinstance(c, sp.Not):
            return not self.truth(c.args[0], where)
        a, b = (self.at(side, where).value for side in c.args)
        if isinstance(c, sp.Eq | sp.Ne):
            return bool((a - b).contains(0)) == isinstance(c, sp.Eq)
        return bool({sp.Gt: a > b, sp.Ge: not a < b, sp.Lt: a < b, sp.Le: not a > b}[type(c)])

    def first(self, e: Expr, where: Mapping[Symbol, int]) -> Number:
        a, b = (self.at(x, where) for x in e.args)
        if isinstance(e, heads.first_max):
            return b if b.value > a.value else a
        return b if b.value < a.value else a

    def shared(self, e: Expr, where: Mapping[Symbol, int]) -> Number:
        return self._extreme([self.at(x, where) for x in e.args], isinstance(e, heads.maximum))

    def _extreme(self, found: Sequence[Number], most: bool) -> Number:
        best = found[0]
        for f in found[1:]:
            best = f if (f.value > best.value if most else f.value < best.value) else best
        ties = [f for f in found if (f.value - best.value).contains(0)]
        return self.make(best.value, *((t, arb(1) / len(ties)) for t in ties))

    def weighted(self, e: Expr, where: Mapping[Symbol, int]) -> Number:
        w = self.at(e.args[0], where)
        if w.value.is_zero():
            return self.make(arb(0))
        return self._product([w, self.at(e.args[1], where)])

    def straight(self, e: Expr, where: Mapping[Symbol, int]) -> Number:
        return self.make(self.at(e.args[0], where).value, (self.at(e.args[1], where), arb(1)))

    def reduction(self, e: Expr, where: Mapping[Symbol, int]) -> Number:
        body, bound = (e.function, [limit[0] for limit in e.limits]) if not isinstance(e, AxisMax | AxisMin) else (
            e.args[0], [e.args[1]])
        runs: list[dict[Symbol, int]] = [{}]
        for k in bound:
            known = size(k.name)
            count = int(known) if known.is_Integer else self.lengths[axis_of(k.name)]
            runs = [{**r, k: j} for r in runs for j in range(count)]
        found = [self.at(body, {**where, **r}) for r in runs]
        if isinstance(e, sp.Sum):
            return self.make(_total([f.value for f in found]), *((f, arb(1)) for f in found))
        if isinstance(e, sp.Product):
            return self._product(found)
        return self._extreme(found, isinstance(e, AxisMax))

    RULES = (
        ((sp.Add,), add), ((sp.Mul,), multiply), ((sp.Pow,), power), ((heads.Cases,), cases),
        ((heads.first_max, heads.first_min), first), ((heads.maximum, heads.minimum), shared),
        ((heads.weighted,), weighted), ((heads.straight_through,), straight),
        ((sp.Sum, sp.Product, AxisMax, AxisMin), reduction),
    )  # fmt: skip


@lru_cache(maxsize=1 << 12)  # the same at every point
def _facts(e: Any) -> tuple[tuple[Symbol, ...], bool]:
    """The indices that a part of a formula depends on, and whether it is a number."""
    return (loops(e), bool(e.is_number)) if isinstance(e, Expr) else ((), False)


def _total(values: Sequence[arb]) -> arb:
    total = arb(0)
    for v in values:
        total = total + v
    return total


def _constant(e: Expr) -> arb:
    if e is sp.oo or e is -sp.oo:
        return arb("inf") if e is sp.oo else arb("-inf")
    if e.is_Rational:
        return arb(int(e.p)) / int(e.q)
    known = {sp.pi: arb.pi(), sp.E: arb(1).exp()}
    if e in known:
        return known[e]
    if isinstance(e, sp.Pow):
        return _constant(e.base) ** _constant(e.exp)
    if isinstance(e, sp.log):
        return _constant(e.args[0]).log()
    if isinstance(e, sp.Mul | sp.Add):
        found = [_constant(a) for a in e.args]
        result = found[0]
        for f in found[1:]:
            result = result * f if isinstance(e, sp.Mul) else result + f
        return result
    raise OracleError(f"the oracle of rows does not know the constant {e}")


def truth(formula: Expr, arrays: Arrays, lengths: Mapping[str, int], cotangent: Any = None,
          wrt: Sequence[str] = (), ladder: Sequence[int] = LADDER) -> tuple[Any, dict[str, Any]]:
    """The value of a definition on one sample, and the gradients of ``sum(g * value)``, to more digits than float64.

    Args:
        formula: of a variant, as the spec says it.
        arrays: operands and options by name; arrays of integers are positions.
        lengths: of the axes by name.
        cotangent: g, of the shape of the value; none if only the value is wanted.
        wrt: the operands in which gradients are wanted.
        ladder: bits to compute with, more and more; an entry that is not told by the most of them is NaN if they are
            fewer than `LADDER` has.

    Returns:
        The value and the gradients as pairs of float64 arrays, rounded and what is missing.
    """
    for bits in ladder:
        with working_precision(bits):
            value, gradients = _run(formula, arrays, lengths, cotangent, wrt)
            balls = [v for found in (value, *gradients.values()) for v in found.ravel()]
            if all(_narrow(b) for b in balls) or bits == ladder[-1]:
                told = bits < LADDER[-1]
                return _pair(value, told), {n: _pair(v, told) for n, v in gradients.items()}
    raise AssertionError


def _narrow(b: arb) -> bool:
    return not b.is_finite() or b.is_zero() or b.rel_accuracy_bits() > ENOUGH or abs(b).upper() < arb(2) ** -1200


def _pair(found: Any, told: bool = False) -> tuple[Any, Any]:
    """Balls as float64 and what is missing; NaN for wide ones if only what is told is wanted."""
    known = [b if not told or _narrow(b) else arb("nan") for b in found.ravel()]
    high = np.array([float(b.mid()) if b.is_finite() else float(b) for b in known])
    low = np.array([float((b - h).mid()) if np.isfinite(h) else 0.0 for b, h in zip(known, high, strict=True)])
    return high.reshape(found.shape), low.reshape(found.shape)


def _leaves(value: Any, whole: bool) -> Any:
    if np.ndim(value):
        return [_leaves(v, whole) for v in value]
    return int(value) if whole else Number(arb(float(value)))


def _run(formula: Expr, arrays: Arrays, lengths: Mapping[str, int], cotangent: Any, wrt: Sequence[str]
         ) -> tuple[Any, dict[str, Any]]:
    lengths = {**lengths, **lists(arrays)}
    leaves = {n: _leaves(v, np.asarray(v).dtype.kind in "iub") for n, v in arrays.items()}
    walk = Walk(leaves, lengths)
    axes = loops(formula)
    shape = tuple(lengths[axis_of(i.name)] for i in axes)
    outputs = [walk.at(formula, dict(zip(axes, place, strict=True))) for place in np.ndindex(shape)]
    value = _objects([o.value for o in outputs], shape)
    if cotangent is None:
        return value, {}
    for output, g in zip(outputs, np.asarray(cotangent, float).ravel(), strict=True):
        output.slope = output.slope + arb(float(g))
    for number in reversed(walk.order):
        if not number.slope.is_zero():
            for parent, slope in number.parents:
                if not slope.is_zero():
                    parent.slope = parent.slope + number.slope * slope
    gradients = {}
    for name in wrt:
        flat = [x.slope for x in _flat(leaves[name])]
        gradients[name] = _objects(flat, np.shape(arrays[name]))
    return value, gradients


def lists(arrays: Arrays) -> dict[str, int]:
    """The lengths of the axes that run along lists of classes, each of which ends at its first negative number."""
    found = {n: a for n, a in arrays.items() if np.ndim(a) and np.asarray(a).dtype.kind == "i"}
    return {along_list(n).name: int(np.argmax(np.append(a, -1) < 0)) for n, a in found.items()}


def _flat(leaves: Any) -> list[Number]:
    return [x for part in leaves for x in _flat(part)] if isinstance(leaves, list) else [leaves]


def _objects(found: Sequence[arb], shape: tuple[int, ...]) -> Any:
    result = np.empty(len(found), dtype=object)
    result[:] = found
    return result.reshape(shape)
