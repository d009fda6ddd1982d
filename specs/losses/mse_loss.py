"""Squared error."""

from symgen.spec import Weight, loss


@loss(torch="mse_loss")
def mse_loss(input, target, weight: Weight = 1):
    """Squared difference of input and target."""
    return weight * (input - target) ** 2, weight
