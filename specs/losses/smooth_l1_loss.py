"""The absolute error, rounded off at its kink."""

from symgen.spec import Real, loss


@loss(torch="smooth_l1_loss", cite="arXiv:1504.08083")
def smooth_l1_loss(input, target, *, beta: Real >= 0 = 1):
    """Squared near zero, absolute beyond beta."""
    r = abs(input - target)
    if beta == 0:
        return r
    return r**2 / (2 * beta) if r < beta else r - beta / 2
