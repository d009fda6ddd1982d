"""The report on a function: errors before and after each rule, cuts, what remains, conditioning, and its layout."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from functools import lru_cache
from itertools import pairwise

import numpy as np
import pytest
import sympy as sp

from symgen.cli_show import loaded
from symgen.derivation import Derivation
from symgen.explain import words
from symgen.explain.conditioning import stretches
from symgen.explain.document import document
from symgen.explain.findings import Failure, finding, measured
from symgen.explain.report import OutputReport, Report, report
from symgen.explain.text import WIDTH, lines
from symgen.oracle import Oracle
from symgen.pipeline import derive
from symgen.stabilize.form import ARITHMETICS
from symgen.stabilize.probe import TARGETS, Probe, grid, measure
from symgen.stabilize.regimes import Unresolved

X = sp.Symbol("x", real=True)
SHOWN = ("sigmoid", "gelu", "celu", "relu")


@lru_cache
def derivation(name: str) -> Derivation:
    return derive(loaded(name)[0])


@lru_cache
def told(name: str) -> Report:
    return report(derivation(name))


def text_of(shown: Report) -> str:
    return "\n".join(line.text for line in lines(shown))


def outputs(shown: Report) -> list[OutputReport]:
    return [output for variant in shown.variants for output in variant.outputs]


def probe_of(expression: sp.Expr) -> Probe:
    return measure(Oracle(expression, X, 0), 0, grid(-math.inf, math.inf, 3), ({},))


@pytest.mark.parametrize("name", SHOWN)
def test_stages_lead_to_the_stable_form(name: str) -> None:
    """The steps replayed one by one end at the stable form, each starts where the one before it ended."""
    for variant, shown in zip(derivation(name).variants, told(name).variants, strict=True):
        for output, reported in zip(variant.outputs, shown.outputs, strict=True):
            assert str(reported.stages[-1].whole) == str(output.stable)
            steps = [s for s in reported.stages if s.before is not None]
            for before, after in pairwise(reported.stages):
                if after in steps:
                    assert after.error_before == before.error


def test_errors_before_and_after_tell_what_a_rule_is_for() -> None:
    """The derivative that everybody writes loses the tail of the logistic function; the kernel does not."""
    grad = outputs(told("sigmoid"))[1]
    text, kernel = grad.stages[0].error["float64"], grad.kernel["float64"]
    assert text.ulp > 1e6 or text.failures
    assert not kernel.failures
    assert kernel.ulp < 2
    assert grad.kernel["float32"].ulp <= 0.5001


def test_failures_are_told_apart() -> None:
    """NaN, overflow and a lost tail are named at the input nearest to zero; the largest error is that of the others."""
    x = np.array([-3.0, -2.0, -1.0, 0.0, 1.0, 2.0])
    probe = Probe(x, ({"a": 1.0},), np.ones((1, 6)), np.zeros((1, 6)))
    got = np.array([[0.0, 0.0, math.inf, 1 + 2.0**-50, math.nan, math.nan]])
    found = finding(got, probe, TARGETS[1])
    assert found.ulp == 4
    assert found.at == 0
    setting = {"a": 1.0}
    assert found.failures == (
        Failure("lost", -2.0, setting), Failure("overflow", -1.0, setting), Failure("nan", 1.0, setting)
    )  # fmt: skip
    where = np.array([True, True, False, False, False, False])
    assert finding(got, probe, TARGETS[1], where).failures == (Failure("lost", -2.0, setting),)


def test_plain_evaluation_overflows_where_floats_do() -> None:
    """log(1 + exp(x)) overflows beyond 709 in float64 and so, computed in float64, for float32 as well."""
    expression = sp.log(1 + sp.exp(X))
    found = measured(expression, ("x",), probe_of(expression))
    for dtype in ("float32", "float64"):
        assert any(f.kind == "overflow" and 709 < f.at < 800 for f in found[dtype].failures)


@pytest.mark.parametrize(
    ("expression", "kind", "at"),
    [
        (sp.exp(X) - 2, "root", math.log(2)),
        (sp.exp(X), "growth", 709),
        (sp.exp(X), "decay", -745),
        (sp.sin(X), "oscillation", 1000),
    ],
)  # fmt: skip
def test_ill_conditioned_stretches(expression: sp.Expr, kind: str, at: float) -> None:
    """Roots, tails before overflow and underflow, and large arguments of a sine are found for what they are."""
    found = [s for s in stretches(expression, X, probe_of(expression)) if s.kind == kind]
    assert any(s.lower - abs(s.lower) / 8 <= at <= s.upper + abs(s.upper) / 8 for s in found)
    assert all(s.worst > 100 for s in found)


def test_well_conditioned_functions_have_no_note() -> None:
    """Powers multiply a relative error by their exponent, which is no reason to warn."""
    assert stretches(X**3 / (1 + X**2), X, probe_of(X**3 / (1 + X**2))) == ()


@pytest.mark.parametrize("name", SHOWN)
def test_every_line_fits(name: str) -> None:
    """The report is plain text of at most 100 columns, with every rule, every output and no other arithmetic."""
    text = text_of(told(name))
    assert max(map(len, text.splitlines())) <= WIDTH
    assert text.isascii()
    for output in outputs(told(name)):
        assert f"\n{output.name}" in text
        assert all(stage.title in text for stage in output.stages)
    used = {c.arithmetic for o in outputs(told(name)) for cuts in o.cuts.values() for c in cuts}
    assert {a for a in ARITHMETICS if any(line.startswith(f"{a} ") for line in text.splitlines())} == used
    assert set(ARITHMETICS) == set(words.ARITHMETIC)


@pytest.mark.parametrize("name", SHOWN)
def test_cuts_cover_the_line(name: str) -> None:
    """In each case of the definition the segments follow one another from end to end."""
    for output in outputs(told(name)):
        for cuts in output.cuts.values():
            for condition in dict.fromkeys(c.condition for c in cuts):
                mine = [c for c in cuts if c.condition == condition]
                assert (mine[0].lower, mine[-1].upper) == (-math.inf, math.inf)
                assert all(a.upper == b.lower for a, b in pairwise(mine))


def test_what_remains_is_told_with_the_option() -> None:
    """A missed bar is named with the stretch, the worst input, the values of options and the error."""
    (variant,) = derivation("celu").variants
    missed = Unresolved(1.0, 2.0, 1.5, 7.25, {"alpha": 30.0})
    worse = replace(variant.outputs[1], unresolved={"f32": (), "f64": (missed,)})
    shown = report(Derivation(derivation("celu").op, (replace(variant, outputs=(variant.outputs[0], worse)),)))
    assert "float64  7.25 ULP at x = 1.5, alpha = 30 (the bar is 2), on 1 .. 2" in text_of(shown)
    assert "the bar is missed" not in text_of(told("celu"))


def test_document_has_the_same_content() -> None:
    """JSON has every stage with the error before and after, every cut, and no number that JSON does not know."""
    content = json.loads(json.dumps(document(told("gelu")), allow_nan=False))
    first = content["variants"][0]["outputs"][0]
    assert [s["title"] for s in first["stages"]] == ["as written", "erf-plus-one"]
    assert first["stages"][1]["error_before"] == first["stages"][0]["error"]
    assert first["cuts"]["float64"][0]["lower"] == "-inf"


def test_one_output_is_derived_alone() -> None:
    """Asked for one output, the others are not derived, but known."""
    only = derive(loaded("sigmoid")[0], only="grad")
    assert only.variants[0].names == ("value", "grad", "grad2")
    (output,) = outputs(report(only))
    assert output.name == "grad"
    assert "recognised as    sigmoid(x)" in text_of(report(only))


def test_long_formulas_are_abbreviated_and_folded() -> None:
    """What a long formula repeats gets a letter that it does not use itself; lines are broken, never cut."""
    u = sp.Symbol("u", real=True)
    inner = sp.exp(-(X**2) / 3 + u)
    expression = sum((k * X**k * sp.sin(inner * k) for k in range(1, 9)), start=sp.Integer(0))
    names = words.abbreviations([expression], 60)
    assert names
    assert sp.Symbol("u", real=True) not in names
    folded = words.folded(str(expression), 60, "form ")
    assert max(map(len, folded)) <= 60
    assert "".join(folded).replace(" ", "") == f"form{expression}".replace(" ", "")
