"""A smooth Huber loss."""

from symgen.spec import Real, loss, sqrt


@loss(cite="doi:10.1109/83.551699")
def pseudo_huber_loss(input, target, *, delta: Real > 0 = 1):
    """Squared near zero, absolute far from it, smooth everywhere."""
    return delta**2 * (sqrt(1 + ((input - target) / delta) ** 2) - 1)
