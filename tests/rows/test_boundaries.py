"""Rows at the ends of the range: infinities, nothing at all, one entry, ties; each as the conventions say."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import symgen.functional as F

INF, NAN = np.inf, np.nan


def test_all_minus_infinity() -> None:
    """Nothing to distribute: softmax is no number, logsumexp minus infinity with a gradient of zero."""
    assert np.isnan(F.softmax([-INF, -INF])).all()
    assert F.logsumexp([-INF, -INF]) == -INF
    assert F.logsumexp.vjp(1.0, [-INF, -INF]).tolist() == [0.0, 0.0]


def test_some_minus_infinity() -> None:
    """An impossible entry has probability zero and costs the others no accuracy."""
    assert F.softmax([-INF, 0.0]).tolist() == [0.0, 1.0]
    assert F.log_softmax([-INF, 0.0]).tolist() == [-INF, 0.0]
    assert F.logsumexp([-INF, 20.0, 0.0]) == F.logsumexp([20.0, 0.0])
    assert F.log_softmax([20.0, -INF, 0.0])[0] == F.log_softmax([20.0, 0.0])[0] == pytest.approx(-2.061153620314381e-09)


def test_plus_infinity() -> None:
    """An infinite input makes infinity over infinity of its own entry."""
    assert np.isnan(F.softmax([INF, 0.0])[0])
    assert F.logsumexp([INF, 0.0]) == INF


def test_nan_comes_out_everywhere() -> None:
    """Every entry depends on every other."""
    for name in ("softmax", "softmin", "log_softmax"):
        assert np.isnan(getattr(F, name)([NAN, 0.0, 1.0])).all()
        assert np.isnan(getattr(F, name).vjp(np.arange(3.0), [NAN, 0.0, 1.0])).all()
    assert np.isnan(F.logsumexp([0.0, NAN]))
    assert np.isnan(F.logmeanexp([NAN, 0.0]))


def test_one_entry_and_none() -> None:
    """A row of one is certain; a row of none sums to nothing."""
    assert F.softmax([[3.0]]).tolist() == [[1.0]]
    assert F.log_softmax([7.0]).tolist() == [0.0]
    assert F.logsumexp([-3.0]) == -3.0
    assert F.logmeanexp([5.5]) == 5.5
    assert F.softmax(np.empty((3, 0))).shape == (3, 0)
    assert F.softmax(np.empty((0, 3))).shape == (0, 3)
    assert F.logsumexp(np.empty((2, 0))).tolist() == [-INF, -INF]


def test_large_inputs_do_not_overflow() -> None:
    """The shift takes the range away, up to the largest floats."""
    big = np.array([1e308, 1e308])
    assert F.softmax(big).tolist() == [0.5, 0.5]
    assert F.softmax(np.array([3e38, -3e38], np.float32)).tolist() == [1.0, 0.0]
    assert F.logsumexp([1000.0, 1000.0]) == pytest.approx(1000 + np.log(2), rel=1e-15)


WEIGHTED = [F.nll_loss, F.cross_entropy, F.poly_cross_entropy, F.generalized_cross_entropy, F.multi_margin_loss]


@pytest.mark.parametrize("entry", [INF, -INF, NAN])
@pytest.mark.parametrize("loss", WEIGHTED)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_sample_of_weight_zero_counts_for_nothing(loss: Any, entry: float, dtype: Any) -> None:
    """Whatever its logits: its loss and its gradient are zero, and those of the other samples what they are alone."""
    x = np.array([[entry, 0.0, 1.0], [0.5, -1.0, 2.0]], dtype)
    w = np.array([0.0, 1.5, 1.0], dtype)
    losses = loss(x, [0, 2], weight=w, reduction="none")
    assert losses[0] == 0
    assert losses[1] == loss(x[1:], [2], weight=w, reduction="none")[0]
    for reduction in ("sum", "mean"):
        value, gradient = loss.value_and_grad(x, [0, 2], weight=w, reduction=reduction)
        assert np.isfinite(value)
        assert (gradient[0] == 0).all()
    np.testing.assert_array_equal(gradient[1] * (2 if loss is F.multi_margin_loss else 1),
                                  loss.grad(x[1:], [2], weight=w)[0])  # fmt: skip
    assert (loss.vjp(np.ones(2, dtype), x, [0, 2], weight=w, reduction="none")[0][0] == 0).all()


@pytest.mark.parametrize(("logs", "target", "loss", "slope"), [
    (-1.0, -INF, 0.0, 0.0), (-INF, -INF, 0.0, 0.0), (-INF, 0.0, INF, -1.0), (0.0, 0.0, 0.0, -1.0),
])  # fmt: skip
def test_a_target_given_as_a_logarithm(logs: float, target: float, loss: float, slope: float) -> None:
    """A probability of zero is minus infinity there, costs nothing and passes nothing on, to the target neither."""
    x, t = np.array([logs]), np.array([target])
    assert F.kl_div(x, t, log_target=True, reduction="none").tolist() == [loss]
    dx, dt = F.kl_div.vjp(np.ones(1), x, t, log_target=True, reduction="none")
    assert dx.tolist() == [slope]
    assert (dt == 0).all() == (target == -INF)


def test_what_decides_a_case_only_is_a_number_too() -> None:
    """A rate below zero has an infinite loss whatever was counted, but not where nobody knows what was."""
    x, t = np.array([-1.0, np.nan, 1.0]), np.array([NAN, 1.0, NAN])
    options = {"log_input": False, "reduction": "none"}
    assert np.isnan(F.poisson_nll_loss(x, t, **options)).all()
    for wrt in ("input", "target", "eps"):
        assert np.isnan(F.poisson_nll_loss.grad(x, t, wrt=wrt, **options)).all()
    assert np.isnan(F.poisson_nll_loss.vjp(1.0, x[:1], t[:1], wrt="eps", log_input=False))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_label_that_is_no_number_has_no_loss(dtype: Any) -> None:
    """Neither of the cases of a label is meant for it, and zero for all others would hide it."""
    x = np.array([[1.0, 2.0], [1.0, 2.0]], dtype)
    labels = np.array([NAN, 1.0], dtype)
    found = F.cosine_embedding_loss(x, x[:, ::-1], labels, reduction="none")
    assert np.isnan(found).tolist() == [True, False]
    gradient = F.cosine_embedding_loss.grad(x, x[:, ::-1], labels, wrt="input1", reduction="sum")
    assert np.isnan(gradient).tolist() == [[True, True], [False, False]]


HINGES: list[tuple[Any, tuple[Any, ...], dict[str, Any]]] = [
    (F.triplet_margin_loss, ([1.0, NAN], [1.0, 2.0], [3.0, 4.0]), {}),
    (F.triplet_margin_loss, ([1.0, 2.0], [1.0, 2.0], [NAN, 4.0]), {"p": 1.0, "swap": True}),
    (F.triplet_margin_loss, ([1.0, 2.0], [NAN, 2.0], [3.0, 4.0]), {"p": np.inf}),
    (F.multi_margin_loss, ([1.0, NAN, 2.0], 0), {}),
    (F.multi_margin_loss, ([NAN, 1.0, 2.0], 0), {"p": 2}),
]


@pytest.mark.parametrize(("loss", "operands", "options"), HINGES)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_hinge_of_what_is_no_number_has_no_slope(loss: Any, operands: Any, options: Any, dtype: Any) -> None:
    """Whether a hinge is active is not known then, and a slope of zero would say that it is not."""
    arrays = [np.array(o, dtype) if isinstance(o, list) else np.array(o) for o in operands]
    value, gradient = loss.value_and_grad(*arrays, wrt="margin", **options)
    assert np.isnan(value)
    assert np.isnan(gradient)


def test_a_class_that_is_not_read_may_be_no_number() -> None:
    """An ignored sample costs nothing, and a class beside the label's has a slope of its own."""
    x = np.array([[NAN, NAN], [0.0, 3.0]])
    assert F.cross_entropy(x, [-100, 1]) == F.cross_entropy(x[1:], [1])
    slopes = F.multi_margin_loss.grad(np.array([[3.0, 3.5, NAN]]), [0])
    assert np.isnan(slopes).tolist() == [[True, False, True]]
