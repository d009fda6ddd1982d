"""The logarithm of the complement of a small probability."""

from symgen.spec import Tensor, activation, exp, log


@activation()
def log1mexp(x: Tensor > 0):
    """Logarithm of one minus an exponential."""
    return log(1 - exp(-x))
