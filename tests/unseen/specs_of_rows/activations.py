"""Functions of rows outside the catalogue, as one would write them: pools, norms, kernels, entropies."""

from symgen.catalogue import logsumexp, sigmoid, softmax
from symgen.spec import Axis, Param, Real, Tensor, abs, activation, amax, amin, exp, log, max, mean, norm, sqrt, sum

C = Axis("C"); D = Axis("D")


@activation()
def taylor_softmax(x: Tensor[C]):
    """Second order Taylor softmax."""
    e = 1 + x + x**2 / 2
    return e / sum(e, C)


@activation()
def entropy_of_softmax(x: Tensor[C]):
    """Entropy of the softmax distribution."""
    p = exp(x) / sum(exp(x), C)
    return -sum(p * log(p), C)


@activation()
def log_odds(x: Tensor[C]):
    """log p - log(1-p) of softmax."""
    p = exp(x) / sum(exp(x), C)
    return log(p / (1 - p))


@activation()
def one_minus_softmax(x: Tensor[C]):
    """What is not the entry."""
    return 1 - exp(x) / sum(exp(x), C)


@activation()
def gini_softmax(x: Tensor[C]):
    """Gini impurity of softmax."""
    p = exp(x) / sum(exp(x), C)
    return 1 - sum(p**2, C)


@activation()
def std(x: Tensor[C]):
    """Standard deviation."""
    return sqrt(mean((x - mean(x, C))**2, C))


@activation()
def variance(x: Tensor[C]):
    """Variance by moments."""
    return mean(x**2, C) - mean(x, C)**2


@activation()
def instance_scale(x: Tensor[C], gamma: Param[C] = 1, eps: Real > 0 = 1e-6):
    """Power-norm with mean absolute value."""
    return gamma * x / (mean(abs(x), C) + eps)


@activation()
def rms_gate(x: Tensor[C]):
    """Sigmoid of the rms normalised input times input."""
    return x * sigmoid(x / sqrt(mean(x**2, C)))


@activation()
def squash(x: Tensor[C]):
    """Capsule squash."""
    n = sum(x**2, C)
    return n / (1 + n) * x / sqrt(n)


@activation()
def geometric_mean(x: Tensor[C] > 0):
    """Geometric mean."""
    return exp(mean(log(x), C))


@activation()
def lse_pool(x: Tensor[C], r: Real > 0 = 10):
    """LSE pooling."""
    return log(mean(exp(r * x), C)) / r


@activation()
def soft_argmax_weighted(x: Tensor[C], v: Tensor[C]):
    """Softmax weighted mean."""
    p = exp(x) / sum(exp(x), C)
    return sum(p * v, C)


@activation()
def boltzmann(x: Tensor[C], alpha: Real = 1):
    """Boltzmann operator, a smooth maximum."""
    return sum(x * exp(alpha * x), C) / sum(exp(alpha * x), C)


@activation()
def p_mean(x: Tensor[C] > 0, p: Real > 0 = 3):
    """Power mean."""
    return mean(x**p, C)**(1 / p)


@activation()
def skew_kernel(x: Tensor[C], y: Tensor[C], gamma: Real > 0 = 0.5):
    """RBF kernel of two vectors."""
    return exp(-gamma * sum((x - y)**2, C))


@activation()
def one_minus_rbf(x: Tensor[C], y: Tensor[C], gamma: Real > 0 = 0.5):
    """RBF distance."""
    return 1 - exp(-gamma * sum((x - y)**2, C))


@activation()
def softmax_one(x: Tensor[C]):
    """Softmax with one added (off by one)."""
    return exp(x) / (1 + sum(exp(x), C))


@activation()
def poincare(x: Tensor[C], y: Tensor[C]):
    """acosh argument less one of the Poincare distance."""
    d = sum((x - y)**2, C)
    return log(1 + 2 * d / ((1 + sum(x**2, C)) * (1 + sum(y**2, C))))


@activation()
def grn(x: Tensor[D], gamma: Param[D] = 1, beta: Param[D] = 0, eps: Real > 0 = 1e-6):
    """Response norm within a row."""
    return gamma * (x * abs(x) / (mean(abs(x), D) + eps)) + beta + x


@activation()
def scale_norm(x: Tensor[D], c: Real = 1):
    """Scaled to a length."""
    return c * x / norm(x, D, 2)


@activation()
def min_max(x: Tensor[D]):
    """Scaled to 0..1."""
    return (x - amin(x, D)) / (amax(x, D) - amin(x, D))


@activation()
def variation(x: Tensor[D] > 0):
    """Coefficient of variation."""
    return sqrt(mean((x - mean(x, D))**2, D)) / mean(x, D)


@activation()
def attention_pool(x: Tensor[C], v: Tensor[C], t: Real > 0 = 1):
    """Pooling by attention."""
    return sum(softmax(x / t) * v, C)


@activation()
def sink_softmax(x: Tensor[C], sink: Real = 0):
    """Softmax with a sink."""
    return exp(x) / (exp(sink) + sum(exp(x), C))


@activation()
def gumbel_like(x: Tensor[C], u: Tensor[C], tau: Real > 0 = 0.5):
    """Softmax of perturbed logits."""
    return softmax((x + u) / tau)


@activation()
def log_mean_square(x: Tensor[D]):
    """Logarithm of mean square."""
    return log(mean(x**2, D))


@activation()
def snr(x: Tensor[D], y: Tensor[D]):
    """Signal to noise ratio."""
    return 10 * log(sum(x**2, D) / sum((x - y)**2, D)) / log(10)


@activation()
def soft_median_gap(x: Tensor[C]):
    """Smooth range."""
    return logsumexp(x) + logsumexp(-x)


@activation()
def renyi(x: Tensor[C], a: 0 < Real != 1 = 2):
    """Renyi entropy of softmax."""
    return log(sum(softmax(x)**a, C)) / (1 - a)


@activation()
def margin_of_top(x: Tensor[C]):
    """Hinge below the maximum."""
    return max(x - amax(x, C) + 1, 0)


@activation()
def margins(x: Tensor[C]):
    """Sigmoid gate by row mean."""
    return x * sigmoid(x - mean(x, C))
