"""The length of a vector: libm's is a call, and not even rounded correctly."""

from symgen.elementary import elementary, quick_sum
from symgen.kernel import const, fma, node, select

INFINITY = const(float("inf"))
# beyond these a square leaves the range, or loses what is needed of its rounding error
LARGE, SMALL = 2.0**500, 2.0**-400
SCALE = 2.0**600


@elementary
class hypot:
    """The root of x^2 + y^2; in the short form both are below 2^500 and one of them above 2^-400."""

    def short(x, y):
        return node("sqrt", fma(x, x, y * y))

    def full(x, y):
        u, v = abs(x), abs(y)
        above, below = select(u < v, v, u), select(u < v, u, v)
        huge, tiny = const(LARGE) < above, above < const(SMALL)
        down = select(huge, const(1 / SCALE), select(tiny, const(SCALE), const(1)))
        up = select(huge, const(SCALE), select(tiny, const(1 / SCALE), const(1)))
        a, b = above * down, below * down
        first, second = a * a, b * b
        total, lost = quick_sum(first, second)
        lost = lost + (fma(a, a, -first) + fma(b, b, -second))
        root = node("sqrt", total)
        rest = (fma(-root, root, total) + lost) / (root + root)
        high, low = quick_sum(root, rest)
        # at zero the rest is 0/0, and at infinity inf - inf
        bare = above.equals(0) | above.equals(INFINITY)
        return select(bare, above + below, high * up), select(bare, const(0), low * up)
