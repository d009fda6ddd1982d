"""Cancellation exercises as textbooks of numerical analysis set them, and some of their kind."""

from symgen.spec import (
    Tensor, acos, acosh, activation, asin, atan, atanh, cos, cosh, exp, log, pi, sin, sinh, sqrt, tan, tanh,
)


@activation()
def root_gap(x: Tensor >= 0):
    """Difference of neighbouring roots."""
    return sqrt(x + 1) - sqrt(x)


@activation()
def versine_ratio(x: Tensor != 0):
    """One minus cosine, over the square."""
    return (1 - cos(x)) / x**2


@activation()
def exp_remainder(x):
    """Exponential less its first two terms."""
    return exp(x) - 1 - x


@activation()
def exprel(x: Tensor != 0):
    """Relative exponential."""
    return (exp(x) - 1) / x


@activation()
def reciprocal_gap(x: Tensor > 0):
    """Difference of neighbouring reciprocals."""
    return 1 / (x + 1) - 1 / x


@activation()
def log_ratio(x: -1 < Tensor < 1):
    """Twice the inverse hyperbolic tangent."""
    return log((1 + x) / (1 - x))


@activation()
def sine_remainder(x):
    """Argument less its sine."""
    return x - sin(x)


@activation()
def tan_minus_sin(x: -1.5 < Tensor < 1.5):
    """Tangent less sine."""
    return tan(x) - sin(x)


@activation()
def hypotenuse_gap(x):
    """Root of one plus a square, less one."""
    return sqrt(x**2 + 1) - 1


@activation()
def compound(x: Tensor > 0):
    """Continuous compounding: a power that tends to e."""
    return (1 + 1 / x) ** x


@activation()
def atan_gap(x):
    """Difference of neighbouring arctangents."""
    return atan(x + 1) - atan(x)


@activation()
def cube_root_gap(x: Tensor >= 0):
    """Difference of neighbouring cube roots."""
    return (x + 1) ** (1 / 3) - x ** (1 / 3)


@activation()
def log_gap(x: Tensor > 0):
    """Difference of neighbouring logarithms."""
    return log(x + 1) - log(x)


@activation()
def sinh_remainder(x):
    """Twice sinh less its first term."""
    return exp(x) - exp(-x) - 2 * x


@activation()
def sine_gap(x):
    """Difference of two sines."""
    return sin(x + 1) - sin(x)


@activation()
def cosine_gap(x):
    """Difference of two cosines."""
    return cos(x + 1 / 4) - cos(x)


@activation()
def langevin(x: Tensor != 0):
    """Hyperbolic cotangent less reciprocal."""
    return (exp(x) + exp(-x)) / (exp(x) - exp(-x)) - 1 / x


@activation()
def bernoulli(x: Tensor != 0):
    """Bernoulli's function."""
    return x / (exp(x) - 1)


@activation()
def reciprocal_sum(x):
    """Second difference of reciprocals of a square."""
    return 1 / (1 + x**2) - 1


@activation()
def quadratic_root(x):
    """Smaller root of a quadratic equation."""
    return -x - 1 + sqrt((x + 1) ** 2 + 1)


@activation()
def exp_gap(x):
    """Difference of exponentials."""
    return exp(2 * x) - exp(x)


@activation()
def sinc(x: Tensor != 0):
    """Sine over its argument."""
    return sin(x) / x


@activation()
def half_angle(x: 0 < Tensor < 3):
    """Tangent of the half angle."""
    return (1 - cos(x)) / sin(x)


@activation()
def inverse_root_gap(x: Tensor > 0):
    """Difference of neighbouring reciprocal roots."""
    return 1 / sqrt(x) - 1 / sqrt(x + 1)


@activation()
def log1p_remainder(x: Tensor > -1):
    """Argument less the logarithm of one plus it."""
    return x - log(1 + x)


@activation()
def gaussian_gap(x: Tensor != 0):
    """One minus a Gaussian, over the square."""
    return (1 - exp(-(x**2))) / x**2


@activation()
def cosh_remainder(x):
    """Hyperbolic cosine less its first two terms."""
    return cosh(x) - 1 - x**2 / 2


@activation()
def tanh_ratio(x: Tensor != 0):
    """Hyperbolic tangent over its argument."""
    return tanh(x) / x


@activation()
def sinh_ratio(x: Tensor != 0):
    """Logarithm of sinh over its argument."""
    return log(sinh(x) / x)


@activation()
def stolarsky(x: 0 < Tensor != 1):
    """Logarithmic mean of one and x."""
    return (x - 1) / log(x)


@activation()
def sixth_power(x):
    """An expanded sixth power of x less one."""
    return x**6 - 6 * x**5 + 15 * x**4 - 20 * x**3 + 15 * x**2 - 6 * x + 1


@activation()
def power_gap(x: Tensor > 0):
    """A power with a small exponent, less one."""
    return x ** (1 / 100) - 1


@activation()
def asin_remainder(x: -1 <= Tensor <= 1):
    """Inverse sine less its argument."""
    return asin(x) - x


@activation()
def acos_gap(x: -1 <= Tensor <= 1):
    """What an inverse cosine lacks of a right angle."""
    return pi / 2 - acos(x)


@activation()
def acosh_ratio(x: Tensor > 1):
    """Inverse hyperbolic cosine over the root that it vanishes with."""
    return acosh(x) / sqrt(x - 1)


@activation()
def atanh_remainder(x: -1 < Tensor < 1):
    """Inverse hyperbolic tangent less its argument."""
    return atanh(x) - x


@activation()
def chord(x: -2 <= Tensor <= 2):
    """Arc less chord of a circle of radius one."""
    return 2 * asin(x / 2) - x
