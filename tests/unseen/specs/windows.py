"""Windows, clamps and differences whose edges are options: what algebra loses where operands are an option apart."""

from symgen.spec import Real, Tensor, activation, atan, cos, cosh, erf, exp, log, loss, pi, sin, sinh, sqrt, tanh


@activation()
def smooth_clamp(x, lo: Real = -1, hi: Real = 1, k: Real > 0 = 5):
    """A clamp with rounded corners."""
    return lo + (log(1 + exp(k * (x - lo))) - log(1 + exp(k * (x - hi)))) / k


@activation()
def tanh_window(x, a: Real > 0 = 1, k: Real > 0 = 2):
    """A window of two hyperbolic tangents."""
    return (tanh(k * (x + a)) - tanh(k * (x - a))) / 2


@activation()
def atan_window(x, a: Real > 0 = 1, k: Real > 0 = 2):
    """A window of two arctangents."""
    return (atan(k * (x + a)) - atan(k * (x - a))) / pi


@activation()
def erf_window(x, a: Real > 0 = 1):
    """A window of two error functions."""
    return (erf(x + a) - erf(x - a)) / 2


@activation()
def logcosh_gap(x, a: Real > 0 = 1):
    """A smooth clamp of logarithms of hyperbolic cosines."""
    return log(cosh(x + a)) - log(cosh(x - a))


@activation()
def root_clamp(x, a: Real > 0 = 1, c: Real > 0 = 0.1):
    """A clamp of two roots."""
    return (sqrt((x + a)**2 + c**2) - sqrt((x - a)**2 + c**2)) / 2


@activation()
def log_window(x: Tensor > 0, a: Real > 0 = 1):
    """A difference of logarithms."""
    return log(x + a) - log(x)


@activation()
def inverse_softplus(x: Tensor > 0, b: Real > 0 = 1):
    """The inverse of softplus with a sharpness."""
    return log(exp(b * x) - 1) / b


@activation()
def elastic(x, a: Real > 0 = 1):
    """Saturating energy."""
    return 1 - exp(-x**2 / (2 * a**2))


@activation()
def gaussian_difference(x, s: Real > 0 = 1, t: Real > 0 = 2):
    """A difference of two Gaussians."""
    return exp(-x**2 / (2 * s**2)) - exp(-x**2 / (2 * t**2))


@activation()
def two_rates(x: Tensor >= 0, a: Real > 0 = 1, b: Real > 0 = 2):
    """A difference of two decays."""
    return exp(-a * x) - exp(-b * x)


@activation()
def hyper_gap(x, a: Real > 0 = 1):
    """A difference of hyperbolic sines."""
    return sinh(x + a) - sinh(x - a)


@activation()
def saturating_log(x: Tensor >= 0, mu: Real > 0 = 255):
    """The mu-law."""
    return log(1 + mu * x) / log(1 + mu)


@activation()
def power_window(x: Tensor > 0, p: Real > 0 = 0.5):
    """A difference of powers."""
    return (x + 1)**p - x**p


@activation()
def scaled_sinc(x, w: Real > 0 = 3):
    """A sine over its argument."""
    return 1 if x == 0 else sin(w * x) / (w * x)


@activation()
def phase_gap(x, d: Real = 0.1):
    """A difference of two cosines."""
    return cos(x + d) - cos(x)


@activation()
def langmuir(x: Tensor >= 0, k: Real > 0 = 2, n: Real > 0 = 1):
    """An adsorption isotherm."""
    return (k * x)**n / (1 + (k * x)**n)


@activation()
def fermi_window(x, t: Real > 0 = 0.5):
    """The slope of the Fermi function."""
    return exp(x / t) / (t * (1 + exp(x / t))**2)


@loss()
def huber_gap(input, target, d: Real > 0 = 1):
    """Pseudo-Huber with a width."""
    return d**2 * (sqrt(1 + ((input - target) / d)**2) - 1)


@loss()
def log_ratio_loss(input: Tensor > 0, target: Tensor > 0):
    """Square of the logarithm of a ratio."""
    return log(input / target)**2


@loss()
def softmargin_scaled(input, target, t: Real > 0 = 1):
    """Soft margin with a temperature."""
    return t * log(1 + exp(-input * target / t))


@loss()
def exp_gap_loss(input, target):
    """Squared difference of exponentials."""
    return (exp(input) - exp(target))**2


@loss()
def tanh_gap_loss(input, target, k: Real > 0 = 1):
    """Squared difference of hyperbolic tangents."""
    return (tanh(k * input) - tanh(k * target))**2
