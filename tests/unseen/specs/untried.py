"""Formulas written after all others were measured, of one operand: what a first try of somebody else's may look like."""

from symgen.spec import (
    Tensor,
    activation,
    asinh,
    atan,
    cos,
    cosh,
    erf,
    erfc,
    exp,
    log,
    pi,
    sin,
    sinh,
    sqrt,
    tan,
    tanh,
)


@activation()
def colu(x):
    """Input over one minus itself times a double exponential."""
    return x / (1 - x * exp(-(x + exp(x))))


@activation()
def suish(x):
    """Larger of the input and a damped copy."""
    return max(x * exp(-abs(x)), x)


@activation()
def telu(x):
    """Input times the tanh of its exponential, minus the input."""
    return x * tanh(exp(x)) - x


@activation()
def expswish(x):
    """An exponential gate with an input-dependent weight."""
    return exp(-x) * x / (1 + exp(-x)) ** 2


@activation()
def arctan_gelu(x):
    """Gelu with an arc tangent."""
    return x * (atan(x) / pi + 1 / 2)


@activation()
def softsign_square(x):
    """Squared softsign with its sign."""
    return x * abs(x) / (1 + x**2)


@activation()
def dsilu(x):
    """Derivative of silu."""
    return (1 + x * (1 - 1 / (1 + exp(-x)))) / (1 + exp(-x))


@activation()
def log_sigmoid_ratio(x):
    """Log of sigmoid over its mirror image, minus the input."""
    return log((1 / (1 + exp(-x))) / (1 - 1 / (1 + exp(-x)))) / 2


@activation()
def hyperbolic_mean(x):
    """Mean of sinh and its inverse."""
    return (sinh(asinh(x) / 3)) * 3


@activation()
def lambert_tail(x: Tensor > 0):
    """Input minus its logarithm minus one."""
    return x - log(x) - 1


@activation()
def stirling_rest(x: Tensor > 0):
    """Half a logarithm and an entropy term."""
    return (x + 1 / 2) * log(1 + 1 / x) - 1


@activation()
def barometric(x: Tensor >= 0):
    """Altitude formula."""
    return 1 - (1 - x / (1 + x)) ** (1 / 5)


@activation()
def kepler(x):
    """Mean anomaly of an orbit with unit eccentricity."""
    return x - sin(x)


@activation()
def sagitta(x: -1 <= Tensor <= 1):
    """Height of a circle's segment."""
    return 1 - sqrt(1 - x**2)


@activation()
def mean_free(x: Tensor > 0):
    """Attenuation in a slab."""
    return (1 - exp(-x)) / x


@activation()
def two_slabs(x: Tensor > 0):
    """Second moment of attenuation."""
    return (1 - (1 + x) * exp(-x)) / x**2


@activation()
def thermal_gap(x: Tensor > 0):
    """A coth less its pole and line."""
    return cosh(x) / sinh(x) - 1 / x - x / 3


@activation()
def bcs(x):
    """Occupation in a paired state."""
    return (1 - x / sqrt(x**2 + 1)) / 2


@activation()
def rapidity(x: -1 < Tensor < 1):
    """Half the logarithm of a ratio."""
    return log((1 + x) / (1 - x)) / 2


@activation()
def kinetic(x: 0 <= Tensor < 1):
    """Kinetic energy by speed."""
    return 1 / sqrt(1 - x**2) - 1


@activation()
def compton(x: Tensor >= 0):
    """Shift of a wavelength as energy loss."""
    return 1 - 1 / (1 + x * (1 - cos(1)))


@activation()
def ramp_erf(x):
    """Integral of an error function."""
    return x * erf(x) + exp(-(x**2)) / sqrt(pi) - 1 / sqrt(pi)


@activation()
def voigt_wing(x):
    """Gaussian and Lorentzian, equal parts, less their peak."""
    return (exp(-(x**2)) + 1 / (1 + x**2)) / 2 - 1


@activation()
def half_normal_hazard(x: Tensor >= 0):
    """Hazard of a half normal."""
    return sqrt(2 / pi) * exp(-(x**2) / 2) / erfc(x / sqrt(2))


@activation()
def log_hazard(x):
    """Log hazard of a Gumbel law."""
    return x - log(exp(exp(x)) - 1)


@activation()
def weibull_survival(x: Tensor >= 0):
    """One minus a stretched exponential."""
    return 1 - exp(-(x ** (3 / 2)))


@activation()
def logit_log(x: Tensor > 0):
    """Log of an expm1."""
    return log(exp(x) - 1) - log(x)


@activation()
def gain_db(x: Tensor > -1):
    """Decibels of a small gain."""
    return 20 * log(1 + x) / log(10)


@activation()
def cents(x: Tensor > 0):
    """Interval of two tones near each other."""
    return 1200 * log(x) / log(2)


@activation()
def mercator(x: -1.5 < Tensor < 1.5):
    """Mercator's projection."""
    return log(tan(pi / 4 + x / 2))


@activation()
def haversine_root(x: 0 <= Tensor <= 3):
    """Root of a haversine."""
    return sqrt((1 - cos(x)) / 2)


@activation()
def fresnel_rest(x: Tensor > 0):
    """Difference of a root and its neighbour over the input."""
    return (sqrt(x + 1) - sqrt(x)) / sqrt(x + 1)


@activation()
def smooth_sign_gap(x):
    """Two smooth signs."""
    return tanh(x) - x / sqrt(1 + x**2)


@activation()
def double_well(x):
    """Quartic less quadratic, above its floor."""
    return x**4 / 4 - x**2 / 2 + 1 / 4


@activation()
def sine_gordon(x):
    """Kink."""
    return 4 * atan(exp(x))


@activation()
def log_normal_tail(x: Tensor > 0):
    """Tail of a log normal law."""
    return erfc(log(x) / sqrt(2)) / 2


@activation()
def rosin(x):
    """Squared log gate."""
    return log(1 + exp(x)) * log(1 + exp(-x))


@activation()
def huber_tanh(x):
    """Smooth absolute value through tanh."""
    return x * tanh(x) - log(cosh(x))


@activation()
def cubic_gate(x):
    """Cube of a softsign times input."""
    return x * (x / (1 + abs(x))) ** 3


@activation()
def clipped_log(x):
    """Log beyond one, line below."""
    return x if abs(x) <= 1 else x / abs(x) * (1 + log(abs(x)))


@activation()
def silu_square_root(x):
    """Input times the root of a sigmoid."""
    return x * sqrt(1 / (1 + exp(-x)))


@activation()
def asinh_ratio(x: Tensor != 0):
    """Area over its argument."""
    return log(x + sqrt(x**2 + 1)) / x


@activation()
def sech_square_gap(x):
    """Squared secant less a bell."""
    return 1 / cosh(x) ** 2 - exp(-(x**2))


@activation()
def exp_of_log(x: Tensor > 0):
    """A power as an exponential."""
    return exp(-2 * log(x)) - exp(-log(x))


@activation()
def bernoulli_entropy(x: 0 < Tensor < 1):
    """Entropy of a coin in bits."""
    return -(x * log(x) + (1 - x) * log(1 - x)) / log(2)


@activation()
def log_of_two(x):
    """Log of a mean of two exponentials."""
    return log((exp(x) + exp(-2 * x)) / 2)
