"""Single rows of a kernel's arrays, for those that it computes again.

Copied beside a user's own kernels: it imports NumPy and Numba only.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numba import njit, types
from numba.extending import overload

_OPTIONS: Final = {"nogil": True, "error_model": "numpy", "fastmath": False, "forceinline": True}


@njit(**_OPTIONS)
def first_of(row: Any) -> Any:
    """The first entry of a row, NaN where there is none."""
    return np.float64(row[0]) if len(row) else np.nan


def rows_at(operand: Any, row: int) -> Any:
    """A row of an array as an array of one row, the only one where it has one; None as it is."""
    return operand if operand is None else operand[row : row + 1] if operand.shape[0] > 1 else operand


@overload(rows_at, jit_options=_OPTIONS)
def _rows_at(operand: Any, row: int) -> Any:  # noqa: ARG001  Numba compares the signatures
    def one(operand: Any, row: int) -> Any:
        start = row if operand.shape[0] > 1 else 0
        return operand[start : start + 1]

    def none(operand: Any, row: int) -> Any:  # noqa: ARG001
        return operand

    return none if isinstance(operand, types.NoneType) else one
