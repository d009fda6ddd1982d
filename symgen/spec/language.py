"""Every name that a spec file may import from ``symgen.spec``, in one table."""

# ruff: noqa: ARG001  the loader reads the decorators' keywords off the text

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, TypeVar

from symgen.spec.axes import AXIS_WORDS
from symgen.spec.model import Axis, Role
from symgen.spec.words import CONSTANTS, WORDS

Tensor, Param, Weight, Prob = Role("tensor"), Role("param"), Role("weight"), Role("prob")
Index, Labels, Mask, Shape = Role("index"), Role("labels"), Role("mask"), Role("shape")
Real, Int = Role("real"), Role("int")
Bool = Role("choice", choices=(False, True))

F = TypeVar("F", bound=Callable[..., Any])


def activation(
    *,
    torch: str | None = None,
    cite: str | None = None,
    aliases: tuple[str, ...] = (),
    symbols: dict[str, str] | None = None,
    also: dict[str, str] | None = None,
) -> Callable[[F], F]:
    """An activation or another elementwise or row function, which becomes a kernel.

    Under plain Python the decorator leaves the function as it is, so that a spec also runs on numbers.

    Args:
        torch: PyTorch's name for it, relative to ``torch.nn.functional`` or ``torch``.
        cite: the reference, such as ``arXiv:1606.08415``.
        aliases: other names under which the public face offers it.
        symbols: how arguments are printed: ``{"negative_slope": "a"}``, in LaTeX.
        also: another form that books show, as text, with where it differs from the definition:
            ``{"max(0, x) + min(0, alpha * (exp(x) - 1))": "at 0 its slope is 0"}``. It is checked and printed only.
    """
    return lambda function: function


def loss(
    *,
    torch: str | None = None,
    cite: str | None = None,
    reduction: str = "mean",
    aliases: tuple[str, ...] = (),
    symbols: dict[str, str] | None = None,
    also: dict[str, str] | None = None,
) -> Callable[[F], F]:
    """A loss: the formula of one sample. ``reduction`` is the public face's default; the rest as in activation."""
    return lambda function: function


def function(function: F) -> F:
    """A shared definition: other specs call it, and it has no kernel of its own."""
    return function


KEYWORDS: dict[str, tuple[str, ...]] = {
    "activation": ("torch", "cite", "aliases", "symbols", "also"),
    "loss": ("torch", "cite", "reduction", "aliases", "symbols", "also"),
    "function": (),
}
REDUCTIONS = ("none", "mean", "sum", "batchmean")
ROLES: dict[str, Role] = {
    "Tensor": Tensor, "Param": Param, "Weight": Weight, "Prob": Prob, "Index": Index, "Labels": Labels, "Mask": Mask,
    "Shape": Shape, "Real": Real, "Int": Int,
}  # fmt: skip
BUILTINS: dict[str, Any] = {
    "bool": Bool,
    **{name: (WORDS | AXIS_WORDS)[name] for name in ("max", "min", "abs", "sum", "any", "all")},
}
LANGUAGE: dict[str, Any] = {
    **ROLES,
    **WORDS,
    **AXIS_WORDS,
    **CONSTANTS,
    "Axis": Axis,
    "Literal": Literal,
    "activation": activation,
    "loss": loss,
    "function": function,
}
