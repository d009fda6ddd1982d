"""A fused multiply-add for NumPy arrays, which NumPy lacks: one loop of machine code, compiled at its first use.

Put together from NumPy's products and sums it costs seventeen passes over memory.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt

from symgen.machine import ADDRESS, NUMBER, compiled

Array = npt.NDArray[np.float64]

# an operand's step is 1, or 0 for one number
LOOP = """
declare double @llvm.fma.f64(double, double, double)

define void @loop(ptr %a, i64 %da, ptr %b, i64 %db, ptr %c, i64 %dc, ptr noalias %r, i64 %n) {
entry:
  %some = icmp sgt i64 %n, 0
  br i1 %some, label %body, label %end
body:
  %i = phi i64 [0, %entry], [%next, %body]
  %ia = mul i64 %i, %da
  %ib = mul i64 %i, %db
  %ic = mul i64 %i, %dc
  %pa = getelementptr double, ptr %a, i64 %ia
  %pb = getelementptr double, ptr %b, i64 %ib
  %pc = getelementptr double, ptr %c, i64 %ic
  %pr = getelementptr double, ptr %r, i64 %i
  %x = load double, ptr %pa
  %y = load double, ptr %pb
  %z = load double, ptr %pc
  %v = call double @llvm.fma.f64(double %x, double %y, double %z)
  store double %v, ptr %pr
  %next = add nuw nsw i64 %i, 1
  %more = icmp slt i64 %next, %n
  br i1 %more, label %body, label %end
end:
  ret void
}
"""


@cache
def _loop() -> Callable[..., None]:
    operand = (ADDRESS, NUMBER)
    return compiled(LOOP, "loop", [*operand, *operand, *operand, ADDRESS, NUMBER])


def fma(a: Any, b: Any, c: Any) -> Array:
    """``a*b + c`` with one rounding, elementwise.

    Args:
        a: float64 array or number, like ``b`` and ``c``; shapes broadcast.
        b: see a.
        c: see a.

    Returns:
        A float64 array.

    Example:
        >>> float(fma(2.0**-30 + 1, 2.0**-30 - 1, 1.0)) == 2.0**-60
        True
    """
    operands = [np.asarray(v, dtype=np.float64) for v in (a, b, c)]
    shape = max((v.shape for v in operands), key=len)
    if any(v.ndim and (v.shape != shape or not v.flags.c_contiguous) for v in operands):
        shape = np.broadcast_shapes(*(v.shape for v in operands))
        operands = [np.ascontiguousarray(np.broadcast_to(v, shape)) if v.ndim else v for v in operands]
    result = np.empty(shape)
    x, y, z, r = (v.__array_interface__["data"][0] for v in (*operands, result))
    i, j, k = (int(v.ndim > 0) for v in operands)
    _loop()(x, i, y, j, z, k, r, result.size)
    return result
