"""A bound on logits that leaves small ones alone."""

from symgen.spec import Real, activation, tanh


@activation(cite="arXiv:2408.00118")
def softcap(x, c: Real > 0 = 30):
    """Input bounded smoothly to between -c and c."""
    return c * tanh(x / c)
