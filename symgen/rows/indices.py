"""Loop indices and reads: how stages say where along an axis they stand, and what they take from there."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from typing import Any

import sympy as sp
from sympy import Basic, Dummy, Expr, Indexed, IndexedBase, Symbol

from symgen.spec.model import LISTED


def index(name: str) -> Symbol:
    """The loop index of this name: an axis, or an axis and a nesting depth, as in ``C.1``."""
    return Symbol(name, integer=True, nonnegative=True)


def is_index(e: Any) -> bool:
    """Whether an expression is a loop index; sizes are positive, gathered positions may be negative."""
    return bool(isinstance(e, Symbol) and e.is_integer and e.is_nonnegative and not e.is_positive)


def axis_of(name: str) -> str:
    """The axis along which an index runs."""
    return name.partition(".")[0]


def list_of(name: str) -> str:
    """The operand whose list of classes an index or an axis runs along, empty if it is another one."""
    axis = axis_of(name)
    return axis.removeprefix(LISTED) if axis.startswith(LISTED) else ""


def lists_first(indices: Iterable[Symbol]) -> tuple[Symbol, ...]:
    """Indices of nested loops, those along lists outside: lists are short, and what is inside becomes vector code."""
    return tuple(sorted(indices, key=lambda i: not list_of(i.name)))


def size(name: str) -> Expr:
    """The length of the axis along which an index runs; an unpacked axis is its own length."""
    axis = axis_of(name)
    return sp.Integer(axis) if axis.isdigit() else Symbol(f"|{axis}|", integer=True, positive=True)


@lru_cache(maxsize=1 << 16)
def free_symbols(e: Any) -> frozenset[Expr]:
    """As SymPy has it. The branches of a large expression share their parts, and each part is looked at once."""
    if not e.args or type(e).free_symbols is not Basic.free_symbols:
        return frozenset(e.free_symbols)
    return frozenset().union(*map(free_symbols, e.args))


def replaced(e: Any, there: Mapping[Expr, Expr]) -> Any:
    """As ``xreplace`` of SymPy, each part once."""
    known: dict[Any, Any] = dict(there)

    def walk(part: Any) -> Any:
        if part not in known:
            args = tuple(map(walk, part.args))
            known[part] = part if args == part.args else part.func(*args)
        return known[part]

    return walk(e)


def parts(e: Any) -> Iterator[Any]:
    """An expression and all that it is made of, each part once, a whole before its parts."""
    seen: set[Any] = set()
    pending = [e]
    while pending:
        part = pending.pop()
        if part not in seen:
            seen.add(part)
            yield part
            pending += reversed(part.args)


def loops(e: Any) -> tuple[Symbol, ...]:
    """The loop indices that an expression depends on, by name."""
    return tuple(sorted((s for s in free_symbols(e) if is_index(s)), key=lambda s: s.name))


def read(name: str, indices: Iterable[Any] = ()) -> Expr:
    """An element of an operand or of an earlier stage."""
    at = tuple(indices)
    return IndexedBase(name, real=True)[at] if at else Symbol(name, real=True)


@lru_cache(maxsize=1 << 14)
def reads(e: Any) -> tuple[Expr, ...]:
    """What an expression takes from arrays, in a fixed order; a position that is itself read comes before its user."""
    found = (s for s in free_symbols(e) if isinstance(s, Indexed))
    return tuple(sorted(found, key=lambda i: (bool(i.atoms(Indexed) - {i}), sp.default_sort_key(i))))


@lru_cache(maxsize=1 << 16)
def base_of(e: Expr) -> str:
    """The name of the array, or of the number, that a read takes from."""
    name = e.base.label if isinstance(e, Indexed) else e
    return name.name if type(name) is Symbol else str(name)  # printing is slow


def places(e: Expr) -> tuple[Any, ...]:
    """The indices of a read."""
    return tuple(e.indices) if isinstance(e, Indexed) else ()


def opened(e: Any, least: Mapping[str, str] | None = None) -> tuple[Any, dict[Expr, Expr]]:
    """An expression with a symbol for each read, and the way back: for rules that know functions of numbers only.

    Args:
        e: any expression over reads.
        least: what is known of arrays and numbers by name: "positive" or "nonnegative".
    """
    known = least or {}
    body, there = _opened(e, frozenset((n, known[n]) for n in map(base_of, free_symbols(e)) if n in known))
    return body, {symbol: r for r, symbol in there}


@lru_cache(maxsize=1 << 12)  # kernels of one function share most of their stages, and targets share all
def _opened(e: Any, signs: frozenset[tuple[str, str]]) -> tuple[Any, tuple[tuple[Expr, Expr], ...]]:
    known = dict(signs)
    there: dict[Expr, Expr] = {}
    numbers = sorted((s for s in free_symbols(e) if isinstance(s, Symbol) and s.name in known), key=str)
    for place, r in enumerate((*reads(e), *numbers)):
        name = base_of(r)
        there[r] = _stand_in(name, known.get(name), place)
    return replaced(e, there), tuple(there.items())


@lru_cache(maxsize=1 << 12)
def _stand_in(name: str, sign: str | None, place: int) -> Dummy:
    """The same symbol for the same read of the same expression, so that what is known of it is found out once."""
    return Dummy(name, dummy_index=place, real=True, **({sign: True} if sign else {}))


def is_nonnegative(e: Any, known: Iterable[str]) -> bool:
    """Whether an expression is not negative, given arrays and numbers by name that are not."""
    body, _ = opened(e, dict.fromkeys(known, "nonnegative"))
    return bool(body.is_nonnegative or (body.is_Pow and body.base.is_nonnegative))
