"""What a measurement found, as data: rows, bars, and the file that is committed beside a kernel."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

FORMAT = 1
ROOT = "root of a second derivative"
ERROR_FUNCTION = "error function"
SEVERAL = "root that moves with another operand"
ROWS = "entry of a row"
MAIN = ("value", "grad", "grad2")


@dataclass(frozen=True)
class Bar:
    """The largest error in ULP that a certificate may show for a dtype, in one situation or in all."""

    dtype: str
    ulp: float
    situation: str = ""


BARS: tuple[Bar, ...] = (
    Bar("float64", 2.0),
    Bar("float32", 0.51),
    Bar("float16", 0.501),
    Bar("bfloat16", 0.501),
    Bar("float32", 1.0, ERROR_FUNCTION),  # the operand occurs inside erf alone: erf, erfc, log_ndtr
    Bar("float32", 1.0, ROOT),  # within the neighbourhood of one
    # two functions of different operands cancel there, and neither is known to more than float64: measured, not barred
    Bar("float64", math.inf, SEVERAL),
    Bar("float64", 4.0, ROWS),  # gradients are sums over the row
    Bar("float32", 2.0, ROWS),
)

# what may remain where the terms of a sum of order one cancel to nothing: the rounding of one
REMAINS = {"float64": 2.0**-52, "float32": 2.0**-23, "float16": 2.0**-10, "bfloat16": 2.0**-7}


def bars() -> tuple[Bar, ...]:
    """The bars, the general ones first."""
    return BARS


def bar(dtype: str, situations: Iterable[str]) -> float:
    """The largest error allowed: the most generous bar whose situation applies."""
    present = {"", *situations}
    return max((b.ulp for b in BARS if b.dtype == dtype and b.situation in present), default=0.0)


@dataclass(frozen=True)
class Limit:
    """What a kernel returned at an infinity, and the limit there."""

    at: float
    want: float
    got: float

    @property
    def holds(self) -> bool:
        return self.got == self.want


@dataclass(frozen=True)
class Row:
    """One output of a kernel in one dtype, at stated values of its options.

    Attributes:
        output: "value", "grad", "grad2", "grad_alpha" and so on.
        dtype: of input and output.
        settings: values of options and of operands that were held fixed, by name.
        inputs: how many finite inputs were measured.
        sampled: the inputs are a sample, so that errors are lower bounds; otherwise every input was measured.
        error: the largest error in ULP away from roots, and ``at`` the input where it is.
        place: what is hard about the row that has the largest error, of functions of rows.
        root_error: the largest error within the neighbourhood of a root of this output; None where there is none.
        misrounded: inputs whose result is not the correctly rounded one.
        nonfinite: finite inputs with a NaN or an infinity although the truth is in range, and the first of them.
        zeros: inputs with zero although the truth is a normal number, and the first of them.
        remains: of functions of rows, the largest magnitude given where the truth is exactly zero, as the gradient of a
            norm of one entry is: such entries have no error in ULP. None where no truth is zero.
        unknown: inputs that could not be measured, because the oracle's highest precision was not enough.
        nan: NaN gives NaN.
        limits: results at the infinities that the domain holds and where there is a limit.
        situations: which special bars apply, see `Bar`.
        bound: of an exhaustive sweep, how far its reference is from the truth at most, in ULP; part of ``error``. None
            where each input was measured against the oracle itself.
    """

    output: str
    dtype: str
    settings: tuple[tuple[str, Any], ...] = ()
    inputs: int = 0
    sampled: bool = True
    error: float = 0.0
    at: float | None = None
    place: str = ""
    root_error: float | None = None
    root_at: float | None = None
    misrounded: int = 0
    nonfinite: int = 0
    nonfinite_at: float | None = None
    zeros: int = 0
    zeros_at: float | None = None
    remains: float | None = None
    unknown: int = 0
    nan: bool = True
    limits: tuple[Limit, ...] = ()
    situations: tuple[str, ...] = ()
    bound: float | None = None

    @property
    def exhaustive(self) -> bool:
        """Every float32 was measured."""
        return self.dtype == "float32" and not self.sampled

    @property
    def title(self) -> str:
        """The output, its dtype and the settings, for a person."""
        settings = ", ".join(f"{k}={v:g}" if isinstance(v, float) else f"{k}={v}" for k, v in self.settings)
        return f"{self.output} {self.dtype}" + (f" ({settings})" if settings else "")

    def failures(self) -> list[str]:
        """Which bars this row misses, each as a sentence."""
        found = []
        allowed = bar(self.dtype, (s for s in self.situations if s != SEVERAL))
        if not self.error <= allowed:
            found.append(f"{self.error:.4g} ULP at {self.place or repr(self.at)}, the bar is {allowed:g}")
        near = bar(self.dtype, (*self.situations, *((ROOT,) if self.output.startswith("grad2") else ())))
        if self.root_error is not None and not self.root_error <= near:
            found.append(f"{self.root_error:.4g} ULP near a root, at {self.root_at!r}, the bar is {near:g}")
        if self.nonfinite:
            found.append(f"{self.nonfinite} finite inputs give NaN or infinity, the first {self.nonfinite_at!r}")
        if self.zeros:
            found.append(
                f"{self.zeros} inputs give zero although the truth is a normal number, as at {self.zeros_at!r}"
            )
        if self.remains is not None and not self.remains <= REMAINS[self.dtype]:
            found.append(f"{self.remains:.4g} where the truth is zero, the bar is {REMAINS[self.dtype]:.4g}")
        if not self.nan:
            found.append("NaN does not give NaN")
        found += [f"at {v.at!r} it gives {v.got!r}, the limit is {v.want!r}" for v in self.limits if not v.holds]
        return [f"{self.title}: {text}" for text in found]


@dataclass(frozen=True)
class Certificate:
    """All rows of a function, and the hash of the files that were measured.

    Attributes:
        name: of the function.
        kernel: hash of the kernel's files, as the manifest has it; empty where none was given.
        rows: in a fixed order.
        features: inputs around which neighbourhoods were measured, by kind ("cuts", "kinks", "roots of value", ...).
        notes: what was not measured, and why.
    """

    name: str
    kernel: str
    rows: tuple[Row, ...]
    features: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def failures(self) -> list[str]:
        """Every bar that is missed, as sentences; empty for a certificate that passes."""
        return [f"{self.name}: {text}" for row in self.rows for text in row.failures()]

    def to_json(self) -> str:
        """The certificate's file: sorted and without a date, so that equal measurements give equal text."""
        content = {
            "format": FORMAT,
            "name": self.name,
            "kernel": self.kernel,
            "features": {kind: [_plain(v) for v in values] for kind, values in self.features.items()},
            "notes": list(self.notes),
            "rows": [_plain(asdict(row)) for row in self.rows],
        }
        return json.dumps(content, indent=1, sort_keys=True, allow_nan=False) + "\n"

    @staticmethod
    def from_json(text: str) -> Certificate:
        """Read a certificate's file.

        Raises:
            ValueError: the text is no certificate, or one of another format.
        """
        try:
            content = json.loads(text)
            if content["format"] != FORMAT:
                raise ValueError(f"certificate of format {content['format']}, known is {FORMAT}: run `symgen certify`")
            features = {kind: tuple(map(_number, values)) for kind, values in content["features"].items()}
            rows = tuple(_row(row) for row in content["rows"])
            notes = tuple(content.get("notes", ()))
            return Certificate(content["name"], content["kernel"], rows, features, notes)
        except (KeyError, TypeError) as reason:
            raise ValueError(f"not a certificate ({reason}): run `symgen certify`") from reason

    def table(self) -> tuple[tuple[str, ...], ...]:
        """Plain rows for a person, headings first; errors of a sample are marked as lower bounds with a ``>=``."""
        heading = (
            "output",
            "dtype",
            "settings",
            "inputs",
            "max ULP",
            "at",
            "near roots",
            "misrounded",
            "NaN/inf",
            "zeros",
            "for zero",
        )
        return (heading, *(_cells(row) for row in self.rows))


def largest_errors(content: Mapping[str, Any] | None) -> dict[tuple[str, str], float]:
    """The largest error in ULP of each output in each dtype, over all settings and neighbourhoods of roots.

    Args:
        content: of a certificate's file; None gives no errors.
    """
    found: dict[tuple[str, str], float] = {}
    for row in (content or {}).get("rows", ()):
        for error in (row["error"], row["root_error"]):
            key = row["output"], row["dtype"]
            if error is not None:
                found[key] = max(found.get(key, 0.0), _number(error))
    return found


def headed(outputs: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """The outputs that stand under each heading of `MAIN`: of a function of one array, those of this name.

    Of others, "grad" stands for the gradients in each operand and "grad2" for the second derivatives.

    Example:
        >>> headed(["value", "vjp", "vjp_weight"])
        {'value': ('value',), 'grad': ('vjp', 'vjp_weight'), 'grad2': ()}
    """
    known = tuple(outputs)
    prefixes = {"value": ("value",), "grad": ("grad_", "vjp"), "grad2": ("grad2_",)}
    return {
        heading: (heading,) if heading in known else tuple(o for o in known if o.startswith(prefixes[heading]))
        for heading in MAIN
    }


def coverage(content: Mapping[str, Any] | None) -> dict[str, str]:
    """What was measured in each dtype: "every input" of the main outputs, or "a sample", whose errors are lower bounds.

    Options at other than their main setting are sampled in any case.

    Args:
        content: of a certificate's file; None gives nothing.
    """
    rows = [row for row in (content or {}).get("rows", ()) if row["output"] in MAIN]
    every = {(row["output"], row["dtype"]) for row in rows if not row.get("sampled", True)}
    needed = {(row["output"], row["dtype"]) for row in rows}
    dtypes = dict.fromkeys(row["dtype"] for row in rows)
    return {d: "a sample" if any(n[1] == d for n in needed - every) else "every input" for d in dtypes}


def _cells(row: Row) -> tuple[str, ...]:
    mark = ">= " if row.sampled and row.dtype == "float64" else ""
    return (
        row.output,
        row.dtype,
        row.title.partition(" (")[2].rstrip(")"),
        f"{row.inputs:,}",
        f"{mark}{row.error:.4g}",
        row.place if row.at is None else f"{row.at:.9g}",
        "" if row.root_error is None else f"{mark}{row.root_error:.4g}",
        f"{row.misrounded:,}",
        f"{row.nonfinite:,}",
        f"{row.zeros:,}",
        "" if row.remains is None else f"{row.remains:.2g}",
    )


def _plain(value: Any) -> Any:
    """JSON values: infinities and NaN as text, everything else as it is."""
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, dict):
        return {k: _plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(v) for v in value]
    return value


def _number(value: Any) -> float:
    return float(value)


def _row(content: dict[str, Any]) -> Row:
    optional = {k: content[k] for k in ("at", "root_error", "root_at", "nonfinite_at", "zeros_at")}
    optional["remains"] = content.get("remains")
    return Row(
        **{
            **content,
            **{k: None if v is None else _number(v) for k, v in optional.items()},
            "error": _number(content["error"]),
            "settings": tuple((k, _number(v) if v in ("inf", "-inf") else v) for k, v in content["settings"]),
            "limits": tuple(Limit(*(_number(v[k]) for k in ("at", "want", "got"))) for v in content["limits"]),
            "situations": tuple(content["situations"]),
        }
    )
