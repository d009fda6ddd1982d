"""Hard thresholding."""

from symgen.spec import Real, activation


@activation(torch="hardshrink", symbols={"lambd": r"\lambda"})
def hardshrink(x, lambd: Real = 0.5):
    """Identity outside an interval around zero, zero inside."""
    return x if abs(x) > lambd else 0
