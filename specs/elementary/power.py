"""A power with any exponent: e^(x log b), the logarithm to more than float64, since a long product multiplies its error."""

from flint import arb

from symgen.elementary import Core, constant, elementary, product, quick_sum
from symgen.kernel import call, const, exponent, fma, mantissa, node, select

LN2 = constant(lambda: arb(2).log(), bits=42)  # n times the high part is exact
TWO_THIRDS = constant(lambda: arb(2) / 3)
WHOLE = 2.0**52
INFINITY = const(float("inf"))

# 2 (atanh(t)/t - 1 - t^2/3)/t^4 of z = t^2, for m from sqrt(1/2) to sqrt(2)
rest = Core(lambda z: 2 * z.hypgeom_2f1(1, arb(5) / 2, arb(7) / 2) / 5, (0.0, 0.02945), bits=52.5)


def logarithm(b):
    """log b of a positive number as a sum, right to 2^-62."""
    small = b < const(2.0**-1022)
    y = select(small, b * 2.0**54, b)
    n, f = exponent(y) - select(small, const(54), const(0)), mantissa(y) - 1
    below, lost = quick_sum(const(2), f)
    t = f / below
    t_rest = (fma(-t, below, f) - t * lost) / below
    square = product((t, t_rest), (t, t_rest))
    cube, cube_rest = product(product(square, (t, t_rest)), (const(TWO_THIRDS.high), const(TWO_THIRDS.low)))
    head, one = quick_sum(n * LN2.high, 2 * t)
    head, two = quick_sum(head, cube)
    beyond = square[0] * square[0] * t * rest.full(square[0])
    return quick_sum(head, one + two + (beyond + (cube_rest + fma(n, const(LN2.low), 2 * t_rest))))


def is_whole(u):
    """Whether a positive number has no fraction; from 2^52 on none has."""
    return (u + WHOLE - WHOLE).equals(u) | (const(WHOLE) < u)


def ended(value, b, x):
    """The value for positive b, and what IEEE 754 wants of other bases and of exponents that are no numbers."""
    size = abs(x)
    whole = is_whole(size)
    odd = whole & node("not", is_whole(size * 0.5))
    below = b < const(0)
    turned = select(odd & (below | (1 / b).equals(-INFINITY)), -value, value)
    undefined = below & node("not", whole) & (const(-float("inf")) < b)
    known = select(undefined, const(float("nan")), turned)
    unit = abs(b).equals(1) & size.equals(INFINITY)
    return select(x.equals(0) | b.equals(1) | unit, const(1), known)


def of_logarithm(b, x, high, low, suffix):
    """e^(x (high + low)) as a sum, by the exponential of this name: b^x, where high + low is the logarithm of abs(b)."""
    y = x * high
    e = call("exp" + suffix, y)
    near = (const(0) < e) & (e < INFINITY)
    y_rest = select(near, fma(x, high, -y) + x * low, const(0))
    head, tail = quick_sum(e, fma(e, y_rest, call(f"exp{suffix}_low", y)))
    value = ended(select(near, head, e), b, x)
    return value, select(near, select(value < const(0), -tail, tail), const(0))


@elementary
class pow:
    """b^x."""

    def short(b, x):
        return ended(call("exp_short", x * call("log", abs(b))), b, x)

    def medium(b, x):
        """The logarithm of the result is right to float64, and so is the result where that is small."""
        return ended(call("exp_medium", x * call("log_medium", abs(b))), b, x)

    def full(b, x):
        size = abs(b)
        high, low = logarithm(size)
        high = select((const(0) < size) & (size < INFINITY), high, call("log", size))
        return of_logarithm(b, x, high, low, "")


@elementary
class pow_fine:
    """b^x, the sum of high and low right to 2^-65."""

    def short(b, x):
        return call("pow_short", b, x)

    def full(b, x):
        size = abs(b)
        return of_logarithm(b, x, call("log_fine", size), call("log_fine_low", size), "_fine")
