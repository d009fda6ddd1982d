"""The text of a CUDA module: every number typed, every sum named, and what a graph for float32 arithmetic is."""

from __future__ import annotations

import math
import re

import numpy as np
import sympy as sp

from symgen.approx import Polynomial
from symgen.arithmetic import COMPENSATED, PLAIN, Pair, computing_in, parts
from symgen.backends.numba_cpu import ModuleText, Operand, OutputText, VariantText
from symgen.backends.numba_cuda import DOUBLE, SINGLE, emit
from symgen.kernel import IN_SINGLE, ScalarFunction, call, const, fma, node, select, var
from symgen.lowering import lower

X = var("x")


def module() -> ModuleText:
    """A module of one tensor and one number, whose graphs use what is printed differently for a GPU."""
    alpha, low = var("alpha"), var("alpha_low")
    single = select(node("lt", X, const(0.1)), fma(X, alpha, low), call("exp", -X) / const(math.inf))
    double = select(node("lt", X, const(0.1)), X - alpha, call("exp", -X) * const(2.5))
    outputs = tuple(
        OutputText(
            name,
            ScalarFunction(name, ("x", "alpha"), (double,)),
            ScalarFunction(name, ("x", "alpha", "alpha_low"), (single,)),
        )
        for name in ("value", "grad")
    )
    arguments = (Operand("x", "tensor"), Operand("alpha", "real"))
    return ModuleText("odd", "An odd function.", "x", "specs/odd.py", "0123", arguments, (VariantText("", outputs),))


def test_float32_text_types_every_number_and_names_every_rounding() -> None:
    text = emit(module())
    compile(text, "generated", "exec")
    core = re.search(r"def value_device32\(([^\n]*)\):\n(.*?)\n\n", text, re.DOTALL)
    assert core[1] == "x, alpha, alpha_low"
    assert core[2].strip() == (
        "return libdevice.fmaf(x, alpha, alpha_low) if x < f32(0.1) else fdiv(near_expf(-x), f32(math.inf))"
    )
    bare = re.sub(r"f32\([^)]*\)|u32\(\d\)", "", core[2])
    assert not re.search(r"\d\.|\d\)|[*/+]", bare)


def test_float64_text_takes_each_number_once() -> None:
    core = re.search(r"def value_device\(([^\n]*)\):\n(.*?)\n\n", emit(module()), re.DOTALL)
    assert core[1] == "x, alpha"
    assert core[2].strip() == "return dadd(x, -alpha) if x < 0.1 else dmul(exp(-x), 2.5)"
    assert "\nfrom ..elementary import (exp)\n" in emit(module())


def test_kernels_come_with_vectors_and_element_by_element() -> None:
    text = emit(module())
    names = re.findall(r"@kernel\ndef (\w+)\((.*)\):", text)
    assert ("value_f32", "x, alpha, alpha_low, out, n") in names
    assert ("vjp_f64_each", "g, x, alpha, gx, n") in names
    assert len(names) == 2 * 2 * 5  # value, grad, vjp, both, and the sum of a gradient
    assert "    x_0, x_1, x_2, x_3 = load4(x, i)\n" in text
    assert "    store2(out, i, out_0, out_1)\n" in text


def test_text_has_no_long_lines_and_depends_on_its_arguments_alone() -> None:
    assert emit(module()) == emit(module())
    assert max(map(len, emit(module()).splitlines())) <= 120


def test_every_primitive_has_a_function_in_both_precisions() -> None:
    assert SINGLE.primitives.keys() == DOUBLE.primitives.keys() | IN_SINGLE
    assert SINGLE.primitives["expm1"] == "libdevice.expm1f"
    assert DOUBLE.primitives["expm1"] == "expm1"
    assert DOUBLE.primitives["tan"] == "libdevice.tan"


def test_constants_are_split_for_the_format_in_use() -> None:
    assert parts(0.1, 0.0) == (0.1, 0.0)
    third = sp.Rational(1, 3)
    with computing_in(np.float32):
        high, low = parts(0.1, 0.0)
        assert high == float(np.float32(0.1))
        assert abs(high + low - 0.1) < 0.1 * 2.0**-47
        assert parts(1e300, 0.0) == (math.inf, 0.0)
        assert lower(third, {}, PLAIN).high.value == float(np.float32(1 / 3))
        pair = lower(third, {}, COMPENSATED)
        assert pair.low.value == float(np.float32(1 / 3 - float(np.float32(1 / 3))))
        assert Polynomial((0.1,), 0.0, 1, 0.0).node(X).low.value == low
    assert lower(third, {}, PLAIN) == Pair(const(1 / 3))


def test_a_graph_is_evaluated_in_float32_with_primitives_rounded_once() -> None:
    x = np.array([0.3, 1e-20, 20.0, -3.0], np.float32)
    for graph, want in (
        (X * X, x * x),
        (call("exp", X), np.exp(x.astype(np.float64)).astype(np.float32)),
        (fma(X, X, -(X * X)), (x.astype(np.float64) ** 2 - (x * x).astype(np.float64)).astype(np.float32)),
        (X + const(0.1), x + np.float32(0.1)),
    ):
        (got,) = ScalarFunction("f", ("x",), (graph,)).evaluate([x.astype(np.float64)], dtype=np.float32)
        assert np.array_equal(got, want.astype(np.float64))
