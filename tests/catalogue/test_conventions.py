"""Conventions of the compiled kernels at kinks, at infinities, at signed zeros and with NaN, as tables."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import symgen.functional as F
from symgen.features import kinks

KIND = "activations"  # losses have rules of their own: test_losses.py

INF = np.inf
SELU = 1.7580993408473768599  # alpha times scale, exactly and rounded once

# name, options, point: first and second derivative there. The first is PyTorch's, by its documented order: convex, the
# subgradient of minimum norm; concave, likewise; otherwise the branch that the definition takes at the point.
KINKS: dict[tuple[str, tuple[tuple[str, float], ...], float], tuple[float, float]] = {
    ("relu", (), 0.0): (0.0, 0.0),
    ("leaky_relu", (), 0.0): (0.01, 0.0),
    ("prelu", (("weight", 0.25),), 0.0): (0.25, 0.0),
    ("relu6", (), 0.0): (0.0, 0.0),
    ("relu6", (), 6.0): (0.0, 0.0),
    ("hardtanh", (), -1.0): (0.0, 0.0),
    ("hardtanh", (), 1.0): (0.0, 0.0),
    ("hardtanh", (("min_val", -0.5), ("max_val", 2.0)), 2.0): (0.0, 0.0),
    ("hardsigmoid", (), -3.0): (0.0, 0.0),
    ("hardsigmoid", (), 3.0): (0.0, 0.0),
    ("hardswish", (), -3.0): (0.0, 0.0),
    ("hardswish", (), 3.0): (1.0, 0.0),
    ("softshrink", (), -0.5): (0.0, 0.0),
    ("softshrink", (), 0.5): (0.0, 0.0),
    ("hardshrink", (), -0.5): (0.0, 0.0),
    ("hardshrink", (), 0.5): (0.0, 0.0),
    ("threshold", (("threshold", 1.0), ("value", 20.0)), 1.0): (0.0, 0.0),
    ("elu", (), 0.0): (1.0, 1.0),
    ("elu", (("alpha", 2.0),), 0.0): (2.0, 2.0),
    ("celu", (("alpha", 2.0),), 0.0): (1.0, 0.5),
    ("selu", (), 0.0): (SELU, SELU),
    ("softsign", (), 0.0): (1.0, 0.0),
    ("step", (), 0.0): (0.0, 0.0),
}

# name: value, first and second derivative at -inf, and at +inf; None where there is no limit or none is claimed.
LIMITS = {
    "silu": ((0, 0, 0), (INF, 1, 0)),
    "mish": ((0, 0, 0), (INF, 1, 0)),
    "gelu": ((0, 0, 0), (INF, 1, 0)),
    "quick_gelu": ((0, 0, 0), (INF, 1, 0)),
    "hardswish": ((0, 0, 0), (INF, 1, 0)),
    "softsign": ((-1, 0, 0), (1, 0, 0)),
    "tanh": ((-1, 0, 0), (1, 0, 0)),
    "tanhshrink": ((-INF, 1, 0), (INF, 1, 0)),
    "sigmoid": ((0, 0, 0), (1, 0, 0)),
    "hardsigmoid": ((0, 0, 0), (1, 0, 0)),
    "softplus": ((0, 0, 0), (INF, 1, 0)),
    "squareplus": ((0, 0, 0), (INF, 1, 0)),
    "logsigmoid": ((-INF, 1, 0), (0, 0, 0)),
    "log_ndtr": ((-INF, INF, -1), (0, 0, 0)),
    "log1mexp": ((None, None, None), (0, 0, 0)),
    "erf": ((-1, 0, 0), (1, 0, 0)),
    "erfc": ((2, 0, 0), (0, 0, 0)),
    "exponential": ((0, 0, 0), (INF, INF, INF)),
    "elu": ((-1, 0, 0), (INF, 1, 0)),
    "celu": ((-1, 0, 0), (INF, 1, 0)),
    "relu": ((0, 0, 0), (INF, 1, 0)),
    "relu6": ((0, 0, 0), (6, 0, 0)),
    "hardtanh": ((-1, 0, 0), (1, 0, 0)),
    "leaky_relu": ((-INF, 0.01, 0), (INF, 1, 0)),
    "softcap": ((-30, 0, 0), (30, 0, 0)),
    "softshrink": ((-INF, 1, 0), (INF, 1, 0)),
    "hardshrink": ((-INF, 1, 0), (INF, 1, 0)),
    "step": ((0, 0, 0), (1, 0, 0)),
    "linear": ((-INF, 1, 0), (INF, 1, 0)),
}

# The value at -0.0 as PyTorch 2.13 gives it: these keep its sign, those do not.
NEGATIVE_ZERO = (
    "relu", "relu6", "hardtanh", "leaky_relu", "tanh", "silu", "gelu", "mish", "elu", "celu", "selu", "hardswish",
    "softsign", "erf", "sine",
)  # fmt: skip
POSITIVE_ZERO = ("hardshrink", "tanhshrink")

NANS = (np.nan, -np.nan)


def paths(name: str, dtype: Any, point: float, options: dict[str, float]) -> Iterator[tuple[str, float, float]]:
    """First and second derivative at a point by every way to ask for them."""
    kernel = getattr(F, name)
    x = np.full(3, point, dtype)
    _, joint = kernel.value_and_grad(x, wrt=kernel.function.tensors[0].name, **options)
    first, second = (kernel.grad(x, order=order, **options) for order in (1, 2))
    transposed = kernel.vjp(np.ones(3, dtype), x, wrt=kernel.function.tensors[0].name, **options)
    for what, slope in (("grad", first), ("value_and_grad", joint), ("vjp", transposed)):
        yield what, float(slope[1]), float(second[1])


@pytest.mark.parametrize("kink", KINKS, ids=str)
def test_kinks(catalogue: Any, kink: tuple[str, tuple[tuple[str, float], ...], float]) -> None:
    """At a kink both derivatives are the convention's, in every dtype, by grad, vjp and value_and_grad."""
    name, options, point = kink
    first, second = KINKS[kink]
    for dtype in catalogue.dtypes:
        for what, slope, bend in paths(name, dtype, point, dict(options)):
            assert slope == np.asarray(first).astype(dtype), (what, dtype)
            assert bend == np.asarray(second).astype(dtype), (what, dtype)
    for zero in (0.0, -0.0) if point == 0.0 else ():
        assert [s for _, s, _ in paths(name, np.float64, zero, dict(options))] == [first] * 3


def test_the_convention_table_is_complete(catalogue: Any) -> None:
    """Every function whose definition has a kink at its default setting, or at zero, is in the table."""
    named = {name for name, _, _ in KINKS}
    kinked = {n for n in catalogue.activations for c in catalogue.base(n)[:1]
              if kinks(c.expression, c.symbol, dict(c.parameters))}
    assert kinked - named == set()


@pytest.mark.parametrize("function", LIMITS)
def test_limits_at_infinity(catalogue: Any, function: str) -> None:
    """Value and derivatives at plus and minus infinity are the limits, never NaN, in every dtype."""
    kernel = getattr(F, function)
    for dtype in catalogue.dtypes:
        for at, wanted in zip((-INF, INF), LIMITS[function], strict=True):
            x = np.full(2, at, dtype)
            found = (kernel(x)[0], kernel.grad(x)[0], kernel.grad(x, order=2)[0])
            for got, want in zip(found, wanted, strict=True):
                assert want is None or got == np.asarray(want).astype(dtype), (function, dtype, at, found)
            gradient = kernel.vjp(np.full(2, 2.0, dtype), x)[0]
            assert wanted[1] is None or gradient == np.asarray(2.0 * wanted[1]).astype(dtype)


@pytest.mark.parametrize(
    ("function", "negative"), [*((n, True) for n in NEGATIVE_ZERO), *((n, False) for n in POSITIVE_ZERO)]
)
def test_negative_zero(catalogue: Any, function: str, negative: bool) -> None:
    """The value at -0.0 is the zero that PyTorch gives, bit for bit, and at 0.0 it is 0.0."""
    kernel = getattr(F, function)
    for dtype in catalogue.dtypes:
        minus, plus = kernel(np.array([-0.0, 0.0], dtype))
        assert (minus, plus) == (0, 0)
        assert not np.signbit(np.float64(plus))
        assert bool(np.signbit(np.float64(minus))) == negative, dtype
        joint = kernel.value_and_grad(np.array([-0.0], dtype))[0][0]
        assert bool(np.signbit(np.float64(joint))) == negative, dtype


def test_signs_of_zeros_agree(catalogue: Any, name: str) -> None:
    """At 0.0 and -0.0 the value has the same sign in every dtype, alone and with the derivative."""
    kernel = catalogue.kernel(name)
    for case in catalogue.base(name):
        signs = set()
        for dtype in catalogue.dtypes:
            operands = catalogue.operands(case, np.array([0.0, -0.0], dtype))
            alone = kernel(*operands, **dict(case.options))
            joint, _ = kernel.value_and_grad(*operands, wrt=case.operand, **dict(case.options))
            signs |= {tuple(np.signbit(v.astype(np.float64)).tolist()) for v in (alone, joint)}
        assert len(signs) == 1, (case.settings, signs)


def test_nan_in_nan_out(catalogue: Any, name: str) -> None:
    """A NaN of either sign comes out of every output, in every dtype and variant, and of no element beside it."""
    kernel = catalogue.kernel(name)
    for case in catalogue.base(name):
        options = dict(case.options)
        (variant,) = [v for v in kernel.function.variants if v.suffix == case.variant.suffix]
        targets = [a.name for a in kernel.function.arguments if kernel.function.output(a, 1) in variant.outputs]
        for dtype in catalogue.dtypes:
            x = np.array([0.75, *NANS, 0.75], dtype)
            operands = catalogue.operands(case, x)
            found = {"value": kernel(*operands, **options), "grad2": kernel.grad(*operands, order=2, **options)}
            found |= {t: kernel.grad(*operands, wrt=t, **options) for t in targets}
            joint = kernel.value_and_grad(*operands, wrt=targets[0], **options)
            found |= {"joint value": joint[0], "joint grad": joint[1]}
            found["vjp"] = kernel.vjp(np.ones(4, dtype), *operands, wrt=targets[0], **options)
            for what, result in found.items():
                flags = np.isnan(result.astype(np.float64)).tolist()
                assert flags == [False, True, True, False], (name, what, dtype)
            for t in targets[1:]:
                assert np.isnan(np.float64(np.sum(kernel.vjp(np.ones(4, dtype), *operands, wrt=t, **options)))), t


def test_nan_in_a_parameter(catalogue: Any) -> None:
    """A NaN in a learned parameter comes out wherever the parameter is read."""
    tested = 0
    for name in catalogue.activations:
        kernel, case = catalogue.kernel(name), catalogue.base(name)[0]
        if any(a.role == "param" for a in kernel.function.operands):
            operands = [np.array([-1.0, -0.5]) if v is None else np.array([np.nan]) for _, v in case.operands]
            assert np.isnan(kernel(*operands, **dict(case.options))).all()
            assert np.isnan(kernel.grad(*operands, wrt=case.operand, **dict(case.options))).all()
            tested += 1
    assert tested


def test_nothing_is_nan_that_need_not_be(catalogue: Any, name: str) -> None:
    """From finite inputs of every size no output is NaN where the oracle knows a value, and none warns."""
    kernel = catalogue.kernel(name)
    for case in catalogue.base(name):
        for dtype in catalogue.dtypes[1:]:
            x = catalogue.points(case, dtype)
            x = x[np.isfinite(x.astype(np.float64)) & (np.abs(x.astype(np.float64)) > 0)]
            operands = catalogue.operands(case, x)
            with np.errstate(all="raise"):
                for result in (kernel(*operands, **dict(case.options)), *kernel.value_and_grad(
                        *operands, wrt=case.operand, **dict(case.options))):
                    assert not np.isnan(result.astype(np.float64)).any(), (name, dtype)
