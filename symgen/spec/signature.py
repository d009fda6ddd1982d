"""Reading a spec's signature: the role of each argument, its default, and what a call binds to it."""

from __future__ import annotations

import ast
import difflib
from dataclasses import dataclass
from typing import Any

import sympy as sp
from sympy import Expr, IndexedBase

from symgen.spec.axes import LabelList
from symgen.spec.evaluate import Frame, evaluate
from symgen.spec.language import Tensor
from symgen.spec.model import (
    RELATIONS,
    REQUIRED,
    Argument,
    Axis,
    Mistake,
    Parts,
    Role,
    exact,
    native,
    role_limits,
    symbol_of,
)
from symgen.spec.text import suggestion
from symgen.spec.trace import Trace
from symgen.spec.words import is_condition

ROLE_HINTS = "roles are Tensor, Param, Weight, Prob, Index, Labels, Mask, Shape, Real, Int, Literal[...] and bool"
NUMERIC = ("real", "int")


@dataclass(frozen=True)
class Parameter:
    """One argument as the text states it; ``default`` is exact, REQUIRED where there is none."""

    name: str
    role: Role
    default: Any
    keyword_only: bool
    line: int

    @property
    def argument(self) -> Argument:
        default = REQUIRED if self.default is REQUIRED else native(self.default)
        return Argument(self.name, self.role, default, self.keyword_only)

    @property
    def choices(self) -> tuple[object, ...]:
        """What the argument may be, where that chooses a variant: values, None and "given", or kinds of data."""
        if self.role.kinds:
            return tuple(r.kind for r in self.role.kinds)
        if self.role.optional:
            return (None, *(self.role.choices or ("given",)))
        return self.role.choices


def read_parameters(function: ast.FunctionDef, frame: Frame) -> tuple[Parameter, ...]:
    """The parameters of a function, checked.

    Raises:
        SpecError: an annotation is not a role, or a default is not a value that its role allows.
    """
    a = function.args
    plain = [*a.posonlyargs, *a.args]
    defaults: list[ast.expr | None] = [None] * (len(plain) - len(a.defaults)) + list(a.defaults)
    rows = [(p, d, False) for p, d in zip(plain, defaults, strict=True)]
    rows += [(p, d, True) for p, d in zip(a.kwonlyargs, a.kw_defaults, strict=True)]
    parameters = []
    for node, default, keyword_only in rows:
        role = Tensor if node.annotation is None else evaluate(node.annotation, frame)
        value = REQUIRED if default is None else evaluate(default, frame)
        try:
            check_role(role, node)
            if value is not REQUIRED:
                check_value(role, value, f"the default of '{node.arg}'")
        except Mistake as mistake:
            raise frame.text.error(node.lineno, frame.owner, mistake.what, mistake.hint) from None
        parameters.append(Parameter(node.arg, role, value, keyword_only, node.lineno))
    return tuple(parameters)


def check_role(role: Any, node: ast.arg) -> None:
    if not isinstance(role, Role):
        written = ast.unparse(node.annotation) if node.annotation else ""
        raise Mistake(f"'{written}' is not a role", ROLE_HINTS)
    if role.kind == "choice" and role.limits:
        raise Mistake("a choice has no limits", "list the values that are allowed")
    if role.kind in NUMERIC and role.axes:
        raise Mistake(f"'{node.arg}' is a scalar option and has no axes", "a learned array is Param[C]")


def check_value(role: Role, value: Any, what: str) -> None:
    """Whether a constant is allowed for a role."""
    if value is None:
        if not role.optional:
            raise Mistake(f"{what} is None", f"say that None is allowed: {role} | None")
        return
    if role.kind == "choice":
        given = value if isinstance(value, Expr) and not value.is_number else native(value)
        if given not in role.choices or isinstance(value, bool) != isinstance(role.choices[0], bool):
            allowed = ", ".join(map(repr, role.choices))
            near = difflib.get_close_matches(str(value), map(str, role.choices), 1) if isinstance(value, str) else []
            raise Mistake(f"{what} is {value!r}", f"did you mean '{near[0]}'?" if near else f"it is one of {allowed}")
        return
    if isinstance(value, (str, bool)) and not (role.kind == "mask" and isinstance(value, bool)):
        raise Mistake(f"{what} is {value!r}, and its role is {role}", "give a number")
    if isinstance(value, Expr) and value.is_number:
        if role.kind == "int" and not value.is_Integer:
            raise Mistake(f"{what} is {value}, not an integer", "declare it Real")
        for op, limit in role_limits(role):
            if RELATIONS[op](value, exact(limit)) == sp.false:
                raise Mistake(f"{what} is {value}, and its role is {role}", f"it has to be {op} {limit}")


def placeholder(parameter: Parameter, choice: object, trace: Trace) -> Any:
    """What stands for a parameter while its spec is traced, given the choice that this variant makes."""
    role = parameter.role
    if role.kinds:
        role = next(r for r in role.kinds if r.kind == choice)
    elif role.kind == "choice":
        return exact(choice)
    elif role.optional and choice is None:
        return None
    if role.kind == "shape":
        return None
    for axis in role.axes:
        if isinstance(axis, (Axis, Parts)):
            trace.axis(axis.axis if isinstance(axis, Parts) else axis)
    if role.kind == "labels" and role.of is not None:
        base = IndexedBase(parameter.name, integer=True)
        trace.value_axes[parameter.name] = trace.axis(role.of)
        return LabelList(base)
    if role.kind == "index" and role.of is not None:
        trace.value_axes[parameter.name] = trace.axis(role.of)
    return array(Argument(parameter.name, role), role)


def array(argument: Argument, role: Role) -> Any:
    """An operand at its running indices: a symbol without axes, an indexed one with them, a tuple of its parts."""
    symbol = symbol_of(argument)
    if not role.axes:
        return sp.Gt(symbol, 0) if role.kind == "mask" else symbol
    base = IndexedBase(argument.name, **({"integer": True} if role.kind == "index" else {"real": True}))
    first = role.axes[0]
    if isinstance(first, Parts):
        return tuple(base[j, first.axis.run] for j in range(first.count))
    if isinstance(first, int):
        return tuple(base[j] for j in range(first))
    value = base[tuple(a.run for a in role.axes if isinstance(a, Axis))]
    return sp.Gt(value, 0) if role.kind == "mask" else value


def bind(
    name: str, parameters: tuple[Parameter, ...], arguments: list[Any], keywords: dict[str, Any]
) -> dict[str, Any]:
    """Match a call's arguments with the parameters, as Python does, and check constants against the roles.

    Raises:
        Mistake: too many, missing, unknown, given twice, or not allowed.
    """
    positional = [p for p in parameters if not p.keyword_only]
    usage = f"{name}({', '.join(p.name for p in parameters)})"
    if len(arguments) > len(positional):
        raise Mistake(f"{name} takes {len(positional)} positional arguments, and {len(arguments)} are given", usage)
    values = {p.name: v for p, v in zip(positional, arguments, strict=False)}
    known = {p.name for p in parameters}
    for key, value in keywords.items():
        if key not in known:
            raise Mistake(f"{name} has no argument '{key}'", suggestion(key, known))
        if key in values:
            raise Mistake(f"{name} gets '{key}' twice", usage)
        values[key] = value
    for p in parameters:
        if p.name not in values:
            if p.default is REQUIRED and p.role.kind != "shape":
                raise Mistake(f"{name} needs '{p.name}'", usage)
            values[p.name] = sp.true if p.default is True and p.role.kind == "mask" else p.default
        check_passed(name, p, values[p.name])
    return values


def check_passed(name: str, parameter: Parameter, value: Any) -> None:
    """Whether a spec may be called with this value."""
    role, what = parameter.role, f"{name}: '{parameter.name}'"
    if role.kind == "shape" or value is REQUIRED:
        return
    if is_condition(value) and not isinstance(value, bool):
        if role.kind != "mask":
            raise Mistake(f"{what} is a condition", "write '1 if condition else 0'")
        return
    if isinstance(value, (LabelList, tuple)) or role.kinds:
        return
    if not isinstance(value, (Expr, str, bool)) and value is not None:
        raise Mistake(f"{what} is {value}, which is no formula", "")
    check_value(role, value, what)
