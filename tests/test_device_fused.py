"""What spares a GPU instructions: products and sums in one operation are no worse, and guards go where they hold."""

from __future__ import annotations

from math import inf

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from symgen.arithmetic import COMPENSATED, Pair, computing_in
from symgen.backends.device_fused import fused, unguarded
from symgen.kernel import Node, ScalarFunction, call, const, fma, node, select, topological, var
from tests.test_device_graph import RANDOM, chosen, same, values

u, v, w = var("x"), var("y"), var("z")
ZERO = const(0.0)
FINITE = const(inf)


def guarded(low: Node, then: Node, otherwise: Node) -> Node:
    return select(node("eq", low - low, ZERO), then, otherwise)


@pytest.mark.parametrize(
    ("plain", "wanted"),
    [
        (u * v + w, fma(u, v, w)),
        (w + u * v, fma(u, v, w)),
        (u * v - w, fma(u, v, -w)),
        (w - u * v, fma(-u, v, w)),
        (w + -(u * v), fma(-u, v, w)),
        (w + u * const(0.5) * v, fma(u * const(0.5), v, w)),
        (fma(u, v, w) + u * w, fma(u, w, fma(u, v, w))),
    ],
)
def test_a_product_that_one_sum_needs_is_fused(plain: Node, wanted: Node) -> None:
    assert fused((plain,)) == (wanted,)


def test_a_product_that_its_error_needs_too_stays() -> None:
    """A sum of a product without error: what rounding the product has lost is known of that product alone."""
    product = u * v
    total = product + w
    whole = (total, w - (total - product))
    assert fused(whole) == whole
    assert fused((u * v + w, u * v)) == (u * v + w, u * v)


def test_two_products_are_left_to_cancel() -> None:
    """x*y - y*x is zero, which it would not be if one of them were not rounded."""
    first, second = node("mul", u, v), node("mul", v, u)
    assert fused((first - second,)) == (first - second,)
    assert fused((first + -second,)) == (first + -second,)


def test_errors_of_sums_and_products_stay_what_they_are() -> None:
    """The square of a pair in float32, with what it is missing: to twice the precision after fusing as before."""
    with computing_in(np.float32):
        pair = Pair(u, v * const(2.0**-25))
        whole = COMPENSATED.normal(COMPENSATED.add(COMPENSATED.mul(pair, pair), Pair(v)))
    assert whole.low is not None
    changed = ScalarFunction("f", ("x", "y"), fused((whole.high, whole.low)))
    x, y = np.random.default_rng(3).normal(size=(2, 4096)).astype(np.float32)
    high, low = changed.evaluate([x, y], dtype=np.float32)
    wide = (x + y.astype(np.longdouble) * 2.0**-25) ** 2 + y
    assert np.all(np.abs(high.astype(np.longdouble) + low - wide) <= (x.astype(np.float64) ** 2 + np.abs(y)) * 2.0**-44)
    assert len(topological(changed.results)) < len(topological((whole.high, whole.low)))


@settings(max_examples=60, **RANDOM)
@given(chosen(), st.data())
def test_what_is_not_guarded_keeps_every_bit(function: ScalarFunction, data: st.DataObject) -> None:
    """With guards of numbers drawn from a random graph: infinite ones, NaN, and what operands make NaN."""
    numbers = [n for n in topological(function.results) if n.op not in ("lt", "le", "eq")]
    low, high = (data.draw(st.sampled_from(numbers)) for _ in range(2))
    whole = ScalarFunction("f", function.parameters, (*function.results, guarded(low, high + low, high)))
    same(values(ScalarFunction("f", function.parameters, unguarded(whole.results))), values(whole))


def test_a_guard_of_what_is_a_number_goes() -> None:
    e = call("exp", -abs(u))
    assert unguarded((guarded(e, e + u, u),)) == (e + u,)


@pytest.mark.parametrize(
    ("low", "otherwise"),
    [
        (call("exp", u), u),  # overflows
        (u - u, u),  # NaN for an infinite operand
        (call("exp", -abs(v)), u),  # NaN for one that the number does not carry
        (call("exp", -abs(u)), select(u < ZERO, u, v)),  # nor here, where it may be the other
        (ZERO * abs(u), u),  # NaN for an infinite one, too
        (call("exp", -abs(u)) / (u * u), u),  # by zero
    ],
)
def test_a_guard_that_may_not_hold_stays(low: Node, otherwise: Node) -> None:
    """And asks for a size, which is one operation less."""
    (kept,) = unguarded((guarded(low, otherwise + low, otherwise),))
    size = low if low.op == "abs" else abs(low)
    assert kept == select(node("lt", size, FINITE), otherwise + low, otherwise)


def test_bounds_that_are_given_count() -> None:
    low = const(1.0) / v
    whole = (guarded(low, v + low, v),)
    assert unguarded(whole, {v: (1.0, 2.0**32)}) == (v + low,)
    assert unguarded(whole) != (v + low,)
