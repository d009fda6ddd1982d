"""A logistic loss for each class."""

from symgen.catalogue import sigmoid
from symgen.spec import Axis, Prob, Tensor, Weight, log, loss, mean

C = Axis("C")


@loss(torch="multilabel_soft_margin_loss")
def multilabel_soft_margin_loss(input: Tensor[C], target: Prob[C], weight: Weight[C] = 1):
    """Binary cross entropy of the sigmoid of each logit, averaged over the classes."""
    p = sigmoid(input)
    return mean(-weight * (target * log(p) + (1 - target) * log(1 - p)), C)
