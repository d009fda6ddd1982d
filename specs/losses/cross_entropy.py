"""Cross entropy of a distribution given by logits."""

from symgen.catalogue import log_softmax, logsumexp
from symgen.spec import Axis, Index, Int, Prob, Real, Tensor, Weight, is_index, loss, mean, sum, weighted

K = Axis("K", at=1)


@loss(torch="cross_entropy")
def cross_entropy(input: Tensor[K], target: Index[K] | Prob[K], weight: Weight[K] = 1, ignore_index: Int = -100, *,
                  label_smoothing: 0 <= Real <= 1 = 0, z_loss: Real >= 0 = 0):
    """Cross entropy of the softmax of the logits, relative to a class or to a distribution."""
    surprise = -weight * log_softmax(input)
    smooth = 0 if label_smoothing == 0 else label_smoothing * mean(surprise, K)
    more = smooth + weighted(z_loss, logsumexp(input)**2)
    if not is_index(target):
        return (1 - label_smoothing) * sum(target * surprise, K) + more
    if target == ignore_index:
        return 0, 0
    return (1 - label_smoothing) * surprise[target] + more, weight[target]
