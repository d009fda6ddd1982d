"""A logistic approximation of gelu."""

from symgen.spec import activation

from .sigmoid import sigmoid


@activation(cite="arXiv:1606.08415")
def quick_gelu(x):
    """Gaussian error linear unit with the Gaussian CDF approximated by a logistic function."""
    return x * sigmoid(1.702 * x)
