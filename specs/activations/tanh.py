"""The hyperbolic tangent."""

from symgen.spec import activation, exp


@activation(torch="tanh")
def tanh(x):
    """Hyperbolic tangent."""
    return (exp(x) - exp(-x)) / (exp(x) + exp(-x))
