"""The error function and the scaled complementary one: libm lacks the latter, and every Gaussian tail needs it."""

from flint import arb

from symgen.elementary import Core, constant, elementary, product, quick_sum, two_sum
from symgen.kernel import call, const, copysign, fma, node, select, smaller


def erfcx_of(u):
    return (u * u).hypgeom_u(arb(1) / 2, arb(1) / 2) / arb.pi().sqrt()


def by_place(shift):
    """erfcx(u) (u + shift) of q = (u - 4)/(u + 4), which takes the half line to [-1, 1]."""
    return lambda q: erfcx_of(u := 4 * (1 + q) / (1 - q)) * (u + shift)


def slope_by_place(q):
    """The derivative of erfcx(u) (u + 1/2) in q."""
    u = 4 * (1 + q) / (1 - q)
    return (erfcx_of(u) * (2 * u * u + u + 1) - (2 * u + 1) / arb.pi().sqrt()) * 8 / (1 - q) ** 2


NEAR_ONE = 0.4  # up to here erfcx is one less u times a polynomial: closer to zero the other one loses bits
# what erfcx has lost from one, over u
start = Core(
    lambda u: (u * u).hypgeom_1f1(1, arb(3) / 2) * 2 / arb.pi().sqrt() - u * (u * u).hypgeom_1f1(1, 2),
    (0.0, NEAR_ONE), bits=52.5,
)  # fmt: skip

# at infinity these have all derivatives but are not analytic
merged = Core(by_place(4), (-1.0, 1.0), bits=35, analytic=False)
level = Core(by_place(arb(1) / 2), (-0.82, 1.0), bits=55, analytic=False)
slope = Core(lambda q: slope_by_place(q) + 4, (-0.82, 1.0), bits=14, analytic=False)

# -erfcx(u) (u + 2) / 4 of q = (u - 2)/(u + 2): of the powers of two, this shift has the shortest polynomial
quarter = Core(lambda q: -erfcx_of(u := 2 * (1 + q) / (1 - q)) * (u + 2) / 4, (-1.0, 1.0), bits=26, analytic=False)

NEAR = 0.65  # up to here erf is an odd polynomial
TWO_PER_ROOT_PI = constant(lambda: 2 / arb.pi().sqrt())
# (erf(u)/u - 2/sqrt(pi))/u^2 of z = u^2
middle = Core(
    lambda z: (-z).hypgeom([1, arb(3) / 2], [2, arb(5) / 2]) * -2 / (3 * arb.pi().sqrt()), (0.0, 0.4225), bits=(32, 52.5)
)


INFINITY = const(float("inf"))


def reciprocal(d, lost):
    """1/(d + lost) as a sum."""
    inverse = 1 / d
    return inverse, (fma(-inverse, d, const(1)) - inverse * lost) * inverse


def square_exponential(u):
    """e^(-u^2) as a sum, with what rounding u^2 loses put back."""
    square = u * u
    lost = fma(u, u, -square)
    high = call("exp", -square)
    return high, call("exp_low", -square) - lost * high


@elementary
class erfcx:
    """e^(u^2) erfc(u) for u >= 0."""

    def short(u):
        inverse = 1 / (u + 4)
        return merged.short(fma(inverse, const(-8), const(1))) * inverse

    def single(u):
        part = 0.25 * u  # the inverse of a number beyond 2**126 is nothing
        inverse = node("inverse", -0.5 - part)
        left = fma(inverse, const(0.5), const(1))
        rest = fma(inverse, part, left)  # of one, which the inverse times its number is but for what that has lost
        high, low = quarter.single(fma(inverse, rest, fma(inverse, const(0.5), left)))
        value = fma(inverse, high, inverse * fma(high, rest, low))
        return select(u.equals(INFINITY), const(0), value)

    def full(u):
        inverse, rest = reciprocal(*two_sum(u, const(4)))
        q, lost = two_sum(const(1), -8 * inverse)
        value = level.sum(q, slope.short(q) - 4, lost - 8 * rest)
        far, lost = product(value, reciprocal(*two_sum(u, const(0.5))))
        step, rest = product((u, const(0)), start.sum(u))
        near, left = quick_sum(const(1), -step)
        inner, ended = u < const(NEAR_ONE), u.equals(INFINITY)  # there the sums above are inf - inf
        high, low = quick_sum(select(inner, near, far), select(inner, left - rest, lost))
        return select(ended, const(0), high), select(ended, const(0), low)


@elementary
class erf:
    """The error function."""

    def short(x):
        u = abs(x)
        far = 1 - call("erfcx_short", u) * call("exp_short", -(u * u))
        z = u * u
        near = u * fma(z, middle.short(z), const(TWO_PER_ROOT_PI.high))
        return copysign(select(u < const(NEAR), near, far), x)

    def full(x):
        u = smaller(abs(x), const(7))  # where erf has reached one, and squares are far from overflow
        tail, rest = product((call("erfcx", u), call("erfcx_low", u)), square_exponential(u))
        far, lost = quick_sum(const(1), -tail)
        square = u * u
        core, small = quick_sum(const(TWO_PER_ROOT_PI.high), square * middle.full(square))
        near, left = product((u, const(0)), (core, small + TWO_PER_ROOT_PI.low))
        inner = u < const(NEAR)
        high, low = quick_sum(select(inner, near, far), select(inner, left, lost - rest))
        return copysign(high, x), select(x < const(0), -low, low)
