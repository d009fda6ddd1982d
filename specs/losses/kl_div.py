"""Divergences of distributions."""

from symgen.spec import Axis, Prob, Tensor, exp, log, loss, sum, weighted

D = Axis("D")


@loss(torch="kl_div")
def kl_div(input, target: Prob, *, log_target: bool = False):
    """Kullback-Leibler divergence of the target from the input, whose logarithm is given."""
    if log_target:
        return weighted(exp(target), target - input)
    return target * (log(target) - input)


@loss(cite="doi:10.1109/18.61115")
def js_div(input: 0 <= Tensor[D] <= 1, target: 0 <= Tensor[D] <= 1):
    """Jensen-Shannon divergence of two distributions along the last axis: the mean divergence from their mixture."""
    mixture = (input + target) / 2
    left = sum(weighted(input, log(input / mixture)), D)
    right = sum(weighted(target, log(target / mixture)), D)
    return (left + right) / 2
