"""``F.name.cuda`` of row functions: every length of row by a warp and by a block, axes, masks, classes, reductions."""

from __future__ import annotations

import re

import numpy as np
import pytest

import symgen.functional as F
from symgen.certify_cuda_rows import Device, batches
from symgen.certify_rows import Call
from symgen.cuda_contract import generated
from symgen.rows.derive import places
from symgen.rows.samples import problems
from symgen.runtime.cuda_rows import ROOM, SHORT
from tests.rows.hard import OPS

ROUNDING = 2.0**-24
LENGTHS = (1, 31, 32, 33, SHORT, SHORT + 1, 2900)


def wide(values: np.ndarray) -> np.ndarray:
    return values.astype(np.float64)


def logits(*shape: int, dtype: str = "float32") -> np.ndarray:
    return (4 * np.random.default_rng(shape[-1]).normal(size=shape)).astype(dtype)


def parts(name: str) -> int:
    """How many parts the row of a function has: the halves of a gated unit, else one."""
    return getattr(F, name).function.tensors[0].axes[0].parts


def close(found, wanted, roundings: int = 8) -> None:
    """Equal up to roundings of the largest result of the call, and of each where it is not beside a root."""
    size = np.abs(wanted[np.isfinite(wanted)]).max(initial=0)
    np.testing.assert_allclose(found.memory, wanted, rtol=roundings * ROUNDING, atol=roundings * ROUNDING * size * 1e-2)


def test_rows_of_every_length_are_those_of_the_processor(row, device_array, executed):
    kernel, plain = executed(row, (9, 0)), getattr(F, row)
    for n in LENGTHS:
        x = logits(3, n * parts(row))
        close(kernel(device_array(x)), plain(wide(x)))
        g = np.random.default_rng(n).normal(size=plain(x).shape).astype(np.float32)
        close(kernel.vjp(device_array(g), device_array(x)), plain.vjp(wide(g), wide(x)), 32)


@pytest.mark.parametrize("axis", [-1, 1])
def test_numbers_of_rows_come_with_their_gradient(axis, device_array, executed):
    """In one kernel, along any axis that stays or goes, for one operand or two."""
    for name in ("logsumexp", "logmeanexp", "cosine_similarity"):
        kernel, plain = executed(name, (9, 0)), getattr(F, name)
        x = [logits(2, 33, 3), logits(2, 33, 3)[::-1].copy()][: len(plain.function.tensors)]
        for keep in (False, True):
            value, slopes = kernel.value_and_grad(*map(device_array, x), axis=axis, keepdims=keep)
            wanted, true = plain.value_and_grad(*map(wide, x), axis=axis, keepdims=keep)
            assert value.memory.shape == wanted.shape
            close(value, wanted)
            single = kernel.grad(*map(device_array, x), axis=axis)
            found = [(s, t) if isinstance(true, tuple) else ((s,), (t,)) for s, t in ((slopes, true), (single, true))]
            for ours, theirs in found:
                for a, b in zip(ours, theirs, strict=True):
                    close(a, b, 32)


def test_rows_that_vectors_cannot_take_give_the_same(row, device_array, executed):
    """A view that starts beside a multiple of 16 bytes, and rows whose length no vector divides, go entry by entry."""
    kernel = executed(row, (9, 0))
    for n in (32, SHORT + 4):
        x = logits(2, n * parts(row))
        room = np.full(x.size + 1, np.nan, np.float32)
        room[1:] = x.ravel()
        shifted, whole = kernel(device_array(room[1:].reshape(x.shape))), kernel(device_array(x))
        np.testing.assert_allclose(shifted.memory, whole.memory, rtol=2 * ROUNDING, atol=1e-45)
        launched = {k[1] for k in kernel._driver.kernels if k[0] == kernel._module}
        team = "warp" if n <= SHORT else "block"
        assert {f"value_f32_{team}", f"value_f32_{team}_wide"} <= launched


class Shifted(Device):
    """A kernel whose operands all start beside a multiple of 16 bytes."""

    def _shown(self, keywords):
        return {k: self._beside(v) if hasattr(v, "memory") else v for k, v in super()._shown(keywords).items()}

    def _beside(self, array):
        v = array.memory
        room = np.zeros(v.size + 1, v.dtype)
        room[1:] = v.ravel()
        return type(array)(room[1:].reshape(v.shape))


def test_vectors_give_what_single_entries_give(rows, executed, monkeypatch):
    """Hard rows of a length that vectors divide, by both kinds of kernel: value and gradients to a few roundings."""
    kernel, op = executed(rows, (9, 0)), OPS[rows]
    if not any(k.endswith("_warp_wide") for k in generated(kernel._module)):
        pytest.skip(f"{rows} has no kernels with vectors")
    launched, driver = set(), type(kernel._driver)
    launch = driver.launch  # the driver has run other tests' kernels, too

    def launching(self, kernel, *rest, **options):
        launched.add(kernel.py_func.__name__)
        return launch(self, kernel, *rest, **options)

    monkeypatch.setattr(driver, "launch", launching)
    for variant in op.variants:
        found = places(op, variant)
        (batch,) = batches(op, variant, found, list(problems(op, variant, found, 32)), np.dtype("f4"))
        first = next(p.name for p in found if p.role.kind == "tensor")
        both = [Call(op, variant, kind(kernel), batch.stacked()) for kind in (Device, Shifted)]
        for one, other in ([c.value() for c in both], [c.gradient(batch.cotangent, first) for c in both]):
            size = np.where(np.isfinite(one), np.abs(one), 0).max(axis=-1, keepdims=True)
            equal = (one == other) | (np.isnan(one) & np.isnan(other))
            assert (equal | (np.abs(one - other) <= 4 * ROUNDING * (np.abs(one) + 1e-2 * size))).all(), variant.suffix
    wide = {k for k in launched if k.endswith("_wide")}
    assert wide
    assert {k.removesuffix("_wide") for k in wide} <= launched


def test_long_rows_of_warps_ask_for_room(device_array, simulated, monkeypatch):
    """What is read again has to fit into the cache, for all rows that are at work at a time; short ones do anyway."""
    kernel, asked = simulated("softmax", (9, 0)), []
    launch = type(kernel._driver).launch

    def launching(self, kernel, blocks, stream, arguments, room=0):
        if kernel.py_func.__name__.startswith("value"):
            asked.append(room)
        return launch(self, kernel, blocks, stream, arguments, room)

    monkeypatch.setattr(type(kernel._driver), "launch", launching)
    for n in (512, 513, 1024, 1025):
        kernel(device_array(logits(2, n)))
    assert asked == [0, ROOM, ROOM, 0]


@pytest.mark.parametrize("team", ["warp", "block"])
def test_rows_too_long_to_be_kept_are_computed_again(row, team, device_array, simulated):
    """Beside the longest row of which a kernel keeps entries: the same results, at the price of more instructions."""
    kernel, plain = simulated(row, (9, 0)), getattr(F, row)
    known = generated(kernel._module)[f"vjp_f32_{team}_wide"]
    found = re.search(r"keep = n <= u32\((\d+)\)", known.body)
    if not found:
        pytest.skip(f"{row} needs nothing twice")
    longest, work = int(found[1]), []
    for n in (longest, longest + 4):
        x = logits(1, n * parts(row))
        g = np.random.default_rng(n).normal(size=plain(x).shape).astype(np.float32)
        close(kernel.vjp(device_array(g), device_array(x)), plain.vjp(wide(g), wide(x)), 32)
        assert kernel._driver.launched[1] == known.name or n > SHORT
        work.append(kernel._driver.runs[-1].counts.instructions.total() / n)
    assert work[1] > 1.05 * work[0]


def test_no_rows_and_empty_rows_give_what_the_processor_gives(row, device_array, executed):
    kernel, plain = executed(row, (9, 0)), getattr(F, row)
    for shape in ((0, 6), (3, 0)):
        x = np.zeros(shape, np.float32)
        assert np.array_equal(kernel(device_array(x)).memory, plain(x), equal_nan=True), shape


def test_the_axis_may_be_any(row, device_array, executed):
    kernel, plain = executed(row, (10, 0)), getattr(F, row)
    x = logits(4, 6, 10)
    for axis in (0, 1, 2, -2):
        found = kernel(device_array(x), axis=axis)
        close(found, plain(wide(x), axis=axis))
        g = np.linspace(-1, 1, found.memory.size, dtype=np.float32).reshape(found.memory.shape)
        close(kernel.vjp(device_array(g), device_array(x), axis=axis), plain.vjp(wide(g), wide(x), axis=axis), 32)


def test_a_number_is_no_mask(device_array, simulated):
    """As on the processor; kernels take a mask that is missing for one of ones, whatever it holds."""
    with pytest.raises(TypeError, match=r"softmax\.cuda\(\): where is a number; expected an array of booleans"):
        simulated("softmax", (9, 0))(device_array(logits(2, 4)), where=0)


def test_masked_entries_count_as_absent(row, device_array, executed):
    kernel, plain = executed(row, (9, 0)), getattr(F, row)
    if len(kernel._caller.function.operands) == 1:
        pytest.skip(f"{row} takes no mask")
    for n in (33, SHORT + 5):
        x, mask = logits(4, n), np.random.default_rng(n).random((4, n)) < 0.7
        mask[3] = False
        found = kernel(device_array(x), device_array(mask))
        wanted = plain(wide(x), mask)
        np.testing.assert_allclose(found.memory, wanted, rtol=8 * ROUNDING, atol=8 * ROUNDING)


def test_specials_come_through_as_on_the_processor(row, device_array, executed):
    kernel, plain = executed(row, (9, 0)), getattr(F, row)
    x = logits(7, 40)
    x[0, 3], x[1, 5], x[2, 7], x[3] = np.nan, np.inf, -np.inf, -np.inf
    x[4, 1], x[5] = 1e30, 3e38
    with np.errstate(all="ignore"):
        wanted = plain(x)
    np.testing.assert_allclose(kernel(device_array(x)).memory, wanted, rtol=8 * ROUNDING, atol=1e-6)


# lengths by dtype, so that a warp and a block meet rows that vectors divide and others, each dtype one of both
OTHERS = {"float64": (34, SHORT + 1), "float16": (33, SHORT + 4)}


@pytest.mark.parametrize("dtype", OTHERS)
def test_rows_of_other_dtypes(row, dtype, device_array, executed):
    kernel, plain = executed(row, (8, 0)), getattr(F, row)
    for n in OTHERS[dtype]:
        x = logits(2, n * parts(row), dtype=dtype)
        found, unit = kernel(device_array(x)).memory, float(np.finfo(dtype).eps)
        assert found.dtype == x.dtype
        tiny = float(np.finfo(dtype).smallest_subnormal)
        np.testing.assert_allclose(wide(found), plain(wide(x)), rtol=2 * unit, atol=max(tiny, 2 * unit * 1e-2))


def classes(n: int, *batch: int) -> np.ndarray:
    return np.random.default_rng(n).integers(0, n, batch)


def samples(kernel, n: int) -> tuple[np.ndarray, np.ndarray]:
    """Five rows of logits, and their classes: positions where the loss takes them, one of them passed over."""
    function, target = kernel._caller.function, classes(n, 5)
    if any(a.role == "prob" for a in function.operands):
        return logits(5, n), np.random.default_rng(n).random((5, n)).astype(np.float32)
    if any(a.name == "ignore_index" for a in function.options):
        target[2] = -100
    return logits(5, n), target


def test_class_losses_are_those_of_the_processor(row_loss, device_array, executed):
    kernel, plain = executed(row_loss, (9, 0)), getattr(F, row_loss)
    for n in (33, SHORT + 1):
        (x, target), weight = samples(kernel, n), np.random.default_rng(n).random(n).astype(np.float32)
        weighted = any(a.name == "weight" for a in kernel._caller.function.operands)
        for how in ("mean", "sum", "none"):
            for w in (None, weight)[: 1 + weighted]:
                arrays = {"weight": device_array(w)} if w is not None else {}
                held = {"weight": wide(w)} if w is not None else {}
                options = {"reduction": how, "wrt": kernel._caller.function.tensors[0].name}
                value, slope = kernel.value_and_grad(device_array(x), device_array(target), **options, **arrays)
                wanted, true = plain.value_and_grad(wide(x), target, **options, **held)
                close(value, np.asarray(wanted))
                close(slope, true, 32)
                again = kernel(device_array(x), device_array(target), reduction=how, **arrays)
                assert np.array_equal(again.memory, value.memory)


def test_class_losses_at_the_edges_of_rows_and_without_any(row_loss, device_array, executed):
    kernel, plain = executed(row_loss, (9, 0)), getattr(F, row_loss)
    options = {"wrt": kernel._caller.function.tensors[0].name}
    for n in (1, 31, 32, SHORT, SHORT + 4):
        x, target = samples(kernel, n)
        value, slope = kernel.value_and_grad(device_array(x), device_array(target), **options)
        wanted, true = plain.value_and_grad(wide(x), target, **options)
        close(value, np.asarray(wanted))
        close(slope, true, 32)
    for how in ("mean", "sum", "none"):
        found = kernel(device_array(x[:0]), device_array(target[:0]), reduction=how)
        assert np.array_equal(found.memory, plain(x[:0], target[:0], reduction=how), equal_nan=True), how


def test_classes_stand_second_where_there_are_more_axes(device_array, executed):
    kernel, plain = executed("cross_entropy", (9, 0)), F.cross_entropy
    x, target, g = logits(3, 4, 6), classes(4, 3, 6).astype(np.int32), np.asarray(-2.0, np.float32)
    close(kernel(device_array(x), device_array(target)), np.asarray(plain(wide(x), target)))
    found = kernel.vjp(device_array(g), device_array(x), device_array(target))
    close(found, plain.vjp(wide(g), wide(x), target), 32)


def test_a_row_may_be_given_by_probabilities(device_array, executed):
    x, target = logits(4, 37), np.random.default_rng(1).dirichlet(np.ones(37), 4).astype(np.float32)
    for smoothing in (0.0, 0.1):
        options = {"label_smoothing": smoothing}
        found = executed("cross_entropy", (9, 0))(device_array(x), device_array(target), **options)
        close(found, np.asarray(F.cross_entropy(wide(x), wide(target), **options)))


def test_what_is_wrong_with_a_row_is_said(device_array, executed):
    kernel, x = executed("softmax", (9, 0)), logits(3, 8)
    with pytest.raises(ValueError, match=r"x \(shape \(3, 4\), strides .*\) is not contiguous; make it so"):
        kernel(device_array(x[:, ::2]))
    with pytest.raises(ValueError, match=r"where has shape \(8,\); expected \(3, 8\); on a GPU arrays"):
        kernel(device_array(x), device_array(np.ones(8, bool)))
    with pytest.raises(TypeError, match="where has elements of type <f4; expected booleans"):
        kernel(device_array(x), device_array(x))
    with pytest.raises(TypeError, match="x has no __cuda_array_interface__"):
        kernel(x)
    with pytest.raises(ValueError, match="x has length 7 along its axis; expected a multiple of 2"):
        executed("glu", (9, 0))(device_array(logits(3, 7)))
    loss = executed("cross_entropy", (9, 0))
    with pytest.raises(ValueError, match="there is no derivative in 'target' for these options; wrt may name"):
        loss.grad(device_array(x), device_array(classes(8, 3)), wrt="target")
