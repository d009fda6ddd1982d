"""What kernels of rows on CPUs take from the runtime, by module: the imports that their own modules need."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

from symgen.backends.numba_row_reductions import REDUCTIONS

INTRINSIC = frozenset({"two_sum"})  # what cores take from `symgen.runtime.intrinsics`, too
SOURCES: Mapping[str, frozenset[str]] = {
    "extremes": frozenset({"nearer_number", "wider_number", "settled_peak", "settled_scale"}),
    "again": frozenset({"first_of", "rows_at"}),
    "lists": frozenset({"listed", "negated"}),
    "stretches": frozenset({"STRETCH", "together"}),
}
ELSEWHERE = INTRINSIC.union(*SOURCES.values())
TAKEN = ELSEWHERE | {"LANES", "cleared", "lanes_of", "settled", "settled_sum"} | {
    name for m in REDUCTIONS.values() for name in (m.step, m.end)
}  # fmt: skip


def imported(uses: Collection[str]) -> Iterator[tuple[str, list[str]]]:
    """The modules of the runtime with what is used of each, in the order of their imports.

    Example:
        >>> list(imported({"largest", "together", "two_sum"}))
        [('stretches', ['together']), ('reductions', ['largest'])]
    """
    found = {name: names.intersection(uses) for name, names in SOURCES.items()}
    found["reductions"] = frozenset(uses) - ELSEWHERE
    yield from ((name, sorted(names)) for name, names in found.items() if names)
