"""Which stages of a row share one pass over it: those along one axis that wait for no sum of the same pass."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from sympy import Expr, Indexed

from symgen.kernel import topological
from symgen.rows.indices import axis_of, base_of, index, list_of, places
from symgen.rows.schedule import Step


def walks(steps: Sequence[Step]) -> list[list[str]]:
    """The axes that each pass of a kernel walks, of passes that walk any: what a row costs, its lists being short."""
    loops = [(*p.steps[0].stage.axes, *p.steps[0].stage.over) for p in passes(steps)]
    return [[axis_of(i) for i in each if not list_of(i)] for each in loops if each]


@dataclass(frozen=True)
class Pass:
    """Steps whose innermost loop is one loop.

    Attributes:
        steps: in their order; several only where they have no other loop. None of them loops in a pass of a number.
        kept: the stages among them that later passes read, too.
    """

    steps: tuple[Step, ...]
    kept: frozenset[str] = frozenset()

    @property
    def inner(self) -> str:
        """The axis of the loop."""
        return axis_of(innermost(self.steps[0]))


def innermost(step: Step) -> str:
    """The index of a step's innermost loop, empty if it has none."""
    return next(reversed((*step.stage.axes, *step.stage.over)), "")


def passes(steps: Sequence[Step]) -> Iterator[Pass]:
    """The passes of a kernel: each step joins the one before where it can."""
    found: list[list[Step]] = []
    for step in steps:
        if found and _joins(step, found[-1]):
            found[-1].append(step)
        else:
            found.append([step])
    cheap = {s.stage.out: s for s in steps if _is_cheap(s)}
    for i, first in enumerate(found):
        own = found[i] = [*_repeated(first, found[:i], cheap), *first]
        later = {base_of(r) for others in found[i + 1 :] for s in others for r in every_read(s)
                 if base_of(r) not in cheap or not _is_here(r, s)}  # fmt: skip
        yield Pass(tuple(own), frozenset(s.stage.out for s in own if s.stage.out in later))


def _is_cheap(step: Step) -> bool:
    """Whether an entry is made again by every pass that reads it in its place: keeping it would cost more."""
    if step.stage.op != "=" or len(step.stage.axes) != 1 or len(step.core.results) > 1:
        return False
    return sum(n.op not in ("var", "const") for n in topological(step.core.results)) <= 1


def _repeated(own: list[Step], before: list[list[Step]], cheap: Mapping[str, Step]) -> list[Step]:
    """The cheap steps of earlier passes whose entries a pass reads in their places."""
    read = {base_of(r) for s in own for r in every_read(s) if _is_here(r, s)}
    made = {s.stage.out: s for others in before for s in others}
    return [s for name, s in made.items() if name in read and name in cheap]


def _is_here(read: Expr, step: Step) -> bool:
    """Whether an entry is read at the one index of a step that is its innermost."""
    return len(step.stage.axes) + len(step.stage.over) == 1 and places(read) == (index(innermost(step)),)


def _joins(step: Step, others: list[Step]) -> bool:
    loops = [len(s.stage.axes) + len(s.stage.over) for s in (step, *others)]
    if set(loops) != {1} or axis_of(innermost(step)) != axis_of(innermost(others[0])):
        return False
    made = {s.stage.out: s for s in others}
    here = (index(innermost(step)),)
    read = [r for r in every_read(step) if base_of(r) in made]
    return all(places(r) == here and not made[base_of(r)].stage.over for r in read)


def every_read(step: Step) -> list[Expr]:
    """What a step reads, positions that are gathered among it."""
    found: list[Expr] = []
    for what in step.reads:
        arrays = what.atoms(Indexed)
        found += [*arrays, *(what.free_symbols - {a.base.label for a in arrays})]
    return found
