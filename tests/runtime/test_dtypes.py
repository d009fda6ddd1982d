"""Rounding: half-precision results are rounded once, whatever path they take."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import ml_dtypes
import numpy as np
import pytest

from symgen.runtime.dtypes import common_precision, is_float, precision_of, store

BFLOAT16 = np.dtype(ml_dtypes.bfloat16)


def _finite(dtype: np.dtype[Any]) -> Any:
    """All finite values of a 16-bit float, sorted, as float64."""
    with np.errstate(all="ignore"):
        values = np.arange(1 << 16, dtype=np.uint16).view(dtype).astype(np.float64)
    return np.unique(values[np.isfinite(values)])


@pytest.mark.parametrize("dtype", [np.dtype(np.float16), BFLOAT16], ids=str)
def test_store_rounds_once(dtype: np.dtype[Any]) -> None:
    """At every midpoint of neighbours, and a float64 step to either side of it, rounding is to nearest even."""
    values = _finite(dtype)
    below, above = values[:-1], values[1:]
    middle = (below + above) / 2
    even = (below.astype(dtype).view(np.uint16) & 1) == 0
    cases = [
        (np.nextafter(middle, -np.inf), below),
        (np.nextafter(middle, np.inf), above),
        (middle, np.where(even, below, above)),
    ]
    for source, expected in cases:
        target = np.empty(source.shape, dtype)
        store(source, target)
        np.testing.assert_array_equal(target.astype(np.float64), expected)


@pytest.mark.parametrize("value", [np.inf, -np.inf, 1e300, -1e300, 1e-300, -1e-300, 0.0, -0.0, 3.39e38, 3.4028235e38])
def test_store_specials(value: float) -> None:
    """Infinities, overflow, underflow and signed zeros arrive in bfloat16 as rounding says."""
    target = np.empty((), BFLOAT16)
    with np.errstate(all="ignore"):
        store(np.array(value), target)
        expected = np.array(value).astype(BFLOAT16)
    assert target.astype(float) == expected.astype(float)
    assert np.signbit(target.astype(float)) == np.signbit(value)


def test_store_nan() -> None:
    """NaN stays NaN."""
    target = np.zeros(1, BFLOAT16)
    store(np.array([np.nan]), target)
    assert np.isnan(target.astype(float)).all()


@pytest.mark.parametrize("dtype", [np.dtype(np.float16), BFLOAT16], ids=str)
def test_kernels_round_once(kernels: ModuleType, dtype: np.dtype[Any]) -> None:
    """Every 16-bit input gives the rounded float64 result, in the call, the derivative and the vjp."""
    x = _finite(dtype).astype(dtype)
    wide = x.astype(np.float64)
    for found, exact in [
        (kernels.gate(x, form="cube"), wide**3),
        (kernels.gate.grad(x, form="cube"), 3 * wide**2),
        (kernels.gate.vjp(x, x, form="cube"), wide * (3 * wide**2)),
        (kernels.gate.value_and_grad(x, form="cube")[1], 3 * wide**2),
        (kernels.gate(x[::-2], form="cube"), wide[::-2] ** 3),
    ]:
        expected = np.empty(exact.shape, dtype)
        with np.errstate(all="ignore"):
            store(exact, expected)
        assert found.dtype == dtype
        np.testing.assert_array_equal(found.astype(float), expected.astype(float))


def test_accepted_dtypes() -> None:
    """What is accepted is what is listed; other machine floats are not."""
    assert precision_of(np.dtype(np.longdouble)) is None
    assert precision_of(np.dtype(ml_dtypes.float8_e4m3fn)) is None
    assert not is_float(np.dtype(np.int64))
    assert is_float(BFLOAT16)
    with pytest.raises(TypeError, match="no common"):
        common_precision([np.dtype(ml_dtypes.float8_e4m3fn)], [])
