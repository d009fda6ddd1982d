"""The kernel language: interning, order, evaluation by NumPy, and what `verify` refuses."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest

from symgen.kernel import (
    OPERATIONS,
    PRIMITIVES,
    SMALL,
    KernelError,
    Node,
    ScalarFunction,
    call,
    const,
    fma,
    node,
    select,
    topological,
    var,
    verify,
)

X, Y = var("x"), var("y")
VALUES = np.array([-np.inf, -1e308, -2.5, -1.0, -5e-324, -0.0, 0.0, 5e-324, 0.5, 1.0, 3.0, 1e308, np.inf, np.nan])


def function(*results: object, parameters: tuple[str, ...] = ("x", "y")) -> ScalarFunction:
    return ScalarFunction("f", parameters, results)


def test_equal_nodes_are_the_same_object() -> None:
    """A subexpression that is built twice is one node, so sharing is found by identity."""
    assert (X + Y) * const(2) is (X + Y) * const(2.0)
    assert X + Y is not Y + X


def test_constants_that_compare_equal_stay_apart() -> None:
    """Minus zero is not zero: the sign decides what a division by it gives."""
    assert const(-0.0) is not const(0.0)
    assert const(math.nan) is const(math.nan)


def test_operators_build_the_operations_of_their_names() -> None:
    """The Python operators on nodes are shorthand for the operations of the language."""
    built = [X + Y, X - Y, X * Y, X / Y, -X, abs(X)]
    assert [n.op for n in built] == ["add", "sub", "mul", "div", "neg", "abs"]


def test_select_of_equal_branches_is_the_branch() -> None:
    """A choice between equal values is no choice."""
    assert select(node("lt", X, Y), X, X) is X


def test_topological_order_puts_arguments_first_and_each_node_once() -> None:
    """Every argument stands before its user, no node twice, and the order is that of the arguments."""
    shared = X * Y
    order = topological([shared + X, shared - Y])
    place = {id(n): i for i, n in enumerate(order)}
    assert len(place) == len(order) == 5
    assert all(place[id(a)] < place[id(n)] for n in order for a in n.args)
    assert [n.op for n in order] == ["var", "var", "mul", "add", "sub"]


def test_what_is_known_is_left_out_of_the_order_with_all_that_only_it_needs() -> None:
    """A graph is walked no further than to nodes whose values are there already."""
    shared = abs(X) * Y
    assert [n.op for n in topological([shared + Y], {shared: None})] == ["var", "add"]


def test_known_values_are_taken_and_new_ones_left_behind() -> None:
    """Candidates evaluated one after the other compute what they share once."""
    shared, known = X * X, {}
    square = function(shared, parameters=("x",)).evaluate([VALUES], known)[0]
    known[shared] = known[shared] + 1.0
    (got,) = function(shared + X, parameters=("x",)).evaluate([VALUES], known)
    with np.errstate(invalid="ignore"):
        assert np.array_equal(got, square + 1.0 + VALUES, equal_nan=True)


def test_topological_order_of_a_deep_chain_needs_no_recursion() -> None:
    """A chain far longer than Python's stack is ordered too."""
    chain = X
    for _ in range(5000):
        chain = chain + Y
    assert len(topological([chain])) == 5002


@pytest.mark.parametrize("op", sorted(set(OPERATIONS) - {"const", "var", "call", "fma", "and", "or", "not", "select"}))
def test_each_operation_evaluates_as_numpy_does(op: str) -> None:
    """The meaning of an operation on every pair of special values is NumPy's."""
    a, b = (v.ravel() for v in np.meshgrid(VALUES, VALUES))
    arity = len(OPERATIONS[op].takes)
    result = node(op, *(X, Y)[:arity])
    result = select(result, const(1.0), const(0.0)) if OPERATIONS[op].gives == "b" else result
    (got,) = verify(function(result)).evaluate([a, b])
    with np.errstate(all="ignore"):
        np.testing.assert_array_equal(got, np.asarray(OPERATIONS[op].numpy(*(a, b)[:arity]), dtype=np.float64))


def test_conditions_combine_and_choose() -> None:
    """And, or, not and select follow the truth of comparisons; a NaN compares false."""
    inside = node("and", node("lt", const(0.0), X), node("not", node("le", const(1.0), X)))
    graph = select(node("or", inside, node("eq", X, const(3.0))), const(1.0), const(-1.0))
    (got,) = function(graph, parameters=("x",)).evaluate([VALUES])
    np.testing.assert_array_equal(got, np.where(((VALUES > 0) & ~(VALUES >= 1)) | (VALUES == 3), 1.0, -1.0))


def test_fma_rounds_once() -> None:
    """a*b + c is the exact value rounded once on a thousand random triples that nearly cancel."""
    rng = np.random.default_rng(1)
    a, b = rng.normal(size=(2, 1000))
    c = -a * b * (1 + rng.integers(-4, 5, 1000) * 2.0**-52)
    (got,) = function(fma(X, Y, var("z")), parameters=("x", "y", "z")).evaluate([a, b, c])
    exact = [float(Fraction(p) * Fraction(q) + Fraction(r)) for p, q, r in zip(a, b, c, strict=True)]
    np.testing.assert_array_equal(got, exact)


def test_fma_of_subnormal_numbers_rounds_once() -> None:
    """What a quotient leaves of a subnormal number is no artefact, beside numbers of any size."""
    a, b = np.array([-4.94065646e-316, 5e-324, 1e-300, 1e300]), np.array([1e-30, 3.0, 7e-20, 1e-5])
    quotient = a / b
    (got,) = function(fma(X, Y, var("z")), parameters=("x", "y", "z")).evaluate([-quotient, b, a])
    triples = zip(quotient, b, a, strict=True)
    assert got.tolist() == [float(Fraction(-q) * Fraction(d) + Fraction(n)) for q, d, n in triples]


def test_fma_of_special_values() -> None:
    """Overflow, infinities and NaN come out of fma as out of the plain expression."""
    a = np.array([np.inf, -np.inf, np.nan, 1e300, 0.0])
    b = np.array([2.0, 2.0, 2.0, 1e300, np.inf])
    (got,) = function(fma(X, Y, const(1.0))).evaluate([a, b])
    np.testing.assert_array_equal(got, [np.inf, -np.inf, np.nan, np.inf, np.nan])


@pytest.mark.parametrize("name", sorted(PRIMITIVES))
def test_each_primitive_can_be_called(name: str) -> None:
    """A call evaluates to what the primitive's NumPy function gives."""
    points = np.array([0.25, 0.5, 1.0])
    waves = ("sin_sum", "cos_sum", "sin_product", "cos_product", "sin_near", "cos_near", "rest_near")
    of_two = ("hypot", "pow", "pow_fine", "log_sum", "log1p_sum", *waves)
    bare = name.removesuffix("_low").removesuffix("_short").removesuffix("_medium")
    arguments = [X, Y] * 2 if bare == "pow_sum" else [X, Y] if bare in of_two else [X]
    (got,) = verify(function(call(name, *arguments))).evaluate([points, points])
    np.testing.assert_array_equal(got, PRIMITIVES[name](*[points] * len(arguments)))


def test_a_low_part_in_float32_is_what_rounding_to_float32_left() -> None:
    """Of powers and logarithms of sums, whose arguments are two float32 each, as of an exponential."""
    x, y = np.float32(1.5), np.float32(0.75)
    sums = [X, const(2.0**-26), Y, const(2.0**-27)]
    for name, arguments, true in (
        ("exp", [X], np.exp(np.float64(x))),
        ("pow_sum", sums, (np.float64(x) + 2.0**-26) ** (np.float64(y) + 2.0**-27)),
        ("log_sum", sums[:2], np.log(np.float64(x) + 2.0**-26)),
        ("log1p_sum", sums[:2], np.log1p(np.float64(x) + 2.0**-26)),
    ):
        parts = [call(name, *arguments), call(f"{name}_low", *arguments)]
        high, low = function(*parts).evaluate([x, y], dtype=np.float32)
        assert high == np.float32(true)
        assert low != 0
        assert abs(high + low - true) <= 2.0**-49 * true


def test_results_take_the_shape_of_the_arguments() -> None:
    """A constant result still fills an array, and several results come in order."""
    total, fixed = function(X + Y, const(2.0)).evaluate([np.zeros((3, 1)), np.ones(4)])
    assert total.shape == fixed.shape == (3, 4)
    assert (fixed == 2.0).all()


@pytest.mark.parametrize(
    ("graph", "message"),
    [
        (lambda: function(node("add", X, node("lt", X, Y))), "add takes 'ff', got 'fb'"),
        (lambda: function(node("select", X, X, Y)), "select takes 'bff', got 'fff'"),
        (lambda: function(node("neg", X, Y)), "neg takes 'f', got 'ff'"),
        (lambda: function(var("z")), "unknown variable 'z'"),
        (lambda: function(node("lt", X, Y)), "a result is a condition"),
        (lambda: node("power", X, Y), "unknown operation 'power'"),
        (lambda: call("gamma", X), "unknown primitive 'gamma'"),
    ],
)
def test_what_breaks_the_rules_is_refused_by_name(graph: object, message: str) -> None:
    """A wrong type, a free variable or an unknown word is a KernelError that says which."""
    with pytest.raises(KernelError, match=message):
        verify(graph())


def test_of_long_arrays_only_what_calls_gave_is_kept() -> None:
    """Short arrays keep every result for the next candidate; of long ones arithmetic is cheaper to do again."""
    core = function(call("exp", X * X) + X * X, parameters=("x",))
    kept: dict[int, set[str]] = {}
    for size in (SMALL, SMALL + 1):
        known: dict[Node, object] = {}
        values = np.linspace(0.0, 1.0, size)
        assert np.allclose(core.evaluate([values], known)[0], np.exp(values**2) + values**2, rtol=1e-15)
        assert np.array_equal(core.evaluate([values], known)[0], core.evaluate([values])[0])
        kept[size] = {n.op for n in known}
    assert kept == {SMALL: {"mul", "call", "add"}, SMALL + 1: {"call"}}
