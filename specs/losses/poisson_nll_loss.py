"""Negative log likelihood of counts."""

from symgen.spec import Real, exp, inf, log, loss, pi


@loss(torch="poisson_nll_loss")
def poisson_nll_loss(input, target, log_input: bool = True, full: bool = False, eps: Real > 0 = 1e-8):
    """Negative log likelihood of a Poisson distribution whose rate, or its logarithm, is given."""
    stirling = target * log(target) - target + log(2 * pi * target) / 2 if target > 1 else 0
    constant = stirling if full else 0
    if log_input:
        return exp(input) - target * input + constant
    return input - target * log(input + eps) + constant if input >= 0 else inf
