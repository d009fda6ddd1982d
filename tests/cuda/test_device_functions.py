"""The runtime's own functions in float32, as their PTX computes: the whole range, its ends and specials."""

from __future__ import annotations

import re
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from symgen import ptx
from symgen.cuda_code import CAPABILITIES, compile_ptx
from tests.cuda.texts import unnumbered

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


def fresh() -> Any:
    """A kernel and a function that it calls, neither of them compiled yet."""
    from numba import cuda

    from symgen.runtime.device import f32, fadd, fmul, load, near_expf, store, thread, u32

    @cuda.jit(device=True)
    def core(x: Any, y: Any) -> Any:
        a = fadd(fmul(x, y), f32(0.5))
        b = near_expf(a) if a < y else fmul(a, x)
        return fadd(a, b), fmul(b, b)

    @cuda.jit
    def kernel(x: Any, y: Any, out: Any, n: Any) -> None:
        i = u32(thread())
        if i < n:
            total, last = f32(0), load(x, i)
            for k in range(i, n, 32):  # variables that are assigned in several places, before and inside of loops
                first, second = core(load(x, u32(k)), f32(load(y, u32(n - i - u32(1)))))
                if first < second:
                    total = fadd(total, first)
                    if total < last:
                        last = second
                else:
                    total = fmul(total, second)
                while last < first:
                    last = fadd(last, f32(1))
            store(out, i, fadd(total, last))

    return kernel


def test_the_text_is_what_numba_alone_makes_of_a_kernel(monkeypatch):
    """Whatever Numba is not asked twice: the same instructions on float32 and float64, for every architecture."""
    from numba import cuda, types
    from numba.cuda import dispatcher

    monkeypatch.setattr(dispatcher, "get_current_device", lambda: SimpleNamespace(compute_capability=(9, 0)))
    for number in (types.float32, types.float64):
        signature = (types.float32[::1], number[::1], types.float32[::1], types.uint32)
        for capability in CAPABILITIES:
            plain, _ = cuda.compile(fresh().py_func, signature, cc=capability, device=False, abi="numba", output="ptx")
            mine = compile_ptx(fresh(), signature, capability)
            assert unnumbered(mine) == unnumbered(plain)
            assert len(re.findall(r"\bbra\b", mine)) > 5


@pytest.fixture(scope="module")
def power() -> ptx.Kernel:
    from numba import cuda, types

    from symgen.runtime.device import load, near_powf, powf_sum, powf_sum_low, store, thread, u32

    @cuda.jit
    def kernel(b: Any, b_low: Any, x: Any, x_low: Any, near: Any, high: Any, low: Any, n: Any) -> None:
        i = u32(thread())
        if i < n:
            given = load(b, i), load(b_low, i), load(x, i), load(x_low, i)
            store(near, i, near_powf(*given))
            store(high, i, powf_sum(*given))
            store(low, i, powf_sum_low(*given))

    return ptx.parse(compile_ptx(kernel, (types.float32[::1],) * 7 + (types.uint32,)))


def powers(kernel: ptx.Kernel, *given: np.ndarray) -> list[np.ndarray]:
    """The power without and with what it is missing, and that."""
    arrays = [np.ascontiguousarray(a, np.float32) for a in given]
    found = [np.full_like(arrays[0], np.nan) for _ in range(3)]
    ptx.launch(kernel, -(-found[0].size // 256), 256, [*arrays, *found, np.uint32(found[0].size)])
    return found


def bases(rng: np.random.Generator, count: int) -> dict[str, np.ndarray]:
    return {
        "of any size": np.exp(rng.uniform(-87, 88.5, count)),
        "around one": 1 + rng.uniform(-0.3, 0.42, count),
        "near one": 1 + rng.choice([-1, 1], count) * 2.0 ** rng.uniform(-10, -2, count),
        "subnormal": 2.0 ** rng.uniform(-148, -126, count),
    }


@pytest.mark.parametrize("kind", ["of any size", "around one", "near one", "subnormal"])
def test_powers_of_sums_err_by_less_than_a_rounding_and_tell_what_they_lose(power, kind):
    """Whatever base and exponent are missing counts, wherever the result is."""
    rng, count = np.random.default_rng(0), 20_000
    b = bases(rng, count)[kind].astype(np.float32)
    x = (rng.uniform(-103, 88, count) / np.log(b.astype(np.float64))).astype(np.float32)
    b_low, x_low = (a * np.float32(2.0**-25) * rng.uniform(-1, 1, count).astype(np.float32) for a in (b, x))
    near, high, low = (a.astype(np.longdouble) for a in powers(power, b, b_low, x, x_low))
    true = (b.astype(np.longdouble) + b_low) ** (x.astype(np.longdouble) + x_low)
    unit = np.maximum(np.spacing(true.astype(np.float32)), np.float32(2.0**-149)).astype(np.longdouble)
    inside = true < 3.4e38
    assert inside.sum() > 0.9 * count
    assert float(np.max(np.abs(near - true)[inside] / unit[inside])) <= 0.85
    assert float(np.max(np.abs(high - true)[inside] / unit[inside])) <= 0.76  # a subnormal result is rounded twice
    tall = inside & (true > 2.0**-95)
    assert float(np.max(np.abs(high + low - true)[tall] / unit[tall])) <= 0.15


def test_powers_at_their_ends(power):
    """Zero, infinity and NaN as base and exponent, and one where the exponent is zero."""
    inf, nan = np.inf, np.nan
    b = np.array([0, 0, 0, 0, 0, inf, inf, inf, nan, 2, 2, 0.5, 0.5, nan, 3e38, 1e-45, 2, 1], np.float32)
    x = np.array([2, -2, 0, inf, -inf, 2, -2, 0, 2, inf, -inf, inf, -inf, 0, 2, 2, nan, 5], np.float32)
    with np.errstate(all="ignore"):
        want = np.power(b, x)
    near, high, low = powers(power, b, np.zeros_like(b), x, np.zeros_like(b))
    np.testing.assert_array_equal(near, want)
    np.testing.assert_array_equal(high, want)
    assert np.all((low == 0) | ~np.isfinite(want))


@pytest.fixture(scope="module")
def logarithms() -> ptx.Kernel:
    from numba import cuda, types

    from symgen.runtime import device
    from symgen.runtime.device import load, store, thread, u32

    log, log_low, of_sum, of_sum_low = device.logf_fine, device.logf_fine_low, device.logf_sum, device.logf_sum_low
    of_more, of_more_low = device.log1pf_sum, device.log1pf_sum_low

    @cuda.jit
    def kernel(b: Any, low: Any, o0: Any, o1: Any, o2: Any, o3: Any, o4: Any, o5: Any, n: Any) -> None:
        i = u32(thread())
        if i < n:
            x, y = load(b, i), load(low, i)
            found = log(x), log_low(x), of_sum(x, y), of_sum_low(x, y), of_more(x, y), of_more_low(x, y)
            store(o0, i, found[0])
            store(o1, i, found[1])
            store(o2, i, found[2])
            store(o3, i, found[3])
            store(o4, i, found[4])
            store(o5, i, found[5])

    return ptx.parse(compile_ptx(kernel, (types.float32[::1],) * 8 + (types.uint32,)))


def three(kernel: ptx.Kernel, b: np.ndarray, low: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
    """log(b), log(b + low) and log(1 + b + low) with what each is missing, where reciprocals err as they may."""
    arrays = [np.ascontiguousarray(a, np.float32) for a in (b, low)]
    found = [np.full_like(arrays[0], np.nan) for _ in range(6)]
    ptx.launch(kernel, -(-b.size // 256), 256, [*arrays, *found, np.uint32(b.size)], error=1.0)
    return [(found[k].astype(np.longdouble), found[k + 1].astype(np.longdouble)) for k in (0, 2, 4)]


@pytest.mark.parametrize("kind", ["of any size", "around one", "near one", "subnormal"])
def test_logarithms_of_sums_are_rounded_once_and_tell_what_they_lose(logarithms, kind):
    """To 28 bits, next to one too, where all of a logarithm is in the low part of its argument."""
    rng, count = np.random.default_rng(0), 20_000
    b = bases(rng, count)[kind].astype(np.float32)
    low = b * np.float32(2.0**-25) * rng.uniform(-1, 1, count).astype(np.float32)
    wide, rest = b.astype(np.longdouble), low.astype(np.longdouble)
    alone, of_sum, _ = three(logarithms, b, low)
    small = (b - 1 if "one" in kind else b).astype(np.float32)
    least = small * np.float32(2.0**-25) * rng.uniform(-1, 1, count).astype(np.float32)
    *_, of_more = three(logarithms, small, least)
    true = [np.log(wide), np.log(wide) + np.log1p(rest / wide), np.log1p(small.astype(np.longdouble) + least)]
    for (high, lost), exact in zip((alone, of_sum, of_more), true, strict=True):
        unit = np.maximum(np.spacing(abs(exact).astype(np.float32)), np.float32(2.0**-149)).astype(np.longdouble)
        assert float(np.max(abs(high - exact) / unit)) <= 0.54
        tall = abs(exact) > 2.0**-95
        assert np.all(abs(high + lost - exact)[tall] <= 2.0**-28 * abs(exact)[tall])


def test_logarithms_at_their_ends(logarithms):
    """Zero, infinity, NaN, negative numbers, and the smallest."""
    b = np.array([0.0, -0.0, np.inf, np.nan, -1.0, -2.0, 1.0, 1e-45, 3e38], np.float32)
    with np.errstate(all="ignore"):
        log, more = np.log(b), np.log1p(b)
    found = three(logarithms, b, np.zeros_like(b))
    for (high, lost), want in zip(found, (log, log, more), strict=True):
        np.testing.assert_allclose(high.astype(np.float32), want, rtol=1e-7)
        assert np.all((lost == 0) | np.isfinite(want))
