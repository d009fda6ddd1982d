"""Squared error of logarithms."""

from symgen.spec import Tensor, log, loss


@loss()
def msle_loss(input: Tensor > -1, target: Tensor > -1):
    """Squared difference of the logarithms of one plus input and one plus target."""
    return (log(1 + input) - log(1 + target)) ** 2
