"""The smooth rectifier."""

from symgen.spec import Real, activation, exp, log


@activation(torch="softplus", symbols={"beta": r"\beta", "threshold": r"\theta"})
def softplus(x, beta: Real != 0 = 1, threshold: Real | None = None):
    """Smooth positive part, of sharpness beta."""
    if threshold is not None and beta * x > threshold:
        return x
    return log(1 + exp(beta * x)) / beta
