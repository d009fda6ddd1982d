"""What float32 kernels of rows do without: zero sums, scales, passes, and low parts that no result asks for."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import sympy as sp

import symgen.functional as F
from symgen.backends.numba_row_passes import passes
from symgen.program import Program, Stage
from symgen.rows.derive import derive
from symgen.rows.indices import index, read
from symgen.rows.schedule import Schedule
from symgen.rows.tidy import hoisted, in_passes, in_range, without_zeros
from symgen.runtime import remembered, set_num_threads
from symgen.runtime.extremes import nearer_number, settled_peak, settled_scale, wider_number
from symgen.runtime.sums import FEW, total
from tests.rows.hard import OPS

K1, K = index("K.1"), index("K")
SIZE = sp.Symbol("|K|", integer=True, positive=True)
X, S0 = read("x", [K1]), read("s0")
MEAN = (Stage("s0", "sum", (), ("K.1",), X),)


def program(*stages: Stage) -> Program:
    return Program("test", (sp.Symbol("x"),), (*MEAN, *stages), (stages[-1].out,))


def short(name: str, output: str) -> Schedule:
    return next(s for s in derive(OPS[name]).variants[0].output(output).schedules if s.target == "f32")


def test_a_sum_of_differences_from_the_mean_is_zero() -> None:
    """It is left out with all that it is multiplied with; a sum of their squares stays."""
    differences = Stage("s1", "sum", (), ("K.1",), 3 * (X - S0 / SIZE))
    squares = Stage("s2", "sum", (), ("K.1",), (X - S0 / SIZE) ** 2)
    out = Stage("out", "=", ("K",), (), read("s2") + read("s1") * read("x", [K]))
    found = without_zeros(program(differences, squares, out))
    assert [s.out for s in found.stages] == ["s0", "s2", "out"]
    assert found.stages[-1].body == read("s2")


def test_no_other_sum_is_left_out() -> None:
    """One that other sums cancel is, one that no stage computes is not known."""
    other = program(Stage("s1", "sum", (), ("K.1",), X - S0), Stage("out", "=", (), (), read("s1")))
    assert without_zeros(other) is other


def test_what_is_alike_for_all_entries_is_computed_once() -> None:
    """A quotient of numbers gets a stage; where an exponential is, its argument is left as it was."""
    out = Stage("out", "=", ("K",), (), read("x", [K]) - S0 / SIZE)
    found = hoisted(program(out))
    assert [s.out for s in found.stages] == ["s0", "n0", "out"]
    assert found.stages[-1].body == read("x", [K]) + read("n0")
    exponential = program(Stage("out", "=", ("K",), (), sp.exp(read("x", [K]) - S0 / SIZE)))
    assert hoisted(exponential) is exponential


def test_passes_are_shared() -> None:
    """The gradient of a layer_norm takes three: means, what is made of differences from them, and the result."""
    names = [[s.stage.out for s in p.steps] for p in passes(short("layer_norm", "vjp").steps) if p.steps[0].stage.axes
             or p.steps[0].stage.over]  # fmt: skip
    assert names == [["s0", "s3_of"], ["s1", "s4_of"], ["dx"]]


def test_an_entry_is_made_when_it_is_wanted() -> None:
    """What only the last pass reads is not kept from the first one on."""
    early = Stage("a", "=", ("K",), (), read("x", [K]) ** 2)
    out = Stage("out", "=", ("K",), (), read("a", [K]) * S0)
    assert [s.out for s in in_passes(program(early, out)).stages] == ["s0", "a", "out"]


@pytest.mark.parametrize(("body", "known"), [(X**2, True), (X**8, False), (X ** sp.Symbol("p"), False)])
def test_what_float64_has_room_for(body: Any, known: bool) -> None:
    """Squares of float32 numbers stay in range; high powers, and those that nobody knows, do not."""
    assert in_range(program(Stage("out", "sum", (), ("K.1",), body))) is known


def test_only_float64_kernels_scale() -> None:
    """Of float32 operands no square leaves the range of float64."""
    long, narrow = derive(OPS["rms_norm"]).variants[0].output("value").schedules
    assert any(s.stage.op == "scale" for s in long.steps)
    assert not any(s.stage.op == "scale" for s in narrow.steps)
    x = np.array([[3e38, -1e38], [1e-45, 3e-44]], np.float32)
    wide = F.rms_norm(x.astype(np.float64), eps=0.0)
    assert np.array_equal(F.rms_norm(x, eps=0.0), wide.astype(np.float32))


@pytest.mark.parametrize(
    ("name", "output", "pairs"),
    [
        ("layer_norm", "value", {"s0", "n0"}),  # a mean is subtracted; squares and their root are not
        ("rms_norm", "value", set()), ("cosine_similarity", "value", {"s2"}),  # whose terms cancel
    ],
)  # fmt: skip
def test_what_float32_results_of_norms_keep_as_pairs(name: str, output: str, pairs: set[str]) -> None:
    """What keeps its relative precision whatever follows is one number."""
    assert {s.stage.out for s in short(name, output).steps if s.pair} == pairs


def test_differences_from_a_mean_keep_their_bits() -> None:
    """Entries of a float32 row that are all but equal are told apart as exact arithmetic does."""
    x = (np.float32(1) + np.float32(2.0**-23) * np.arange(7, dtype=np.float32))[None]
    exact = (x - x.astype(np.float64).mean()) / math.sqrt(np.var(x.astype(np.float64)) + 1e-30)
    assert np.array_equal(F.layer_norm(x, eps=1e-30), exact.astype(np.float32))


def test_the_largest_number() -> None:
    """NaN is passed over, infinities are not; what comes of none, or of an infinite one, is a number."""
    assert nearer_number(1.0, math.nan) == 1.0
    assert nearer_number(-math.inf, math.nan) == -math.inf
    assert nearer_number(1.0, math.inf) == math.inf
    assert wider_number(1.0, -3.0) == 3.0
    assert (settled_peak(math.inf), settled_peak(-math.inf), settled_peak(2.0)) == (0.0, 0.0, 2.0)
    assert (settled_scale(0.0), settled_scale(math.inf), settled_scale(3.0)) == (1.0, 1.0, 0.25)


def test_threads_are_asked_for_work_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """A value that gathers one entry of each row runs at once, however long the rows are; a gradient is divided."""
    divided = []
    monkeypatch.setattr(remembered, "in_chunks", lambda task, rows, work: (divided.append(work), task(0, rows)))
    set_num_threads(2)
    x, t = np.zeros((64, 4096), np.float32), np.zeros(64, np.int64)
    for _ in range(2):
        F.nll_loss(x, t)
    assert not divided
    for _ in range(2):
        F.nll_loss.grad(x, t)
    assert divided == [4097, 4097]


@pytest.mark.parametrize("size", [0, 1, FEW, FEW + 1, 3 * FEW])
def test_sums_of_any_length(size: int) -> None:
    """They are right to about one rounding, with and without compiled code."""
    numbers = np.random.default_rng(size).standard_normal(size) * 10.0 ** np.arange(size).clip(0, 15)
    assert total(numbers) == pytest.approx(math.fsum(numbers), rel=2.0**-52, abs=0)
