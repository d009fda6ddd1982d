"""Formulas that need rules which neither the catalogue nor the corpus of unseen formulas needs."""

from symgen.spec import Real, Tensor, activation, cosh, erfc, exp, log, pi, sinh, sqrt


@activation()
def binary_softplus(x):
    """Softplus in base two."""
    return log(1 + 2**x) / log(2)


@activation()
def log_gap_two(x: Tensor > 0):
    """A difference of logarithms of which neither is that of 1 + x."""
    return log(x + 3) - log(x + 2)


@activation()
def half_circle(x: -1 <= Tensor <= 1):
    """How far the unit circle has fallen below its top."""
    return 1 - sqrt(1 - x**2)


@activation()
def two_way_softmax(x):
    """The share of one of two exponentials."""
    return exp(x) / (exp(x) + exp(2 - x))


@activation()
def shifted_softplus(x):
    """The logarithm of a number plus an exponential."""
    return log(3 + exp(x))


@activation()
def smooth_maximum(x):
    """A smooth maximum of x and half of it."""
    return log(exp(x) + exp(x / 2))


@activation()
def log_exp_gap(x: Tensor > 0):
    """The logarithm of a difference of exponentials."""
    return log(exp(2 * x) - exp(x))


@activation()
def mish_by_exponentials(x):
    """Mish with the hyperbolic tangent by its definition."""
    s = log(1 + exp(x))
    return x * (exp(s) - exp(-s)) / (exp(s) + exp(-s))


@activation()
def soliton(x):
    """The square of the hyperbolic secant, by its definition."""
    return 1 / cosh(x) ** 2


@activation()
def twice_normal_cdf(x):
    """Two less a complementary error function."""
    return 2 - erfc(x)


@activation()
def scaled_tail(x: Tensor >= 0):
    """The scaled complementary error function."""
    return exp(x**2) * erfc(x)


@activation()
def hazard(x):
    """The hazard rate of the normal distribution."""
    return 2 * exp(-(x**2) / 2) / sqrt(2 * pi) / erfc(x / sqrt(2))


@activation()
def log_density(x):
    """The logarithm of a normal density."""
    return log(exp(-(x**2) / 2) / sqrt(2 * pi))


@activation()
def softplus_excess(x):
    """What softplus has above the identity."""
    return log(1 + exp(x)) - x


@activation()
def logit_entropy(x):
    """The entropy of a Bernoulli variable with logit x."""
    return log(1 + exp(x)) - x / (1 + exp(-x))


@activation()
def soft_clipping_down(x):
    """A ratio of softplus arguments that is below one."""
    return log((1 + exp(x)) / (1 + exp(x + 1)))


@activation()
def soft_clipping_up(x):
    """A ratio of softplus arguments that is above one."""
    return log((1 + exp(x + 1)) / (1 + exp(x)))


@activation()
def log_sinh_of_square(x: Tensor > 0):
    """The logarithm of the hyperbolic sine of a square."""
    return log(sinh(x**2))


@activation()
def planck_of_cube(x: Tensor > 0):
    """A Bose-Einstein occupation and one, of a cube."""
    return exp(x**3) / (exp(x**3) - 1)


@activation()
def root_step(x: Tensor >= 0):
    """By how much the root of one more than a cube and one is larger."""
    return sqrt(x**3 + 2) - sqrt(x**3 + 1)


@activation()
def direction(x, a: Real > 0 = 1):
    """The sine of an angle, from the legs of its triangle."""
    return x / sqrt(x**2 + a**2)


@activation()
def two_distances(x, a: Real > 0 = 2):
    """The product of a distance and its mirror image."""
    return sqrt((x - 1) ** 2 + a**2) * (2 + sqrt((1 - x) ** 2 + a**2))


@activation()
def scaled_softplus(x, a: Real > 0 = 2):
    """The logarithm of a number times one plus an exponential."""
    return log(a + a * exp(x))


@activation()
def fading(x, a: Real > 0 = 0.5):
    """A power of what is left of one, far where that itself underflows."""
    return (1 - 1 / (1 + exp(-x))) ** a


@activation()
def rising(x, a: Real > 0 = 0.5):
    """The generalised logistic function."""
    return 1 / (1 + exp(-x)) ** a


@activation()
def occupation(x, a: Real > 0 = 0.5):
    """The logarithm of one and the share of an exponential, as Fermi's distribution is written."""
    return log(1 + a * exp(-x) / (1 + exp(-x)))


@activation()
def level(x: Tensor >= 0, a: Real > 0 = 2):
    """The logarithm of a ratio, above and below a given level."""
    return log(1 + x) - log(1 + a)


@activation()
def noisy_bit(x, flips: 0 <= Real <= 1 = 0.25, gamma: Real >= 0 = 2):
    """A power of the probability of a bit behind a channel that flips it with another one."""
    p = 1 / (1 + exp(-x))
    return (flips * (1 - p) + (1 - flips) * p) ** gamma
