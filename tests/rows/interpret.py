"""Runs programs of stages directly, in mpmath: slow, obvious, and apart from all generated code."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from typing import Any

import mpmath
import sympy as sp

from symgen import heads, vocabulary
from symgen.program import Program
from symgen.rows.indices import axis_of, index, is_index, size

FUNCTIONS: dict[type, Callable[..., Any]] = {
    sp.exp: mpmath.exp, sp.log: mpmath.log, sp.sin: mpmath.sin, sp.cos: mpmath.cos, sp.cosh: mpmath.cosh,
    sp.Abs: abs, sp.sign: mpmath.sign,
    vocabulary.sigmoid: lambda u: 1 / (1 + mpmath.exp(-u)),
    vocabulary.expm1: mpmath.expm1, vocabulary.log1p: mpmath.log1p,
    vocabulary.softplus: lambda u: mpmath.log(1 + mpmath.exp(u)),
    sp.erf: mpmath.erf, vocabulary.erf: mpmath.erf, vocabulary.erfc: mpmath.erfc, vocabulary.hypot: mpmath.hypot,
    heads.first_max: max, heads.first_min: min, heads.maximum: max, heads.minimum: min,
    heads.straight_through: lambda u, v: u, heads.nearest: lambda u: u,
}  # fmt: skip
RELATIONS: dict[type, Callable[..., bool]] = {
    sp.Eq: lambda a, b: a == b, sp.Ne: lambda a, b: a != b, sp.Lt: lambda a, b: a < b, sp.Le: lambda a, b: a <= b,
    sp.Gt: lambda a, b: a > b, sp.Ge: lambda a, b: a >= b,
}  # fmt: skip
REDUCTIONS: dict[str, Callable[..., Any]] = {
    "sum": mpmath.fsum, "prod": mpmath.fprod, "max": max, "min": min, "peak": max,
    "scale": lambda v: max(map(abs, v)) or mpmath.mpf(1),
}  # fmt: skip


def exact(found: Any) -> Any:
    """An entry of an array, so that a product of two is not rounded to float64."""
    return mpmath.mpf(float(found)) if isinstance(found, float) else found


def interpret(  # noqa: C901  one walk, case by case
    program: Program, arrays: Mapping[str, Any], lengths: Mapping[str, int]
) -> dict[str, Any]:
    """The results of a program by name, as nested dicts from places to numbers."""
    known = dict(arrays)

    def length(name: str) -> int:
        fixed = size(name)
        return int(fixed) if fixed.is_Integer else lengths[axis_of(name)]

    def at(e: Any, where: Mapping[Any, int]) -> Any:  # noqa: C901
        if e in where:
            return where[e]
        if isinstance(e, sp.Indexed):
            found = known[str(e.base)]
            place = tuple(int(at(i, where)) for i in e.indices)
            if isinstance(found, dict):
                return found[place]
            for p in place:
                if p < 0:
                    return mpmath.nan  # what an ignored index names must never be used
                found = found[p]
            return exact(found)
        if isinstance(e, sp.Symbol):
            assert not is_index(e)
            found = lengths[e.name.strip("|")] if e.name.startswith("|") else known[e.name]
            return found[()] if isinstance(found, dict) else exact(found)
        if e.is_number:
            return mpmath.mpf(e.p) / e.q if e.is_Rational else mpmath.inf * (1 if e > 0 else -1) if e.is_infinite else (
                mpmath.mpf(str(sp.N(e, mpmath.mp.dps + 5))))
        if isinstance(e, heads.Cases):
            return at(e.then if at(e.condition, where) else e.otherwise, where)
        if isinstance(e, heads.weighted):
            w = at(e.args[0], where)
            return w if w == 0 else w * at(e.args[1], where)
        if type(e) in RELATIONS:
            return RELATIONS[type(e)](*(at(a, where) for a in e.args))
        if isinstance(e, sp.And | sp.Or):
            return (all if isinstance(e, sp.And) else any)(at(a, where) for a in e.args)
        values = [at(a, where) for a in e.args]
        if isinstance(e, sp.Add):
            return mpmath.fsum(values)
        if isinstance(e, sp.Mul):
            return mpmath.fprod(values)
        if isinstance(e, sp.Pow):
            return mpmath.power(*values)
        return FUNCTIONS[type(e)](*values)

    for stage in program.stages:
        table = {}
        for place in itertools.product(*(range(length(i)) for i in stage.axes)):
            where = dict(zip(map(index, stage.axes), place, strict=True))
            runs = [dict(zip(map(index, stage.over), p, strict=True))
                    for p in itertools.product(*(range(length(i)) for i in stage.over))]
            values = [at(stage.body, {**where, **run}) for run in runs]
            table[place] = values[0] if stage.op == "=" else REDUCTIONS[stage.op](values)
        known[stage.out] = table
    return {name: known[name] for name in program.results}
