"""Soft thresholding."""

from symgen.spec import Real, activation


@activation(torch="softshrink", symbols={"lambd": r"\lambda"})
def softshrink(x, lambd: Real >= 0 = 0.5):
    """Input moved towards zero by a fixed amount, zero where it is smaller."""
    if x > lambd:
        return x - lambd
    return x + lambd if x < -lambd else 0
