"""The fused multiply-add for arrays: one rounding, whatever the shapes."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from symgen.fused import fma

RANDOM = np.random.default_rng(5)


def once(a: float, b: float, c: float) -> float:
    return float(Fraction(a) * Fraction(b) + Fraction(c))


@pytest.mark.parametrize("scale", [1.0, 1e-300, 1e150])
def test_every_result_is_rounded_once(scale: float) -> None:
    """Where sums cancel, products are subnormal or nearly overflow, the result is the exact one, rounded."""
    a, b = RANDOM.normal(size=(2, 400)) * scale
    c = -a * b * (1 + RANDOM.integers(-3, 4, 400) * 2.0**-52)
    assert fma(a, b, c).tolist() == [once(*each) for each in zip(a.tolist(), b.tolist(), c.tolist(), strict=True)]


def test_shapes_broadcast_as_in_numpy() -> None:
    """Numbers, rows, columns and strided views give what whole arrays give."""
    row, column, table = np.arange(6.0)[None], np.arange(4.0)[:, None], np.arange(24.0).reshape(6, 4).T
    for a, b, c in [(row, column, 2.0), (table, row, column), (3.0, table, 1.0), (row[0], 2.0, 1.0), (2.0, 3.0, 4.0)]:
        got = fma(a, b, c)
        assert got.shape == np.broadcast_shapes(np.shape(a), np.shape(b), np.shape(c))
        assert np.array_equal(got, np.asarray(a) * b + c)


def test_nothing_comes_of_nothing() -> None:
    """Empty arrays stay empty."""
    assert fma(np.empty(0), 1.0, np.empty(0)).shape == (0,)
