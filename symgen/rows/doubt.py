"""Plain arithmetic first, and of each row whether that was enough: pairs are for the few rows where it was not.

Beside every number of a float32 kernel that plain float64 arithmetic may get wrong goes its size: what it would be if
nothing in it cancelled. What rounding does to the number is a small multiple of 2**-53 of its size. So a result that is
no less than 2**-24 of it has some five bits beyond those of a float32; a row with any other is in doubt, and computed
again in pairs. Numbers that are infinite or NaN are always in doubt.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

import sympy as sp
from sympy import Expr, Indexed, Symbol
from sympy.core.relational import Relational

from symgen.heads import Cases, first_max, first_min, maximum, minimum, nearest, weighted
from symgen.program import Program, Stage
from symgen.rows.indices import base_of, index, is_nonnegative, loops, places, read
from symgen.rows.lower import verify
from symgen.rows.share import canonical

DOUBT, SIZE, NEAR = "doubt_", "size_", "near_"
MARGIN = sp.Integer(1 << 24)  # a result of one over this of its size has 29 bits less what a few roundings take
FREE = frozenset({"peak", "scale"})  # reductions that any other number would do as well for


class UnknownSizeError(Exception):
    """A formula holds what has no size here."""


@dataclass(frozen=True)
class Known:
    """What is known of an expression: whether it is exact, and its size, None where that is its absolute value."""

    exact: bool = False
    size: Expr | None = None


EXACT, ROUNDED = Known(True), Known()  # as it is; right to a few roundings


def doubtful(program: Program, nonnegative: Iterable[str] = ()) -> Program | None:
    """The program with a stage for each size that is wanted, and one that is not zero where a result is in doubt.

    Args:
        program: of float32 operands, ready to be scheduled.
        nonnegative: operands that are not negative.

    Returns:
        None if something in it has no size, or no result can be in doubt.
    """
    walk = _Sizes(signs=dict.fromkeys(nonnegative, "nonnegative"))
    made: list[Stage] = []
    try:
        for stage in program.stages:
            made += walk.stage(stage, stage.out in program.results)
    except UnknownSizeError:
        return None
    if not any(s.out.startswith(DOUBT) for s in made):
        return None
    return verify(Program(program.name, program.inputs, tuple(made), program.results))


def doubts(program: Program) -> tuple[str, ...]:
    """The stages that say of a row whether it is in doubt."""
    return tuple(s.out for s in program.stages if s.out.startswith(DOUBT))


@dataclass
class _Sizes:
    """The sizes of the stages so far, by name; what has none is an operand, which is exact."""

    known: dict[str, Known] = field(default_factory=dict)
    pending: list[Stage] = field(default_factory=list)  # of conditions in the stage at hand that may be in doubt
    asked: set[Any] = field(default_factory=set)  # the differences that decided these so far
    signs: dict[str, str] = field(default_factory=dict)

    def stage(self, stage: Stage, result: bool) -> Iterator[Stage]:
        """A stage with those of its size, and of its doubt if it is a result."""
        found = self.stage_of(stage)
        yield from self.pending
        self.pending.clear()
        number = self.blamed(stage.body) if result and stage.axes else None
        if number is not None:
            yield stage
            yield from self.asking(number)
            return
        name = NEAR + stage.out if result and found.size is not None else stage.out
        yield stage if name == stage.out else replace(stage, out=name, entry=None)
        if self.is_nonnegative(stage.body):
            self.signs[name] = "nonnegative"
        if found.size is None:
            self.known[name] = found
            return
        here = tuple(map(index, stage.axes))
        if not result:
            yield replace(stage, out=SIZE + name, body=found.size)
            self.known[name] = Known(size=read(SIZE + name, here))
            return
        yield replace(stage, body=read(name, here))
        yield Stage(SIZE + stage.out, "=", stage.axes, (), found.size)
        yield _doubt(stage.out, name, stage.axes)

    def blamed(self, e: Any) -> Expr | None:
        """The number of a row that alone is wrong about a product, so that all entries are as wrong as it is."""
        if isinstance(e, Symbol):
            return e if self.of(e).size is not None else None
        if isinstance(e, sp.Mul | weighted | Cases):
            sized = [a for a in (e.args[1:] if isinstance(e, Cases) else e.args) if self.of(a).size is not None]
            return self.blamed(sized[0]) if len(sized) == 1 else None
        return None

    def asking(self, number: Expr) -> Iterator[Stage]:
        """The doubt about a number, once."""
        if number not in self.asked:
            self.asked.add(number)
            yield _doubt(base_of(number), base_of(number), ())

    def stage_of(self, stage: Stage) -> Known:
        if stage.op in FREE:
            return EXACT
        found = self.of(stage.body)
        if stage.op == "=":
            return found
        if stage.op != "sum":
            raise UnknownSizeError
        size = sp.Abs(stage.body) if found.size is None else found.size
        return ROUNDED if found.size is None and self.is_nonnegative(stage.body) else Known(size=size)

    def is_nonnegative(self, e: Any) -> bool:
        if isinstance(e, Cases):
            return self.is_nonnegative(e.then) and self.is_nonnegative(e.otherwise)
        return is_nonnegative(e, self.signs)

    def of(self, e: Any) -> Known:
        """What is known of an expression."""
        if isinstance(e, Indexed | Symbol):
            found = self.known.get(base_of(e), EXACT)
            if found.size is None or not places(e):
                return found
            return Known(size=read(base_of(found.size), places(e)))
        if e.is_number:
            return EXACT
        rule = self.RULES.get(type(e))
        if rule is not None:
            return rule(self, e)  # type: ignore[no-any-return]
        if all(self.of(a).exact for a in e.args):
            return ROUNDED
        raise UnknownSizeError

    def size(self, e: Expr) -> Expr:
        found = self.of(e)
        return sp.Abs(e) if found.size is None else found.size

    def total(self, e: Expr) -> Known:
        """A sum; of two exact numbers it is rounded once, whatever cancels."""
        terms = [self.of(a) for a in e.args]
        if len(terms) == 2 and all(t.exact for t in terms):
            return ROUNDED
        if all(t.size is None for t in terms) and all(map(self.is_nonnegative, e.args)):
            return ROUNDED
        return Known(size=sp.Add(*map(self.size, e.args)))

    def product(self, e: Expr) -> Known:
        """A product; one with a power of two is exact."""
        factor, rest = e.as_coeff_Mul()
        if factor != 1 and factor.is_Rational and not any(n & (n - 1) for n in (abs(factor.p), factor.q)):
            found = self.of(rest)
            return found if found.size is None else Known(size=abs(factor) * found.size)
        sizes = {a: size for a in e.args if (size := self.of(a).size) is not None}
        terms = [size * sp.Abs(sp.Mul(*(b for b in e.args if b != a))) for a, size in sizes.items()]
        return Known(size=sp.Add(*terms)) if terms else ROUNDED

    def power(self, e: Expr) -> Known:
        size = self.of(e.base).size
        if size is None and e.exp.is_number:
            return ROUNDED
        if size is None or not e.exp.is_number:
            raise UnknownSizeError
        slope = e.base ** (e.exp - 1) if e.exp.is_Integer and e.exp > 0 else e / e.base
        return Known(size=sp.Max(1, abs(e.exp)) * sp.Abs(slope) * size)

    def exponential(self, e: Expr) -> Known:
        if self.of(e.args[0]).size is not None:
            raise UnknownSizeError
        return ROUNDED

    def logarithm(self, e: Expr) -> Known:
        size = self.of(e.args[0]).size
        return Known(size=sp.Abs(e) + (sp.S.One if size is None else size / sp.Abs(e.args[0])))

    def cases(self, e: Any) -> Known:
        for condition in e.condition.atoms(Relational):
            self.decide(condition)
        then, otherwise = self.of(e.then), self.of(e.otherwise)
        if then.size is None and otherwise.size is None:
            return EXACT if then.exact and otherwise.exact else ROUNDED
        return Known(size=Cases(e.condition, self.size(e.then), self.size(e.otherwise)))

    def decide(self, c: Any) -> None:
        """Whether a relation may be decided wrongly: a row is in doubt where its sides are too near."""
        sides = [self.of(a) for a in c.args]
        zero = isinstance(c, sp.Eq | sp.Ne) and c.rhs == 0 and sides[0].size is None  # which rounding does not move
        gap = canonical(c.lhs - c.rhs)
        if zero or all(s.exact for s in sides) or {gap, -gap} & self.asked:
            return
        name, axes = f"gap{len(self.asked)}", tuple(i.name for i in loops(gap))
        self.asked.add(gap)
        self.pending += [
            Stage(name, "=", axes, (), gap),
            Stage(SIZE + name, "=", axes, (), canonical(sp.Add(*map(self.size, c.args)))),
            _doubt(name, name, axes),
        ]

    def extreme(self, e: Expr) -> Known:
        """Of two numbers one; which, is in doubt where they are near. Beside an entry both count, which is cheaper."""
        found = [self.of(a) for a in e.args]
        if all(f.exact for f in found):
            return EXACT
        if all(f.size is None for f in found) and all(map(self.is_nonnegative, e.args)):
            return ROUNDED
        if loops(e):
            return Known(size=sp.Add(*map(self.size, e.args)))
        first, second = e.args
        above = first > second if isinstance(e, first_max | maximum) else first < second
        self.decide(above)
        return Known(size=Cases(above, *map(self.size, e.args)))

    def absolute(self, e: Expr) -> Known:
        return self.of(e.args[0])

    def rounded(self, _: Expr) -> Known:
        return EXACT

    RULES: ClassVar[Mapping[type, Any]] = {
        sp.Add: total, sp.Mul: product, weighted: product, sp.Pow: power, sp.exp: exponential, sp.log: logarithm,
        Cases: cases,
sp.Abs: absolute, nearest: rounded, first_max: extreme, first_min: extreme, maximum: extreme, minimum: extreme,
    }  # fmt: skip


def _doubt(result: str, name: str, axes: tuple[str, ...]) -> Stage:
    """One for each entry of a result that has not enough of its size; NaN never has."""
    over = tuple(f"{a}.1" for a in axes)
    value, size = (read(n, map(index, over)) for n in (name, SIZE + result))
    body = Cases(sp.Ge(MARGIN * sp.Abs(value), size), sp.S.Zero, sp.S.One)
    return Stage(DOUBT + result, "sum" if over else "=", (), over, body)
