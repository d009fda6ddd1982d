"""Running a 1-D loop over arrays of any shape and strides: directly where they are plain, else in buffered chunks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

import numpy as np

from .dtypes import FLOAT64, Array, DType, is_bfloat16, is_float, store
from .memory import overlaps_itself
from .operands import Shape, refuse_mask
from .threads import spread

Loop = Callable[..., Any]

# Bits of ndarray.flags.num: reading them at once is what a call on eight elements can afford.
CONTIGUOUS: Final = 0x0001 | 0x0100  # C-contiguous and aligned
WRITEABLE: Final = 0x0400
BUFFER: Final = 16384  # elements; with three float64 operands the buffers stay in the second-level cache

ITERATOR_FLAGS: Final = ("external_loop", "buffered", "grow_inner", "zerosize_ok", "copy_if_overlap")
READ: Final = ["readonly", "contig", "aligned", "nbo"]
WRITE: Final = ["writeonly", "contig", "aligned", "nbo", "no_broadcast"]
ELEMENTWISE: Final = "overlap_assume_elementwise"
_nditer: Any = np.nditer  # whose stub misspells the flag "contig"


def bare(results: Sequence[Any]) -> Any:
    """One result as it is, several as a tuple."""
    return results[0] if len(results) == 1 else tuple(results)


def check_out(method: str, out: Any, shape: Shape, where: str = "out") -> Array:
    """An output given by the caller, once it is known to fit.

    Raises:
        TypeError: not an array, masked, or of a dtype that cannot hold the result.
        ValueError: read-only, of a shape that the result does not broadcast to, or with elements that share memory.
    """
    if not isinstance(out, np.ndarray):
        raise TypeError(f"{method}(): {where} must be a NumPy array, got {type(out).__name__}")
    refuse_mask(method, where, out, "{0}.data")
    if not is_float(out.dtype):
        raise TypeError(
            f"{method}(): {where} has dtype {out.dtype}; expected float64, float32, float16 or bfloat16"
        )
    if not out.flags.writeable:
        raise ValueError(f"{method}(): {where} is read-only")
    if overlaps_itself(out):
        raise ValueError(f"{method}(): elements of {where} share memory with each other; pass an array without overlap")
    if out.shape != shape:
        try:
            fits = np.broadcast_shapes(shape, out.shape) == out.shape
        except ValueError:
            fits = False
        if not fits:
            raise ValueError(f"{method}(): {where} has shape {out.shape}, but the result has shape {shape}")
    return out


def allocate(shape: Shape, dtype: DType, like: Sequence[Array]) -> Array:
    """An uninitialised result, in the memory order of the first operand that has its shape."""
    for array in like:
        if array.shape == shape:
            return np.empty_like(array, dtype=dtype, subok=False)
    return np.empty(shape, dtype)


def run(loop: Loop, inputs: Sequence[Array], options: Sequence[float], outputs: Sequence[Array], compute: DType,
        fresh: bool = False) -> None:
    """Run an elementwise loop; inputs broadcast to the shape of the outputs.

    Args:
        loop: takes inputs and outputs as 1-D contiguous arrays of dtype ``compute``, options as floats between them.
        inputs: arrays of any dtype, shape and strides.
        options: numbers that the loop takes.
        outputs: arrays of one shape.
        compute: the dtype of the loop.
        fresh: whether outputs are known to share no memory with anything.
    """
    outputs = [np.asarray(out) for out in outputs]  # a subclass may disagree on what ravel() is
    shape = outputs[0].shape
    for array in (*inputs, *outputs):
        if array.dtype != compute or array.shape != shape or array.flags.num & CONTIGUOUS != CONTIGUOUS:
            plain = False
            break
    else:
        plain = fresh or _separate(inputs, outputs)
    if plain:
        spread(loop, [a.ravel() for a in inputs], options, [a.ravel() for a in outputs])
    elif outputs[0].size:
        _run_chunks(loop, inputs, options, outputs, compute)


def _separate(inputs: Sequence[Array], outputs: Sequence[Array]) -> bool:
    """Whether writing outputs cannot disturb what is yet to be read (plain arrays only).

    One output may be exactly an input: each element is read before it is written. Several may not.
    """
    lone = len(outputs) == 1
    for i, out in enumerate(outputs):
        for other in (*inputs, *outputs[:i]):
            same = other is out or (lone and other.__array_interface__["data"] == out.__array_interface__["data"])
            if not (same and lone) and np.may_share_memory(out, other):
                return False
    return True


def _run_chunks(loop: Loop, inputs: Sequence[Array], options: Sequence[float], outputs: Sequence[Array],
                compute: DType) -> None:
    """Run a loop through NumPy's buffered iterator, which gathers, casts and scatters a chunk at a time."""
    elementwise = [ELEMENTWISE] if len(outputs) == 1 else []
    rounded = [compute == FLOAT64 and is_bfloat16(a.dtype) for a in outputs]
    dtypes = [compute] * len(inputs)
    dtypes += [a.dtype.newbyteorder("=") if r else compute for a, r in zip(outputs, rounded, strict=True)]
    split = len(inputs)
    with np.errstate(all="ignore"), _nditer(
        [*inputs, *outputs],
        flags=ITERATOR_FLAGS,
        op_flags=[READ + elementwise] * split + [WRITE + elementwise] * len(outputs),
        op_dtypes=dtypes,
        casting="unsafe",
        buffersize=BUFFER,
    ) as iterator:
        for chunk in iterator:
            targets = [np.empty(c.shape, compute) if r else c for c, r in zip(chunk[split:], rounded, strict=True)]
            loop(*chunk[:split], *options, *targets)
            for target, c, r in zip(targets, chunk[split:], rounded, strict=True):
                if r:
                    store(target, c)


def finish(result: Array) -> Any:
    """A result as NumPy's functions return it: a 0-d array becomes a scalar."""
    return result if result.ndim else result[()]
