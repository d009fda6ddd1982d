"""The rectifier."""

from symgen.spec import activation


@activation(torch="relu")
def relu(x):
    """Positive part."""
    return max(0, x)
