"""An algebraic squashing function."""

from symgen.spec import activation


@activation(torch="softsign")
def softsign(x):
    """Input divided by one plus its absolute value."""
    return x / (1 + abs(x))
