"""Cross entropy of two classes."""

from symgen.spec import Prob, Tensor, Weight, log, loss


@loss(torch="binary_cross_entropy", aliases=["bce_loss"])
def binary_cross_entropy(input: 0 <= Tensor <= 1, target: Prob, weight: Weight = 1):
    """Cross entropy of a probability, relative to that of the target.

    It is infinite where a probability of zero or one is wrong: logarithms are not clamped, as PyTorch's are at -100.
    """
    return -weight * (target * log(input) + (1 - target) * log(1 - input))
