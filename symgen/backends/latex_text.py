"""The definition on a card, set from the spec's own text: SymPy would reorder and refactor what the author wrote.

The text is Python, so `ast` reads it. Conditions on options are decided by the variant at hand; what data decides
becomes cases; a local name that is used once is written where it is used, one used often is stated after "where".
"""

from __future__ import annotations

import ast
import textwrap
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from symgen.backends import latex_names as names
from symgen.backends import latex_notation as n
from symgen.backends.latex_notation import Node


class LatexError(ValueError):
    """A definition with a construct that has no notation; says which and where."""


@dataclass(frozen=True)
class Local:
    """A local name of a definition with its value."""

    name: Node
    value: Node


@dataclass(frozen=True)
class Definition:
    """What a spec's text says for one variant: the value, and the locals it is stated with."""

    value: Node
    where: tuple[Local, ...] = ()


@dataclass(frozen=True)
class Setting:
    """What a variant fixes: choices and presence of options, and conditions between options.

    `decide` is asked about a comparison in which only options occur, given as source text, and answers True, False
    or None where the variant leaves it open.
    """

    values: Mapping[str, object] = field(default_factory=dict)
    decide: Callable[[str], bool | None] = lambda _: None


_COMPARISONS: dict[type[ast.cmpop], str] = {
    ast.Lt: "<",
    ast.LtE: r"\le",
    ast.Gt: ">",
    ast.GtE: r"\ge",
    ast.Eq: "=",
    ast.NotEq: r"\ne",
    ast.In: r"\in",
    ast.NotIn: r"\notin",
    ast.Is: "=",
    ast.IsNot: r"\ne",
}
_CONSTANTS = {"pi": n.Atom(r"\pi"), "inf": n.Atom(r"\infty"), "e": n.E}
_WHERE_WIDTH = 6


def definition(
    text: str,
    setting: Setting | None = None,
    display: Mapping[str, str] | None = None,
    function: str | None = None,
    imported: Mapping[str, str] | None = None,
) -> Definition:
    r"""The formula of a spec's function for one variant.

    Args:
        text: The ``def`` as written, decorators allowed.
        setting: What the variant fixes; None leaves every condition as a case.
        display: Printed names of arguments, from the spec's ``symbols=``.
        function: Which ``def`` of the text, where it holds several.
        imported: What names stand for that the spec's file imports under another name.

    Raises:
        LatexError: The text has a construct for which there is no notation.

    Example:
        >>> from symgen.backends.latex_typeset import typeset
        >>> print(typeset(definition("def silu(x): return x / (1 + exp(-x))").value))
        \frac{x}{1 + e^{-x}}
    """
    tree = ast.parse(textwrap.dedent(text))
    functions = [f for f in ast.walk(tree) if isinstance(f, ast.FunctionDef) and function in (None, f.name)]
    if not functions:
        raise LatexError(f"no definition of {function or 'a function'} in this text:\n{text}")
    return _Reader(text, functions[0], setting or Setting(), display or {}, imported or {}).read()


class _Reader:
    """Reads one function's body; the environment maps local names to their notation."""

    def __init__(
        self,
        text: str,
        function: ast.FunctionDef,
        setting: Setting,
        display: Mapping[str, str],
        imported: Mapping[str, str],
    ) -> None:
        self.text = textwrap.dedent(text)
        self.function = function
        self.setting = setting
        self.display = display
        self.imported = imported
        self.locals: dict[str, Node] = {}
        self.where: list[Local] = []
        self.shares: dict[str, Node] = {}
        self.uses = _uses(function)

    def read(self) -> Definition:
        value = self.block(self.function.body)
        if value is None:
            raise LatexError(f"{self.function.name}: the definition returns nothing")
        where = [w for w in self.where if _mentions((value, *_values(self.where)), w.name)]
        shares = [Local(n.Atom(r"\text{share in the mean}", 12), v) for t, v in self.shares.items() if t != "0"]
        return Definition(value, (*where, *shares))

    # -- statements ---------------------------------------------------------------------------------------------

    def block(self, body: list[ast.stmt]) -> Node | None:
        for i, statement in enumerate(body):
            match statement:
                case ast.Return(value=ast.Tuple(elts=[loss, share])):  # of a sample, and its share in the mean
                    self.shares.setdefault(ast.unparse(share), self.expression(share))
                    return self.expression(loss)
                case ast.Return(value=value) if value is not None:
                    return self.expression(value)
                case ast.If(test=test, body=then, orelse=otherwise):
                    return self.branch(test, then, [*otherwise, *body[i + 1 :]], body[i + 1 :])
                case ast.Assign(targets=[target], value=value):
                    self.assign(target, value)
                case ast.AnnAssign(target=target, value=value) if value is not None:
                    self.assign(target, value)
                case ast.Expr(value=ast.Constant()) | ast.Assert() | ast.Pass():
                    pass
                case _:
                    raise self.unknown(statement)
        return None

    def branch(self, test: ast.expr, then: list[ast.stmt], rest: list[ast.stmt], after: list[ast.stmt]) -> Node | None:
        decided = self.condition(test)
        if isinstance(decided, bool):
            return self.block([*then, *after] if decided else rest)
        saved = dict(self.locals)
        first = self.block([*then, *after])
        self.locals = saved
        second = self.block(rest)
        if first is None or second is None:
            return first or second
        return n.choose(decided, first, second)

    def assign(self, target: ast.expr, value: ast.expr) -> None:
        if isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple) and len(target.elts) == len(value.elts):
            for t, v in zip(target.elts, value.elts, strict=True):
                self.assign(t, v)
            return
        if not isinstance(target, ast.Name):
            raise self.unknown(target)
        set_value = self.expression(value)
        name = names.symbol(target.id, self.display)
        if self.uses.get(target.id, 0) > 1 and n.width(set_value) > _WHERE_WIDTH:
            self.where.append(Local(name, set_value))
            self.locals[target.id] = name
        else:
            self.locals[target.id] = set_value

    # -- conditions ---------------------------------------------------------------------------------------------

    def condition(self, test: ast.expr) -> Node | bool:
        """A condition as notation, or its truth where the variant decides it."""
        match test:
            case ast.BoolOp(op=op, values=values):
                return self.join("and" if isinstance(op, ast.And) else "or", [self.condition(v) for v in values])
            case ast.UnaryOp(op=ast.Not(), operand=operand):
                inner = self.condition(operand)
                return (not inner) if isinstance(inner, bool) else n.Logic("not", (inner,))
            case ast.Constant(value=bool() as value):
                return value
            case ast.Name(id=name) if isinstance(self.setting.values.get(name), bool):
                return bool(self.setting.values[name])
            case ast.Compare():
                decided = self.decided(test)
                return self.comparison(test) if decided is None else decided
        return self.expression(test)

    @staticmethod
    def join(word: str, parts: list[Node | bool]) -> Node | bool:
        ends = word == "or"
        if any(p is ends for p in parts):
            return ends
        rest = tuple(p for p in parts if not isinstance(p, bool))
        if not rest:
            return not ends
        return rest[0] if len(rest) == 1 else n.Logic(word, rest)

    def decided(self, test: ast.Compare) -> bool | None:
        """Whether the variant settles a comparison: with a choice, with None, or between options."""
        match test:
            case ast.Compare(
                left=ast.Name(id=name),
                ops=[ast.Eq() | ast.NotEq() | ast.Is() | ast.IsNot() as op],
                comparators=[ast.Constant(value=wanted)],
            ) if name in self.setting.values:
                value = self.setting.values[name]
                if value == "given" and wanted is not None:
                    return self.setting.decide(ast.unparse(test))
                same = value is None if wanted is None else value == wanted
                return same if isinstance(op, ast.Eq | ast.Is) else not same
        return self.setting.decide(ast.unparse(test))

    def comparison(self, test: ast.Compare) -> Node:
        operands = tuple(self.expression(e) for e in (test.left, *test.comparators))
        return n.Relation(operands, tuple(_COMPARISONS[type(op)] for op in test.ops))

    # -- expressions --------------------------------------------------------------------------------------------

    def expression(self, e: ast.expr) -> Node:
        match e:
            case ast.Constant():
                return self.constant(e)
            case ast.Name(id=name):
                return self.name(name)
            case ast.UnaryOp(op=ast.USub() | ast.UAdd() as op, operand=operand):
                inner = self.expression(operand)
                return n.negative(inner) if isinstance(op, ast.USub) else inner
            case ast.BinOp():
                return self.binary(e)
            case ast.IfExp():
                return self.conditional(e)
            case ast.Compare():
                return self.comparison(e)
            case ast.Call(func=ast.Name(id=name), args=args, keywords=keywords):
                return self.call(name, [*args, *(k.value for k in keywords)])
        raise self.unknown(e)

    def constant(self, e: ast.Constant) -> Node:
        if isinstance(e.value, int | float) and not isinstance(e.value, bool):
            return names.decimal(ast.get_source_segment(self.text, e) or repr(e.value))
        return n.Atom(rf"\text{{{names.escape(str(e.value))}}}", len(str(e.value)))

    def conditional(self, e: ast.IfExp) -> Node:
        decided = self.condition(e.test)
        if isinstance(decided, bool):
            return self.expression(e.body if decided else e.orelse)
        return n.choose(decided, self.expression(e.body), self.expression(e.orelse))

    def name(self, name: str) -> Node:
        if name in self.locals:
            return self.locals[name]
        arguments = self.function.args
        if name in {a.arg for a in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs)}:
            return names.symbol(name, self.display)
        return _CONSTANTS.get(name) or names.symbol(name, self.display)

    def binary(self, e: ast.BinOp) -> Node:
        left, right = self.expression(e.left), self.expression(e.right)
        match e.op:
            case ast.Add():
                return n.add([*_terms(left, e.left), (False, right)])
            case ast.Sub():
                return n.add([*_terms(left, e.left), (True, right)])
            case ast.Mult():
                return n.multiply([left, right])
            case ast.Div():
                return n.divide(left, right)
            case ast.Pow():
                return n.raise_to(left, right)
        raise self.unknown(e)

    def call(self, name: str, arguments: list[ast.expr]) -> Node:
        parts = [self.expression(a) for a in arguments]
        match name, parts:
            case "exp", [a]:
                return n.exponential(a)
            case "sqrt", [a]:
                return n.Root(a)
            case "abs", [a]:
                return n.Absolute(a)
            case "weighted", [a, b]:
                return n.multiply([a, b])
        return n.Call(names.function(self.imported.get(name, name)), tuple(parts))

    def unknown(self, where: ast.AST) -> LatexError:
        line = getattr(where, "lineno", 0)
        text = ast.get_source_segment(self.text, where) or type(where).__name__
        return LatexError(f"{self.function.name}, line {line} of its text: no notation for `{text}`")


def _terms(node: Node, source: ast.expr) -> list[tuple[bool, Node]]:
    """The terms of a left operand: a chain of + and - is one sum, brackets make a new one."""
    chained = isinstance(source, ast.BinOp) and isinstance(source.op, ast.Add | ast.Sub)
    return list(node.terms) if chained and isinstance(node, n.Sum) else [(False, node)]


def _uses(function: ast.FunctionDef) -> dict[str, int]:
    counts: dict[str, int] = {}
    for e in ast.walk(function):
        if isinstance(e, ast.Name) and isinstance(e.ctx, ast.Load):
            counts[e.id] = counts.get(e.id, 0) + 1
    return counts


def _values(where: list[Local]) -> tuple[Node, ...]:
    return tuple(w.value for w in where)


def _mentions(nodes: tuple[Node, ...], name: Node) -> bool:
    return any(node == name or _mentions(n.children(node), name) for node in nodes)
