"""A smooth, self-gated rectifier."""

from symgen.spec import activation, tanh

from .softplus import softplus


@activation(torch="mish", cite="arXiv:1908.08681")
def mish(x):
    """Input weighted by the hyperbolic tangent of its softplus."""
    return x * tanh(softplus(x))
