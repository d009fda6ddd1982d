"""The plot of a row function: its entries while one entry of the row runs, or a value beside its derivative there.

The values are those of the definition in ball arithmetic; what a kernel makes of rows is for certificates to say.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from symgen.backends import latex_names as names
from symgen.backends.latex_plot import Plot, family
from symgen.rows.derive import Place, places
from symgen.rows.indices import loops
from symgen.rows.reference import truth
from symgen.rows.samples import ends, sample
from symgen.spec import Op, Variant
from symgen.spec.model import role_limits
from symgen.ulp import inside

LEFT, RIGHT, POINTS = -6.0, 6.0, 97
ENTRIES = 3
OTHERS = (0.0, 1.0)  # what stands beside the entry that runs
ILLUSTRATIVE = (1.0, -0.5, 0.25)
MOST = 3  # curves that one can tell apart


def plot(op: Op, variant: Variant) -> tuple[Plot, str] | None:
    """The plot and what it shows; None where the first operand is no row.

    Args:
        op: a row function.
        variant: the one to show.
    """
    found = places(op, variant)
    first = next(p for p in found if p.role.kind == "tensor")
    if len(first.axes) != 1:
        return None
    arrays, lengths = sample(op, variant, ENTRIES, 0)
    arrays |= {p.name: _shown(op, p, arrays[p.name]) for p in found if p is not first}
    row = np.resize(np.array([0.0, *OTHERS]), np.shape(arrays[first.name]))
    several = bool(loops(variant.value))
    x = np.linspace(*ends(first, LEFT, RIGHT), POINTS)
    rows = (np.concatenate([[t], row[1:]]) for t in x)
    wrt = "" if several else first.name
    curves = np.array([_curves(variant, {**arrays, first.name: r}, lengths, wrt) for r in rows])
    slope = rf"\partial f/\partial {{{_letter(op, first)}}}_1"  # in braces: a letter may have an index of its own
    labels = [f"f_{i + 1}" for i in range(MOST)] if several else ["f", slope]
    picture = family(x, {f"${label}$": y for label, y in zip(labels, curves.T, strict=False)})
    return picture, _note(op, found, first, row, arrays)


def _curves(variant: Variant, arrays: dict[str, Any], lengths: dict[str, int], wrt: str) -> Any:
    """The first entries of a value; of one number, its derivative in the first entry of an operand as well."""
    if not wrt:
        (high, _), _ = truth(variant.value, arrays, lengths)
        return np.ravel(high)[:MOST]
    (high, _), gradients = truth(variant.value, arrays, lengths, np.ones(()), [wrt])
    return np.array([float(high), float(gradients[wrt][0][0])])


def _shown(op: Op, place: Place, value: Any) -> Any:
    """An operand that makes a picture: its default, the first class, or numbers that differ."""
    default = op.argument(place.name).default
    if place.role.kind == "index":
        return 0
    if place.role.kind in ("mask", "labels"):
        return value
    if isinstance(default, int | float):
        return np.full(np.shape(value), float(default)) if np.ndim(value) else float(default)
    if place.role.kind == "prob":
        return np.eye(1, np.size(value))[0].reshape(np.shape(value))
    numbers = np.resize(np.array(ILLUSTRATIVE), np.shape(value))
    return numbers if np.ndim(value) and np.all(inside(np.ravel(numbers), role_limits(place.role))) else value


def _letter(op: Op, place: Place) -> str:
    return names.symbol(place.name, dict(op.symbols)).tex


def _note(op: Op, found: tuple[Place, ...], first: Place, row: Any, arrays: dict[str, Any]) -> str:
    """Which row is shown, and at which class or other row."""
    parts = [f"${_letter(op, first)} = ({', '.join(['t', *(f'{v:g}' for v in row[1:])])})$"]
    for place in found:
        if place.role.kind == "index":
            parts.append(f"${_letter(op, place)} = {arrays[place.name]}$")
        elif place is not first and place.role.kind in ("tensor", "prob") and np.ndim(arrays[place.name]) == 1:
            parts.append(f"${_letter(op, place)} = ({', '.join(f'{v:g}' for v in arrays[place.name])})$")
    return ", ".join(parts)
