"""A rectifier whose slope below zero is learned."""

from symgen.spec import Axis, Param, Tensor, activation


Ch = Axis("Ch", at=1, optional=True)


@activation(torch="prelu", cite="arXiv:1502.01852", symbols={"weight": "w"})
def prelu(x: Tensor[Ch], weight: Param[Ch]):
    """Leaky relu whose slope is learned, one for all or one per channel."""
    return x if x > 0 else weight * x
