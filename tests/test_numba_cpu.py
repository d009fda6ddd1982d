"""The Numba backend: what it prints means what the graph means, and its modules keep what the runtime relies on."""

from __future__ import annotations

import importlib.util
import inspect
import math
import os
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from numba import njit

from symgen.backends import numba_loops
from symgen.backends.numba_cpu import ModuleText, Operand, OutputText, VariantText, emit
from symgen.backends.render import TemplateError, render
from symgen.kernel import (
    KernelError,
    Node,
    ScalarFunction,
    call,
    const,
    fma,
    node,
    select,
    var,
)

SPECIAL = [-np.inf, -1e308, -3.75, -1.0, -5e-324, -0.0, 0.0, 5e-324, 0.1, 1.0, 2.5, 1e16, 1e308, np.inf, np.nan]
X, W = var("x"), var("weight")
POSITIVE = node("lt", const(0.0), X)


def output(
    name: str, result: Node, parameters: tuple[str, ...], short: Node | None = None, note: str = ""
) -> OutputText:
    long = ScalarFunction(name, parameters, (result,))
    return OutputText(name, long, ScalarFunction(name, parameters, (short or result,)), (note,) if note else ())


def slope() -> ModuleText:
    """A prelu: one tensor, one parameter."""
    results = {
        "value": select(POSITIVE, X, W * X),
        "grad": select(POSITIVE, const(1.0), W),
        "grad2": const(0.0),
        "grad_weight": select(POSITIVE, const(0.0), X),
    }
    outputs = tuple(output(name, result, ("x", "weight")) for name, result in results.items())
    arguments = (Operand("x", "tensor"), Operand("weight", "param"))
    return ModuleText(
        "slope",
        "A learned slope.",
        "x if x > 0 else weight * x",
        "specs/s.py",
        "k",
        arguments,
        (VariantText("", outputs),),
    )


def wave() -> ModuleText:
    """Two tensors and an option, in two variants; the float32 core differs from the float64 one."""
    y, beta = var("y"), var("beta")
    names = ("x", "y", "beta")
    product = X * y
    outputs = (
        output("value", fma(X, y, beta), names, product + beta),
        output("grad_x", y * const(1.0), names),
        output("grad_y", X, names),
        output("grad_beta", product, names),
    )
    doubled = (
        output("value", product + product, names),
        output("grad_x", y + y, names),
        output("grad_y", X + X, names),
    )
    arguments = (Operand("x", "tensor"), Operand("y", "tensor"), Operand("beta", "real"))
    variants = (VariantText("plain", outputs, 'mode = "plain"'), VariantText("twice", doubled, 'mode = "twice"'))
    return ModuleText("wave", "A product.", "x * y + beta", "specs/w.py", "k", arguments, variants)


def load(text: str, folder: Path, name: str) -> ModuleType:
    path = folder / f"{name}.py"
    path.write_text(text, encoding="utf-8")
    spec = importlib.util.spec_from_file_location(name, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def slopes(tmp_path_factory: pytest.TempPathFactory) -> ModuleType:
    return load(emit(slope()), tmp_path_factory.mktemp("slope"), "generated_slope")


@pytest.fixture(scope="module")
def waves(tmp_path_factory: pytest.TempPathFactory) -> ModuleType:
    return load(emit(wave()), tmp_path_factory.mktemp("wave"), "generated_wave")


# -- the text of a module ---------------------------------------------------------------------------------------------


def test_the_text_of_a_small_module() -> None:
    """A module of one tensor reads as expected, to the letter."""
    e = call("exp", -X)
    outputs = (
        output("value", X / (const(1.0) + e), ("x",), note="x*sigmoid(x)"),
        output("grad", e / (const(1.0) + e), ("x",)),
    )
    module = ModuleText(
        "silu", "The input weighted by its sigmoid.", "x / (1 + exp(-x))", "specs/activations/silu.py", "0123",
        (Operand("x", "tensor"),), (VariantText("", outputs),),
    )  # fmt: skip
    assert emit(module) == (Path(__file__).parent / "golden" / "numba_cpu_silu.txt").read_text(encoding="utf-8")


def test_text_has_no_long_lines_and_parses() -> None:
    """Every module is valid Python with no line over 120 characters, whatever the documentation contains."""
    odd = ModuleText(**{**vars(wave()), "summary": 'Quotes """ and \\ in it.', "definition": "a\nb"})
    for text in (emit(slope()), emit(wave()), emit(odd)):
        compile(text, "generated", "exec")
        assert max(map(len, text.splitlines())) <= 120
        assert not re.search(r"\n\n\n\n|[ \t]\n", text)


def test_the_runtime_beside_a_users_kernels_is_imported_relatively() -> None:
    """A user's project takes the intrinsics from its own copy of the runtime, and only those that occur."""
    text = emit(ModuleText(**{**vars(wave()), "runtime": ".._runtime"}))
    assert "\nfrom .._runtime.intrinsics import add_up, fma, two_sum\n" in text
    assert "symgen." not in text


def test_text_does_not_depend_on_the_hash_seed() -> None:
    """Two processes with different hash seeds print the same bytes."""
    code = "import test_numba_cpu as t; print(t.emit(t.slope()) + t.emit(t.wave()))"
    folder = Path(__file__).parent
    path = os.pathsep.join([str(folder), str(folder.parent)])
    texts = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": path},
            capture_output=True,
            check=True,
        ).stdout
        for seed in ("0", "1")
    }
    assert texts == {(emit(slope()) + emit(wave()) + "\n").encode()}


def test_an_unknown_template_is_an_error_that_lists_the_known_ones() -> None:
    """An archetype without a template says which templates there are."""
    with pytest.raises(TemplateError, match=r"no template 'row.py.jinja'; it has .*elementwise.py.jinja"):
        render("numba_cpu", "row.py.jinja", {})
    with pytest.raises(TemplateError, match="no templates for the backend 'fortran'"):
        render("fortran", "elementwise.py.jinja", {})


def test_a_missing_gradient_is_named() -> None:
    """A variant without the gradient of a tensor is refused, and says what is missing."""
    broken = VariantText("", (output("value", X, ("x",)),))
    with pytest.raises(KernelError, match="slope: the variant '' has no output grad"):
        emit(ModuleText(**{**vars(slope()), "variants": (broken,)}))


# -- modules at work --------------------------------------------------------------------------------------------------


def test_import_compiles_nothing(tmp_path: Path) -> None:
    """Importing a module decorates its functions and compiles none of them."""
    module = load(emit(slope()), tmp_path, "generated_untouched")
    functions = [f for f in vars(module).values() if hasattr(f, "signatures")]
    assert len(functions) > 15
    assert not any(f.signatures for f in functions if f.__module__ == module.__name__)


def test_the_contract_names_are_there(waves: ModuleType) -> None:
    """Every core and loop that the runtime asks for exists, with arguments in the agreed order."""
    expected = {
        "value_scalar_plain": "x y beta", "value_scalar32_plain": "x y beta", "grad_x_scalar_twice": "x y beta",
        "value_f64_plain": "x y beta out", "grad_beta_f32_plain": "x y beta out", "grad_y_f32_twice": "x y beta out",
        "vjp_f64_plain": "g x y beta gx gy", "vjp_f32_twice": "g x y beta gx gy",
        "value_and_grad_f32_plain": "x y beta out dx dy", "vjp_beta_f64_plain": "g x y beta out",
    }  # fmt: skip
    for name, parameters in expected.items():
        function = getattr(waves, name)
        assert list(inspect.signature(function.py_func).parameters) == parameters.split(), name
    assert not hasattr(waves, "vjp_beta_f64_twice")


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_values_and_gradients_of_arrays(waves: ModuleType, dtype: Any) -> None:
    """Loops compute the graph in float64 and round once, on read-only inputs, and an empty array is no special case."""
    t = "f64" if dtype is np.float64 else "f32"
    with np.errstate(over="ignore"):
        x, y = (v.ravel().astype(dtype) for v in np.meshgrid(SPECIAL, SPECIAL))
    x.flags.writeable = False
    out, gx, gy = (np.empty_like(x) for _ in range(3))
    wide_x, wide_y = x.astype(np.float64), y.astype(np.float64)
    with np.errstate(all="ignore"):
        getattr(waves, f"value_{t}_twice")(x, y, 3.0, out)
        np.testing.assert_array_equal(out, (2 * (wide_x * wide_y)).astype(dtype))
        getattr(waves, f"vjp_{t}_twice")(y, x, y, 3.0, gx, gy)
        np.testing.assert_array_equal(gx, (wide_y * (wide_y + wide_y)).astype(dtype))
        np.testing.assert_array_equal(gy, (wide_y * (wide_x + wide_x)).astype(dtype))
    getattr(waves, f"value_{t}_twice")(x[:0], y[:0], 3.0, out[:0])


def test_value_and_grad_are_the_values_and_gradients(slopes: ModuleType) -> None:
    """The joint loop gives bit for bit what the separate ones give."""
    x = np.array(SPECIAL)
    w = np.full_like(x, 0.1)
    value, grad, one, two = (np.empty_like(x) for _ in range(4))
    slopes.value_f64(x, w, value)
    slopes.grad_f64(x, w, grad)
    slopes.value_and_grad_f64(x, w, one, two)
    np.testing.assert_array_equal(one, value)
    np.testing.assert_array_equal(two, grad)


def test_a_constant_derivative_fills_the_array(slopes: ModuleType) -> None:
    """A derivative in which no argument occurs is written to every element."""
    out = np.full(5, np.nan)
    slopes.grad2_f64(np.ones(5), np.ones(5), out)
    assert (out == 0.0).all()


def test_cores_take_any_number_as_float64(slopes: ModuleType) -> None:
    """In a user's own loop a float32 or integer argument is widened first: nothing overflows or rounds early."""

    @njit
    def own(x: Any, w: Any) -> Any:
        return slope_value(x, w)

    slope_value = slopes.value_scalar
    assert own(np.float32(-0.1), np.float32(0.3)) == float(np.float32(-0.1)) * float(np.float32(0.3))
    assert own(-(2**40), 2**40) == -(2.0**80)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize(
    "shape", [(1, 1, 100_003), (50_001, 1, 1), (3001, 5, 1), (7, 300, 1), (11, 3, 49), (3, 4, 1000), (2, 3, 256)]
)
def test_sums_are_exact_to_the_last_bits(slopes: ModuleType, dtype: Any, shape: tuple[int, int, int]) -> None:
    """Whatever the shape, a parameter's gradient is the exactly rounded sum to two ULP, though terms cancel."""
    rng = np.random.default_rng(7)
    x, g = (rng.normal(size=shape).astype(dtype) for _ in range(2))
    x *= dtype(10.0) ** rng.integers(-6, 7, shape).astype(dtype)
    out = np.empty(shape[1])
    loop = slopes.vjp_weight_f64 if dtype is np.float64 else slopes.vjp_weight_f32
    loop(g, x, np.full(shape[1], 0.25, dtype), out)
    terms = g.astype(np.float64) * np.where(x > 0, 0.0, x.astype(np.float64))
    exact = np.array([math.fsum(terms[:, c].ravel()) for c in range(shape[1])])
    assert (np.abs(out - exact) <= 2 * np.spacing(np.abs(exact)) + 2.0**-104 * np.abs(terms).sum(axis=(0, 2))).all()


def test_sums_of_nothing_and_of_infinities(slopes: ModuleType) -> None:
    """No elements give zero for each channel; an infinity or NaN reaches its channel and no other."""
    out = np.full(3, np.nan)
    for shape in [(0, 3, 5), (4, 3, 0)]:
        slopes.vjp_weight_f64(np.ones(shape), np.ones(shape), np.ones(3), out)
        assert (out == 0.0).all()
    slopes.vjp_weight_f64(np.ones((2, 0, 4)), np.ones((2, 0, 4)), np.ones(0), np.empty(0))
    x = -np.ones((4, 3, 2))
    x[1, 0, 1], x[2, 1, 0] = -np.inf, np.nan
    slopes.vjp_weight_f64(np.ones_like(x), x, np.ones(3), out)
    np.testing.assert_array_equal(out, [-np.inf, np.nan, -8.0])


def test_sums_over_an_option_and_with_one_parameter_for_all(waves: ModuleType, slopes: ModuleType) -> None:
    """An option's gradient is summed the same way, and a parameter of length one serves every channel."""
    x = np.arange(24.0).reshape(2, 3, 4) - 12
    out = np.empty(3)
    waves.vjp_beta_f64_plain(np.ones_like(x), x, x, 0.5, out)
    np.testing.assert_array_equal(out, (x * x).sum(axis=(0, 2)))
    slopes.vjp_weight_f64(np.ones_like(x), x, np.ones(1), out)
    np.testing.assert_array_equal(out, np.minimum(x, 0).sum(axis=(0, 2)))


@pytest.mark.parametrize("name", ["value_f64", "grad_f32", "vjp_f32", "value_and_grad_f64", "_add_vjp_weight_f32"])
def test_arithmetic_becomes_vector_code(tmp_path: Path, name: str) -> None:
    """Without a call into libm, LLVM turns every kind of loop into vector code, choices and conditions included."""
    module = load(emit(slope()), tmp_path, f"vector_{name}")
    dtype = np.float64 if name.endswith("f64") else np.float32
    loop = getattr(module, name)
    count = len(inspect.signature(loop.py_func).parameters)
    arrays = [np.ones(64, dtype) for _ in range(count)]
    if name.startswith("_add"):
        arrays[-2:] = [np.zeros(64), np.zeros(64)]
    loop(*arrays)
    assert re.search(r"<\d+ x (double|float)>", loop.inspect_llvm(loop.signatures[0]))


def test_operands_may_have_the_names_of_loop_variables(tmp_path: Path) -> None:
    """Operands called g, out and i, and a parameter called total, step aside for nothing but their meaning."""
    names = ("g", "out", "i", "total")
    g, out, i, total = map(var, names)
    value = g * out + i * total
    results = {"value": value, "grad_g": out, "grad_out": g, "grad_i": total, "grad_total": i}
    outputs = tuple(output(name, result, names) for name, result in results.items())
    roles = ("tensor", "tensor", "tensor", "param")
    arguments = tuple(Operand(name, role) for name, role in zip(names, roles, strict=True))
    text = emit(ModuleText("clash", "Names.", "g * out", "specs/c.py", "k", arguments, (VariantText("", outputs),)))
    module = load(text, tmp_path, "generated_clash")
    a, b, c, d = (np.full(4, float(k)) for k in (2, 3, 5, 7))
    got = [np.empty(4) for _ in range(4)]
    module.value_and_grad_f64(a, b, c, d, *got)
    assert [v[0] for v in got] == [41.0, 3.0, 2.0, 7.0]
    total_gradient = np.empty(1)
    cube = [v.reshape(2, 1, 2) for v in (a, a, b, c)]
    module.vjp_total_f64(*cube, d[:1], total_gradient)
    assert total_gradient[0] == 2.0 * 5.0 * 4


def test_every_float32_loop_widens_before_it_computes() -> None:
    """In a float32 loop every array element is converted to float64 where it is read."""
    text = emit(slope())
    loops = re.findall(r"def (?:_add_)?\w+_f32\(.*?\n\n\n", text + "\n\n\n", re.DOTALL)
    assert len(loops) == 8
    for each in loops:
        reads = re.findall(r"(\S*)\b(?:g|x|weight)\[i\]", each)
        assert all(r.endswith("np.float64(") for r in reads), each


def test_precisions_are_those_of_the_contract() -> None:
    """Kernels exist for float64 and float32; half precisions are computed by the float32 loops."""
    assert [p.name for p in numba_loops.PRECISIONS] == ["f64", "f32"]
