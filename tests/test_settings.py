"""Settings at which parameters are tried: inside the domain, leading to the variant, the default first."""

from __future__ import annotations

from pathlib import Path

import pytest
import sympy as sp

from symgen import catalogue
from symgen.rows.lower import is_row_function
from symgen.settings import COMPARE, MOST, first_tensor, free, settings
from symgen.spec import Op, Variant, load

OPS = load(catalogue.folder())
VARIANTS = [(op, v) for op in OPS.values() if not is_row_function(op) for v in op.variants]
IDS = [f"{op.name}-{v.suffix}" for op, v in VARIANTS]


def traced(folder: Path, signature: str, body: str) -> Op:
    names = "Int, Param, Real, Tensor, activation, exp"
    text = f'from symgen.spec import {names}\n\n@activation()\ndef f({signature}):\n    """Something."""\n    {body}\n'
    (folder / "f.py").write_text(text, encoding="utf-8")
    return load(folder / "f.py")["f"]


@pytest.mark.parametrize(("op", "variant"), VARIANTS, ids=IDS)
def test_every_setting_is_inside_the_domain_and_leads_to_the_variant(op: Op, variant: Variant) -> None:
    """Limits, assertions and the variant's own conditions hold at each setting, and no setting comes twice."""
    found = settings(op, variant)
    assert 1 <= len(found) <= MOST
    assert len({tuple(s.items()) for s in found}) == len(found)
    roles = {a.name: a.role for a in free(op, variant)}
    for setting in found:
        assert set(setting) == set(roles)
        assert all(COMPARE[o](setting[n], float(v)) for n, role in roles.items() for o, v in role.limits)
        values = {op.symbol(n): sp.Float(v) for n, v in setting.items()}
        assert all(bool(c.xreplace(values)) for c in op.assertions)
        assert all(bool(c.xreplace(values)) == truth for c, truth in variant.conditions)


@pytest.mark.parametrize(("op", "variant"), VARIANTS, ids=IDS)
def test_the_defaults_come_first(op: Op, variant: Variant) -> None:
    """What users get without saying anything is measured before anything else."""
    first = settings(op, variant)[0]
    defaults = {a.name: a.default for a in free(op, variant) if isinstance(a.default, int | float)}
    at_defaults = {op.symbol(n): sp.Float(v) for n, v in (first | defaults).items()}
    chosen = all(bool(c.xreplace(at_defaults)) == truth for c, truth in variant.conditions)  # do they lead here at all?
    if chosen and all(bool(c.xreplace({op.symbol(n): sp.Float(v) for n, v in first.items()})) for c in op.assertions):
        assert {n: first[n] for n in defaults} == pytest.approx({n: float(v) for n, v in defaults.items()})


def test_without_parameters_there_is_one_empty_setting() -> None:
    """A function of x alone is measured once."""
    op = OPS["sigmoid"]
    assert settings(op, op.variants[0]) == ({},)
    assert free(op, op.variants[0]) == ()
    assert first_tensor(op).name == "x"


def test_parameters_are_moved_one_at_a_time(tmp_path: Path) -> None:
    """Beside the default each setting changes one argument, and every argument is changed."""
    op = traced(tmp_path, "x, a: Real = 3, b: Real = 5", "return a * x + b")
    base, *moved = settings(op, op.variants[0])
    assert base == {"a": 3.0, "b": 5.0}
    changed = [[n for n in s if s[n] != base[n]] for s in moved]
    assert all(len(names) == 1 for names in changed)
    assert {names[0] for names in changed} == {"a", "b"}
    assert {s["a"] for s in moved} >= {1.0, 0.5, -1.5}


def test_limits_keep_forbidden_values_out(tmp_path: Path) -> None:
    """No negative value where only positive ones are allowed, and zero only where it is."""
    op = traced(tmp_path, "x, a: Real > 0 = 1, b: Real >= 0 = 1, c: Real != 0 = 1", "return exp(x / a) * b / c")
    found = settings(op, op.variants[0])
    assert all(s["a"] > 0 and s["b"] >= 0 and s["c"] != 0 for s in found)
    assert any(s["c"] < 0 for s in found)


def test_assertions_between_options_are_kept(tmp_path: Path) -> None:
    """lower <= upper leaves out settings that exchange them."""
    op = traced(tmp_path, "x, lower: Real = -1, upper: Real = 1", "assert lower <= upper\n    return lower + upper * x")
    found = settings(op, op.variants[0])
    assert len(found) > 3
    assert all(s["lower"] <= s["upper"] for s in found)


def test_a_parameter_without_a_default_starts_inside_its_domain(tmp_path: Path) -> None:
    """A learnable slope starts at a quarter, a large one where its domain begins to allow."""
    op = traced(tmp_path, "x, a: Param, b: Real > 10", "return a * x + b")
    base = settings(op, op.variants[0])[0]
    assert base == {"a": 0.25, "b": 30.0}


def test_given_and_absent_options_make_variants_with_other_free_arguments() -> None:
    """softplus without a threshold is tried in beta alone, with one in both."""
    op = OPS["softplus"]
    names = {v.suffix: [a.name for a in free(op, v)] for v in op.variants}
    assert sorted(names.values(), key=len) == [["beta"], ["beta", "threshold"]]


def test_second_tensors_are_numbers_of_the_setting(tmp_path: Path) -> None:
    """Everything beside the first tensor is a number while a candidate is measured."""
    op = traced(tmp_path, "x: Tensor, y: Tensor", "return x * y")
    assert first_tensor(op).name == "x"
    assert [a.name for a in free(op, op.variants[0])] == ["y"]


def test_an_integer_option_is_tried_at_integers(tmp_path: Path) -> None:
    """Nobody can pass 0.5 to an option that is declared Int."""
    op = traced(tmp_path, "x, *, n: Int > 0 = 3", "return x**n")
    tried = [setting["n"] for setting in settings(op, op.variants[0])]
    assert tried[0] == 3
    assert len(tried) > 2
    assert all(value.is_integer() for value in tried)
