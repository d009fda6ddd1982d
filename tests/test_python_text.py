"""The printer of Python text: a printed graph means what the graph means, and reads well."""

from __future__ import annotations

import math
from functools import cache
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numba import njit

from symgen.backends.numba_cpu import DIALECT, ELEMENTARY, INTRINSICS, TRIG
from symgen.backends.numba_elementary import emit
from symgen.backends.python_text import Branches, Dialect, fold, local_names, print_graph
from symgen.backends.straight import dear_in_arms
from symgen.kernel import (
    IN_SINGLE,
    OPERATIONS,
    PRIMITIVES,
    KernelError,
    Node,
    ScalarFunction,
    call,
    const,
    fma,
    node,
    select,
    var,
    verify,
)
from symgen.runtime import intrinsics, trig

SPECIAL = [-np.inf, -1e308, -3.75, -1.0, -5e-324, -0.0, 0.0, 5e-324, 0.1, 1.0, 2.5, 1e16, 1e308, np.inf, np.nan]
X = var("x")

EXACT = sorted(set(OPERATIONS) - {"const", "var", "call", "fma"})


@st.composite
def graphs(draw: st.DrawFn) -> ScalarFunction:
    """A random graph of operations that IEEE 754 defines exactly, with shared nodes and awkward constants."""
    constants = st.sampled_from([0.0, -0.0, 1.0, -1.5, 0.1, 1e300, 5e-324, math.inf, -math.inf, math.nan])
    numbers: list[Node] = [var("x"), var("t1"), *(const(c) for c in draw(st.lists(constants, min_size=1, max_size=3)))]
    truths: list[Node] = [node("lt", numbers[0], numbers[1])]
    for op in draw(st.lists(st.sampled_from(EXACT), min_size=1, max_size=25)):
        pools = [numbers if kind == "f" else truths for kind in OPERATIONS[op].takes]
        made = node(op, *(draw(st.sampled_from(pool[-6:])) for pool in pools))
        (numbers if OPERATIONS[op].gives == "f" else truths).append(made)
    return verify(ScalarFunction("graph", ("x", "t1"), tuple(numbers[-3:])))


@cache
def elementary() -> dict[str, Any]:
    """The names of the module of elementary functions, as it is printed."""
    scope: dict[str, Any] = {}
    exec(emit("symgen.runtime"), scope)
    return scope


def compiled(function: ScalarFunction, branches: Branches | None = None) -> Any:
    body = print_graph(function, DIALECT, branches)
    lines = [*body.statements, f"return {', '.join(body.results)}"]
    names = ", ".join(local_names(function.parameters, DIALECT.reserved).values())
    scope: dict[str, Any] = {
        "math": math,
        "np": np,
        **{name: getattr(intrinsics, name) for name in INTRINSICS},
        **{name: getattr(trig, name) for name in TRIG},
        **{name: elementary()[name] for name in ELEMENTARY},
    }
    exec("\n    ".join([f"def graph({names}):", *lines]), scope)
    return njit(error_model="numpy")(scope["graph"])


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
@given(graphs())
def test_printed_graphs_compute_what_the_graph_means(function: ScalarFunction) -> None:
    """A random graph, printed and compiled, gives bit for bit what NumPy evaluates, zeros' signs included."""
    kernel = compiled(function)
    a, b = (v.ravel() for v in np.meshgrid(SPECIAL, SPECIAL))
    got = np.array([kernel(p, q) for p, q in zip(a, b, strict=True)]).T
    want = np.array(function.evaluate([a, b]))
    np.testing.assert_array_equal(got, want)
    number = ~np.isnan(want)
    np.testing.assert_array_equal(np.signbit(got[number]), np.signbit(want[number]))


@pytest.mark.parametrize("name", sorted(PRIMITIVES.keys() - IN_SINGLE))
def test_each_primitive_compiles_to_its_function(name: str) -> None:
    """The table of primitives names functions that Numba has and that agree with NumPy to a few ULP.

    Where a loop takes a short sine, a function of one number takes the full one.
    """
    of_two = name.startswith(("hypot", "pow_", "rest_")) or name == "pow" or "_near" in name or "_sum" in name
    arguments = [var("x"), var("y")] if of_two or "_product" in name else [var("x")]
    loose = name in ("sin_short", "cos_short", "sin_product_short", "cos_product_short")
    kernel = compiled(ScalarFunction("f", ("x", "y"), (call(name, *arguments),)))
    points = np.array([0.001, 0.25, 0.5, 1.0, 3.7])
    got = [kernel(p, 0.75) for p in points]
    want = PRIMITIVES[name](*[points, np.full(5, 0.75)][: len(arguments)])
    np.testing.assert_allclose(got, want, rtol=1e-10 if loose else 1e-15)
    assert all(isinstance(v, float) for v in got)


def test_fma_rounds_once() -> None:
    """The intrinsic keeps the low half of a product, which separate rounding loses."""
    kernel = compiled(ScalarFunction("f", ("x",), (fma(X, X, -(X * X)),)))
    assert kernel(1.0 + 2.0**-30) == 2.0**-60


@pytest.mark.parametrize(
    ("graph", "text"),
    [
        (lambda x, y: (x + y) + x, "x + y + x"),
        (lambda x, y: x + (y + x), "x + (y + x)"),
        (lambda x, y: x - (y - x), "x - (y - x)"),
        (lambda x, y: (x * y) / (x / y), "x * y / (x / y)"),
        (lambda x, y: -(x * y) - -x, "-(x * y) - -x"),
        (lambda x, y: -abs(-x), "-abs(-x)"),
        (lambda x, y: const(-1.5) * x + const(-2.0), "-1.5 * x + -2.0"),
        (lambda x, y: -const(-1.5), "-(-1.5)"),
        (lambda x, y: node("neg", -x), "-(-x)"),
        (lambda x, y: select(node("lt", x, y), x, select(node("le", y, x), y, x)) * x,
         "(x if x < y else y if y <= x else x) * x"),
        (lambda x, y: select(node("not", node("and", node("eq", x, y), node("ne", x, y))), x, y),
         "x if not (x == y and x != y) else y"),
        (lambda x, y: select(node("or", node("lt", x, y), node("and", node("lt", y, x), node("lt", x, x))), x, y),
         "x if x < y or y < x and x < x else y"),
        (lambda x, y: call("hypot", abs(x), const(math.inf)), "hypot(abs(x), math.inf)"),
        (lambda x, y: const(-math.inf) * const(math.nan), "-math.inf * math.nan"),
    ],
)  # fmt: skip
def test_expressions_have_the_parentheses_they_need(graph: Any, text: str) -> None:
    """Order of evaluation is the graph's, and no parentheses stand where Python's precedence gives that order."""
    x, y = var("x"), var("y")
    assert print_graph(ScalarFunction("f", ("x", "y"), (graph(x, y),)), DIALECT).results == (text,)


def test_shared_nodes_are_assigned_once() -> None:
    """A node that is used twice gets a name; one that is used once is nested."""
    shared = X * X + const(1.0)
    body = print_graph(ScalarFunction("f", ("x",), (shared / (shared + X), shared)), DIALECT)
    assert body.statements == ("t1 = x * x + 1.0", "t2 = t1 / (t1 + x)")
    assert body.results == ("t2", "t1")


def test_a_logarithm_stands_before_the_selection_that_takes_it() -> None:
    """In an arm, compilers take it for code that seldom runs; an exponential is cheap enough to stay there."""
    y, negative = var("y"), node("neg", X)
    chosen = select(const(0.5) > X, call("log", negative) * y, call("exp_short", y))
    graph = ScalarFunction("graph", ("x", "y"), (chosen,))
    alone = dear_in_arms(graph.results)
    assert alone == {call("log", negative)}
    body = print_graph(graph, DIALECT, alone=alone)
    assert body.statements == ("t1 = log(-x)",)
    assert body.results == ("t1 * y if x < 0.5 else exp_short(y)",)
    outside = call("log", negative) + select(const(0.5) > X, X, y)
    assert dear_in_arms((outside,)) == frozenset()


def test_long_expressions_are_split() -> None:
    """A polynomial of degree 60 becomes short statements in a handful of lines, not one long line."""
    total = const(1.0)
    for k in range(60):
        total = fma(total, X, const(1.0 / (k + 3)))
    body = print_graph(ScalarFunction("f", ("x",), (total,)), DIALECT)
    assert max(len(s) for s in (*body.statements, *body.results)) < 112
    assert 5 < len(body.statements) < 40
    assert compiled(ScalarFunction("f", ("x",), (total,)))(0.0) == 1.0 / 62


def test_names_give_way_to_keywords_and_imports() -> None:
    """An argument that is called as a module, a keyword or a temporary still prints as valid Python."""
    assert local_names(["np", "lambda", "x", "fma"], DIALECT.reserved) == {
        "np": "np_", "lambda": "lambda_", "x": "x", "fma": "fma_",
    }  # fmt: skip
    clash, square = var("t1"), var("t1") * var("math")
    function = ScalarFunction("f", ("t1", "math"), (square * square + clash,))
    assert compiled(function)(2.0, 3.0) == 38.0


@pytest.mark.parametrize("table", ["operations", "primitives"])
def test_an_incomplete_table_is_refused(table: str) -> None:
    """A backend that lacks an operation or a primitive fails when it is imported and names what it lacks."""
    tables: dict[str, Any] = {"operations": dict(DIALECT.operations), "primitives": dict(DIALECT.primitives)}
    lost = min(tables[table])
    tables[table]["cbrt"] = tables[table].pop(lost)
    with pytest.raises(KernelError, match=rf"missing \['{lost}'\], unknown \['cbrt'\]"):
        Dialect(tables["operations"], tables["primitives"], frozenset(), lacks=IN_SINGLE)


def test_a_line_with_many_arguments_is_folded() -> None:
    """A line that is too long breaks inside its last brackets, one argument a line where that is still too long."""
    arguments = ", ".join(f"argument_{k}[i]" for k in range(6))
    assert fold(f"    out[i] = {'f' * 30}({arguments})") == f"    out[i] = {'f' * 30}(\n        {arguments}\n    )"
    many = f"g({', '.join(f'f(a_{k}, b[i, j])' for k in range(9))})"
    assert fold(many) == "g(\n" + "".join(f"    f(a_{k}, b[i, j]),\n" for k in range(9)) + ")"
