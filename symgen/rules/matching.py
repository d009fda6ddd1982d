"""Matching of rule patterns in SymPy expressions, modulo order, common factors and SymPy's canonical spellings.

SymPy's `Wild` misses a sub-sum and the pattern ``1/(1+e^-u)`` inside ``(1+e^-u)^-2``. Here an expression is seen as a
sum of products: a product is a rational number, one exponential and powers of bases; a pattern product matches where
its factors are contained, and a pattern sum where some of the terms are it, times a common factor.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from functools import lru_cache

import sympy as sp
from sympy import Expr, S, Symbol, default_sort_key

from symgen.rules.parts import inside, kinds_of
from symgen.rules.rule import VARIABLES, Rule, replacement
from symgen.rules.terms import Product, denominator, merged, split

Bindings = dict[Symbol, Expr]
Match = tuple[Bindings, Expr]


@lru_cache(maxsize=4096)
def unbound(pattern: Expr) -> frozenset[Symbol]:
    return frozenset(pattern.free_symbols & VARIABLES)


@lru_cache(maxsize=4096)
def _needs(pattern: Expr) -> frozenset[type[Expr]]:
    """The functions of a pattern, without which nothing matches it."""
    return kinds_of([*sp.preorder_traversal(pattern)])


def _open(pattern: Expr, bindings: Bindings) -> bool:
    return any(s not in bindings for s in unbound(pattern))


def instantiate(pattern: Expr, bindings: Bindings) -> Expr:
    """The pattern with every variable replaced, all at once."""
    return pattern.xreplace(bindings)


def _anchor_rank(e: Expr) -> int:
    """What to match first: heads decide most, then sums, exponentials, powers of a variable, and last what fits all."""
    if isinstance(e, sp.Function) and not isinstance(e, sp.exp):
        return 0
    if e.is_Add:
        return 1
    if isinstance(e, sp.exp):
        return 2
    if e.is_Mul or e.is_Pow:
        ranks = [_anchor_rank(f.base if f.is_Pow else f) for f in sp.Mul.make_args(e)]
        return min(*ranks, 3)
    if e in VARIABLES:
        return 4
    return 5 if e.is_number else 3


@lru_cache(maxsize=4096)
def _ordered_terms(pattern: Expr) -> tuple[Expr, ...]:
    return tuple(sorted(pattern.args, key=lambda t: (_anchor_rank(t), default_sort_key(t))))


@lru_cache(maxsize=4096)
def _ordered_factors(pattern: Expr) -> tuple[tuple[Expr, Expr], ...]:
    return tuple(sorted(split(pattern).powers, key=lambda f: (_anchor_rank(f[0]), f[1] == 1, default_sort_key(f[0]))))


def _without(powers: dict[Expr, Expr], base: Expr, power: Expr) -> dict[Expr, Expr] | None:
    """Take a power of a base out of a product, where it is contained."""
    have = powers.get(base, S.Zero)
    if have * power <= 0 or abs(have) < abs(power):
        return None
    rest = dict(powers)
    if have == power:
        del rest[base]
    else:
        rest[base] = have - power
    return rest


def _simpler(remainder: Expr, whole: Expr) -> bool:
    """Whether taking a part out of an exponent left less than there was."""
    if remainder == 0:
        return True
    left, all_terms = remainder.as_coefficients_dict(), whole.as_coefficients_dict()
    if not set(left) <= set(all_terms):
        return False
    return all(left[t] * all_terms[t] > 0 and abs(left[t]) <= abs(all_terms[t]) for t in left)


class _State:
    """What is left of a product while a pattern's factors are taken out of it."""

    __slots__ = ("exponent", "number", "powers")

    def __init__(self, number: Expr, exponent: Expr, powers: dict[Expr, Expr]) -> None:
        self.number, self.exponent, self.powers = number, exponent, powers

    def join(self) -> Expr:
        return Product(self.number, self.exponent, tuple(self.powers.items())).join()

    def take(self, e: Expr) -> _State | None:
        """The product without an instantiated factor, if it is contained; numbers divide out always."""
        part = split(e)
        if part.number == 0:
            return None
        powers = self.powers
        for base, power in part.powers:
            rest = _without(powers, base, power)
            if rest is None:
                return None
            powers = rest
        exponent = self.exponent - part.exponent
        if part.exponent != 0 and not _simpler(exponent, self.exponent):
            return None
        return _State(self.number / part.number, exponent, powers)


def _rational_root(number: Expr, n: int) -> Expr | None:
    """The n-th root of a positive rational number, if that is rational."""
    if not number.is_positive:
        return None
    above, exact_above = sp.integer_nthroot(int(number.p), abs(n))
    below, exact_below = sp.integer_nthroot(int(number.q), abs(n))
    if not (exact_above and exact_below):
        return None
    return sp.Rational(above, below) if n > 0 else sp.Rational(below, above)


def _root(state: _State, n: Expr) -> Expr | None:
    """The n-th root of everything left, where that is a plain product."""
    if state.exponent != 0 or not n.is_Integer or any(not (p / n).is_Integer for p in state.powers.values()):
        return None
    number = _rational_root(state.number, int(n))
    if number is None:
        return None
    return Product(number, S.Zero, tuple((base, p / n) for base, p in state.powers.items())).join()


def _take_factor(base: Expr, power: Expr, state: _State, b: Bindings) -> Iterator[tuple[Bindings, _State]]:
    if not _open(base, b) and not base.is_Add:
        rest = state.take(instantiate(base, b) ** power)
        if rest is not None:
            yield b, rest
    elif base.is_Pow:
        yield from _take_general_power(base, state, b)
    elif base in VARIABLES and not power.is_Integer:
        yield from _take_roots(base, power, state, b)
    elif base in VARIABLES:
        whole = state.join() if power == 1 else _root(state, power)
        if whole is not None:
            yield {**b, base: whole}, _State(S.One, S.Zero, {})
        elif state.powers:  # a number without such a root stays in front
            root = _root(_State(S.One, state.exponent, state.powers), power)
            if root is not None:
                yield {**b, base: root}, _State(state.number, S.Zero, {})
    else:
        yield from _take_power(base, power, state, b)


def _take_general_power(pattern: Expr, state: _State, b: Bindings) -> Iterator[tuple[Bindings, _State]]:
    """A pattern ``u**b``, whose exponent is a variable: every power of the product, rational or not."""
    for base, power in state.powers.items():
        bottom, top = (base.base, power * base.exp) if base.is_Pow else (base, power)
        powers = {key: p for key, p in state.powers.items() if key != base}
        for found in _match_arguments(pattern.args, (bottom, top), b):
            yield found, _State(state.number, state.exponent, powers)


def _take_roots(variable: Symbol, power: Expr, state: _State, b: Bindings) -> Iterator[tuple[Bindings, _State]]:
    """A variable under a root takes what stands under that root, and leaves the rest of the product."""
    inside = [base for base, p in state.powers.items() if p == power]
    if inside:
        powers = {base: p for base, p in state.powers.items() if base not in inside}
        under = sp.Mul(*inside)
        yield {**b, variable: under}, _State(state.number, state.exponent, powers)


def _take_power(base: Expr, power: Expr, state: _State, b: Bindings) -> Iterator[tuple[Bindings, _State]]:
    """Try every base of the product; a sum may be the pattern times a factor."""
    for candidate in list(state.powers):
        powers = _without(state.powers, candidate, power)
        if powers is None:
            continue
        rest = _State(state.number, state.exponent, powers)
        for found, factor in _match_base(base, candidate, b):
            if factor == 1:
                yield found, rest
            elif power.is_Integer or factor.is_positive:
                scaled = split(factor**power * rest.join())
                yield found, _State(scaled.number, scaled.exponent, dict(scaled.powers))


def _match_base(pattern: Expr, e: Expr, b: Bindings) -> Iterator[Match]:
    if pattern.is_Add and e.is_Add:
        for found, factor, _ in match_sum(pattern, e, b, whole=True):
            yield found, factor
    else:
        for found in match(pattern, e, b):
            yield found, S.One


def _take_exponential(exponent: Expr, state: _State, b: Bindings) -> Iterator[tuple[Bindings, _State]]:
    if exponent == 0:
        yield b, state
    elif _open(exponent, b):
        if state.exponent != 0:
            for found in match(exponent, state.exponent, b):
                yield found, _State(state.number, S.Zero, state.powers)
    else:
        rest = state.take(sp.exp(instantiate(exponent, b)))
        if rest is not None:
            yield b, rest


def match_product(pattern: Expr, e: Expr, bindings: Bindings) -> Iterator[Match]:
    """Ways in which the pattern's factors are contained in a product: bindings and what is left."""
    wanted, have = split(pattern), split(e)
    factors = _ordered_factors(pattern)
    plain = [f for f in factors if f[0] not in VARIABLES]
    variables = [f for f in factors if f[0] in VARIABLES]

    def structured(i: int, b: Bindings, state: _State) -> Iterator[tuple[Bindings, _State]]:
        if i == len(plain):
            for found, rest in _take_exponential(wanted.exponent, state, b):
                yield from bare(0, found, rest)
            return
        for found, rest in _take_factor(*plain[i], state, b):
            yield from structured(i + 1, found, rest)

    def bare(i: int, b: Bindings, state: _State) -> Iterator[tuple[Bindings, _State]]:
        # variables that are known first: one that is not takes all that is left
        order = sorted(variables, key=lambda f: _open(f[0], b))
        if i == len(order):
            yield b, state
            return
        for found, rest in _take_factor(*order[i], state, b):
            yield from bare(i + 1, found, rest)

    start = _State(have.number / wanted.number, have.exponent, dict(have.powers))
    for found, rest in structured(0, bindings, start):
        yield found, rest.join()


@lru_cache(maxsize=65536)
def _sorted_terms(e: Expr) -> tuple[Expr, ...]:
    return tuple(sorted(sp.Add.make_args(e), key=default_sort_key))


def _remove(terms: tuple[Expr, ...], wanted: Expr) -> tuple[Expr, ...] | None:
    """The terms without those of a sum, if all are there."""
    rest = list(terms)
    for t in sp.Add.make_args(wanted):
        if t not in rest:
            return None
        rest.remove(t)
    return tuple(rest)


@lru_cache(maxsize=65536)  # rules ask for the same parts of the same terms
def _part(term: Expr, factor: Expr) -> Expr:
    return merged(term / factor)


def _rest_of_sum(
    patterns: tuple[Expr, ...], terms: tuple[Expr, ...], factor: Expr, b: Bindings, *, whole: bool
) -> Iterator[tuple[Bindings, tuple[Expr, ...]]]:
    if not patterns:
        if not (whole and terms):
            yield b, terms
        return
    first, *others = patterns
    later = tuple(others)
    if not _open(first, b):
        rest = _remove(terms, merged(factor * instantiate(first, b)))
        if rest is not None:
            yield from _rest_of_sum(later, rest, factor, b, whole=whole)
        return
    number, variable = first.as_coeff_Mul()
    if whole and not later and variable in VARIABLES:
        if terms:
            yield {**b, variable: sp.Add(*(merged(t / (factor * number)) for t in terms))}, ()
        return
    needs = _needs(first) - inside(factor)
    for i, t in enumerate(terms):
        if not needs <= inside(t):
            continue
        for found in match(first, _part(t, factor), b):
            yield from _rest_of_sum(later, terms[:i] + terms[i + 1 :], factor, found, whole=whole)


def match_sum(
    pattern: Expr, e: Expr, bindings: Bindings, *, whole: bool = False
) -> Iterator[tuple[Bindings, Expr, tuple[Expr, ...]]]:
    """Ways in which some terms of a sum (all, if `whole`) are the pattern times a factor.

    Yields:
        bindings, the common factor, and the terms that are left.
    """
    patterns = _ordered_terms(pattern)
    terms = sp.Add.make_args(e)
    if len(terms) < len(patterns):
        return
    ordered = _sorted_terms(e)
    needs = _needs(patterns[0])
    for i, t in enumerate(ordered):
        if not needs <= inside(t):
            continue
        remaining = ordered[:i] + ordered[i + 1 :]
        for b, factor in match_product(patterns[0], t, bindings):
            for found, rest in _rest_of_sum(patterns[1:], remaining, factor, b, whole=whole):
                yield found, factor, rest


def match(pattern: Expr, e: Expr, bindings: Bindings) -> Iterator[Bindings]:
    """Ways in which the whole expression is the pattern."""
    if pattern in VARIABLES and pattern not in bindings:
        yield {**bindings, pattern: e}
    elif not _open(pattern, bindings):
        if instantiate(pattern, bindings) == e:
            yield bindings
    elif pattern.is_Add:
        if e.is_Add:
            yield from (b for b, factor, _ in match_sum(pattern, e, bindings, whole=True) if factor == 1)
    elif pattern.is_Mul or pattern.is_Pow or isinstance(pattern, sp.exp):
        yield from (b for b, rest in match_product(pattern, e, bindings) if rest == 1)
    elif type(pattern) is type(e):
        yield from _match_arguments(pattern.args, e.args, bindings)


def _match_arguments(patterns: tuple[Expr, ...], arguments: tuple[Expr, ...], b: Bindings) -> Iterator[Bindings]:
    if not patterns:
        yield b
        return
    for found in match(patterns[0], arguments[0], b):
        yield from _match_arguments(patterns[1:], arguments[1:], found)


def _apply_sum(rule: Rule, e: Expr) -> Expr | None:
    for b, factor, rest in match_sum(rule.left, e, {}):
        if rule.admits(b):
            return sp.Add(*rest, merged(factor * replacement(rule.right, b)))
    return _apply_pair(rule, e) if len(rule.left.args) == 2 else None


def _apply_pair(rule: Rule, e: Expr) -> Expr | None:
    """Two terms of a sum over their common denominator: ``1 - y/h`` holds the pattern ``h - y``."""
    for common, pair, others in _pairs(e):
        for b, factor, rest in match_sum(rule.left, pair, {}, whole=True):
            if not rest and rule.admits(b):
                return sp.Add(*others, merged(common * factor * replacement(rule.right, b)))
    return None


@lru_cache(maxsize=4096)  # every rule of two terms asks for them
def _pairs(e: Expr) -> tuple[tuple[Expr, Expr, tuple[Expr, ...]], ...]:
    """What two terms of a sum with different denominators have in common, what is left of them, and the other terms."""
    terms = _sorted_terms(e)
    below = [denominator(t) for t in terms]
    found = []
    for i, j in itertools.combinations(range(len(terms)), 2):
        if below[i] != below[j]:
            common = sp.Mul(*(d ** min(below[i].get(d, 0), below[j].get(d, 0)) for d in {**below[i], **below[j]}))
            pair = sp.Add(merged(terms[i] / common), merged(terms[j] / common))
            found.append((common, pair, tuple(t for n, t in enumerate(terms) if n not in (i, j))))
    return tuple(found)


def _multiple(base: Expr, have: Expr, power: Expr) -> bool:
    """Whether a power may be seen as a multiple of the pattern's: below where the pattern is below, roots for roots."""
    if power.is_Integer:
        times = have / power
        return bool(times > 0 and (times.is_Integer if have.is_Integer else base.is_positive))
    return bool((have / power).is_Integer and not have.is_Integer)


def _apply_power(rule: Rule, e: Expr) -> Expr | None:
    """A pattern that is one power matches its multiples: ``(1+e^-u)^-2`` is twice ``1/(1+e^-u)``."""
    base, power = rule.left.base, rule.left.exp
    for candidate, have in split(e).powers:
        times = have / power
        if not _multiple(candidate, have, power):
            continue
        rest = e / candidate**have
        for b, k in _match_base(base, candidate, {}):
            if rule.admits(b) and (have.is_Integer or k.is_positive):
                return rest * k**have * replacement(rule.right, b) ** times
    return None


def _apply_product(rule: Rule, e: Expr) -> Expr | None:
    for b, rest in match_product(rule.left, e, {}):
        if rule.admits(b):
            return rest * replacement(rule.right, b)
    return None


def _apply_whole(rule: Rule, e: Expr) -> Expr | None:
    for b in match(rule.left, e, {}):
        if rule.admits(b):
            return replacement(rule.right, b)
    return None


def _way(left: Expr) -> Callable[[Rule, Expr], Expr | None]:
    if left.is_Add:
        return _apply_sum
    if left.is_Pow and left.exp.is_Rational:
        return _apply_power
    return _apply_product if left.is_Mul else _apply_whole


def apply(rule: Rule, e: Expr) -> Expr | None:
    """Rewrite one node by a rule, once; None where it does not match.

    A sum pattern is tried on sums, a product pattern on products and powers, a head on that head.
    """
    left = rule.left
    if left.is_Add:
        fits = e.is_Add
    elif left.is_Mul or left.is_Pow:
        fits = e.is_Mul or e.is_Pow
    else:
        fits = type(e) is type(left)
    return _way(left)(rule, e) if fits else None
