"""Negative log likelihood of classes."""

from symgen.spec import Axis, Index, Int, Tensor, Weight, loss

K = Axis("K", at=1)


@loss(torch="nll_loss")
def nll_loss(input: Tensor[K], target: Index[K], weight: Weight[K] = 1, ignore_index: Int = -100):
    """Negative log likelihood of the target class."""
    if target == ignore_index:
        return 0, 0
    return -weight[target] * input[target], weight[target]
