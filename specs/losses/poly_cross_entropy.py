"""Cross entropy with more weight on its first term."""

from symgen.catalogue import log_softmax, softmax
from symgen.spec import Axis, Index, Int, Real, Tensor, Weight, loss

K = Axis("K", at=1)


@loss(cite="arXiv:2204.12511")
def poly_cross_entropy(input: Tensor[K], target: Index[K], weight: Weight[K] = 1, *, ignore_index: Int = -100,
                       epsilon: Real >= -1 = 1):
    """Cross entropy, and epsilon times the probability of all other classes."""
    if target == ignore_index:
        return 0, 0
    return weight[target] * (epsilon * (1 - softmax(input)[target]) - log_softmax(input)[target]), weight[target]
