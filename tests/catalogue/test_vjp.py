"""Gradients of a cotangent against finite differences, in many digits, of the specs' own text run as plain Python."""

from __future__ import annotations

import ast
import math
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

import mpmath
import numpy as np
import pytest
from mpmath import mpf

from symgen.catalogue import folder
from symgen.certify_cases import Case
from symgen.ulp import inside

KIND = "activations"  # losses have rules of their own: test_losses.py

DIGITS = (60, 120, 1000)  # as many as it takes: beside a value near one, a slope of 1e-306 needs hundreds
AGREE = mpf(10) ** -20  # of two difference quotients, relatively
NOTHING = mpf(10) ** -400  # zero in every dtype
T = TypeVar("T")
precise: Callable[[T], T] = mpmath.workdps(DIGITS[0])  # computes with the fewest of them
SHAPE = (2, 3, 4)
WORDS = ("exp", "log", "sin", "cos", "tanh", "erf", "erfc", "sqrt")

# Of float64: the derivative's bar of 4 ULP and the product's half. Of float32: one rounding, and the bar beside it.
ELEMENT = {"float64": 4.5, "float32": 0.52}
# Errors of the terms of a sum, in units in the last place of the largest: as above, the bar without the last rounding.
TERMS = {"float64": 4.5, "float32": 0.01}


# -- the specs as plain Python on numbers of many digits --------------------------------------------------------------


class Exact(ast.NodeTransformer):
    """Drops decorators and annotations, and reads every number as its decimal digits say."""

    def __init__(self, text: str) -> None:
        self.text = text

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.FunctionDef:
        node.decorator_list = []
        for argument in [*node.args.args, *node.args.kwonlyargs]:
            argument.annotation = None
        self.generic_visit(node)
        return node

    def visit_Constant(self, node: ast.Constant) -> ast.expr:
        if isinstance(node.value, int | float) and not isinstance(node.value, bool):
            digits = ast.Constant(str(ast.get_source_segment(self.text, node)))
            return ast.Call(ast.Name("mpf", ast.Load()), [digits], [])  # places are filled in before compiling
        return node


@cache
def plain(path: Path) -> dict[str, Any]:
    """The functions of a spec file, computing with mpmath's numbers."""
    text = path.read_text(encoding="utf-8")
    names: dict[str, Any] = {"mpf": mpf}
    body: list[ast.stmt] = []
    for node in ast.parse(text).body:
        if isinstance(node, ast.ImportFrom) and node.level:
            other = plain(path.parent / f"{node.module}.py")
            names |= {a.asname or a.name: other[a.name] for a in node.names}
        elif isinstance(node, ast.ImportFrom):
            words = {w: getattr(mpmath, w) for w in WORDS} | {"pi": mpmath.mp.pi}
            names |= {a.asname or a.name: words[a.name] for a in node.names if a.name in words}
        elif isinstance(node, ast.FunctionDef):
            body.append(Exact(text).visit(node))
    exec(compile(ast.fix_missing_locations(ast.Module(body, [])), str(path), "exec"), names)
    return names


def slope(function: Any, values: dict[str, Any], target: str) -> Any:
    """The derivative in one argument by central differences: of two steps, in so many digits that they agree."""
    for digits in DIGITS:
        with mpmath.workdps(digits):
            near, far = (quotient(function, values, target, mpf(10) ** (-digits * k // 10)) for k in (4, 3))
            if near != 0 and abs(near - far) <= AGREE * abs(near):
                return near
    if max(abs(near), abs(far)) < NOTHING:
        return mpf(0)
    raise AssertionError(f"the differences {near} and {far} do not agree at {values}")


def quotient(function: Any, values: dict[str, Any], target: str, step: Any) -> Any:
    """A central difference quotient."""
    above, below = (function(**{**values, target: values[target] + s * step}) for s in (1, -1))
    return (above - below) / (2 * step)


# -- calls ------------------------------------------------------------------------------------------------------------


class Call:
    """A case of a function with operands of several axes and a cotangent."""

    def __init__(self, catalogue: Any, name: str, case: Case, dtype: str) -> None:
        self.kernel, self.case = catalogue.kernel(name), case
        self.function = plain(folder().parent / catalogue.ops()[name].source.file)[name]
        rng = np.random.default_rng(3)
        self.x = drawn(rng, case).astype(dtype)
        self.g = rng.normal(size=SHAPE).astype(dtype)
        self.operands = {n: self.x if v is None else np.full(1, v, dtype) for n, v in case.operands}
        self.operands = self.operands or {case.operand: self.x}

    @precise
    def stands_alone(self) -> bool:
        """Whether every number may move a little: a setting at the rim of what the spec asserts has no differences."""
        values = {n: mpf(v) if isinstance(v, int | float) else v for n, v in self.case.settings}
        values[self.case.operand] = mpf(float(self.x.flat[0]))
        numbers = [n for n, v in values.items() if isinstance(v, mpf)]
        try:
            for n in numbers:
                quotient(self.function, values, n, mpf(10) ** -30)
        except AssertionError:
            return False
        return True

    def vjp(self, g: Any = None, **kwargs: Any) -> Any:
        """The gradients that the kernel gives."""
        return self.kernel.vjp(self.g if g is None else g, *self.operands.values(), **dict(self.case.options), **kwargs)

    @precise
    def terms(self, target: str, g: Any = None) -> Any:
        """Cotangent times derivative at every element, as numbers of many digits in an array of objects."""
        spread = {n: np.broadcast_to(placed(v), SHAPE) for n, v in self.operands.items()}
        cotangent = np.broadcast_to(self.g if g is None else g, SHAPE)
        options = {n: mpf(v) if isinstance(v, int | float) else v for n, v in self.case.options}
        found = np.empty(SHAPE, object)
        for at in np.ndindex(*SHAPE):
            values = options | {n: mpf(float(v[at])) for n, v in spread.items()}
            found[at] = mpf(float(cotangent[at])) * slope(self.function, values, target)
        return found


def drawn(rng: Any, case: Case) -> Any:
    """Operands of ordinary size within the domain, a few of them small or large."""
    sizes = np.array([1e-3, 0.3, 1.0, 3.0, 10.0, 1.0])
    found = rng.normal(size=np.prod(SHAPE)) * np.resize(sizes, np.prod(SHAPE))
    found = np.where(inside(found, case.limits), found, np.abs(found))
    assert inside(found, case.limits).all()
    return found.reshape(SHAPE)


def placed(values: Any) -> Any:
    """A parameter with one value for each channel, along axis 1."""
    return values[:, None] if values.shape == SHAPE[1:2] else values


def allowed(want: Any, terms: Any, dtype: str, own: float) -> float:
    """The error that a gradient may have: ``own`` ULP of it, and for sums what their terms may be off by."""
    unit = float(np.spacing(np.abs(np.asarray(float(want)).astype(dtype))))
    return own * unit + TERMS[dtype] * float(np.finfo(dtype).eps) * float(sum(abs(t) for t in np.ravel(terms)))


@precise
def check_sum(got: Any, terms: Any, dtype: str, what: str) -> None:
    """A gradient is the sum of its terms, rounded once."""
    want = sum(np.ravel(terms))
    assert np.asarray(got).dtype == dtype, what
    assert abs(mpf(float(got)) - want) <= allowed(want, terms, dtype, 1.0), f"{what}: {got!r}, want {float(want)!r}"


@precise
def check_elements(got: Any, terms: Any, dtype: str, what: str) -> None:
    """Every element of a gradient is within the bar of its term."""
    assert (got.dtype, got.shape) == (np.dtype(dtype), SHAPE), what
    for at in np.ndindex(*SHAPE):
        want = terms[at]
        unit = float(np.spacing(np.abs(np.asarray(float(want)).astype(dtype))))
        error = abs(mpf(float(got[at])) - want)
        assert error <= ELEMENT[dtype] * unit, f"{what} at {at}: {got[at]!r}, want {float(want)!r}"


def differentiable(catalogue: Any, name: str, case: Any) -> list[str]:
    """The arguments that this variant has a gradient in, in signature order."""
    function = catalogue.kernel(name).function
    (variant,) = [v for v in function.variants if v.suffix == case.variant.suffix]
    return [a.name for a in function.arguments if function.output(a, 1) in variant.outputs]


# -- tests ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_every_gradient(catalogue: Any, name: str, dtype: str) -> None:
    """In each operand, parameter and option, at each setting, vjp is the difference quotient times the cotangent."""
    for case in catalogue.cases(name) if dtype == "float64" else catalogue.base(name):
        call = Call(catalogue, name, case, dtype)
        assert call.stands_alone() or not case.base
        for target in differentiable(catalogue, name, case) if call.stands_alone() else []:
            got, terms = call.vjp(wrt=target), call.terms(target)
            what = f"{name} {target} {dict(case.settings)}"
            if target == case.operand:
                check_elements(got, terms, dtype, what)
            else:
                assert np.size(got) == 1
                check_sum(np.ravel(got)[0], terms, dtype, what)


@pytest.mark.parametrize("shape", [(), (4,), (3, 1), (1, 1, 1), (2, 1, 4)], ids=str)
def test_cotangents_broadcast(catalogue: Any, name: str, shape: tuple[int, ...]) -> None:
    """A cotangent of fewer axes stands for its broadcast, in gradients of operands and of options."""
    case = catalogue.base(name)[0]
    call = Call(catalogue, name, case, "float64")
    g = np.random.default_rng(5).normal(size=shape)
    whole = np.broadcast_to(g, SHAPE).copy()
    for target in differentiable(catalogue, name, case):
        np.testing.assert_array_equal(call.vjp(g, wrt=target), call.vjp(whole, wrt=target))
    check_elements(call.vjp(g, wrt=case.operand), call.terms(case.operand, g), "float64", name)


def test_wrt_names_what_comes_back(catalogue: Any, name: str) -> None:
    """Without wrt there are the arrays' gradients; wrt= gives those that it names, in its order, and the same bits."""
    case = catalogue.base(name)[-1]
    call = Call(catalogue, name, case, "float64")
    names = differentiable(catalogue, name, case)
    single = {n: call.vjp(wrt=n) for n in names}
    default = call.vjp()
    together = call.vjp(wrt=tuple(reversed(names)))
    arrays = [n for n in call.operands if n in names]
    for got, wanted in ((default, arrays), (together, names[::-1])):
        parts = got if len(wanted) > 1 else (got,)
        assert len(parts) == len(wanted)
        for part, n in zip(parts, wanted, strict=True):
            np.testing.assert_array_equal(part, single[n])


def test_parameters_per_channel(catalogue: Any) -> None:
    """A parameter with a value for each channel gets a gradient for each, summed over all other axes."""
    tested = 0
    for name in catalogue.activations:
        case = catalogue.base(name)[0]
        parameters = [a for a in catalogue.kernel(name).function.operands if a.role == "param" and a.axes]
        for parameter in parameters:
            for dtype in ("float64", "float32"):
                call = Call(catalogue, name, case, dtype)
                call.operands[parameter.name] = np.array([0.25, -1.5, 2.0], dtype)
                gradients = dict(zip(call.operands, call.vjp(), strict=True))
                check_elements(gradients[case.operand], call.terms(case.operand), dtype, name)
                assert gradients[parameter.name].shape == SHAPE[1:2]
                for c, got in enumerate(gradients[parameter.name]):
                    check_sum(got, call.terms(parameter.name)[:, c], dtype, f"{name} channel {c}")
                tested += 1
    assert tested


def test_gradients_of_nothing(catalogue: Any, name: str) -> None:
    """Empty operands have empty gradients, and parameters and options the gradient zero."""
    case = catalogue.base(name)[0]
    call = Call(catalogue, name, case, "float64")
    call.operands[case.operand] = np.empty((2, 0, 4))
    for target in differentiable(catalogue, name, case):
        got = call.vjp(1.0, wrt=target)
        assert np.shape(got) == ((2, 0, 4) if target == case.operand else np.shape(call.operands.get(target, 0.0)))
        assert np.all(np.asarray(got) == 0)


@precise
def test_the_reference_is_right() -> None:
    """The plain text of a spec, differenced, gives a derivative that is known in closed form."""
    sigmoid = plain(folder() / "activations" / "sigmoid.py")["sigmoid"]
    x = mpf("0.7")
    exact = mpmath.exp(-x) / (1 + mpmath.exp(-x)) ** 2
    assert abs(slope(sigmoid, {"x": x}, "x") - exact) < mpf(10) ** -30
    assert math.isclose(float(sigmoid(x)), 1 / (1 + math.exp(-0.7)))
