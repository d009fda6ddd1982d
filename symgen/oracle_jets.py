"""Compiles a formula to straight-line ball arithmetic on Taylor series, because the oracle runs it a million times.

A jet is the value and the first Taylor coefficients along one symbol. The generated source has two levels: ``bind``
computes what is the same at all points, once per precision, and returns ``body``, which does the rest for one point.
Branches stay lazy. Generic series of a ball library give nan where a coefficient is astronomically small, so these are
scalars.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import lru_cache
from typing import Any

import sympy as sp
from flint import arb
from sympy import Expr, Symbol
from sympy.core.relational import Relational
from sympy.logic.boolalg import And, BooleanFalse, BooleanTrue, Not, Or

from symgen import heads, vocabulary
from symgen.kinks import unfold
from symgen.oracle_balls import OUTER, OracleError, namespace

Body = Callable[..., tuple[arb, ...]]
Bind = Callable[..., Body]

RELATIONS: dict[type[Relational], str] = {
    sp.Eq: "== 0",
    sp.Ne: "!= 0",
    sp.Lt: "< 0",
    sp.Le: "<= 0",
    sp.Gt: "> 0",
    sp.Ge: ">= 0",
}


class Emitter:
    """Writes the statements of one function; a coefficient that is identically zero has the name None."""

    def __init__(
        self, names: dict[Symbol, str], wrt: Symbol | None, order: int, outer: Emitter | None, prefix: str
    ) -> None:
        self.names, self.wrt, self.order, self.outer, self.prefix = names, wrt, order, outer, prefix
        self.lines: list[str] = []
        self.scopes: list[dict[Any, str | None]] = [{}]
        self.count = 0
        self.indent = 0

    def assign(self, code: str, name: str | None = None) -> str:
        if name is None:
            self.count += 1
            name = f"{self.prefix}{self.count}"
        self.lines.append(f"{'    ' * self.indent}{name} = {code}")
        return name

    def value(self, node: Expr) -> str:
        """Name of the zeroth coefficient, which always exists."""
        return self.coefficient(node, 0) or "ZERO"

    def coefficient(self, node: Expr, k: int) -> str | None:
        """Name of the k-th Taylor coefficient of a node, emitted once per scope."""
        symbols = node.free_symbols
        if k and self.wrt not in symbols:
            return None
        if self.outer is not None and not symbols & self.names.keys():
            return self.outer.value(node)
        for scope in reversed(self.scopes):
            if (node, k) in scope:
                found: str | None = scope[node, k]
                return found
        name = self.build(node, k)
        self.scopes[-1][node, k] = name
        return name

    def build(self, node: Expr, k: int) -> str | None:
        if isinstance(node, heads.weighted) and k and self.wrt in node.args[0].free_symbols:
            return self.product(
                node.args[0], node.args[1], k
            )  # the derivative in the weight is the value, also where the weight is 0
        unfolded = unfold(node)
        if unfolded is not node:  # by its own name, so that the next order finds the cases of this one
            return self.coefficient(unfolded, k)
        for kinds, build in BUILDERS:
            if isinstance(node, kinds):
                return build(self, node, k)
        if type(node) in OUTER:
            return self.composition(node, k)
        if type(node) in vocabulary.DEFINITIONS:
            return self.coefficient(vocabulary.DEFINITIONS[type(node)](*node.args), k)
        raise OracleError(f"the oracle has no ball arithmetic for {type(node).__name__} in {node}: add it to OUTER")

    def rational(self, node: sp.Rational, _k: int) -> str:
        return self.assign(f"arb({node.p})" if node.q == 1 else f"arb(fmpq({node.p}, {node.q}))")

    def constant(self, node: Expr, _k: int) -> str:
        return self.assign(CONSTANTS[type(node)])

    def add(self, node: sp.Add, k: int) -> str | None:
        return self.total([self.coefficient(a, k) for a in node.args])

    def multiply(self, node: sp.Mul, k: int) -> str | None:
        return self.product(*self.halves(node), k)

    def straight_through(self, node: Expr, k: int) -> str | None:
        return self.coefficient(node.args[1 if k else 0], k)

    def symbol(self, node: Symbol, k: int) -> str | None:
        if node not in self.names:
            raise OracleError(f"{node} is not a parameter of the formula; known are {', '.join(map(str, self.names))}")
        return self.names[node] if k == 0 else "ONE" if k == 1 else None

    def total(self, names: Iterable[str | None]) -> str | None:
        present = [n for n in names if n]
        return self.assign(" + ".join(present)) if len(present) > 1 else present[0] if present else None

    def times(self, a: str | None, b: str | None) -> str | None:
        if a is None or b is None:
            return None
        if "ONE" in (a, b):
            return b if a == "ONE" else a
        return self.assign(f"{a} * {b}")

    def halves(self, node: sp.Mul) -> tuple[Expr, Expr]:
        """A product as two factors: what is the same at all points first, so that it is computed once."""
        fixed = [a for a in node.args if not a.free_symbols & self.names.keys()] if self.outer is not None else []
        varying = [a for a in node.args if a not in fixed]
        if fixed and varying:
            return _joined(fixed), _joined(varying)
        return node.args[0], _joined(node.args[1:])

    def product(self, a: Expr, b: Expr, k: int) -> str | None:
        return self.total([self.times(self.coefficient(a, i), self.coefficient(b, k - i)) for i in range(k + 1)])

    def reciprocal(self, node: Expr, base: Expr, k: int) -> str | None:
        first = self.value(node) if k else self.assign(f"inverse({self.value(base)})")
        if k == 0:
            return first
        rest = self.total(
            [self.times(self.coefficient(base, j), self.coefficient(node, k - j)) for j in range(1, k + 1)]
        )
        return self.assign(f"-{rest} * {first}") if rest else None

    def power(self, node: sp.Pow, k: int) -> str | None:
        base, exponent = node.args
        if exponent.is_Rational and exponent.q <= 2 and abs(exponent.p) <= 128:
            if exponent < 0:
                return self.reciprocal(node, sp.Pow(base, -exponent, evaluate=False) if exponent != -1 else base, k)
            if exponent == sp.S.Half:
                return self.root(node, base, k)
            half = exponent.p // exponent.q // 2 if exponent.q == 1 else exponent.p // 2
            parts = [base if e == 1 else sp.Pow(base, e, evaluate=False) for e in (half, exponent - half)]
            return self.product(parts[0], parts[1], k)
        if self.wrt in exponent.free_symbols:
            return self.coefficient(sp.exp(exponent * sp.log(base), evaluate=False), k)
        u, a = self.value(base), self.value(exponent)
        return self.chain(node, base, k, lambda j, _: self.assign(f"power({u}, {a}, {j})"))

    def root(self, node: Expr, base: Expr, k: int) -> str | None:
        if k == 0:
            return self.assign(f"sqrt({self.value(base)})")
        s, first, second = self.value(node), self.coefficient(base, 1), self.coefficient(base, 2) if k == 2 else None
        if k == 1:
            return self.assign(f"{first} * inverse(2 * {s})") if first else None
        slope = self.coefficient(node, 1)
        rest = " - ".join([second or "", f"{slope} * {slope}"] if slope else [second or "ZERO"])
        return self.assign(f"({rest}) * inverse(2 * {s})")

    def chain(self, node: Expr, argument: Expr, k: int, outer: Callable[[int, Expr], str]) -> str | None:
        """Faa di Bruno to second order: g1 u_k + g2 u_1^2."""
        if k == 0:
            return outer(0, node)
        first = self.coefficient(argument, 1)
        if k == 1:
            return self.times(outer(1, node), first) if first else None
        second = self.coefficient(argument, 2)
        parts = [self.times(outer(1, node), second) if second else None]
        parts.append(self.times(outer(2, node), self.times(first, first)) if first else None)
        return self.total(parts)

    def composition(self, node: Expr, k: int) -> str | None:
        argument = node.args[0]
        return self.chain(node, argument, k, lambda j, n: self.outer_coefficient(n, argument, j))

    def outer_coefficient(self, node: Expr, argument: Expr, j: int) -> str:
        key: Any = (node, "outer", j)
        for scope in reversed(self.scopes):
            if scope.get(key):
                return str(scope[key])
        u = self.value(argument)
        f = self.value(node) if j else ""
        g = self.outer_coefficient(node, argument, 1) if j == 2 else ""
        opposite = self.opposite_exponential(node) if j == 0 else None
        code = opposite or _inline(OUTER[type(node)][j].format(u=u, f=f, g=g))
        name = code if code.isidentifier() else self.assign(code)
        self.scopes[-1][key] = name
        return name

    def opposite_exponential(self, node: Expr) -> str | None:
        """exp(-u) is 1/exp(u) where that is there already: at high precision a division is far cheaper."""
        if not isinstance(node, sp.exp):
            return None
        mirrored = (sp.exp(-node.args[0]), 0)
        return next((f"1 / {scope[mirrored]}" for scope in reversed(self.scopes) if scope.get(mirrored)), None)

    def cases(self, node: heads.Cases, k: int) -> str:
        self.count += 1
        names = [f"{self.prefix}{self.count}_{j}" for j in range(self.order + 1)]
        self.lines.append(f"{'    ' * self.indent}if {self.condition(node.condition)}:")
        self.branch(node.then, names)
        self.lines.append(f"{'    ' * self.indent}else:")
        self.branch(node.otherwise, names)
        for j, name in enumerate(names):
            self.scopes[-1][node, j] = name
        return names[k]

    def branch(self, node: Expr, names: Sequence[str]) -> None:
        self.scopes.append({})
        self.indent += 1
        for j, name in enumerate(names):
            self.assign(self.coefficient(node, j) or "ZERO", name)
        self.indent -= 1
        self.scopes.pop()

    def condition(self, node: Any) -> str:
        if isinstance(node, BooleanTrue | BooleanFalse):
            return str(bool(node))
        if isinstance(node, And | Or):
            word = " and " if isinstance(node, And) else " or "
            return "(" + word.join(self.condition(a) for a in sorted(node.args, key=sp.default_sort_key)) + ")"
        if isinstance(node, Not):
            return f"(not {self.condition(node.args[0])})"
        if type(node) in RELATIONS:
            return f"(order({self.value(node.lhs)}, {self.value(node.rhs)}) {RELATIONS[type(node)]})"
        raise OracleError(f"the oracle cannot decide the condition {node}")


CONSTANTS: dict[type[Expr], str] = {
    type(sp.pi): "arb.pi()",
    type(sp.E): "arb(1).exp()",
    type(sp.EulerGamma): "arb.const_euler()",
    type(sp.oo): "arb.pos_inf()",
    type(-sp.oo): "arb.neg_inf()",
}

BUILDERS: tuple[tuple[Any, Callable[[Emitter, Any, int], str | None]], ...] = (
    (Symbol, Emitter.symbol),
    (sp.Rational, Emitter.rational),
    (sp.Float, lambda emitter, node, k: emitter.coefficient(sp.Rational(node), k)),
    (tuple(CONSTANTS), Emitter.constant),
    (sp.Add, Emitter.add),
    (sp.Mul, Emitter.multiply),
    (sp.Pow, Emitter.power),
    (heads.Cases, Emitter.cases),
    (heads.straight_through, Emitter.straight_through),
)


def _joined(factors: Sequence[Expr]) -> Expr:
    return factors[0] if len(factors) == 1 else sp.Mul(*factors, evaluate=False)


def _inline(code: str) -> str:
    """``square(...)`` is not a function call at run time: it is written through the walrus, which is faster."""
    head, found, rest = code.partition("square(")
    return f"{head}(sq := {rest[:-1]}) * sq" if found else code


def compile_jet(
    expression: Expr, wrt: Symbol, fixed: Sequence[Symbol], varying: Sequence[Symbol], order: int
) -> tuple[str, Callable[[bool, bool], Bind]]:
    """Compile value and derivatives of an expression along a symbol.

    Args:
        expression: the formula, over ``wrt``, ``fixed`` and ``varying``.
        wrt: the symbol to differentiate by.
        fixed: parameters that are the same at all points, in the order in which ``bind`` takes them.
        varying: parameters that change from point to point, in the order in which ``body`` takes them after the point.
        order: the highest derivative, 0 to 2.

    Returns:
        The Python source, and a function of (checked, final) that makes ``bind(*fixed) -> body(point, *varying)``.
        A checked program raises `UndefinedError` where the formula certainly has no value; a final one takes
        overlapping balls in a comparison for equal, any other raises `UndecidedError`.
    """
    outer_names = {s: f"p{i}" for i, s in enumerate(fixed)}
    inner_names = {wrt: "x"} | {s: f"q{i}" for i, s in enumerate(varying)}
    outer = Emitter(outer_names, None, 0, None, "k")
    inner = Emitter(inner_names, wrt, order, outer, "v")
    results = [inner.coefficient(expression, k) or "ZERO" for k in range(order + 1)]
    if order == 2:
        results[2] = f"2 * {results[2]}"
    source = "\n".join(
        [
            f"def bind({', '.join(outer_names.values())}):",
            *("    " + line for line in outer.lines),
            f"    def body({', '.join(inner_names.values())}):",
            *("        " + line for line in inner.lines),
            f"        return ({', '.join(results)},)",
            "    return body",
        ]
    )
    code = compile(source, "<oracle>", "exec")

    @lru_cache
    def make(checked: bool, final: bool) -> Bind:
        names = namespace(checked, final)
        exec(code, names)
        bind: Bind = names["bind"]
        return bind

    return source, make
