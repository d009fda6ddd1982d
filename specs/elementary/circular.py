"""Circular functions and their inverses: libm's are calls, which no loop can be vectorised around."""

from flint import arb

from symgen.elementary import Core, constant, elementary, quick_sum, two_sum
from symgen.kernel import ROUNDING, const, copysign, fma, select, smaller

NEAR, FAR = 0.41421356237309503, 2.414213562373095  # tangents of an eighth and of three eighths of a half turn
QUARTER = constant(lambda: arb.pi() / 4)
HALF = constant(lambda: arb.pi() / 2)
STEEPEST = 2.0**100  # beyond it atan is a quarter turn in every format, and quotients of infinities are far away

QUARTERS = constant(lambda: 2 / arb.pi())
REST = constant(lambda: arb.pi() / 2 - arb(HALF.high))  # what a float64 leaves of a quarter turn, as a sum again
SQUARES = (0.0, 0.6171)  # of a remainder of up to pi/4 and a little
TINY = 2.0**-30  # below it the sine is its argument

# (sin(r)/r - 1)/r^2 and (cos(r) - 1 + r^2/2)/r^4 of z = r^2
odd = Core(lambda z: (z / -4).hypgeom([1], [2, arb(5) / 2]) / -6, SQUARES, bits=(31, 52.5))
even = Core(lambda z: (z / -4).hypgeom([1], [arb(5) / 2, 3]) / 24, SQUARES, bits=(29, 52.5))

# (atan(t)/t - 1)/t^2 of z = t^2
inverse = Core(lambda z: (-z).hypgeom_2f1(1, arb(3) / 2, arb(5) / 2) / -3, (0.0, 0.17158), bits=(32, 52.5))


def turned(u):
    """The quotient t whose angle is that of u less 0, 1/8 or 1/4 of a turn, and that angle."""
    middle, far = const(NEAR) < u, const(FAR) < u
    above = select(far, const(-1), select(middle, u - 1, u))
    below = select(far, u, select(middle, u + 1, const(1)))
    return middle, far, above, below


@elementary
class atan:
    """The angle whose tangent is x, from -pi/2 to pi/2."""

    def short(x):
        u = smaller(abs(x), const(STEEPEST))
        middle, far, above, below = turned(u)
        t = above / below
        z = t * t
        angle = select(far, const(HALF.high), select(middle, const(QUARTER.high), const(0)))
        return copysign(angle + fma(t * z, inverse.short(z), t), x)

    def full(x):
        u = smaller(abs(x), const(STEEPEST))
        middle, far, above, below = turned(u)
        # what rounding u - 1 and u + 1 lost
        up, down = two_sum(u, const(-1))[1], two_sum(u, const(1))[1]
        between = middle & (u < const(FAR))
        t = above / below
        rest = fma(-t, below, above) + select(between, up - t * down, const(0))
        rest = rest / below
        z = t * t
        angle = select(far, const(HALF.high), select(middle, const(QUARTER.high), const(0)))
        beside = select(far, const(HALF.low), select(middle, const(QUARTER.low), const(0)))
        head, lost = quick_sum(angle, t)
        # the derivative is 1/(1 + t^2)
        high, low = quick_sum(head, fma(t * z, inverse.full(z), lost + (beside + fma(-rest, z, rest))))
        return copysign(high, x), select(x < const(0), -low, low)


def remainder(h, low):
    """The quarter turn q from -2 to 2 and the rest of h + low as a sum, right to 2^-122 for |h| up to 2^30."""
    n = fma(h, const(QUARTERS.high), const(ROUNDING)) - ROUNDING
    # exact: h and n times the high part are multiples of 2^-53, and their difference is below one
    r = fma(-n, const(HALF.high), h)
    total, first = two_sum(r, low)
    product = n * REST.high
    total, second = two_sum(total, -product)
    lost = (first + second) - fma(n, const(REST.low), fma(n, const(REST.high), -product))
    q = fma(const(-4), fma(n, const(0.25), const(ROUNDING)) - ROUNDING, n)
    return q, *two_sum(total, lost)


def short_waves(r):
    """sin r and cos r."""
    z = r * r
    return fma(r * z, odd.short(z), r), fma(z * z, even.short(z), fma(z, const(-0.5), const(1)))


def full_waves(r, low):
    """The same of r + low, as sums."""
    z = r * r
    half = z * 0.5
    c, c_rest = quick_sum(const(1), -half)
    s, s_rest = quick_sum(r, r * z * odd.full(z))
    s_rest = fma(low, fma(z, const(-0.5), const(1)), s_rest)
    c, c_rest = quick_sum(c, z * z * even.full(z) - fma(r, low, fma(r, r, -z) * 0.5) + c_rest)
    return quick_sum(s, s_rest), quick_sum(c, c_rest)


def turned_by(turn, zero, one, minus):
    """What is `zero` after an even and `one` after an odd number of quarter turns, with the sign turned."""
    value = select(abs(turn).equals(1), one, zero)
    return select(turn.equals(minus) | (const(1.5) < abs(turn)), -value, value)


def sine(turn, s, c):
    """The sine of turn quarter turns and the angle of s and c."""
    return turned_by(turn, s, c, -1)


def cosine(turn, s, c):
    """The cosine likewise."""
    return turned_by(turn, c, s, 1)


@elementary
class rest_near:
    """How far h + low is from a multiple of a quarter turn, for |h| up to 2^30."""

    def short(h, low):
        return remainder(h, low)[1]

    def full(h, low):
        return remainder(h, low)[1:]


@elementary
class sin_near:
    """sin(h + low) for |h| up to 2^30 and a low that is less than the last place of h."""

    def short(h, low):
        turn, r, _ = remainder(h, low)
        return select(abs(h) < const(TINY), h, sine(turn, *short_waves(r)))

    def full(h, low):
        turn, r, rest = remainder(h, low)
        (s, s_rest), (c, c_rest) = full_waves(r, rest)
        tiny = abs(h) < const(TINY)
        return select(tiny, h, sine(turn, s, c)), select(tiny, low, sine(turn, s_rest, c_rest))


@elementary
class cos_near:
    """cos(h + low), otherwise as sin_near."""

    def short(h, low):
        turn, r, _ = remainder(h, low)
        return cosine(turn, *short_waves(r))

    def full(h, low):
        turn, r, rest = remainder(h, low)
        (s, s_rest), (c, c_rest) = full_waves(r, rest)
        return cosine(turn, s, c), cosine(turn, s_rest, c_rest)
