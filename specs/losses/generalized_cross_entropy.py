"""A loss between cross entropy and the mean absolute error."""

from symgen.catalogue import softmax
from symgen.spec import Axis, Index, Int, Real, Tensor, Weight, loss

K = Axis("K", at=1)


@loss(cite="arXiv:1805.07836")
def generalized_cross_entropy(input: Tensor[K], target: Index[K], weight: Weight[K] = 1, *, ignore_index: Int = -100,
                              q: 0 < Real <= 1 = 0.7):
    """Box-Cox transform of the probability of the target class: less is lost on labels that are wrong."""
    if target == ignore_index:
        return 0, 0
    return weight[target] * (1 - softmax(input)[target]**q) / q, weight[target]
