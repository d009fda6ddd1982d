"""Formulas of physics, statistics and finance, boxes that are differences, and cases within cases."""

from symgen.spec import Tensor, abs, activation, cosh, erf, exp, log, max, min, sign, sqrt, tanh


@activation()
def schottky(x):
    """Heat capacity of two levels."""
    return x**2 * exp(x) / (1 + exp(x)) ** 2


@activation()
def planck_remainder(x: Tensor != 0):
    """Generator of Bernoulli numbers less its first terms."""
    return x / (exp(x) - 1) - 1 + x / 2


@activation()
def klein_nishina(x: Tensor > 0):
    """Cross section of Compton scattering."""
    a = (1 + x) / x**2 * (2 * (1 + x) / (1 + 2 * x) - log(1 + 2 * x) / x)
    return a + log(1 + 2 * x) / (2 * x) - (1 + 3 * x) / (1 + 2 * x) ** 2


@activation()
def doppler(x: -1 < Tensor < 1):
    """Relativistic shift."""
    return sqrt((1 + x) / (1 - x)) - 1


@activation()
def hill(x: Tensor > 0):
    """Hill's equation."""
    return x**2.5 / (1 + x**2.5)


@activation()
def negative_entropy(x: 0 < Tensor < 1):
    """Negative entropy of a coin."""
    return x * log(x) + (1 - x) * log(1 - x)


@activation()
def kl_third(x: 0 < Tensor < 1):
    """Divergence of a coin from one third."""
    return x * log(3 * x) + (1 - x) * log(3 * (1 - x) / 2)


@activation()
def erf_box(x):
    """Box smoothed by a Gaussian."""
    return (erf(x + 1) - erf(x - 1)) / 2


@activation()
def logistic_box(x):
    """Difference of two sigmoids."""
    return 1 / (1 + exp(-x - 1)) - 1 / (1 + exp(1 - x))


@activation()
def tanh_box(x):
    """Difference of two hyperbolic tangents."""
    return tanh(x + 0.5) - tanh(x - 0.5)


@activation()
def softplus_step(x):
    """Difference of two softplus."""
    return log(1 + exp(x + 1)) - log(1 + exp(x))


@activation()
def soft_relu6(x):
    """Smooth clamp."""
    return log((1 + exp(x)) / (1 + exp(x - 6)))


@activation()
def bump(x):
    """Smooth bump of compact support."""
    return exp(1 - 1 / (1 - x**2)) if abs(x) < 1 else 0


@activation()
def smooth_transition(x):
    """Transition of every order of smoothness."""
    if x <= 0:
        return 0
    if x >= 1:
        return 1
    return exp(-1 / x) / (exp(-1 / x) + exp(-1 / (1 - x)))


@activation()
def hampel(x):
    """Hampel's three part loss."""
    r = abs(x)
    if r <= 1.7:
        return x**2 / 2
    if r <= 3.4:
        return 1.7 * r - 1.7**2 / 2
    if r <= 8.5:
        return 1.7 * (8.5 - r) ** 2 / (2 * (3.4 - 8.5)) + 1.7 * (3.4 + 8.5 - 1.7) / 2
    return 1.7 * (3.4 + 8.5 - 1.7) / 2


@activation()
def xlogx(x):
    """Entropy term."""
    return x * log(x) if x > 0 else 0


@activation()
def signed_log(x):
    """Logarithm of both signs."""
    return sign(x) * log(1 + abs(x))


@activation()
def area_cosine(x: Tensor >= 1):
    """Area hyperbolic cosine by its logarithm."""
    return log(x + sqrt(x**2 - 1))


@activation()
def area_sine(x):
    """Area hyperbolic sine by its logarithm."""
    return log(x + sqrt(x**2 + 1))


@activation()
def omega_kink(x):
    """Larger of a decay and a line; they meet at an irrational number."""
    return max(exp(-x), x)


@activation()
def zigzag(x):
    """Nested absolute values."""
    return abs(abs(abs(x) - 2) - 1)


@activation()
def cubic_line(x):
    """Larger of a cube and a line, less a root."""
    return max(x**3, x) - min(x**2, abs(x))


@activation()
def gelu_gap(x):
    """Gelu less relu."""
    return x * (1 + erf(x / sqrt(2))) / 2 - max(0, x)


@activation()
def softplus_gap(x):
    """Softplus less relu."""
    return log(1 + exp(x)) - max(x, 0)


@activation()
def root_elu(x):
    """Root above, exponential below."""
    return sqrt(1 + x) - 1 if x > 0 else exp(x / 2) - 1


@activation()
def log_softplus(x):
    """Logarithm of softplus."""
    return log(log(1 + exp(x)))


@activation()
def log_tanh(x: Tensor > 0):
    """Logarithm of a hyperbolic tangent."""
    return log(tanh(x))


@activation()
def log_cosh_mean(x: Tensor != 0):
    """Log-cosh over its argument."""
    return log(cosh(x)) / x


@activation()
def flat(x):
    """Infinitely flat at zero."""
    return exp(-1 / x**2) if x != 0 else 0


@activation()
def clamp_square(x):
    """Nested clamps."""
    return max(min(x, 1), -1) ** 2 - min(max(x - 3, 0), 2) * abs(x)


@activation()
def rational_gap(x):
    """Two rationals that cancel."""
    return (x**2 + 1) / (x**2 + 2) - (x**2 + 3) / (x**2 + 4)


@activation()
def fourth_gap(x: Tensor > 0):
    """Difference of neighbours' reciprocal square roots."""
    return x * (1 / sqrt(x) - 1 / sqrt(x + 2))
