"""Losses over classes and vectors outside the catalogue, as one would write them."""

from symgen.catalogue import log_softmax, softmax
from symgen.spec import Axis, Index, Int, Prob, Real, Tensor, Weight, exp, log, loss, max, mean, sqrt, sum

C = Axis("C"); D = Axis("D"); K = Axis("K", at=1)


@loss()
def hellinger(input: Tensor[C], target: Prob[C]):
    """Hellinger distance of softmax to target."""
    p = exp(input) / sum(exp(input), C)
    return sum((sqrt(p) - sqrt(target))**2, C) / 2


@loss()
def brier(input: Tensor[K], target: Index[K]):
    """Multi-class Brier score."""
    p = exp(input) / sum(exp(input), K)
    return (1 - p[target])**2 + sum(p[k]**2 for k in K if k != target)


@loss()
def focal_ce(input: Tensor[K], target: Index[K], gamma: Real >= 0 = 2):
    """Multi-class focal loss."""
    p = softmax(input)[target]
    return -(1 - p)**gamma * log(p)


@loss()
def focal_weighted(input: Tensor[K], target: Index[K], weight: Weight[K] = 1, ignore_index: Int = -100,
                   gamma: Real >= 0 = 2):
    """Multi-class focal loss as libraries write it: a class may be ignored, and classes have weights."""
    if target == ignore_index:
        return 0, 0
    p = softmax(input)[target]
    return -weight[target] * (1 - p)**gamma * log(p), weight[target]


@loss()
def am_softmax(input: Tensor[K], target: Index[K], s: Real > 0 = 30, m: Real = 0.35):
    """Additive margin softmax."""
    good = exp(s * (input[target] - m))
    return -log(good / (good + sum(exp(s * input[k]) for k in K if k != target)))


@loss()
def nca(input: Tensor[K], target: Index[K]):
    """Log odds loss: log of the sum of the others over exp of the target."""
    return log(1 + sum(exp(input[k] - input[target]) for k in K if k != target))


@loss()
def unlikelihood(input: Tensor[K], target: Index[K]):
    """Unlikelihood training."""
    return -log(1 - softmax(input)[target])


@loss()
def mae_prob(input: Tensor[K], target: Index[K]):
    """Mean absolute error of probabilities."""
    return 1 - softmax(input)[target]


@loss()
def symmetric_ce(input: Tensor[K], target: Index[K], alpha: Real = 0.1, beta: Real = 1):
    """Symmetric cross entropy with A = -4."""
    p = softmax(input)
    return -alpha * log(p[target]) + 4 * beta * (1 - p[target])


@loss()
def kl_of_logits(input: Tensor[C], target: Tensor[C]):
    """KL of two softmaxes."""
    q = exp(target) / sum(exp(target), C)
    p = exp(input) / sum(exp(input), C)
    return sum(q * (log(q) - log(p)), C)


@loss()
def tempered_distill(input: Tensor[C], target: Tensor[C], t: Real > 0 = 4):
    """Distillation at a temperature."""
    return -t**2 * sum(softmax(target / t) * log_softmax(input / t), C)


@loss()
def cosine_loss(input: Tensor[D], target: Tensor[D]):
    """1 - cosine."""
    return 1 - sum(input * target, D) / sqrt(sum(input**2, D) * sum(target**2, D))


@loss()
def rmse_row(input: Tensor[D], target: Tensor[D]):
    """Root mean squared error of a row."""
    return sqrt(mean((input - target)**2, D))


@loss()
def rmsle(input: Tensor[D] >= 0, target: Tensor[D] >= 0):
    """Root mean squared log error."""
    return sqrt(mean((log(1 + input) - log(1 + target))**2, D))


@loss()
def scale_invariant_depth(input: Tensor[D] > 0, target: Tensor[D] > 0, lam: Real = 0.5):
    """Eigen's scale invariant depth error."""
    d = log(input) - log(target)
    return mean(d**2, D) - lam * mean(d, D)**2


@loss()
def pearson(input: Tensor[D], target: Tensor[D]):
    """One minus the correlation."""
    a = input - mean(input, D)
    b = target - mean(target, D)
    return 1 - sum(a * b, D) / sqrt(sum(a**2, D) * sum(b**2, D))


@loss()
def log_dice(input: Tensor[C], target: Prob[C], eps: Real > 0 = 1):
    """Log of the dice of sigmoids."""
    p = 1 / (1 + exp(-input))
    return -log((2 * sum(p * target, C) + eps) / (sum(p, C) + sum(target, C) + eps))


@loss()
def circle(input: Tensor[K], target: Index[K], gamma: Real > 0 = 8, m: Real = 0.25):
    """Circle-like loss: softplus of lse of negatives less the positive."""
    return log(1 + sum(exp(gamma * (input[k] + m)) for k in K if k != target) * exp(-gamma * (input[target] - 1 + m)))


@loss()
def vae_kl(mu: Tensor[D], logvar: Tensor[D]):
    """KL of a Gaussian to the standard one."""
    return -sum(1 + logvar - mu**2 - exp(logvar), D) / 2


@loss()
def gauss_kl(mu: Tensor[D], s: Tensor[D] > 0, nu: Tensor[D], r: Tensor[D] > 0):
    """KL of diagonal Gaussians."""
    return sum(log(r / s) + (s**2 + (mu - nu)**2) / (2 * r**2) - 1 / 2, D)


@loss()
def gauss_nll_row(input: Tensor[D], target: Tensor[D], logvar: Tensor[D]):
    """Heteroscedastic NLL."""
    return mean(logvar + (input - target)**2 * exp(-logvar), D) / 2


@loss()
def dirichlet_nll(a: Tensor[K] > 0, target: Index[K]):
    """Expected categorical NLL under a Dirichlet."""
    return log(sum(a, K)) - log(a[target])


@loss()
def adjusted_ce(input: Tensor[K], target: Index[K], prior: Weight[K] = 1, tau: Real = 1):
    """Logit adjusted cross entropy."""
    return log(sum(prior**tau * exp(input), K)) - input[target] - tau * log(prior[target])


@loss()
def confidence_penalty(input: Tensor[K], target: Index[K], beta: Real >= 0 = 0.1):
    """Cross entropy less entropy."""
    lp = log_softmax(input)
    return -lp[target] + beta * sum(exp(lp) * lp, K)


@loss()
def tsallis(input: Tensor[K], target: Index[K], q: 0 < Real != 1 = 1.5):
    """Tsallis loss."""
    p = softmax(input)[target]
    return (1 - p**(q - 1)) / (q - 1)


@loss()
def js_logits(input: Tensor[C], target: Tensor[C]):
    """Jensen-Shannon of two softmaxes."""
    p = softmax(input)
    q = softmax(target)
    m = (p + q) / 2
    return sum(p * (log(p) - log(m)) + q * (log(q) - log(m)), C) / 2


@loss()
def soft_dice_multi(input: Tensor[K], target: Index[K], eps: Real > 0 = 1):
    """Dice of the softmax of a row."""
    p = softmax(input)
    return 1 - (2 * p[target] + eps) / (sum(p**2, K) + 1 + eps)


@loss()
def npair(input: Tensor[K], target: Index[K], l2: Real >= 0 = 0.01):
    """N-pair loss with a penalty."""
    return log(sum(exp(input - input[target]), K)) + l2 * sum(input**2, K)


@loss()
def multi_similarity(pos: Tensor[C], neg: Tensor[D], a: Real > 0 = 2, b: Real > 0 = 50, m: Real = 0.5):
    """Multi-similarity loss."""
    return log(1 + sum(exp(-a * (pos - m)), C)) / a + log(1 + sum(exp(b * (neg - m)), D)) / b


@loss()
def circle_two(pos: Tensor[C], neg: Tensor[D], gamma: Real > 0 = 8, m: Real = 0.25):
    """Circle loss with two sums."""
    return log(1 + sum(exp(gamma * (neg + m)), D) * sum(exp(-gamma * (pos - 1 + m)), C))


@loss()
def ccc(input: Tensor[D], target: Tensor[D]):
    """One minus the concordance correlation."""
    a = input - mean(input, D)
    b = target - mean(target, D)
    return 1 - 2 * mean(a * b, D) / (mean(a**2, D) + mean(b**2, D) + (mean(input, D) - mean(target, D))**2)


@loss()
def si_sdr(input: Tensor[D], target: Tensor[D]):
    """Scale invariant distortion ratio."""
    s = sum(input * target, D) / sum(target**2, D)
    return -10 * log(sum((s * target)**2, D) / sum((input - s * target)**2, D)) / log(10)


@loss()
def variance_hinge(input: Tensor[D], gamma: Real > 0 = 1, eps: Real > 0 = 1e-4):
    """VICReg's variance term."""
    return max(0, gamma - sqrt(mean((input - mean(input, D))**2, D) + eps))


@loss()
def log_cosh_row(input: Tensor[D], target: Tensor[D]):
    """Mean log cosh written naively."""
    return mean(log((exp(input - target) + exp(target - input)) / 2), D)


@loss()
def bce_row(input: Tensor[C], target: Prob[C]):
    """Naive binary cross entropy of logits, averaged over classes."""
    p = 1 / (1 + exp(-input))
    return -mean(target * log(p) + (1 - target) * log(1 - p), C)


@loss()
def pairwise_logistic(input: Tensor[K], target: Index[K]):
    """RankNet against all others."""
    return sum(log(1 + exp(input[k] - input[target])) for k in K if k != target)


@loss()
def approx_rank(input: Tensor[K], target: Index[K], t: Real > 0 = 1):
    """Reciprocal of a smooth rank."""
    return 1 - 1 / (1 + sum(1 / (1 + exp((input[target] - input[k]) / t)) for k in K if k != target))


@loss()
def cauchy_schwarz(input: Tensor[C], target: Prob[C]):
    """Cauchy-Schwarz divergence of a softmax."""
    p = softmax(input)
    return -log(sum(p * target, C) / sqrt(sum(p**2, C) * sum(target**2, C)))


@loss()
def squared_emd(input: Tensor[C], target: Prob[C]):
    """Squared error of probabilities."""
    return sum((softmax(input) - target)**2, C)
