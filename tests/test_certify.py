"""Certificates: a good kernel passes, each kind of bad one fails for the right reason."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest
import sympy as sp
from sympy import Symbol

from symgen import vocabulary
from symgen.certificate import ERROR_FUNCTION, ROOT, Certificate, Limit, Row, bar, bars
from symgen.certify import CertifyError, Effort, Knowledge, certify_cases
from symgen.certify_cases import Case, cases
from symgen.features import kinks, roots
from symgen.heads import Cases, first_max, first_min
from symgen.oracle import Oracle
from symgen.rows.lower import is_row_function
from symgen.spec import load
from symgen.ulp import log_spaced

x = Symbol("x", real=True)
alpha = Symbol("alpha", extended_real=True)
SIGMOID = Case(1 / (1 + sp.exp(-x)), "x", x)
SPECS = Path(__file__).parents[1] / "specs" / "activations"
OPS = {name: op for name, op in load(SPECS).items() if not is_row_function(op)}
SMALL = Effort(points32=3000, points64=1000, near=50, gradients=0.5)
Function = Callable[..., Any]


def narrowed(wide: Any, dtype: Any) -> Any:
    """float64 results in a dtype, rounded once: ml_dtypes would round twice on the way to bfloat16."""
    if dtype != ml_dtypes.bfloat16:
        return wide.astype(dtype)
    single = wide.astype(np.float32)
    bits = single.view(np.uint32)
    bits -= (np.abs(single) > np.abs(wide)).astype(np.uint32)
    bits |= (single != wide).astype(np.uint32)
    return bits.view(np.float32).astype(dtype)


class Handmade:
    """A kernel from three NumPy functions of a float64 array."""

    def __init__(self, *functions: Function) -> None:
        self.functions = functions

    def __call__(self, values: Any, **options: float) -> Any:
        return self.run(0, values, options)

    def grad(self, values: Any, order: int = 1, **options: float) -> Any:
        return self.run(order, values, options)

    def run(self, order: int, values: Any, options: dict[str, float]) -> Any:
        return narrowed(self.functions[order](values.astype(np.float64), **options), values.dtype)


def good_slope(v: Any) -> Any:
    e = np.exp(-np.abs(v))
    return e / (1 + e) ** 2


GOOD = (
    lambda v: np.where(v >= 0, 1, np.exp(-np.abs(v))) / (1 + np.exp(-np.abs(v))) + 0 * np.where(np.isnan(v), v, 0),
    good_slope,
    lambda v: -good_slope(v.astype(np.longdouble)) * np.tanh(v.astype(np.longdouble) / 2),
)


def naive(v: Any) -> Any:
    return 1 / (1 + np.exp(-v))


NAIVE = (naive, lambda v: naive(v) * (1 - naive(v)), lambda v: naive(v) * (1 - naive(v)) * (1 - 2 * naive(v)))


def replaced(order: int, function: Function) -> Handmade:
    """The good kernel with one function exchanged."""
    functions = list(GOOD)
    functions[order] = function
    return Handmade(*functions)


def test_a_stable_sigmoid_passes() -> None:
    """Value and both derivatives in four dtypes, every 16-bit input, with limits and NaN."""
    certificate = certify_cases("sigmoid", [SIGMOID], Handmade(*GOOD), effort=SMALL)
    assert certificate.failures() == []
    assert len(certificate.rows) == 12
    half = next(r for r in certificate.rows if r.dtype == "float16")
    assert (half.inputs, half.sampled) == (63488, False)
    assert certificate.features["roots of grad2"] == (0.0,)
    assert {v.at: v.want for v in half.limits} == {-np.inf: 0.0, np.inf: 1.0}


def test_a_naive_sigmoid_fails_with_the_reason() -> None:
    """Writing s (1 - s) loses the tail: zeros for normal numbers, and an error of a whole significand, are reported."""
    certificate = certify_cases("sigmoid", [SIGMOID], Handmade(*NAIVE), effort=SMALL)
    text = "\n".join(certificate.failures())
    assert "grad float64: " in text
    assert "zero although the truth is a normal number" in text
    row = next(r for r in certificate.rows if (r.output, r.dtype) == ("grad", "float32"))
    assert row.error > 1e6
    assert row.zeros > 0
    assert 36 < row.zeros_at < 40


@pytest.mark.parametrize(
    ("order", "function", "reason"),
    [
        (0, lambda v: GOOD[0](np.nan_to_num(v)), "NaN does not give NaN"),
        (0, lambda v: np.where(np.isinf(v), 0.25, GOOD[0](v)), "the limit is"),
        (0, lambda v: np.where(v == 1.0, np.inf, GOOD[0](v)), "NaN or infinity, the first 1.0"),
        (0, lambda v: np.where(v == 1.0, np.nan, GOOD[0](v)), "NaN or infinity, the first 1.0"),
        (1, lambda v: np.where(v == 1.0, 0.0, GOOD[1](v)), "zero although the truth is a normal number, as at 1.0"),
        (0, lambda v: GOOD[0](v) * (1 + 2e-8), "the bar is"),
        (2, lambda v: np.where(np.abs(v) < 1e-43, 3 * v, GOOD[2](v)), "near a root"),
    ],
)
def test_each_kind_of_defect_is_seen(order: int, function: Function, reason: str) -> None:
    """NaN swallowed, a wrong limit, a stray infinity or zero, a small bias, a bad root: each has its sentence."""
    effort = Effort(points32=1000, points64=300, near=50, dtypes=("float32", "float64"))
    failures = certify_cases("sigmoid", [SIGMOID], replaced(order, function), effort=effort).failures()
    assert any(reason in text for text in failures), failures


def test_overflow_of_the_mathematics_is_no_defect() -> None:
    """The exponential of 1000 is infinite in every dtype, and rightly so."""
    kernel = Handmade(np.exp, np.exp, np.exp)
    certificate = certify_cases("exponential", [Case(sp.exp(x), "x", x)], kernel, effort=SMALL)
    assert certificate.failures() == []
    assert all(r.nonfinite == 0 for r in certificate.rows)


def test_points_outside_the_domain_are_not_measured() -> None:
    """The logarithm on x > 0: half of the range, and only one infinity."""
    case = Case(sp.log(x), "x", x, limits=((">", 0),))
    certificate = certify_cases("log", [case], Handmade(np.log, lambda v: 1 / v, lambda v: -1 / v**2), effort=SMALL)
    row = next(r for r in certificate.rows if (r.output, r.dtype) == ("value", "float16"))
    assert row.inputs == 31743
    assert [v.at for v in row.limits] == [np.inf]
    assert row.unknown == 0
    assert certificate.features["roots of value"] == (1.0,)


def test_unknown_points_are_counted_and_a_proved_form_settles_them() -> None:
    """Far in the tail log(1 - s(x)) has no literal truth; with the equal form every point is measured."""
    s = 1 / (1 + sp.exp(-x))
    case = Case(sp.log(1 - s), "x", x)
    kernel = Handmade(
        lambda v: -(np.maximum(v, 0) + np.log1p(np.exp(-np.abs(v)))), lambda v: -GOOD[0](v), lambda v: -good_slope(v)
    )
    effort = Effort(points32=400, points64=100, near=10, dtypes=("float32",))
    literal = certify_cases("f", [case], kernel, effort=effort)
    known = {"": Knowledge((), -vocabulary.softplus(x))}
    settled = certify_cases("f", [case], kernel, known, effort=effort)
    assert literal.rows[0].unknown > 50
    assert settled.rows[0].unknown == 0
    assert settled.failures() == []


def test_gradients_in_options_are_measured_elementwise() -> None:
    """The gradient of elu in alpha, at every operand; a wrong one is caught, and its own root is found."""
    expression = Cases(x > 0, x, alpha * (sp.exp(x) - 1))
    case = Case(
        expression, "x", x, options=(("alpha", 0.5),), parameters=(("alpha", 0.5),), numeric=(("alpha", alpha),)
    )
    functions = (
        lambda v, alpha: np.where(v > 0, v, alpha * np.expm1(np.minimum(v, 0))),
        lambda v, alpha: np.where(v > 0, 1.0, alpha * np.exp(np.minimum(v, 0))) + 0 * np.where(np.isnan(v), v, 0),
        lambda v, alpha: np.where(v > 0, 0.0, alpha * np.exp(np.minimum(v, 0))) + 0 * np.where(np.isnan(v), v, 0),
    )

    class Elu(Handmade):
        factor = 1.0

        def grad(self, values: Any, order: int = 1, wrt: tuple[str, ...] = (), **options: float) -> Any:
            if not wrt:
                return self.run(order, values, options)
            return narrowed(np.expm1(np.minimum(values.astype(np.float64), 0)) * self.factor, values.dtype)

    kernel = Elu(*functions)
    certificate = certify_cases("elu", [case], kernel, effort=SMALL)
    assert certificate.failures() == []
    assert certificate.features["kinks"] == (0.0,)
    assert [r.output for r in certificate.rows[-4:]] == ["grad_alpha"] * 4
    assert certificate.rows[-1].inputs == 65280
    kernel.factor = 1.5
    assert any("ULP" in t for t in certify_cases("elu", [case], kernel, effort=SMALL).failures() if "grad_alpha" in t)


def test_a_kernel_that_changes_the_dtype_is_refused() -> None:
    """A certificate says what dtype came back instead of measuring the wrong thing."""
    kernel = Handmade(*GOOD)
    kernel.run = lambda order, values, options: GOOD[order](values.astype(np.float64))  # type: ignore[method-assign]
    with pytest.raises(CertifyError, match="came back as float64"):
        certify_cases("sigmoid", [SIGMOID], kernel, effort=Effort(100, 100, near=1, dtypes=("float32",)))


def test_cuts_are_surrounded() -> None:
    """A defect of three floats beside a cut is found because the cut is known."""
    cut = 2.3456789
    beside = float(np.nextafter(np.float32(cut), np.float32(0)))
    kernel = replaced(0, lambda v: np.where(v == beside, 0.5, GOOD[0](v)))
    effort = Effort(points32=500, points64=100, near=20, dtypes=("float32",))
    assert certify_cases("sigmoid", [SIGMOID], kernel, effort=effort).failures() == []
    known = {"": Knowledge(cuts=(-np.inf, cut, np.inf))}
    assert certify_cases("sigmoid", [SIGMOID], kernel, known, effort=effort).failures()


def test_roots_are_found_wherever_the_sign_changes() -> None:
    """The root of silu's derivative to the last bit, a root on a float, and no more of a sine than asked for."""
    oracle = Oracle(x / (1 + sp.exp(-x)), x)
    points = np.unique(np.append(log_spaced(2000, "float64"), 0.0))
    truths = oracle.truth(points)
    assert roots(partial(oracle.ball, order=0), points, truths[0]) == (0.0,)
    assert roots(partial(oracle.ball, order=1), points, truths[1])[-1] == pytest.approx(-1.278464542761074, rel=1e-15)
    wave = Oracle(sp.sin(x), x)
    assert len(roots(partial(wave.ball, order=0), points, wave.truth(points)[0], most=5)) == 5


def test_kinks_are_where_the_cases_meet() -> None:
    """Read off the conditions, at the value of the options, exactly where they are linear."""
    assert kinks(first_min(6, first_max(0, x)), x) == (0.0, 6.0)
    assert kinks(Cases(x > alpha, x, -x), x, {"alpha": 0.3}) == (0.3,)
    assert kinks(x / (1 + sp.Abs(x)), x) == (0.0,)
    assert kinks(sp.exp(x), x) == ()


def test_bars_depend_on_the_situation() -> None:
    """Error functions and roots of second derivatives have one ULP in float32, and only there."""
    assert bar("float32", ()) == 0.51
    assert bar("float32", (ROOT,)) == 1
    assert bar("float64", (ROOT, ERROR_FUNCTION)) == 2
    assert bar("bfloat16", (ERROR_FUNCTION,)) == 0.501
    assert {b.dtype for b in bars()} == {"float64", "float32", "float16", "bfloat16"}
    assert Row("grad2", "float32", root_error=0.9).failures() == []
    assert Row("grad", "float32", root_error=0.9).failures()


def test_error_function_situation_means_that_nothing_else_is_in_the_formula() -> None:
    """Erf itself may miss by one ULP; gelu, which has a factor x beside it, may not."""
    effort = Effort(points32=20, points64=20, near=1, dtypes=("float32",))
    silent = Handmade(*[lambda v: v] * 3)
    erf, gelu = (
        certify_cases("f", [Case(e, "x", x)], silent, effort=effort).rows[0].situations
        for e in (sp.log((1 + sp.erf(x / sp.sqrt(2))) / 2), x * (1 + sp.erf(x)) / 2)
    )
    assert (erf, gelu) == ((ERROR_FUNCTION,), ())


def test_certificates_are_the_same_text_each_time_and_come_back_whole() -> None:
    """Sorted JSON without a date; reading it gives an equal certificate, infinities included."""
    effort = Effort(points32=200, points64=100, near=5, dtypes=("float32", "float16"))
    first, second = (
        certify_cases("sigmoid", [SIGMOID], Handmade(*NAIVE), effort=effort, digest="abc", processes=p) for p in (1, 2)
    )
    assert first.to_json() == second.to_json()
    assert Certificate.from_json(first.to_json()) == first
    broken = Certificate("f", "", (Row("value", "float64", error=np.inf, at=1.0, limits=(Limit(np.inf, 0.0, 1.0),)),))
    assert Certificate.from_json(broken.to_json()) == broken
    with pytest.raises(ValueError, match="symgen certify"):
        Certificate.from_json('{"format": 99}')
    with pytest.raises(ValueError, match="symgen certify"):
        Certificate.from_json('{"format": 1}')


def test_the_table_marks_samples_of_float64_as_lower_bounds() -> None:
    """A person sees that a sampled figure is not a maximum."""
    rows = (
        Row("value", "float64", settings=(("beta", 0.5),), inputs=1234, error=0.7, at=1.0),
        Row("value", "float16", sampled=False, inputs=63488, error=0.5),
    )
    heading, first, second = Certificate("f", "", rows).table()
    assert len(heading) == len(first) == len(second)
    assert first[:6] == ("value", "float64", "beta=0.5", "1,234", ">= 0.7", "1")
    assert second[4] == "0.5"


def test_progress_is_reported_up_to_the_end() -> None:
    """The callback hears a rising fraction and what is being done."""
    heard: list[tuple[str, float]] = []
    effort = Effort(points32=50, points64=50, near=1, dtypes=("float32",))
    certify_cases("sigmoid", [SIGMOID], Handmade(*GOOD), effort=effort, progress=lambda *a: heard.append(a))
    fractions = [f for _, f in heard]
    assert fractions == sorted(fractions)
    assert 0 < fractions[0] < fractions[-1] <= 1
    assert all(text.startswith("sigmoid: ") for text, _ in heard)


@pytest.mark.parametrize("name", sorted(OPS))
def test_every_variant_of_the_catalogue_has_stated_settings(name: str) -> None:
    """Each variant is measured at a base setting and a few others, each one within its domain and of its own."""
    found = cases(OPS[name])
    assert {c.variant for c in found} == set(OPS[name].variants)
    for variant in OPS[name].variants:
        own = [c for c in found if c.variant == variant]
        assert [c.base for c in own] == [True] + [False] * (len(own) - 1)
    assert len({(c.variant, c.operand, c.settings) for c in found}) == len(found)
    for case in found:
        assert {s.name for s in case.expression.free_symbols} <= {case.operand, *dict(case.parameters)}


def test_settings_start_from_the_defaults() -> None:
    """The first row of a certificate is what a call without options computes."""
    assert cases(OPS["softcap"])[0].settings == (("c", 30.0),)
    assert cases(OPS["softplus"])[0].settings == (("beta", 1.0), ("threshold", None))
    assert cases(OPS["prelu"])[0].operands == (("x", None), ("weight", 0.25))
    assert [n for n, _ in cases(OPS["prelu"])[0].numeric] == ["weight"]
