"""Hinges between the classes of a list and all others."""

from symgen.spec import Axis, Labels, Tensor, loss, max, size, sum

C = Axis("C", rank=2)


@loss(torch="multilabel_margin_loss")
def multilabel_margin_loss(input: Tensor[C], target: Labels[C]):
    """Hinge between every listed class and every other."""
    return sum(max(0, 1 - input[t] + input[k]) for t in target for k in C if k not in target) / size(C)
