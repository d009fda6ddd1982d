"""Whether short elementary functions are enough for a float32 result: where nothing that they enter is subtracted.

A product, a quotient, a root and a sum of one sign keep the relative precision of what they are made of. What is
computed from operands alone is exact here, since it is carried in pairs. The two facts about a free parameter that
sums of exponentials need are read off how it is chosen: no exponent is above it, and the sum has a term of one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

import sympy as sp
from sympy import Expr, Indexed, Symbol

from symgen.heads import Cases, first_max, first_min, maximum, minimum, nearest, straight_through, weighted
from symgen.program import Program, Stage
from symgen.rows.indices import base_of, free_symbols, parts, replaced
from symgen.rows.share import DEAR
from symgen.rows.shift import Family
from symgen.vocabulary import hypot, log1mexp, log1p

EXACT, RELATIVE, LOST = 0, 1, 2
UNTRACKED = tuple(f for f in DEAR if f is not hypot)  # whose own rounding float32 results do without


@dataclass(frozen=True)
class Facts:
    """What is known of operands and options, by name.

    Attributes:
        light: weights and probabilities, which are not negative.
        nonnegative: these, and options whose domain says so.
        params: operands that all samples share: no formula makes one of them cancel what it is added to.
        tensors: operands that are float32 where results are.
        places: classes, lists of classes, and masks.
        options: numbers that are the same for all samples.
    """

    light: tuple[str, ...] = ()
    nonnegative: tuple[str, ...] = ()
    params: tuple[str, ...] = ()
    tensors: tuple[str, ...] = ()
    places: tuple[str, ...] = ()
    options: tuple[str, ...] = ()


@dataclass(frozen=True)
class Grade:
    """What is known of a number: how it is known, its sign (0: either), and whether it is one and more."""

    known: int
    sign: int = 0
    unit: bool = False


def relative(program: Program, families: Iterable[Family], light: Collection[str] = ()) -> bool:
    """Whether all results are right to the relative precision of the elementary functions in them.

    Args:
        program: in pair arithmetic, all but the elementary functions.
        families: the free parameters.
        light: operands that are not negative.
    """
    walk = _Walk(tuple(families), {name: Grade(EXACT, 1) for name in light})
    for stage in program.stages:
        walk.grades[stage.out] = walk.stage(stage)
    return all(walk.grades[r].known != LOST for r in program.results)


def units(program: Program, families: Iterable[Family]) -> set[str]:
    """The sums that lie between one and the length of the row, or are zero or no number."""
    walk = _Walk(tuple(families))
    for stage in program.stages:
        walk.grades[stage.out] = walk.stage(stage)
    return {s.out for s in program.stages if s.op == "sum" and walk.grades[s.out].unit}


def delicate(program: Program, families: Iterable[Family], light: Collection[str] = ()) -> frozenset[str]:
    """The stages in which most of an inexact sum may cancel before it is a factor of itself, a divisor or an argument.

    The number that is left of ``1 - p`` may be zero, and all of it be missing: ``(1 - p)**2``, ``1/(1 - p)`` and
    ``log(1 - p)`` want it rounded again first.

    Args:
        program: in pair arithmetic.
        families: the free parameters.
        light: operands that are not negative.
    """
    walk = _Walk(tuple(families), {name: Grade(EXACT, 1) for name in light})
    found = set()
    for stage in program.stages:
        walk.grades[stage.out] = walk.stage(stage)
        if any(walk.collapses(e) for e in parts(stage.body)):
            found.add(stage.out)
    return frozenset(found)


@dataclass(frozen=True)
class Loose:
    """What is known to the precision of a float64 and no better, so that no low part makes it more.

    Attributes:
        numbers: stages whose low parts nobody asks for.
        plain: those among them, and results, whose own roundings are no worse than those of what they are made of;
            with their bodies, in which exact differences come first.
        exact: stages that are known beyond a float64.
        ones: sums of one and of what has to be told from one.
        settled: stages that could be known beyond a float64, and need not be.
    """

    numbers: frozenset[str] = frozenset()
    plain: Mapping[str, Expr] = field(default_factory=dict)
    exact: frozenset[str] = frozenset()
    ones: frozenset[str] = frozenset()
    settled: frozenset[str] = frozenset()


def loose(program: Program, families: Iterable[Family], facts: Facts) -> Loose:
    """What of a program needs no pair arithmetic where its elementary functions are not tracked beyond a float64.

    A sum of shifted exponentials is one and a little: that little is wanted where the sum meets something exact, as in
    ``p - 1`` and ``log(s)``, which are no loose bodies; nowhere else.

    Args:
        program: that computes float32 results in float64.
        families: the free parameters.
        facts: what is known of operands.
    """
    settled = _settled_stages(program, tuple(families), facts)
    walk = _walk(program, families, facts, settled)
    bodies: dict[str, Expr] = {}
    exact, units = set(), set()
    for stage in program.stages:
        walk.grades[stage.out] = walk.stage(stage)
        if walk.beyond(stage.body) and stage.out not in settled:
            exact.add(stage.out)
            continue
        walk.entered[stage.out] = walk.origins(stage.body) | {stage.out}
        if walk.loose(stage.body) and (body := walk.grouped(stage.body)) is not None:
            bodies[stage.out] = body
        if stage.op == "sum" and walk.grades[stage.out].unit:
            units.add(stage.out)
    rounded = {s.out for s in program.stages if s.op in ("=", "sum")} - exact
    numbers = {n for n in rounded if _stays_loose(program, n, bodies)}
    plain = {n: bodies[n] for n in bodies if n in numbers}
    return Loose(frozenset(numbers), plain, frozenset(exact), frozenset(units - numbers), settled)


def _settled_stages(program: Program, families: tuple[Family, ...], facts: Facts) -> frozenset[str]:
    """The stages of an algebraic program that may be rounded, since all results keep their relative precision.

    A difference from a mean is such a stage, and the sum of its squares; the sum that the mean is of is none, for it
    is subtracted.
    """
    if any(isinstance(e, DEAR) for stage in program.stages for e in parts(stage.body)):
        return frozenset()
    found: frozenset[str] = frozenset()
    for stage in program.stages:
        walk = _walk(program, families, facts, found | {stage.out})
        if all(walk.settles(s) for s in program.stages):
            found |= {stage.out}
    return found


def _walk(program: Program, families: Iterable[Family], facts: Facts, settled: frozenset[str]) -> _Walk:
    """What is known of a program some of whose stages are rounded."""
    signs = facts.nonnegative if settled else facts.light
    params = _added_params(program, facts) if settled else frozenset()
    return _Walk(tuple(families), {n: Grade(EXACT, 1) for n in signs}, settled=settled, params=params)


def _added_params(program: Program, facts: Facts) -> frozenset[str]:
    """The parameters that are read once, in a result."""
    count = Counter(name for stage in program.stages for name in _names(stage.body))
    last = {name for s in program.stages if s.out in program.results for name in _names(s.body)}
    return frozenset(n for n in facts.params if count[n] == 1 and n in last)


def _stays_loose(program: Program, name: str, bodies: Collection[str]) -> bool:
    """Whether all that is made of a stage, and of that in turn, are loose bodies, or rounded to a number near it."""
    found = {name}
    for stage in program.stages:
        if found & _names(_settled(stage.body)):
            if stage.out not in bodies:
                return False
            found.add(stage.out)
    return True


@dataclass
class _Walk:
    families: tuple[Family, ...]
    grades: dict[str, Grade] = field(default_factory=dict)
    known: dict[Any, Grade] = field(default_factory=dict)  # of the expressions in the stage at hand
    slack: dict[Any, bool] = field(default_factory=dict)  # whether those are loose
    ones: set[str] = field(default_factory=set)  # stages of exponentials of which one in each row is one
    near: set[str] = field(default_factory=set)  # numbers near a mean
    entered: dict[str, frozenset[str]] = field(default_factory=dict)  # by elementary functions, first in which stages
    settled: frozenset[str] = frozenset()  # stages that are rounded
    params: frozenset[str] = frozenset()  # operands that cancel nothing

    def collapses(self, e: Any) -> bool:
        """Whether an expression takes a sum of which nearly nothing may be left for more than a single factor."""
        if isinstance(e, sp.Pow):
            return self._cancelled(e.base) and e.exp != 1
        if isinstance(e, sp.Mul | weighted):
            return sum(map(self._cancelled, e.args)) > 1
        if isinstance(e, log1p):
            return self.of(e.args[0]).sign <= 0 and self._entered(e.args[0])
        return isinstance(e, sp.log | sp.Abs | log1mexp) and self._cancelled(e.args[0])

    def _cancelled(self, e: Any) -> bool:
        """Whether an expression is a sum of inexact numbers of either sign, computed right here."""
        if isinstance(e, sp.Mul | weighted):
            return any(map(self._cancelled, e.args))
        return isinstance(e, sp.Add) and self.of(e).known == LOST

    def settles(self, stage: Stage) -> bool:
        """Whether a stage, in its turn, keeps its relative precision if it is one that has to."""
        grade = self.grades[stage.out] = self.stage(stage)
        if self.settled & _names(stage.body) or stage.out in self.settled:
            self.entered[stage.out] = self.origins(stage.body) | {stage.out}
        return grade.known != LOST and (stage.out not in self.settled or self.loose(stage.body))

    def stage(self, stage: Stage) -> Grade:
        found = self._stage(stage)
        if stage.out not in self.settled:
            return found
        return Grade(max(found.known, RELATIVE if found.known != EXACT or stage.op != "sum" or found.sign else LOST),
                     found.sign, found.unit)  # fmt: skip

    def _stage(self, stage: Stage) -> Grade:
        self.known.clear()
        self.slack.clear()
        if isinstance(stage.body, nearest):
            self.near.add(stage.out)
        found = self.of(stage.body)
        if self._shifted(stage.body):
            self.ones.add(stage.out)
        if stage.op == "sum":
            if found.known == EXACT or (found.known == RELATIVE and found.sign):
                return Grade(found.known, found.sign, self._shifted(stage.body))
            return Grade(LOST)
        if stage.op == "prod":
            return Grade(found.known)
        return found if stage.op == "=" else Grade(found.known if found.known == EXACT else LOST)

    def beyond(self, e: Any) -> bool:
        """Whether an expression is known beyond a float64: roots and quotients of pairs are, as operands are."""
        rest = _settled(e)
        return not (any(isinstance(part, UNTRACKED) for part in parts(rest)) or self.entered.keys() & _names(rest))

    def origins(self, e: Expr) -> frozenset[str]:
        """The stages whose roundings an expression has inherited."""
        return frozenset().union(*(self.entered.get(n, frozenset()) for n in _names(_settled(e))))

    def _related(self, e: Expr) -> bool:
        """Whether terms of a sum have inherited the same roundings: these cancel as the terms do, and others show.

        Differences from a number near their mean do not cancel any further.
        """
        if self.near & _names(e):
            return False
        inherited = [self.origins(a) for a in e.args]
        return any(a & b for i, a in enumerate(inherited) for b in inherited[:i])

    def loose(self, e: Any) -> bool:
        """Whether float64 arithmetic loses no more than what an expression is made of has lost.

        So it is of products, of the difference of two numbers, of sums of one sign, or without an exact part and of
        terms that have nothing inexact in common.
        """
        if e not in self.slack:
            self.slack[e] = self._loose(e)
        return self.slack[e]

    def _loose(self, e: Any) -> bool:
        if isinstance(e, DEAR) and self._entered(e):
            return False
        if isinstance(e, sp.Add) and (exact := [a for a in e.args if self.beyond(a)]):
            fine = len(exact) == len(e.args) or self.of(e).known == RELATIVE
            return fine and len(exact) <= 2 and all(map(_is_atom, exact)) and all(map(self.loose, e.args))
        if isinstance(e, sp.Add) and self.of(e).known != RELATIVE and self._related(e):
            return False
        return all(self.loose(a) for a in e.args) if isinstance(e, sp.Basic) and not isinstance(e, Indexed) else True

    def grouped(self, e: Expr) -> Expr | None:
        """An expression with the difference of a sum's exact parts as one number; None if several sums have some."""
        there = {}
        for part in parts(e):
            exact = [a for a in part.args if self.beyond(a)] if isinstance(part, sp.Add) and len(part.args) > 2 else []
            if len(exact) == 2:
                there[part] = sp.Add(nearest(sp.Add(*exact)), *(a for a in part.args if a not in exact))
        return None if len(there) > 1 else replaced(e, there)

    def _shifted(self, body: Expr) -> bool:
        """Whether a body is an exponential less its parameter, or such a stage, where a case does not leave it out."""
        if isinstance(body, Cases):
            return body.otherwise == 0 and self._shifted(body.then)
        if isinstance(body, sp.exp):
            return self._below(body.args[0])
        return isinstance(body, Indexed) and base_of(body) in self.ones

    def _below(self, u: Expr) -> bool:
        """Whether an exponent is one of a family, less its parameter: never positive, and zero somewhere."""
        for family in (f for f in self.families if f.alone):
            for m in (a for a in sp.Add.make_args(-u) if base_of(a) == family.parameter):
                if family.exponential and family.parameter_at(u + m) == m:
                    return True
        return False

    def of(self, e: Any) -> Grade:
        """What is known of an expression."""
        if e not in self.known:
            self.known[e] = self._of(e)
        return self.known[e]

    def _of(self, e: Any) -> Grade:
        if isinstance(e, Indexed | Symbol):
            name = base_of(e)
            return self.grades.get(name, Grade(EXACT, int(name.startswith("|"))))
        if e.is_number:
            return Grade(EXACT, int(sp.sign(e)) if e.is_extended_real else 0)
        rule = self.RULES.get(type(e))
        return rule(self, e) if rule else Grade(LOST if self._entered(e) else RELATIVE)

    def _entered(self, e: Any) -> bool:
        """Whether an expression reads a stage that is not exact."""
        names = [base_of(r) for r in free_symbols(e)]
        return any(self.grades.get(n, Grade(EXACT)).known != EXACT for n in names)

    def exponential(self, e: Expr) -> Grade:
        return Grade(LOST if self.of(e.args[0]).known != EXACT else RELATIVE, 1)

    def logarithm(self, e: Expr) -> Grade:
        inner = self.of(e.args[0])
        if inner.unit:  # log(1 + t), t a sum of positive terms: what is relatively wrong with t is so with this
            return Grade(RELATIVE, 1)
        return Grade(RELATIVE if inner.known == EXACT else LOST)

    def total(self, e: Expr) -> Grade:
        parts = {a: self.of(a) for a in e.args}
        rest = sp.Add(*(a for a, g in parts.items() if g.known == EXACT))
        others = [g for g in parts.values() if g.known != EXACT]
        if len(others) == 1 and rest != 0 and _is_atom(rest) and base_of(rest) in self.params:
            return Grade(others[0].known)
        sign = self._sign([g for g in parts.values() if g.known == EXACT])
        sign = sign or (-1 if self._below(rest) else 1 if self._below(-rest) else 0)
        if not others:
            return Grade(EXACT, sign)
        graded = [*others, *([Grade(EXACT, sign)] if rest != 0 else [])]
        common = self._sign(graded)
        return Grade(RELATIVE, common) if common and all(g.known != LOST for g in graded) else Grade(LOST)

    @staticmethod
    def _sign(grades: Iterable[Grade]) -> int:
        signs = {g.sign for g in grades}
        return signs.pop() if len(signs) == 1 else 0

    def product(self, e: Expr) -> Grade:
        parts = [self.of(a) for a in e.args]
        sign = 1
        for p in parts:
            sign *= p.sign
        return Grade(max(p.known for p in parts), sign)

    def power(self, e: Expr) -> Grade:
        base = self.of(e.base)
        if not e.exp.is_number:
            return Grade(LOST)
        even = bool(e.exp.is_even)
        known = RELATIVE if base.known == EXACT and not e.exp.is_Integer else base.known
        return Grade(known, 1 if even else base.sign)

    def cases(self, e: Any) -> Grade:
        parts = [self.of(e.then), self.of(e.otherwise)]
        if self._entered(e.condition) and not self._tells_zero(e.condition):
            return Grade(LOST)
        signs = {p.sign for p, a in zip(parts, (e.then, e.otherwise), strict=True) if a != 0}
        return Grade(max(p.known for p in parts), signs.pop() if len(signs) == 1 else 0)

    def _tells_zero(self, condition: Any) -> bool:
        """Whether a condition asks of numbers no more than whether they are zero, which relative precision tells."""
        if isinstance(condition, sp.And | sp.Or | sp.Not):
            return all(map(self._tells_zero, condition.args))
        return isinstance(condition, sp.Eq | sp.Ne) and condition.rhs == 0 and self.of(condition.lhs).known != LOST

    def extreme(self, e: Any) -> Grade:
        """Of two numbers the one or the other."""
        parts = [self.of(a) for a in e.args]
        return Grade(max(p.known for p in parts), self._sign(parts))

    def size(self, e: Expr) -> Grade:
        return Grade(self.of(e.args[0]).known, 1)

    def through(self, e: Any) -> Grade:
        return self.of(e.args[0])

    def rounded(self, _: Expr) -> Grade:
        """Of a number near something: it is what it is."""
        return Grade(EXACT)

    RULES: ClassVar[Mapping[type, Any]] = {
        sp.exp: exponential, sp.log: logarithm, sp.Add: total, sp.Mul: product, weighted: product, sp.Pow: power,
        Cases: cases, straight_through: through, nearest: rounded, sp.Abs: size,
        first_max: extreme, first_min: extreme, maximum: extreme, minimum: extreme,
    }  # fmt: skip


def _settled(e: Expr) -> Expr:
    """An expression without what is only rounded to a number near it, which is what it is."""
    near = {part: sp.S.Zero for part in parts(e) if isinstance(part, nearest)}
    return replaced(e, near) if near else e


def _names(e: Expr) -> set[str]:
    return {base_of(r) for r in free_symbols(e)}


def _is_atom(e: Any) -> bool:
    """Whether an expression is a number that is read, or its negative."""
    return isinstance(-e if e.could_extract_minus_sign() else e, Indexed | Symbol)
