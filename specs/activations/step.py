"""The threshold unit of the first neural networks."""

from symgen.spec import activation


@activation(torch="heaviside")
def step(x):
    """Threshold unit: one where the input has reached zero."""
    return 1 if x >= 0 else 0
