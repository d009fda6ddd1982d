"""How kernels of rows reduce: where each reduction begins, what takes one more entry, and what joins its lanes."""

from __future__ import annotations

from dataclasses import dataclass

from symgen.rows.schedule import Step


@dataclass(frozen=True)
class Monoid:
    """A reduction: where it begins, and the functions that take one more entry and that join the lanes.

    Attributes:
        whole: what makes the result of a reduction that goes without lanes, in variables: its entries may be taken in
            whatever order compilers like. Empty where they may not.
        alone: the function that takes one more entry where there are no lanes, if it is another.
        ended: what makes the result of a lane that is joined with none, empty where it is the result.
        stretched: whether a reduction without lanes sums up stretches of a row, so that no error grows with its length.
    """

    start: str
    step: str
    end: str
    whole: str = ""
    alone: str = ""
    ended: str = ""
    stretched: bool = False


REDUCTIONS = {
    "sum": Monoid("0.0", "added", "sum_up", ended="settled({})"),
    "estimate": Monoid("0.0", "plus", "estimate", "{}", stretched=True),  # nobody asks what is missing
    "one": Monoid("0.0", "beside_one", "one_and_more", "settled_sum({})", ended="settled_sum({})", stretched=True),
    "prod": Monoid("1.0", "multiplied", "multiply_up", ended="settled({})"),
    "max": Monoid("-math.inf", "larger", "largest"),
    "min": Monoid("-math.inf", "smaller", "smallest", ended="negated({})"),
    "peak": Monoid("-math.inf", "nearer", "peak", "settled_peak({})", "nearer_number", "settled_peak({})"),
    "scale": Monoid("-math.inf", "wider", "scale", "settled_scale({})", "wider_number", "settled_scale({})"),
}


def monoid_of(step: Step) -> Monoid:
    """The reduction of a step."""
    if step.stage.op == "sum" and (step.one or not step.pair):
        return REDUCTIONS["one" if step.one else "estimate"]
    return REDUCTIONS[step.stage.op]
