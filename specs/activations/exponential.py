"""The exponential function as an activation."""

from symgen.spec import activation, exp


@activation(torch="exp")
def exponential(x):
    """Exponential function."""
    return exp(x)
