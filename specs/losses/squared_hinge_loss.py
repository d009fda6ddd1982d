"""Squared hinge of a score."""

from symgen.spec import loss, max


@loss()
def squared_hinge_loss(input, target):
    """Square of how far a score, of the sign of its label -1 or 1, falls short of one."""
    return max(1 - target * input, 0) ** 2
