"""Contrast of the views of each sample within a batch."""

from symgen.spec import Axis, Real, Tensor, exp, function, log, loss, mean, norm, size, sum

N = Axis("N", at=0, rank=3)
V = Axis("V", at=1)
D = Axis("D", at=2)


@function
def unit(v: Tensor[D]):
    """A vector of length one; zero stays zero."""
    length = norm(v, D)
    return 0 if length == 0 else v / length


@loss(cite="arXiv:2002.05709")
def nt_xent_loss(views: Tensor[N, V, D], *, temperature: Real > 0 = 0.5):
    """Cross entropy of telling the other views of a sample from all views of the batch, by their cosines."""
    u = unit(views)
    every = [[log(sum(exp(sum(u[i][v] * u[j][w], D) / temperature) for j in N for w in V if j != i or w != v))
              for v in V] for i in N]
    own = [[sum(sum(u[i][v] * u[i][w], D) for w in V if w != v) / (temperature * (size(V) - 1)) for v in V] for i in N]
    return mean(mean(every - own, V), N)
