"""Certificates of row functions: planted errors are found and named, and the place of the worst entry is told."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import symgen.functional as F
from symgen.backends.latex_accuracy import accuracy
from symgen.certificate import Certificate, headed
from symgen.certify_rows import certify_rows
from symgen.rows.samples import hard_rows, sample
from tests.rows.hard import OPS


class Naive:
    """Softmin as it is written, and its gradient from the result."""

    def __call__(self, x: Any, where: Any) -> Any:
        e = np.exp(-x.astype(np.float64))
        return (e / e.sum()).astype(x.dtype)

    def vjp(self, g: Any, x: Any, where: Any, wrt: Any) -> Any:
        p = self(x, where).astype(np.float64)
        return (p * ((p * g).sum() - g)).astype(x.dtype)


def certified(kernel: Any, name: str = "softmax") -> Certificate:
    return certify_rows(OPS[name], kernel, dtypes=("float64", "float32"), lengths=(2, 3))


@pytest.fixture(scope="module")
def good() -> Certificate:
    return certified(F.softmax)


def test_every_output_is_measured_in_every_dtype(good: Certificate) -> None:
    assert {(r.output, r.dtype) for r in good.rows} == {
        (o, d) for o in ("value", "vjp") for d in ("float64", "float32")
    }
    kinds = len(list(hard_rows(1)))
    assert {r.inputs for r in good.rows} == {kinds * (2 + 3 + 100)}
    assert all(r.nonfinite == r.zeros == 0 and r.nan for r in good.rows)
    assert max(r.error for r in good.rows if r.dtype == "float32") <= 0.51


def test_what_the_formula_as_written_loses_is_found() -> None:
    """Overflow in a wide range, lost tails in float32, and the gradient of a confident row."""
    rows = {(r.output, r.dtype): r for r in certified(Naive(), "softmin").rows}
    assert rows["value", "float64"].nonfinite > 0
    assert rows["value", "float64"].place.startswith("a range of 1e4")
    assert rows["vjp", "float32"].error > 2
    assert any("NaN or infinity" in text for text in certified(Naive(), "softmin").failures())


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (lambda p: np.where(p == p.max(), np.nextafter(p, p.dtype.type(2)), p), ""),
        (lambda p: np.where(p < 1e-6, 0, p).astype(p.dtype), "give zero although"),
        (np.nan_to_num, "NaN does not give NaN"),
    ],
)
def test_single_wrong_entries_are_found(good: Certificate, wrong: Any, words: str) -> None:
    def value(x: Any, **options: Any) -> Any:
        return wrong(F.softmax(x, **options))

    class Wrong:
        def __call__(self, x: Any, **options: Any) -> Any:
            return value(x, **options)

        vjp = staticmethod(F.softmax.vjp)

    found = certified(Wrong())
    assert any(words in text for text in found.failures()) or not words
    row, right = found.rows[0], good.rows[0]
    assert (row.misrounded > right.misrounded, row.nan) == (not words or "zero" in words, "NaN" not in words)


def test_losses_are_measured_without_reduction_and_in_every_operand() -> None:
    """A certificate names the gradients apart, and what a person reads has the worst of them."""
    row = {"value": 0.5, "vjp": 1.0, "vjp_weight": 2.0}
    assert headed(row) == {"value": ("value",), "grad": ("vjp", "vjp_weight"), "grad2": ()}
    assert headed(["value", "grad", "grad2", "grad_beta"])["grad"] == ("grad",)


def test_the_card_says_where_the_worst_entry_is(good: Certificate) -> None:
    content: dict[str, Any] = {"rows": [vars(r) for r in good.rows]}
    shown = accuracy(content, ("value", "vjp"))
    worst = max(good.rows, key=lambda r: r.error)
    assert [line.output for line in shown.lines] == ["value", "vjp"]
    assert worst.place in shown.scope
    assert worst.place in good.table()[1 + good.rows.index(worst)]


def test_a_kernel_without_a_gradient_is_measured_all_the_same() -> None:
    class Kernel:
        def __call__(self, x: Any, where: Any) -> Any:
            return F.softmin(x, where=where)

        def vjp(self, *_: Any, **__: Any) -> Any:
            raise ValueError("softmin.vjp(): there is no derivative in 'x' for these options")

    assert [r.output for r in certified(Kernel(), "softmin").rows] == ["value", "value"]


def test_labels_are_drawn_from_the_numbers_that_the_formula_asks_for() -> None:
    """A pair belongs together, 1, or does not, -1; nothing else would be a label."""
    op = OPS["cosine_embedding_loss"]
    drawn = {float(sample(op, op.variants[0], 3, seed)[0]["target"]) for seed in range(16)}
    assert drawn == {-1.0, 1.0}


def test_entries_that_are_exactly_zero_are_measured_apart() -> None:
    """The gradient of a norm of one entry: what is left of it has no error in ULP, and a bar of its own."""

    class Leaving(Naive):
        left = 1e-20

        def vjp(self, g: Any, x: Any, where: Any, wrt: Any) -> Any:
            return F.softmin.vjp(g, x, wrt=wrt) if x.size > 1 else np.full_like(x, self.left)

        def __call__(self, x: Any, where: Any) -> Any:
            return F.softmin(x)

    def slopes(left: float) -> dict[str, Any]:
        kernel = Leaving()
        kernel.left = left
        found = certify_rows(OPS["softmin"], kernel, dtypes=("float64", "float32"), lengths=(1,))
        return {r.dtype: r for r in found.rows if r.output == "vjp"}

    few = slopes(1e-20)
    assert {r.error <= 4 for r in few.values()} == {True}
    assert few["float64"].remains == 1e-20
    assert few["float64"].failures() == []
    (failure,) = slopes(1e-9)["float64"].failures()
    assert failure.endswith("1e-09 where the truth is zero, the bar is 2.22e-16")
    assert slopes(1e-9)["float32"].failures() == []
