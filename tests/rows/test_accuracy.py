"""Kernels of rows against the definition in ball arithmetic: every entry of value and gradients, in ULP."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import symgen.functional as F
from symgen.rows.reference import truth
from tests.rows.hard import OPS, hard_rows, ulps

BARS = {np.float32: 2.0, np.float64: 4.0}
SOFTMAX = ("softmax", "softmin", "log_softmax", "logsumexp", "logmeanexp")


@pytest.mark.parametrize("dtype", BARS)
@pytest.mark.parametrize("n", [1, 2, 3, 10, 33])
@pytest.mark.parametrize("name", SOFTMAX)
def test_softmax_and_its_kin(name: str, n: int, dtype: Any) -> None:
    """Each entry, confident rows and ties and far tails among them, is right to the bar: so is each of its gradient."""
    function, formula = getattr(F, name), OPS[name].variants[0].value
    for what, row in hard_rows(n):
        x = row.astype(dtype)
        g = np.random.default_rng(3).normal(size=() if OPS[name].name in ("logsumexp", "logmeanexp") else n)
        g = g.astype(dtype)
        arrays = {"x": x, "where": np.ones(n, bool)}
        value, gradients = truth(formula, arrays, {"C": n}, g, ["x"])
        assert ulps(function(x), value, dtype) <= BARS[dtype], (what, "value")
        assert ulps(function.vjp(g, x), gradients["x"], dtype) <= BARS[dtype], (what, "vjp")


@pytest.mark.parametrize("name", SOFTMAX[:4])
def test_masked_rows(name: str) -> None:
    """Masked entries count as absent, in the value and in the gradient, whatever stands there."""
    x = np.array([0.3, 900.0, -1.2, np.nan, 2.0])
    mask = np.array([True, False, True, False, True])
    function = getattr(F, name)
    got, kept = function(x, where=mask), function(x[mask])
    np.testing.assert_array_equal(got if np.ndim(got) == 0 else got[mask], kept)
    g = np.ones(()) if np.ndim(got) == 0 else np.arange(5.0)
    gradient = function.vjp(g, x, where=mask)
    np.testing.assert_array_equal(gradient[~mask], 0.0)
    np.testing.assert_allclose(gradient[mask], function.vjp(g if g.ndim == 0 else g[mask], x[mask]), rtol=1e-15)


def test_masked_entries_of_the_values() -> None:
    """A masked probability is zero, its logarithm minus infinity, and a row without entries is no distribution."""
    mask = [True, False]
    assert F.softmax([1.0, 5.0], where=mask).tolist() == [1.0, 0.0]
    assert F.log_softmax([1.0, 5.0], where=mask).tolist() == [0.0, -np.inf]
    none = [False, False]
    assert np.isnan(F.softmax([1.0, 5.0], where=none)).all()
    assert np.isnan(F.log_softmax([1.0, 5.0], where=none)).all()
    assert F.logsumexp([1.0, 5.0], where=none) == -np.inf


@pytest.mark.parametrize("n", [128, 4096, 131072, 1048576])
def test_error_does_not_grow_with_the_row(n: int) -> None:
    """Sums of a million terms are as right as sums of a hundred: exact sums say so."""
    rng = np.random.default_rng(0)
    x = rng.uniform(-1, 0, n)
    exact = math.fsum(np.exp(x - x.max()).tolist())  # each term is right to half a bit, and they average out
    assert F.logsumexp(x) == pytest.approx(x.max() + math.log(exact), rel=3e-16)
    p = F.softmax(x)
    assert abs(math.fsum(p.tolist()) - 1.0) <= 2e-16 * math.sqrt(n) / n + 2e-16
    g = rng.normal(size=n)
    gradient = F.softmax.vjp(g, x)
    assert abs(math.fsum(gradient.tolist())) <= 2e-16 * float(np.abs(gradient).max()) * math.sqrt(n) * 4


NEAR_UNIFORM: dict[str, Callable[[Any], Any]] = {
    "log_softmax of one sum": lambda x: F.log_softmax.vjp(np.ones_like(x), x),
    "cross entropy of all classes alike": lambda x: F.cross_entropy.grad(x, alike(x)),
    "cross entropy that is all smoothing": lambda x: F.cross_entropy.grad(x, 0, label_smoothing=1.0),
}  # fmt: skip


def alike(x: Any) -> Any:
    return np.full_like(x, 1 / len(x))


@pytest.mark.parametrize("spread", [1e-7, 1e-6, 1e-4, 1e-2])
@pytest.mark.parametrize("n", [128, 4096, 131072])
@pytest.mark.parametrize("case", NEAR_UNIFORM)
def test_what_is_left_beside_a_uniform_distribution(case: str, n: int, spread: float) -> None:
    """Probabilities that all but agree with 1/n: each float32 entry of what they differ by is what float64 gives.

    However long the row, and however little of an entry is left: sums of as many equal terms are exact enough, too.
    """
    x = (0.5 + spread * np.random.default_rng(n).normal(size=n)).astype(np.float32)
    found, exact = NEAR_UNIFORM[case](x), NEAR_UNIFORM[case](x.astype(np.float64))
    assert found.dtype == np.float32
    assert ulps(found, (exact, np.zeros(n)), np.float32) <= 0.6


def test_gradients_beside_the_mean_of_the_cotangents() -> None:
    """A cotangent that is the mean of all but for a millionth, in float64: its entry is the difference, to the bar."""
    for seed in range(20):
        rng = np.random.default_rng(seed)
        x, g = rng.normal(size=10) * 3, rng.normal(size=10)
        p = np.exp(x) / np.exp(x).sum()
        g[3] = (p @ g - p[3] * g[3]) / (1 - p[3]) + 1e-6
        arrays = {"x": x, "where": np.ones(10, bool)}
        _, gradients = truth(OPS["softmax"].variants[0].value, arrays, {"C": 10}, g, ["x"])
        assert ulps(F.softmax.vjp(g, x), gradients["x"], np.float64) <= BARS[np.float64], seed


@pytest.mark.parametrize("n", [5, 2048, 3000])
def test_infinities_in_float32_rows_of_any_length(n: int) -> None:
    """Sums that go by stretches leave nothing out, and make no NaN of an infinity."""
    x = np.zeros(n, np.float32)
    x[-1] = np.inf
    assert F.logsumexp(x) == np.inf
    assert F.softmax(x)[:-1].max() == 0
    assert np.isnan(F.softmax(x)[-1])
    x[:] = -np.inf
    assert F.logsumexp(x) == -np.inf
    x[n // 2] = 3.0
    assert F.softmax(x).tolist() == [float(i == n // 2) for i in range(n)]


def test_gradients_of_a_row_sum_to_zero() -> None:
    """Shifting all inputs changes nothing, so the gradient of each row sums to zero to the last bits."""
    rng = np.random.default_rng(1)
    x, g = rng.normal(size=(50, 40)) * 5, rng.normal(size=(50, 40))
    for name in ("softmax", "log_softmax"):
        gradient = getattr(F, name).vjp(g, x)
        assert np.all(np.abs(gradient.sum(-1)) <= 4e-16 * np.abs(gradient).sum(-1))


def test_gradient_beside_an_overwhelming_entry() -> None:
    """Where one entry is e^80 of the others, its gradient is what little the others have, to the bar."""
    x = np.array([-0.44, -1.17, 1.74, 80.0, 0.33, -0.26, 1.58, 1.32, 0.63, -2.2])
    g = np.random.default_rng(3).normal(size=10)
    _, gradients = truth(OPS["softmax"].variants[0].value, {"x": x, "where": np.ones(10, bool)}, {"C": 10}, g, ["x"])
    assert ulps(F.softmax.vjp(g, x), gradients["x"], np.float64) <= BARS[np.float64]


@pytest.mark.parametrize("temperature", [0.07, 1.0, 30.0])
@pytest.mark.parametrize("dtype", BARS)
def test_softmax_with_a_temperature(dtype: Any, temperature: float) -> None:
    """Value and gradients, that of the temperature among them, of which a confident row leaves next to nothing.

    Where that is exactly zero, as for equal inputs, what is left is below 2^-90 of the terms that cancel.
    """
    formula = next(v.value for v in OPS["softmax"].variants if v.suffix == "temperature_given")
    for what, row in hard_rows(9):
        x = row.astype(dtype)
        g = np.random.default_rng(4).normal(size=9).astype(dtype)
        arrays = {"x": x, "where": np.ones(9, bool), "temperature": np.array(temperature)}
        value, gradients = truth(formula, arrays, {"C": 9}, g, ["x", "temperature"])
        assert ulps(F.softmax(x, temperature=temperature), value, dtype) <= BARS[dtype], (what, "value")
        dx, slope = F.softmax.vjp(g, x, temperature=temperature, wrt=("x", "temperature"))
        assert ulps(dx, gradients["x"], dtype) <= BARS[dtype], (what, "x")
        if gradients["temperature"][0] == 0:
            assert abs(slope) <= 2.0**-90 * np.abs(x * g).max() / temperature**2, what
        else:
            assert ulps(slope, gradients["temperature"], dtype) <= BARS[dtype], (what, "temperature")
