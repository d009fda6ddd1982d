"""Vectors brought to one scale: by their norm, their root mean square, or their deviation."""

from symgen.spec import Axis, Param, Real, Tensor, activation, max, mean, norm, sqrt, sum

C = Axis("C")


@activation(torch="normalize")
def normalize(x: Tensor[C], p: Real >= 1 = 2, *, eps: Real >= 0 = 1e-12):
    """Vector over its p-norm, or over eps where the norm is smaller; zero stays zero."""
    size = norm(x, C, p)
    return 0 if size == 0 else x / max(eps, size)


@activation(cite="arXiv:1910.07467")
def rms_norm(x: Tensor[C], *, weight: Param[C] = 1, eps: Real >= 0 = 1e-6):
    """Inputs over their root mean square along the axis."""
    return x / sqrt(mean(x**2, C) + eps) * weight


@activation(cite="arXiv:1607.06450")
def layer_norm(x: Tensor[C], *, weight: Param[C] = 1, bias: Param[C] = 0, eps: Real >= 0 = 1e-5):
    """Inputs centred and scaled to unit variance along the axis."""
    centred = x - mean(x, C)
    return centred / sqrt(mean(centred**2, C) + eps) * weight + bias


@activation(torch="cosine_similarity")
def cosine_similarity(x1: Tensor[C], x2: Tensor[C], *, eps: Real >= 0 = 1e-8):
    """Cosine of the angle between two vectors; zero where one of them is zero."""
    n1, n2 = norm(x1, C), norm(x2, C)
    return 0 if n1 == 0 or n2 == 0 else sum(x1 * x2, C) / (max(eps, n1) * max(eps, n2))
