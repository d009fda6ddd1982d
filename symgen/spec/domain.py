"""Checking a stated domain: is the formula real and defined at every interior point?

Most needs are settled by assumptions. For the rest, points of every stratum and the midpoints of boxes that interval
arithmetic cannot settle are tried; a breach is reported only where ball arithmetic is certain of it, with the point,
so that there are no false alarms. A divisor that changes sign is followed to its root.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

import sympy as sp
from flint import ctx
from sympy import Expr, Symbol

from symgen.spec.model import Argument, Op, Role, Variant, exact, role_limits, symbol_of
from symgen.spec.obligations import NEEDS, Obligation, obligations, settled
from symgen.spec.spans import Span, Undefined, ball, enclose, holds
from symgen.spec.words import PLAIN

FAR = Fraction(2**20)
SIMPLE = [Fraction(n) for n in (0, 1, -1, 2, -2, 3, -3)] + [Fraction(1, 2), Fraction(-1, 2)]
STRATA = [Fraction(s) * Fraction(2) ** e for e in (-20, -10, -6, -3, -2, 2, 3, 4, 5, 6, 8, 12, 20) for s in (1, -1)]
UNEVEN = [Fraction(n, 16) for n in (43, -43, 23, -23, 117, -117)]
Point = tuple[Fraction, ...]
Limits = tuple[tuple[str, Fraction], ...]
MOST_POINTS, MOST_BOXES, MOST_STEPS = 220, 120, 60
PRECISION = 128


@dataclass(frozen=True)
class Line:
    """The open interval of values that a symbol may take, points left out of it, and whether it is an integer."""

    symbol: Symbol
    role: Role
    low: Fraction
    high: Fraction
    without: frozenset[Fraction]

    def holds(self, value: Fraction) -> bool:
        whole = self.role.kind != "int" or value.denominator == 1
        return whole and self.low < value < self.high and value not in self.without

    def points(self, numbers: Iterable[Fraction]) -> list[Fraction]:
        """Values of every stratum, simple ones first."""
        special = [v for n in numbers for v in (n, n + Fraction(1, 1024), n - Fraction(1, 1024))]
        near = [self.low + d for d in (Fraction(1, 2**k) for k in (1, 4, 10, 20))]
        near += [self.high - d for d in (Fraction(1, 2**k) for k in (1, 4, 10, 20))]
        middle = [(self.low + self.high) / 2]
        wanted = [*SIMPLE, *special, *middle, *STRATA, *UNEVEN, *near]
        return [v for v in dict.fromkeys(wanted) if self.holds(v)]


@dataclass(frozen=True)
class Breach:
    """A point of the stated domain at which a formula is undefined or complex."""

    obligation: Obligation
    point: tuple[tuple[Symbol, Any], ...]
    what: str
    hint: str


def line_of(argument: Argument) -> Line:
    low, high, without = -FAR, FAR, set()
    for op, limit in role_limits(argument.role):
        if limit in (float("inf"), float("-inf")):
            continue
        value = Fraction(str(limit))
        if op in (">", ">="):
            low = max(low, value)
        elif op in ("<", "<="):
            high = min(high, value)
        else:
            without.add(value)
    return Line(symbol_of(argument), argument.role, low, high, frozenset(without))


def assumed_symbol(line: Line) -> Symbol:
    """A symbol that carries the stated domain as assumptions."""
    known: dict[str, bool] = {"integer": True} if line.role.kind == "int" else {"real": True}
    operators = dict.fromkeys(o for o, v in role_limits(line.role) if v == 0)
    if ">" in operators or line.low > 0:
        known["positive"] = True
    elif ">=" in operators or line.low == 0:
        known["nonnegative"] = True
    elif "<" in operators or line.high < 0:
        known["negative"] = True
    elif "!=" in operators:
        known["nonzero"] = True
    return Symbol(line.symbol.name, **known)


def breach_of(op: Op) -> Breach | None:
    """The first breach of an op's stated domain, None where there is none to be found.

    Args:
        op: the op, its variants traced.

    Returns:
        The point and what goes wrong there.
    """
    lines = {symbol_of(a): line_of(a) for a in op.arguments if a.role.kind in ("real", "int") or a.role.is_data}
    assumed = {s: assumed_symbol(line) for s, line in lines.items()}
    with ctx.workprec(PRECISION):
        for variant in op.variants:
            for obligation in needs_of(op, variant):
                if set(obligation.symbols) <= set(lines) and not settled(obligation, assumed):
                    found = search(obligation, [lines[s] for s in obligation.symbols])
                    if found is not None:
                        return found
    return None


def needs_of(op: Op, variant: Variant) -> list[Obligation]:
    """The obligations of a variant, once each, under its conditions and the asserted relations."""
    fixed = {c.args[0]: c.args[1] for c, t in variant.conditions if t and isinstance(c, sp.Eq) and c.args[0].is_Symbol}
    guards = (*variant.conditions, *((a, True) for a in op.assertions))
    found: dict[Obligation, None] = {}
    for expression in (variant.value, variant.share):
        if expression is not None:
            for o in obligations(expression):
                used = set(o.symbols)
                outer = tuple(g for g in guards if g[0].free_symbols & used)
                found[replace(o, guards=(*outer, *o.guards))] = None
    finite = {s: v for s, v in fixed.items() if v.is_finite}
    return [substituted(o, finite) for o in found]


def substituted(o: Obligation, values: Mapping[Any, Any]) -> Obligation:
    if not values:
        return o
    guards = tuple((c.xreplace(values), t) for c, t in o.guards)
    exponent = None if o.exponent is None else o.exponent.xreplace(values)
    return replace(o, subject=o.subject.xreplace(values), guards=guards, exponent=exponent)


def search(obligation: Obligation, lines: list[Line]) -> Breach | None:
    """Look for a breach: simple points, boxes that stay open, and roots between points of opposite sign."""
    tried: dict[Point, bool | None] = {}
    candidates = itertools.chain(grid(obligation, lines), boxes(obligation, lines))
    for point in candidates:
        if point in tried or not all(line.holds(v) for line, v in zip(lines, point, strict=True)):
            continue
        tried[point] = status_at(obligation, lines, point)
        if tried[point] is False and (len(lines) > 1 or len(tried) > MOST_POINTS):
            break
    bad = [p for p, status in tried.items() if status is False]
    if bad:
        simplest = min(bad, key=lambda p: (max((v.denominator for v in p), default=1), max(map(abs, p), default=0)))
        return report(obligation, lines, simplest, tried)
    root = sign_change(obligation, lines, list(tried)) if obligation.need in ("divisor", "tangent") else None
    return None if root is None else report(obligation, lines, root, tried)


def status_at(obligation: Obligation, lines: list[Line], point: Point) -> bool | None:
    status = obligation.status(box_at(lines, point))
    if status is None and not obligation.subject.atoms(sp.Function):
        values = {line.symbol: sp.Rational(v.numerator, v.denominator) for line, v in zip(lines, point, strict=True)}
        inside = all(sp.sympify(c).xreplace(values) == sp.sympify(t) for c, t in obligation.guards)
        if inside and obligation.need not in ("root", "power") and obligation.subject.xreplace(values).is_zero:
            return False
    return status


def box_at(lines: list[Line], point: Point) -> dict[Any, Span]:
    box: dict[Any, Span] = {}
    for line, value in zip(lines, point, strict=True):
        b = ball(value)
        box[line.symbol] = (b, b)
    return box


def grid(obligation: Obligation, lines: list[Line]) -> Iterator[Point]:
    """Points of the stated domain, simple ones first, then spread over all strata."""
    rows = [line.points(numbers_in(obligation)) for line in lines]
    if not all(rows):
        return
    ranks = itertools.product(*[range(min(len(r), 12 if len(rows) > 1 else len(r))) for r in rows])
    near = sorted(ranks, key=sum)[:MOST_POINTS] if len(rows) < 4 else []
    for rank in near:
        yield tuple(row[i] for row, i in zip(rows, rank, strict=True))
    if len(rows) > 1:
        for k in range(MOST_POINTS // 2):
            yield tuple(row[(k * (2 * j + 7) + k // len(row)) % len(row)] for j, row in enumerate(rows))


def numbers_in(obligation: Obligation) -> list[Fraction]:
    """The rational numbers of the subject and of its cases: where something may happen."""
    atoms = set(obligation.subject.atoms(sp.Rational))
    for condition, _ in obligation.guards:
        atoms |= condition.atoms(sp.Rational)
    exactly = {Fraction(int(a.p), int(a.q)) for a in atoms if abs(a) < FAR}
    return sorted(exactly | {-v for v in exactly})[:12]


def boxes(obligation: Obligation, lines: list[Line]) -> Iterator[Point]:
    """Midpoints of the boxes in which interval arithmetic leaves the matter open, coarse ones first."""
    cuts = [sorted({line.low, line.high, *(v for v in STRATA[::4] if line.low < v < line.high)}) for line in lines]
    if len(lines) > 1:
        cuts = [c[:: max(1, len(c) // 4)] for c in cuts]
    waiting = list(itertools.product(*[list(itertools.pairwise(c)) for c in cuts]))
    for _ in range(MOST_BOXES):
        if not waiting:
            return
        box = waiting.pop(0)
        spans = {line.symbol: (ball(a), ball(b)) for line, (a, b) in zip(lines, box, strict=True)}
        if obligation.status(spans):
            continue
        yield tuple((a + b) / 2 for a, b in box)
        widest = max(range(len(box)), key=lambda i: box[i][1] - box[i][0])
        a, b = box[widest]
        halves = (a, (a + b) / 2), ((a + b) / 2, b)
        waiting += [(*box[:widest], half, *box[widest + 1 :]) for half in halves]


def sign_change(obligation: Obligation, lines: list[Line], points: list[Point]) -> Point | None:
    """A root of a divisor between two neighbouring points, followed by bisection until it is certain to be one."""
    for position in range(len(lines)):
        rows: dict[Point, list[Fraction]] = {}
        for point in points:
            rows.setdefault((*point[:position], *point[position + 1 :]), []).append(point[position])
        for rest, values in rows.items():
            ordered = sorted(values)
            for a, b in sorted(itertools.pairwise(ordered), key=lambda p: max(abs(p[0]), abs(p[1]))):
                root = bisected(obligation, lines, rest, position, a, b)
                if root is not None:
                    return (*rest[:position], root, *rest[position:])
    return None


def bisected(
    obligation: Obligation, lines: list[Line], rest: Point, position: int, a: Fraction, b: Fraction
) -> Fraction | None:
    def value(v: Fraction) -> float | None:
        box = box_at(lines, (*rest[:position], v, *rest[position:]))
        if not all(guards_at(obligation, box)):
            return None
        try:
            low, high = enclose(obligation.subject, box)
        except Undefined:
            return None
        return float(low.mid()) if low > 0 or high < 0 else None

    left, right = value(a), value(b)
    if left is None or right is None or (left > 0) == (right > 0):
        return None
    start = min(abs(left), abs(right))
    for _ in range(MOST_STEPS):
        middle = (a + b) / 2
        between = value(middle)
        if between is None:
            return None
        if (between > 0) == (left > 0):
            a, left = middle, between
        else:
            b, right = middle, between
    shrunk = max(abs(left), abs(right)) < 1e-6 * start
    if any(a <= v <= b for v in lines[position].without):
        return None  # the root is the very point that the role leaves out
    around = box_at(lines, (*rest[:position], a, *rest[position:])) | {lines[position].symbol: (ball(a), ball(b))}
    if not all(guards_at(obligation, around)):
        return None  # or one that a condition leaves out, as that of a product of it
    return a if shrunk and lines[position].role.kind != "int" else None


def guards_at(obligation: Obligation, box: Mapping[Any, Span]) -> Iterator[bool]:
    for condition, wanted in obligation.guards:
        yield holds(condition, box) is wanted


# What is said about a breach


def report(obligation: Obligation, lines: list[Line], point: Point, tried: dict[Point, bool | None]) -> Breach:
    """The breach in words, with the declaration that would exclude it where one argument is to blame."""
    relevant = [(line, v) for line, v in zip(lines, point, strict=True)]
    values = {line.symbol: sp.Rational(v.numerator, v.denominator) for line, v in relevant}
    subject = value_at(obligation.subject, lines, point)
    where = ", ".join(f"{line.symbol} = {shown(values[line.symbol])}" for line, _ in relevant)
    breach = NEEDS[obligation.need].breach.format(node=obligation.node, value=subject)
    undefined = obligation.need in ("divisor", "tangent", "gamma") or subject == "0"
    what = f"{'undefined' if undefined else 'complex'} at {where or 'every point'}: {breach}"
    hint = "treat that as a case of its own, 'if ...: return ...', or state the domains in the signature"
    if len(lines) == 1:
        statuses = {p[0]: s for p, s in tried.items()}
        hint = declaration(lines[0], [point[0], *numbers_in(obligation)], statuses) or hint
    return Breach(obligation, tuple(values.items()), what, hint)


def value_at(expression: Expr, lines: list[Line], point: Point) -> str:
    """An expression's value at a point, for reading."""
    try:
        return f"{float(enclose(expression, box_at(lines, point))[0].mid()):.6g}"
    except Undefined:
        return "something undefined"


def shown(value: Any) -> str:
    """A rational number as one would write it: exact where that is short, else rounded."""
    text = str(value)
    return text if len(text) <= 8 else f"{float(value):.6g}"


def declaration(line: Line, numbers: list[Fraction], tried: dict[Fraction, bool | None]) -> str:
    """The annotation that keeps every point that is fine and no other, where one of simple form does."""
    bad = [v for v, s in tried.items() if s is False] or numbers[:1]
    fine = [v for v, s in tried.items() if s]
    ends = list(dict.fromkeys([Fraction(0), Fraction(1), Fraction(-1), *numbers]))
    short = [e for e in ends if len(str(e)) <= 8]
    singles: list[Limits] = [((op, e),) for e in short for op in ("!=", ">", ">=", "<", "<=")]
    pairs: list[Limits] = [((o, a), (p, b)) for o, a, p, b in itertools.product((">", ">="), short, ("<", "<="), short)]
    for limits in [*singles, *pairs]:
        if fine and all(inside(v, limits) for v in fine) and not any(inside(v, limits) for v in bad):
            stated = tuple((o, int(e) if e.denominator == 1 else float(e)) for o, e in limits)
            replaced = {o[0] for o, _ in stated}
            others = tuple((o, v) for o, v in line.role.limits if o[0] not in replaced)
            role = replace(line.role, limits=(*others, *stated))
            return f"declare `{line.symbol}: {role}`, or give those values a case of their own: 'if ...: return ...'"
    return ""


def inside(value: Fraction, limits: Limits) -> bool:
    return all(PLAIN[op](value, end) for op, end in limits)


def difference_of(op: Op, text_value: Expr, variant: Variant) -> tuple[Symbol, Fraction, float, float] | None:
    """A point at which another form differs from the definition, its options at their defaults."""
    operands = [a for a in op.operands if a.role.kind == "tensor"]
    values = {op.symbol(a.name): exact(a.default) for a in op.options if isinstance(a.default, (int, float))}
    if len(operands) != 1 or set(text_value.free_symbols) - set(values) - {op.symbol(operands[0].name)}:
        return None
    line = line_of(operands[0])
    with ctx.workprec(PRECISION):
        for v in line.points([]):
            box = box_at([line], (v,))
            try:
                one, other = (enclose(e.xreplace(values), box)[0] for e in (variant.value, text_value))
            except Undefined:
                continue
            if abs(one - other) > 1e-12 * (1 + abs(one)):
                return line.symbol, v, float(one.mid()), float(other.mid())
    return None
