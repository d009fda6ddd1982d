"""Published losses of one residual, as their papers give them."""

from symgen.spec import Tensor, activation, asinh, cos, cosh, exp, log, pi, sqrt


@activation()
def logcosh(x):
    """Logarithm of the hyperbolic cosine."""
    return log(cosh(x))


@activation()
def logcosh_exp(x):
    """The same, in exponentials."""
    return log((exp(x) + exp(-x)) / 2)


@activation()
def barron_one(x):
    """Barron's general robust loss, alpha = 1."""
    return sqrt(x**2 + 1) - 1


@activation()
def barron_half(x):
    """Barron's general robust loss, alpha = 1/2."""
    return 3 * ((x**2 / (3 / 2) + 1) ** (1 / 4) - 1)


@activation()
def barron_three_halves(x):
    """Barron's general robust loss, alpha = 3/2."""
    return (1 / 3) * ((x**2 / (1 / 2) + 1) ** (3 / 4) - 1)


@activation()
def barron_minus_one(x):
    """Barron's general robust loss, alpha = -1."""
    return -3 * ((x**2 / 3 + 1) ** (-1 / 2) - 1)


@activation()
def cauchy(x):
    """Cauchy loss, c = 2.385."""
    return 2.385**2 / 2 * log(1 + (x / 2.385) ** 2)


@activation()
def geman_mcclure(x):
    """Geman and McClure's loss."""
    return x**2 / 2 / (1 + x**2)


@activation()
def welsch(x):
    """Welsch's loss, c = 2.985."""
    return 2.985**2 / 2 * (1 - exp(-((x / 2.985) ** 2)))


@activation()
def tukey_biweight(x):
    """Tukey's biweight, c = 4.685."""
    return 4.685**2 / 6 * (1 - (1 - (x / 4.685) ** 2) ** 3) if abs(x) <= 4.685 else 4.685**2 / 6


@activation()
def wing(x):
    """Wing loss, omega = 10, epsilon = 2."""
    return 10 * log(1 + abs(x) / 2) if abs(x) < 10 else abs(x) - (10 - 10 * log(1 + 10 / 2))


@activation()
def fair(x):
    """The fair loss, c = 1.4."""
    return 1.4**2 * (abs(x) / 1.4 - log(1 + abs(x) / 1.4))


@activation()
def andrews_sine(x):
    """Andrews' sine wave, c = 1.339."""
    return 1.339**2 * (1 - cos(x / 1.339)) if abs(x) < 1.339 * pi else 2 * 1.339**2


@activation()
def lognormal_nll(x: Tensor > 0):
    """Negative log likelihood of the standard log-normal distribution."""
    return log(x) + log(x) ** 2 / 2 + log(2 * pi) / 2


@activation()
def weibull_nll(x: Tensor > 0):
    """Negative log likelihood of the Weibull distribution of shape 3/2."""
    return x ** (3 / 2) - log(3 / 2) - log(x) / 2


@activation()
def gamma_nll(x: Tensor > 0):
    """Negative log likelihood of a gamma distribution, up to a constant."""
    return x - log(x) - 1


@activation()
def von_mises_nll(x):
    """Negative log likelihood of the von Mises distribution with concentration 2, up to a constant."""
    return 2 - 2 * cos(x)


@activation()
def student_t_nll(x):
    """Negative log likelihood of Student's distribution with 4 degrees of freedom, up to a constant."""
    return 5 / 2 * log(1 + x**2 / 4)


@activation()
def quantile_huber(x):
    """Huber loss weighted for the quantile 0.9, kappa = 1."""
    weight = 0.9 if x < 0 else 0.1
    return weight * (x**2 / 2 if abs(x) < 1 else abs(x) - 1 / 2)


@activation()
def pseudo_huber(x):
    """Pseudo-Huber loss, delta = 1.345."""
    return 1.345**2 * (sqrt(1 + (x / 1.345) ** 2) - 1)


@activation()
def charbonnier(x):
    """Charbonnier's loss, epsilon = 0.001."""
    return sqrt(x**2 + 1e-6)


@activation()
def xsigmoid(x):
    """XSigmoid loss."""
    return 2 * x / (1 + exp(-x)) - x


@activation()
def xtanh(x):
    """XTanh loss."""
    return x * (exp(x) - exp(-x)) / (exp(x) + exp(-x))


@activation()
def arcsinh_loss(x):
    """Smooth absolute value that grows like a logarithm."""
    return x * asinh(x) - sqrt(1 + x**2) + 1


@activation()
def exponential_hinge(x):
    """Exponential loss, bounded like a logarithm."""
    return log(1 + log(1 + exp(-x)))


@activation()
def savage(x):
    """Savage loss."""
    return 1 / (1 + exp(x)) ** 2


@activation()
def tangent(x):
    """Squared tanh margin."""
    return ((exp(2 * x) - 1) / (exp(2 * x) + 1) - 1) ** 2


@activation()
def poisson_gap(x):
    """Poisson deviance in the log of the ratio."""
    return exp(x) - x - 1


@activation()
def focal_two(x):
    """Focal loss of the right class, gamma = 2."""
    p = 1 / (1 + exp(-x))
    return -((1 - p) ** 2) * log(p)


@activation()
def gumbel_nll(x):
    """Negative log likelihood of Gumbel's distribution."""
    return x + exp(-x)


@activation()
def linex(x):
    """Linear-exponential loss, a = 0.7."""
    return exp(0.7 * x) - 0.7 * x - 1


@activation()
def entropy_of_logit(x):
    """Entropy of a Bernoulli variable with the given logit."""
    p = 1 / (1 + exp(-x))
    return -p * log(p) - (1 - p) * log(1 - p)
