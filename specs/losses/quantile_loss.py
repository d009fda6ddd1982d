"""The loss whose minimiser is a quantile."""

from symgen.spec import Real, loss


@loss(cite="doi:10.2307/1913643", aliases=["pinball_loss"])
def quantile_loss(input, target, *, q: 0 <= Real <= 1 = 0.5):
    """Difference of target and input, by its sign weighted with q or 1 - q: the pinball loss."""
    r = target - input
    return q * r if r >= 0 else (q - 1) * r
