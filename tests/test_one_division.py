"""Fewer divisions for float32 results: what they are brought over is right, moderate, and cheaper."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given, settings

from symgen.backends.one_division import once_divided
from symgen.cost import cost
from symgen.kernel import Node, ScalarFunction, call, const, fma, node, select, topological, var
from tests.test_device_graph import RANDOM, chosen

x, y = var("x"), var("y")
ONE = const(1.0)
E = call("exp", -abs(x))
BELOW = ONE + E
Q = E / BELOW
S = select(node("le", const(0.0), x), ONE, E) / BELOW


def divisions(*results: Node) -> int:
    return sum(n.op == "div" for n in topological(results))


@pytest.mark.parametrize(
    "result",
    [
        x * (Q + ONE) * S / (Q * Q + ONE),
        (x * const(4.0) * Q * Q / (Q * Q + ONE) + Q + ONE) * S / (Q * Q + ONE),
        S + x * S * Q,
        fma(S, x * Q, S),
        Q - x / (const(2.0) + E),
        -(S * Q),
        (x * Q + const(500.0)) / const(500.0) * S,
        Q / (S + const(0.25)),
    ],
)
def test_one_division_gives_the_same_float32(result: Node) -> None:
    (found,) = once_divided([result])
    assert divisions(found) == 1 < divisions(result)
    at = np.linspace(-90, 90, 20_011).astype(np.float32).astype(float)
    got, want = (np.array(ScalarFunction("f", ("x",), (n,)).evaluate([at])[0]) for n in (found, result))
    terms = (1 + np.abs(at)) * np.exp(-np.abs(at))  # which may cancel
    assert (np.abs(got - want) <= 2.0**-48 * (np.abs(want) + terms)).all()


def test_value_and_slope_have_one_inverse() -> None:
    value, slope = once_divided([S, S * Q])
    assert divisions(value, slope) == 1
    assert divisions(S, S * Q) == 2


@pytest.mark.parametrize(
    "result",
    [
        x / (ONE + x * x),  # alone already
        E / (x * x) + E / (ONE + E),  # by what may be zero
        E / (ONE + call("exp", x)) + Q,  # by what may be infinite
        call("exp", Q) / BELOW,  # of what a function needs as a number
        select(x < const(0.0), Q, x / (const(2.0) + E)),  # of which only one is needed
    ],
)
def test_what_cannot_be_brought_over_one_division_stays(result: Node) -> None:
    assert once_divided([result]) == (result,)


def test_a_quotient_that_is_needed_as_a_number_is_not_divided_twice() -> None:
    result = call("exp", Q) * Q
    assert once_divided([result]) == (result,)


def test_denominators_stay_in_a_moderate_range() -> None:
    """Of many terms some stay quotients: the product of all denominators would grow without end."""
    terms = [x / (const(1000.0 * k) + E) for k in range(1, 21)]
    (found,) = once_divided([sum(terms[1:], terms[0])])
    assert 2 <= divisions(found) <= 10
    assert cost([found]) < cost([sum(terms[1:], terms[0])])


@settings(max_examples=60, **RANDOM)
@given(chosen())
def test_whatever_is_brought_over_one_division_is_what_it_was(function: ScalarFunction) -> None:
    """Of random graphs: where all numbers are finite and nothing cancels, results agree to a few roundings."""
    assume(all(n.op != "inverse" for n in topological(function.results)))
    found = once_divided(function.results)
    at = [np.array([0.25, 1.5, 3.0]), np.array([0.75, 2.0, 0.5])]
    want = function.evaluate(at)
    got = ScalarFunction("f", function.parameters, found).evaluate(at)
    for a, b in zip(got, want, strict=True):
        assert np.array_equal(np.isfinite(a), np.isfinite(b))
        np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-12)
