"""Relative error."""

from symgen.spec import Tensor, loss


@loss()
def mape_loss(input, target: Tensor != 0):
    """Absolute difference of input and target, relative to the target: a fraction, not a percentage."""
    return abs((input - target) / target)
