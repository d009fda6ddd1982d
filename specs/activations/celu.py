"""The exponential linear unit whose slope is continuous for every alpha."""

from symgen.spec import Real, activation, exp


@activation(
    torch="celu",
    cite="arXiv:1704.07483",
    symbols={"alpha": r"\alpha"},
    also={"max(0, x) + min(0, alpha * (exp(x / alpha) - 1))": "At 0 its slope is 0 instead of 1."},
)
def celu(x, alpha: Real != 0 = 1):
    """Identity above zero, saturating at -alpha below, with slope one at zero."""
    return x if x > 0 else alpha * (exp(x / alpha) - 1)
