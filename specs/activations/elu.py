"""The exponential linear unit."""

from symgen.spec import Real, activation, exp


@activation(
    torch="elu",
    cite="arXiv:1511.07289",
    symbols={"alpha": r"\alpha"},
    also={
        "max(0, x) + min(0, alpha * (exp(x) - 1))": "At 0 its slope is 0 instead of alpha, and for a negative alpha it "
        "is another function."
    },
)
def elu(x, alpha: Real = 1):
    """Identity above zero, saturating at -alpha below."""
    return x if x > 0 else alpha * (exp(x) - 1)
