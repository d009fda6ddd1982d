"""Logarithms: x = 2^n m with m around one, and log m = 2 atanh t of t = (m - 1)/(m + 1)."""

from flint import arb

from symgen.elementary import BIAS, Core, constant, elementary, product, quick_sum, two_sum
from symgen.kernel import call, const, copysign, exponent, fma, mantissa, pow2, select

LN2 = constant(lambda: arb(2).log(), bits=42)  # n times the high part is exact

# (atanh(t)/t - 1)/t^2 as a function of t^2: for m from sqrt(1/2) to sqrt(2), and for m from 1 to 2
rest = Core(lambda z: 2 * z.hypgeom_2f1(1, arb(3) / 2, arb(5) / 2) / 3, (0.0, 0.02945), bits=(28, 52.5))
wide = Core(lambda z: 2 * z.hypgeom_2f1(1, arb(3) / 2, arb(5) / 2) / 3, (0.0, 0.11112), bits=(30, 52.5))
TINY = 2.0**-60  # below it log(1 + x) is x, its subnormal values and the sign of zero too
INFINITY, NAN = const(float("inf")), const(float("nan"))


def twice_atanh(f, low, core):
    """log(1 + f + low) as a sum: with one division, whose error is put back."""
    below, lost = quick_sum(const(2), f)
    inverse = 1 / below
    t = f * inverse
    left = (fma(-t, below, f) + (low - t * (lost + low))) * inverse
    z = t * t
    return 2 * t, fma(t * z, core.full(z), 2 * fma(left, z, left))


def rounded(n, f, t, of, low):
    """n ln 2 + log(1 + f) + low as a float64, from t = f/(2 + f) and what the series leaves: f is its exact part."""
    half = 0.5 * f * f
    return fma(n, const(LN2.high), f - (half - fma(t, half + of, low)))


def scaled(n, f, low):
    """n ln 2 + log(1 + f + low) as a normal sum."""
    main, small = twice_atanh(f, low, rest)
    head, tail = quick_sum(n * LN2.high, main)
    return quick_sum(head, tail + fma(n, const(LN2.low), small))


def ended(value, x, at_zero):
    """The value for 0 < x < inf, and what the logarithm is elsewhere."""
    outside = select(x.equals(0), const(at_zero), select(x < const(0), NAN, x))
    return select((const(0) < x) & (x < INFINITY), value, outside)


def normal(x):
    """x, times 2^54 if it is subnormal, and what that adds to the logarithm to base two."""
    small = x < const(2.0**-1022)
    return select(small, x * 2.0**54, x), select(small, const(-54), const(0))


@elementary
class log:
    """The natural logarithm; subnormal arguments are numbers like others."""

    def short(x):
        y, shift = normal(x)
        n, f = exponent(y) + shift, mantissa(y) - 1
        t = f / (2 + f)
        z = t * t
        value = fma(n, const(LN2.high + LN2.low), fma(t * z, rest.short(z), 2 * t))
        return ended(value, x, -float("inf"))

    def medium(x):
        y, shift = normal(x)
        n, f = exponent(y) + shift, mantissa(y) - 1
        t = f / (2 + f)
        z = t * t
        return ended(rounded(n, f, t, z * rest.full(z), n * LN2.low), x, -float("inf"))

    def full(x):
        y, shift = normal(x)
        high, low = scaled(exponent(y) + shift, mantissa(y) - 1, const(0))
        return ended(high, x, -float("inf")), low


@elementary
class log_fine:
    """The natural logarithm, the sum of high and low right to 2^-70: what is near it, and a step of Newton's method."""

    def short(x):
        return call("log_short", x)

    def full(x):
        y, shift = normal(x)
        n, f = exponent(y) + shift, mantissa(y) - 1
        near, rest_of = quick_sum(*twice_atanh(f, const(0), rest))
        # (1 + f) e^-near - 1, of which f and e^-near - 1 nearly cancel; next to one the step is less than rest_of knows
        e, e_rest = call("exp_fine", -near), call("exp_fine_low", -near)
        of, gone = product((f, const(0)), (e - 1, e_rest))
        total, lost = two_sum(f, e - 1)
        step = select(abs(f) < const(2.0**-10), rest_of, (total + of) + (lost + gone + e_rest))
        head, tail = quick_sum(n * LN2.high, near)
        high, low = quick_sum(head, tail + fma(n, const(LN2.low), step))
        return ended(high, x, -float("inf")), low


@elementary
class log1p:
    """log(1 + x), with what rounding 1 + x loses put back."""

    def short(x):
        u = 1 + x
        n = exponent(u)
        f = select(n.equals(0), x, mantissa(u) - 1)
        t = f / (2 + f)
        z = t * t
        value = fma(n, const(LN2.high + LN2.low), fma(t * z, rest.short(z), 2 * t))
        return copysign(ended(value, u, -float("inf")), x)

    def medium(x):
        u, lost = two_sum(const(1), x)
        n, f = exponent(u), mantissa(u) - 1
        # beyond 2^60 what is lost is less than the last place of the result
        low = lost * select(u < const(2.0**60), pow2(BIAS - n), const(0))
        t = f / (2 + f)
        z = t * t
        value = rounded(n, f, t, z * rest.full(z), n * LN2.low) + low
        return copysign(ended(value, u, -float("inf")), x)

    def full(x):
        u, lost = two_sum(const(1), x)
        n = exponent(u)
        # beyond 2^60 what is lost is less than the last place of the result
        scale = select(u < const(2.0**60), pow2(BIAS - n), const(0))
        f, low = two_sum(mantissa(u) - 1, lost * scale)
        high, rest_of = scaled(n, f, low)
        return select(abs(x) < const(TINY), x, ended(high, u, -float("inf"))), rest_of


@elementary
class log1p_unit:
    """log(1 + x) for x from 0 to 1, where no exponent has to be taken off: what the logistic family needs."""

    def short(x):
        t = x / (2 + x)
        z = t * t
        return fma(t * z, wide.short(z), 2 * t)

    def medium(x):
        t = x / (2 + x)
        z = t * t
        return rounded(const(0), x, t, z * wide.full(z), const(0))

    def full(x):
        high, low = quick_sum(*twice_atanh(x, const(0), wide))
        tiny = x < const(2.0**-60)  # half of a subnormal is not exact
        return select(tiny, x, high), select(tiny, const(0), low)
