"""16-bit operands through tables: exactly what the kernel gives, for every input there is."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import ml_dtypes
import numpy as np
import pytest

from symgen.runtime import tables

HALVES = (np.dtype(np.float16), np.dtype(ml_dtypes.bfloat16))


@pytest.fixture(autouse=True)
def no_tables(kernels: ModuleType) -> None:
    """Each test begins without tables."""
    for kernel in (kernels.soft, kernels.gate, kernels.clip):
        kernel._known.clear()
        kernel.grad._known.clear()
    tables._computed.clear()
    tables._reader.cache_clear()


def every(dtype: Any) -> Any:
    """All values of a 16-bit dtype, NaNs of every payload among them."""
    return np.arange(1 << 16, dtype=np.uint16).view(dtype)


@pytest.mark.parametrize("dtype", HALVES, ids=str)
def test_exact_for_every_input(kernels: ModuleType, monkeypatch: pytest.MonkeyPatch, dtype: Any) -> None:
    """A table holds the bits that the kernel gives: value and derivatives, with options, NaN included."""
    calls: tuple[Any, ...] = (
        kernels.soft, lambda x: kernels.soft(x, 2.5), kernels.soft.grad, lambda x: kernels.soft.grad(x, order=2),
        lambda x: kernels.soft.grad(x, wrt="beta"), lambda x: kernels.gate(x, form="cube"),
    )  # fmt: skip
    x = every(dtype)
    found = [call(x).view(np.uint16) for call in calls]
    assert tables._reader.cache_info().misses == len(calls)
    monkeypatch.setattr(tables, "ENTRIES", 1 << 40)
    tables._computed.clear()
    for method in (kernels.soft, kernels.soft.grad, kernels.gate):
        method._known.clear()
    for call, words in zip(calls, found, strict=True):
        direct = call(x)
        assert np.isnan(direct.astype(np.float32)[np.isnan(x.astype(np.float32))]).all()
        np.testing.assert_array_equal(words, direct.view(np.uint16))


@pytest.mark.parametrize("dtype", HALVES, ids=str)
def test_made_when_it_pays(kernels: ModuleType, dtype: Any) -> None:
    """A table is made once computing without one has cost as much as making it, however elements were passed."""
    x = every(dtype)[: 1 << 13]
    results = [kernels.gate(x.reshape(shape)) for shape in ((-1,), (2, -1), (4, 4, -1)) for _ in range(3)]
    assert tables._reader.cache_info().misses == 1
    assert tables._computed
    for _ in range(1 + tables.ENTRIES // tables.SETUP):
        kernels.gate.grad(x[:8])
    assert tables._reader.cache_info().misses == 2, "small calls count by what they cost"
    assert all(np.array_equal(r.ravel().view(np.uint16), results[0].view(np.uint16)) for r in results)


@pytest.mark.parametrize("dtype", HALVES, ids=str)
def test_layouts_and_outputs(kernels: ModuleType, dtype: Any) -> None:
    """With a table any strides, byte order and output work; a wider output gets what was not rounded to 16 bits."""
    kernels.gate(every(dtype))
    x = np.linspace(-3, 3, 120).astype(dtype)
    expected = (x.astype(np.float64) ** 2).astype(np.float32).astype(dtype)
    np.testing.assert_array_equal(kernels.gate(x), expected)
    np.testing.assert_array_equal(kernels.gate(x[::-3]), expected[::-3])
    np.testing.assert_array_equal(kernels.gate(x.reshape(4, 30).T), expected.reshape(4, 30).T)
    assert kernels.gate(x[5]) == expected[5]
    wide = np.empty(120, np.float32)
    kernels.gate(x, out=wide)
    np.testing.assert_array_equal(wide, (x.astype(np.float64) ** 2).astype(np.float32))
    own = x.copy()
    assert kernels.gate(own, out=own) is own
    np.testing.assert_array_equal(own, expected)
    shifted = np.concatenate([x, x[:40]])
    kernels.gate(shifted[:120], out=shifted[40:])
    np.testing.assert_array_equal(shifted[40:], expected)
    if dtype == np.float16:
        np.testing.assert_array_equal(kernels.gate(x.astype(">f2")), expected)
    masked = np.zeros(120, dtype)
    kernels.gate(x, out=masked, where=x > 0)
    np.testing.assert_array_equal(masked, np.where(x > 0, expected, np.zeros(1, dtype)))


def test_settings_have_tables_of_their_own(kernels: ModuleType) -> None:
    """Tables differ by the options, the sign of a zero among them, and their number is bounded."""
    x = every(np.float16)
    for low in (0.0, -0.0, 0.0):
        for _ in range(2):
            assert (np.signbit(kernels.clip(x, low)[x < 0]) == np.signbit(low)).all()
    for k in range(tables.TABLES + 10):
        np.testing.assert_array_equal(kernels.clip(x, -1.0, 1.0 + k)[:200], x[:200])
    assert tables._reader.cache_info().currsize == tables.TABLES
    for k in range(tables.COUNTED + 10):
        kernels.clip(x[:8], -1.0, 1000.0 + k)
    assert len(tables._computed) <= tables.COUNTED


def test_several_operands_have_none(kernels: ModuleType) -> None:
    """A function of two operands, and a vjp, which is rounded after the product, are computed."""
    x = every(np.float16)[:1000]
    for _ in range(70):
        kernels.mix(x, x)
        kernels.gate.vjp(x, x)
    assert tables._reader.cache_info().misses == 0
