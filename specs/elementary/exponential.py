"""The exponential and e^x - 1: libm's are calls, which no loop can be vectorised around."""

import math

from flint import arb

from symgen.elementary import BIAS, Core, constant, elementary, product, quick_sum, two_sum
from symgen.kernel import call, const, copysign, fma, larger, pow2, select, smaller

LN2 = constant(lambda: arb(2).log())
PER_LN2 = constant(lambda: 1 / arb(2).log())
TINY = 2.0**-60  # below it the result is x, its subnormal values and the sign of zero too
INTERVAL = (-0.34658, 0.34658)  # ln 2 / 2 and a little

# e^r - 1 without its first two terms, over r^2, and without its first three, over r^3
second = Core(lambda r: r.hypgeom_1f1(1, 3) / 2, INTERVAL, bits=(31, 52))
third = Core(lambda r: r.hypgeom_1f1(1, 4) / 6, INTERVAL, bits=52.5)
# and without its first six, over r^6: what is left has 2^-18 of the whole
EXACT_TERMS = 6
beyond = Core(lambda r: r.hypgeom_1f1(1, EXACT_TERMS + 1) / math.factorial(EXACT_TERMS), INTERVAL, bits=52.5)


def reduced(x):
    """k, whose last bits are the exponent of 2^n, n itself, and r = x - n ln 2 but for what float64 leaves of ln 2."""
    k = fma(x, const(PER_LN2.high), const(BIAS))
    n = k - BIAS
    return k, n, fma(-n, const(LN2.high), x)


def near(n, r):
    """e^(r + n ln 2) - 1 as a sum, from the r of `reduced`: what ln 2 has left is taken off here."""
    rest = fma(-n, const(LN2.low), r)
    low = fma(-n, const(LN2.low), r - rest)
    square = rest * rest
    lost = fma(rest, rest, -square)
    head, one = quick_sum(rest, 0.5 * square)
    total, two = quick_sum(head, rest * square * third.full(rest))
    return total, one + two + fma(lost, const(0.5), fma(rest, low, low))


def far(n, r):
    """As `near`, right to 2^-71: the first terms of the series are sums, too."""
    rest = fma(-n, const(LN2.low), r)
    of = rest, fma(-n, const(LN2.low), r - rest)
    total = beyond.full(rest), const(0)
    for k in range(EXACT_TERMS - 1, 0, -1):
        coefficient = constant(lambda k=k: 1 / arb(math.factorial(k)))
        term, lost = product(of, total)
        head, tail = quick_sum(const(coefficient.high), term)
        total = head, tail + (lost + coefficient.low)
    return quick_sum(*product(of, total))


def scaled(n, total, rest):
    """(1 + total + rest) 2^n as a sum; 2^n is two factors, for n from -1076 to 1024."""
    head, tail = quick_sum(const(1), total)
    high, low = quick_sum(head, tail + rest)
    k = fma(n, const(0.5), const(BIAS))
    s, t = pow2(k), pow2((n - (k - BIAS)) + BIAS)
    return high * s * t, low * s * t


def within(x, s, p):
    """s (1 + p) where it is neither zero nor infinite, nearly."""
    inside = select(const(709) < x, const(float("inf")), fma(s, p, s))
    return select(x < const(-708), const(0), inside)


@elementary
class exp:
    """e^x; in the short and medium form zero below -708 and infinite above 709, far outside float32."""

    def short(x):
        k, _, r = reduced(x)
        return within(x, pow2(k), fma(r * r, second.short(r), r))

    def medium(x):
        k, n, r = reduced(x)
        r = fma(-n, const(LN2.low), r)
        return within(x, pow2(k), fma(r * r, second.full(r), r))

    def full(x):
        x = smaller(larger(x, const(-746)), const(710))  # beyond these the result is zero or infinite
        _, n, r = reduced(x)
        return scaled(n, *near(n, r))


@elementary
class exp_fine:
    """e^x, the sum of high and low right to 2^-70, for what cancels afterwards."""

    def short(x):
        return call("exp_short", x)

    def full(x):
        x = smaller(larger(x, const(-746)), const(710))
        _, n, r = reduced(x)
        return scaled(n, *far(n, r))


@elementary
class expm1:
    """e^x - 1; in the short form infinite above 709."""

    def short(x):
        y = larger(x, const(-60))
        k, _, r = reduced(y)
        p = fma(r * r, second.short(r), r)
        s = pow2(k)
        return copysign(select(const(709) < x, const(float("inf")), fma(s, p, s - 1)), x)

    def medium(x):
        k, n, r = reduced(larger(x, const(-60)))
        r = fma(-n, const(LN2.low), r)
        p = fma(r * r, second.full(r), r)
        s = pow2(k)
        return copysign(select(const(709) < x, const(float("inf")), fma(s, p, s - 1)), x)

    def full(x):
        y = smaller(larger(x, const(-60)), const(710))
        k, n, r = reduced(y)
        p, rest = near(n, r)
        # half of everything, since 2^1024 is no float
        s = pow2(k - 1)
        shift = s - 0.5
        back = shift - s
        lost = (s - (shift - back)) + (-0.5 - back)
        head, tail = two_sum(s * p, shift)
        high, low = quick_sum(head, tail + lost + s * rest)
        return select(abs(x) < const(TINY), x, high * 2), low * 2
