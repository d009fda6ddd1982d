"""Cross entropy for classes of very different sizes."""

from symgen.catalogue import binary_cross_entropy_with_logits, sigmoid
from symgen.spec import Prob, Real, loss


@loss(torch="torchvision.ops.sigmoid_focal_loss", reduction="none", cite="arXiv:1708.02002")
def sigmoid_focal_loss(input, target: Prob, *, alpha: (0 <= Real <= 1) | None = 0.25, gamma: Real >= 0 = 2):
    """Binary cross entropy, less for examples that are already right."""
    p = sigmoid(input)
    wrong = target * (1 - p) + (1 - target) * p
    share = 1 if alpha is None else alpha * target + (1 - alpha) * (1 - target)
    return share * wrong**gamma * binary_cross_entropy_with_logits(input, target)
