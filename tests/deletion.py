"""What a rule is worth: formulas derived without it, against the same with it, both without pieces.

``python -m tests.deletion [rule ...]`` prints, for each rule, the first formula that misses it and what it loses.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from unittest import mock

from symgen import catalogue
from symgen.arithmetic import Pair
from symgen.cost import cost
from symgen.kernel import var
from symgen.rows.lower import is_row_function
from symgen.rules import ALL_RULES
from symgen.rules.engine import fixpoint
from symgen.settings import free
from symgen.spec import Op, load
from symgen.stabilize import candidates, ratio, recognize, rewrite
from symgen.stabilize.leaves import Bench, Leaf
from symgen.stabilize.probe import TARGETS, Probe
from symgen.wanted import Wanted
from symgen.workshop import Workshop

HERE = Path(__file__).parent
WORSE = 1.02  # a larger error, or dearer code, by less than that is chance
MOST_FORMULAS = 12  # that one rule is tried on for each target


@dataclass(frozen=True)
class Score:
    """How one output comes out for one target: the largest error that misses the bar, the segments, what they cost."""

    missed: float
    segments: int
    cost: float

    def loss(self, without: Score) -> str:
        """What is worse without a rule, in words; empty where nothing is."""
        if without.missed > self.missed * WORSE:
            return f"misses the bar by {without.missed:.3g} ULP instead of {self.missed:.3g}"
        if without.missed == self.missed and without.segments > self.segments:
            return f"{without.segments} segments instead of {self.segments}"
        if without.missed == self.missed and without.cost > self.cost * WORSE:
            return f"costs {without.cost:.0f} instead of {self.cost:.0f}"
        return ""


@contextmanager
def _rules(change: object) -> Iterator[None]:
    """Everything that applies rules with another set of them, and nothing remembered from before or after."""
    places = ((rewrite, "_RULES"), (recognize, "_RULES"), (candidates, "UNFOLD"))
    patches = [mock.patch.object(m, n, tuple(filter(change, getattr(m, n)))) for m, n in places]  # type: ignore[call-overload]
    try:
        for patch in patches:
            patch.start()
        _forget()
        yield
    finally:
        mock.patch.stopall()
        _forget()


def _forget() -> None:
    for remembered in (candidates.attempt, candidates.reduced, candidates.shapes, ratio.halves):
        remembered.cache_clear()


@contextmanager
def without(name: str) -> Iterator[None]:
    """A derivation as it is without one rule."""
    with _rules(lambda rule: rule.name != name):
        yield


@dataclass(frozen=True, eq=False)
class Formula:
    """One variant of a function, its truth measured once."""

    op: Op
    index: int
    written: bool = False  # to need a rule

    @property
    def name(self) -> str:
        return f"{self.op.name}{self.op.variants[self.index].suffix}"

    @cache  # noqa: B019  a handful of formulas, for as long as the process lives
    def shop(self) -> Workshop:
        return Workshop.of(self.op, self.op.variants[self.index], pieces=False)

    def wanted(self) -> Iterator[Wanted]:
        """Value, first and second derivative, as `derive_variant` has them."""
        shop = self.shop()
        naive = candidates.hoist(shop.parts.core)
        known, steps = recognize.recognize(naive)
        outputs = Wanted.all_of(shop.sampler.x, *shop.variables, naive, candidates.hoist(known), steps)
        x = shop.sampler.x
        names = {"value", *(f"{o}{of}" for o in ("grad", "grad2") for of in ("", f"_{x.name}"))}
        return (w for w in outputs if w.name in names and w.question.wrt == x)

    @cache  # noqa: B019
    def truth(self, order: int) -> tuple[Probe, Probe]:
        """The truth as the whole set of rules finds it: it is the same function without one."""
        question = next(w for w in self.wanted() if w.question.order == order).question
        return self.shop().sampler.probe(question), self.shop().sampler.fresh(question)

    def forget(self) -> None:
        """Drop what code gave at the probe points; the truth stays."""
        for order in {w.question.order for w in self.wanted()}:
            for probe in self.truth(order):
                probe.memory.clear()

    def scores(self, target: int) -> dict[str, Score]:
        """Each output, chosen from the candidates that the rules of the moment give."""
        return {w.name: self._score(w, target) for w in self.wanted()}

    @cache  # noqa: B019
    def with_all(self, target: int) -> dict[str, Score]:
        return self.scores(target)

    def _score(self, wanted: Wanted, target: int) -> Score:
        shop = self.shop()
        stable, _ = candidates.traced(wanted.recognized)
        leaf = Leaf(stable, (wanted.recognized, *(candidates.attempt(e) for e in wanted.also), *wanted.also))
        bound = {shop.symbols[n]: Pair(var(n)) for n in shop.sampled}
        bench = Bench(shop.sampler, wanted.question, shop.sampled, bound, TARGETS[target], pieces=False)
        form, unresolved = bench.form(leaf, *self.truth(wanted.question.order))
        segments = sum(len(region.segments) for region in form.regions())
        largest = max((u.error for u in unresolved), default=0.0)
        return Score(largest, segments, cost([form.node(shop.sampler.x, bound)]))

    @cache  # noqa: B019
    def rules(self) -> frozenset[str]:
        """The rules that are applied anywhere on the way to its candidates."""
        used: set[str] = set()

        def recorded(*arguments: object) -> object:
            result = fixpoint(*arguments)  # type: ignore[arg-type]
            used.update(step.rule for step in result[1])
            return result

        _forget()
        with mock.patch.object(rewrite, "fixpoint", recorded), mock.patch.object(recognize, "fixpoint", recorded), \
                mock.patch.object(candidates, "fixpoint", recorded):  # fmt: skip
            for w in self.wanted():
                stable, _ = candidates.traced(w.recognized)
                shapes = (w.recognized, *(candidates.attempt(e) for e in w.also), *w.also)
                candidates.candidates(stable, shapes, self.shop().sampler.x, ("plain",))
        return frozenset(used)


@cache
def formulas() -> tuple[Formula, ...]:
    """The catalogue, the corpus of formulas outside it, and a few for rules that none of these needs."""
    ops = []
    for path in (*sorted(catalogue.folder().glob("activations/*.py")), *sorted((HERE / "unseen/specs").glob("*.py"))):
        ops += (op for op in load(path).values() if not is_row_function(op))
    found = [Formula(op, i) for op in ops for i in range(len(op.variants))]
    found.sort(key=lambda f: bool(free(f.op, f.op.variants[f.index])))  # those with settings last
    made = [Formula(op, i, True) for op in load(HERE / "deletion_specs.py").values() for i in range(len(op.variants))]
    return (*found, *made)


def changes_a_derivation(rule: str) -> bool:
    """Whether some formula's stable form is another without the rule, whatever that does to its code."""
    for formula in (f for f in formulas() if rule in f.rules()):
        before = [str(candidates.traced(w.recognized)[0]) for w in formula.wanted()]
        with without(rule):
            after = [str(candidates.traced(w.recognized)[0]) for w in formula.wanted()]
        if before != after:
            return True
    return False


def first_loss(rule: str) -> tuple[str, str] | None:
    """The first formula that misses a rule, its output and target, and what it loses."""
    users = [f for f in formulas() if rule in f.rules()]
    users = [*users[:MOST_FORMULAS], *(f for f in users[MOST_FORMULAS:] if f.written)]
    for target in range(len(TARGETS)):
        for formula in users:
            before = formula.with_all(target)
            with without(rule):
                after = formula.scores(target)
            formula.forget()
            for output, score in before.items():
                loss = score.loss(after[output])
                if loss:
                    return f"{formula.name} {output} {TARGETS[target].name}", loss
    return None


def main() -> int:
    """Print a line for each rule; fail if one is missed by nothing."""
    names = sys.argv[1:] or [r.name for r in ALL_RULES]
    idle = 0
    for name in names:
        found = first_loss(name)
        idle += found is None
        print(f"{name:24} {': '.join(found) if found else 'nothing misses it'}", flush=True)
    return min(idle, 1)


if __name__ == "__main__":
    sys.exit(main())
