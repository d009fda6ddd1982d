"""Relative entropy."""

from symgen.spec import Prob, exp, log, loss, weighted


@loss(torch="kl_div")
def kl_div(input, target: Prob, *, log_target: bool = False):
    """Kullback-Leibler divergence of the target from the input, whose logarithm is given."""
    if log_target:
        return weighted(exp(target), target - input)
    return target * (log(target) - input)
