"""An algebraic smooth rectifier."""

from symgen.spec import Real, activation, sqrt


@activation(cite="arXiv:2112.11687")
def squareplus(x, b: Real > 0 = 4):
    """Algebraic smooth positive part."""
    return (x + sqrt(x**2 + b)) / 2
