"""What is rewritten for a GPU computes what it did: bounds hold, branches and joins keep every bit."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from symgen.arithmetic import COMPENSATED, Pair, computing_in
from symgen.backends.bounds import bounds
from symgen.backends.branches import arms, branches
from symgen.backends.device_graph import joined, near, plain, quick
from symgen.backends.numba_cpu import DIALECT
from symgen.backends.python_text import print_graph
from symgen.kernel import ScalarFunction, call, const, node, select, topological, var
from tests.test_python_text import compiled, graphs

u, v = var("x"), var("y")
SPECIAL = np.array([-np.inf, -3e38, -3.75, -1.0, -1e-45, -0.0, 0.0, 1e-45, 0.1, 1.0, 2.5, 1e16, np.inf, np.nan])
A, B = (a.ravel() for a in np.meshgrid(SPECIAL, SPECIAL))
RANDOM = {"deadline": None, "suppress_health_check": list(HealthCheck), "derandomize": True}


def values(function: ScalarFunction) -> np.ndarray:
    return np.array(function.evaluate([A, B], dtype=np.float32))


def same(got: np.ndarray, want: np.ndarray) -> None:
    np.testing.assert_array_equal(got, want)
    number = ~np.isnan(want)
    np.testing.assert_array_equal(np.signbit(got[number]), np.signbit(want[number]))


@st.composite
def chosen(draw: st.DrawFn) -> ScalarFunction:
    """A random graph with functions, and selections among its nodes."""
    made = draw(graphs())
    numbers, (x, y) = list(made.results), map(var, made.parameters)
    for k in range(draw(st.integers(1, 4))):
        a, b, c = (draw(st.sampled_from(numbers)) for _ in range(3))
        condition = draw(st.sampled_from([x < const(0.5), x < y, node("le", const(0.0), abs(y)), y < -abs(x)]))
        first = call("exp", -abs(a)) * (c + const(float(k)))
        numbers.append(select(condition, first, call("exp", b) / (const(1.0) + call("exp", -abs(c)))))
    return ScalarFunction("graph", made.parameters, tuple(numbers[-2:]))


@settings(max_examples=60, **RANDOM)
@given(chosen())
def test_what_is_left_out_or_joined_changes_no_bit(function: ScalarFunction) -> None:
    want = values(function)
    for rewrite in (plain, joined):
        same(values(ScalarFunction("graph", function.parameters, rewrite(function.results))), want)


@settings(max_examples=60, **RANDOM)
@given(chosen())
def test_numbers_lie_within_their_bounds(function: ScalarFunction) -> None:
    found, computed = bounds(function.results), {}
    function.evaluate([A, B], computed, keeping=max(A.size, B.size))
    for n in topological(function.results):
        if n.args and n.op not in ("lt", "le", "eq", "ne", "and", "or", "not"):
            got = np.asarray(computed[n], np.float64)
            low, high = found[n]
            assert np.all((low <= got) & (got <= high) | np.isnan(got)), (n.op, low, high)


@settings(max_examples=20, **RANDOM)
@given(chosen())
def test_branches_compute_what_selections_do(function: ScalarFunction) -> None:
    """Every selection as a branch, in a printed and compiled graph."""
    kernel, want = compiled(function, arms(function.results)), function.evaluate([A, B])
    got = np.array([kernel(p, q) for p, q in zip(A, B, strict=True)]).T
    plainly = compiled(function)
    same(got, np.array([plainly(p, q) for p, q in zip(A, B, strict=True)]).T)
    assert got.shape == np.array(want).shape


def test_a_seldom_arm_is_computed_under_a_branch() -> None:
    far = call("exp", u * const(0.5)) * call("log", -u)
    function = ScalarFunction("f", ("x",), (select(u < const(-50.0), far, u * u),))
    text = print_graph(function, DIALECT, branches(function, {}))
    assert text.statements[0] == "if x < -50.0:"
    assert [s for s in text.statements if not s.startswith(" ")] == ["if x < -50.0:", "else:"]


def test_an_arm_that_every_warp_takes_is_not() -> None:
    near_by = select(u < const(-0.5), call("exp", u), call("log", u))
    assert branches(ScalarFunction("f", ("x",), (near_by,)), {}) == {}


def test_an_option_parts_no_threads() -> None:
    chosen = select(v < const(0.5), call("exp", u), call("log", u))
    assert len(branches(ScalarFunction("f", ("x", "y"), (chosen,)), {"y": 1.0})) == 1


def test_a_function_of_both_arms_is_called_once() -> None:
    either = select(u < const(0.0), call("exp", u) * u, v - call("exp", v))
    calls = [n for n in topological(joined((either,))) if n.op == "call"]
    assert [n.args for n in calls] == [(select(u < const(0.0), u, v),)]


def test_of_two_functions_that_differ_in_what_they_tell_the_finer_one_is_called_once() -> None:
    """Its low part goes with it; where somebody else asks for that, each is called."""
    high, low = call("log1p_sum", u, v), call("log1p_sum_low", u, v)
    condition = u < const(0.0)
    (found,) = joined((select(condition, call("log1p", v) * u, high + low),))
    arguments = select(condition, v, u), select(condition, const(0.0), v)
    whole = call("log1p_sum", *arguments)
    assert found is select(condition, whole * u, whole + call("log1p_sum_low", *arguments))
    kept = select(condition, call("log1p", v) * u, high) + low
    assert joined((kept,)) == (kept,)


def test_what_one_arm_computes_from_the_other_is_not_joined() -> None:
    first = call("exp", u)
    both = select(u < const(0.0), call("exp", select(u < const(0.0), v, first)), first)
    same(values(ScalarFunction("f", ("x", "y"), joined((both,)))), values(ScalarFunction("f", ("x", "y"), (both,))))


def test_a_function_that_tells_what_it_loses_is_called_alone() -> None:
    """Where the finest exponential of a number is there, no other is computed of it; of other numbers they stay."""
    whole = ScalarFunction("f", ("x",), (call("exp", u) * call("exp_fine", u) + call("exp", v),))
    (found,) = plain(whole.results)
    assert found is call("exp_fine", u) * call("exp_fine", u) + call("exp", v)


def test_signs_that_cancel_are_left_out() -> None:
    assert plain(((-u) * (-v) + abs(u) * abs(u) * const(1.0),)) == (u * v + u * u,)


def test_a_condition_that_never_holds_is_no_selection() -> None:
    assert plain((select(const(0.0) < -abs(u), u, v),)) == (v,)


@pytest.mark.parametrize("comparison", ["le", "eq"])
def test_a_condition_that_holds_at_an_end_of_its_bounds_stays(comparison: str) -> None:
    """What is at most zero, or equal to it, may be: only what is below it never is."""
    at_zero = select(node(comparison, abs(u), const(0.0)), const(7.0), v)
    (kept,) = plain([at_zero])
    same(values(ScalarFunction("f", ("x", "y"), (kept,))), values(ScalarFunction("f", ("x", "y"), (at_zero,))))
    assert kept.op == "select"


@pytest.mark.parametrize("compensated", [False, True])
def test_quotients_by_moderate_numbers_are_as_good_by_their_inverse(compensated: bool) -> None:
    """1 / (1 + exp(-|x|)) in float32, where an inverse errs by two units; of a compensated one also the low part."""
    with computing_in(np.float32):
        e = call("exp", -abs(u))
        pair = COMPENSATED.div(Pair(const(1.0)), COMPENSATED.add(Pair(const(1.0)), Pair(e)))
        result = COMPENSATED.rounded(pair) if compensated else const(1.0) / (const(1.0) + e)
    changed = near((result,))
    assert not any(n.op == "div" for n in topological(changed))
    x = np.linspace(-20, 20, 9973).astype(np.float32).astype(np.float64)
    rng = np.random.default_rng(0)
    rough = {n: (1 / (1 + np.exp(-abs(x)))).astype(np.float32) for n in topological(changed) if n.op == "inverse"}
    error = (1 + rng.integers(-1, 2, x.size) * 2.0**-23).astype(np.float32)
    rough = {n: r * error for n, r in rough.items()}
    (got,) = ScalarFunction("f", ("x",), changed).evaluate([x], dict(rough), np.float32)
    truth = 1 / (1 + np.exp(-abs(x)).astype(np.float32).astype(np.float64))
    assert np.abs(got / truth - 1).max() <= (0.501 if compensated else 1.6) * 2.0**-23


def test_quotients_by_any_number_stay() -> None:
    assert near((u / v,)) == (u / v,)
    assert near((u / (const(1.0) + v),)) == (u / (const(1.0) + v),)


def test_a_quotient_that_a_result_takes_alone_stays_exact() -> None:
    """Its rest is in another result only, so that it takes a step of Newton's."""
    with computing_in(np.float32):
        below = const(1.0) + call("exp", -abs(u))
        pair = COMPENSATED.div(Pair(call("exp", -abs(v)), v * const(2.0**-30)), Pair(below))
        alone, whole = near((pair.high, COMPENSATED.rounded(pair)))
    assert alone.op == "fma"
    assert near((COMPENSATED.rounded(pair),)) != (whole,)


def test_a_division_that_an_arm_alone_needs_knows_what_the_arm_does() -> None:
    e = call("exp", -abs(u))
    guarded = select(e < const(2.0**-40), const(1.0), call("log1p", e) / e)
    assert not any(n.op == "div" for n in topological(quick((guarded,))))
    assert any(n.op == "div" for n in topological(quick((call("log1p", e) / e,))))


def test_what_one_condition_tells_of_a_division_another_does_not_take_back() -> None:
    """In whatever order selections stand around it."""
    e = call("exp", -abs(u))
    inner = select(e < const(2.0**-40), const(1.0), call("log1p", e) / e)
    outer = select(e < const(2.0**-40), const(1.0), select(v < const(0.5), v, call("log1p", e) / e))
    for guarded in (select(v < const(0.5), v, inner), outer):
        assert not any(n.op == "div" for n in topological(quick((guarded,))))
