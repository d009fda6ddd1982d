"""Losses of vectors that belong together, or do not."""

from symgen.spec import Axis, Real, Tensor, exp, function, loss, max, minimum, norm, sqrt, sum

D = Axis("D", rank=2)


@function
def distance(a: Tensor[D], b: Tensor[D], p: Real >= 1 = 2, eps: Real >= 0 = 1e-6):
    """Distance of two vectors, eps added to each difference."""
    return norm(a - b + eps, D, p)


@loss(torch="cosine_embedding_loss")
def cosine_embedding_loss(input1: Tensor[D], input2: Tensor[D], target: Tensor, margin: -1 <= Real <= 1 = 0):
    """One minus the cosine for a pair that belongs together, label 1, the cosine beyond the margin for label -1."""
    tiny = 1e-12
    s1, s2 = sum(input1**2, D), sum(input2**2, D)
    cosine = 0 if s1 == 0 or s2 == 0 else sum(input1 * input2, D) / (sqrt(s1 + tiny) * sqrt(s2 + tiny))
    if target == 1:
        return 1 - cosine
    return max(cosine - margin, 0) if target == -1 else 0


@loss(torch="triplet_margin_loss")
def triplet_margin_loss(anchor: Tensor[D], positive: Tensor[D], negative: Tensor[D],
                        margin: Real > 0 = 1, p: Real >= 1 = 2, eps: Real >= 0 = 1e-6, swap: bool = False):
    """Hinge on how much further the negative is than the positive."""
    far = distance(anchor, negative, p, eps)
    if swap:
        far = minimum(far, distance(positive, negative, p, eps))
    return max(margin + distance(anchor, positive, p, eps) - far, 0)


@loss(cite="BMVC 2016, paper 119")
def ratio_loss(anchor: Tensor[D], positive: Tensor[D], negative: Tensor[D], *, swap: bool = False):
    """Squared deviation of the softmax of the two distances from (0, 1)."""
    near, far = distance(anchor, positive, 2, 0), distance(anchor, negative, 2, 0)
    if swap:
        far = minimum(far, distance(positive, negative, 2, 0))
    share = exp(near) / (exp(near) + exp(far))
    return share**2 + (1 - exp(far) / (exp(near) + exp(far)))**2
