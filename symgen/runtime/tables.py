"""Functions of one 16-bit operand as tables: 65,536 results, computed once by the kernel itself, then only read.

A table holds for every input exactly what the kernel gives, NaNs included, and half as much memory is moved as for
float32 without any arithmetic. It costs what the kernel costs on 65,536 elements, so it is made when so many have been
computed without it: a program never does more than twice the work that it would have needed.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, lru_cache
from typing import Any, Final

import numpy as np

from .dtypes import FLOAT64, Array, DType
from .execute import Loop, run

SETUP: Final = 1 << 10  # elements that cost as much as it does to begin a call that converts its operands
ENTRIES: Final = 1 << 16
TABLES: Final = 64  # that are kept, of 128 KiB each
COUNTED: Final = 256  # functions whose elements are counted before counting starts afresh
WORD: Final = np.dtype(np.uint16)

_computed: dict[Any, int] = {}


def fits(array: Array, result: DType) -> bool:
    """Whether results of this dtype depend on 16 bits of each element: operand and result are of one 16-bit type."""
    return result.itemsize == 2 and array.dtype == result and result.isnative


def tabulated(loop: Loop, numbers: tuple[float, ...], dtype: DType, size: int) -> Loop | None:
    """A loop over arrays of ``dtype`` that reads a table of ``loop``, or None while a table would not pay.

    Args:
        loop: the float64 loop of a function of one operand.
        numbers: its options.
        dtype: float16 or bfloat16.
        size: how many elements this call computes.
    """
    key = (loop, np.array(numbers).tobytes(), dtype)  # the bytes, because -0.0 equals 0.0
    count = _computed.get(key, 0) + max(size, SETUP)
    if count < ENTRIES:
        if len(_computed) >= COUNTED:
            _computed.clear()
        _computed[key] = count
        return None
    _computed[key] = ENTRIES
    return _reader(*key)


@lru_cache(maxsize=TABLES)
def _reader(loop: Loop, packed: bytes, dtype: DType) -> Loop:
    table = np.empty(ENTRIES, dtype)
    every = np.arange(ENTRIES, dtype=WORD).view(dtype)
    run(loop, [every], np.frombuffer(packed).tolist(), [table], FLOAT64, fresh=True)
    words, look_up = table.view(WORD), _look_up()

    def read(x: Array, *arguments: Any) -> None:
        look_up(x.view(WORD), words, arguments[-1].view(WORD))  # between them stand the options, already accounted for

    return read


@cache
def _look_up() -> Callable[..., Any]:
    from .lookup import compiled

    found: Callable[..., Any] = compiled()
    return found
