"""A NaN that a condition meets comes out: no case of a formula is meant for it, though code would take one.

Arithmetic passes a NaN on by itself, comparisons do not: ``0 if x < 1 else 1`` is one for it. Which operands' NaN reach
the results is followed through the stages of a program; those that are lost on the way are asked for where a case is
told by them. Whether a sample is ignored, and which class it has, is no question of numbers, so that what is never read
stays unread.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from functools import reduce
from typing import Any

import sympy as sp
from sympy import Indexed, Symbol
from sympy.core.relational import Relational

from symgen import heads
from symgen.program import Program
from symgen.rows.doubt import FREE
from symgen.rows.indices import base_of, is_index, places
from symgen.rows.precision import Facts

_CHOICES = (heads.first_max, heads.first_min, heads.maximum, heads.minimum)
_TELLING = (heads.Cases, sp.sign, *_CHOICES)


@dataclass(frozen=True)
class Flow:
    """Whose NaN comes out of what.

    Attributes:
        facts: which operands are no numbers.
        some: for a stage the operands of which some entry's NaN makes its own result one.
        whole: those of which every entry's does that the stage's indices run over.
        light: weights, and stages that are the product of one: where they are zero nothing counts.
        lost: the operands that decide a case and whose NaN some result does not have by itself.
    """

    facts: Facts
    some: Mapping[str, frozenset[str]]
    whole: Mapping[str, frozenset[str]]
    light: frozenset[str] = frozenset()
    lost: frozenset[str] = frozenset()

    def from_some(self, read: Any) -> frozenset[str]:
        """The operands that a NaN of a read may come from."""
        name = base_of(read)
        if is_index(read) or name.startswith("|") or name in (*self.facts.places, *self.facts.options):
            return frozenset()
        return self.some.get(name, frozenset((name,)))

    def from_every(self, read: Any) -> frozenset[str]:
        """Those of which no entry is left out, as it is where a class says which one is read."""
        every = all(map(is_index, places(read)))
        return self.whole.get(base_of(read), self.from_some(read)) if every else frozenset()

    def defined(self, e: Any) -> Any:
        """An expression with a test for each number that decides a case of it and whose NaN would be lost."""
        missing = frozenset(o for o in self.lost if not keeps(e, o, self.from_every))
        return self._guarded(e, missing) if missing and e.has(*_TELLING) else e

    def _guarded(self, e: Any, missing: frozenset[str]) -> Any:
        """The expression with tests as far out as no case is that leaves numbers unread."""
        if not e.args or isinstance(e, Indexed | sp.logic.boolalg.Boolean):
            return e
        if any(self._leaves(n) for n in e.atoms(heads.Cases, heads.weighted)):
            return e.func(*(self._guarded(a, missing) for a in e.args))
        left = {o for o in missing if not keeps(e, o, self.from_every)}
        tests = []
        for r in sorted(asked(e), key=lambda r: -len(self.from_every(r))):
            every = self.from_every(r)
            picked = self.from_some(r) - every  # an entry that no other read stands for
            if ((every & left) or (picked & missing)) and not _keeps_alone(e, r):
                tests.append(r)
                left -= every
        light = [r for r in sorted(_reads(e), key=sp.default_sort_key) if base_of(r) in self.light]
        return reduce(lambda value, r: heads.defined(reduce(_unless_zero, light, r), value), tests, e)

    def _leaves(self, e: Any) -> bool:
        """Whether a node has a case in which numbers do not count: a place in a row tells, or a weight of zero."""
        if isinstance(e, heads.weighted):
            return True
        return any(is_index(r) or base_of(r) in self.facts.places for r in _reads(e.condition))


def keeps(e: Any, operand: str, carried: Callable[[Any], Collection[str]]) -> bool:
    """Whether the code of an expression is NaN where an operand is, other equalities taken to fail.

    Args:
        e: an expression over reads.
        operand: its name.
        carried: whose NaN makes a read one.
    """
    if isinstance(e, Indexed | Symbol):
        return operand in carried(e)
    if isinstance(e, heads.Cases):
        told = any(operand in carried(r) for r in _reads(e.condition))
        return keeps(e.otherwise, operand, carried) and (
            (told and _fails(e.condition)) or keeps(e.then, operand, carried)
        )
    if isinstance(e, _CHOICES):  # as they are printed: beside a number the other one, else the second
        return keeps(e.args[0] if e.args[1].is_number else e.args[1], operand, carried)
    if isinstance(e, heads.weighted):
        return keeps(e.args[0], operand, carried)
    return not isinstance(e, sp.sign) and any(keeps(a, operand, carried) for a in e.args)


def _keeps_alone(e: Any, read: Any) -> bool:
    """Whether code is NaN where one read is."""
    return keeps(e, "", lambda r: ("",) if r == read else ())


def asked(e: Any) -> tuple[Any, ...]:
    """The reads that decide which of several values an expression has."""
    found = (_reads(n.condition if isinstance(n, heads.Cases) else n) for n in e.atoms(*_TELLING))
    return tuple(sorted(set().union(*found), key=sp.default_sort_key))


def flow(program: Program, facts: Facts) -> Flow:
    """Whose NaN comes out of the stages of a program, once bodies are `Flow.defined`.

    Args:
        program: of stages.
        facts: what is known of its operands.
    """
    light = set(facts.light)
    for stage in program.stages:
        if any(isinstance(f, heads.weighted) or _name(f) in light for f in sp.Mul.make_args(stage.body)):
            light.add(stage.out)
    plain = _carried(program, Flow(facts, {}, {}, frozenset(light)))
    deciding = {o for s in program.stages for r in asked(s.body) for o in plain.from_some(r)}
    lost = frozenset(o for o in deciding if any(o not in plain.whole[r] for r in program.results))
    return _carried(program, Flow(facts, {}, {}, plain.light, lost)) if lost else plain


def _carried(program: Program, known: Flow) -> Flow:
    numbers = [base_of(s) for s in program.inputs]
    for stage in program.stages:
        # a peak or a scale is a number near, whatever the entries are
        body = sp.S.Zero if stage.op in FREE else known.defined(stage.body)
        some, whole = (
            frozenset(o for o in numbers if keeps(body, o, carried)) for carried in (known.from_some, known.from_every)
        )
        known = replace(known, some={**known.some, stage.out: some}, whole={**known.whole, stage.out: whole})
    return known


def _unless_zero(tested: Any, weight: Any) -> Any:
    return heads.weighted(weight, tested)


def _reads(e: Any) -> set[Any]:
    """The numbers of an expression, and the indices that it compares; not those that say where to read."""
    if isinstance(e, Indexed | Symbol):
        return {e}
    return set().union(*map(_reads, e.args))


def _name(e: Any) -> str:
    return base_of(e) if isinstance(e, Indexed | Symbol) else ""


def _fails(condition: Any) -> bool:
    """Whether a condition on NaN is false: comparisons are but for "unequal"."""
    if isinstance(condition, sp.Or):
        return all(isinstance(c, sp.Eq) for c in condition.args)
    return isinstance(condition, Relational) and not isinstance(condition, sp.Ne)


__all__ = ["Flow", "flow"]
