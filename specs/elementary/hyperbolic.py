"""Hyperbolic functions: e^r + e^-r and e^r - e^-r from one reduction, and the inverse sine by its logarithm."""

from flint import arb

from symgen.elementary import BIAS, Core, constant, elementary, quick_sum, two_sum
from symgen.kernel import call, const, copysign, fma, larger, node, pow2, select, smaller

LN2 = constant(lambda: arb(2).log())
PER_LN2 = constant(lambda: 1 / arb(2).log())
SQUARES = (0.0, 0.12012)  # of a remainder of up to ln 2 / 2 and a little
LARGEST = 710.7  # here both are infinite already, and 2^(n - 2) is still a number
GONE = 100.0  # e^-x counts no more, and its power of two need not become smaller
ROOT_GONE = 2.0**60  # asinh x = log 2x from here on

# (sinh(r)/r - 1)/r^2 and (cosh(r) - 1 - r^2/2)/r^4 of z = r^2
odd = Core(lambda z: (z / 4).hypgeom([1], [2, arb(5) / 2]) / 6, SQUARES, bits=(31, 52.5))
even = Core(lambda z: (z / 4).hypgeom([1], [arb(5) / 2, 3]) / 24, SQUARES, bits=(26, 52.5))


def halves(x):
    """n, e^r/2 and e^-r/2 as powers of two for |x| = r + n ln 2 (half of them, lest one leaves the range), and r."""
    u = smaller(abs(x), const(LARGEST))
    n = fma(u, const(PER_LN2.high), const(BIAS)) - BIAS
    grown, fallen = pow2((n - 2) + BIAS), pow2((larger(-n, const(-GONE)) - 2) + BIAS)
    return n, grown, fallen, fma(-n, const(LN2.high), u)


def short_parts(r):
    """cosh r and sinh r."""
    z = r * r
    return fma(z * z, even.short(z), fma(z, const(0.5), const(1))), fma(r * z, odd.short(z), r)


def full_parts(n, r):
    """The same as sums, from the r of `halves`: what ln 2 has left is taken off here."""
    rest = fma(-n, const(LN2.low), r)
    low = fma(-n, const(LN2.low), r - rest)
    z = rest * rest
    lost = fma(rest, rest, -z)
    s, s_rest = quick_sum(rest, rest * z * odd.full(z))
    c, c_rest = quick_sum(const(1), z * 0.5)
    c, more = quick_sum(c, fma(lost, const(0.5), z * z * even.full(z)) + c_rest)
    return (c, fma(low, s, more)), (s, fma(low, c, s_rest))


def exponentials(x):
    """e^|x|/4 and e^-|x|/4 as sums, and whether |x| is a remainder itself, with its sinh as a sum."""
    n, grown, fallen, r = halves(x)
    (c, c_rest), (s, s_rest) = full_parts(n, r)
    up, up_lost = quick_sum(c, s)
    down, down_lost = quick_sum(c, -s)
    plus = (grown * up, grown * (up_lost + (c_rest + s_rest)))
    minus = (fallen * down, fallen * (down_lost + (c_rest - s_rest)))
    return plus, minus, n.equals(0), (s, s_rest)


@elementary
class sinh:
    """(e^x - e^-x)/2."""

    def short(x):
        _, grown, fallen, r = halves(x)
        c, s = short_parts(r)
        size = (grown - fallen) * c + (grown + fallen) * s
        return copysign(size * 2, x)

    def full(x):
        (up, up_rest), (down, down_rest), near, (s, s_rest) = exponentials(x)
        high, lost = quick_sum(up, -down)
        high, low = quick_sum(high, lost + (up_rest - down_rest))
        high, low = select(near, s, high * 2), select(near, s_rest, low * 2)
        return copysign(high, x), select(x < const(0), -low, low)


@elementary
class cosh:
    """(e^x + e^-x)/2."""

    def short(x):
        _, grown, fallen, r = halves(x)
        c, s = short_parts(r)
        return ((grown + fallen) * c + (grown - fallen) * s) * 2

    def full(x):
        (up, up_rest), (down, down_rest), _, _ = exponentials(x)
        high, lost = quick_sum(up, down)
        high, low = quick_sum(high, lost + (up_rest + down_rest))
        return high * 2, low * 2


@elementary
class asinh:
    """log(x + sqrt(1 + x^2)), as log(1 + t) with t = |x| + x^2/(1 + sqrt(1 + x^2)), which cancels nowhere."""

    def short(x):
        u = abs(x)
        v = smaller(u, const(ROOT_GONE))
        square = v * v
        far = const(ROOT_GONE) < u
        t = v + square / (1 + node("sqrt", 1 + square))
        size = call("log1p_short", select(far, u, t)) + select(far, const(LN2.high), const(0))
        return copysign(size, x)

    def full(x):
        u = abs(x)
        v = smaller(u, const(ROOT_GONE))
        square = v * v
        lost = fma(v, v, -square)
        total, rest = two_sum(const(1), square)
        root = node("sqrt", total)
        root_low = (fma(-root, root, total) + (rest + lost)) / (root + root)
        below, below_rest = two_sum(const(1), root)
        ratio = square / below
        ratio_low = (fma(-ratio, below, square) + (lost - ratio * (below_rest + root_low))) / below
        t, t_rest = two_sum(v, ratio)
        t, t_rest = quick_sum(t, t_rest + ratio_low)
        far = const(ROOT_GONE) < u
        at, beside = select(far, u, t), select(far, const(0), t_rest)
        head, tail = quick_sum(call("log1p", at), select(far, const(LN2.high), const(0)))
        low = tail + (call("log1p_low", at) + (beside / (1 + at) + select(far, const(LN2.low), const(0))))
        head, low = quick_sum(head, low)
        ended = u.equals(const(float("inf")))
        return copysign(select(ended, u, head), x), select(ended, const(0), select(x < const(0), -low, low))
