"""Gated units, norms and losses of vectors: every entry, zero and enormous vectors, ties, refusals, proofs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import symgen.functional as F
from symgen.rows.derive import derive_variant, places
from symgen.rows.free import proved
from symgen.rows.indices import read
from symgen.rows.reference import truth
from symgen.spec import Op, Variant
from symgen.spec.model import role_limits
from tests.rows.hard import OPS, ulps

GENERAL = 3.5  # the order of a norm in a variant for any
BARS = {np.float32: 2.0, np.float64: 4.0}
NAMES = ("glu", "swiglu", "geglu", "rms_norm", "layer_norm", "normalize", "cosine_similarity", "cosine_embedding_loss",
         "ratio_loss", "dice_loss", "tversky_loss", "giou_loss", "triplet_margin_loss")  # fmt: skip
FEW = {"triplet_margin_loss": 4}  # of many variants the first
CASES = [(n, v.suffix) for n in NAMES for v in OPS[n].variants[: FEW.get(n, 99)]]


def vectors(op: Op, variant: Variant, n: int) -> Iterator[tuple[str, dict[str, Any]]]:
    """Operands of one sample: of all sizes, all equal, nearly equal, tiny, huge, and with one entry that dominates."""
    kinds: dict[str, Callable[[Any, Any], Any]] = {
        "random": lambda _, x: x,
        "of all sizes": lambda rng, x: np.sign(x) * 10.0 ** rng.uniform(-6, 6, x.shape),
        "tiny": lambda _, x: x * 1e-30,
        "huge": lambda _, x: x * 1e15,  # the square of 1e30 would be an infinite product in float32
        "nearly equal": lambda _, x: 1 + 1e-6 * x,
        "one": lambda _, x: np.where(np.arange(x.size).reshape(x.shape) == 0, 3.0, 1e-6 * x),
    }
    for kind, change in kinds.items():
        rng, found = np.random.default_rng(n), {}
        for place in places(op, variant):
            shape = tuple(int(a) if a.isdigit() else n for a in place.axes)
            x = change(rng, rng.normal(size=shape) * 1.5) if place.role.kind == "tensor" else rng.normal(size=shape)
            low = max([-np.inf, *(float(v) for o, v in role_limits(place.role) if o in (">", ">="))])
            found[place.name] = 1 / (1 + np.exp(-np.clip(x, -30, 30))) if low == 0 else x
            if not place.axes and place.role.kind == "tensor":
                found[place.name] = rng.choice([-1.0, 1.0])
        yield kind, found


@pytest.mark.parametrize("dtype", BARS)
@pytest.mark.parametrize(("name", "suffix"), CASES)
def test_every_entry(name: str, suffix: str, dtype: Any) -> None:
    """Values and gradients in all operands are right to the bar, against the definition in ball arithmetic."""
    compare(name, suffix, dtype)


@pytest.mark.parametrize("p", [3.0, 1.5])
def test_a_general_norm_where_a_gradient_leaves_a_thousandth_of_its_terms(p: float) -> None:
    """The gradient of what is nearly the norm itself, in float64."""
    (variant,) = [v for v in OPS["normalize"].variants if order(v.suffix) == GENERAL]
    for seed in range(20):
        rng = np.random.default_rng(seed)
        x = rng.normal(size=8)
        g = np.sign(x) * abs(x) ** (p - 1) * (1 + 2.0**-10 * rng.normal(size=8))
        _, exact = truth(variant.value, {"x": x, "p": p, "eps": 1e-12}, {"C": 8}, g, ["x"])
        assert ulps(F.normalize.vjp(g, x, p), exact["x"], np.float64) <= BARS[np.float64], seed


def compare(name: str, suffix: str, dtype: Any) -> None:
    """Values and gradients at all kinds of operands."""
    op = OPS[name]
    variant = next(v for v in op.variants if v.suffix == suffix)
    settings = {k: v for k, v in variant.settings if k in {a.name for a in op.options}}
    for n in (3, 8):
        for kind, operands in vectors(op, variant, n):
            arrays = {k: np.asarray(v, dtype) for k, v in operands.items() if op.argument(k).role.kind != "real"}
            options = {a.name: float(order(suffix) if a.name == "p" else a.default) for a in op.options
                       if a.role.kind == "real"}  # fmt: skip
            if kind == "tiny" and "eps" in options:  # beside which differences of 1e-30 are nothing, to any pair
                options["eps"] = 0.0
            lengths = {a: n for p in places(op, variant) for a in p.axes if not a.isdigit()}
            plain = truth(variant.value, {**arrays, **options}, lengths)[0]
            g = np.asarray(np.random.default_rng(77).normal(size=plain[0].shape)).astype(dtype)
            wrt = list(arrays)
            value, gradients = truth(variant.value, {**arrays, **options}, lengths, g, wrt)
            flat = {k: a.reshape(-1) if a.ndim > 1 else a for k, a in arrays.items()}
            more = {**options, **settings, **({"reduction": "none"} if op.kind == "loss" else {})}
            assert ulps(getattr(F, name)(**flat, **more), value, dtype) <= BARS[dtype], (kind, n)
            found = getattr(F, name).vjp(g, **flat, **more, wrt=tuple(wrt))
            for k, got in zip(wrt, found if isinstance(found, tuple) else (found,), strict=True):
                assert ulps(np.reshape(got, arrays[k].shape), gradients[k], dtype) <= BARS[dtype], (kind, n, k)


def order(suffix: str) -> float:
    """A norm's order of a variant."""
    known = {"p_eq_inf": np.inf, "p_eq_1": 1.0, "p_eq_2": 2.0}
    return next((v for k, v in known.items() if k in suffix), GENERAL)


# -- sizes ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("p", [1.0, 1.5, 2.0, 3.0, 10.0, np.inf])
@pytest.mark.parametrize("size", [1e-30, 1.0, 1e30])
def test_a_norm_does_not_depend_on_the_size(p: float, size: float) -> None:
    """A vector of any size, in float32 also, has the same direction; no power of an entry leaves the range."""
    x = np.array([3.0, -4.0, 0.0])
    want = F.normalize(x, p, eps=0.0)
    for dtype, tol in ((np.float64, 4e-16), (np.float32, 1e-7)):
        np.testing.assert_allclose(F.normalize((x * size).astype(dtype), p, eps=0.0), want, rtol=tol)
    assert np.linalg.norm(want, p) == pytest.approx(1.0, rel=1e-15)


def test_squares_beyond_the_range() -> None:
    """Sizes whose squares are no float64: the scale of the norm is free, and takes them away."""
    x = np.array([3.0, -4.0])
    for size in (1e-200, 1e200):
        np.testing.assert_array_equal(F.normalize(x * size, eps=0.0), x / 5)
        np.testing.assert_allclose(F.rms_norm(x * size, eps=0.0), x / np.sqrt(12.5), rtol=4e-16)
        np.testing.assert_allclose(F.layer_norm(x * size, eps=0.0), [1.0, -1.0], rtol=4e-16)
        assert F.cosine_similarity(x * size, 2 * x * size, eps=0.0) == 1.0
    np.testing.assert_allclose(F.rms_norm(x * 1e-200), x * 1e-197, rtol=3e-16)  # eps is all that counts


def test_zero_vectors() -> None:
    """The direction of nothing is zero, and so is every gradient: of norms, cosines and distances."""
    zero, x = np.zeros(3), np.array([1.0, 2.0, 2.0])
    for p in (1.0, 2.0, 3.0, np.inf):
        assert F.normalize(zero, p).tolist() == [0, 0, 0]
        assert F.normalize.vjp(x, zero, p).tolist() == [0, 0, 0]
    assert F.cosine_similarity(zero, x) == 0
    for gradient in F.cosine_similarity.vjp(1.0, zero, x):
        assert gradient.tolist() == [0, 0, 0]
    for gradient in F.cosine_embedding_loss.vjp(1.0, zero, x, 1.0, wrt=("input1", "input2")):
        assert gradient.tolist() == [0, 0, 0]
    for loss in (F.ratio_loss, lambda *a, **k: F.triplet_margin_loss(*a, eps=0.0, **k)):
        assert loss(x, x, x, reduction="none") == (0.5 if loss is F.ratio_loss else 1.0)
    for gradient in F.triplet_margin_loss.vjp(1.0, x, x, x, eps=0.0, wrt=("anchor", "positive", "negative")):
        assert gradient.tolist() == [0, 0, 0]
    assert np.isnan(F.normalize([np.nan, 0.0])).all()


def test_second_derivatives_at_zero_vectors() -> None:
    """Zero, as the first ones are, whether the other distance is zero or not."""
    zero, x = np.zeros(3), np.array([1.0, 2.0, 2.0])
    for p in (1.0, 2.0, 3.0, np.inf):
        assert F.normalize.hvp(x, zero, p, g=x).tolist() == [0, 0, 0]
        for swap in (False, True):
            assert F.triplet_margin_loss.hvp(x, x, x, x, p=p, eps=0.0, swap=swap).tolist() == [0, 0, 0]
    assert F.cosine_similarity.hvp(x, zero, x).tolist() == [0, 0, 0]
    assert F.cosine_embedding_loss.hvp(x, zero, x, 1.0).tolist() == [0, 0, 0]
    assert F.ratio_loss.hvp(x, x, x, x).tolist() == [0, 0, 0]
    h = 1e-6  # one distance is zero, and moves nothing
    found = F.ratio_loss.hvp(x, x, x, zero)
    moved = [F.ratio_loss.grad(x + s * h * x, x + s * h * x, zero, wrt="anchor") for s in (1, -1)]
    assert np.isfinite(found).all()
    assert np.isfinite(moved).all()


def test_gradients_of_shared_parameters_are_summed_over_the_rows() -> None:
    """A weight of each feature gets the sum of what the rows give it, in its own shape."""
    rng = np.random.default_rng(0)
    x, g, w, b = rng.normal(size=(6, 5)), rng.normal(size=(6, 5)), rng.normal(size=5), rng.normal(size=5)
    dx, dw, db = F.layer_norm.vjp(g, x, weight=w, bias=b)
    plain = F.layer_norm(x)
    np.testing.assert_allclose(dw, (g * plain).sum(0), rtol=1e-13)
    np.testing.assert_allclose(db, g.sum(0), rtol=1e-14)
    np.testing.assert_allclose(dx.sum(1), 0, atol=1e-15)  # a shift of all inputs changes nothing
    assert F.rms_norm.vjp(g, x, weight=w)[1].shape == (5,)


# -- conventions and values -------------------------------------------------------------------------------------------


def test_known_values() -> None:
    """Single samples, worked out by hand."""
    assert F.glu([3.0, 0.0]).tolist() == [1.5]
    assert F.glu(np.ones((2, 4, 3)), axis=1).shape == (2, 2, 3)
    assert F.swiglu([0.0, 5.0]).tolist() == [0.0]
    assert F.geglu([2.0, 0.0]).tolist() == [0.0]
    assert F.dice_loss([1.0, 0.0], [1.0, 0.0], smooth=0.0) == 0
    assert F.tversky_loss([1.0, 0.0], [0.0, 1.0], smooth=0.0) == 1
    assert F.giou_loss([0.0, 0.0, 1.0, 1.0], [2.0, 0.0, 3.0, 1.0], eps=0.0, reduction="none") == pytest.approx(4 / 3)
    assert F.triplet_margin_loss([0.0, 0.0], [3.0, 4.0], [0.0, 1.0], eps=0.0, reduction="none") == 5.0
    assert F.triplet_margin_loss([0.0], [3.0], [-1.0], eps=0.0, p=1.0, swap=True, reduction="none") == 3.0
    assert F.cosine_embedding_loss([1.0, 0.0], [1.0, 1.0], -1.0, margin=0.5, reduction="none") == pytest.approx(
        np.sqrt(0.5) - 0.5)  # fmt: skip
    assert F.js_div([0.5, 0.5], [0.5, 0.5], reduction="none") == 0
    assert F.js_div([1.0, 0.0], [0.0, 1.0], reduction="none") == pytest.approx(np.log(2), rel=1e-15)


def test_ties() -> None:
    """A hinge is active at its tie, largest entries share, and of two equal distances each has half."""
    one, near = np.array([1.0]), np.array([0.0])
    assert F.triplet_margin_loss.vjp(1.0, near, near, one, eps=0.0, wrt="negative").tolist() == [-1.0]
    assert F.normalize.vjp([1.0, 0.0], [2.0, 2.0], np.inf).tolist() == [0.25, -0.25]
    anchor, positive, negative = np.array([0.0]), np.array([2.0]), np.array([1.0])
    dn = F.triplet_margin_loss.vjp(1.0, anchor, positive, negative, eps=0.0, swap=True, wrt="negative")
    assert dn.tolist() == [0.0]


def test_the_ratio_of_distances_is_never_the_exponential_of_one() -> None:
    """Distances of thousands leave no infinity: the softmax of two is a sigmoid of their difference."""
    far, near = np.full(4, 1e4), np.zeros(4)
    value, gradients = F.ratio_loss.value_and_grad(near, far, near + 1, reduction="sum")
    assert value == 2.0
    assert all(np.isfinite(g).all() for g in gradients)


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: F.glu(np.ones(3)), ValueError, "x has length 3 along its axis; expected a multiple of 2"),
        (lambda: F.giou_loss(np.ones(5), np.ones(5)), ValueError, "input has length 5 along its axis; expected 4"),
        (lambda: F.normalize(np.ones(3), 0.5), ValueError, "p must be a number >= 1"),
        (lambda: F.triplet_margin_loss(*np.ones((3, 2)), margin=0.0), ValueError, "margin must be a number > 0"),
        (lambda: F.layer_norm(np.ones((2, 3)), weight=np.ones(2)), ValueError, r"weight has shape \(2,\); expected"),
        (lambda: F.triplet_margin_loss(np.ones((2, 3)), np.ones((2, 3)), np.ones((2, 4))), ValueError, "negative has"),
        (lambda: F.layer_norm(np.ones(3), (3,)), TypeError, "positional"),
    ],
)
def test_bad_input_is_refused_by_name(call: Callable[[], Any], error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        call()


# -- proofs -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["rms_norm", "layer_norm", "cosine_similarity"])
def test_a_scale_that_counts_is_refuted(name: str) -> None:
    """A scale that is not taken out again changes the results, and the proof sees it."""
    output = derive_variant(OPS[name], OPS[name].variants[0], "value").outputs[0]
    (*before, last), scale = output.stable.stages, output.families[0].parameter
    changed = replace(output.stable, stages=(*before, replace(last, body=last.body * read(scale))))
    assert proved(output.stable, output.families)
    assert not proved(changed, output.families)
