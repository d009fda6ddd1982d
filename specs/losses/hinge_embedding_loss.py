"""Hinge of a distance."""

from symgen.spec import Real, loss, max


@loss(torch="hinge_embedding_loss")
def hinge_embedding_loss(input, target, margin: Real = 1):
    """The distance itself for a similar pair, label 1, and how far it falls short of the margin for another, label -1."""
    if target == 1:
        return input
    return max(margin - input, 0) if target == -1 else 0
