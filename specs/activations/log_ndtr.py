"""The logarithm of the Gaussian distribution function."""

from symgen.spec import activation, erf, log, sqrt


@activation(torch="special.log_ndtr")
def log_ndtr(x):
    """Logarithm of the Gaussian cumulative distribution function."""
    return log((1 + erf(x / sqrt(2))) / 2)
