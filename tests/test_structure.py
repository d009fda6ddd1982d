"""Losses of a project of one's own: weights in front, differences taken exactly, and reductions in one pass."""

from __future__ import annotations

import importlib
import math
import sys
from typing import Any

import numpy as np
import pytest
from sympy import Symbol, cosh, log

from symgen.heads import weighted
from symgen.structure import annihilated, structure

SPEC = '''\
"""Squared logarithms, weighted."""

from symgen.spec import Weight, cosh, log, loss


@loss()
def regret(input, target, weight: Weight = 1):
    """Weighted logarithm of the hyperbolic cosine of the difference."""
    return weight * log(cosh(input - target)), weight
'''
a, b, w, p = (Symbol(n, real=True) for n in "abwp")


@pytest.fixture(scope="module")
def kernel(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The loss, built in a project of its own and imported from it."""
    from symgen import build as driver
    from symgen.config import Config

    folder = tmp_path_factory.mktemp("project")
    (folder / "specs").mkdir()
    (folder / "specs" / "regret.py").write_text(SPEC, encoding="utf-8")
    driver.build(Config(root=folder, specs=(folder / "specs",), out=folder / "regrets", package="regrets"))
    sys.path.insert(0, str(folder))
    yield importlib.import_module("regrets").regret
    sys.path.remove(str(folder))


def samples() -> tuple[Any, Any, Any]:
    """Predictions, targets and weights."""
    rng = np.random.default_rng(2)
    return rng.normal(size=(6, 5)), rng.normal(size=(6, 5)), rng.uniform(0.1, 2, (6, 5))


def test_structure_of_a_weighted_difference() -> None:
    """The weight stands in front, and what is left depends on the difference alone."""
    found = structure(w * log(cosh(a - b)), (a, b), (w,))
    assert found.weights == (w,)
    assert found.difference is not None
    assert found.core == log(cosh(found.difference.symbol))
    assert structure(a * b, (a, b), ()).difference is None
    assert structure(w * a + w**2, (a,), (w,)).weights == ()


def test_probabilities_annihilate_logarithms() -> None:
    """A factor of probabilities alone makes zero of an infinite rest; a finite rest stays a product."""
    assert annihilated(-p * log(a), frozenset((p,))) == -weighted(p, log(a))
    assert annihilated((1 - p) * a, frozenset((p,))) == (1 - p) * a


def test_reductions(kernel: Any) -> None:
    """The mean divides by the shares, batchmean by the first axis, and small residuals keep their digits."""
    x, t, weight = samples()
    each = kernel(x, t, weight, reduction="none")
    total = math.fsum(each.ravel())
    assert kernel(x, t, weight, reduction="sum") == pytest.approx(total, rel=1e-15)
    assert kernel(x, t, weight) == pytest.approx(total / math.fsum(weight.ravel()), rel=1e-15)
    assert kernel(x, t, weight, reduction="batchmean") == pytest.approx(total / 6, rel=1e-15)
    assert kernel(1e-9, 0.0) == 5e-19
    assert kernel(1000.0, 0.0) == 999.3068528194401
    assert np.isnan(kernel(np.empty((0, 2)), np.empty((0, 2))))


def test_gradients_of_the_mean(kernel: Any) -> None:
    """Gradients of a mean agree with differences of it, in the weight through the divisor too; hvp with theirs."""
    x, t, weight = samples()
    value, (dx, dt) = kernel.value_and_grad(x, t, weight)
    assert value == kernel(x, t, weight)
    assert np.array_equal(dx, -dt)
    gradients = kernel.vjp(1.0, x, t, weight)
    step = np.zeros_like(x)
    step[2, 3] = 1e-6
    for i, gradient in enumerate(gradients):
        above, below = ([o + s * step if j == i else o for j, o in enumerate((x, t, weight))] for s in (1, -1))
        assert gradient[2, 3] == pytest.approx((kernel(*above) - kernel(*below)) / 2e-6, rel=1e-6, abs=1e-9)
    bend = (kernel.grad(x + step, t, weight, wrt="input") - kernel.grad(x - step, t, weight, wrt="input")) / 2e-6
    unit = (step > 0).astype(float)
    np.testing.assert_allclose(kernel.hvp(unit, x, t, weight), bend, rtol=1e-6, atol=1e-9)


def test_long_sums_and_zero_weights(kernel: Any) -> None:
    """A sum of a million samples is right to the last place; a weight of zero makes zero of an infinite loss."""
    x = np.random.default_rng(1).normal(size=1 << 20) * 1e3
    assert kernel(x, 0.0, reduction="sum") == pytest.approx(math.fsum(kernel(x, 0.0, reduction="none")), rel=2e-16)
    assert kernel(np.array([np.inf, 1.0]), 0.0, np.array([0.0, 1.0])) == kernel(1.0, 0.0)
    value, gradient = kernel.value_and_grad(np.ones(2), np.zeros(2), np.zeros(2), wrt="input")
    assert np.isnan(value)
    assert gradient.tolist() == [0.0, 0.0]


def test_mistakes_are_named(kernel: Any) -> None:
    """What does not fit a reduction is refused by name."""
    with pytest.raises(ValueError, match=r"reduction must be .*did you mean 'mean'"):
        kernel(1.0, 2.0, reduction="men")
    with pytest.raises(ValueError, match="the reduced loss is one number"):
        kernel.vjp(np.ones(2), np.ones(2), np.ones(2))
    with pytest.raises(ValueError, match="order=2 is elementwise and needs reduction='none'"):
        kernel.grad(np.ones(2), np.ones(2), order=2)
