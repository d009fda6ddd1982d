"""A straight line through the origin."""

from symgen.spec import Real, activation


@activation()
def linear(x, c: Real = 1):
    """Multiple of the input."""
    return c * x
