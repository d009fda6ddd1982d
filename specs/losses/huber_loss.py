"""Squared error with linear tails."""

from symgen.spec import Real, Weight, loss


@loss(torch="huber_loss", cite="doi:10.1214/aoms/1177703732")
def huber_loss(input, target, weight: Weight = 1, *, delta: Real > 0 = 1):
    """Squared near zero, absolute beyond delta, with a continuous derivative."""
    r = abs(input - target)
    return weight * (r**2 / 2 if r < delta else delta * (r - delta / 2))
