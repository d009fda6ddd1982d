"""A second, independent reference: a spec run by plain Python on floats gives what its traced formula gives."""

from __future__ import annotations

import ast
import math
from functools import cache
from itertools import product
from pathlib import Path
from typing import Any

import pytest
import sympy as sp

from symgen.catalogue import folder
from symgen.rows.lower import is_row_function
from symgen.spec import Argument, Op, Variant, load
from symgen.spec.domain import box_at, line_of
from symgen.spec.model import role_limits
from symgen.spec.spans import ball, enclose, holds

OPS = {name: op for name, op in load(folder()).items() if not is_row_function(op)}
FUNCTIONS = ("exp", "log", "sqrt", "sin", "cos", "cosh", "tanh", "erf", "erfc", "lgamma", "pi", "inf")
MATHEMATICS = {n: getattr(math, n) for n in FUNCTIONS} | {
    "weighted": lambda w, v: w * v if w else 0.0,
    "straight_through": lambda v, u: v,
}
POINTS = [-4.0, -3.0, -2.5, -1.0, -0.5, -0.125, 0.0, 0.25, 0.5, 1.0, 1.75, 3.0, 6.0, 7.5]
OPTIONS = [-2.0, -0.5, 0.0, 0.5, 1.0, 2.0]


@cache
def plain_functions(path: Path) -> dict[str, Any]:
    """The functions of a spec file as plain Python, decorators and annotations dropped."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    names: dict[str, Any] = {}
    body: list[ast.stmt] = []
    for node in tree.body:
        if isinstance(node, ast.ImportFrom) and node.level:
            other = plain_functions(path.parent / f"{node.module}.py")
            names |= {a.name: other[a.name] for a in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module == "symgen.catalogue":
            names |= {a.name: plain_functions(source(a.name))[a.name] for a in node.names}
        elif isinstance(node, ast.ImportFrom):
            names |= {a.asname or a.name: MATHEMATICS[a.name] for a in node.names if a.name in MATHEMATICS}
        elif isinstance(node, ast.FunctionDef):
            node.decorator_list = []
            for argument in [*node.args.args, *node.args.kwonlyargs]:
                argument.annotation = None
            body.append(node)
    exec(compile(ast.Module(body, []), str(path), "exec"), names)
    return names


def source(name: str) -> Path:
    """The file that a function of the catalogue is defined in."""
    return folder().parent / OPS[name].source.file


def allowed(option: Argument, value: float) -> bool:
    """Whether a value is in the domain of an option, its closed ends included."""
    return all(bool(sp.Rel(sp.Rational(value), sp.sympify(limit), how)) for how, limit in role_limits(option.role))


def option_values(op: Op, variant: Variant) -> list[dict[str, Any]]:
    """Settings of the options that choose this variant, every number from a few values of its domain."""
    settings = dict(variant.settings)
    columns: list[list[Any]] = []
    for a in op.options:
        choice = settings.get(a.name, "given")
        fixed = a.role.kind == "choice" or choice is None
        columns.append([choice] if fixed else [v for v in OPTIONS if allowed(a, v)])
    return [dict(zip((a.name for a in op.options), row, strict=True)) for row in product(*columns)]


def traced_value(op: Op, variant: Variant, values: dict[str, float]) -> float | None:
    """The traced formula in ball arithmetic, None where options are forbidden or lead to another variant."""
    box = {op.symbol(n): (b, b) for n, v in values.items() if isinstance(v, float) for b in (ball(v),)}
    if not all(holds(a, box) for a in op.assertions) or any(holds(c, box) != truth for c, truth in variant.conditions):
        return None
    low, high = enclose(variant.value, box)
    return float((low + high).mid()) / 2


@pytest.mark.parametrize(("name", "number"), [(n, i) for n, op in OPS.items() for i in range(len(op.variants))])
def test_plain_python_agrees(name: str, number: int) -> None:
    """At every sample point, for every sampled option, plain Python and the traced formula give the same number."""
    op = OPS[name]
    variant = op.variants[number]
    function = plain_functions(folder().parent / op.source.file)[name]
    operands = op.operands
    compared = 0
    for options in option_values(op, variant):
        for point in product(*[[v for v in POINTS if line_of(a).holds(sp.Rational(v))] for a in operands]):
            data = dict(zip((a.name for a in operands), point, strict=True))
            expected = traced_value(op, variant, {**options, **data})
            if expected is not None:
                got = function(**data, **options)
                value = got[0] if isinstance(got, tuple) else got  # a loss may come with its share
                assert math.isclose(value, expected, rel_tol=1e-11, abs_tol=1e-14)
                compared += 1
    assert compared >= 7


def test_box_is_a_point() -> None:
    """The reference evaluates at points, not over intervals: both ends of every span are the same ball."""
    line = line_of(OPS["elu"].arguments[0])
    ((low, high),) = box_at([line], (sp.Rational(1, 3),)).values()
    assert low is high
