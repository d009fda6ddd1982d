"""Published activations that the catalogue does not have, in the form that their papers give."""

from symgen.spec import Tensor, activation, atan, cosh, erf, exp, log, pi, sin, sinh, sqrt, tanh


@activation()
def logish(x):
    """Input weighted by the logarithm of one plus a sigmoid."""
    return x * log(1 + 1 / (1 + exp(-x)))


@activation()
def smish(x):
    """Input weighted by the tanh of logish's weight."""
    return x * tanh(log(1 + 1 / (1 + exp(-x))))


@activation()
def serf(x):
    """Input weighted by the error function of softplus."""
    return x * erf(log(1 + exp(x)))


@activation()
def tanhexp(x):
    """Input weighted by the tanh of its exponential."""
    return x * tanh(exp(x))


@activation()
def gish(x):
    """Input weighted by a logarithm of a double exponential."""
    return x * log(2 - exp(-exp(x)))


@activation()
def phish(x):
    """Input weighted by the tanh of gelu."""
    return x * tanh(x * (1 + erf(x / sqrt(2))) / 2)


@activation()
def aria2(x):
    """Input weighted by a power of a sigmoid, alpha = 3/2 and beta = 2."""
    return x * (1 + exp(-2 * x)) ** (-3 / 2)


@activation()
def aria(x):
    """Input weighted by Richards' curve with A=0, K=1, B=1, nu=2, C=1, Q=2."""
    return x / (1 + 2 * exp(-x)) ** (1 / 2)


@activation()
def snake(x):
    """Input plus the squared sine of it."""
    return x + sin(x) ** 2


@activation()
def swish_half(x):
    """Swish with beta = 1/2."""
    return x / (1 + exp(-x / 2))


@activation()
def swish_sharp(x):
    """Swish with beta = 6.3."""
    return x / (1 + exp(-6.3 * x))


@activation()
def hyper_swish(x):
    """E-swish with beta = 1.375, its gate squared."""
    return 1.375 * x / (1 + exp(-x)) ** 2


@activation()
def pade(x):
    """A rational activation with a positive denominator."""
    return (x**3 + 2 * x**2 + x + 1 / 10) / (1 + (x**2 + x) ** 2)


@activation()
def lisht(x):
    """Input scaled by its own tanh."""
    return x * tanh(x)


@activation()
def loglog(x):
    """Complementary log-log."""
    return 1 - exp(-exp(x))


@activation()
def gudermannian(x):
    """Gudermannian function."""
    return 2 * atan(tanh(x / 2))


@activation()
def bent_identity(x):
    """Identity, bent smoothly."""
    return (sqrt(x**2 + 1) - 1) / 2 + x


@activation()
def isru(x):
    """Inverse square root unit."""
    return x / sqrt(1 + x**2)


@activation()
def isrlu(x):
    """Inverse square root linear unit, alpha = 3."""
    return x if x >= 0 else x / sqrt(1 + 3 * x**2)


@activation()
def elliott(x):
    """Elliott's sigmoid."""
    return x / (1 + abs(x)) / 2 + 1 / 2


@activation()
def rootsig(x):
    """Root sigmoid."""
    return x / (1 + sqrt(1 + x**2))


@activation()
def soft_clipping(x):
    """Soft clipping to [0, 1], sharpness 5."""
    return log((1 + exp(5 * x)) / (1 + exp(5 * (x - 1)))) / 5


@activation()
def srs(x):
    """Soft root sign, alpha = 5 and beta = 3."""
    return x / (x / 5 + exp(-x / 3))


@activation()
def erfact(x):
    """Input weighted by the error function of an exponential, alpha = 3/4."""
    return x * erf(0.75 * exp(x))


@activation()
def pserf(x):
    """Input weighted by the error function of a sharp softplus, gamma = 5/4."""
    return x * erf(1.25 * log(1 + exp(x)))


@activation()
def seagull(x):
    """Logarithm of one plus the square."""
    return log(1 + x**2)


@activation()
def symlog_smooth(x):
    """Inverse hyperbolic sine by its logarithm."""
    return log(x + sqrt(x**2 + 1))


@activation()
def lecun_tanh(x):
    """LeCun's scaled tanh."""
    return 1.7159 * tanh(2 * x / 3)


@activation()
def rational_tanh(x):
    """Scaled rational approximation of tanh."""
    y = 2 * abs(x) / 3
    bell = 1.7159 * (1 - 1 / (1 + y + y**2 + 1.41645 * y**4))
    return bell if x >= 0 else -bell


@activation()
def cloglogm(x):
    """Modified complementary log-log."""
    return 1 - 2 * exp(-7 * exp(x) / 10)


@activation()
def gcu(x):
    """Growing cosine unit, written by half angles."""
    return x * (1 - 2 * sin(x / 2) ** 2)


@activation()
def wave(x):
    """A Gaussian wave packet."""
    return (1 - x**2) * exp(-(x**2) / 2)


@activation()
def squared_gelu(x):
    """Square of gelu."""
    return (x * (1 + erf(x / sqrt(2))) / 2) ** 2


@activation()
def sech(x):
    """Hyperbolic secant."""
    return 2 / (exp(x) + exp(-x))


@activation()
def coth_minus(x: Tensor != 0):
    """Langevin function."""
    return cosh(x) / sinh(x) - 1 / x


@activation()
def tanh_exp_gate(x):
    """Swish of a squared argument."""
    return x**2 / (1 + exp(-(x**2)))


@activation()
def mexican_softplus(x):
    """Softplus minus half of the input and log two: an even bowl."""
    return log(1 + exp(x)) - x / 2 - log(2)


@activation()
def logit_gap(x):
    """Difference of two shifted softplus."""
    return log(1 + exp(x + 1)) - log(1 + exp(x))


@activation()
def quadratic_gate(x):
    """Input times a sigmoid of a quadratic."""
    return x / (1 + exp(-x - x**2))


@activation()
def atan_gate(x):
    """Input weighted by an arctangent step."""
    return x * (atan(x) / pi + 1 / 2)


@activation()
def bounded_elu(x):
    """An elu that saturates on both sides."""
    return tanh(x) if x > 0 else exp(x) - 1


@activation()
def squish(x):
    """Relu squared, smoothed below."""
    return x**2 + x if x > 0 else x * exp(x)
