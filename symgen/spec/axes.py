"""Indices and reductions: moving an expression along an axis, and binding an index by a sum."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import sympy as sp
from sympy import Dummy, Expr, Indexed, IndexedBase, Symbol

from symgen.heads import Cases, RealFunction
from symgen.spec.model import Axis, Mistake, along_list
from symgen.spec.trace import Trace
from symgen.spec.words import Word, cases, formula, relation


class Extreme(RealFunction):
    """An extreme of the first argument while the index, the second, runs along its axis, which binds it; ties share."""

    nargs = 2

    @property
    def free_symbols(self) -> set[Any]:
        """Those of the first argument but the index."""
        body, index = self.args
        return set(body.free_symbols) - {index}


class AxisMax(Extreme):
    """The largest value."""


class AxisMin(Extreme):
    """The smallest value."""


@dataclass(frozen=True)
class Generator:
    """``body for index in axis if condition``, not yet reduced."""

    axis: Axis
    index: Symbol
    condition: Any
    body: Any


@dataclass(frozen=True)
class LabelList:
    """A Labels argument: classes in order, ended by -1."""

    base: IndexedBase

    @property
    def axis(self) -> Axis:
        """The axis along which the list runs, up to its end."""
        return along_list(str(self.base))


NEUTRAL = {"sum": sp.S.Zero, "prod": sp.S.One, "amax": -sp.oo, "amin": sp.oo}
CLOSED: dict[str, Callable[[Expr, Symbol, Axis], Expr]] = {
    "sum": lambda body, k, axis: sp.Sum(body, (k, 0, axis.size - 1)),
    "prod": lambda body, k, axis: sp.Product(body, (k, 0, axis.size - 1)),
    "amax": lambda body, k, _axis: AxisMax(body, k),
    "amin": lambda body, k, _axis: AxisMin(body, k),
}


def fresh(trace: Trace, axis: Axis) -> Symbol:
    """A new index of an axis, until its reduction names it by depth."""
    index = Dummy(axis.name.lower(), integer=True, nonnegative=True)
    trace.indices[index] = trace.axis(axis)
    return index


def axis_of_index(trace: Trace, index: Any) -> Axis | None:
    """The axis along which an index moves an expression, None if it is no index."""
    if isinstance(index, Axis):
        return index
    if index in trace.indices:
        return trace.indices[index]
    name = str(index.base) if isinstance(index, Indexed) else getattr(index, "name", "")
    return trace.value_axes.get(name)


def moved(trace: Trace, value: Any, index: Any) -> Any:
    """``value[index]``: the expression with its running index replaced; a neutral default is the same everywhere."""
    if not isinstance(value, sp.Basic) or not value.free_symbols:
        return value
    for i in index if isinstance(index, tuple) else (index,):
        axis = axis_of_index(trace, i)
        if axis is None:
            raise Mistake(f"'{i}' is not an index", "declare it Index[axis], or bind it with 'for k in axis'")
        if isinstance(i, Axis):
            continue
        if axis.run not in value.free_symbols:
            raise Mistake(f"{value} does not vary along {axis}, so [{i}] picks nothing", varies(trace, value))
        value = value.xreplace({axis.run: i})
    return value


def varies(trace: Trace, value: Any) -> str:
    names = ", ".join(map(str, trace.axes_of(value)))
    return f"it varies along {names}" if names else "it varies along no axis: annotate the argument, x: Tensor[C]"


def closed(trace: Trace, op: str, axis: Axis, index: Symbol, condition: Any, body: Any) -> Expr:
    """A reduction over an index, which is renamed by nesting depth."""
    body = formula(body, op)
    if condition is not True and condition != sp.true:
        body = Cases(condition, body, NEUTRAL[op])
    if index not in body.free_symbols:
        what = f"{op} over {axis}: {body} does not vary along {axis}"
        raise Mistake(what, f"if that is meant write size({axis}) * ...")
    inner = [int(s.name.split(".")[1]) for s in body.atoms(Symbol) if s.name.startswith(axis.name + ".")]
    bound = axis.bound(1 + max(inner, default=0))
    trace.indices[bound] = axis
    return CLOSED[op](body.xreplace({index: bound}), bound, axis)


def reduced(trace: Trace, op: str, value: Any, axis: Any) -> Any:
    """A reduction of a generator, or of an expression over one axis or several."""
    if isinstance(value, Generator):
        inner = reduced(trace, op, value.body, None) if isinstance(value.body, Generator) else value.body
        return closed(trace, op, value.axis, value.index, value.condition, inner)
    if axis is None:
        raise Mistake(f"{op}: over which axis?", f"say {op}(expression, C), or {op}(expression for k in C)")
    for one in axis if isinstance(axis, tuple) else (axis,):
        if not isinstance(one, Axis):
            raise Mistake(f"{op} over '{one}', which is not an axis", 'declare it: C = Axis("C")')
        if one not in trace.axes_of(formula(value, op)):
            raise Mistake(f"{op} over {one}: {value} does not vary along {one}", varies(trace, value))
        k = fresh(trace, one)
        value = closed(trace, op, one, k, sp.true, formula(value, op).xreplace({one.run: k}))
    return value


def iterated(trace: Trace, source: Any, body: Callable[[Any], tuple[Any, Any]]) -> Generator:
    """``... for k in source``: over an axis, or over the classes of a label list."""
    if isinstance(source, LabelList):
        k = fresh(trace, source.axis)
        condition, value = body(source.base[k])
        return Generator(source.axis, k, condition, value)
    if not isinstance(source, Axis):
        raise Mistake(f"'{source}' is not an axis", 'a sum runs over an axis, C = Axis("C"), or over Labels')
    k = fresh(trace, source)
    condition, value = body(k)
    return Generator(source, k, condition, value)


def vector(generator: Generator) -> Expr:
    """``[e for i in C]``: the expression with the index as C's running index."""
    if generator.condition is not True:
        raise Mistake("a vector has an entry for every index", "write [a if condition else b for i in C]")
    return formula(generator.body, "a vector").xreplace({generator.index: generator.axis.run})


def listed_in(trace: Trace, value: Any, labels: LabelList) -> Any:
    """Whether a class occurs in a label list before its end."""
    j = fresh(trace, labels.axis)
    here = Cases(sp.Eq(labels.base[j], value), 1, 0)
    return sp.Gt(closed(trace, "amax", labels.axis, j, sp.true, here), 0)


def flag(value: Any) -> Any:
    """One where a condition holds, for any and all."""
    if isinstance(value, Generator):
        return Generator(value.axis, value.index, value.condition, flag(value.body))
    return cases(value, sp.S.One, sp.S.Zero)


def _sum(trace: Trace, e: Any, axis: Any = None) -> Any:
    return reduced(trace, "sum", e, axis)


def _prod(trace: Trace, e: Any, axis: Any = None) -> Any:
    return reduced(trace, "prod", e, axis)


def _amax(trace: Trace, e: Any, axis: Any = None) -> Any:
    return reduced(trace, "amax", e, axis)


def _amin(trace: Trace, e: Any, axis: Any = None) -> Any:
    return reduced(trace, "amin", e, axis)


def _mean(trace: Trace, e: Any, axis: Any = None) -> Any:
    if isinstance(e, Generator):
        raise Mistake("mean of a filtered or indexed sum", "write sum(... for k in C) / size(C)")
    sizes = sp.S.One
    for one in axis if isinstance(axis, tuple) else (axis,):
        sizes *= one.size if isinstance(one, Axis) else sp.S.One
    return reduced(trace, "sum", e, axis) / sizes


def _any(trace: Trace, e: Any, axis: Any = None) -> Any:
    return sp.Gt(reduced(trace, "amax", flag(e), axis), 0)


def _all(trace: Trace, e: Any, axis: Any = None) -> Any:
    return sp.Gt(reduced(trace, "amin", flag(e), axis), 0)


def _norm(trace: Trace, e: Any, axis: Any, p: Any = 2) -> Any:
    """The p-norm; infinity, one and two, which have simpler formulas, are variants."""
    size, p = sp.Abs(formula(e, "norm")), formula(p, "norm")
    if trace.decide(relation("==", p, sp.oo)):
        return reduced(trace, "amax", size, axis)
    if trace.decide(relation("==", p, sp.Integer(2))):
        p = sp.Integer(2)
    elif trace.decide(relation("==", p, sp.Integer(1))):
        return reduced(trace, "sum", size, axis)
    return reduced(trace, "sum", size**p, axis) ** (1 / p)


def _size(trace: Trace, axis: Any) -> Any:
    if not isinstance(axis, Axis):
        raise Mistake(f"size of '{axis}', which is not an axis", 'declare it: C = Axis("C")')
    return trace.axis(axis).size


def _is_index(trace: Trace, e: Any) -> bool:
    return axis_of_index(trace, e) is not None


REDUCTIONS: dict[str, Callable[..., Any]] = {
    "sum": _sum, "mean": _mean, "prod": _prod, "amax": _amax, "amin": _amin, "any": _any, "all": _all, "norm": _norm,
    "size": _size, "is_index": _is_index,
}  # fmt: skip
PLAIN_REDUCTIONS: dict[str, Callable[[Iterable[Any]], Any]] = {"sum": sum, "any": any, "all": all}
AXIS_WORDS = {name: Word(name, apply, PLAIN_REDUCTIONS.get(name)) for name, apply in REDUCTIONS.items()}
