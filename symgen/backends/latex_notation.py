"""The notation that every formula is set from: one small tree, so that source text and SymPy expressions read alike.

`latex_text` builds the tree from a spec's Python, `latex_expr` from expressions, `latex_typeset` makes TeX of it. The
constructors here do what a writer would do by hand: x/2 stands before a long factor, a double minus goes away, the
exponent of a named function stands on its name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Atom:
    """A symbol or a constant, ready as TeX; `width` is in half letters."""

    tex: str
    width: int = 1


@dataclass(frozen=True)
class Number:
    """A number that is not negative, as it was written."""

    tex: str


@dataclass(frozen=True)
class Sum:
    """Terms in order, each with its sign (True is minus)."""

    terms: tuple[tuple[bool, Node], ...]


@dataclass(frozen=True)
class Product:
    """Factors in order."""

    factors: tuple[Node, ...]


@dataclass(frozen=True)
class Fraction:
    """A quotient."""

    numerator: Node
    denominator: Node


@dataclass(frozen=True)
class Power:
    """A base with an exponent."""

    base: Node
    exponent: Node


@dataclass(frozen=True)
class Root:
    """A square root."""

    radicand: Node


@dataclass(frozen=True)
class Absolute:
    """An absolute value."""

    inside: Node


@dataclass(frozen=True)
class Call:
    """A function, already TeX, of its arguments; `power` is set on the function's name."""

    name: str
    arguments: tuple[Node, ...]
    power: Node | None = None


@dataclass(frozen=True)
class Relation:
    """A chain of comparisons exactly as written: operands with the operators between them."""

    operands: tuple[Node, ...]
    operators: tuple[str, ...]


@dataclass(frozen=True)
class Logic:
    """Conditions joined by "and", "or", or negated by "not"."""

    word: str
    parts: tuple[Node, ...]


@dataclass(frozen=True)
class CaseRows:
    """Values with their conditions, and the value otherwise."""

    rows: tuple[tuple[Node, Node], ...]
    otherwise: Node


@dataclass(frozen=True)
class Bracket:
    """A condition in brackets: a factor that is one where it holds, else zero."""

    condition: Node


@dataclass(frozen=True)
class Big:
    """A sum or another large operator, already TeX, over what stands below it."""

    operator: str
    below: tuple[Node, ...]
    body: Node


Node = (
    Atom | Number | Sum | Product | Fraction | Power | Root | Absolute | Call | Relation | Logic | CaseRows
    | Bracket | Big
)  # fmt: skip

ONE = Number("1")
E = Atom("e")
_WIDE_EXPONENT = 26
_WIDE_FACTOR = 7


# -- building -------------------------------------------------------------------------------------------------------


def negative(node: Node) -> Node:
    """Minus a formula; a leading minus is taken away rather than doubled."""
    minus, bare = split_sign(node)
    return bare if minus else Sum(((True, bare),))


def split_sign(node: Node) -> tuple[bool, Node]:
    """Whether a formula begins with its own minus, and what follows that."""
    if isinstance(node, Sum) and len(node.terms) == 1:
        return node.terms[0]
    return False, node


def add(terms: Iterable[tuple[bool, Node]]) -> Node:
    """A sum; a term that begins with its own minus lends it to the sum."""
    signed: list[tuple[bool, Node]] = []
    for minus, term in terms:
        own, bare = split_sign(term)
        signed.append((minus != own, bare))
    return signed[0][1] if len(signed) == 1 and not signed[0][0] else Sum(tuple(signed))


def multiply(factors: Iterable[Node]) -> Node:
    """A product, flat, with a leading minus pulled out."""
    first, *rest = factors
    minus, first = split_sign(first)
    flat = [part for f in (first, *rest) for part in (f.factors if isinstance(f, Product) else (f,))]
    product = flat[0] if len(flat) == 1 else Product(tuple(flat))
    return negative(product) if minus else product


def divide(numerator: Node, denominator: Node) -> Node:
    """A quotient; what is long in the numerator stands beside the fraction: x/2 (1 + erf(x))."""
    minus, bare = split_sign(numerator)
    if minus:
        return negative(divide(bare, denominator))
    if _is_short(denominator):
        factors = numerator.factors if isinstance(numerator, Product) else (numerator,)
        beside = tuple(f for f in factors if _stands_beside(f, alone=len(factors) == 1))
        above = tuple(f for f in factors if f not in beside)
        if beside:
            return multiply((Fraction(multiply(above) if above else ONE, denominator), *beside))
    return Fraction(numerator, denominator)


def _is_short(node: Node) -> bool:
    return not isinstance(node, Sum | CaseRows | Fraction | Call) and width(node) <= _WIDE_FACTOR


def _stands_beside(factor: Node, alone: bool) -> bool:
    if isinstance(factor, CaseRows | Fraction | Big):
        return True
    if isinstance(factor, Sum):
        return not alone and len(factor.terms) > 1
    return isinstance(factor, Call) and width(factor) > (2 * _WIDE_FACTOR if alone else _WIDE_FACTOR)


def exponential(argument: Node) -> Node:
    """The power of e, or exp(...) where the exponent would be too long for its size."""
    if width(argument) > _WIDE_EXPONENT or holds(argument, CaseRows):
        return Call(r"\exp", (argument,))
    return Power(E, argument)


def raise_to(base: Node, exponent: Node) -> Node:
    """A power; the exponent of a named function stands on its name."""
    if isinstance(base, Call) and base.power is None and isinstance(exponent, Number):
        return Call(base.name, base.arguments, exponent)
    return Power(base, exponent)


def choose(condition: Node, then: Node, otherwise: Node) -> Node:
    """One case and the rest; cases within "otherwise" become further rows."""
    if isinstance(otherwise, CaseRows):
        return CaseRows(((then, condition), *otherwise.rows), otherwise.otherwise)
    return CaseRows(((then, condition),), otherwise)


# -- measuring ------------------------------------------------------------------------------------------------------


def children(node: Node) -> tuple[Node, ...]:
    """The parts of a formula, in reading order."""
    match node:
        case Sum(terms):
            return tuple(t for _, t in terms)
        case Product(parts) | Logic(_, parts) | Relation(parts, _) | Call(_, parts, None):
            return parts
        case Call(_, parts, power) if power is not None:
            return (power, *parts)
        case Fraction(a, b) | Power(a, b):
            return (a, b)
        case Root(a) | Absolute(a) | Bracket(a) | Big(_, _, a):
            return (a,)
        case CaseRows(rows, otherwise):
            return (*(part for row in rows for part in row), otherwise)
        case _:
            return ()


def width(node: Node) -> int:
    """How wide a formula is, roughly, in half letters of the text size."""
    return _WIDTHS[type(node)](node)


def ink(node: Node) -> int:
    """How much there is to read in a formula, wherever it stands."""
    inside = sum(ink(c) for c in children(node))
    return inside + (2 if children(node) else width(node))


def _call_width(node: Call) -> int:
    return _name_width(node.name) + sum(width(a) + 1 for a in node.arguments) + 1 + (1 if node.power else 0)


def _cases_width(node: CaseRows) -> int:
    return max([width(v) + width(c) for v, c in node.rows] + [width(node.otherwise)]) + 7


_WIDTHS: dict[type[Any], Callable[[Any], int]] = {
    Atom: lambda node: node.width,
    Number: lambda node: len(node.tex),
    Sum: lambda node: sum(width(t) + 2 for _, t in node.terms),
    Product: lambda node: sum(width(f) + 2 * isinstance(f, Sum) for f in node.factors) + len(node.factors) // 2,
    Fraction: lambda node: max(width(node.numerator), width(node.denominator)) + 1,
    Power: lambda node: width(node.base) + (2 * width(node.exponent)) // 3,
    Root: lambda node: width(node.radicand) + 2,
    Absolute: lambda node: width(node.inside) + 2,
    Call: _call_width,
    Relation: lambda node: sum(map(width, node.operands)) + 2 * len(node.operators),
    Logic: lambda node: sum(width(p) + len(node.word) + 1 for p in node.parts),
    CaseRows: _cases_width,
    Bracket: lambda node: width(node.condition) + 1,
    Big: lambda node: max(3, sum((2 * width(b)) // 3 for b in node.below)) + width(node.body),
}


def _name_width(name: str) -> int:
    letters = name.replace(r"\operatorname", "").strip("\\{}")
    return 1 if name in (r"\sigma", r"\Phi", r"\varphi") else len(letters)


def holds(node: Node, kinds: type | tuple[type, ...]) -> bool:
    return isinstance(node, kinds) or any(holds(c, kinds) for c in children(node))
