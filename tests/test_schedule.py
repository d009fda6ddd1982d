"""Scheduling: NaN comes out where one goes in, minus zero keeps its sign, and guards are added only where needed."""

from __future__ import annotations

import math

import numpy as np
import pytest

from symgen.kernel import KernelError, Node, ScalarFunction, call, const, node, select, topological, var
from symgen.schedule import finish

X, A = var("x"), var("a")
RELU = select(node("lt", const(0.0), X), X, const(0.0))
STEP = select(node("le", const(0.0), X), const(1.0), const(0.0))


def scheduled(result: Node, below_zero: float | None = None, settings: object = ({},)) -> ScalarFunction:
    parameters = ("x",) if settings == ({},) else ("x", "a")
    return finish("f", parameters, "x", result, settings, below_zero)


def at(function: ScalarFunction, *values: float) -> float:
    return float(function.evaluate([np.float64(v) for v in values])[0])


def operations(function: ScalarFunction) -> list[str]:
    return [n.op for n in topological(function.results)]


@pytest.mark.parametrize("result", [RELU, STEP, const(2.0)], ids=["relu", "step", "constant"])
def test_a_graph_that_would_swallow_nan_gets_a_guard(result: Node) -> None:
    """NaN comes out, with its payload, and nothing else changes."""
    assert not math.isnan(at(ScalarFunction("f", ("x",), (result,)), math.nan))
    function = scheduled(result)
    assert math.isnan(at(function, math.nan))
    assert "ne" in operations(function)
    for value in (-math.inf, -1.0, -5e-324, 0.0, 1.0, math.inf):
        assert at(function, value) == at(ScalarFunction("f", ("x",), (result,)), value)


@pytest.mark.parametrize("result", [call("exp", X), X * X + const(1.0), select(node("lt", X, const(0.0)), -X, X)])
def test_a_graph_that_passes_nan_through_is_left_alone(result: Node) -> None:
    """No test is printed that the arithmetic does not need."""
    function = scheduled(result)
    assert function.results == (result,)


def test_a_guard_is_needed_if_any_setting_of_the_parameters_needs_it() -> None:
    """a where a < 1, else x: at a = 0 the NaN would be lost, at a = 2 it would not."""
    result = select(node("lt", A, const(1.0)), A, X)
    assert scheduled(result, settings=({"a": 2.0},)).results == (result,)
    function = scheduled(result, settings=({"a": 2.0}, {"a": 0.0}))
    assert math.isnan(at(function, math.nan, 0.0))
    assert at(function, 3.0, 0.0) == 0.0


@pytest.mark.parametrize(("below_zero", "sign"), [(-1.0, -1.0), (1.0, 1.0)])
def test_minus_zero_takes_the_sign_of_the_function_below_zero(below_zero: float, sign: float) -> None:
    """Where the value is zero at zero, f(-0) is -0 for a rising function and +0 for a falling one."""
    lost = const(0.0) + (X if below_zero < 0 else -X)
    function = scheduled(lost, below_zero)
    assert math.copysign(1, at(function, -0.0)) == sign
    assert math.copysign(1, at(function, 0.0)) == -math.copysign(1, at(function, -0.0)) or below_zero > 0
    assert at(function, 2.0) == at(ScalarFunction("f", ("x",), (lost,)), 2.0)


def test_plus_zero_follows_the_other_side() -> None:
    """A rising function that is zero at zero is +0 at +0."""
    function = scheduled(const(0.0) + X, -1.0)
    assert math.copysign(1, at(function, 0.0)) == 1
    assert "eq" in operations(function)


@pytest.mark.parametrize(("result", "below_zero"), [(X * const(0.5), -1.0), (-X, 1.0), (X * X, 1.0), (RELU, None)])
def test_a_sign_of_zero_that_is_right_already_costs_nothing(result: Node, below_zero: float | None) -> None:
    """Odd arithmetic keeps the sign by itself, and where the truth does not say, nothing is asked."""
    assert "eq" not in operations(scheduled(result, below_zero))


def test_nan_and_minus_zero_together() -> None:
    """Both guards on one graph, for every setting."""
    result = select(node("lt", A, const(0.0)), const(0.0), const(0.0) + X * A)
    function = scheduled(result, -1.0, settings=({"a": 0.5}, {"a": 2.0}))
    for a in (0.5, 2.0):
        assert math.isnan(at(function, math.nan, a))
        assert math.copysign(1, at(function, -0.0, a)) == -1
        assert at(function, 3.0, a) == 3.0 * a


def test_a_graph_with_an_unknown_variable_is_a_bug_that_is_caught() -> None:
    """The result is verified: a kernel never reads what is not a parameter."""
    with pytest.raises((KernelError, KeyError), match="b"):
        finish("f", ("x",), "x", X + var("b"), ({},))


def test_the_name_and_the_parameters_are_kept() -> None:
    """What the backend prints is what was asked for."""
    function = finish("value_f64", ("x", "a"), "x", X + A, ({"a": 1.0},))
    assert (function.name, function.parameters) == ("value_f64", ("x", "a"))
