"""Kernels that try plain arithmetic first: what sizes are, which rows are in doubt, and that these lose nothing."""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np
import pytest
import sympy as sp

import symgen.functional as F
from symgen.backends.numba_row_passes import passes
from symgen.heads import Cases, first_max
from symgen.program import Program, Stage
from symgen.rows.centre import piloted
from symgen.rows.derive import derive
from symgen.rows.doubt import MARGIN, doubtful, doubts
from symgen.rows.indices import index, read
from symgen.rows.schedule import Schedule
from tests.rows.hard import OPS

K1, K = index("K.1"), index("K")
SIZE = sp.Symbol("|K|", integer=True, positive=True)
X, G = read("x", [K1]), read("g", [K1])
S0 = read("s0")
SUM = Stage("s0", "sum", (), ("K.1",), X)


def program(*stages: Stage) -> Program:
    return Program("test", (sp.Symbol("g"), sp.Symbol("x")), stages, (stages[-1].out,))


def bodies(found: Program | None) -> dict[str, sp.Expr]:
    assert found is not None
    return {s.out: s.body for s in found.stages}


def quick(name: str, output: str) -> Schedule | None:
    return derive(OPS[name], only=output).variants[0].output(output).schedules[-1].quick


# -- sizes ------------------------------------------------------------------------------------------------------------


def test_the_size_of_a_sum_is_that_of_its_terms() -> None:
    """A result that is less than its margin of it, and NaN, puts the row in doubt."""
    found = bodies(doubtful(program(SUM, Stage("out", "=", (), (), 3 * S0))))
    assert found["size_s0"] == sp.Abs(X)
    assert found["size_out"] == 3 * read("size_s0")
    assert found["doubt_out"] == Cases(MARGIN * sp.Abs(read("near_out")) >= read("size_out"), 0, 1)
    assert found["out"] == read("near_out")


def test_products_lose_to_first_order() -> None:
    """Each inexact factor counts with the absolute values of the others."""
    other = Stage("s1", "sum", (), ("K.1",), G)
    found = bodies(doubtful(program(SUM, other, Stage("out", "=", (), (), S0 * read("s1")))))
    wanted = read("size_s0") * sp.Abs(read("s1")) + read("size_s1") * sp.Abs(S0)
    assert sp.expand(found["size_out"] - wanted) == 0


@pytest.mark.parametrize(
    "stages",
    [
        (Stage("s0", "sum", (), ("K.1",), X**2), Stage("out", "=", (), (), 1 / sp.sqrt(S0))),
        (Stage("out", "=", ("K",), (), read("x", [K]) - read("g", [K])),),
        (Stage("m0", "peak", (), ("K.1",), X), Stage("out", "=", ("K",), (), sp.exp(read("x", [K]) - read("m0")))),
    ],
)
def test_nothing_is_in_doubt_where_nothing_cancels(stages: tuple[Stage, ...]) -> None:
    """A sum of one sign, one difference of operands, an exponential of one."""
    assert doubtful(program(*stages)) is None


def test_what_has_no_size_is_left_to_pairs() -> None:
    """An exponential of a sum is wrong by as much as the sum is, absolutely."""
    assert doubtful(program(SUM, Stage("out", "=", (), (), sp.exp(S0) - 1))) is None


def test_a_condition_between_near_numbers_is_in_doubt() -> None:
    """Which of two numbers is the larger is asked once, however often it decides something."""
    hinge = first_max(S0 - 1, sp.S.Zero) + Cases(S0 - 1 >= 0, S0, sp.S.Zero)
    found = doubtful(program(SUM, Stage("out", "=", (), (), hinge)))
    assert found is not None
    assert doubts(found) == ("doubt_gap0", "doubt_out")
    assert bodies(found)["gap0"] in (S0 - 1, 1 - S0)


# -- the pilot --------------------------------------------------------------------------------------------------------


def test_the_first_entry_is_taken_off_where_only_differences_from_the_mean_count() -> None:
    """It is not where the mean itself does."""
    variance = Stage("out", "sum", (), ("K.1",), (X - S0 / SIZE) ** 2)
    found = piloted(program(SUM, variance))
    assert [s.out for s in found.stages] == ["c0", "c0_off", "s0", "out"]
    mean = program(SUM, Stage("out", "=", (), (), S0 / SIZE))
    assert piloted(mean) is mean


def test_an_entry_that_is_cheap_is_made_again_by_each_pass() -> None:
    """No array keeps the differences from the pilot."""
    made = quick("layer_norm", "vjp")
    assert made is not None
    walked = [p for p in passes(made.steps) if p.steps[0].stage.axes or p.steps[0].stage.over]
    assert len(walked) == 3
    assert all("c0_off" in [s.stage.out for s in p.steps] for p in walked)
    assert not any(s.stage.axes and s.stage.out in p.kept for p in walked for s in p.steps)


# -- kernels ----------------------------------------------------------------------------------------------------------


def module(name: str) -> Any:
    return importlib.import_module(f"generated.activations.{name}")


def test_gradients_in_operands_are_tried_in_plain_arithmetic() -> None:
    """Second derivatives and sums over rows are not: of those no row can be computed again."""
    assert hasattr(module("layer_norm"), "vjp_f32_in_pairs")
    assert not hasattr(module("layer_norm"), "hvp_x_f32_in_pairs")
    assert not hasattr(module("layer_norm"), "vjp_weight_f32_in_pairs")
    assert not hasattr(module("softmax"), "vjp_f32_in_pairs")  # has nothing that plain arithmetic gets wrong


def test_rows_in_doubt_are_computed_in_pairs() -> None:
    """A gradient that is zero but for what plain arithmetic leaves of it: bit for bit what pairs give."""
    rng = np.random.default_rng(3)
    x = (rng.normal(size=(6, 40)) * 3).astype(np.float32)
    g = rng.normal(size=x.shape).astype(np.float32)
    g[::2] = 0.1  # of no sum over a row of these is the gradient other than zero
    ones, zeros = np.ones(40), np.zeros(40)
    found, wanted = np.empty_like(x), np.empty_like(x)
    kernels = module("layer_norm")
    kernels.vjp_f32(g, x, ones, zeros, 1e-5, found)
    kernels.vjp_f32_in_pairs(g, x, ones, zeros, 1e-5, wanted)
    assert np.array_equal(found[::2], wanted[::2])
    assert np.abs(found[::2]).max() < 1e-20
    assert np.allclose(found, wanted, rtol=2e-7, atol=0)


@pytest.mark.parametrize("what", [np.inf, -np.inf, np.nan])
def test_rows_without_numbers_are_what_pairs_make_of_them(what: float) -> None:
    x = np.linspace(-2, 2, 24, dtype=np.float32).reshape(3, 8)
    x[1, 0] = x[2, 5] = what
    g = np.ones_like(x)
    g[:, 3] = 2
    for name, more in (("layer_norm", (np.ones(8), np.zeros(8), 1e-5)), ("log_softmax", (None,))):
        found, wanted = np.empty_like(x), np.empty_like(x)
        module(name).vjp_f32(g, x, *more, found)
        module(name).vjp_f32_in_pairs(g, x, *more, wanted)
        assert np.array_equal(found[1:], wanted[1:], equal_nan=True), name


@pytest.mark.parametrize("offset", [0.0, 1e3, 1e6])
def test_rows_far_from_zero_lose_nothing(offset: float) -> None:
    """The gradient of a norm of such a row is that of float64 kernels, rounded."""
    rng = np.random.default_rng(5)
    x = (offset + rng.normal(size=(20, 300))).astype(np.float32)
    g = rng.normal(size=x.shape).astype(np.float32)
    got = F.layer_norm.vjp(g, x, wrt="x")
    want = F.layer_norm.vjp(g.astype(np.float64), x.astype(np.float64), wrt="x")
    assert (np.abs(got - want) <= 0.51 * np.spacing(np.abs(want).astype(np.float32))).all()


def test_empty_rows_have_no_first_entry() -> None:
    x = np.empty((3, 0), np.float32)
    assert F.layer_norm(x).shape == (3, 0)
    assert F.layer_norm.vjp(x, x, wrt="x").shape == (3, 0)
