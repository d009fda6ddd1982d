"""The error function and its complement."""

from symgen.spec import activation
from symgen.spec import erf as error_function


@activation(torch="erf")
def erf(x):
    """Error function."""
    return error_function(x)


@activation(torch="erfc")
def erfc(x):
    """Complementary error function."""
    return 1 - erf(x)
