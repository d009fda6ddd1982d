"""What a spec file is written in, and what loading one gives.

A spec is a few lines of Python that state a formula (see docs for the language)::

    from symgen.spec import Real, activation, exp

    @activation(torch="elu", also={"max(0, x) + min(0, alpha * (exp(x) - 1))": "at 0 its slope is 0, not alpha"})
    def elu(x, alpha: Real = 1):
        \"\"\"Identity above zero, saturating at -alpha below.\"\"\"
        return x if x > 0 else alpha * (exp(x) - 1)

``load`` reads a file or a folder of them. ``max min abs sum any all`` and ``bool`` need no import. The decorators'
keywords: ``torch=`` (PyTorch's name), ``cite=`` (the reference), ``aliases=`` (other names), ``symbols=`` (how
arguments are printed), ``reduction=`` (a loss's default), and ``also=``: other forms that books show, each with a
sentence that says where it differs from the definition. They are read by the same reader, compared with the
definition at its defaults, and printed on the card; kernels come from the definition alone.
"""

from typing import Any

from symgen.spec.definition import Definition
from symgen.spec.description import describe
from symgen.spec.language import (
    LANGUAGE,
    Index,
    Int,
    Labels,
    Mask,
    Param,
    Prob,
    Real,
    Shape,
    Tensor,
    Weight,
    activation,
    function,
    loss,
)
from symgen.spec.loader import load
from symgen.spec.model import (
    REQUIRED,
    Alternative,
    Argument,
    Axis,
    Op,
    Parts,
    Role,
    Source,
    SpecError,
    Variant,
    exact,
    native,
    role_limits,
)

__all__ = [
    "LANGUAGE",
    "REQUIRED",
    "Alternative",
    "Argument",
    "Axis",
    "Definition",
    "Index",
    "Int",
    "Labels",
    "Mask",
    "Op",
    "Param",
    "Parts",
    "Prob",
    "Real",
    "Role",
    "Shape",
    "Source",
    "SpecError",
    "Tensor",
    "Variant",
    "Weight",
    "activation",
    "describe",
    "exact",
    "function",
    "load",
    "loss",
    "native",
    "role_limits",
]


def __getattr__(name: str) -> Any:
    """The functions and constants of the language: exp, log, sum, pi and the rest."""
    if name not in LANGUAGE:
        raise AttributeError(f"symgen.spec has no '{name}'")
    return LANGUAGE[name]


def __dir__() -> list[str]:
    return sorted({*__all__, *LANGUAGE})
