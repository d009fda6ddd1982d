"""Hinge of a difference of scores."""

from symgen.spec import Real, loss, max


@loss(torch="margin_ranking_loss")
def margin_ranking_loss(input1, input2, target, margin: Real = 0):
    """How far the first score, label 1, or the second, label -1, falls short of leading by the margin."""
    return max(margin - target * (input1 - input2), 0)
