"""Losses and functions of two operands, which may nearly agree or lie far apart, written when float32 was settled."""

from symgen.spec import Prob, Tensor, abs, atan, exp, log, loss, max, sqrt, tanh


@loss()
def squashed_error(input, target):
    """Squared error behind a hyperbolic tangent."""
    return (tanh(input) - tanh(target)) ** 2


@loss()
def logistic_error(input, target):
    """Squared error of two probabilities by their logits."""
    return (1 / (1 + exp(-input)) - 1 / (1 + exp(-target))) ** 2


@loss()
def brier_logit(input, target: Prob):
    """Brier score of a logit."""
    return (1 / (1 + exp(-input)) - target) ** 2


@loss()
def growth_gap(input, target):
    """Distance of two numbers by their logarithms."""
    return abs(exp(input) - exp(target))


@loss()
def root_error(input: Tensor > 0, target: Tensor > 0):
    """Squared error of square roots, as of Hellinger."""
    return (sqrt(input) - sqrt(target)) ** 2


@loss()
def log_error(input: Tensor > 0, target: Tensor > 0):
    """Squared error of logarithms."""
    return (log(input) - log(target)) ** 2


@loss()
def log_distance(input: Tensor > 0, target: Tensor > 0):
    """Distance on a scale of ratios."""
    return abs(log(input / target))


@loss()
def jeffreys(input: Tensor > 0, target: Tensor > 0):
    """Jeffreys divergence of two rates."""
    return (input - target) * (log(input) - log(target))


@loss()
def itakura_saito(input: Tensor > 0, target: Tensor > 0):
    """Itakura-Saito distance of two spectra."""
    return target / input - log(target / input) - 1


@loss()
def neyman(input: Tensor > 0, target: Tensor > 0):
    """Symmetric chi-square distance."""
    return (input - target) ** 2 / (input + target)


@loss()
def bernoulli_kl(input: 0 <= Tensor <= 1, target: Prob):
    """Divergence of two coins."""
    return target * log(target / input) + (1 - target) * log((1 - target) / (1 - input))


@loss()
def soft_equality(input, target):
    """Smooth maximum of two above their mean."""
    return log(exp(input) + exp(target)) - (input + target) / 2


@loss()
def agreement(input, target):
    """Probability that two agree in sign."""
    return 1 / (1 + exp(-input * target))


@loss()
def relative_error(input, target):
    """Error relative to both."""
    return abs(input - target) / (abs(input) + abs(target) + 1)


@loss()
def tanh_error(input, target):
    """An error that is a square near zero and a distance far from it."""
    return (input - target) * tanh((input - target) / 2)


@loss()
def gaussian_overlap(input, target):
    """What two normal densities do not share."""
    return 1 - exp(-((input - target) ** 2) / 2)


@loss()
def soft_product(input, target):
    """A product that grows no faster than its factors."""
    return input * target / sqrt(1 + input**2 + target**2)


@loss()
def power_error(input: Tensor > 0, target: Tensor > 0):
    """Squared error of powers."""
    return (input**1.5 - target**1.5) ** 2


@loss()
def inverse_gap(input: Tensor > 0, target: Tensor > 0):
    """Distance of reciprocals, as of two focal lengths."""
    return abs(1 / input - 1 / target)


@loss()
def margin_product(input, target):
    """Squared hinge of a product."""
    return max(0, 1 - input * target) ** 2


@loss()
def angle_share(input, target):
    """Arc tangent of a difference, by its share of a right angle."""
    return (input - target) * atan(input - target)
