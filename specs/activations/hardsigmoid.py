"""The logistic function in three straight pieces."""

from symgen.spec import activation

from .relu6 import relu6


@activation(torch="hardsigmoid", aliases=("hard_sigmoid",))
def hardsigmoid(x):
    """Piecewise linear sigmoid."""
    return relu6(x + 3) / 6
