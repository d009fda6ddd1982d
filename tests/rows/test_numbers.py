"""Functions with one number for each row: their gradient without a cotangent, and both in one pass."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import symgen.functional as F
from symgen.rows.indices import loops
from symgen.rows.reference import truth
from tests.rows.hard import OPS, hard_rows, ulps

BARS = {np.float32: 2.0, np.float64: 4.0}
X = np.random.default_rng(0).normal(size=(3, 4, 5))
Y = np.random.default_rng(1).normal(size=(3, 4, 5))
CALLS: dict[str, tuple[Any, ...]] = {"logsumexp": (X,), "logmeanexp": (X,), "cosine_similarity": (X, Y)}


def test_every_such_function_is_called_here() -> None:
    """Losses have reductions instead, and tests of their own."""
    activations = {n for n, op in OPS.items() if op.kind == "activation"}
    assert sorted(CALLS) == sorted(n for n in activations if not any(loops(v.value) for v in OPS[n].variants))


@pytest.mark.parametrize("axis", [0, 1, -1])
@pytest.mark.parametrize("name", CALLS)
def test_it_is_the_value_and_the_pullback_of_one(name: str, axis: int) -> None:
    """Along any axis, kept or not, under wrt= and into out=, of arrays of any layout."""
    function, arrays = getattr(F, name), CALLS[name]
    value, gradient = function(*arrays, axis=axis), function.vjp(1.0, *arrays, axis=axis)
    found, slope = function.value_and_grad(*arrays, axis=axis)
    same(found, value)
    same(slope, gradient)
    same(function.grad(*arrays, axis=axis), gradient)
    kept, again = function.value_and_grad(*arrays, axis=axis, keepdims=True)
    assert kept.shape == function(*arrays, axis=axis, keepdims=True).shape
    same(again, gradient)
    turned = [np.asfortranarray(a) for a in arrays]
    same(function.value_and_grad(*turned, axis=axis), (value, gradient))
    last = function.function.tensors[-1].name
    out = np.empty_like(X)
    assert function.grad(*arrays, axis=axis, wrt=last, out=out) is out
    same(out, gradient[-1] if isinstance(gradient, tuple) else gradient)


def same(found: Any, wanted: Any) -> None:
    """Equal to what two results right to half an ULP may differ by."""
    if isinstance(wanted, tuple):
        for a, b in zip(found, wanted, strict=True):
            same(a, b)
    else:
        np.testing.assert_allclose(found, wanted, rtol=3e-16, atol=1e-17)


@pytest.mark.parametrize("dtype", BARS)
@pytest.mark.parametrize("name", ["logsumexp", "logmeanexp"])
def test_both_are_right_on_hard_rows(name: str, dtype: Any) -> None:
    """What one pass gives keeps the bars that value and gradient have alone."""
    formula = OPS[name].variants[0].value
    for what, row in hard_rows(10):
        x = row.astype(dtype)
        arrays = {"x": x, "where": np.ones(10, bool)}
        value, gradients = truth(formula, arrays, {"C": 10}, np.ones(()), ["x"])
        found, slope = getattr(F, name).value_and_grad(x)
        assert (found.dtype, slope.dtype) == (dtype, dtype)
        assert ulps(found, value, dtype) <= BARS[dtype], what
        assert ulps(slope, gradients["x"], dtype) <= BARS[dtype], what


def test_masks_and_half_precision() -> None:
    """Absent entries have no slope; narrow numbers are rounded once."""
    mask = np.array([True, False, True])
    value, slope = F.logsumexp.value_and_grad(np.array([0.5, np.nan, 0.5]), where=mask)
    assert (value, slope.tolist()) == (0.5 + np.log(2), [0.5, 0.0, 0.5])
    x = np.array([1.0, 2.0, 3.0], np.float16)
    value, slope = F.logsumexp.value_and_grad(x)
    assert value == np.float16(F.logsumexp(x.astype(np.float64)))
    np.testing.assert_array_equal(slope, F.softmax(x))


def test_a_row_of_numbers_has_no_gradient_without_a_cotangent() -> None:
    """Each entry of softmax has a gradient of its own."""
    assert not hasattr(F.softmax, "grad")
    assert not hasattr(F.softmax, "value_and_grad")
