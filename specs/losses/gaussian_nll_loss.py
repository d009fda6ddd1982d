"""Negative log likelihood of a normal distribution."""

from symgen.spec import Real, Tensor, log, loss, max, pi, straight_through


@loss(torch="gaussian_nll_loss")
def gaussian_nll_loss(input, target, var: Tensor >= 0, full: bool = False, eps: Real > 0 = 1e-6):
    """Negative log likelihood of a Gaussian whose variance is given."""
    v = straight_through(max(var, eps), var)
    return (log(v) + (input - target) ** 2 / v + (log(2 * pi) if full else 0)) / 2
