"""``F.name.cuda`` of losses whose stages run along several axes of a sample: launches, lists, whole batches."""

from __future__ import annotations

import re
from typing import Any

import ml_dtypes
import numpy as np
import pytest

import symgen.functional as F
from symgen import cuda_code
from symgen.runtime import cuda_phases, cuda_rows

ROUNDING = 2.0**-24
SIZES = {1: (1, 5, 40), 2: (1, 2, 7, 34), 3: (2, 3, 5)}  # of a loss with so many axes of a sample, the length of each


def operands(kernel: Any, n: int, dtype: str = "float32") -> list[np.ndarray]:
    """Tensors with axes of about this length, of few samples where they may have several; lists of every length."""
    function = kernel._caller.function
    axes = function.tensors[0].axes
    lone = any(0 < a.rank <= len(axes) for a in axes)
    shape = (() if lone else (4,)) + (n, n + 1, n + 2)[: len(axes)]
    rng = np.random.default_rng(n)
    found = []
    for argument in function.operands:
        if argument.role == "labels":
            lists = np.full(shape, -1)
            for k, own in enumerate(lists.reshape(-1, n)):
                own[: k % (n + 1)] = rng.permutation(n)[: k % (n + 1)]
            found.append(lists)
        else:
            found.append(rng.normal(size=shape).astype(dtype))
    return found


def wide(arrays: list[np.ndarray]) -> list[np.ndarray]:
    return [a if a.dtype.kind == "i" else a.astype(np.float64) for a in arrays]


def listed(found: Any) -> tuple[Any, ...]:
    return found if isinstance(found, tuple) else (found,)


def close(found: Any, wanted: Any, roundings: float = 8) -> None:
    """Equal up to roundings of each entry, or of a hundredth of the largest: some entries stand beside a root.

    Of a batch of one nothing has to be told apart: the loss is zero, of which float64 leaves 1e-31.
    """
    size = np.abs(wanted).max(initial=0)
    bar = roundings * ROUNDING
    np.testing.assert_allclose(found.memory.astype(float), wanted, rtol=bar, atol=max(bar * size * 1e-2, 1e-30))


def lengths(name: str) -> tuple[int, ...]:
    return SIZES[len(getattr(F, name).function.tensors[0].axes)]


def test_values_and_gradients_are_those_of_the_processor(nested, device_array, executed):
    kernel, plain = executed(nested, (9, 0)), getattr(F, nested)
    for n in lengths(nested):
        x = operands(kernel, n)
        for how in ("mean", "sum", "none"):
            value, slopes = kernel.value_and_grad(*map(device_array, x), reduction=how)
            wanted, true = plain.value_and_grad(*wide(x), reduction=how)
            close(value, np.asarray(wanted))
            for slope, truth in zip(listed(slopes), listed(true), strict=True):
                close(slope, truth, 32)
        again = kernel(*map(device_array, x), reduction=how)
        assert np.array_equal(again.memory, value.memory)


def test_cotangents_reach_every_sample(nested, device_array, executed):
    kernel, plain = executed(nested, (9, 0)), getattr(F, nested)
    x = operands(kernel, lengths(nested)[1])
    shape = kernel(*map(device_array, x), reduction="none").memory.shape
    g = np.random.default_rng(1).normal(size=shape).astype(np.float32)
    slopes = kernel.vjp(device_array(g), *map(device_array, x), reduction="none")
    true = plain.vjp(g.astype(float), *wide(x), reduction="none")
    for slope, truth in zip(listed(slopes), listed(true), strict=True):
        close(slope, truth, 32)


def test_how_many_blocks_there_are_changes_no_bit(nested, device_array, executed, monkeypatch):
    """A thread or a warp takes whole entries: one block, which goes on to all of them, gives what many give."""
    kernel = executed(nested, (9, 0))
    x = operands(kernel, lengths(nested)[-1])
    found = kernel.value_and_grad(*map(device_array, x))
    monkeypatch.setattr(cuda_phases, "BLOCKS", 1)
    fresh = cuda_code.simulated(kernel, kernel._driver)  # of which nothing is remembered
    again = fresh.value_and_grad(*map(device_array, x))
    for one, other in zip((found[0], *listed(found[1])), (again[0], *listed(again[1])), strict=True):
        assert np.array_equal(one.memory, other.memory)


def at_edges(name: str) -> list[list[int]]:
    """Lengths of the axes of a sample: each in turn at the edges of a warp, the last at all of them."""
    count = len(getattr(F, name).function.tensors[0].axes)
    return [[n if i == k else 2 for i in range(count)]
            for k in range(count) for n in ((31, 32, 33) if k == count - 1 else (33,))]  # fmt: skip


def test_axes_at_the_edges_of_warps_and_arrays_that_start_anywhere(nested, device_array, executed):
    kernel, plain = executed(nested, (9, 0)), getattr(F, nested)
    for axes in at_edges(nested):
        x = operands(kernel, axes[-1]) if len(axes) == 1 else shaped(kernel, axes)
        shifted = [np.concatenate([v.reshape(-1)[:1], v.reshape(-1)])[1:].reshape(v.shape) for v in x]
        value, slopes = kernel.value_and_grad(*map(device_array, shifted), reduction="none")
        wanted, true = plain.value_and_grad(*wide(x), reduction="none")
        close(value, wanted)
        for slope, truth in zip(listed(slopes), listed(true), strict=True):
            close(slope, truth, 32)


def shaped(kernel: Any, axes: list[int]) -> list[np.ndarray]:
    rng = np.random.default_rng(sum(axes))
    return [rng.normal(size=axes).astype("float32") for _ in kernel._caller.function.operands]


def test_more_numbers_between_stages_than_kernels_count_are_an_error(nested, device_array, executed, monkeypatch):
    """Places in that memory have 32 bits: the largest batch whose places they tell apart is the last that is taken."""
    kernel = executed(nested, (9, 0))
    fresh = cuda_code.simulated(kernel, kernel._driver)  # of which nothing is remembered
    x = operands(kernel, lengths(nested)[1])
    launched = []
    monkeypatch.setattr(type(kernel._driver), "launch", lambda self, kernel, *rest: launched.append(kernel))
    monkeypatch.setattr(cuda_rows, "LARGEST", x[0].size + 1)
    with pytest.raises(NotImplementedError, match="numbers between its stages are more than kernels count") as said:
        fresh(*map(device_array, x), reduction="none")
    needed = int(re.search(r"([\d,]+) numbers", str(said.value))[1].replace(",", ""))
    monkeypatch.setattr(cuda_rows, "LARGEST", needed)
    with pytest.raises(NotImplementedError, match=f"{needed:,} numbers"):
        fresh(*map(device_array, x), reduction="none")
    assert not launched
    monkeypatch.setattr(cuda_rows, "LARGEST", needed + 1)
    fresh(*map(device_array, x), reduction="none")
    assert launched


@pytest.mark.parametrize("dtype", ["float64", "float16", "bfloat16"])
def test_other_dtypes_are_rounded_once(nested, dtype, device_array, executed):
    kernel, plain = executed(nested, (9, 0)), getattr(F, nested)
    x = operands(kernel, lengths(nested)[1], dtype)
    found = kernel(*map(device_array, x))
    assert found.memory.dtype == x[0].dtype
    unit = float(ml_dtypes.finfo(dtype).eps)
    np.testing.assert_allclose(found.memory.astype(float), plain.value_and_grad(*wide(x))[0], rtol=2 * unit)


def test_no_number_in_is_no_number_out(nested, device_array, executed):
    kernel = executed(nested, (9, 0))
    x = operands(kernel, lengths(nested)[1])
    x[0].reshape(-1)[-1] = np.nan
    assert np.isnan(kernel(*map(device_array, x), reduction="sum").memory)


def test_lists_end_where_they_say_and_rows_may_stand_anywhere(device_array, executed):
    """What stands behind the end of a list is never followed; classes may be the first axis."""
    kernel, plain = executed("multilabel_margin_loss", (9, 0)), F.multilabel_margin_loss
    x, target = operands(kernel, 5)
    behind = target.copy()
    behind[1, 2:] = 10**6
    for axis in (1, 0):
        arrays = [np.ascontiguousarray(np.moveaxis(v, 1, axis)) for v in (x, behind)]
        value, slope = kernel.value_and_grad(*map(device_array, arrays), reduction="none", axis=axis)
        wanted, true = plain.value_and_grad(x.astype(float), target, reduction="none")
        close(value, wanted)
        close(slope, np.moveaxis(true, 1, axis))


def test_what_is_wrong_with_a_batch_is_said(device_array, executed):
    kernel, x = executed("info_nce_loss", (9, 0)), np.ones((3, 4), np.float32)
    with pytest.raises(ValueError, match=r"query has shape \(2, 3, 4\); expected \(N, D\)"):
        kernel(device_array(np.ones((2, 3, 4), np.float32)), device_array(np.ones((2, 3, 4), np.float32)))
    with pytest.raises(ValueError, match=r"query has shape \(4,\); it needs an axis N"):
        kernel(device_array(x[0]), device_array(x[0]))
    with pytest.raises(ValueError, match=r"key has shape \(2, 4\); expected \(3, 4\); on a GPU"):
        kernel(device_array(x), device_array(x[:2]))


def test_a_table_says_how_much_memory_a_batch_needs(executed):
    """All products of two, and of each entry a number, its maximum and two sums as pairs; the whole sum is a pair."""
    phases = executed("info_nce_loss", (9, 0))._phases(["value", "f32", "grid"])
    assert phases.room({"N": 10, "D": 3}) == 2 * 100 + 5 * 10 + 2
    assert [*phases.blocks(1, {"N": 10, "D": 3})] == [-(-32 * 100 // 256), 2, 2, 1, 1]
