"""The sigmoid linear unit."""

from symgen.spec import activation

from .sigmoid import sigmoid


@activation(torch="silu", cite="arXiv:1702.03118", aliases=("swish",))
def silu(x):
    """Sigmoid linear unit: the input weighted by its logistic function."""
    return x * sigmoid(x)
