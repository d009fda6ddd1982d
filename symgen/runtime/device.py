"""What generated CUDA kernels are written with: the one place that imports Numba's CUDA target.

Kernels compute in float32 or float64, whatever their arrays store: ``load`` and ``store`` convert. float16 is stored as
such, bfloat16 (which NumPy has not) as int16; uint8 is a mask, wider integers are positions. ``load4`` and the like
read and write 16 bytes at once, 8 for the two narrow types; of an array without axes they give its one number for every
element. Sums and products name their rounding, so that no compiler fuses them: error terms stay what they are.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from llvmlite import ir
from numba import cuda, types
from numba.core import cgutils
from numba.cuda import libdevice
from numba.cuda.extending import intrinsic
from numba.cuda.np import arrayobj

from .errors import CudaMissingError

if "numba_cuda" not in (cuda.__file__ or ""):  # pragma: no cover
    raise CudaMissingError("Numba's built-in CUDA target is too old; pip install 'symgen[cuda]'")

f32 = types.float32
u32 = types.uint32
kernel = cuda.jit(cache=True)
core = cuda.jit(device=True, forceinline=True)

fadd, fsub, fmul, fdiv = libdevice.fadd_rn, libdevice.fsub_rn, libdevice.fmul_rn, libdevice.fdiv_rn
dadd, dmul, ddiv = libdevice.dadd_rn, libdevice.dmul_rn, libdevice.ddiv_rn



@intrinsic
def inverse(typingctx: Any, x: Any) -> Any:  # noqa: ARG001
    """``1 / x`` of a float32 to two units, in one instruction; of a subnormal number it is infinite."""

    def code(context: Any, builder: Any, signature: Any, args: Any) -> Any:  # noqa: ARG001
        kind = ir.FunctionType(ir.FloatType(), [ir.FloatType()])
        text = ir.InlineAsm(kind, "rcp.approx.ftz.f32 $0, $1;", "=f,f")
        return builder.call(text, args, attrs=("readnone", "nounwind"))  # so that loops compute it once

    return types.float32(types.float32), code


HALF, BITS, WORD = ir.HalfType(), ir.IntType(16), ir.IntType(32)
COMPUTES = {types.float32: types.float32, types.float64: types.float64, types.float16: types.float32,
            types.int16: types.float32, types.uint8: types.float32, types.int32: types.int64, types.int64: types.int64
            }  # fmt: skip
CELLS = {types.float32: ir.FloatType(), types.float64: ir.DoubleType(), types.float16: BITS, types.int16: BITS,
         types.uint8: ir.IntType(8), types.int32: WORD, types.int64: ir.IntType(64)}  # fmt: skip


@cuda.jit(device=True, inline="always")
def thread() -> Any:
    """The number of the thread in the grid; kernels are launched on fewer than 2**32."""
    return u32(cuda.blockIdx.x) * u32(cuda.blockDim.x) + u32(cuda.threadIdx.x)


# of graphs in float64, as in `intrinsics` on the CPU
HALF_ROOT = np.int64(np.float64(2.0**-0.5).view(np.int64))
bits, number = libdevice.double_as_longlong, libdevice.longlong_as_double


@core
def pow2(k: Any) -> Any:
    """``2**n`` from ``k = 1.5 * 2**52 + 1023 + n``, whose last bits are the exponent's; for n from -1022 to 1023."""
    return number(bits(k) << 52)


@core
def exponent(x: Any) -> Any:
    """The integer n for which ``x / 2**n`` lies between the roots of 1/2 and 2, for normal positive x."""
    return np.float64((bits(x) - HALF_ROOT) >> 52)


@core
def mantissa(x: Any) -> Any:
    """``x / 2**exponent(x)``."""
    return number(bits(x) - (((bits(x) - HALF_ROOT) >> 52) << 52))


@core
def sin_sum(a: Any, b: Any) -> Any:
    """sin(a + b) of the exact sum, in the precision of a and b."""
    return math.sin(a) * math.cos(b) + math.cos(a) * math.sin(b)


@core
def cos_sum(a: Any, b: Any) -> Any:
    """cos(a + b) of the exact sum."""
    return math.cos(a) * math.cos(b) - math.sin(a) * math.sin(b)


@core
def sin_product(a: Any, b: Any) -> Any:
    """sin(a * b) of the exact product."""
    high = a * b
    return sin_sum(high, cuda.fma(a, b, -high))


@core
def cos_product(a: Any, b: Any) -> Any:
    """cos(a * b) of the exact product."""
    high = a * b
    return cos_sum(high, cuda.fma(a, b, -high))


# -- what rows need to more than float32: libdevice does not tell what its functions lose

# ln 2 in two, of which multiples of the first by a few hundred are exact
LN2_HIGH, LN2_LOW = np.float32(0.693145751953125), np.float32(1.4286068203094173e-06)
PER_LN2 = np.float32(1.4426950408889634)


@core
def _exponential(x: Any) -> Any:
    """``e**x`` over a power of two, as a number and what that is missing, to about 2**-30; and two halves of the power.

    With ``x = k ln 2 + r`` it is ``1 + r + r**2 / 2``, whose roundings are kept, and Taylor's terms up to r**9.
    """
    x = f32(90) if x > f32(90) else x  # noqa: FURB136 - beyond it is infinite; of NaN `min` would make a number
    x = f32(-105) if x < f32(-105) else x  # noqa: FURB136 - and below it zero
    k = libdevice.rintf(fmul(x, PER_LN2))
    near, rest = libdevice.fmaf(-k, LN2_HIGH, x), fmul(-k, LN2_LOW)
    r = fadd(near, rest)
    back = fsub(r, near)
    left = fadd(fsub(near, fsub(r, back)), fsub(rest, back))
    square = fmul(r, r)
    lost = libdevice.fmaf(r, r, -square)
    tail = libdevice.fmaf(libdevice.fmaf(r, f32(1 / 362880), f32(1 / 40320)), r, f32(1 / 5040))
    tail = libdevice.fmaf(libdevice.fmaf(tail, r, f32(1 / 720)), r, f32(1 / 120))
    tail = libdevice.fmaf(libdevice.fmaf(tail, r, f32(1 / 24)), r, f32(1 / 6))
    first = fadd(f32(1), r)
    second = fadd(first, fmul(f32(0.5), square))
    small = fadd(fsub(r, fsub(first, f32(1))), fsub(fmul(f32(0.5), square), fsub(second, first)))
    small = fadd(fadd(small, fmul(left, second)), libdevice.fmaf(fmul(square, r), tail, fmul(f32(0.5), lost)))
    high = fadd(second, small)
    n = np.int32(k) if k == k else np.int32(0)  # noqa: PLR0124
    half = n >> 1
    scales = libdevice.int_as_float((half + 127) << 23), libdevice.int_as_float((n - half + 127) << 23)
    return high, fsub(small, fsub(high, second)), scales[0], scales[1]


# to which the nearest integer is added, it stands in the last bits
INTEGER = np.float32(1.5 * 2**23)


@core
def _near_exponential(x: Any, low: Any) -> Any:
    """``e**(x + low)``, or ``e**x`` without a low part: Taylor's terms of what multiples of ln 2 leave, to r**8.

    The power of two comes in two halves, for it may be subnormal.
    """
    x = f32(90) if x > f32(90) else x  # noqa: FURB136 - beyond it is infinite; of NaN `min` would make a number
    x = f32(-105) if x < f32(-105) else x  # noqa: FURB136 - and below it zero
    whole = libdevice.fmaf(x, PER_LN2, INTEGER)
    k = fsub(whole, INTEGER)
    near = libdevice.fmaf(-k, LN2_HIGH, x)
    r = libdevice.fmaf(-k, LN2_LOW, near)
    left = libdevice.fmaf(-k, LN2_LOW, fsub(near, r))
    tail = libdevice.fmaf(libdevice.fmaf(r, f32(1 / 40320), f32(1 / 5040)), r, f32(1 / 720))
    tail = libdevice.fmaf(libdevice.fmaf(tail, r, f32(1 / 120)), r, f32(1 / 24))
    tail = libdevice.fmaf(libdevice.fmaf(tail, r, f32(1 / 6)), r, f32(0.5))
    first = fadd(f32(1), r)
    if low is not None:
        left = libdevice.fmaf(low, libdevice.fmaf(fmul(r, r), tail, first), left)
    rest = fadd(fsub(r, fsub(first, f32(1))), libdevice.fmaf(fmul(r, r), tail, left))
    n = np.int32(libdevice.float_as_int(whole) - libdevice.float_as_int(INTEGER))
    half = np.int32(n >> 1)
    low_half, high_half = libdevice.int_as_float((half + 127) << 23), libdevice.int_as_float((n - half + 127) << 23)
    return fmul(fmul(fadd(first, rest), low_half), high_half)


@core
def near_expf(x: Any) -> Any:
    """``e**x`` within 0.8 of a rounding, the same bits on every device: libdevice's takes what one approximates."""
    return _near_exponential(x, None)


@core
def expf(x: Any) -> Any:
    """``e**x``, rounded."""
    high, _, s, t = _exponential(x)
    return fmul(fmul(high, s), t)


@core
def expf_low(x: Any) -> Any:
    """What `expf` is missing."""
    _, low, s, t = _exponential(x)
    return fmul(fmul(low, s), t)


@core
def logf_low(x: Any) -> Any:
    """What libdevice's logarithm is missing, by a step of Newton's; nothing near one, where that is nearer already."""
    value = libdevice.logf(x)
    high, low, s, t = _exponential(-value)
    scaled = fmul(fmul(x, s), t)
    rest = fadd(libdevice.fmaf(high, scaled, f32(-1)), fmul(low, scaled))
    return rest if libdevice.fabsf(value) > f32(0.0625) else f32(0)


HALF_ROOT32 = np.int32(np.float32(2.0**-0.5).view(np.int32))
TWO_THIRDS, TWO_THIRDS_LOW = np.float32(2 / 3), np.float32(2 / 3 - float(np.float32(2 / 3)))


@core
def _logarithm(b: Any, b_low: Any) -> Any:
    """``log(b + b_low)`` of a positive number as a sum, to about 2**-35: a long exponent multiplies its error.

    With ``b = 2**n m`` it is ``n ln 2 + 2 t + 2/3 t**3 + ...`` of ``t = (m - 1)/(m + 1)``, the cube to twice the
    precision. It has no branches, so that of two calls what both compute is computed once.
    """
    tiny = b < f32(2.0**-64)
    scale = f32(2.0**64) if tiny else f32(1)
    y, rest = fmul(b, scale), fmul(b_low, scale)
    bits = libdevice.float_as_int(y)
    n = np.int32(np.int32(bits - HALF_ROOT32) >> 23)
    k = fsub(f32(n), f32(64) if tiny else f32(0))
    f = fsub(libdevice.int_as_float(np.int32(bits - np.int32(n << 23))), f32(1))
    below = fadd(f32(2), f)
    over = inverse(below)
    t = fmul(f, over)
    t_low = fmul(fsub(libdevice.fmaf(-t, below, f), fmul(t, fsub(f, fsub(below, f32(2))))), over)
    twice, twice_low = fadd(t, t), fadd(t_low, t_low)
    z = fmul(t, t)
    z_low = libdevice.fmaf(twice, t_low, libdevice.fmaf(t, t, -z))
    cube = fmul(z, t)
    cube_low = libdevice.fmaf(z, t_low, libdevice.fmaf(z_low, t, libdevice.fmaf(z, t, -cube)))
    third = fmul(cube, TWO_THIRDS)
    third_low = libdevice.fmaf(cube_low, TWO_THIRDS, libdevice.fmaf(cube, TWO_THIRDS_LOW, twice_low))
    third_low = fadd(third_low, libdevice.fmaf(cube, TWO_THIRDS, -third))
    series = libdevice.fmaf(libdevice.fmaf(libdevice.fmaf(z, f32(2 / 11), f32(2 / 9)), z, f32(2 / 7)), z, f32(2 / 5))
    powers = fmul(k, LN2_HIGH)
    first = fadd(powers, twice)
    high = fadd(first, third)
    lost = fadd(fsub(twice, fsub(first, powers)), fsub(third, fsub(high, first)))
    # a quarter, for the inverse of a number beyond 2**126 is nothing
    part, over = fmul(y, f32(0.25)), inverse(fmul(y, f32(0.25)))
    rest = fmul(rest, f32(0.25))
    share = fmul(rest, over)
    share = libdevice.fmaf(libdevice.fmaf(-share, part, rest), over, share)
    low = fadd(share, libdevice.fmaf(fmul(z, cube), series, third_low))
    low = fadd(lost, libdevice.fmaf(k, LN2_LOW, low))
    total = fadd(high, low)
    return total, fsub(low, fsub(total, high))


@core
def _times_logarithm(b: Any, b_low: Any, x: Any, x_low: Any) -> Any:
    """``(x + x_low) log(b + b_low)`` as a sum; without its low part where an exponential ends."""
    high, low = _logarithm(b, b_low)
    end = f32(-math.inf) if b == f32(0) else b
    high = high if (b > f32(0)) & (b < f32(math.inf)) else end
    product = fmul(x, high)
    y = f32(0) if x == f32(0) else product
    rest = libdevice.fmaf(x_low, high, libdevice.fmaf(x, low, libdevice.fmaf(x, high, -y)))
    return y, rest if (libdevice.fabsf(y) < f32(128)) & (rest == rest) else f32(0)  # noqa: PLR0124


@core
def near_powf(b: Any, b_low: Any, x: Any, x_low: Any) -> Any:
    """``(b + b_low)**(x + x_low)`` of a number that is not negative, within 0.8 of a rounding."""
    return _near_exponential(*_times_logarithm(b, b_low, x, x_low))


@core
def _power(b: Any, b_low: Any, x: Any, x_low: Any) -> Any:
    """The same over a power of two, as a number and what that is missing, and that power's halves."""
    y, rest = _times_logarithm(b, b_low, x, x_low)
    value, tail, s, t = _exponential(y)
    tail = libdevice.fmaf(rest, value, tail)
    total = fadd(value, tail)
    return total, fsub(tail, fsub(total, value)), s, t


@core
def powf_sum(b: Any, b_low: Any, x: Any, x_low: Any) -> Any:
    """``(b + b_low)**(x + x_low)`` of a number that is not negative, rounded."""
    high, _, s, t = _power(b, b_low, x, x_low)
    return fmul(fmul(high, s), t)


@core
def powf_sum_low(b: Any, b_low: Any, x: Any, x_low: Any) -> Any:
    """What `powf_sum` is missing."""
    _, low, s, t = _power(b, b_low, x, x_low)
    return fmul(fmul(low, s), t)


# -- conversions between what is stored and what is computed with


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


def _load(lanes: int) -> Callable[..., Any]:
    def load(typingctx: Any, array: Any, index: Any) -> Any:  # noqa: ARG001
        computes = COMPUTES[array.dtype]
        result = computes if lanes == 1 else types.UniTuple(computes, lanes)

        def code(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            kind = signature.args[0]
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
store, store2, store4 = (intrinsic(_store(lanes)) for lanes in (1, 2, 4))
