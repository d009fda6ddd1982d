"""Formulas outside the catalogue: within an ULP of float32 in value and first derivative, and never silently wrong."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import mpmath
import numpy as np
import pytest

from symgen import catalogue
from symgen.pipeline import derive
from symgen.spec import Op
from tests.unseen.measure import Measured, corpus, measured

SHARE = 0.95
OPTIONS = ("options", "scales", "windows", "mixed")  # files of formulas with free options
SAMPLE = (
    "logish", "rootsig", "barron_half", "wing", "log_gap", "exprel", "isru_free", "asin_remainder", "tanh_shrink_free",
    "softsign_power", "kappa_exp", "logistic_bump", "brier_logit",
    "soft_threshold_free", "atan_window", "inverse_softplus",
)  # fmt: skip


@cache
def ops() -> dict[str, Op]:
    return {op.name: op for _, op in corpus()}


@cache
def result(name: str) -> Measured:
    return measured(ops()[name], 2000, ("f32",))


def test_the_corpus_is_large_and_not_in_the_catalogue() -> None:
    """At least sixty formulas without options and a dozen with."""
    free = {op.name for file, op in corpus(files=OPTIONS)}
    assert len(free) >= 12
    assert len(ops()) - len(free) >= 60
    assert not set(ops()) & set(dir(catalogue))


@pytest.mark.parametrize("name", SAMPLE)
def test_a_formula_nobody_has_seen_is_accurate_or_reported(name: str) -> None:
    """At points that the build has not used, cuts and roots included."""
    one = result(name)
    assert not one.failure
    assert one.silent == 0
    assert one.passes


def test_noise_is_not_taken_for_zero() -> None:
    """Far out the difference of two equal numbers is zero at nearly all points, and at others what rounding left."""
    core = derive(ops()["scaled_erfc"], only="grad").variants[0].output("grad").cores["f32"]
    x = np.geomspace(1e23, 3e38, 100_000).astype(np.float32).astype(np.float64)
    (got,) = core.evaluate([x])
    assert np.abs(got).max() < 1e-45


@pytest.mark.slow
def test_nearly_all_of_the_corpus_is_accurate_and_the_rest_reported() -> None:
    """The bar for formulas outside the catalogue, on every fifth formula without options."""
    options = {op.name for _, op in corpus(files=OPTIONS)}
    results = [measured(ops()[name], 1000, ("f32",)) for name in sorted(set(ops()) - options)[::5]]
    missing = [m.name for m in results if not m.passes]
    assert len(missing) <= (1 - SHARE) * len(results), missing
    assert [m.name for m in results if m.silent] == []


def test_a_miss_with_options_is_reported_with_their_values() -> None:
    """What algebra leaves of a formula with options says where, at which values, and by how much."""
    one = measured(ops()["barron_free"], 2000, ("f32",))
    (variant,) = derive(ops()["barron_free"]).variants
    reports = variant.output("value").unresolved["f32"]
    assert one.silent == 0
    assert all(set(r.setting) == {"alpha", "c"} for r in reports)
    assert one.passes or reports


def test_what_is_missed_where_operands_agree_is_reported() -> None:
    """A root of even order that moves with the other operand: in float64 only noise is left beside it."""
    one = measured(ops()["gamma_deviance"], 2000, ("f64",))
    value = one.of("value", "f64")
    assert value is not None
    assert value.missed > 0
    assert value.silent == 0


@pytest.mark.parametrize(
    ("name", "output", "x", "t", "exact"),
    [
        ("gaussian_overlap", "grad2_input", -6e-37, 1.0, lambda r: (1 - r * r) * mpmath.exp(-r * r / 2)),
        ("cosine_angle", "grad_input", 2.0**70, 0.25, mpmath.sin),
    ],
)
def test_a_difference_of_float32_keeps_what_float64_drops(
    name: str, output: str, x: float, t: float, exact: Callable[[Any], Any]
) -> None:
    """Beside a root of the difference, and where it is many turns, the low part is all that counts."""
    core = derive(ops()[name]).variants[0].output(output).cores["f32"]
    given = {"input": x, "target": t, "k": 1.0}
    (got,) = core.evaluate([np.array([given[p]]) for p in core.parameters])
    with mpmath.workdps(80):
        wanted = float(exact(mpmath.mpf(x) - mpmath.mpf(t)))
    assert np.float32(got[0]) == np.float32(wanted)


def test_without_pieces_what_algebra_leaves_is_reported() -> None:
    """The switch that shows what rules are worth: no polynomial anywhere, and the stretch is said."""
    (with_pieces,) = derive(ops()["sine_remainder"]).variants
    (without,) = derive(ops()["sine_remainder"], pieces=False).variants
    kinds = [
        {s.kind for r in v.output("value").forms["f32"].regions() for s in r.segments} for v in (with_pieces, without)
    ]
    assert "piece" in kinds[0]
    assert "piece" not in kinds[1]
    assert any(m.lower < 1e-5 < m.upper for m in without.output("value").unresolved["f32"])
