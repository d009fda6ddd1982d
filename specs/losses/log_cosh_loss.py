"""The logarithm of the hyperbolic cosine of the error."""

from symgen.spec import cosh, log, loss


@loss()
def log_cosh_loss(input, target):
    """Logarithm of the hyperbolic cosine of the difference: squared near zero, absolute far from it."""
    return log(cosh(input - target))
