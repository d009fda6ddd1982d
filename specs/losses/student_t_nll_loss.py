"""Negative log likelihood of a distribution with heavy tails."""

from symgen.spec import Real, Tensor, log, loss


@loss(cite="doi:10.2307/2290063")
def student_t_nll_loss(input, target, scale: Tensor > 0, *, df: Real > 0 = 3):
    """Negative log likelihood of Student's t distribution of given scale, without its constant, which df alone sets."""
    return log(scale) + (df + 1) / 2 * log(1 + ((input - target) / scale) ** 2 / df)
