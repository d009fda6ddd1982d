"""The logarithm of the logistic function."""

from symgen.spec import activation, exp, log


@activation(torch="logsigmoid", aliases=("log_sigmoid",))
def logsigmoid(x):
    """Logarithm of the logistic function."""
    return log(1 / (1 + exp(-x)))
