"""The Gaussian error linear unit, exact and by hyperbolic tangent."""

from symgen.spec import Literal, activation, erf, pi, sqrt, tanh


@activation(torch="gelu", cite="arXiv:1606.08415")
def gelu(x, *, approximate: Literal["none", "tanh"] = "none"):
    """Gaussian error linear unit: the input weighted by its Gaussian CDF."""
    if approximate == "tanh":
        return x * (1 + tanh(sqrt(2 / pi) * (x + 0.044715 * x**3))) / 2
    return x * (1 + erf(x / sqrt(2))) / 2
