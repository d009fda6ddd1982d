"""Contrast within a batch."""

from symgen.spec import Axis, Real, Tensor, exp, log, loss, mean, sum

N = Axis("N", at=0, rank=2)
D = Axis("D", at=1)


@loss(cite="arXiv:1807.03748")
def info_nce_loss(query: Tensor[N, D], key: Tensor[N, D], *, temperature: Real > 0 = 0.1):
    """Cross entropy of telling each query's own key from the keys of the whole batch, averaged over the batch."""
    own = sum(query * key, D) / temperature
    every = log(sum(exp(sum(query * key[j], D) / temperature) for j in N))
    return mean(every - own, N)
