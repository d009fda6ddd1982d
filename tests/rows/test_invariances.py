"""What changes nothing: another order of the entries, a shift, a scale, and rows or batches taken apart."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest

import symgen.functional as F
from symgen.certify_rows import Call
from symgen.rows.derive import places
from symgen.rows.indices import axis_of, loops
from tests.rows.hard import OPS, sample

ROWS = np.random.default_rng(2).integers(-40, 40, (6, 8)) / 8.0  # sums with powers of two are exact
CLASSES = np.array([0, 7, 3, 3, 1, 5])
CASES = [(name, v.suffix) for name, op in OPS.items() for v in op.variants]


@pytest.mark.parametrize(("name", "suffix"), CASES)
def test_the_order_of_the_entries_does_not_matter(name: str, suffix: str) -> None:
    """Entries of every axis in another order, classes renamed: the value follows, and so does the gradient."""
    op = OPS[name]
    variant = next(v for v in op.variants if v.suffix == suffix)
    arrays, lengths = sample(op, variant, 5, 3)
    orders = {a: np.random.default_rng(i).permutation(n) for i, (a, n) in enumerate(sorted(lengths.items()))}
    found = {p.name: p for p in places(op, variant)}
    turned = {k: reordered(v, found[k], orders, op.argument(k).role) for k, v in arrays.items()}
    axes = [axis_of(i.name) for i in loops(variant.value)]
    plain, moved = (Call(op, variant, getattr(F, name), a) for a in (arrays, turned))
    same(moved.value(), along(plain.value(), axes, orders))
    first = next(p for p in found.values() if p.role.kind == "tensor")
    g = np.random.default_rng(8).normal(size=np.shape(plain.value()))
    shape = np.shape(arrays[first.name])
    before, after = plain.gradient(g, first.name), moved.gradient(along(g, axes, orders), first.name)
    same(np.reshape(after, shape), along(np.reshape(before, shape), first.axes, orders))


def reordered(value: Any, place: Any, orders: Mapping[str, Any], role: Any) -> Any:
    """An operand whose axes are in other orders; classes by their new names."""
    kinds = {k.kind: k for k in role.kinds}
    own = kinds.get(place.role.kind, role)
    if place.role.kind == "index":
        return int(np.argsort(orders[own.of.name])[value])
    if place.role.kind == "labels":
        names = np.argsort(orders[own.of.name])
        return np.where(value >= 0, names[np.maximum(value, 0)], value)  # a list stays in its own order
    return along(value, place.axes, orders) if place.axes else value


def along(value: Any, axes: Any, orders: Mapping[str, Any]) -> Any:
    for position, axis in enumerate(axes):
        value = np.take(value, orders[axis], position) if axis in orders and np.ndim(value) else value
    return value


def same(found: Any, wanted: Any) -> None:
    """Equal to what two results right to two ULP may differ by, and what a sum of both signs is made of."""
    wanted = np.asarray(wanted)
    np.testing.assert_allclose(found, wanted, rtol=9e-16, atol=4e-16 * float(np.max(np.abs(wanted), initial=0)))


SHIFTS: dict[str, Callable[[Any], Any]] = {
    "softmax": F.softmax,
    "softmin": F.softmin,
    "log_softmax": F.log_softmax,
    "logsumexp": lambda x: F.logsumexp(x - x[:, :1]),
    "layer_norm": F.layer_norm,
    "cross_entropy": lambda x: F.cross_entropy(x, CLASSES, reduction="none", label_smoothing=0.1),
    "poly": lambda x: F.poly_cross_entropy(x, CLASSES, reduction="none"),
    "generalized": lambda x: F.generalized_cross_entropy(x, CLASSES, reduction="none"),
    "multi_margin": lambda x: F.multi_margin_loss(x, CLASSES, reduction="none"),
    "multilabel_margin": lambda x: F.multilabel_margin_loss(x, np.tile([2, 4, -1, 0, 0, 0, 0, 0], (6, 1)),
                                                            reduction="none"),
    "gradient of softmax": lambda x: F.softmax.vjp(ROWS[::-1], x),
    "gradient of cross_entropy": lambda x: F.cross_entropy.grad(x, CLASSES),
}  # fmt: skip


@pytest.mark.parametrize("name", SHIFTS)
@pytest.mark.parametrize("shift", [1024.0, -(2.0**40)])
def test_a_shift_of_all_entries_changes_no_bit(name: str, shift: float) -> None:
    """Where adding it is exact, only differences are ever seen."""
    np.testing.assert_array_equal(SHIFTS[name](ROWS + shift), SHIFTS[name](ROWS))


def test_a_logarithm_of_a_sum_moves_with_the_shift() -> None:
    for function in (F.logsumexp, F.logmeanexp):
        np.testing.assert_allclose(function(ROWS + 64.0), function(ROWS) + 64.0, rtol=3e-16)


SCALES: dict[str, Callable[[Any], Any]] = {
    "normalize": lambda x: F.normalize(x, eps=0.0),
    "normalize of order 1": lambda x: F.normalize(x, 1.0, eps=0.0),
    "normalize of order 3.5": lambda x: F.normalize(x, 3.5, eps=0.0),
    "normalize of order infinity": lambda x: F.normalize(x, np.inf, eps=0.0),
    "rms_norm": lambda x: F.rms_norm(x, eps=0.0),
    "layer_norm": lambda x: F.layer_norm(x, eps=0.0),
    "cosine_similarity": lambda x: F.cosine_similarity(x, ROWS, eps=0.0),
}


@pytest.mark.parametrize("name", SCALES)
@pytest.mark.parametrize("scale", [2.0**-600, 0.125, 2.0**600])
def test_a_scale_of_all_entries_changes_no_bit(name: str, scale: float) -> None:
    """A power of two goes into the exponents alone; no square of it leaves the range."""
    np.testing.assert_array_equal(SCALES[name](ROWS * scale), SCALES[name](ROWS))


def test_rows_by_parts() -> None:
    """The logarithm of a sum of two parts is that of both, and the parts' softmaxes are those of the whole, weighed."""
    left, right, whole = F.logsumexp(ROWS[:, :3]), F.logsumexp(ROWS[:, 3:]), F.logsumexp(ROWS)
    np.testing.assert_allclose(F.logsumexp(np.stack([left, right], 1)), whole, rtol=3e-16, atol=3e-16)
    weighed = F.softmax(ROWS[:, :3]) * np.exp(left - whole)[:, None]
    np.testing.assert_allclose(F.softmax(ROWS)[:, :3], weighed, rtol=5e-15)


LOSSES: dict[str, Callable[..., Any]] = {
    "cross_entropy": F.cross_entropy, "nll": F.nll_loss, "poly": F.poly_cross_entropy,
    "generalized": F.generalized_cross_entropy,
}  # fmt: skip


@pytest.mark.parametrize("name", LOSSES)
def test_batches_by_parts(name: str) -> None:
    """A sum is the sum of the parts' sums; a mean that of the means, by what each divides by."""
    loss, weight = LOSSES[name], np.linspace(0.5, 2.0, 8)
    parts = [slice(0, 2), slice(2, 6)]
    total = sum(loss(ROWS[p], CLASSES[p], weight, reduction="sum") for p in parts)
    assert loss(ROWS, CLASSES, weight, reduction="sum") == pytest.approx(total, rel=4e-16)
    shares = [weight[CLASSES[p]].sum() for p in parts]
    means = [loss(ROWS[p], CLASSES[p], weight) for p in parts]
    assert loss(ROWS, CLASSES, weight) == pytest.approx(np.average(means, weights=shares), rel=1e-15)
