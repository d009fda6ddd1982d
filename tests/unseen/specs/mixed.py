"""Losses of two operands with options, as papers print them."""
from symgen.catalogue import sigmoid
from symgen.spec import Prob, Real, Tensor, abs, atan, cos, exp, log, loss, sqrt


@loss()
def asymmetric_focal(input, target: Prob, gp: Real >= 0 = 1, gn: Real >= 0 = 4):
    """Asymmetric loss for multi-label classification."""
    p = 1 / (1 + exp(-input))
    return -(target * (1 - p)**gp * log(p) + (1 - target) * p**gn * log(1 - p))


@loss()
def poly_bce(input, target: Prob, epsilon: Real = 1):
    """Binary PolyLoss."""
    p = 1 / (1 + exp(-input))
    pt = target * p + (1 - target) * (1 - p)
    return -(target * log(p) + (1 - target) * log(1 - p)) + epsilon * (1 - pt)


@loss()
def smoothed_bce(input, target: Prob, eps: 0 <= Real <= 0.5 = 0.1):
    """Binary cross entropy of smoothed labels."""
    t = target * (1 - eps) + eps / 2
    return -(t * log(1 / (1 + exp(-input))) + (1 - t) * log(1 - 1 / (1 + exp(-input))))


@loss()
def laplace_nll(input, target, b: Tensor > 0):
    """Laplace negative log likelihood."""
    return log(2 * b) + abs(input - target) / b


@loss()
def log_variance_nll(input, target, s):
    """Gaussian with a log variance."""
    return (s + (input - target)**2 / exp(s)) / 2


@loss()
def gamma_deviance(input: Tensor > 0, target: Tensor > 0):
    """Deviance of the gamma distribution."""
    return 2 * (log(input / target) + target / input - 1)


@loss()
def poisson_deviance(input: Tensor > 0, target: Tensor > 0):
    """Deviance of the Poisson distribution."""
    return 2 * (target * log(target / input) - (target - input))


@loss()
def log_link_poisson_deviance(input, target: Tensor > 0):
    """The same with a log link."""
    return 2 * (target * (log(target) - input) - (target - exp(input)))


@loss()
def tweedie(input, target: Tensor >= 0, p: 1 < Real < 2 = 1.5):
    """Tweedie loss with a log link."""
    return -target * exp((1 - p) * input) / (1 - p) + exp((2 - p) * input) / (2 - p)


@loss()
def quantile_logcosh(input, target, q: 0 < Real < 1 = 0.9):
    """Smoothed pinball."""
    r = target - input
    return (q - 1 / 2) * r + log(exp(r / 2) + exp(-r / 2))


@loss()
def smooth_pinball(input, target, q: 0 < Real < 1 = 0.9, a: Real > 0 = 0.1):
    """Pinball with a softplus."""
    r = target - input
    return q * r + a * log(1 + exp(-r / a))


@loss()
def charbonnier_gap(input, target, eps: Real > 0 = 0.001):
    """Charbonnier less its floor."""
    return sqrt((input - target)**2 + eps**2) - eps


@loss()
def barron_pair(input, target, c: Real > 0 = 1):
    """Barron's loss at alpha = 1 of a residual."""
    return sqrt(((input - target) / c)**2 + 1) - 1


@loss()
def huber_log(input: Tensor > 0, target: Tensor > 0, delta: Real > 0 = 1):
    """Huber on logs."""
    r = abs(log(input) - log(target))
    return r**2 / 2 if r < delta else delta * (r - delta / 2)


@loss()
def symmetric_mape(input, target, eps: Real > 0 = 1e-8):
    """Symmetric percentage error."""
    return abs(input - target) / (abs(input) + abs(target) + eps)


@loss()
def soft_iou_pixel(input, target: Prob, eps: Real > 0 = 1):
    """One minus a smoothed ratio of a pixel."""
    p = sigmoid(input)
    return 1 - (p * target + eps) / (p + target - p * target + eps)


@loss()
def hinge_smooth(input, target, k: Real > 0 = 1):
    """Softplus hinge."""
    return log(1 + exp((1 - target * input) * k)) / k


@loss()
def cosine_angle(input, target, k: Real > 0 = 1):
    """Von Mises distance."""
    return 1 - cos(k * (input - target))


@loss()
def student_pair(input, target, nu: Real > 0 = 3):
    """Student t without constants."""
    return (nu + 1) / 2 * log(1 + (input - target)**2 / nu)


@loss()
def wing_pair(input, target, w: Real > 0 = 10, eps: Real > 0 = 2):
    """Wing loss of a residual."""
    r = abs(input - target)
    return w * log(1 + r / eps) if r < w else r - w + w * log(1 + w / eps)


@loss()
def arctan_pair(input, target, s: Real > 0 = 1):
    """Arctan loss."""
    return atan(((input - target) / s)**2)


@loss()
def bernoulli_kl_logits(input, target):
    """KL of two Bernoulli distributions given by logits."""
    p = 1 / (1 + exp(-input))
    q = 1 / (1 + exp(-target))
    return q * log(q / p) + (1 - q) * log((1 - q) / (1 - p))


@loss()
def distill(input, target, t: Real > 0 = 2):
    """Binary distillation."""
    q = sigmoid(target / t)
    return -t**2 * (q * log(sigmoid(input / t)) + (1 - q) * log(1 - sigmoid(input / t)))
