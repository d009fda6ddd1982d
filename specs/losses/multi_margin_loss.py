"""Hinges between classes."""

from typing import Literal

from symgen.spec import Axis, Index, Real, Tensor, Weight, loss, max, size, sum

K = Axis("K", at=1, rank=2)


@loss(torch="multi_margin_loss")
def multi_margin_loss(input: Tensor[K], target: Index[K], p: Literal[1, 2] = 1, margin: Real = 1,
                      weight: Weight[K] = 1):
    """Hinge between the target class and every other."""
    return weight[target] * sum(max(0, margin - input[target] + input[k])**p for k in K if k != target) / size(K)
