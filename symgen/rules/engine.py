"""Applies rules to a fixed point: larger patterns first, in a fixed order, every application recorded."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache

import sympy as sp
from sympy import Expr

from symgen.rules.matching import apply
from symgen.rules.parts import inside, kinds_of, operands
from symgen.rules.rule import VARIABLES, Procedure, Rule, Step

# far above what any catalogue function needs (at most a few tens): reaching it means two rules undo each other
LIMIT = 400
# likewise for size: a form this much larger than what it came from explains nothing any more
LARGEST_GROWTH = 20


class RewriteError(RuntimeError):
    """Rules that undo each other: a bug in symgen, not in a spec."""


def nodes(e: Expr) -> Iterator[Expr]:
    """Every node once, arguments before what they are in, conditions left out."""
    seen: set[Expr] = set()
    stack = [(e, False)]
    while stack:
        node, ready = stack.pop()
        if ready:
            yield node
        elif node not in seen:
            seen.add(node)
            stack.append((node, True))
            stack.extend((o, False) for o in reversed(operands(node)))


def replace(e: Expr, before: Expr, after: Expr) -> Expr:
    """The expression with one node replaced wherever it occurs outside conditions."""
    if e == before:
        return after
    parts = operands(e)
    if not parts or not e.has(before):
        return e
    kept = e.args[: len(e.args) - len(parts)]
    return e.func(*kept, *(replace(p, before, after) for p in parts))


# no pattern is as large as that
_BEFORE_ALGEBRA = 1000.0


def _rank(rule: Rule | Procedure) -> float:
    """Renaming comes first, since patterns are written in heads; then larger patterns, algebra, procedures last."""
    if not isinstance(rule, Rule):
        return 0.0
    if isinstance(rule.left, sp.Function) and VARIABLES.issuperset(rule.left.args):
        return math.inf
    size = float(sum(1 for _ in sp.preorder_traversal(rule.left)))
    return size + _BEFORE_ALGEBRA * (rule.phase == "recognize" or rule.left.has(sp.Function))


def ordered(rules: Iterable[Rule | Procedure]) -> tuple[Rule | Procedure, ...]:
    """Larger patterns first, since a smaller one would take a larger one apart; else as listed."""
    return tuple(sorted(rules, key=lambda r: -_rank(r)))


class _Search:
    """One list of rules; remembers what did not match, since nodes never change."""

    def __init__(self, rules: Sequence[Rule | Procedure]) -> None:
        self.rules = rules
        self.needs = [kinds_of(list(nodes(r.left))) if isinstance(r, Rule) else frozenset() for r in rules]
        self.failed: set[tuple[int, Expr]] = set()

    def first(self, e: Expr) -> Step | None:
        """The first rule that applies anywhere, and where."""
        here = list(nodes(e))
        kinds = kinds_of(here)
        for i, rule in enumerate(self.rules):
            if not self.needs[i] <= kinds:
                continue
            for node in here:
                if (i, node) in self.failed or not self.needs[i] <= inside(node):
                    continue
                after = apply(rule, node) if isinstance(rule, Rule) else rule.run(node)
                if after is not None and after != node:
                    return Step(rule.name, node, after)
                self.failed.add((i, node))
        return None


@lru_cache(maxsize=8)
def _search(rules: tuple[Rule | Procedure, ...]) -> _Search:
    """What did not match for one expression does not match for the next: they share most of their nodes."""
    return _Search(rules)


def fixpoint(rules: Sequence[Rule | Procedure], expression: Expr) -> tuple[Expr, tuple[Step, ...]]:
    """Apply the first rule that matches until none does.

    Args:
        rules: in order of preference.
        expression: what to rewrite.

    Returns:
        The rewritten expression, and the steps; replacing ``before`` by ``after`` step by step repeats the rewriting.

    Raises:
        RewriteError: the rules do not come to an end.
    """
    return _fixpoint(tuple(rules), expression)


@lru_cache(maxsize=4096)  # both targets, every round of refinement and many forms ask for the same ones
def _fixpoint(rules: tuple[Rule | Procedure, ...], expression: Expr) -> tuple[Expr, tuple[Step, ...]]:
    search = _search(rules)
    steps: list[Step] = []
    start, allowed = expression, LARGEST_GROWTH * (10 + sum(1 for _ in nodes(expression)))
    while (step := search.first(expression)) is not None:
        steps.append(step)
        expression = replace(expression, step.before, step.after)
        if len(steps) > LIMIT or sum(1 for _ in nodes(expression)) > allowed:
            last = ", ".join(s.rule for s in steps[-6:])
            raise RewriteError(f"rules do not come to an end on {start}\n  the last were {last}")
    return expression, tuple(steps)
