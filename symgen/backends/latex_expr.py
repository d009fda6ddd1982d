"""SymPy expressions as notation: one entry per class, in the heads that the kernels are derived in.

SymPy's own LaTeX printer flips relations, writes 0.044715 as a fraction of large integers and knows none of our
heads. Here a class that has no entry is an error that names it, except functions, which print by their name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from fractions import Fraction as Rational
from typing import Any

import sympy as sp
from sympy.core.function import AppliedUndef
from sympy.core.relational import Relational

from symgen import heads, vocabulary
from symgen.backends import latex_heads
from symgen.backends import latex_names as names
from symgen.backends import latex_notation as n
from symgen.backends.latex_notation import Node
from symgen.backends.latex_typeset import typeset

Display = Mapping[str, str]
OPERATORS = {
    "sum": r"\sum", "prod": r"\prod", "max": r"\max", "min": r"\min", "peak": r"\max",
    "scale": r"\operatorname*{scale}",
}  # fmt: skip
_RELATIONS: dict[type[Any], str] = {
    sp.StrictLessThan: "<",
    sp.LessThan: r"\le",
    sp.StrictGreaterThan: ">",
    sp.GreaterThan: r"\ge",
    sp.Equality: "=",
    sp.Unequality: r"\ne",
}


def notation(expression: Any, display: Display | None = None) -> Node:
    r"""An expression or condition as notation.

    Args:
        expression: Over SymPy's functions, `symgen.heads` and `symgen.vocabulary`.
        display: Printed names of the symbols, from the spec's ``symbols=``.

    Raises:
        TypeError: A class that has no notation, by name.

    Example:
        >>> x = sp.Symbol("x", real=True)
        >>> print(typeset(notation(x * vocabulary.erfc(-x / sp.sqrt(2)) / 2)))
        \frac{x}{2} \operatorname{erfc}(-x/\sqrt{2})
    """
    return _node(sp.sympify(expression), display or {})


def latex(expression: Any, display: Display | None = None) -> str:
    """The TeX of an expression; see `notation`."""
    return typeset(notation(expression, display))


def _node(e: Any, display: Display) -> Node:
    for kind in type(e).__mro__:
        entry = _TABLE.get(kind)
        if entry is not None:
            return entry(e, display)
    if isinstance(e, sp.Function | AppliedUndef):
        return _function(e, display)
    raise TypeError(f"no notation for {type(e).__name__}: add it to the table in {__name__}")


def _nodes(es: Iterable[Any], display: Display) -> tuple[Node, ...]:
    return tuple(_node(e, display) for e in es)


# -- numbers --------------------------------------------------------------------------------------------------------


def _rational(e: Any, _: Display) -> Node:
    return _signed(Rational(int(e.p), int(e.q)))


def _signed(value: Rational) -> Node:
    if value < 0:
        return n.negative(_signed(-value))
    text = names.terminating(value)
    if text is not None:
        return n.Number(text)
    whole = n.Number(str(value.numerator))
    return whole if value.denominator == 1 else n.Fraction(whole, n.Number(str(value.denominator)))


def _float(e: Any, _: Display) -> Node:
    value = float(e)
    number = n.Number(names.float_number(abs(value), 8))
    return n.negative(number) if value < 0 else number


# -- sums and products ----------------------------------------------------------------------------------------------


def _sum(e: Any, display: Display) -> Node:
    terms = list(e.as_ordered_terms())
    # 1 + e^x and 1 + x^2 but x + 3; and a sum that can begin without a minus does
    constant = next((i for i, t in enumerate(terms) if t.is_Number and t > 0), None)
    if constant is None or (terms[constant] != 1 and e.is_polynomial()):
        constant = next((i for i, t in enumerate(terms) if not t.could_extract_minus_sign()), 0)
    terms.insert(0, terms.pop(constant))
    return n.add((False, _node(t, display)) for t in terms)


def _product(e: Any, display: Display) -> Node:
    cases = [f for f in e.args if isinstance(f, heads.Cases)]
    if len(cases) == 1 and all(b.is_number for b in _values(cases[0])):
        return _node(_scaled(cases[0], e / cases[0]), display)
    coefficient, factors = e.as_coeff_mul()
    if not coefficient.is_Rational:
        coefficient, factors = sp.Integer(1), (coefficient, *factors)
    value = Rational(int(coefficient.p), int(coefficient.q))
    above, below = _split(_in_order(factors))
    above, below, value = _roots(above, below, abs(value))
    top, bottom = _place(value, above, below, display)
    above_line = n.multiply(top or [n.ONE])
    body = n.divide(above_line, n.multiply(bottom)) if bottom else above_line
    return n.negative(body) if coefficient < 0 else body


def _values(e: Any) -> tuple[Any, ...]:
    """What cases can come to."""
    return (*_values(e.then), *_values(e.otherwise)) if isinstance(e, heads.Cases) else (e,)


def _scaled(e: Any, factor: Any) -> Any:
    """Cases of numbers times a factor: the factor goes into each case."""
    if isinstance(e, heads.Cases):
        return heads.Cases(e.condition, _scaled(e.then, factor), _scaled(e.otherwise, factor))
    return factor * e


def _place(value: Rational, above: list[Any], below: list[Any], display: Display) -> tuple[list[Node], list[Node]]:
    """The factors above and below the line, with the numeric coefficient where it reads best."""
    top, bottom = list(_nodes(above, display)), list(_nodes(below, display))
    text = names.terminating(value)
    if text is not None:
        return [n.Number(text), *top], bottom
    if value.numerator != 1:
        top.insert(0, n.Number(str(value.numerator)))
    if value.denominator != 1:
        bottom.insert(0, n.Number(str(value.denominator)))
    return top, bottom


def _in_order(factors: Iterable[Any]) -> list[Any]:
    """Factors as people write them: constants, parameters, powers of them, then sums, functions and cases."""

    def rank(f: Any) -> int:
        base = f.as_base_exp()[0] if f.is_Pow or isinstance(f, sp.exp) else f
        if isinstance(f, latex_heads.iverson):
            return -1
        if not f.free_symbols:
            return 0
        if base.is_Symbol:
            return 1
        if isinstance(f, sp.exp):
            return 2
        return 3 if base.is_Add else 4

    def mirrored(f: Any) -> bool:
        return isinstance(f, sp.Function) and any(a.could_extract_minus_sign() for a in f.args)

    return sorted(factors, key=lambda f: (rank(f), mirrored(f), sp.default_sort_key(f)))


def _split(factors: Iterable[Any]) -> tuple[list[Any], list[Any]]:
    above: list[Any] = []
    below: list[Any] = []
    for f in factors:
        if isinstance(f, sp.Pow) and f.base is not sp.E and f.exp.is_Rational and f.exp < 0:
            below.append(sp.Pow(f.base, -f.exp, evaluate=False) if f.exp != -1 else f.base)
        else:
            above.append(f)
    return above, below


def _roots(above: list[Any], below: list[Any], value: Rational) -> tuple[list[Any], list[Any], Rational]:
    """sqrt(2)/2 is written 1/sqrt(2), and sqrt(2) sqrt(pi) as one root."""
    for f in list(above):
        if _is_root(f) and f.base.is_Integer and value.denominator % int(f.base) == 0:
            above.remove(f)
            below.append(f)
            value *= int(f.base)
    above, below = _merge_roots(above), _merge_roots(below)
    up, down = (next((f for f in part if _is_constant_root(f)), None) for part in (above, below))
    if up is None or down is None:
        return above, below, value
    both = sp.Pow(up.base / down.base, sp.Rational(1, 2), evaluate=False)
    return [both, *(f for f in above if f is not up)], [f for f in below if f is not down], value


def _is_root(f: Any) -> bool:
    return isinstance(f, sp.Pow) and f.exp == sp.Rational(1, 2)


def _is_constant_root(f: Any) -> bool:
    return _is_root(f) and not f.free_symbols


def _merge_roots(factors: list[Any]) -> list[Any]:
    roots = [f for f in factors if _is_constant_root(f)]
    if len(roots) < 2:
        return factors
    inside = sp.Mul(*sorted((r.base for r in roots), key=sp.default_sort_key))
    return [*(f for f in factors if f not in roots), sp.Pow(inside, sp.Rational(1, 2), evaluate=False)]


def _power(e: Any, display: Display) -> Node:
    base, exponent = e.base, e.exp
    if base is sp.E:
        return n.exponential(_node(exponent, display))
    if exponent == sp.Rational(1, 2):
        return n.Root(_node(base, display))
    if exponent.is_Rational and exponent < 0:
        return n.divide(n.ONE, _node(sp.Pow(base, -exponent, evaluate=exponent == -1), display))
    return n.raise_to(_node(base, display), _node(exponent, display))


# -- functions and cases --------------------------------------------------------------------------------------------


def _function(e: Any, display: Display) -> Node:
    return n.Call(names.function(type(e).__name__), _nodes(e.args, display))


def _log_half_erfc(e: Any, display: Display) -> Node:
    half = n.Fraction(n.Call(names.function("erfc"), _nodes(e.args, display)), n.Number("2"))
    return n.Call(names.function("log"), (half,))


def _cases(e: Any, display: Display) -> Node:
    return n.choose(*_nodes((e.condition, e.then, e.otherwise), display))


def _reduction(e: Any, display: Display) -> Node:
    """A large operator; below it stand the running indices and the condition that restricts them."""
    op, condition, body, *indices = e.args
    below = [*indices, *([] if condition == sp.true else [condition])]
    return n.Big(OPERATORS[op.name], _nodes(below, display), _node(body, display))


def _relation(e: Any, display: Display) -> Node:
    return n.Relation(_nodes((e.lhs, e.rhs), display), (_RELATIONS[type(e)],))


def _constant(node: Node) -> Callable[[Any, Display], Node]:
    return lambda _e, _display: node


def _logic(word: str) -> Callable[[Any, Display], Node]:
    return lambda e, display: n.Logic(word, _nodes(sorted(e.args, key=sp.default_sort_key), display))


_TABLE: dict[type[Any], Callable[[Any, Display], Node]] = {
    sp.Symbol: lambda e, display: names.symbol(e.name, display),
    sp.Rational: _rational,
    sp.Float: _float,
    type(sp.pi): _constant(n.Atom(r"\pi")),
    type(sp.E): _constant(n.E),
    type(sp.oo): _constant(n.Atom(r"\infty")),
    type(-sp.oo): _constant(n.negative(n.Atom(r"\infty"))),
    type(sp.nan): _constant(n.Atom(r"\text{undefined}", 9)),
    sp.Add: _sum,
    sp.Mul: _product,
    sp.Pow: _power,
    sp.exp: lambda e, display: n.exponential(_node(e.args[0], display)),
    sp.Abs: lambda e, display: n.Absolute(_node(e.args[0], display)),
    heads.Cases: _cases,
    vocabulary.quotient: lambda e, display: n.divide(*_nodes(e.args, display)),
    heads.weighted: lambda e, display: n.multiply(_nodes(e.args, display)),
    latex_heads.iverson: lambda e, display: n.Bracket(_node(e.args[0], display)),
    latex_heads.reduction: _reduction,
    heads.nearest: lambda e, display: n.Call(names.function("nearest"), _nodes(e.args, display)),
    vocabulary.log_half_erfc: _log_half_erfc,
    vocabulary.sech2: lambda e, display: n.Call(names.function("sech2"), _nodes(e.args, display), n.Number("2")),
    Relational: _relation,
    sp.And: _logic("and"),
    sp.Or: _logic("or"),
    sp.Not: _logic("not"),
    type(sp.true): _constant(n.Atom(r"\text{always}", 6)),
    type(sp.false): _constant(n.Atom(r"\text{never}", 5)),
}
