"""The choice of code where parameters are free: no cut may stand at a number, for it would be wrong at other values.

One candidate takes the whole line, or one each side of zero; at the infinities alone a constant may stand that is the
limit for every setting. Cuts belong into the scaled argument (see `inner`), which is just another candidate here.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from symgen.stabilize.form import Body, Constant, Segment
from symgen.stabilize.probe import Flags, Floats
from symgen.stabilize.regimes import Choice, Problem, Unresolved, all_errors, closed, codes_of

LOST = 64  # bits; nothing is worse than a wrong result
NEARLY = 4  # bits that do not make up for all others
ALIKE = 1.02  # on a GPU, where every warp computes both, two forms have to be better than one by more than that
SOME = 0.05  # of the points: a piece of the line that matters, not the neighbourhood of a root


def choose_free(problem: Problem, candidates: Sequence[Body]) -> Choice:
    """The segments of a leaf with free parameters: the cheapest candidate, or pair of them, that misses least."""
    x = problem.probe.x
    counted = problem.probe.single if problem.target.single else np.ones(x.size, bool)
    candidates, table = _measured(problem, tuple(codes_of(problem, candidates).values()), counted)
    sides = [counted & (x < 0), counted & (x >= 0)]
    most = np.nan_to_num(table, nan=0.0, posinf=1e300).max(axis=1)
    whole = _best(problem, table, most, counted)
    parts = [_best(problem, table, most, side) for side in sides]
    room = ALIKE if problem.target.computes is np.float32 else 1.0
    if _cost(problem, table, whole, counted) <= room * sum(
        _cost(problem, table, part, side) for part, side in zip(parts, sides, strict=True)
    ):
        parts = [whole, whole]
    segments = [Segment(-math.inf, 0.0, candidates[parts[0]]), Segment(0.0, math.inf, candidates[parts[1]])]
    left, right = _end(problem, table[parts[0]], 0), _end(problem, table[parts[1]], -1)
    if left is not None:
        least = -problem.target.largest
        segments = [Segment(-math.inf, least, left), Segment(least, 0.0, segments[0].body), segments[1]]
    if right is not None:
        segments.append(Segment(math.inf, math.inf, right))
    missed = [_report(problem, table[part], side) for part, side in zip(parts, sides, strict=True)]
    return Choice(closed(problem, segments), tuple(m for m in missed if m is not None))


def _measured(problem: Problem, candidates: Sequence[Body], counted: Flags) -> tuple[Sequence[Body], Floats]:
    """The errors of candidates, up to the first that is within the limit everywhere: no later one would be taken."""
    rows: list[Floats] = []
    for candidate in candidates:
        rows.append(all_errors(problem, candidate))
        if (np.nan_to_num(rows[-1][:, counted], nan=0.0, posinf=math.inf) <= problem.target.limits[0]).all():
            break
    return candidates[: len(rows)], np.stack(rows)


def _best(problem: Problem, table: Floats, most: Floats, where: Flags) -> int:
    """The first candidate within a limit everywhere, or where no constant will do; else the one that misses least.

    With `Problem.ends` one that needs constants at the infinities is taken before a later one that needs none.
    """
    parts = (where, where & ~_alike(problem))
    for part_of in parts[::-1] if problem.ends else parts:
        if not part_of.any():
            return 0
        worst = most[:, part_of].max(axis=1)
        for limit in problem.target.limits:
            if (worst <= limit).any():
                return int(np.argmax(worst <= limit))
    part = np.nan_to_num(table[:, :, part_of], nan=0.0, posinf=1e300)
    missing = _severity(part, problem.target.bar)
    # a setting at which every candidate loses all digits on some of the line tells little of which is better
    lost = ((missing > problem.target.digits - NEARLY).mean(axis=2) > SOME).all(axis=0)
    served, all_of_them = missing[:, ~lost].sum(axis=(1, 2)), missing.sum(axis=(1, 2))
    return int(np.lexsort((worst, all_of_them, served))[0])


def _alike(problem: Problem) -> Flags:
    """The infinities at which every setting has the same limit."""
    truth = problem.probe.high
    known = ~np.isnan(truth)
    first = np.take_along_axis(truth, known.argmax(axis=0)[None], axis=0)
    return np.asarray(np.isinf(problem.probe.x) & ((truth == first) | ~known).all(axis=0))


def _severity(errors: Floats, bar: float) -> Floats:
    """By how many bits a bar is missed: two bits beside a root are less than all of them in a tail."""
    return np.log2(np.clip(errors / bar, 1.0, 2.0**LOST))


def _cost(problem: Problem, table: Floats, candidate: int, where: Flags) -> float:
    """Misses of the wider limit, and what is missed of the bar more than once."""
    part = np.nan_to_num(table[candidate][:, where], nan=0.0, posinf=1e300)
    return float((part > problem.target.limits[-1]).sum() + 100 * _severity(part, problem.target.bar).sum())


def _end(problem: Problem, errors: Floats, index: int) -> Constant | None:
    """The limit at an infinity, if it is the same for every setting and the formula does not give it."""
    truth = problem.probe.high[:, index]
    if not np.isinf(problem.probe.x[index]) or not (errors[:, index] > problem.target.limits[-1]).any():
        return None
    known = truth[~np.isnan(truth)]
    return Constant(float(known[0]) + 0.0) if known.size and (known == known[0]).all() else None


def _report(problem: Problem, errors: Floats, where: Flags) -> Unresolved | None:
    where = where & np.isfinite(problem.probe.x)
    each = np.where(where, np.nan_to_num(errors, nan=0.0, posinf=math.inf), 0.0)
    missing = np.flatnonzero(each.max(axis=0) > problem.target.bar)
    if not missing.size:
        return None
    x, (row, at) = problem.probe.x, np.unravel_index(int(np.argmax(each)), each.shape)
    setting = problem.probe.settings[int(row)]
    return Unresolved(float(x[missing[0]]), float(x[missing[-1]]), float(x[at]), float(each[row, at]), setting)
