"""Cross entropy of two classes, of a logit."""

from symgen.spec import Prob, Weight, exp, log, loss


@loss(torch="binary_cross_entropy_with_logits", aliases=["bce_with_logits_loss"])
def binary_cross_entropy_with_logits(input, target: Prob, weight: Weight = 1, *, pos_weight: Weight = 1):
    """Binary cross entropy of the sigmoid of the logits."""
    p = 1 / (1 + exp(-input))
    return -weight * (pos_weight * target * log(p) + (1 - target) * log(1 - p))
