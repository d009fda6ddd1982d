"""Parameters whose derivative vanishes: the shift of a log-sum-exp and the scale of a norm, as one rule with a proof.

A reduction of exponentials is ``e^m`` times the same reduction of ``exp(u - m)``, one of powers that goes under a root
is ``m^-p`` times that of ``(m u)^p``. Either factor is carried through the program beside each stage, through products,
powers, logarithms and sums of terms that have it in common, until it cancels or is multiplied back in. Exponentials and
numbers that are added to a sum of exponentials, as in ``log(1 + sum(exp(u)))``, are shifted with it, and m is no less
than their exponents. Whatever m is, the results are the same, which `symgen.rows.free` shows by their derivative in m;
so m is chosen such that nothing overflows, and calculus never needs to know of it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

import sympy as sp
from sympy import Expr, Indexed, Symbol

from symgen.heads import Cases, first_max, first_min, maximum, minimum, weighted
from symgen.program import Program, Stage
from symgen.rows.indices import base_of, index, is_index, is_nonnegative, loops, places, read, reads
from symgen.rows.lower import Stages, by_depth, verify
from symgen.rows.recognize import log_of
from symgen.vocabulary import hypot, log1p, softplus

PEAK, SCALE = "peak", "scale"  # the largest, or zero where that is infinite; one over a power of two near the largest


@dataclass(frozen=True)
class Family:
    """Expressions that share a parameter: those of a pattern's shape, at whatever indices.

    Attributes:
        pattern: the exponent, or the base of the power, as it stands in the reduction.
        parameter: the stage of the parameter.
        at: the indices of the parameter.
        copy: of bases, the stage that holds them scaled; of exponents none.
        alone: whether the parameter is the largest of the exponents, and not of others that are added to the sum, too.
    """

    pattern: Expr
    parameter: str
    at: tuple[Symbol, ...]
    copy: str = ""
    alone: bool = True

    @property
    def exponential(self) -> bool:
        """Whether the expressions are exponents; else they are bases of powers."""
        return not self.copy

    def bound(self, e: Expr) -> dict[Symbol, Any] | None:
        """Where the indices of the pattern stand in an expression of this family, None if it is none."""
        if self.exponential:  # a multiple of an exponent is largest where that is
            return _bound(self.pattern.primitive()[1], (e.primitive()[1],))
        return _bound(self.pattern, _multiples(e))

    def parameter_at(self, e: Expr) -> Expr | None:
        """The parameter that belongs to an expression of this family, as often as that is it; None if it is none."""
        bound = self.bound(e)
        times = e.primitive()[0] / self.pattern.primitive()[0] if self.exponential else sp.S.One
        return None if bound is None else times * read(self.parameter, (bound[i] for i in self.at))

    def copy_at(self, e: Expr) -> Scaled | None:
        """A base of this family as a multiple of its scaled copy, None if it is none."""
        bound = self.bound(e)
        if bound is None:
            return None
        number = sp.S.One if not e.is_Add else e.primitive()[0]
        if e.is_Add and not _matches(self.pattern, e.primitive()[1], {}):
            number = -number
        own = read(self.copy, (bound[i] for i in loops(self.pattern)))
        return Scaled(1 / read(self.parameter, (bound[i] for i in self.at)), number * own)


def _bound(pattern: Expr, spellings: Iterable[Expr]) -> dict[Symbol, Any] | None:
    """Where the indices of a pattern stand in the first of some expressions that it matches."""
    for same in spellings:
        bound: dict[Symbol, Any] = {}
        if _matches(pattern, same, bound):
            return bound
    return None


def _multiples(e: Expr) -> Iterator[Expr]:
    """A sum without its common rational factor, of either sign: a base that calculus has multiplied is still one."""
    kept = e.primitive()[1] if e.is_Add else e
    yield from (kept, -kept) if e.is_Add else (kept,)


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


def raised(factor: Expr, power: Expr) -> Expr:
    """A power of a factor, which is positive."""
    return combined(sp.Mul(*(b ** (n * power) for b, n in (f.as_base_exp() for f in sp.Mul.make_args(factor)))))


def combined(*factors: Expr) -> Expr:
    """A product of powers, one of each base: SymPy leaves ``m**(p - 1) m**(1 - p)`` as it is."""
    powers: dict[Expr, Expr] = {}
    for f in sp.Mul.make_args(sp.Mul(*factors)):
        base, power = f.as_base_exp()
        powers[base] = sp.expand(powers.get(base, sp.S.Zero) + power)
    return sp.Mul(*(base**power for base, power in powers.items()))


@dataclass
class Shifting:
    """Rewrites expressions into what is left beside their factor."""

    families: tuple[Family, ...]
    factors: dict[str, tuple[tuple[Symbol, ...], Expr]]  # of each stage, at its own indices
    nonnegative: frozenset[str] = frozenset()  # options and stages
    stages: Stages = field(default_factory=Stages)
    joined: Mapping[str, Collection[Expr]] = field(default_factory=dict)  # other exponents of a parameter
    beside: dict[str, dict[Expr, None]] = field(default_factory=dict)  # those that sums would want to be
    known: dict[Expr, Scaled] = field(default_factory=dict)  # of the stage at hand

    def scaled(self, e: Expr) -> Scaled:
        if e not in self.known:
            self.known[e] = self._scaled(e)
        return self.known[e]

    def _scaled(self, e: Expr) -> Scaled:
        if isinstance(e, sp.exp):
            return self.exponential(e)
        if isinstance(e, sp.Indexed | sp.Add):
            for family in self.families:
                found = None if family.exponential else family.copy_at(e)
                if found is not None:
                    return found
        if isinstance(e, sp.Indexed) or (isinstance(e, Symbol) and str(e) in self.factors):
            return self.stage(e)
        if not e.args or isinstance(e, sp.logic.boolalg.Boolean):
            return Scaled(sp.S.One, e)
        rule = self.RULES.get(type(e))
        if rule is not None:
            return rule(self, e)
        return Scaled(sp.S.One, e.func(*(self.whole(a) for a in e.args)))

    def whole(self, e: Any) -> Any:
        if isinstance(e, sp.Eq | sp.Ne) and e.rhs == 0:  # a factor is positive, and might take a number to zero
            return e.func(self.scaled(e.lhs).rest, 0, evaluate=False)
        if isinstance(e, sp.logic.boolalg.Boolean):
            return e.func(*map(self.whole, e.args)) if e.args else e
        return self.scaled(e).whole

    def exponential(self, e: Expr) -> Scaled:
        shift = self.shift(e.args[0])
        if shift == 0:
            return Scaled(sp.S.One, sp.exp(self.whole(e.args[0])))
        return Scaled(sp.exp(shift), sp.exp(sp.Add(self.whole(e.args[0]), -shift)))

    def shift(self, u: Expr) -> Expr:
        """What to take off an exponent: its family's parameter, or those of its terms where products were drawn up."""
        found = self.parameter(u)
        if found is not None:
            return found
        terms = [t.as_coeff_Mul() for t in sp.Add.make_args(u)]
        return sp.Add(*(c * p for c, rest in terms if (p := self.parameter(rest)) is not None))

    def parameter(self, u: Expr) -> Expr | None:
        exponential = [f for f in self.families if f.exponential]
        own = (f.parameter_at(u) for f in exponential)
        others = (read(f.parameter) for f in exponential if not f.at and u in self.joined.get(f.parameter, ()))
        return next((p for p in (*own, *others) if p is not None), None)

    def base(self, e: Expr) -> Expr:
        """What is raised to a power, with the factors of the stages that it reads multiplied back in."""
        return self.stage(e).whole if isinstance(e, sp.Indexed) else sp.Add(*map(self.whole, e.args))

    def stage(self, e: Expr) -> Scaled:
        axes, factor = self.factors.get(base_of(e), ((), sp.S.One))
        return Scaled(factor.xreplace(dict(zip(axes, places(e), strict=False))), e)

    def product(self, e: Expr) -> Scaled:
        parts = [self.scaled(a) for a in e.args]
        return Scaled(combined(*(p.factor for p in parts)), sp.Mul(*(p.rest for p in parts)))

    def power(self, e: Expr) -> Scaled:
        if e.base.is_Add and e.exp.is_Rational and e.exp.q == 2:
            long = self.hypotenuse(e.base)
            if long is not None:
                return Scaled(raised(long.factor, 2 * e.exp), long.rest ** (2 * e.exp))
        base = self.scaled(e.base)
        if base.factor == 1 or any(is_index(s) for s in e.exp.free_symbols):
            return Scaled(sp.S.One, sp.Pow(base.whole, self.whole(e.exp)))
        return Scaled(raised(base.factor, e.exp), sp.Pow(base.rest, e.exp))

    def hypotenuse(self, total: Expr) -> Scaled | None:
        """The root of a scaled sum of squares and something unscaled, where no square can leave the range."""
        parts = [self.scaled(a) for a in total.args]
        scales = {p.factor for p in parts if p.factor != 1}
        square = scales.pop() if len(scales) == 1 else sp.S.One
        legs = [sp.Add(*(p.rest for p in parts if (p.factor == 1) is plain)) for plain in (False, True)]
        if square == 1 or square.has(sp.exp) or not all(is_nonnegative(e, self.nonnegative) for e in legs):
            return None
        scale = raised(square, sp.Rational(1, 2))
        return Scaled(scale, hypot(sp.sqrt(legs[0]), self.number(sp.sqrt(legs[1])) / scale))

    def number(self, e: Expr) -> Expr:
        """A root as a stage of its own, where nothing is missing of zero; as it is where it depends on an index."""
        if loops(e):
            return e
        same = next((s.out for s in self.stages.made if s.body == e), None)
        return read(same) if same else self.stages.let(f"h{len(self.stages.made)}", (), e)

    def extreme(self, e: Expr) -> Scaled:
        """Of a scaled number and another: the scale in front, for it moves with the larger one; a scale is positive."""
        parts = [self.scaled(a) for a in e.args]
        factors = {p.factor for p in parts} - {sp.S.One}
        if len(factors) != 1 or (factor := factors.pop()).has(sp.exp):
            return Scaled(sp.S.One, e.func(*(p.whole for p in parts)))
        return Scaled(factor, e.func(*(p.rest if p.factor == factor else p.rest / factor for p in parts)))

    def size(self, e: Expr) -> Scaled:
        inner = self.scaled(e.args[0])
        return Scaled(inner.factor, sp.Abs(inner.rest))

    def sign(self, e: Expr) -> Scaled:
        return Scaled(sp.S.One, sp.sign(self.scaled(e.args[0]).rest))

    def total(self, e: Expr) -> Scaled:
        parts = [self.scaled(a) for a in e.args]
        factors = {p.factor for p in parts}
        if len(factors) == 1:
            return Scaled(parts[0].factor, sp.Add(*(p.rest for p in parts)))
        return self.together(parts) or Scaled(sp.S.One, sp.Add(*(p.whole for p in parts)))

    def together(self, parts: list[Scaled]) -> Scaled | None:
        """A shifted sum and what is added to it, an exponential or a positive number, shifted alike."""
        factors = {p.factor for p in parts} - {sp.S.One}
        factor = factors.pop() if len(factors) == 1 else sp.S.One
        names = [f.parameter for f in self.families if f.exponential and read(f.parameter) == sp.log(factor)]
        others = [_exponent(p.rest) for p in parts if p.factor == 1]
        made = {s.out for s in self.stages.made}
        if not names or any(u is None or made & {base_of(r) for r in (*reads(u), *u.free_symbols)} for u in others):
            return None
        self.beside.setdefault(names[0], {}).update(dict.fromkeys(u for u in others if u is not None))
        if not set(others) <= set(self.joined.get(names[0], ())):
            return None
        return Scaled(factor, sp.Add(*(p.rest / (factor if p.factor == 1 else sp.S.One) for p in parts)))

    def log_of_more(self, e: Expr) -> Scaled:
        """log(1 + u) where u is a shifted sum: of its logarithm, which is in range."""
        inner = self.scaled(e.args[0])
        if inner.factor == 1 or not inner.factor.has(sp.exp):
            return Scaled(sp.S.One, log1p(inner.whole))
        return Scaled(sp.S.One, softplus(sp.expand_log(sp.log(inner.factor), force=True) + log_of(inner.rest)))

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
        return Scaled(combined(weight.factor, value.factor), weighted(weight.rest, value.rest))

    def logarithm(self, e: Expr) -> Scaled:
        inner = self.scaled(e.args[0])
        if inner.factor == 1:
            return Scaled(sp.S.One, log_of(inner.rest))
        shift = sp.expand_log(sp.log(inner.factor), force=True)
        return Scaled(sp.S.One, shift + log_of(inner.rest))

    RULES: ClassVar = {
        sp.Mul: product, sp.Pow: power, sp.Add: total, Cases: cases, weighted: weight, sp.log: logarithm,
        log1p: log_of_more, sp.Abs: size, sp.sign: sign, first_max: extreme, first_min: extreme, maximum: extreme,
        minimum: extreme,
    }  # fmt: skip


def shifted(
    program: Program, nonnegative: Iterable[str] = (), scaled: bool = True
) -> tuple[Program, tuple[Family, ...]]:
    """The program with a free parameter for each family of exponentials, or of powers under a root, that it sums.

    Args:
        program: in the vocabulary.
        nonnegative: options whose domain says so.
        scaled: whether powers under roots are scaled too.

    Returns:
        The program, and the families that were found; none where nothing is summed that could overflow.
    """
    first = Shifting((), {}, frozenset(nonnegative))
    result = _shifted(program, first, scaled)
    if not first.beside:
        return result
    return _shifted(program, Shifting((), {}, frozenset(nonnegative), joined=first.beside), scaled)


def _shifted(program: Program, shifting: Shifting, scaled: bool) -> tuple[Program, tuple[Family, ...]]:
    stages, roots = shifting.stages, under_roots(program) if scaled else frozenset()
    for stage in program.stages:
        if stage.op == "sum":
            shifting = _with_families(stage, stages, shifting, stage.out in roots)
        shifting = replace(shifting, known={})
        found = shifting.scaled(stage.body)
        bound = {index(n) for n in stage.over}
        if stage.out in program.results or stage.op == "prod" or bound & found.factor.free_symbols:
            found = Scaled(sp.S.One, found.whole)
        shifting.factors[stage.out] = (tuple(map(index, stage.axes)), found.factor)
        if stage.out not in program.results and is_nonnegative(found.rest, shifting.nonnegative):
            shifting = replace(shifting, nonnegative=shifting.nonnegative | {stage.out})
        stages.made.append(replace(stage, body=found.rest))
    result = Program(program.name, program.inputs, tuple(stages.made), program.results)
    return verify(result), shifting.families


def under_roots(program: Program) -> frozenset[str]:
    """The stages of which a root is taken somewhere: their size is that of one power, and they need not overflow."""
    powers = [p for stage in program.stages for p in stage.body.atoms(sp.Pow) if not p.exp.is_Integer]
    return frozenset(base_of(s) for p in powers for s in (*reads(p.base), *p.base.free_symbols))


def _with_families(stage: Stage, stages: Stages, shifting: Shifting, root: bool) -> Shifting:
    """The parameters for the exponentials and the powers of a sum, each made a stage before it."""
    bound = tuple(map(index, stage.over))
    powers = {p: p.base.args[0] if isinstance(p.base, sp.Abs) else p.base for p in stage.body.atoms(sp.Pow)
              if root and p.exp.is_extended_nonnegative is not False}  # fmt: skip
    bases = {u: p for p, u in sorted(powers.items(), key=sp.default_sort_key) if u.is_Add or isinstance(u, Indexed)}
    exponents = {e.args[0]: e for e in sorted(stage.body.atoms(sp.exp), key=sp.default_sort_key)}
    for u, e in (*exponents.items(), *bases.items()):
        exponential = isinstance(e, sp.exp)
        known = [f for f in shifting.families if f.exponential == exponential]
        if not set(bound) & u.free_symbols or any(f.parameter_at(u) is not None for f in known):
            continue
        axes = tuple(i for i in loops(u) if i not in bound)
        name = f"m{len(shifting.families)}"
        counts = where_it_counts(stage.body, e, shifting.base(u) if not exponential else shifting.whole(u),
                                 -sp.oo if exponential else sp.S.Zero)  # fmt: skip
        joined = shifting.joined.get(name, ()) if exponential else ()
        parameter = stages.reduce(PEAK if exponential else SCALE, counts, bound, f"peak{name[1:]}" if joined else name)
        if joined:
            stages.let(name, (), _largest(parameter, joined))
        family = Family(u, name, axes, "" if exponential else f"y{name[1:]}", not joined)
        if family.copy:
            here = by_depth(loops(u), ())
            copied = (parameter * shifting.base(u)).xreplace(here)
            stages.let(family.copy, (i.name for i in here.values()), copied)
            shifting.factors[family.copy] = ((), sp.S.One)
        shifting = replace(shifting, families=(*shifting.families, family), known={})
    return shifting


def _exponent(e: Expr) -> Expr | None:
    """The exponent of an exponential times a number, zero for a positive number; None for anything else."""
    number, rest = e.as_coeff_Mul()
    if rest == 1:
        return sp.S.Zero if number.is_positive else None
    return rest.args[0] if isinstance(rest, sp.exp) and not loops(rest) else None


def _largest(parameter: Expr, exponents: Iterable[Expr]) -> Expr:
    """A parameter that is no less than some further exponents, where these are finite."""
    for u in exponents:
        larger = maximum(parameter, u)
        parameter = larger if u.is_number else Cases(sp.Lt(u, sp.oo, evaluate=False), larger, parameter)
    return parameter


def where_it_counts(body: Expr, part: Expr, u: Expr, absent: Expr) -> Expr:
    """An exponent or a base, and what does not count where a case leaves its exponential or its power out."""
    if isinstance(body, Cases):
        then, otherwise = (where_it_counts(b, part, u, absent) for b in (body.then, body.otherwise))
        return Cases(body.condition, then, otherwise)
    return u if body == part or body.has(part) else absent
