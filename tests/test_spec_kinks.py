"""Conventions at kinks are read off the specs and are PyTorch's, function by function."""

from __future__ import annotations

import math

import pytest
import sympy as sp

from symgen.calculus import derivative
from symgen.catalogue import folder
from symgen.spec import Op, load
from symgen.spec.spans import ball, enclose

OPS = load(folder())

# name, options other than the defaults, point: value and slope there, as PyTorch 2.13 gives them
KINKS = {
    ("relu", (), 0.0): (0.0, 0.0),
    ("leaky_relu", (), 0.0): (0.0, 0.01),
    ("prelu", (("weight", 0.25),), 0.0): (0.0, 0.25),
    ("relu6", (), 0.0): (0.0, 0.0),
    ("relu6", (), 6.0): (6.0, 0.0),
    ("hardtanh", (), -1.0): (-1.0, 0.0),
    ("hardtanh", (), 1.0): (1.0, 0.0),
    ("hardtanh", (("min_val", -0.5), ("max_val", 2.0)), 2.0): (2.0, 0.0),
    ("hardsigmoid", (), -3.0): (0.0, 0.0),
    ("hardsigmoid", (), 3.0): (1.0, 0.0),
    ("hardswish", (), -3.0): (0.0, 0.0),
    ("hardswish", (), 3.0): (3.0, 1.0),
    ("hardshrink", (), -0.5): (0.0, 0.0),
    ("hardshrink", (), 0.5): (0.0, 0.0),
    ("softshrink", (), -0.5): (0.0, 0.0),
    ("softshrink", (), 0.5): (0.0, 0.0),
    ("threshold", (("threshold", 1.0), ("value", 20.0)), 1.0): (20.0, 0.0),
    ("elu", (), 0.0): (0.0, 1.0),
    ("elu", (("alpha", 2.0),), 0.0): (0.0, 2.0),
    ("elu", (("alpha", -0.5),), 0.0): (0.0, -0.5),
    ("celu", (("alpha", 2.0),), 0.0): (0.0, 1.0),
    ("selu", (), 0.0): (0.0, 1.7580993408473766),
    ("softsign", (), 0.0): (0.0, 1.0),
    ("step", (), 0.0): (1.0, 0.0),
    ("step", (), -0.5): (0.0, 0.0),
}


def value_at(op: Op, expression: sp.Expr, values: dict[str, float]) -> float:
    box = {op.symbol(n): (b, b) for n, v in values.items() for b in (ball(v),)}
    return float(enclose(expression, box)[0].mid())


@pytest.mark.parametrize("kink", KINKS, ids=str)
def test_kink(kink: tuple[str, tuple[tuple[str, float], ...], float]) -> None:
    """Value and slope at the kink are those of the convention table."""
    name, options, point = kink
    op = OPS[name]
    (variant,) = op.variants
    defaults = {a.name: float(a.default) for a in op.options if isinstance(a.default, (int, float))}
    values = {**defaults, **dict(options), "x": point}
    slope = derivative(variant.value, op.symbol("x"))
    found = value_at(op, variant.value, values), value_at(op, slope, values)
    assert all(math.isclose(a, b, rel_tol=1e-14, abs_tol=1e-15) for a, b in zip(found, KINKS[kink], strict=True))


@pytest.mark.parametrize("name", ["elu", "celu"])
def test_the_other_form_differs_where_the_note_says(name: str) -> None:
    """The slide's form agrees everywhere at the default, but its slope at zero is zero."""
    op = OPS[name]
    (other,) = op.alternatives
    x = op.symbol("x")
    for point in (-30.0, -1.0, -0.125, 0.0, 0.5, 30.0):
        values = {"x": point, "alpha": 1.0}
        assert value_at(op, other.value, values) == value_at(op, op.variants[0].value, values)
    slopes = [value_at(op, derivative(e, x), {"x": 0.0, "alpha": 2.0}) for e in (op.variants[0].value, other.value)]
    assert slopes == [2.0 if name == "elu" else 1.0, 0.0]
    assert "At 0 its slope is 0" in other.note


def test_the_slide_form_of_elu_is_another_function_for_negative_alpha() -> None:
    """The note on elu says so, and it is so."""
    op = OPS["elu"]
    values = {"x": -1.0, "alpha": -1.0}
    here, there = (value_at(op, e, values) for e in (op.variants[0].value, op.alternatives[0].value))
    assert (round(here, 6), there) == (0.632121, 0.0)
    values["x"] = 1.0
    assert value_at(op, op.alternatives[0].value, values) < value_at(op, op.variants[0].value, values)
