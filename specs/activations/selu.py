"""The self-normalising exponential linear unit."""

from symgen.spec import activation

from .elu import elu


@activation(torch="selu", cite="arXiv:1706.02515")
def selu(x):
    """Self-normalising elu."""
    return 1.0507009873554804934193349852946 * elu(x, 1.6732632423543772848170429916717)
