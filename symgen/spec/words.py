"""The words of the spec language whose meaning on symbols differs from Python's: numbers, cases, relations, kinks."""

from __future__ import annotations

import builtins
import inspect
import operator
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import sympy as sp
from sympy import Expr
from sympy.logic.boolalg import Boolean

from symgen import heads
from symgen.spec.model import FLIPPED, RELATIONS, Mistake, Role
from symgen.spec.trace import Trace, is_symbolic

LARGEST_DECIMAL_EXPONENT = 400
PLAIN = {
    ">": operator.gt,
    "<": operator.lt,
    ">=": operator.ge,
    "<=": operator.le,
    "==": operator.eq,
    "!=": operator.ne,
}


@dataclass(frozen=True)
class Word:
    """A function of the language. ``apply`` gets the run's state first; ``plain`` is its meaning on Python numbers."""

    name: str
    apply: Callable[..., Any]
    plain: Callable[..., Any] | None = None

    def __call__(self, *arguments: Any, **keywords: Any) -> Any:
        if self.plain is None:
            raise TypeError(f"'{self.name}' has a meaning in a spec only")
        return self.plain(*arguments, **keywords)

    def call(self, trace: Trace, arguments: list[Any], keywords: dict[str, Any]) -> Any:
        """Apply it inside a spec, with the arguments checked against its signature."""
        try:
            inspect.signature(self.apply).bind(trace, *arguments, **keywords)
        except TypeError as error:
            raise Mistake(f"{self.name}: {error}", f"it is written {self.usage}") from None
        return self.apply(trace, *arguments, **keywords)

    @property
    def usage(self) -> str:
        names = [str(p) for p in inspect.signature(self.apply).parameters.values()][1:]
        return f"{self.name}({', '.join(n.split(':')[0] for n in names)})"


def number(text: str, value: complex) -> Expr:
    """The exact rational that a decimal literal writes down."""
    if isinstance(value, int):
        return sp.Integer(value)
    if isinstance(value, float):
        exponent = text.lower().partition("e")[2]
        if abs(int(exponent or 0)) > LARGEST_DECIMAL_EXPONENT:
            raise Mistake(f"{text} is beyond every float", "write inf, or a number that a float can hold")
        return sp.Rational(text.replace("_", ""))
    raise Mistake(f"{text} is a complex number", "formulas are real")


def formula(value: Any, what: str) -> Expr:
    """The value as an expression, or a mistake that says what it is instead."""
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return sp.sympify(value)
    if isinstance(value, Expr):
        return value
    if value is None:
        raise Mistake(f"{what} of None", "ask first: 'if threshold is None: return ...'")
    if is_condition(value):
        raise Mistake(f"{what} of a condition", "write 'a if condition else b'")
    if isinstance(value, (tuple, list)):
        raise Mistake(f"{what} of several values at once", "unpack them first: a, b = x")
    if isinstance(value, Role):
        raise Mistake(f"{what} of the role {value}", "roles belong in the signature: x: " + str(value))
    raise Mistake(f"{what} of {value!r}, which is no number")


def checked(value: Any) -> Any:
    """A result, if it is one: not a division by zero and not a complex number."""
    if isinstance(value, Expr):
        if value.has(sp.zoo, sp.nan):
            raise Mistake("it divides by zero, or has no value", "is a term always zero?")
        if value.has(sp.I):
            raise Mistake(f"it is the complex number {value}", "formulas are real")
    return value


def is_condition(value: Any) -> bool:
    """Whether a value is a truth value or a relation; SymPy counts symbols as both."""
    return isinstance(value, (Boolean, bool)) and not isinstance(value, Expr)


def cases(condition: Any, then: Any, otherwise: Any) -> Any:
    """``then if condition else otherwise`` where data decides; pairs (loss, share) case by case."""
    if isinstance(then, tuple) or isinstance(otherwise, tuple):
        if not (isinstance(then, tuple) and isinstance(otherwise, tuple) and len(then) == len(otherwise)):
            raise Mistake("one case gives several values and the other does not", "return 'loss, share' in every case")
        return tuple(cases(condition, a, b) for a, b in zip(then, otherwise, strict=True))
    if is_condition(then) and is_condition(otherwise):
        return sp.Or(sp.And(condition, then), sp.And(sp.Not(condition), otherwise))
    if not is_condition(condition):
        raise Mistake(f"'{condition}' is not a condition", "compare it with something")
    return heads.Cases(condition, formula(then, "a case"), formula(otherwise, "a case"))


def negation(condition: Any) -> Any:
    if isinstance(condition, bool):
        return not condition
    if is_condition(condition):
        return sp.Not(condition)
    raise Mistake(f"'not {condition}': it is not a condition", "compare it with something")


def relation(op: str, left: Any, right: Any) -> Any:
    """A comparison: a limit on a role, a relation between expressions, or Python's own between plain values."""
    if isinstance(left, Role):
        return limit(left, op, right)
    if isinstance(right, Role):
        return limit(right, FLIPPED.get(op, op), left)
    if op in ("is", "is not"):
        if left is not None and right is not None:
            raise Mistake(f"'{op}' asks only whether something is None", "write '==' to compare values")
        return (left is right) == (op == "is")
    if op in ("in", "not in"):
        if not isinstance(right, (tuple, list)) or is_symbolic(left):
            raise Mistake(f"'{op}' asks whether a class is listed", "declare the list as Labels[C]")
        return (left in right) == (op == "in")
    if left is None or right is None:
        raise Mistake("a comparison with None", "write 'is None' or 'is not None'")
    if isinstance(left, (str, bool)) or isinstance(right, (str, bool)):
        return plain_relation(op, left, right)
    return RELATIONS[op](formula(left, "a comparison"), formula(right, "a comparison"))


def plain_relation(op: str, left: Any, right: Any) -> bool:
    """Texts and truth values: choices, which only have an equality."""
    if type(left) is not type(right) or op not in ("==", "!="):
        raise Mistake(f"'{left}' and '{right}' cannot be compared with '{op}'", "a choice is compared with its values")
    return bool(PLAIN[op](left, right))


def limit(role: Role, op: str, value: Any) -> Role:
    """``Real > 0`` and the like, in a signature."""
    if op not in RELATIONS or op == "==":
        raise Mistake(f"a role has no limit '{op}'", "limits are written > >= < <= !=; choices are Literal[...]")
    if not (isinstance(value, Expr) and value.is_number):
        raise Mistake(f"a limit is a number, not {value}", "to relate arguments write 'assert low <= high' in the body")
    return role.limited(op, value)


def folded(head: type[Expr], pick: Callable[[Any, Any], Any]) -> Callable[..., Any]:
    """A head of two arguments as a function of two or more, evaluated where both are plain numbers."""

    def apply(_trace: Trace, a: Any, b: Any, *more: Any) -> Any:
        values = [formula(v, head.__name__.removeprefix("first_")) for v in (a, b, *more)]
        result = values[0]
        for value in values[1:]:
            result = pick(result, value) if result.is_number and value.is_number else head(result, value)
        return result

    return apply


def unary(function: type[Expr]) -> Callable[..., Any]:
    def apply(_trace: Trace, x: Any) -> Any:
        return checked(function(formula(x, function.__name__)))

    return apply


def _weighted(_trace: Trace, w: Any, v: Any) -> Any:
    return heads.weighted(formula(w, "weighted"), formula(v, "weighted"))


def _straight_through(_trace: Trace, v: Any, u: Any) -> Any:
    return heads.straight_through(formula(v, "straight_through"), formula(u, "straight_through"))


def _root(_trace: Trace, x: Any) -> Any:
    return checked(sp.sqrt(formula(x, "sqrt")))


FUNCTIONS: dict[str, Any] = {
    "exp": sp.exp, "log": sp.log, "sin": sp.sin, "cos": sp.cos, "tan": sp.tan, "atan": sp.atan, "sinh": sp.sinh,
    "cosh": sp.cosh, "tanh": sp.tanh, "asin": sp.asin, "acos": sp.acos, "asinh": sp.asinh, "acosh": sp.acosh,
    "atanh": sp.atanh, "erf": sp.erf, "erfc": sp.erfc, "lgamma": sp.loggamma,
    "sign": sp.sign,
}  # fmt: skip

WORDS: dict[str, Word] = {name: Word(name, unary(head), head) for name, head in FUNCTIONS.items()}
WORDS |= {
    "sqrt": Word("sqrt", _root, sp.sqrt),
    "abs": Word("abs", unary(sp.Abs), builtins.abs),
    "max": Word("max", folded(heads.first_max, builtins.max), builtins.max),
    "min": Word("min", folded(heads.first_min, builtins.min), builtins.min),
    "maximum": Word("maximum", folded(heads.maximum, builtins.max), builtins.max),
    "minimum": Word("minimum", folded(heads.minimum, builtins.min), builtins.min),
    "weighted": Word("weighted", _weighted),
    "straight_through": Word("straight_through", _straight_through),
}
CONSTANTS = {"pi": sp.pi, "inf": sp.oo}
