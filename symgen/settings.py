"""Values at which free options and parameters are tried: the default, others around it, extremes of the domain."""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator, Mapping

import sympy as sp

from symgen.spec import Argument, Op, Variant
from symgen.spec.model import role_limits

# What is tried beside the default: around one, of either sign, small, large, and numbers with all their bits set.
TRIED = (1.0, 0.5, 2.0, -1.5, 0.1, 1.702, 30.0, 1e-3, 1e3, 0.0, -20.0, 1e-30, 1e30)
MOST = 16

# What no choice is made by: other sizes and signs, and the extremes that two free arguments leave no room for.
HELD_OUT = (-1e3, 7.3, 1e30, -1e30, 1e-30, 1e-19, 1e19, 1e3, -20.0, 0.0, -0.3, 1e10)

# Most labels are certain. Where they are, one term of a loss is all that is left, and an option may be anything.
CERTAIN = (0.0, 1.0)
BESIDE = (0.5, 2.0)

COMPARE = {
    ">": lambda a, b: a > b,
    ">=": lambda a, b: a >= b,
    "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b,
    "!=": lambda a, b: a != b,
    "==": lambda a, b: a == b,
}


def free(op: Op, variant: Variant) -> tuple[Argument, ...]:
    """The arguments that a kernel of this variant takes as numbers beside its first tensor, in signature order."""
    settings = dict(variant.settings)
    first = first_tensor(op)
    return tuple(
        a
        for a in op.arguments
        if a is not first and a.role.kind != "choice" and settings.get(a.name, "given") is not None
    )


def first_tensor(op: Op) -> Argument:
    return next(a for a in op.operands if a.role.kind == "tensor")


def settings(op: Op, variant: Variant, known: Container[str] = ()) -> tuple[Mapping[str, float], ...]:
    """Values for every free argument but the known ones: defaults first, then one argument moved at a time.

    Example:
        >>> from symgen.catalogue import folder
        >>> from symgen.spec import load
        >>> celu = load(folder())["celu"]
        >>> settings(celu, celu.variants[0])[0]
        {'alpha': 1.0}
    """
    arguments = tuple(a for a in free(op, variant) if a.name not in known)
    if not arguments:
        return ({},)
    base = {a.name: _start(a) for a in arguments}
    found: list[Mapping[str, float]] = []
    for setting in (base, *_moved(arguments, base)):
        if setting not in found and _allowed(op, variant, setting):
            found.append(setting)
    return tuple(found[:MOST])


def held_out(op: Op, variant: Variant, known: Container[str] = ()) -> tuple[Mapping[str, float], ...]:
    """Values at which a choice is checked that was made at others.

    Example:
        >>> from symgen.catalogue import folder
        >>> from symgen.spec import load
        >>> celu = load(folder())["celu"]
        >>> [s["alpha"] for s in held_out(celu, celu.variants[0])]
        [-1000.0, 7.3, -1e+30, 1e-19, 1e+19, -0.3, 10000000000.0]
    """
    tried, arguments = settings(op, variant, known), tuple(a for a in free(op, variant) if a.name not in known)
    base = {a.name: _start(a) for a in arguments}
    found = [s for s in _moved(arguments, base, HELD_OUT) if s not in tried and _allowed(op, variant, s)]
    return tuple(found[:MOST])


def certain(op: Op, variant: Variant, known: Container[str] = ()) -> tuple[Mapping[str, float], ...]:
    """Labels that are certain beside the other values of other arguments.

    Example:
        >>> from symgen.catalogue import folder
        >>> from symgen.spec import load
        >>> focal = load(folder())["sigmoid_focal_loss"]
        >>> [s["gamma"] for s in certain(focal, focal.variants[0])]
        [2.0, 0.5, 2.0, 0.5]
    """
    arguments = tuple(a for a in free(op, variant) if a.name not in known)
    labels = [a.name for a in arguments if a.role.kind == "prob"]
    others = tuple(a for a in arguments if a.name not in labels)
    found: list[Mapping[str, float]] = []
    for end in CERTAIN if labels else ():
        base = {a.name: end if a.name in labels else _start(a) for a in arguments}
        found += (base, *_moved(others, base, BESIDE))
    return tuple(s for k, s in enumerate(found) if s not in found[:k] and _allowed(op, variant, s))


def _start(argument: Argument) -> float:
    if isinstance(argument.default, int | float) and not isinstance(argument.default, bool):
        return float(argument.default)
    return next((t for t in (0.25, *TRIED) if _inside(argument, t)), 1.0)


def _moved(
    arguments: tuple[Argument, ...], base: Mapping[str, float], values: Iterable[float] = TRIED
) -> Iterator[Mapping[str, float]]:
    for value in values:
        for a in arguments:
            if _inside(a, value):
                yield {**base, a.name: value}


def _inside(argument: Argument, value: float) -> bool:
    whole = argument.role.kind != "int" or float(value).is_integer()
    return whole and all(COMPARE[o](value, v) for o, v in role_limits(argument.role))


def _allowed(op: Op, variant: Variant, setting: Mapping[str, float]) -> bool:
    """Whether the assertions hold and the conditions lead to this variant."""
    values = {op.symbol(name): sp.Float(value) for name, value in setting.items()}
    wanted = [(c, True) for c in op.assertions] + list(variant.conditions)
    return all(bool(c.xreplace(values)) == truth for c, truth in wanted)
