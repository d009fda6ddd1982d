"""What generated CUDA kernels are written with.

Sums and products name their rounding, so that no compiler fuses them: error terms stay what they are.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from llvmlite import ir
from numba import cuda, types
from numba.cuda import libdevice
from numba.cuda.extending import intrinsic

from . import device_memory as memory
from .cuda_launch import WARP_THREADS
from .errors import CudaMissingError

if "numba_cuda" not in (cuda.__file__ or ""):  # pragma: no cover
    raise CudaMissingError("Numba's built-in CUDA target is too old; pip install 'symgen[cuda]'")

f32 = types.float32
u32 = types.uint32
u64 = types.uint64
kernel = cuda.jit(cache=True)


def of_warps(function: Any) -> Any:
    """A kernel whose warps take a row each: its blocks are smaller."""
    function.threads = WARP_THREADS
    return function


core = cuda.jit(device=True, forceinline=True)

load, load2, load4 = memory.load, memory.load2, memory.load4
mask, mask2, mask4 = memory.mask, memory.mask2, memory.mask4
store, store2, store4 = memory.store, memory.store2, memory.store4
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
def _split(b: Any) -> Any:
    """n, ``m - 1`` and ``2**(2 - n)`` of a normal ``b = 2**n m``, m between the roots of 1/2 and 2."""
    bits = libdevice.float_as_int(b)
    n = np.int32(np.int32(bits - HALF_ROOT32) >> 23)
    f = fsub(libdevice.int_as_float(np.int32(bits - np.int32(n << 23))), f32(1))
    return f32(n), f, libdevice.int_as_float(np.int32((129 - n) << 23))  # of the largest numbers 2**-n is none


@core
def _fine_logarithm(k: Any, f: Any, f_low: Any) -> Any:
    """``k ln 2 + log(1 + f + f_low)`` as a sum, to 2**-28; powers, which multiply it, need more: `_logarithm`."""
    below = fadd(f32(2), f)
    over = inverse(below)
    twice = fmul(f, fadd(over, over))
    rest = libdevice.fmaf(-twice, fsub(f, fsub(below, f32(2))), libdevice.fmaf(-twice, below, fadd(f, f)))
    if f_low is not None:
        rest = libdevice.fmaf(f_low, fsub(f32(2), twice), rest)
    twice_low = fmul(rest, over)
    t = fmul(f32(0.5), fadd(twice, twice_low))
    z = fmul(t, t)
    series = libdevice.fmaf(libdevice.fmaf(libdevice.fmaf(z, f32(2 / 11), f32(2 / 9)), z, f32(2 / 7)), z, f32(2 / 5))
    low = libdevice.fmaf(fmul(z, t), libdevice.fmaf(series, z, TWO_THIRDS), twice_low)
    powers = fmul(k, LN2_HIGH)
    high = fadd(powers, twice)
    low = libdevice.fmaf(k, LN2_LOW, fadd(low, fsub(twice, fsub(high, powers))))
    total = fadd(high, low)
    return total, fsub(low, fsub(total, high))


@core
def _logarithm_of_sum(b: Any, b_low: Any) -> Any:
    """``log(b + b_low)`` of a positive number as a sum, or of `b` alone."""
    tiny = b < f32(2.0**-64)
    scale = f32(2.0**64) if tiny else f32(1)
    n, f, turn = _split(fmul(b, scale))
    k = fsub(n, f32(64) if tiny else f32(0))
    if b_low is None:
        return _fine_logarithm(k, f, None)
    left = fmul(fmul(b_low, turn), fmul(scale, f32(0.25)))
    total = fadd(f, left)
    return _fine_logarithm(k, total, fsub(left, fsub(total, f)))


@core
def _logarithm_of_more(u: Any, u_low: Any) -> Any:
    """``log(1 + u + u_low)`` as a sum, which of a small number is as right as that is."""
    b = fadd(f32(1), u)
    back = fsub(b, f32(1))
    rest = fadd(fsub(f32(1), fsub(b, back)), fsub(u, back))
    k, near, turn = _split(b)
    left = fmul(fmul(rest, turn), f32(0.25))
    f = fadd(near, left)
    return _fine_logarithm(k, f, libdevice.fmaf(fmul(u_low, turn), f32(0.25), fsub(left, fsub(f, near))))


@core
def _logarithm_or_end(b: Any, high: Any) -> Any:
    """A logarithm of b, or what it is where that is no positive number."""
    end = f32(-math.inf) if b == f32(0) else b if b > f32(0) else f32(math.nan)
    return high if (b > f32(0)) & (b < f32(math.inf)) else end


@core
def _low_or_nothing(b: Any, low: Any) -> Any:
    return low if (b > f32(0)) & (b < f32(math.inf)) else f32(0)


@core
def logf_fine(b: Any) -> Any:
    """``log(b)``, rounded."""
    return _logarithm_or_end(b, _logarithm_of_sum(b, None)[0])


@core
def logf_fine_low(b: Any) -> Any:
    """What `logf_fine` is missing."""
    return _low_or_nothing(b, _logarithm_of_sum(b, None)[1])


@core
def logf_sum(b: Any, b_low: Any) -> Any:
    """``log(b + b_low)``, rounded."""
    return _logarithm_or_end(b, _logarithm_of_sum(b, b_low)[0])


@core
def logf_sum_low(b: Any, b_low: Any) -> Any:
    """What `logf_sum` is missing."""
    return _low_or_nothing(b, _logarithm_of_sum(b, b_low)[1])


@core
def log1pf_sum(u: Any, u_low: Any) -> Any:
    """``log(1 + u + u_low)``, rounded."""
    return _logarithm_or_end(fadd(f32(1), u), _logarithm_of_more(u, u_low)[0])


@core
def log1pf_sum_low(u: Any, u_low: Any) -> Any:
    """What `log1pf_sum` is missing."""
    return _low_or_nothing(fadd(f32(1), u), _logarithm_of_more(u, u_low)[1])


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
