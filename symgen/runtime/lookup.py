"""The compiled half of tables: reads results of 16-bit operands out of memory. Importing it imports Numba."""

from __future__ import annotations

from typing import Any

from numba import njit, types

_WORDS = types.Array(types.uint16, 1, "C", readonly=True)


@njit(nogil=True, cache=True)
def _look_up(words: Any, table: Any, out: Any) -> None:
    for i in range(out.size):
        out[i] = table[words[i]]  # an unsigned index of 16 bits is never outside


def compiled() -> Any:
    """``look_up(words, table, out)``, which releases the GIL: ``table`` has 65,536 entries, and all are uint16."""
    if not hasattr(_look_up, "compile"):  # NUMBA_DISABLE_JIT=1: in plain Python the loop would take minutes
        return lambda words, table, out: table.take(words, out=out, mode="wrap")
    return _look_up.compile((_WORDS, _WORDS, types.Array(types.uint16, 1, "C")))
