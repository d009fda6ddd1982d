"""A rectifier that lets a little through below zero."""

from symgen.spec import Real, activation


@activation(torch="leaky_relu", symbols={"negative_slope": "a"})
def leaky_relu(x, negative_slope: Real = 0.01):
    """Identity above zero, a small slope below."""
    return x if x > 0 else negative_slope * x
