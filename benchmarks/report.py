"""What a run found, for people: a table, ratios against the bars, and a plot of time over the memory bound."""

from __future__ import annotations

import math
import statistics
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from benchmarks.run import Row

OWN, BOUND = "symgen", "copy"
AS_ACCURATE = 2.0  # a peer is as accurate if its largest error is at most so many times ours
Key = tuple[str, str, str, int, bool, int]


def tasks(rows: Sequence[Row]) -> dict[Key, dict[str, Row]]:
    """Rows by task and library."""
    found: dict[Key, dict[str, Row]] = defaultdict(dict)
    for row in rows:
        found[row.function, row.mode, row.dtype, row.size, row.allocated, row.row][row.library] = row
    return dict(found)


def table(rows: Sequence[Row]) -> Iterator[str]:
    """One line for each task: each library's time in microseconds, over the bound, and its error."""
    libraries = list(dict.fromkeys(row.library for row in rows))
    head = f"{'function':24}{'mode':16}{'dtype':10}{'size':>10}{'row':>7}{'out':>7}"
    yield "".join((head, *(f"{n:>30}" for n in libraries)))
    yield f"{'':74}" + f"{'us  / copy        ulp':>30}" * len(libraries)
    for (function, mode, dtype, size, allocated, row), found in tasks(rows).items():
        head = f"{function:24}{mode:16}{dtype:10}{size:10}{row or '':>7}{'new' if allocated else 'given':>7}"
        yield head + "".join(_cell(found, name) for name in libraries)


def _cell(found: dict[str, Row], name: str) -> str:
    row = found.get(name)
    if row is None or row.times is None:
        return f"{'-':>30}"
    bound = over_bound(found, name)
    errors = "" if row.ulp is None else "inf" if math.isinf(row.ulp) else f"{row.ulp:.4g}"
    return f"{row.times.median * 1e6:11.2f}{'' if bound is None else f'{bound:8.2f}':>8}{errors:>11}"


def over_bound(found: dict[str, Row], name: str) -> float | None:
    """A library's time over that of moving the bytes of the task, by copies of the operand in the same run."""
    row, bound = found.get(name), found.get(BOUND)
    if row is None or row.times is None or bound is None or bound.times is None:
        return None
    return row.times.median / (bound.times.median * row.copies)


def ratios(rows: Sequence[Row]) -> dict[tuple[str, str, str, str], list[float]]:
    """A peer's time over ours by kind, mode, dtype and peer, for each task that both did."""
    found: dict[tuple[str, str, str, str], list[float]] = defaultdict(list)
    for each in tasks(rows).values():
        own = each.get(OWN)
        for name, row in each.items():
            if name not in (OWN, BOUND) and own and own.times and row.times:
                found[row.kind, row.mode, row.dtype, name].append(row.times.median / own.times.median)
    return dict(found)


def bounds(rows: Sequence[Row]) -> dict[tuple[str, str, str, int, bool], dict[str, float]]:
    """Our time over that of moving the bytes, by kind, mode, dtype, size and whether results are new, by function."""
    found: dict[tuple[str, str, str, int, bool], dict[str, float]] = defaultdict(dict)
    for (function, mode, dtype, size, allocated, row), each in tasks(rows).items():
        ratio = over_bound(each, OWN)
        if ratio is not None and each[OWN].kind == "elementwise" and not row:
            found[each[OWN].kind, mode, dtype, size, allocated][function] = ratio
    return dict(found)


def slower(rows: Sequence[Row], by: float = 1.1, by_any: float = 2.0) -> Iterator[str]:
    """Tasks in which a peer as accurate is faster by more than ``by``, or any peer by more than ``by_any``."""
    for key, found in tasks(rows).items():
        own = found.get(OWN)
        if own is None or own.times is None:
            continue
        for name, row in found.items():
            if name in (OWN, BOUND) or row.times is None:
                continue
            ratio = own.times.median / row.times.median
            accurate = None not in (row.ulp, own.ulp) and row.ulp <= AS_ACCURATE * own.ulp  # type: ignore[operator]
            if ratio > (by if accurate else by_any):
                yield (
                    f"{' '.join(map(str, key[:4]))}{f' in rows of {key[5]}' if key[5] else ''} "
                    f"{'new' if key[4] else 'given'}: {ratio:.2f} times {name}'s time{_errors(own.ulp, row.ulp)}"
                )


def _errors(own: float | None, other: float | None) -> str:
    return "" if own is None or other is None else f", at {own:.4g} against {other:.4g} ULP"


def closing(rows: Sequence[Row]) -> Iterator[str]:
    """The ratios of a whole run, in a few lines."""
    for (kind, mode, dtype, name), found in sorted(ratios(rows).items()):
        mean = statistics.geometric_mean(found)
        yield (
            f"{kind} {mode}, {dtype}: {name} takes {mean:.2f} times symgen's time in the geometric mean "
            f"of {len(found)} tasks, from {min(found):.2f} to {max(found):.2f}"
        )
    for (kind, mode, dtype, size, allocated), each in sorted(bounds(rows).items()):
        best, worst = (pick(each, key=lambda n: each[n]) for pick in (min, max))
        yield (
            f"{kind} {mode}, {dtype}, {size} elements, {'new' if allocated else 'given'}: symgen takes "
            f"{statistics.geometric_mean(each.values()):.2f} times a copy of the bytes in the geometric mean, "
            f"from {each[best]:.2f} ({best}) to {each[worst]:.2f} ({worst})"
        )
    if worse := list(slower(rows)):
        yield f"slower than a peer in {len(worse)} tasks:"
        yield from (f"  {line}" for line in worse)
    for name, why in dict.fromkeys((r.library, r.skipped) for r in rows if r.skipped):
        count = sum(r.library == name and r.skipped == why for r in rows)
        yield f"{name} skipped in {count} tasks: {why}"


def plot(rows: Sequence[Row], path: Path) -> None:
    """Time over the memory bound against size: one line for each library, one panel for each mode and dtype.

    Args:
        rows: of a run with several sizes.
        path: where to write; the suffix says what, such as .svg or .png.
    """
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    modes = list(dict.fromkeys((r.mode, r.dtype) for r in rows))
    figure, axes = plt.subplots(1, len(modes), figsize=(4.5 * len(modes), 4), squeeze=False, sharey=True)
    for axis, (mode, dtype) in zip(axes[0], modes, strict=True):
        for name, points in _lines([r for r in rows if (r.mode, r.dtype) == (mode, dtype)]).items():
            axis.plot(*zip(*points, strict=True), marker="o", label=name, linewidth=2 if name == OWN else 1)
        axis.set(xscale="log", yscale="log", xlabel="elements", title=f"{mode}, {dtype}")
        axis.grid(alpha=0.3)
    axes[0][0].set_ylabel("time / memory bound (geometric mean of functions)")
    axes[0][0].legend()
    figure.tight_layout()
    figure.savefig(path)
    plt.close(figure)


def _lines(rows: Sequence[Row]) -> dict[str, list[tuple[int, float]]]:
    found: dict[str, dict[int, list[float]]] = defaultdict(lambda: defaultdict(list))
    for (_, _, _, size, *_), each in tasks(rows).items():
        for name in each:
            ratio = over_bound(each, name)
            if ratio is not None:
                found[name][size].append(ratio)
    means: dict[str, Any] = {
        name: [(size, statistics.geometric_mean(values)) for size, values in sorted(by_size.items())]
        for name, by_size in found.items()
    }
    return means
