"""The rectifier that stops at six."""

from symgen.spec import activation


@activation(torch="relu6")
def relu6(x):
    """Positive part, at most six."""
    return min(6, max(0, x))
