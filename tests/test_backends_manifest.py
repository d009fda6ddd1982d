"""The manifest's record of a function: JSON that the runtime reads back with the same meaning."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import sympy as sp

from symgen.backends.manifest import (
    ManifestError,
    VariantFacts,
    condition,
    entry,
    json_value,
    kernel_arguments,
    module_name,
)
from symgen.runtime import conditions
from symgen.runtime.manifest import REQUIRED, parse_function
from symgen.spec import Op, load

A, B = sp.Symbol("a", extended_real=True), sp.Symbol("b", extended_real=True)

SPEC = '''\
"""A spec with every kind of argument that an elementwise function has."""

from typing import Literal

from symgen.spec import Axis, Int, Param, Real, Tensor, activation, exp, inf

Ch = Axis("Ch", at=1, optional=True)


@activation(torch="bent", cite="arXiv:1", aliases=("bend",))
def bent(x: Tensor[Ch], weight: Param[Ch], low: Real = 0.1, high: Real = 2, cut: (Real > 0) | None = None, *,
         mode: Literal["none", "exp"] = "none", power: Int = 2):
    """A bent line.

    With more to say.
    """
    assert low <= high
    if cut is not None and x > cut:
        return low * x
    if mode == "exp":
        return exp(x) * weight + high * power
    if low == 0:
        return weight * x
    return weight * x + low * high * power
'''


@pytest.fixture(scope="module")
def bent(tmp_path_factory: pytest.TempPathFactory) -> Op:
    path = tmp_path_factory.mktemp("specs") / "bent.py"
    path.write_text(SPEC, encoding="utf-8")
    return load(path)["bent"]


def record(op: Op) -> dict[str, Any]:
    facts = [VariantFacts(("value", "grad"), {"value": {"-inf": "0", "+inf": "inf"}}) for _ in op.variants]
    made: dict[str, Any] = json.loads(json.dumps(entry(op, facts), allow_nan=False))
    return made


def test_the_record_says_what_the_spec_says(bent: Op) -> None:
    """Names, texts, roles, defaults and limits survive the way through JSON."""
    made = record(bent)
    assert made["module"] == module_name(bent) == "activations.bent"
    assert (made["kind"], made["archetype"], made["torch"], made["cite"]) == (
        "activation",
        "elementwise",
        "bent",
        "arXiv:1",
    )
    assert made["aliases"] == ["bend"]
    assert made["summary"] == "A bent line."
    assert made["definition"].endswith("return weight * x + low * high * power")
    assert made["source"]["line"] > 0
    arguments = {a["name"]: a for a in made["arguments"]}
    assert list(arguments) == ["x", "weight", "low", "high", "cut", "mode", "power"]
    assert arguments["x"]["axes"] == [{"name": "Ch", "at": 1, "optional": True}]
    assert arguments["x"]["default"] == {"required": True}
    assert (arguments["low"]["default"], arguments["high"]["default"], arguments["cut"]["default"]) == (0.1, 2, None)
    assert (arguments["cut"]["optional"], arguments["cut"]["limits"]) == (True, [[">", 0]])
    assert (arguments["mode"]["choices"], arguments["mode"]["keyword_only"]) == (["none", "exp"], True)
    assert made["assertions"] == [["le", "low", "high"]]


def test_variants_carry_settings_conditions_and_facts(bent: Op) -> None:
    """Each variant says which choices and which conditions between options lead to it."""
    variants = record(bent)["variants"]
    assert [v["suffix"] for v in variants] == [v.suffix for v in bent.variants]
    assert {v["settings"]["mode"] for v in variants} == {"none", "exp"}
    assert {v["settings"]["cut"] for v in variants} == {None, "given"}
    told = [c for v in variants for c in v["conditions"]]
    assert [["eq", "low", 0], True] in told
    assert [["eq", "low", 0], False] in told
    assert all(v["limits"] == {"value": {"-inf": "0", "+inf": "inf"}} for v in variants)


def test_the_runtime_reads_it(bent: Op) -> None:
    """The runtime parses the record and finds the same arguments, in the order in which kernels take them."""
    function = parse_function("bent", record(bent))
    assert function.arguments[0].default is REQUIRED
    names = [a.name for a in (*function.operands, *function.numeric_options)]
    assert names == [name for name, _ in kernel_arguments(bent)] == ["x", "weight", "low", "high", "cut", "power"]


@pytest.mark.parametrize(
    ("relation", "prefix"),
    [
        (sp.Gt(A, 0), ["gt", "a", 0]),
        (sp.Le(A, sp.Rational(1, 10)), ["le", "a", 0.1]),
        (sp.Ne(A, sp.oo), ["ne", "a", "inf"]),
        (sp.Lt(-sp.oo, B), ["lt", "-inf", "b"]),
        (sp.And(sp.Ge(A, B), sp.Not(sp.Eq(B, 1))), ["and", ["ne", "b", 1], ["ge", "a", "b"]]),
        (sp.Or(sp.Lt(A, 0), sp.Gt(A, 1)), ["or", ["gt", "a", 1], ["lt", "a", 0]]),
        (sp.true, ["eq", 0, 0]),
        (sp.false, ["ne", 0, 0]),
    ],
)
def test_conditions_are_prefix_lists_with_the_same_truth(relation: Any, prefix: list[Any]) -> None:
    """A condition keeps its truth for options below, at, above and far beyond what it compares with."""
    made = condition(relation)
    if prefix[0] in ("and", "or"):
        assert (made[0], sorted(made[1:], key=str)) == (prefix[0], sorted(prefix[1:], key=str))
    else:
        assert made == prefix
    for a in (-1.0, 0.0, 0.1, 1.0, 2.0, float("inf")):
        for b in (-1.0, 1.0, 2.0):
            known = relation.subs({A: sp.Rational(str(a)) if a < 1e9 else sp.oo, B: sp.Rational(str(b))})
            assert conditions.holds(made, {"a": a, "b": b}) == bool(known)


@pytest.mark.parametrize("relation", [sp.Gt(A + B, 0), sp.Lt(2 * A, B), A])
def test_conditions_that_compute_are_refused(relation: Any) -> None:
    """Arithmetic in a condition between options is refused with the expression and a way out."""
    with pytest.raises(ManifestError, match="compar"):
        condition(relation)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, None), (True, True), ("tanh", "tanh"), (3, 3), (0.5, 0.5), (sp.Integer(2), 2),
        (sp.Rational(1, 3), 1 / 3), (float("inf"), "inf"), (-sp.oo, "-inf"),
    ],
)  # fmt: skip
def test_values_become_json(value: Any, expected: Any) -> None:
    """Exact numbers become the nearest float, infinities text, and everything else stays."""
    made = json_value(value)
    assert made == expected
    assert type(made) is type(expected)


def test_every_spec_of_the_catalogue_has_a_record() -> None:
    """All functions of the catalogue can be written to the manifest, as JSON without NaN or infinity."""
    folder = Path(__file__).parents[1] / "specs" / "activations"
    ops = load(folder)
    assert len(ops) > 20
    for name, op in ops.items():
        assert parse_function(name, record(op)).name == name
