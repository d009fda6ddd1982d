"""The logistic function."""

from symgen.spec import activation, exp


@activation(torch="sigmoid", aliases=("expit",))
def sigmoid(x):
    """Logistic function."""
    return 1 / (1 + exp(-x))
