"""Formulas with free options, which no piece can serve: what algebra makes of them is measured at many values."""

from symgen.spec import Real, Tensor, activation, atan, cosh, exp, log, sin, sqrt, tanh


@activation()
def snake_free(x, a: Real > 0 = 1):
    """Input plus a squared sine of frequency a."""
    return x + sin(a * x) ** 2 / a


@activation()
def swish_free(x, beta: Real = 1):
    """Swish of sharpness beta."""
    return x / (1 + exp(-beta * x))


@activation()
def barron_free(x, alpha: -4 <= Real < 0 = -2, c: Real > 0 = 1):
    """Barron's general robust loss for negative alpha."""
    d = 2 - alpha
    return d / alpha * (((x / c) ** 2 / d + 1) ** (alpha / 2) - 1)


@activation()
def cauchy_free(x, c: Real > 0 = 1):
    """Cauchy loss of scale c."""
    return c**2 / 2 * log(1 + (x / c) ** 2)


@activation()
def student_t_free(x, nu: Real > 0 = 4):
    """Negative log likelihood of Student's distribution in the residual."""
    return (nu + 1) / 2 * log(1 + x**2 / nu)


@activation()
def gaussian_free(x, sigma: Real > 0 = 1):
    """Gaussian density."""
    return exp(-((x / sigma) ** 2) / 2) / (sigma * sqrt(2 * 3.14159))


@activation()
def sech_free(x, beta: Real > 0 = 1):
    """Hyperbolic secant."""
    return 1 / cosh(beta * x)


@activation()
def charbonnier_free(x, epsilon: Real > 0 = 0.001):
    """Charbonnier's loss."""
    return sqrt(x**2 + epsilon**2)


@activation()
def pseudo_huber_free(x, delta: Real > 0 = 1):
    """Pseudo-Huber loss."""
    return delta**2 * (sqrt(1 + (x / delta) ** 2) - 1)


@activation()
def isru_free(x, alpha: Real > 0 = 1):
    """Inverse square root unit."""
    return x / sqrt(1 + alpha * x**2)


@activation()
def mish_free(x, beta: Real > 0 = 1):
    """Mish with a sharp softplus."""
    return x * tanh(log(1 + exp(beta * x)))


@activation()
def lecun_free(x, a: Real = 1.7159, b: Real > 0 = 0.6666):
    """Scaled tanh."""
    return a * tanh(b * x)


@activation()
def atan_step_free(x, k: Real > 0 = 1):
    """A step of sharpness k, from an arctangent."""
    return atan(k * x) / 3.14159 + 1 / 2


@activation()
def linex_free(x, a: Real != 0 = 1):
    """Linear-exponential loss."""
    return exp(a * x) - a * x - 1


@activation()
def welsch_free(x, c: Real > 0 = 1):
    """Welsch's loss."""
    return c**2 / 2 * (1 - exp(-((x / c) ** 2)))


@activation()
def power_free(x: Tensor > 0, a: Real > 0 = 0.5):
    """A power less one, over the exponent."""
    return (x**a - 1) / a
