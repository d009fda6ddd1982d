"""The plot of a row function: its entries while one entry of the row runs, or a value beside its derivative there.

A function of the parts of an axis is drawn once for each part that runs, the others being one.
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
PAIR = 2  # the length of axes where a batch is a sample, whose operands differ
BATCH = (*ILLUSTRATIVE, 0.0, 0.5)
BOUNDS = (-0.5, 0.25, 1.0, 1.5), (0.0, 0.0, 1.0, 2.0)  # rising, for what is unpacked as a box is, and where one runs
MOST = 3  # curves that one can tell apart


def plot(op: Op, variant: Variant) -> tuple[Plot, str]:
    """The plot and what it shows.

    Args:
        op: a row function.
        variant: the one to show.
    """
    found = places(op, variant)
    first = next(p for p in found if p.role.kind == "tensor")
    if len(first.axes) > 1 and first.axes[0].isdigit():
        return _of_parts(op, variant, first)
    batch = len(first.axes) > 1
    arrays, lengths = sample(op, variant, PAIR if batch else ENTRIES, 0)
    arrays |= {p.name: _shown(op, p, arrays[p.name]) for p in found if p is not first}
    beside = BATCH if batch else BOUNDS[1] if first.axes[0].isdigit() else (0.0, *OTHERS)
    row = np.resize(np.array(beside), np.shape(arrays[first.name]))
    several = bool(loops(variant.value))
    x = _points(first)[:: len(first.axes)]
    wrt = "" if several else first.name
    curves = np.array([_curves(variant, {**arrays, first.name: _running(row, 0, t)}, lengths, wrt) for t in x])
    entry = ",".join("1" for _ in first.axes)
    slope = rf"\partial f/\partial {{{_letter(op, first)}}}_{{{entry}}}"  # braces: a letter may have its own index
    labels = [f"f_{i + 1}" for i in range(MOST)] if several else ["f", slope]
    picture = family(x, {f"${label}$": y for label, y in zip(labels, curves.T, strict=False)})
    return picture, _note(op, found, first, row, arrays)


def _of_parts(op: Op, variant: Variant, first: Place) -> tuple[Plot, str]:
    """The first entry of the value, for each part of the axis that runs."""
    arrays, lengths = sample(op, variant, ENTRIES, 0)
    row, x = np.ones(np.shape(arrays[first.name])), _points(first)
    rows = {k: [_running(row, k * row[0].size, t) for t in x] for k in range(len(row))}
    texts = {k: f"({', '.join('t' if i == k else '1' for i in rows)})" for k in rows}
    curves = {f"$f{texts[k]}$": np.array([_curves(variant, {**arrays, first.name: r}, lengths, "")[0] for r in runs])
              for k, runs in rows.items()}
    return family(x, curves), f"${_letter(op, first)} = {', '.join(texts.values())}$"


def _points(first: Place) -> Any:
    """Where the operand that runs is drawn."""
    return np.linspace(*ends(first, LEFT, RIGHT), POINTS)


def _running(row: Any, at: int, value: float) -> Any:
    """A row with another number at one of its entries."""
    moved = row.copy()
    moved.flat[at] = value
    return moved


def _curves(variant: Variant, arrays: dict[str, Any], lengths: dict[str, int], wrt: str) -> Any:
    """The first entries of a value; of one number, its derivative in the first entry of an operand as well."""
    if not wrt:
        (high, _), _ = truth(variant.value, arrays, lengths)
        return np.ravel(high)[:MOST]
    (high, _), gradients = truth(variant.value, arrays, lengths, np.ones(()), [wrt])
    return np.array([float(high), float(np.ravel(gradients[wrt][0])[0])])


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
    others = BATCH if len(place.axes) > 1 else BOUNDS[0] if place.axes and place.axes[0].isdigit() else ILLUSTRATIVE
    numbers = np.resize(np.array(others), np.shape(value))
    return numbers if np.ndim(value) and np.all(inside(np.ravel(numbers), role_limits(place.role))) else value


def _letter(op: Op, place: Place) -> str:
    return names.symbol(place.name, dict(op.symbols)).tex


def _note(op: Op, found: tuple[Place, ...], first: Place, row: Any, arrays: dict[str, Any]) -> str:
    """Which row is shown, and at which class or other row."""
    parts = [f"${_letter(op, first)} = {_listed(row, 't')}$"]
    for place in found:
        if place.role.kind == "index":
            parts.append(f"${_letter(op, place)} = {arrays[place.name]}$")
        elif place is not first and place.role.kind in ("tensor", "prob") and np.ndim(arrays[place.name]):
            parts.append(f"${_letter(op, place)} = {_listed(arrays[place.name])}$")
    return ", ".join(parts)


def _listed(values: Any, first: str = "") -> str:
    """Numbers in as many brackets as there are axes, a letter for the first of them."""
    if not np.ndim(values):
        return first or f"{values:g}"
    return f"({', '.join(_listed(v, first if i == 0 else '') for i, v in enumerate(values))})"
