"""The layer of sinusoidal representation networks."""

from symgen.spec import Axis, Param, Real, Tensor, activation, sin, sum


I = Axis("I")
O = Axis("O")


@activation(cite="arXiv:2006.09661", symbols={"omega_0": r"\omega_0", "weight": "W", "bias": "b"})
def siren(x: Tensor[I], weight: Param[O, I], bias: Param[O] = 0, *, omega_0: Real = 30):
    """Layer of a sinusoidal representation network: the sine of an affine map."""
    return sin(omega_0 * (sum(weight * x, I) + bias))
