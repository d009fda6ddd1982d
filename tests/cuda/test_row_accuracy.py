"""CUDA kernels of rows against ball arithmetic, on the hard rows of certificates: value and gradients in ULP."""

from __future__ import annotations

import numpy as np
import pytest

import symgen.functional as F
from benchmarks.gpu_calls import drawn, layout, settings
from symgen.certify_cuda_rows import BAR, Batch, _summary, measured
from symgen.cuda_contract import generated
from symgen.rows.derive import places
from symgen.rows.samples import Problem
from tests.rows.hard import OPS

# entries that miss the bar stand beside a root, where a share of the operands changes their sign: next to the largest
# entry of their row the error is nothing
BESIDE_ROOTS = 0.1
# What is left of a difference that is zero for a whole box within another, a hundred-millionth of its terms; and what a
# row told apart with confidence leaves its other entries. README.md says so.
AWAY = {"giou_loss": 5.5, "info_nce_loss": np.inf}
NEXT_TO_THE_LARGEST = 1.0
# beside the root of a derivative the largest entry of a row may be small, too; so it is where a norm of any order,
# whose powers are exponentials of logarithms, has one entry that leaves the others little
SMALL_ROWS = {"geglu": 8.0, "normalize": 8.0}
# A known miss: powers of an order other than 1 and 2 know 30 bits, and the difference of two gradients of distances is
# no better than these are; README.md says so.
ANY_ORDER = {"triplet_margin_loss": ("_p_ne_1", 40.0)}
# below 1e-18 what this divides by leaves the range; of the others nearly all cancels
TOO_SMALL = {"cosine_similarity", "logmeanexp", "triplet_margin_loss"}
TOO_LARGE = {"giou_loss", "info_nce_loss", "multilabel_margin_loss"}  # areas, products of rows and sums of all pairs
LONG = {"triplet_margin_loss": (3,)}  # of many variants


def test_values_and_gradients_keep_their_bar_on_hard_rows(rows, executed):
    """The bar is that of the processor: 4 ULP, no lost tails, no NaN; gradients in weights are summed over ten rows."""
    results = measured(OPS[rows], executed(rows, (9, 0)), lengths=LONG.get(rows, (3, 33)))
    outputs = {m.output for m in results}
    assert {"value", "vjp"} <= outputs
    variant, bound = ANY_ORDER.get(rows, ("-", 0.0))
    for m in results:
        assert m.lost == 0, m
        if m.variant.endswith(variant):
            assert m.coarse <= bound, m
            continue
        assert m.error <= AWAY.get(rows, BAR), m
        assert m.output != "value" or m.root == 0, m
        assert m.beyond <= BESIDE_ROOTS, m
        assert m.coarse <= SMALL_ROWS.get(rows, NEXT_TO_THE_LARGEST), m


def has_scale(name: str) -> bool:
    """Whether a kernel divides the entries of a row by a power of two near the largest."""
    module = getattr(F, name).cuda._module
    return any("_scale(" in k.body for k in generated(module).values())


def of_size(name: str, size: float, dtype: type) -> tuple[dict[str, np.ndarray], str]:
    """Operands in rows of 48, those that may be of any size of this one; and the name of the first."""
    function = getattr(F, name).function
    free = {a.name for a in function.tensors if not a.limits}
    made = drawn(function, layout(function, 192, 48))
    floats = {k: v.astype(dtype) for k, v in made.items() if v.dtype == np.float32}
    return {**made, **floats, **{k: floats[k] * dtype(size) for k in free}}, function.tensors[0].name


@pytest.mark.parametrize(("size", "dtype"), [(1e-30, np.float32), (1e20, np.float32), (1e36, np.float32),
                                             (1e-200, np.float64), (1e200, np.float64)])  # fmt: skip
def test_rows_of_large_and_of_small_numbers(rows, size, dtype, device_array, executed):
    """Squares of entries leave the range, and what they come to does not: no NaN, and no digit is lost.

    Of entries beside a root the largest of their row counts.
    """
    if rows in (TOO_SMALL if size < 1 else TOO_LARGE) or (dtype == np.float64 and not has_scale(rows)):
        pytest.skip(f"{rows} has no scale that depends on the size, or is known to miss")
    kernel, exact, more = executed(rows, (9, 0)), getattr(F, rows), settings(rows)
    x, first = of_size(rows, size, dtype)
    wide = {k: v.astype(float) if v.dtype == dtype else v for k, v in x.items()}
    with np.errstate(all="ignore"):
        want = np.asarray(exact(**wide, **more))
        g = np.linspace(-1, 1, want.size, dtype=dtype).reshape(want.shape).astype(float)
        slope = np.asarray(exact.vjp(g, **wide, **more, wrt=(first,)))
    arrays = {k: device_array(v) for k, v in x.items()}
    got = kernel(**arrays, **more).memory
    pulled = kernel.vjp(device_array(g.astype(dtype)), **arrays, **more, wrt=(first,)).memory
    for one, true in ((got, want), (pulled, slope)):
        known, size_of = np.abs(true) < np.finfo(dtype).max, np.minimum(np.abs(true), np.finfo(dtype).max)
        largest = size_of.max(axis=-1, keepdims=True) if true.ndim else size_of
        last = np.spacing(np.maximum(size_of, 1e-2 * largest)[known].astype(dtype))
        assert (np.abs(one[known] - true[known]) <= BAR * last).all()


def test_beside_a_root_stands_what_a_share_of_the_operands_gives_another_sign():
    """The derivative of gelu has a root at -0.7518: beside it are -0.75 and -0.7, not -0.5, where a miss is one."""
    op = OPS["geglu"]
    x = np.array([[2.0, 2.0, 2.0], [-0.75, -0.7, -0.5]])
    problem = Problem("here", {"x": x}, {"C": 3}, np.ones(3))
    batch = Batch(op, op.variants[0], places(op, op.variants[0]), [problem], np.dtype("f4"))
    assert batch._beside_roots([0], "x").tolist() == [False, False, False, True, True, False]
    exact = batch._truth(batch.rows[0], batch.cotangents[0], problem, ["x"])[1]["x"]
    wrong = (np.asarray(exact[0]) * (1 + 1e-6)).astype(np.float32)
    found = _summary("", "vjp", [(wrong, exact, "here", lambda: batch._beside_roots([0], "x"))], "float32")
    assert found.error > BAR
    assert found.root > BAR
    assert found.beyond == 1.0


@pytest.mark.parametrize("gated", ["glu", "swiglu", "geglu"])
def test_a_gate_that_is_nearly_shut_has_lost_no_bits(gated, device_array, executed):
    """Where it is subnormal, or no float32 any more, a large number lets it be seen: value and gradient are right."""
    shut = -np.linspace(12, 17, 48) if gated == "geglu" else -np.linspace(80, 120, 48)
    large, shut = np.full(48, 1e36, np.float32), shut.astype(np.float32)
    x = np.concatenate([shut, large] if gated == "swiglu" else [large, shut])
    g = np.linspace(0.5, 2.0, 48, dtype=np.float32)
    kernel, exact = executed(gated, (9, 0)), getattr(F, gated)
    for got, want in (
        (kernel(device_array(x)).memory, exact(x.astype(float))),
        (kernel.vjp(*map(device_array, (g, x))).memory, exact.vjp(g.astype(float), x.astype(float))),
    ):
        known = np.abs(want) > float(np.finfo(np.float32).tiny)
        assert known.sum() >= len(want) // 2
        assert (np.abs(got - want)[known] <= 4 * np.spacing(np.abs(want.astype(np.float32)))[known]).all()


@pytest.mark.parametrize("function", ["softmax", "nll_loss"])
def test_the_newest_devices_and_float64_keep_it_too(function, executed):
    for capability, dtype, length in (((10, 0), "float32", 33), ((9, 0), "float64", 34)):
        for m in measured(OPS[function], executed(function, capability), dtype, (length,)):
            assert m.error <= BAR, (capability, dtype, m)


def columns(count: int, n: int, dtype: str = "float32") -> list[np.ndarray]:
    rng = np.random.default_rng(count + n)
    return [rng.normal(size=shape).astype(dtype) for shape in ((count, n), (count, n), (n,), (n,))]


@pytest.mark.parametrize(("count", "n"), [(0, 5), (1, 1), (3, 33), (513, 31), (70, 300), (9, 1100)])
def test_gradients_that_rows_share_are_sums_over_all_of_them(count, n, device_array, executed):
    """In float32 too they are those of float64, whatever the number of rows; a second call gives the same bits."""
    g, x, weight, bias = columns(count, n)
    kernel, more = executed("layer_norm", (9, 0)), {"wrt": ("weight", "bias", "eps")}
    found = [kernel.vjp(*map(device_array, (g, x)), weight=device_array(weight), bias=device_array(bias), **more)
             for _ in range(2)]  # fmt: skip
    wide = [v.astype(float) for v in (g, x, weight, bias)]
    wanted = F.layer_norm.vjp(*wide[:2], weight=wide[2], bias=wide[3], **more)
    for one, again, true, terms in zip(*found, wanted, (g * x, g, np.ones(1)), strict=True):
        assert one.memory.shape == np.shape(true)
        assert np.array_equal(one.memory, again.memory)
        np.testing.assert_allclose(one.memory, true, rtol=1e-6, atol=1e-7 * np.abs(terms).sum())


def test_a_shared_gradient_does_not_depend_on_where_its_axis_stands(device_array, executed):
    x, g = columns(6, 20)[:2]
    weight = np.linspace(0.5, 1.5, 20, dtype=np.float32)
    kernel = executed("rms_norm", (9, 0))
    plain = kernel.vjp(device_array(g), device_array(x), weight=device_array(weight), wrt="weight").memory
    turned = [np.ascontiguousarray(v.T) for v in (g, x)]
    found = kernel.vjp(*map(device_array, turned), weight=device_array(weight), wrt="weight", axis=0).memory
    assert np.array_equal(found, plain)


@pytest.mark.parametrize("how", ["mean", "sum", "none"])
def test_weights_of_classes_have_gradients_also_by_what_a_mean_divides_by(how, device_array, executed):
    rng = np.random.default_rng(5)
    x, target = rng.normal(size=(50, 7)).astype(np.float32), rng.integers(0, 7, 50)
    weight = rng.uniform(0.5, 2, 7).astype(np.float32)
    target[3] = -100
    g = rng.normal(size=50 if how == "none" else ()).astype(np.float32)
    for name in ("cross_entropy", "nll_loss"):
        arrays = [device_array(v) for v in (g, x, target, weight)]
        found = executed(name, (9, 0)).vjp(*arrays, reduction=how)
        wanted = getattr(F, name).vjp(g.astype(float), x.astype(float), target, weight.astype(float), reduction=how)
        for one, true in zip(found, wanted, strict=True):
            np.testing.assert_allclose(one.memory, true, rtol=1e-5, atol=1e-7)
