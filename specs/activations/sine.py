"""The activation of sinusoidal representation networks."""

from symgen.spec import Real, activation, sin


@activation(cite="arXiv:2006.09661", symbols={"omega_0": r"\omega_0"})
def sine(x, omega_0: Real = 30):
    """Sine of the input at a given angular frequency."""
    return sin(omega_0 * x)
