"""Scaled complementary error function: libm has none, and every Gaussian tail needs it."""

from symgen.elementary import elementary


@elementary(interval=(-1, 1), bits=55)
def erfcx(u):
    """exp(u^2) erfc(u) for u >= 0, as polynomial((u - 4)/(u + 4)) / (1 + 2 u)."""
    return (u - 4) / (u + 4), 1 + 2 * u
