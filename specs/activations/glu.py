"""Gated linear units: one half of an axis lets the other through."""

from symgen.spec import Axis, Tensor, activation, erf, exp, sqrt

C = Axis("C")


@activation(torch="glu")
def glu(x: Tensor[2 * C]):
    """The first half of the axis, gated by the sigmoid of the second."""
    a, b = x
    return a / (1 + exp(-b))


@activation(cite="arXiv:2002.05202")
def swiglu(x: Tensor[2 * C]):
    """The first half of the axis through silu, times the second."""
    a, b = x
    return a / (1 + exp(-a)) * b


@activation(cite="arXiv:2002.05202")
def geglu(x: Tensor[2 * C]):
    """The first half of the axis, gated by gelu of the second."""
    a, b = x
    return a * b * (1 + erf(b / sqrt(2))) / 2
