"""Running a spec's text on symbols: a small evaluator of the Python that specs are written in.

It follows Python but for what Python gets wrong on symbols: decimals are exact, conditions on data become cases,
conditions on options choose a variant, and a subscript moves an index. Every mistake knows the line it stands on.
"""

from __future__ import annotations

import ast
import operator
import typing
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Protocol, runtime_checkable

import sympy as sp
from sympy import Expr

from symgen.spec.axes import Generator, LabelList, iterated, listed_in, moved, vector
from symgen.spec.model import Axis, Mistake, Role, native
from symgen.spec.text import SpecText
from symgen.spec.trace import Trace, is_symbolic
from symgen.spec.words import Word, cases, checked, formula, negation, number, relation


@runtime_checkable
class Inlinable(Protocol):
    """A spec, called inside another one."""

    def inline(self, trace: Trace, arguments: list[Any], keywords: dict[str, Any]) -> Any: ...


@dataclass(frozen=True)
class Frame:
    """Where evaluation stands: the file, the function, its names, the run, and the callee's axes in the caller."""

    text: SpecText
    owner: str
    names: dict[str, Any]
    trace: Trace
    axes: dict[Axis, Axis]

    def copy(self, **names: Any) -> Frame:
        return replace(self, names={**self.names, **names})


LARGEST_EXPONENT = 4096
BINARY: dict[type[ast.operator], tuple[Callable[[Any, Any], Any], str]] = {
    ast.Add: (operator.add, "a sum"),
    ast.Sub: (operator.sub, "a difference"),
    ast.Mult: (operator.mul, "a product"),
    ast.Div: (operator.truediv, "a quotient"),
    ast.Pow: (operator.pow, "a power"),
}
COMPARISONS: dict[type[ast.cmpop], str] = {
    ast.Gt: ">", ast.Lt: "<", ast.GtE: ">=", ast.LtE: "<=", ast.Eq: "==", ast.NotEq: "!=", ast.In: "in",
    ast.NotIn: "not in", ast.Is: "is", ast.IsNot: "is not",
}  # fmt: skip


def evaluate(node: ast.expr, frame: Frame) -> Any:
    """The value of an expression; a mistake in it is reported at its line.

    Raises:
        SpecError: with the file, the line and the text.
    """
    try:
        handler: Callable[[Any, Frame], Any] = HANDLERS.get(type(node), unknown)
        return handler(node, frame)
    except Mistake as mistake:
        raise frame.text.error(node.lineno, frame.owner, mistake.what, mistake.hint) from None
    except (TypeError, ValueError, OverflowError, AttributeError) as error:
        raise frame.text.error(node.lineno, frame.owner, str(error)) from None


def unknown(node: ast.expr, _frame: Frame) -> Any:
    raise Mistake(f"a formula has no {type(node).__name__}")


def constant(node: ast.Constant, frame: Frame) -> Any:
    value = node.value
    if isinstance(value, bool) or value is None or isinstance(value, str):
        return value
    if isinstance(value, (int, float, complex)):
        return number(ast.get_source_segment(frame.text.text, node) or repr(value), value)
    raise Mistake(f"{value!r} is not a number")


def name(node: ast.Name, frame: Frame) -> Any:
    try:
        value = frame.names[node.id]
    except KeyError:
        raise Mistake(f"'{node.id}' has no value here", "give it one in every case before it is used") from None
    if isinstance(value, Axis):
        return frame.trace.axis(frame.axes.get(value, value))
    return value


def binary(node: ast.BinOp, frame: Frame) -> Any:
    left, right = evaluate(node.left, frame), evaluate(node.right, frame)
    if isinstance(node.op, ast.BitOr):
        if isinstance(left, Role) or isinstance(right, Role):
            return left | right
        raise Mistake("'|' joins roles", "limits beside it need brackets: (0 <= Real <= 1) | None")
    if isinstance(right, Axis) and isinstance(node.op, ast.Mult):
        return left * right
    if type(node.op) not in BINARY:
        raise Mistake(f"a formula has no {type(node.op).__name__}", "it has + - * / **")
    function, what = BINARY[type(node.op)]
    left, right = formula(left, what), formula(right, what)
    if isinstance(node.op, ast.Pow):
        check_size(left, right)
    return checked(function(left, right))


def check_size(base: Expr, exponent: Expr) -> None:
    """A power of numbers is worked out exactly, so it must not have millions of digits."""
    if base.is_Rational and exponent.is_Rational and abs(exponent) > LARGEST_EXPONENT:
        raise Mistake(f"the exponent of {base} is beyond {LARGEST_EXPONENT}", "no float is that large or small")


def unary(node: ast.UnaryOp, frame: Frame) -> Any:
    value = evaluate(node.operand, frame)
    if isinstance(node.op, ast.Not):
        decided = frame.trace.decide(value)
        return negation(value) if decided is None else not decided
    if isinstance(node.op, ast.Invert):
        raise Mistake("'~' works on bits", "write 'not'")
    return -formula(value, "the negative") if isinstance(node.op, ast.USub) else formula(value, "the value")


def connective(node: ast.BoolOp, frame: Frame) -> Any:
    return joined([partial(evaluate, v, frame) for v in node.values], isinstance(node.op, ast.And), frame.trace)


def joined(operands: list[Callable[[], Any]], conjunction: bool, trace: Trace) -> Any:
    """``and`` and ``or``, read from the left, no further than needed."""
    undecided: list[Any] = []
    for operand in operands:
        value = operand()
        decided = trace.decide(value)
        if decided is None:
            undecided.append(value)
        elif decided != conjunction:
            return decided
    if not undecided:
        return conjunction
    return sp.And(*undecided) if conjunction else sp.Or(*undecided)


def compare(node: ast.Compare, frame: Frame) -> Any:
    values = [evaluate(v, frame) for v in (node.left, *node.comparators)]
    steps = list(zip(node.ops, values, values[1:], strict=False))
    if any(isinstance(v, Role) for v in values):
        roles = [compared(type(o), a, b, frame.trace) for o, a, b in steps]
        return replace(roles[0], limits=tuple(limit for r in roles for limit in r.limits))
    if len(steps) == 1:
        o, a, b = steps[0]
        return compared(type(o), a, b, frame.trace)
    return joined([partial(compared, type(o), a, b, frame.trace) for o, a, b in steps], True, frame.trace)


def compared(op: type[ast.cmpop], left: Any, right: Any, trace: Trace) -> Any:
    if op in (ast.In, ast.NotIn) and isinstance(right, LabelList):
        inside = listed_in(trace, left, right)
        return inside if op is ast.In else sp.Not(inside)
    return relation(COMPARISONS[op], left, right)


def conditional(node: ast.IfExp, frame: Frame) -> Any:
    condition = evaluate(node.test, frame)
    decided = frame.trace.decide(condition)
    if decided is not None:
        return evaluate(node.body if decided else node.orelse, frame)
    return cases(condition, evaluate(node.body, frame), evaluate(node.orelse, frame))


def call(node: ast.Call, frame: Frame) -> Any:
    target = evaluate(node.func, frame)
    if any(isinstance(a, ast.Starred) for a in node.args) or any(k.arg is None for k in node.keywords):
        raise Mistake("'*' in a call", "name each argument")
    arguments = [evaluate(a, frame) for a in node.args]
    keywords = {str(k.arg): evaluate(k.value, frame) for k in node.keywords}
    if isinstance(target, Word):
        return target.call(frame.trace, arguments, keywords)
    if isinstance(target, Inlinable):
        return target.inline(frame.trace, arguments, keywords)
    if target is Axis:
        return Axis(*map(native, arguments), **{k: native(v) for k, v in keywords.items()})  # type: ignore[arg-type]
    written = ast.unparse(node.func)
    hint = f"a role belongs in the signature: x: {written}" if isinstance(target, Role) else f"write {written} * (...)"
    raise Mistake(f"'{written}' is not a function", hint)


def subscript(node: ast.Subscript, frame: Frame) -> Any:
    value, index = evaluate(node.value, frame), evaluate(node.slice, frame)
    if isinstance(value, Role):
        return value[index]
    if value is typing.Literal:
        return Role("choice", choices=tuple(native(v) for v in (index if isinstance(index, tuple) else (index,))))
    if isinstance(value, (tuple, list)):
        if isinstance(index, sp.Integer) and 0 <= index < len(value):
            return value[int(index)]
        raise Mistake(f"there is no part {index}", f"it has {len(value)} parts, 0 to {len(value) - 1}")
    return moved(frame.trace, value, index)


def items(node: ast.Tuple | ast.List, frame: Frame) -> Any:
    return tuple(evaluate(e, frame) for e in node.elts)


def generator(node: ast.GeneratorExp | ast.ListComp, frame: Frame, level: int = 0) -> Generator:
    clause = node.generators[level]
    if not isinstance(clause.target, ast.Name):
        raise Mistake("a sum binds one index at a time", "write '... for k in C for j in D'")
    bound = clause.target.id

    def body(index: Any) -> tuple[Any, Any]:
        inner = frame.copy(**{bound: index})
        condition = joined([partial(evaluate, c, inner) for c in clause.ifs], True, frame.trace)
        last = level + 1 == len(node.generators)
        return condition, evaluate(node.elt, inner) if last else generator(node, inner, level + 1)

    return iterated(frame.trace, evaluate(clause.iter, frame), body)


def listed(node: ast.ListComp, frame: Frame) -> Expr:
    if len(node.generators) > 1:
        raise Mistake("a vector has one index", "write [... for i in C]")
    return vector(generator(node, frame))


HANDLERS: dict[type[ast.expr], Callable[[Any, Frame], Any]] = {
    ast.Constant: constant,
    ast.Name: name,
    ast.BinOp: binary,
    ast.UnaryOp: unary,
    ast.BoolOp: connective,
    ast.Compare: compare,
    ast.IfExp: conditional,
    ast.Call: call,
    ast.Subscript: subscript,
    ast.Tuple: items,
    ast.List: items,
    ast.GeneratorExp: generator,
    ast.ListComp: listed,
}


def run(statements: list[ast.stmt], frame: Frame) -> Any:
    """The value that a block returns, None where it ends without one."""
    for position, statement in enumerate(statements):
        rest = statements[position + 1 :]
        if isinstance(statement, ast.Return):
            return None if statement.value is None else evaluate(statement.value, frame)
        if isinstance(statement, ast.If):
            return branch(statement, rest, frame)
        if isinstance(statement, ast.Assert):
            assertion(statement, frame)
        elif isinstance(statement, ast.Assign):
            frame = assigned(statement, frame)
    return None


def branch(statement: ast.If, rest: list[ast.stmt], frame: Frame) -> Any:
    """``if``: one way where options decide, both ways where data does, each with the rest of the block."""
    condition = evaluate(statement.test, frame)
    try:
        decided = frame.trace.decide(condition)
        if decided is not None:
            return run([*(statement.body if decided else statement.orelse), *rest], frame)
        return both_ways(condition, statement, rest, frame)
    except Mistake as mistake:
        raise frame.text.error(statement.lineno, frame.owner, mistake.what, mistake.hint) from None


def both_ways(condition: Any, statement: ast.If, rest: list[ast.stmt], frame: Frame) -> Any:
    """Cases: what the block returns where the condition holds, and where it does not."""
    if not any(isinstance(n, ast.Return) for n in ast.walk(statement)):
        raise Mistake("data in a plain 'if'", "write 'y = a if condition else b', or 'if condition: return a'")
    then, otherwise = run([*statement.body, *rest], frame), run([*statement.orelse, *rest], frame)
    if then is None or otherwise is None:
        case = "true" if then is None else "false"
        raise Mistake(f"nothing is returned where this is {case}", "end the function with a 'return'")
    return cases(condition, then, otherwise)


def assigned(statement: ast.Assign, frame: Frame) -> Frame:
    value = evaluate(statement.value, frame)
    names: dict[str, Any] = {}
    for target in statement.targets:
        names |= bound_to(target, value, statement, frame)
    return frame.copy(**names)


def bound_to(target: ast.expr, value: Any, statement: ast.stmt, frame: Frame) -> dict[str, Any]:
    """The names that an assignment gives a value to."""
    if isinstance(target, ast.Name):
        return {target.id: value}
    if not isinstance(target, (ast.Tuple, ast.List)):
        raise frame.text.error(statement.lineno, frame.owner, "only names are assigned to", "write y = ...")
    if not isinstance(value, (tuple, list)) or len(value) != len(target.elts):
        have = len(value) if isinstance(value, (tuple, list)) else 1
        what = f"{len(target.elts)} names for {have} value{'s' * (have != 1)}"
        hint = "annotate what is unpacked: Tensor[2 * C] has two parts, Tensor[4] four"
        raise frame.text.error(statement.lineno, frame.owner, what, hint)
    names: dict[str, Any] = {}
    for one, part in zip(target.elts, value, strict=True):
        names |= bound_to(one, part, statement, frame)
    return names


def assertion(statement: ast.Assert, frame: Frame) -> None:
    """``assert low <= high``: a relation between options, checked when the kernel is called."""
    trace = frame.trace
    outer, trace.asserting = trace.asserting, True
    try:
        condition = evaluate(statement.test, frame)
    finally:
        trace.asserting = outer
    if not is_symbolic(condition):
        if not condition:
            raise frame.text.error(statement.lineno, frame.owner, "this never holds")
        return
    if condition.free_symbols <= trace.options:
        if condition not in trace.assertions:
            trace.assertions.append(condition)
    elif len(trace.calls) <= 1:
        hint = "state the domain of data in the signature: x: Tensor > 0"
        raise frame.text.error(statement.lineno, frame.owner, "an 'assert' relates options, and here is data", hint)
