"""The runtime's own exponential in float32, as its PTX computes: the whole range, subnormal results and specials."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from symgen import ptx
from symgen.cuda_code import compile_ptx

ERROR = 0.76  # ULP; on an H100 it was 0.755 over every 37th float32


@pytest.fixture(scope="module")
def exponential() -> ptx.Kernel:
    from numba import cuda, types

    from symgen.runtime.device import load, near_expf, store, thread, u32

    @cuda.jit
    def kernel(x: Any, out: Any, n: Any) -> None:
        i = thread()
        if i < n:
            store(out, u32(i), near_expf(load(x, u32(i))))

    return ptx.parse(compile_ptx(kernel, (types.float32[::1], types.float32[::1], types.uint32)))


def computed(kernel: ptx.Kernel, x: np.ndarray) -> np.ndarray:
    out = np.full_like(x, np.nan)
    ptx.launch(kernel, -(-x.size // 256), 256, [x, out, np.uint32(x.size)])
    return out


def test_it_errs_by_less_than_a_rounding_over_the_whole_range(exponential):
    rng = np.random.default_rng(0)
    near_halves = (np.arange(-150, 128) + 0.5) * np.log(2)  # where multiples of ln 2 leave most
    parts = [rng.uniform(-104, 88.7, 100_000), rng.uniform(-1, 1, 50_000), rng.uniform(-104, -87, 20_000), near_halves]
    x = np.concatenate(parts).astype(np.float32)
    true = np.exp(x.astype(np.longdouble))
    size = np.maximum(np.spacing(true.astype(np.float32)), np.float32(2.0**-149)).astype(np.longdouble)
    assert float(np.max(np.abs(computed(exponential, x) - true) / size)) <= ERROR


def test_specials_and_both_ends(exponential):
    ends = [88.72283, 88.72284, -104.0, -103.9]
    x = np.array([np.nan, np.inf, -np.inf, 0.0, -0.0, 1e30, -1e30, *ends, 1e-45], np.float32)
    found = computed(exponential, x)
    assert np.isnan(found[0])
    assert found[1:8].tolist() == [np.inf, 0.0, 1.0, 1.0, np.inf, 0.0, pytest.approx(3.4028e38, rel=1e-4)]
    assert found[8:].tolist() == [np.inf, 0.0, np.float32(2.0**-149), 1.0]


def test_nothing_in_it_is_approximated(exponential):
    assert [i.opcode for i in exponential.code if ".approx" in i.opcode] == []
