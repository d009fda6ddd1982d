"""Softmax and its kin: distributions over an axis."""

from symgen.spec import Axis, Mask, Real, Tensor, activation, exp, log, sum

C = Axis("C")


@activation(torch="softmax")
def softmax(x: Tensor[C], where: Mask[C] = True, *, temperature: (Real > 0) | None = None):
    """Exponentials of the inputs, normalised to sum to one along the axis; of inputs over a temperature, if given."""
    u = x if temperature is None else x / temperature
    p = exp(u) if where else 0
    return p / sum(p, C)


@activation(torch="softmin")
def softmin(x: Tensor[C], where: Mask[C] = True):
    """Softmax of the negated inputs."""
    return softmax(-x, where)


@activation(torch="log_softmax")
def log_softmax(x: Tensor[C], where: Mask[C] = True):
    """Logarithm of softmax."""
    return log(softmax(x, where))


@activation(torch="logsumexp")
def logsumexp(x: Tensor[C], where: Mask[C] = True):
    """Logarithm of the sum of exponentials: a smooth maximum."""
    return log(sum(exp(x[k]) for k in C if where[k]))


@activation()
def logmeanexp(x: Tensor[C], where: Mask[C] = True):
    """Logarithm of the mean of exponentials: a smooth maximum that is the input itself where all are equal."""
    return log(sum(exp(x[k]) for k in C if where[k]) / sum(1 for k in C if where[k]))
