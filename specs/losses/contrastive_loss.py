"""Squared distance of pairs that belong together, and a squared hinge for the others."""

from symgen.spec import Prob, Real, Tensor, loss, max, weighted


@loss(cite="doi:10.1109/CVPR.2006.100")
def contrastive_loss(input: Tensor >= 0, target: Prob, *, margin: Real > 0 = 1):
    """Squared distance for a pair that belongs together, label 1, the square of what it lacks to the margin for label 0."""
    return weighted(target, input**2) + weighted(1 - target, max(margin - input, 0) ** 2)
