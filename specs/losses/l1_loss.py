"""Absolute error."""

from symgen.spec import Weight, loss


@loss(torch="l1_loss")
def l1_loss(input, target, weight: Weight = 1):
    """Absolute difference of input and target."""
    return weight * abs(input - target), weight
