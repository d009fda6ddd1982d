"""Formulas written when the stabiliser was finished for float32: its first score on these is the honest one."""

from symgen.spec import (
    Tensor, acos, activation, atan, cos, cosh, erf, exp, log, pi, sin, sinh, sqrt, tanh,
)


@activation()
def collapsing_unit(x):
    """Input over one less a collapsing exponential."""
    return x / (1 - x * exp(-(x + exp(x))))


@activation()
def power_flow_unit(x):
    """Input weighted by an algebraic step."""
    return x * (1 + x / sqrt(1 + x**2)) / 2


@activation()
def tanh_sig(x):
    """Input plus its tanh, gated."""
    return (x + tanh(x)) / (1 + exp(-x))


@activation()
def tanh_soft(x):
    """Softplus times a tanh."""
    return tanh(0.87 * x) * log(1 + exp(x))


@activation()
def gompertz(x):
    """Gompertz's sigmoid."""
    return 1.3 * exp(-2 * exp(-x))


@activation()
def soft_atan(x):
    """Softplus of an arctangent."""
    return log(1 + exp(atan(x)))


@activation()
def sigmoid_tanh_gate(x):
    """Input weighted by the tanh of a sigmoid."""
    return x * tanh(1 / (1 + exp(-x)))


@activation()
def quartic_bell(x):
    """An algebraic bell."""
    return 1 / (1 + x**4)


@activation()
def secant_nll(x):
    """Negative log likelihood of the hyperbolic secant distribution, up to a constant."""
    return log(cosh(pi * x / 2))


@activation()
def expectile_logistic(x):
    """Logistic loss with a slope for the quantile."""
    return 0.3 * x + log(1 + exp(-2 * x)) / 2


@activation()
def generalised_kl(x: Tensor > 0):
    """Generalised Kullback-Leibler divergence from one."""
    return x * log(x) - x + 1


@activation()
def jensen_shannon(x):
    """Logistic discriminator's reward, zero at zero."""
    return log(2) - log(1 + exp(-x))


@activation()
def barron_tenth(x):
    """Barron's general robust loss, alpha = 1/10."""
    return 19 * ((x**2 / 1.9 + 1) ** (1 / 20) - 1)


@activation()
def squared_softplus(x):
    """Smooth squared hinge."""
    return log(1 + exp(1 - x)) ** 2


@activation()
def inverse_gaussian_nll(x: Tensor > 0):
    """Negative log likelihood of the inverse Gaussian distribution, up to a constant."""
    return (x - 1) ** 2 / (2 * x) + 3 * log(x) / 2


@activation()
def moyal_nll(x):
    """Negative log likelihood of Moyal's distribution, zero at its mode."""
    return (x + exp(-x) - 1) / 2


@activation()
def trig_remainder(x):
    """An exponential less its first trigonometric terms."""
    return exp(x) - cos(x) - sin(x)


@activation()
def cotangent_gap(x: 0 < Tensor < 3):
    """Reciprocal less cotangent."""
    return 1 / x - cos(x) / sin(x)


@activation()
def log_quotient(x: -1 < Tensor != 0):
    """Second coefficient of the logarithm."""
    return (log(1 + x) - x) / x**2


@activation()
def symmetric_root_gap(x: -1 <= Tensor <= 1):
    """Difference of the roots beside one."""
    return sqrt(1 + x) - sqrt(1 - x)


@activation()
def sinhc(x: Tensor != 0):
    """Hyperbolic sine over its argument."""
    return (exp(x) - exp(-x)) / (2 * x)


@activation()
def spherical_bessel(x):
    """Numerator of the spherical Bessel function of order one."""
    return sin(x) - x * cos(x)


@activation()
def fourth_root_gap(x: Tensor >= 0):
    """Difference of neighbouring fourth roots."""
    return (x + 1) ** (1 / 4) - x ** (1 / 4)


@activation()
def atan_remainder(x):
    """Arctangent less its Pade approximant."""
    return atan(x) - x / (1 + x**2)


@activation()
def gaussian_wave_gap(x):
    """Cosine less the Gaussian of the same curvature."""
    return cos(x) - exp(-(x**2) / 2)


@activation()
def lost_unit(x):
    """What an algebraic sigmoid lacks of one."""
    return 1 - x / sqrt(1 + x**2)


@activation()
def geometric_gap(x: Tensor >= 0):
    """Geometric mean of neighbours less the smaller one."""
    return sqrt(x**2 + x) - x


@activation()
def half_tanh_gap(x):
    """Half tanh less its first term."""
    return (1 - exp(-x)) / (1 + exp(-x)) - x / 2


@activation()
def erf_remainder(x):
    """Error function less its first term."""
    return erf(x) - 2 * x / sqrt(pi)


@activation()
def mills(x):
    """Input weighted by the upper tail of the error function."""
    return x * (1 - erf(x))


@activation()
def arc_gap(x: 0 <= Tensor <= 1):
    """Arc less chord, by the inverse cosine."""
    return acos(1 - x) - sqrt(2 * x)


@activation()
def sinh_sine(x):
    """Hyperbolic less circular sine."""
    return sinh(x) - sin(x)
