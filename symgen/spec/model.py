"""What loading a spec yields: immutable, picklable records that every later stage reads."""

from __future__ import annotations

import ast
import enum
import textwrap
from dataclasses import dataclass, field, replace
from typing import Any

import sympy as sp
from sympy import Expr, Symbol

Number = int | float
MOST_PARTS = 64
OPTION_KINDS = frozenset({"real", "int", "choice"})
DATA_KINDS = frozenset({"tensor", "param", "weight", "prob", "index", "labels", "mask"})
FLIPPED = {">": "<", "<": ">", ">=": "<=", "<=": ">=", "!=": "!=", "==": "=="}


class SpecError(Exception):
    """A mistake in a spec: ``file:line: name: what``, the text, and a hint; a file and a line for editors."""

    def __init__(self, message: str, file: str = "", line: int = 0) -> None:
        super().__init__(message)
        self.file, self.line = file, line


class Mistake(Exception):  # noqa: N818  it becomes a SpecError
    """Something wrong that does not know its place yet; the evaluator turns it into a SpecError."""

    def __init__(self, what: str, hint: str = "") -> None:
        super().__init__(what)
        self.what, self.hint = what, hint


class Required(enum.Enum):
    """The type of ``REQUIRED``, an enumeration so that pickling keeps its identity."""

    REQUIRED = "required"

    def __repr__(self) -> str:
        return "REQUIRED"


REQUIRED = Required.REQUIRED


@dataclass(frozen=True)
class Axis:
    """A named axis of arrays.

    Args:
        name: as the card prints it.
        at: where it sits in a batched array: a position, ``"1:"`` for every axis after the batch, or the name of
            the Shape argument that says so. -1 makes it movable: the public face has ``axis=-1``.
        optional: an array that lacks the axis is taken to have length one along it.
        rank: how many axes an array that has it may have at most, itself among them; 0 for any number.
    """

    name: str
    at: int | str = -1
    optional: bool = False
    rank: int = 0

    @property
    def run(self) -> Symbol:
        """The running index at which a tensor stands when nothing else is said."""
        return Symbol(self.name, integer=True, nonnegative=True)

    @property
    def size(self) -> Symbol:
        return Symbol(f"|{self.name}|", integer=True, positive=True)

    def bound(self, depth: int) -> Symbol:
        """The index bound by a reduction, named by nesting depth so that equal reductions are equal."""
        return Symbol(f"{self.name}.{depth}", integer=True, nonnegative=True)

    def __rmul__(self, count: Any) -> Parts:
        return Parts(length(count), self)

    def __str__(self) -> str:
        return self.name


LISTED = "~"  # begins the name of an axis that runs along a list of classes, which no name in a spec does


def along_list(operand: str) -> Axis:
    """The axis of the classes that an operand lists: as long as the list of the row."""
    return Axis(LISTED + operand)


@dataclass(frozen=True)
class Parts:
    """``2 * C`` in an annotation: the axis is split into that many equal parts."""

    count: int
    axis: Axis

    def __str__(self) -> str:
        return f"{self.count} * {self.axis}"


@dataclass(frozen=True)
class Role:
    """What an argument is: its kind, the axes it varies along, and the values it may take.

    Args:
        kind: tensor, param, weight, prob, index, labels, mask, shape, real, int, choice, or either (see `kinds`).
        axes: named axes; ``Parts`` and plain numbers stand for an axis that is unpacked.
        limits: pairs such as ``(">", 0)``; the value of an option, or every element, satisfies all of them.
        optional: None is allowed, which is a variant of its own.
        choices: the values of a ``Literal[...]`` or ``bool``.
        of: for Index and Labels, the axis whose positions they name.
        kinds: for ``Index[K] | Prob[K]``, the roles to choose from.
    """

    kind: str
    axes: tuple[Axis | Parts | int, ...] = ()
    limits: tuple[tuple[str, Number], ...] = ()
    optional: bool = False
    choices: tuple[object, ...] = ()
    of: Axis | None = None
    kinds: tuple[Role, ...] = ()

    def __getitem__(self, axes: Any) -> Role:
        several = axes if isinstance(axes, tuple) else (axes,)
        given = tuple(a if isinstance(a, (Axis, Parts)) else length(a) for a in several)
        if self.kind == "index" and self.of is None and isinstance(given[0], Axis):
            return replace(self, of=given[0])
        if self.kind == "labels" and isinstance(given[0], Axis):  # a list has room for every class
            return replace(self, of=given[0], axes=given)
        return replace(self, axes=given)

    def limited(self, operator: str, value: Any) -> Role:
        return replace(self, limits=(*self.limits, (operator, native(value))))  # type: ignore[arg-type]

    def __gt__(self, value: Any) -> Role:
        return self.limited(">", value)

    def __ge__(self, value: Any) -> Role:
        return self.limited(">=", value)

    def __lt__(self, value: Any) -> Role:
        return self.limited("<", value)

    def __le__(self, value: Any) -> Role:
        return self.limited("<=", value)

    def __or__(self, other: Any) -> Role:
        if other is None:
            return replace(self, optional=True)
        if not isinstance(other, Role):
            raise Mistake(f"'{other}' is not a role", "a limit beside '|' needs brackets: (0 <= Real <= 1) | None")
        return Role("either", kinds=(*(self.kinds or (self,)), *(other.kinds or (other,))))

    def __ror__(self, other: Any) -> Role:
        return self.__or__(other)

    @property
    def is_option(self) -> bool:
        return self.kind in OPTION_KINDS

    @property
    def is_data(self) -> bool:
        return self.kind in DATA_KINDS or any(k.kind in DATA_KINDS for k in self.kinds)

    def __str__(self) -> str:
        """The annotation that states this role."""
        if self.kinds:
            return " | ".join(map(str, self.kinds))
        if self.kind == "choice":
            return "bool" if self.choices == (False, True) else f"Literal[{', '.join(map(repr, self.choices))}]"
        inside = [str(a) for a in ((self.of,) if self.of else ()) + self.axes]
        text = limited_text(self.kind.capitalize() + (f"[{', '.join(inside)}]" if inside else ""), self.limits)
        if not self.optional:
            return text
        return f"({text}) | None" if self.limits else f"{text} | None"


def length(value: Any) -> int:
    """A number in an annotation's brackets: into how many parts an axis of that length is unpacked."""
    if isinstance(value, (int, sp.Integer)) and 1 <= value <= MOST_PARTS:
        return int(value)
    hint = f'an axis is declared, C = Axis("C"); a whole number from 1 to {MOST_PARTS} is the length of an unpacked one'
    raise Mistake(f"'{value}' is not an axis", hint)


def limited_text(word: str, limits: tuple[tuple[str, Number], ...]) -> str:
    """``0 <= Real <= 1`` from the word and its limits."""
    lower = [f"{v} {FLIPPED[o]} " for o, v in limits if o in (">", ">=")]
    others = [f" {o} {v}" for o, v in limits if o not in (">", ">=")]
    if lower and not others:
        return word + "".join(f" {o} {v}" for o, v in limits)
    return "".join(lower) + word + "".join(others)


def native(value: Any) -> object:
    """A Python number (or text, truth value, None) for an exact one: what an option's default is at run time."""
    if isinstance(value, sp.Integer):
        return int(value)
    if isinstance(value, (sp.Expr, sp.logic.boolalg.BooleanAtom)):
        return bool(value) if isinstance(value, sp.logic.boolalg.BooleanAtom) else float(value)
    return value


def exact(value: Any) -> Any:
    """The SymPy number whose decimal digits are those of a Python number; anything else as it is."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return value
    if value in (float("inf"), float("-inf")):
        return sp.oo if value > 0 else -sp.oo
    return sp.Rational(repr(value))


@dataclass(frozen=True)
class Source:
    """Where a spec is written. ``text`` is the ``def`` as written, from its first line, without decorators."""

    file: str
    line: int
    text: str


@dataclass(frozen=True)
class Argument:
    """One argument. ``default`` is a Python number, text, truth value or None, or REQUIRED."""

    name: str
    role: Role
    default: object = REQUIRED
    keyword_only: bool = False


@dataclass(frozen=True)
class Variant:
    """One formula of an op, chosen by its options.

    Args:
        suffix: an identifier that names the variant, empty where there is only one.
        settings: of each argument that has choices, the choice (a value, None, "given", or a kind of data).
        conditions: relations between options, each with its truth in this variant.
        value: the formula, over symbols named as the arguments.
        share: a loss's share in the mean, if it returned one.
    """

    suffix: str
    settings: tuple[tuple[str, object], ...]
    conditions: tuple[tuple[Any, bool], ...]
    value: Expr
    share: Expr | None = None


@dataclass(frozen=True)
class Alternative:
    """Another way in which books write the function: its text, what it means, and where the two differ."""

    text: str
    note: str
    value: Expr


@dataclass(frozen=True)
class Op:
    """A function as its spec defines it."""

    name: str
    kind: str
    summary: str
    doc: str
    arguments: tuple[Argument, ...]
    variants: tuple[Variant, ...]
    assertions: tuple[Any, ...]
    torch: str | None
    cite: str | None
    reduction: str
    aliases: tuple[str, ...]
    symbols: dict[str, str] = field(hash=False)
    source: Source
    alternatives: tuple[Alternative, ...] = ()
    whole: Op | None = None  # the definition that this is the epilogue of, see `symgen.layers`

    @property
    def operands(self) -> tuple[Argument, ...]:
        """The arguments that are arrays, in signature order."""
        return tuple(a for a in self.arguments if a.role.is_data)

    @property
    def options(self) -> tuple[Argument, ...]:
        """The arguments that are scalars or choices, in signature order."""
        return tuple(a for a in self.arguments if a.role.is_option)

    def argument(self, name: str) -> Argument:
        return next(a for a in self.arguments if a.name == name)

    def symbol(self, name: str) -> Symbol:
        """The symbol that stands for the argument in the variants' expressions."""
        return symbol_of(self.argument(name))

    def assumptions(self, variant: Variant) -> tuple[Any, ...]:
        """What is known of the symbols in a variant: stated domains, assertions and the variant's own conditions."""
        known: list[Any] = []
        present = dict(variant.settings)
        for argument in self.arguments:
            if argument.role.kind in ("real", "int", "tensor", "param", "weight", "prob") and not (
                argument.role.optional and present.get(argument.name, "given") is None
            ):
                known += limit_relations(argument)
        known += self.assertions
        known += [condition if truth else sp.Not(condition) for condition, truth in variant.conditions]
        return tuple(known)

    @property
    def definition(self) -> str:
        """The formula's lines as the author wrote them: the body without its docstring."""
        function = ast.parse(self.source.text).body[0]
        assert isinstance(function, ast.FunctionDef)
        lines = self.source.text.splitlines()
        first = function.body[0].end_lineno or 1
        return textwrap.dedent("\n".join(lines[first:])).strip("\n")


IMPLIED_LIMITS: dict[str, tuple[tuple[str, Number], ...]] = {
    "weight": ((">=", 0),),
    "prob": ((">=", 0), ("<=", 1)),
}
RELATIONS = {">": sp.Gt, "<": sp.Lt, ">=": sp.Ge, "<=": sp.Le, "==": sp.Eq, "!=": sp.Ne}


def role_limits(role: Role) -> tuple[tuple[str, Number], ...]:
    """The stated limits, with those that the kind implies."""
    return IMPLIED_LIMITS.get(role.kind, ()) + role.limits


def limit_relations(argument: Argument) -> list[Any]:
    symbol = symbol_of(argument)
    return [RELATIONS[o](symbol, exact(v)) for o, v in role_limits(argument.role)]


def symbol_of(argument: Argument) -> Symbol:
    """Operands are real symbols, Real options extended real (infinity is a value they may take), Int ones integer."""
    if argument.role.kind == "real":
        return Symbol(argument.name, extended_real=True)
    if argument.role.kind in ("int", "index"):
        return Symbol(argument.name, integer=True)
    return Symbol(argument.name, real=True)
