"""What the hyperbolic tangent takes away."""

from symgen.spec import activation, tanh


@activation(torch="tanhshrink")
def tanhshrink(x):
    """Input less its hyperbolic tangent."""
    return x - tanh(x)
