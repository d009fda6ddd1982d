"""Rows at the ends of the range: infinities, nothing at all, one entry, ties; each as the conventions say."""

from __future__ import annotations

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
