"""Notation as TeX: parentheses where precedence asks for them, as large as their contents; spaces where factors meet.

Needs amsmath (and mathtools' ``dcases`` where a case holds a stacked fraction), nothing of ours, so that what it
prints can be pasted into a paper.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import IntEnum
from typing import Any

from symgen.backends.latex_notation import (
    Absolute,
    Atom,
    Big,
    Bracket,
    Call,
    CaseRows,
    Fraction,
    Logic,
    Node,
    Number,
    Power,
    Product,
    Relation,
    Root,
    Sum,
    children,
    width,
)

LINE_WIDTH = 78


class Level(IntEnum):
    """How tightly a formula holds together: it needs parentheses inside anything tighter."""

    CASES = 0
    OR = 1
    AND = 2
    NOT = 3
    RELATION = 4
    SUM = 5
    PRODUCT = 6
    POWER = 7
    ATOM = 8


class Mode(IntEnum):
    """How much room there is: stacked fractions in a display, slashes inside arguments and scripts."""

    DISPLAY = 0
    INLINE = 1
    SCRIPT = 2


_LOGIC_LEVELS = {"or": Level.OR, "and": Level.AND, "not": Level.NOT}


def _is_tall(node: Node, mode: Mode) -> bool:
    """Whether a formula is higher than a line."""
    if isinstance(node, CaseRows) or (isinstance(node, Big) and mode is Mode.DISPLAY):
        return True
    if isinstance(node, Fraction) and not _slashes(node, mode):
        return True
    inner = _inner_mode(node, mode)
    if isinstance(node, Power):
        return _is_tall(node.base, inner)
    return any(_is_tall(c, inner) for c in children(node))


def _inner_mode(node: Node, mode: Mode) -> Mode:
    return max(mode, Mode.INLINE) if isinstance(node, Call | Root | Absolute | Fraction | Relation | Bracket) else mode


def _slashes(node: Fraction, mode: Mode) -> bool:
    """Whether a fraction is set with a slash: in a script always, elsewhere where both halves are short."""
    if mode is Mode.SCRIPT:
        return True
    if mode is Mode.DISPLAY:
        return False
    return all(not isinstance(part, Sum | CaseRows) and width(part) <= 9 for part in (node.numerator, node.denominator))


def _level(node: Node, mode: Mode) -> Level:
    if isinstance(node, Logic):
        return _LOGIC_LEVELS[node.word]
    if isinstance(node, Fraction):
        return Level.PRODUCT if _slashes(node, mode) else Level.POWER
    if isinstance(node, Call):
        return Level.ATOM if node.power is None else Level.POWER
    if _reaches(node):
        return Level.SUM
    return _LEVELS.get(type(node), Level.ATOM)


# -- setting --------------------------------------------------------------------------------------------------------


def typeset(node: Node, mode: Mode = Mode.DISPLAY) -> str:
    r"""The TeX of a formula, for math mode.

    Args:
        node: The formula.
        mode: The room it has: DISPLAY on a line of its own, INLINE within text.

    Raises:
        TypeError: A kind of node that has no way of being set.

    Example:
        >>> from symgen.backends.latex_notation import ONE, add, divide
        >>> print(typeset(divide(Atom("x"), add([(False, ONE), (False, Absolute(Atom("x")))]))))
        \frac{x}{1 + \lvert x \rvert}
    """
    setter = _SETTERS.get(type(node))
    if setter is None:
        raise TypeError(f"no way to set {type(node).__name__}: add it to the table in {__name__}")
    return setter(node, mode)


def _set_power(node: Power, mode: Mode) -> str:
    return _wrap(node.base, Level.ATOM, mode) + _superscript(node.exponent)


def _set_root(node: Root, mode: Mode) -> str:
    return rf"\sqrt{{{typeset(node.radicand, max(mode, Mode.INLINE))}}}"


def _set_absolute(node: Absolute, mode: Mode) -> str:
    inner = max(mode, Mode.INLINE)
    return _fence(r"\lvert", typeset(node.inside, inner), r"\rvert", node.inside, inner)


def _set_relation(node: Relation, mode: Mode) -> str:
    first, *rest = [_wrap(o, Level.SUM, max(mode, Mode.INLINE)) for o in node.operands]
    return first + "".join(f" {op} {p}" for op, p in zip(node.operators, rest, strict=True))


def _set_logic(node: Logic, mode: Mode) -> str:
    if node.word == "not":
        return rf"\text{{not }} {_wrap(node.parts[0], Level.ATOM, mode)}"
    above = Level(_LOGIC_LEVELS[node.word] + 1)
    return rf" \text{{ {node.word} }} ".join(_wrap(p, above, mode) for p in node.parts)


def _set_cases(node: CaseRows, mode: Mode) -> str:
    lines = [rf"{typeset(v, mode)} & \text{{if }} {typeset(c, mode)}" for v, c in node.rows]
    lines.append(rf"{typeset(node.otherwise, mode)} & \text{{otherwise}}")
    name = "dcases" if mode is Mode.DISPLAY and any(_is_tall(c, mode) for c in children(node)) else "cases"
    return rf"\begin{{{name}}} " + r" \\ ".join(lines) + rf" \end{{{name}}}"


def _set_bracket(node: Bracket, mode: Mode) -> str:
    return rf"[{typeset(node.condition, max(mode, Mode.INLINE))}]"


def _set_big(node: Big, mode: Mode) -> str:
    below = ",\\, ".join(typeset(b, Mode.SCRIPT) for b in node.below)
    return rf"{node.operator}_{{{below}}} {_wrap(node.body, Level.PRODUCT, mode)}"


def _reaches(node: Node) -> bool:
    """Whether a formula ends in a large operator, which takes all that follows; the last term needs no parentheses."""
    return isinstance(node, Big) or (isinstance(node, Product) and isinstance(node.factors[-1], Big))


def _wrap(node: Node, least: Level, mode: Mode) -> str:
    text = typeset(node, mode)
    return text if _level(node, mode) >= least else _fence("(", text, ")", node, mode)


def _fence(left: str, text: str, right: str, inside: Node, mode: Mode) -> str:
    if _is_tall(inside, mode):
        return rf"\left{left} {text} \right{right}"
    if left == "(":
        return _parentheses(text, mode, grow=r"\bigl" in text or _depth(text) > 1)
    return f"{left} {text} {right}"


def _parentheses(text: str, mode: Mode, grow: bool) -> str:
    """Parentheses around text of a line's height; an outer pair is larger, so that the eye finds its other half."""
    if mode is Mode.SCRIPT or not grow:
        return f"({text})"
    return rf"\bigl({text}\bigr)"


def _depth(text: str) -> int:
    """How deeply parentheses are nested in a text."""
    deepest = depth = 0
    for c in text:
        depth += (c == "(") - (c == ")")
        deepest = max(deepest, depth)
    return deepest


def _superscript(exponent: Node) -> str:
    text = typeset(exponent, Mode.SCRIPT)
    return f"^{text}" if len(text) == 1 else f"^{{{text}}}"


def _set_sum(node: Sum, mode: Mode) -> str:
    out, last = "", len(node.terms) - 1
    for i, (minus, term) in enumerate(node.terms):
        text = typeset(term, mode) if i == last and _reaches(term) else _wrap(term, Level.PRODUCT, mode)
        sign = ("-" if minus else "") if i == 0 else (" - " if minus else " + ")
        out += sign + text
    return out


def _set_fraction(node: Fraction, mode: Mode) -> str:
    if _slashes(node, mode):
        above = _wrap(node.numerator, Level.PRODUCT, mode)
        return f"{above}/{_wrap(node.denominator, Level.POWER, mode)}"
    inner = max(mode, Mode.INLINE)
    return rf"\frac{{{typeset(node.numerator, inner)}}}{{{typeset(node.denominator, inner)}}}"


def _set_call(node: Call, mode: Mode) -> str:
    mode = max(mode, Mode.INLINE)
    head = node.name if node.power is None else node.name + _beside(node.name) + _superscript(node.power)
    text = ", ".join(typeset(a, mode) for a in node.arguments)
    if any(_is_tall(a, mode) for a in node.arguments):
        return rf"{head}\!\left( {text} \right)"
    return head + _parentheses(text, mode, grow=r"\bigl" in text or _depth(text) > 1)


def _beside(name: str) -> str:
    """TeX would set the power of a large operator above it."""
    return r"\nolimits" if name in (r"\max", r"\min") else ""


def _set_product(node: Product, mode: Mode) -> str:
    out, last = "", len(node.factors) - 1
    for i, factor in enumerate(node.factors):
        least = Level.POWER if not (isinstance(factor, Fraction) and i == 0) else Level.PRODUCT
        least = Level.SUM if i == last and isinstance(factor, Big) else least
        text = _wrap(factor, least, mode)
        if i:
            out += _between(node.factors[i - 1], factor, mode)
        out += text
    return out


def _is_operator(node: Node) -> bool:
    return isinstance(node, Call) and not node.name.startswith((r"\sigma", r"\Phi", r"\varphi"))


def _leading(node: Node) -> Node:
    return _leading(node.base) if isinstance(node, Power) else node


def _between(left: Node, right: Node, mode: Mode) -> str:
    """What joins two factors: nothing between letters, a thin space where they would run together, else a dot."""
    first, second = _leading(left), _leading(right)
    if isinstance(second, Number) or (isinstance(second, Fraction) and isinstance(first, Number)):
        return r" \cdot "
    # TeX itself puts a thin space around stacked fractions and before operators
    if any(isinstance(f, Fraction) and not _slashes(f, mode) for f in (left, right)) or _is_operator(right):
        return " "
    if isinstance(first, Number) and isinstance(second, Root):
        return " "
    small = isinstance(second, Atom) and second.width <= 2
    if small and ((isinstance(first, Atom) and first.width <= 2) or (isinstance(first, Number) and width(first) <= 3)):
        return " "
    return r"\, "


_LEVELS: dict[type[Any], Level] = {
    CaseRows: Level.CASES,
    Relation: Level.RELATION,
    Sum: Level.SUM,
    Big: Level.SUM,
    Product: Level.PRODUCT,
    Power: Level.POWER,
}
_SETTERS: dict[type[Any], Callable[[Any, Mode], str]] = {
    Atom: lambda node, _: node.tex,
    Number: lambda node, _: node.tex,
    Sum: _set_sum,
    Product: _set_product,
    Fraction: _set_fraction,
    Power: _set_power,
    Root: _set_root,
    Absolute: _set_absolute,
    Call: _set_call,
    Relation: _set_relation,
    Logic: _set_logic,
    CaseRows: _set_cases,
    Bracket: _set_bracket,
    Big: _set_big,
}


# -- breaking -------------------------------------------------------------------------------------------------------


def lines(node: Node, limit: int = LINE_WIDTH) -> list[str]:
    """A formula on as many lines as it needs: broken before a term, or before a factor of a long product."""
    if width(node) <= limit:
        return [typeset(node)]
    match node:
        case Sum(terms) if len(terms) > 1:
            pieces = [(" - " if minus else " + ") + _wrap(t, Level.PRODUCT, Mode.DISPLAY) for minus, t in terms]
            pieces[0] = ("-" if terms[0][0] else "") + pieces[0][3:]
            return _fill(pieces, [width(t) + 2 for _, t in terms], limit)
        case Sum(((True, inner),)):
            first, *rest = lines(inner, limit)
            return ["-" + first, *rest] if isinstance(inner, Product) else [typeset(node)]
        case Big(operator, below, body) if width(body) > limit:
            first, *rest = lines(body, limit)
            fenced = isinstance(body, Sum) and not rest
            whole = Big(operator, below, Atom(rf"\left({first}\right)" if fenced else first))
            return [typeset(whole), *rest]
        case Product((*front, Sum(terms) as total)) if len(terms) > 1 and width(Product((*front,))) < limit // 2:
            # small factors stay with the sum that they multiply, which is broken instead
            first, *rest = lines(total, limit - width(Product((*front,))))
            opened = typeset(Product((*front, Atom(r"\Bigl(", 3)))) + f" {first}"
            return _closed([opened, *(rf"\quad {line}" for line in rest)], r"\Bigr)")
        case Product(factors) if len(factors) > 1:
            pieces = [_wrap(f, Level.POWER, Mode.DISPLAY) for f in factors]
            pieces[1:] = [r" \, " + p for p in pieces[1:]]
            return _fill(pieces, [width(f) + 1 for f in factors], limit, joint=r"\cdot ")
    return [typeset(node)]


def _closed(texts: list[str], fence: str) -> list[str]:
    return [*texts[:-1], texts[-1] + fence]


def _fill(pieces: list[str], widths: list[int], limit: int, joint: str = "") -> list[str]:
    """Pieces laid out in lines; a continued product begins its line with a dot."""
    out, used = [""], 0
    for piece, wide in zip(pieces, widths, strict=True):
        if used and used + wide > limit:
            out.append(joint + (piece.removeprefix(r" \, ") if joint else piece))
            used = wide
        else:
            out[-1] += piece
            used += wide
    return [line.strip() for line in out]
