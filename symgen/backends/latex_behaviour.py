"""The facts on a card as pairs of heading and TeX: domain, values, limits, convention at every switch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from symgen.backends import latex_facts as facts
from symgen.backends import latex_names as names
from symgen.backends.latex_expr import latex
from symgen.backends.latex_samples import Samples, default_variant, domain, named, values
from symgen.backends.latex_variant import number
from symgen.spec.model import Op, role_limits

if TYPE_CHECKING:
    from symgen.derivation import Derivation, Output

_COMMA = r",\; "
_JOINT_WORDS = ("Jump", "Kink", "Joint")  # by the lowest derivative that jumps
_SIGNS = {">": ">", ">=": r"\ge", "<": "<", "<=": r"\le", "!=": r"\ne"}


def joints(derivation: Derivation, samples: Samples | None) -> list[facts.Joint]:
    """The points where the function switches; if its values are at hand, only those where something jumps."""
    op = derivation.op
    value = default_variant(derivation).output("value").naive
    found = facts.joints(value, named(value, op.operands[0].name), values(op, value))
    if samples is None:
        return found
    ordered = [replace(j, order=facts.lowest_jump(samples, j.at)) for j in found]
    return [j for j in ordered if j.order < len(_JOINT_WORDS)]


def behaviour(derivation: Derivation, found: Sequence[facts.Joint], samples: Samples | None) -> list[tuple[str, str]]:
    """What the function does, in the order of the card."""
    op = derivation.op
    x = names.symbol(op.operands[0].name, dict(op.symbols)).tex
    limits = ", ".join(f"{x} {_SIGNS[o]} {number(v)}" for o, v in role_limits(op.operands[0].role))
    out = [("Domain", f"${limits}$" if limits else f"all real ${x}$")]
    if samples is not None:
        out += _measured(facts.extent(samples, domain(op), [j.at for j in found]), x)
    return [*out, *_conventions(derivation, found)]


def _measured(found: facts.Extent, x: str) -> list[tuple[str, str]]:
    low, high = names.float_number(found.lower), names.float_number(found.upper)
    out = [("Values", rf"from ${low}$ to ${high}$ (sampled)")]
    for end, values_there in found.ends:
        known = [rf"{primed(k)} \to {names.float_number(v)}" for k, v in enumerate(values_there) if v is not None]
        if known:
            out.append((rf"${x} \to {names.float_number(end)}$", f"${_COMMA.join(known)}$"))
    return out


def primed(order: int) -> str:
    """f, f' or f''."""
    return "f" + "'" * order


def left_side(op: Op, output: Output) -> str:
    """How an output is written: f, f', f'', or a partial derivative."""
    if output.name.startswith("share"):
        along = "" if output.wrt is None else names.symbol(output.wrt, dict(op.symbols)).tex
        return (rf"\partial_{{{along}}} " if along else "") + r"\text{share}"
    if output.wrt in (None, op.operands[0].name):
        return primed(output.order)
    of = names.symbol(output.wrt or "", dict(op.symbols)).tex
    return rf"\partial_{{{of}}} f" if output.order == 1 else rf"\partial_{{{of}}}^{output.order} f"


def _conventions(derivation: Derivation, found: Sequence[facts.Joint]) -> list[tuple[str, str]]:
    op, default = derivation.op, default_variant(derivation)
    display, name = dict(op.symbols), op.operands[0].name
    out = []
    for j in found:
        texts = []
        for output in default.outputs:
            if output.wrt in (None, name) and not output.name.startswith("share"):
                here = _at(output.recognized, name, j.point, values(op, output.recognized + j.point))
                texts += [] if here is None else [f"{left_side(op, output)} = {latex(here, display)}"]
        if texts:
            point = f"{names.symbol(name, display).tex} = {latex(j.point, display)}"
            word = _JOINT_WORDS[min(j.order, len(_JOINT_WORDS) - 1)]
            out.append((f"{word} at ${point}$", f"${_COMMA.join(texts)}$"))
    return out


def _at(e: Any, name: str, point: Any, known: Mapping[Any, Any]) -> Any:
    """An expression at a point: with the options as symbols if that settles it, else at their values, else None."""
    x = named(e, name)
    for here in (facts.resolve(e, {x: point}), facts.resolve(e, {**known, x: point.subs(known)})):
        if facts.is_settled(here):
            return here
    return None
