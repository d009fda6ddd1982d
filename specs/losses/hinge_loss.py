"""Hinge of a score."""

from symgen.spec import loss, max


@loss()
def hinge_loss(input, target):
    """How far a score, of the sign of its label -1 or 1, falls short of one."""
    return max(1 - target * input, 0)
