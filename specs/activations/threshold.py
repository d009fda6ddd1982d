"""A rectifier with a threshold and a value of one's choice."""

from symgen.spec import Real, activation


@activation(torch="threshold", symbols={"threshold": r"\theta", "value": "v"})
def threshold(x, threshold: Real, value: Real):
    """Identity above a threshold, a constant up to it."""
    return x if x > threshold else value
