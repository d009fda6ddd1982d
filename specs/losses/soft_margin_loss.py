"""Logistic loss of a label of either sign."""

from symgen.spec import exp, log, loss


@loss(torch="soft_margin_loss")
def soft_margin_loss(input, target):
    """Logistic loss of a score whose sign should be the label's, -1 or 1."""
    return log(1 + exp(-target * input))
