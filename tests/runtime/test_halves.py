"""Rows of float16 and bfloat16: every word read exactly, results rounded once, kernels those of float32."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import symgen.functional as F
from symgen.runtime.dtypes import store
from symgen.runtime.halves import narrowed, widened

ml_dtypes = pytest.importorskip("ml_dtypes")
HALVES = pytest.mark.parametrize("dtype", [np.float16, ml_dtypes.bfloat16], ids=["float16", "bfloat16"])
WORDS = np.arange(1 << 16, dtype=np.uint16)


@HALVES
def test_every_word_is_widened_exactly(dtype: Any) -> None:
    halves = WORDS.view(dtype)
    assert np.array_equal(widened(halves), halves.astype(np.float32), equal_nan=True)


@HALVES
def test_numbers_are_rounded_once_to_nearest_even(dtype: Any) -> None:
    """Each of the format, the midpoints, and float64's next numbers beside these; beyond it, and no numbers."""
    with np.errstate(all="ignore"):
        own = np.sort(WORDS.view(dtype).astype(np.float64))
        own = own[np.isfinite(own)]
        middle = own[:-1] / 2 + own[1:] / 2
        far = np.array([np.inf, -np.inf, np.nan, 1e300, -1e300, 1e-300, -1e-300, 5e-324, 0.0, -0.0, 65519.9, 65520.0])
        values = np.concatenate([own, middle, np.nextafter(middle, np.inf), np.nextafter(middle, -np.inf), far])
        wanted, found = (np.empty(values.shape, dtype) for _ in range(2))
        store(values, wanted)
        narrowed(values, found)
    numbers = ~np.isnan(values)
    assert np.array_equal(found[numbers].view(np.uint16), wanted[numbers].view(np.uint16))
    assert np.isnan(found[~numbers].astype(np.float64)).all()


@HALVES
def test_rows_are_what_float32_rows_are_rounded(dtype: Any) -> None:
    """Of the same numbers, within half a unit and the last bit of a float32; on one thread and on several."""
    x = np.random.default_rng(1).normal(size=(600, 500)).astype(dtype)
    g = np.random.default_rng(2).normal(size=x.shape).astype(dtype)
    wide, up = x.astype(np.float32), g.astype(np.float32)
    for got, want in ((F.softmax(x), F.softmax(wide)), (F.log_softmax.vjp(g, x), F.log_softmax.vjp(up, wide))):
        assert got.dtype == dtype
        assert np.abs(got.astype(np.float32) - want).max() <= 2.0**-7 * np.abs(want).max()
    assert np.array_equal(F.softmax(x[:3]).view(np.uint16), F.softmax(x)[:3].view(np.uint16))


@HALVES
def test_an_output_of_another_dtype_is_rounded_to_that_alone(dtype: Any) -> None:
    x = np.linspace(-3, 3, 40).reshape(4, 10).astype(dtype)
    out = np.empty(x.shape, np.float32)
    F.softmax(x, out=out)
    assert np.array_equal(out, F.softmax(x.astype(np.float32)))


@HALVES
def test_a_python_number_is_not_rounded_to_half_precision(dtype: Any) -> None:
    """Nor is an operand of another dtype that promotion lets through."""
    x, y = np.ones((2, 3), dtype), np.full((2, 3), 0.5, dtype)
    assert F.cosine_similarity(x, y).dtype == dtype
    loss = F.triplet_margin_loss(x, y, y, margin=0.1)
    assert loss == dtype(0.1)


@HALVES
def test_gradients_that_rows_share_are_summed_over_all_of_them(dtype: Any) -> None:
    """Whether there are fewer rows than numbers that they share, as many, or more."""
    rng = np.random.default_rng(4)
    for rows, length in ((300, 300), (300, 4), (4, 300), (1, 5)):
        x, g = (rng.normal(size=(rows, length)).astype(dtype) for _ in range(2))
        weight, bias = rng.normal(size=length).astype(dtype), np.zeros(length, dtype)
        found = F.layer_norm.vjp(g, x, weight=weight, bias=bias)
        g, x, weight, bias = (a.astype(np.float64) for a in (g, x, weight, bias))
        wanted = F.layer_norm.vjp(g, x, weight=weight, bias=bias)
        for got, want in zip(found, wanted, strict=True):
            assert got.dtype == dtype
            assert np.abs(got.astype(np.float64) - want).max() <= 2.0**-8 * np.abs(want).max()
