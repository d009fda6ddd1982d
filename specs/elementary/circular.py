"""Circular functions and their inverses: libm's are calls, which no loop can be vectorised around."""

from flint import arb

from symgen.elementary import Core, constant, elementary, quick_sum, two_sum
from symgen.kernel import const, copysign, fma, select, smaller

NEAR, FAR = 0.41421356237309503, 2.414213562373095  # tangents of an eighth and of three eighths of a half turn
QUARTER = constant(lambda: arb.pi() / 4)
HALF = constant(lambda: arb.pi() / 2)
STEEPEST = 2.0**100  # beyond it atan is a quarter turn in every format, and quotients of infinities are far away

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
