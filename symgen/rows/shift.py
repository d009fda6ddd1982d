"""Parameters whose derivative vanishes: the shift of a log-sum-exp and the scale of a norm, as one rule with a proof.

A reduction of exponentials is ``e^m`` times the same reduction of ``exp(u - m)``, a reduction of powers ``m^p`` times
that of ``(u/m)^p``. Either factor is carried through the program beside each stage, through products, powers,
logarithms and sums of terms that have it in common, until it cancels or is multiplied back in. Whatever m is, the
results are the same, which `proved` shows by their derivative in m; so m is chosen such that nothing overflows, and
calculus never needs to know of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import sympy as sp
from sympy import Expr, Symbol

from symgen.calculus import derivative
from symgen.heads import Cases, weighted
from symgen.program import Program, Stage
from symgen.rows.indices import base_of, index, is_index, loops, opened, places, read
from symgen.rows.lower import Stages, verify
from symgen.rows.recognize import log_of

PEAK, SCALE = "peak", "scale"  # the largest, or zero where that is infinite; a power of two near the largest


@dataclass(frozen=True)
class Family:
    """Expressions that share a parameter: those of a pattern's shape, at whatever indices.

    Attributes:
        pattern: the exponent, or the base of the power, as it stands in the reduction.
        over: the index that the reduction binds.
        parameter: the stage of the parameter.
        exponential: whether the expressions are exponents; else they are bases.
    """

    pattern: Expr
    parameter: str
    at: tuple[Symbol, ...]
    exponential: bool

    def parameter_at(self, e: Expr) -> Expr | None:
        """The parameter that belongs to an expression of this family, None if it is none."""
        bound: dict[Symbol, Any] = {}
        if not _matches(self.pattern, e, bound):
            return None
        return read(self.parameter, (bound[i] for i in self.at))


def _matches(pattern: Any, e: Any, bound: dict[Symbol, Any]) -> bool:
    if is_index(pattern):
        return bool(bound.setdefault(pattern, e) == e)
    if not pattern.args:
        return bool(pattern == e)
    if type(pattern) is not type(e) or len(pattern.args) != len(e.args):
        return False
    if not isinstance(pattern, sp.Add | sp.Mul):
        return all(_matches(p, a, bound) for p, a in zip(pattern.args, e.args, strict=True))
    left = list(e.args)  # the order of terms changes with the names of indices
    for p in pattern.args:
        for a in left:
            tried = dict(bound)
            if _matches(p, a, tried):
                bound |= tried
                left.remove(a)
                break
        else:
            return False
    return True


@dataclass(frozen=True)
class Scaled:
    """``factor * rest``, where the factor is a product of powers of the free parameters."""

    factor: Expr
    rest: Expr

    @property
    def whole(self) -> Expr:
        return self.factor * self.rest


@dataclass
class Shifting:
    """Rewrites expressions into what is left beside their factor."""

    families: tuple[Family, ...]
    factors: dict[str, tuple[tuple[Symbol, ...], Expr]]  # of each stage, at its own indices

    def scaled(self, e: Expr) -> Scaled:
        if isinstance(e, sp.exp):
            return self.exponential(e)
        if isinstance(e, sp.Indexed) or (isinstance(e, Symbol) and str(e) in self.factors):
            return self.stage(e)
        if not e.args or isinstance(e, sp.logic.boolalg.Boolean):
            return Scaled(sp.S.One, e)
        rule = self.RULES.get(type(e))
        if rule is not None:
            return rule(self, e)
        return Scaled(sp.S.One, e.func(*(self.whole(a) for a in e.args)))

    def whole(self, e: Any) -> Any:
        if isinstance(e, sp.logic.boolalg.Boolean):
            return e.func(*map(self.whole, e.args)) if e.args else e
        return self.scaled(e).whole

    def exponential(self, e: Expr) -> Scaled:
        shift = self.shift(e.args[0])
        if shift == 0:
            return Scaled(sp.S.One, sp.exp(self.whole(e.args[0])))
        return Scaled(sp.exp(shift), sp.exp(sp.Add(e.args[0], -shift)))

    def shift(self, u: Expr) -> Expr:
        """What to take off an exponent: its family's parameter, or those of its terms where products were drawn up."""
        found = self.parameter(u)
        if found is not None:
            return found
        terms = [t.as_coeff_Mul() for t in sp.Add.make_args(u)]
        return sp.Add(*(c * p for c, rest in terms if (p := self.parameter(rest)) is not None))

    def parameter(self, u: Expr) -> Expr | None:
        exponential = (f.parameter_at(u) for f in self.families if f.exponential)
        return next((p for p in exponential if p is not None), None)

    def stage(self, e: Expr) -> Scaled:
        axes, factor = self.factors.get(base_of(e), ((), sp.S.One))
        return Scaled(factor.xreplace(dict(zip(axes, places(e), strict=False))), e)

    def product(self, e: Expr) -> Scaled:
        parts = [self.scaled(a) for a in e.args]
        return Scaled(sp.Mul(*(p.factor for p in parts)), sp.Mul(*(p.rest for p in parts)))

    def power(self, e: Expr) -> Scaled:
        base = self.scaled(e.base)
        if base.factor == 1 or any(is_index(s) for s in e.exp.free_symbols):
            return Scaled(sp.S.One, sp.Pow(base.whole, self.whole(e.exp)))
        return Scaled(sp.Pow(base.factor, e.exp), sp.Pow(base.rest, e.exp))

    def total(self, e: Expr) -> Scaled:
        parts = [self.scaled(a) for a in e.args]
        factors = {p.factor for p in parts}
        if len(factors) == 1:
            return Scaled(parts[0].factor, sp.Add(*(p.rest for p in parts)))
        return Scaled(sp.S.One, sp.Add(*(p.whole for p in parts)))

    def cases(self, e: Expr) -> Scaled:
        condition = self.whole(e.condition)
        then, otherwise = self.scaled(e.then), self.scaled(e.otherwise)
        zero = [p.rest == 0 for p in (then, otherwise)]
        if then.factor == otherwise.factor or any(zero):
            factor = otherwise.factor if zero[0] else then.factor
            return Scaled(factor, Cases(condition, then.rest, otherwise.rest))
        return Scaled(sp.S.One, Cases(condition, then.whole, otherwise.whole))

    def weight(self, e: Expr) -> Scaled:
        weight, value = (self.scaled(a) for a in e.args)
        return Scaled(weight.factor * value.factor, weighted(weight.rest, value.rest))

    def logarithm(self, e: Expr) -> Scaled:
        inner = self.scaled(e.args[0])
        if inner.factor == 1:
            return Scaled(sp.S.One, log_of(inner.rest))
        shift = sp.expand_log(sp.log(inner.factor), force=True)
        return Scaled(sp.S.One, shift + log_of(inner.rest))

    RULES: ClassVar = {sp.Mul: product, sp.Pow: power, sp.Add: total, Cases: cases, weighted: weight, sp.log: logarithm}


def shifted(program: Program) -> tuple[Program, tuple[Family, ...]]:
    """The program with a free parameter for each family of exponentials that it sums.

    Returns:
        The program, and the families that were found; none where nothing is summed that could overflow.
    """
    stages = Stages()
    families: list[Family] = []
    factors: dict[str, tuple[tuple[Symbol, ...], Expr]] = {}
    for stage in program.stages:
        if stage.op == "sum":
            families += [f for f in _families(stage, stages, families) if f not in families]
        shifting = Shifting(tuple(families), factors)
        found = shifting.scaled(stage.body)
        bound = {index(n) for n in stage.over}
        if stage.out in program.results or bound & found.factor.free_symbols:
            found = Scaled(sp.S.One, found.whole)
        factors[stage.out] = (tuple(map(index, stage.axes)), found.factor)
        stages.made.append(replace(stage, body=found.rest))
    result = Program(program.name, program.inputs, tuple(stages.made), program.results)
    return verify(result), tuple(families)


def _families(stage: Stage, stages: Stages, known: Iterable[Family]) -> list[Family]:
    """The parameters for the exponentials of a sum, each made a stage before it."""
    bound = tuple(map(index, stage.over))
    found: list[Family] = []
    for e in sorted(stage.body.atoms(sp.exp), key=sp.default_sort_key):
        u = e.args[0]
        if not set(bound) & u.free_symbols or any(f.parameter_at(u) is not None for f in (*known, *found)):
            continue
        axes = tuple(i for i in loops(u) if i not in bound)
        name = f"m{len([*known, *found])}"
        parameter = stages.reduce(PEAK, exponents(stage.body, u), bound, name)
        found.append(Family(u, base_of(parameter), axes, True))
    return found


def exponents(body: Expr, u: Expr) -> Expr:
    """The exponent where it counts, minus infinity where a case leaves it out."""
    if isinstance(body, Cases):
        return Cases(body.condition, exponents(body.then, u), exponents(body.otherwise, u))
    return u if sp.exp(u) in body.atoms(sp.exp) else -sp.oo


def proved(program: Program, families: Iterable[Family]) -> bool:
    """Whether no result changes with the free parameters: their total derivative vanishes, stage by stage.

    Of a stage with the factor ``exp(c m)`` taken out, the derivative in m is ``-c`` times the stage; that is checked
    by symbolic differentiation of each body, given the same of the stages that it reads. Of results, c is zero.
    """
    return all(_vanishes(program, family) for family in families)


def _vanishes(program: Program, family: Family) -> bool:
    degrees: dict[str, Expr] = {family.parameter: sp.S.Zero}
    for stage in program.stages:
        if stage.out == family.parameter:
            continue
        body, back = opened(stage.body, {family.parameter: "positive"})
        slope = sp.S.Zero
        for symbol, target in {**back, **{s: s for s in body.free_symbols if s not in back}}.items():
            name = base_of(target)
            if name == family.parameter:
                slope += derivative(body, symbol)
            elif degrees.get(name, 0) != 0:
                slope -= degrees[name] * symbol * derivative(body, symbol)
        degree = _degree(slope, body)
        if degree is None or (stage.out in program.results and degree != 0):
            return False
        degrees[stage.out] = degree
    return True


def _degree(slope: Expr, body: Expr) -> Expr | None:
    """The c for which the slope is ``-c body``, None if there is none."""
    pairs = list(branches(slope, body))
    for candidate in dict.fromkeys(_quotient(s, b) for s, b in pairs):
        if candidate is not None and all(_agrees(s, candidate, b) for s, b in pairs):
            return candidate
    return None


def _agrees(slope: Expr, degree: Expr, body: Expr) -> bool:
    if body.is_infinite:  # what a mask leaves out is minus infinity whatever the parameter
        return bool(slope == 0 and degree == 0)
    return bool(sp.simplify(slope + degree * body) == 0)


def _quotient(slope: Expr, body: Expr) -> Expr | None:
    if slope == 0:
        return sp.S.Zero
    found = sp.simplify(-slope / body) if body != 0 else sp.S.Zero
    return found if found.is_number else None


def branches(slope: Expr, body: Expr) -> Iterable[tuple[Expr, Expr]]:
    """Slope and body together, for each choice of all cases' conditions, weights written out."""
    plain = {w: sp.Mul(*w.args) for e in (slope, body) for w in e.atoms(weighted)}
    slope, body = (_substituted(e, plain) for e in (slope, body))
    conditions = sorted({c.condition for e in (slope, body) for c in e.atoms(Cases)}, key=sp.default_sort_key)
    for bits in range(1 << len(conditions)):
        truth: Mapping[Any, bool] = {c: bool(bits >> i & 1) for i, c in enumerate(conditions)}
        yield _taken(slope, truth), _taken(body, truth)


def _substituted(e: Expr, names: Mapping[Expr, Expr]) -> Expr:
    if isinstance(e, weighted):
        return sp.Mul(*(_substituted(a, names) for a in e.args))
    if not e.args or isinstance(e, sp.logic.boolalg.Boolean):
        return e
    return e.func(*(_substituted(a, names) for a in e.args))


def _taken(e: Expr, truth: Mapping[Any, bool]) -> Expr:
    if isinstance(e, Cases):
        return _taken(e.then if truth[e.condition] else e.otherwise, truth)
    if not e.args or isinstance(e, sp.logic.boolalg.Boolean):
        return e
    return e.func(*(_taken(a, truth) for a in e.args))
