"""Certificates in print: the largest measured errors of a function, for its card and for the sheet's last table."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from symgen.backends import latex_names as names
from symgen.certificate import coverage, headed

DTYPES = ("float64", "float32", "float16", "bfloat16")
MAIN = ("value", "grad", "grad2")


@dataclass(frozen=True)
class Cell:
    """The largest error of one output in one dtype in ULP, and the input where it occurred; empty if not measured."""

    ulp: str = ""
    at: str = ""


@dataclass(frozen=True)
class Line:
    """One output: its name in the certificate, and a cell for each of `DTYPES`."""

    output: str
    cells: tuple[Cell, ...]


@dataclass(frozen=True)
class Accuracy:
    """What a certificate comes to in print.

    Args:
        lines: One for each output measured.
        remark: What is not as it should be (non-finite results, lost values), empty if nothing is.
        scope: Of which dtypes every input was measured, or on which rows; empty if float32 was sampled.
    """

    lines: tuple[Line, ...]
    remark: str = ""
    scope: str = ""


def accuracy(certificate: Mapping[str, Any], outputs: Iterable[str]) -> Accuracy:
    """The certificate's worst rows over all settings of the options, for these outputs.

    Args:
        certificate: The content of ``certificates/NAME.json``.
        outputs: Their order in the table; those that were not measured are left out.
    """
    rows: list[Mapping[str, Any]] = list(certificate.get("rows", ()))
    lines = []
    for output in outputs:
        mine = [r for r in rows if r["output"] == output]
        if mine:
            lines.append(Line(output, tuple(_cell([r for r in mine if r["dtype"] == d]) for d in DTYPES)))
    return Accuracy(tuple(lines), _remark(rows), _scope(certificate))


def summary(certificate: Mapping[str, Any]) -> tuple[tuple[Cell, ...], ...]:
    """For value, first and second derivative, the worst cell of all outputs of this kind in each of `DTYPES`."""
    rows: list[Mapping[str, Any]] = list(certificate.get("rows", ()))
    groups = headed(dict.fromkeys(r["output"] for r in rows))
    return tuple(
        tuple(_cell([r for r in rows if r["output"] in group and r["dtype"] == d]) for d in DTYPES)
        for group in groups.values()
    )


def _cell(rows: list[Mapping[str, Any]]) -> Cell:
    found = [(float(r["error"]), r["at"]) for r in rows]
    found += [(float(r["root_error"]), r["root_at"]) for r in rows if r.get("root_error") is not None]
    if not found:
        return Cell()
    worst, at = max(found, key=lambda f: f[0])
    return Cell(ulp(worst), "" if at is None else names.float_number(float(at), 3))


def ulp(error: float) -> str:
    """An error in ULP, rounded up so that print never promises more than was measured."""
    if not math.isfinite(error):
        return r"$\infty$"
    if error == 0:
        return "0"
    digits = 3 if error < 10 else 0
    step = 10.0**-digits
    rounded = -(-round(error / step, 6) // 1) * step
    return f"{rounded:.{digits}f}" if rounded < 1e5 else f"${names.float_number(error, 2)}$"


def _scope(certificate: Mapping[str, Any]) -> str:
    places = [(float(r["error"]), r["dtype"], r["place"]) for r in certificate.get("rows", ()) if r.get("place")]
    if places:
        _, dtype, place = max(places)
        return f"entry by entry on rows that are hard; the worst is {dtype}, {place}; errors are lower bounds"
    every = [dtype for dtype, what in coverage(certificate).items() if what == "every input"]
    return f"every input of {', '.join(every)}; errors of other types are lower bounds" if "float32" in every else ""


def _remark(rows: list[Mapping[str, Any]]) -> str:
    nonfinite = sum(int(r.get("nonfinite", 0)) for r in rows)
    zeros = sum(int(r.get("zeros", 0)) for r in rows)
    parts = [f"{nonfinite:,} non-finite results from finite input"] if nonfinite else []
    parts += [f"{zeros:,} zeros for normal numbers"] if zeros else []
    parts += [f"up to ${names.float_number(most, 2)}$ where the result is zero" for most in [_remains(rows)] if most]
    return "; ".join(parts)


def _remains(rows: list[Mapping[str, Any]]) -> float:
    return max((float(r.get("remains") or 0.0) for r in rows), default=0.0)
