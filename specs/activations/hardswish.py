"""The sigmoid linear unit with a piecewise linear sigmoid."""

from symgen.spec import activation

from .hardsigmoid import hardsigmoid


@activation(torch="hardswish", cite="arXiv:1905.02244", aliases=("hard_swish",))
def hardswish(x):
    """Input weighted by its piecewise linear sigmoid."""
    return x * hardsigmoid(x)
