"""How CUDA kernels read and write arrays: numbers of one precision, whatever the arrays store.

Kernels compute in float32 or float64: ``load`` and ``store`` convert. float16 is stored as such, bfloat16 (which NumPy
has not) as int16; uint8 is a mask, wider integers are positions. ``load4`` and the like read and write 16 bytes at
once, 8 for the two narrow types; of an array without axes they give its one number for every element.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.cuda.extending import intrinsic
from numba.cuda.np import arrayobj

HALF, BITS, WORD = ir.HalfType(), ir.IntType(16), ir.IntType(32)
COMPUTES = {types.float32: types.float32, types.float64: types.float64, types.float16: types.float32,
            types.int16: types.float32, types.uint8: types.float32, types.int32: types.int64, types.int64: types.int64
            }  # fmt: skip
CELLS = {types.float32: ir.FloatType(), types.float64: ir.DoubleType(), types.float16: BITS, types.int16: BITS,
         types.uint8: ir.IntType(8), types.int32: WORD, types.int64: ir.IntType(64)}  # fmt: skip


def _widened(builder: Any, kind: Any, cell: Any) -> Any:
    """A stored cell as a number: the bits of bfloat16 are the upper half of a float32."""
    if kind is types.float16:
        return builder.fpext(builder.bitcast(cell, HALF), ir.FloatType())
    if kind is types.int16:
        word = builder.shl(builder.zext(cell, WORD), ir.Constant(WORD, 16))
        return builder.bitcast(word, ir.FloatType())
    if kind is types.uint8:
        return builder.uitofp(cell, ir.FloatType())
    return builder.sext(cell, ir.IntType(64)) if kind is types.int32 else cell


def _narrowed(builder: Any, kind: Any, value: Any) -> Any:
    """A number as a stored cell, rounded to nearest, ties to even."""
    if kind is types.float16:
        return builder.bitcast(builder.fptrunc(value, HALF), BITS)
    if kind is types.int16:
        whole = builder.bitcast(value, WORD)
        odd = builder.and_(builder.lshr(whole, ir.Constant(WORD, 16)), ir.Constant(WORD, 1))
        rounded = builder.add(builder.add(whole, ir.Constant(WORD, 0x7FFF)), odd)
        nan = builder.fcmp_unordered("uno", value, value)
        rounded = builder.select(nan, ir.Constant(WORD, 0x7FFF0000), rounded)
        return builder.trunc(builder.lshr(rounded, ir.Constant(WORD, 16)), BITS)
    return value


def _pointer(context: Any, builder: Any, kind: Any, array: Any, index: Any, cell: Any) -> Any:
    """The address of an element, as that of a cell of some type."""
    made = arrayobj.make_array(kind)(context, builder, array)
    if not kind.ndim:
        return builder.bitcast(made.data, cell.as_pointer())
    if kind.layout == "A":
        step = cgutils.unpack_tuple(builder, made.strides, 1)[0]
        start = builder.bitcast(made.data, ir.IntType(8).as_pointer())
        return builder.bitcast(builder.gep(start, [builder.mul(index, step)]), cell.as_pointer())
    return builder.bitcast(builder.gep(made.data, [index]), cell.as_pointer())


def _packed(kind: Any, lanes: int) -> tuple[Any, int]:
    """How a vector is accessed: the narrow types two to a word, or NVVM would take them one by one."""
    narrow = kind.dtype.bitwidth == 16
    return ir.VectorType(WORD, lanes // 2) if narrow else ir.VectorType(CELLS[kind.dtype], lanes), 2 if narrow else 1


def _load(lanes: int, is_mask: bool = False) -> Callable[..., Any]:
    """What reads so many elements; an array without axes that stands for a missing mask holds ones, which all know."""

    def load(typingctx: Any, array: Any, index: Any) -> Any:  # noqa: ARG001
        computes = COMPUTES[array.dtype]
        result = computes if lanes == 1 else types.UniTuple(computes, lanes)

        def code(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            kind = signature.args[0]
            if is_mask and not kind.ndim:
                one = ir.Constant(CELLS[computes], 1.0)
                return one if lanes == 1 else cgutils.pack_array(builder, [one] * lanes)
            if lanes == 1 or not kind.ndim:
                place = _pointer(context, builder, kind, args[0], args[1], CELLS[kind.dtype])
                value = _widened(builder, kind.dtype, builder.load(place))
                return value if lanes == 1 else cgutils.pack_array(builder, [value] * lanes)
            vector, share = _packed(kind, lanes)
            whole = builder.load(_pointer(context, builder, kind, args[0], args[1], vector))
            whole.align = lanes * kind.dtype.bitwidth // 8
            cells = []
            for k in range(lanes):
                cell = builder.extract_element(whole, ir.Constant(WORD, k // share))
                if share == 2:
                    cell = builder.trunc(builder.lshr(cell, ir.Constant(WORD, 16 * (k % 2))), BITS)
                cells.append(_widened(builder, kind.dtype, cell))
            return cgutils.pack_array(builder, cells)

        return result(array, types.uint64), code

    made: Callable[..., Any] = intrinsic(load)
    return made


def _store(lanes: int) -> Callable[..., Any]:
    def code(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        kind, (array, index, *values) = signature.args[0], args
        cells = [_narrowed(builder, kind.dtype, v) for v in values]
        if lanes == 1:
            builder.store(cells[0], _pointer(context, builder, kind, array, index, CELLS[kind.dtype]))
            return context.get_dummy_value()
        vector, share = _packed(kind, lanes)
        if share == 2:
            words = [builder.zext(c, WORD) for c in cells]
            high = [builder.shl(w, ir.Constant(WORD, 16)) for w in words[1::2]]
            cells = [builder.or_(a, b) for a, b in zip(words[::2], high, strict=True)]
        whole = ir.Constant(vector, ir.Undefined)
        for k, cell in enumerate(cells):
            whole = builder.insert_element(whole, cell, ir.Constant(WORD, k))
        place = _pointer(context, builder, kind, array, index, vector)
        builder.store(whole, place).align = lanes * kind.dtype.bitwidth // 8
        return context.get_dummy_value()

    def signature(array: Any) -> Any:
        return types.void(array, types.uint64, *(COMPUTES[array.dtype],) * lanes)

    forms: dict[int, Callable[..., Any]] = {
        1: lambda typingctx, array, index, a: (signature(array), code),
        2: lambda typingctx, array, index, a, b: (signature(array), code),
        4: lambda typingctx, array, index, a, b, c, d: (signature(array), code),
    }
    return forms[lanes]


load, load2, load4 = _load(1), _load(2), _load(4)
mask, mask2, mask4 = (_load(lanes, is_mask=True) for lanes in (1, 2, 4))
store, store2, store4 = (intrinsic(_store(lanes)) for lanes in (1, 2, 4))
