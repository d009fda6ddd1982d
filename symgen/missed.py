"""Where a kernel misses its accuracy bar: recorded in the manifest, warned of by a build, printed on the card."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from symgen.derivation import Derivation
    from symgen.rows.derive import RowDerivation

MOST_SHOWN = 4
WIDTH = 100


@dataclass(frozen=True)
class Miss:
    """A stretch on which an output is less accurate in a dtype than it should be.

    Attributes:
        output: "value", "grad" and so on.
        variant: the suffix of the variant; empty where there is only one.
        dtype: of the inputs and results.
        error: the largest error found at the probe points, in ULP, rounding to the dtype included.
        bar: what it should be at most.
        at: the input with that error, a value of the ``operand``; ``setting`` are the values of free arguments.
        lower, upper: the first and the last probe point that misses.
        place: of functions of rows, what is hard about the row; it stands in place of the input.
    """

    output: str
    variant: str
    dtype: str
    error: float
    bar: float
    at: float
    lower: float
    upper: float
    setting: tuple[tuple[str, float], ...] = ()
    operand: str = "x"
    place: str = ""

    def __str__(self) -> str:
        of_variant = f" of variant {self.variant}" if self.variant else ""
        return f"{self.output}{of_variant} in {self.dtype}: {self.what}"

    @property
    def what(self) -> str:
        """The error, where it is, and on which stretch the bar is missed."""
        where = ", ".join(f"{name} = {value:.9g}" for name, value in ((self.operand, self.at), *self.setting))
        where = f"a row of {self.place}" if self.place else where
        size = f"{self.error:.3g} ULP" if math.isfinite(self.error) else "a wrong result"
        span = f", on {self.lower:.6g} .. {self.upper:.6g}" if self.lower != self.upper else ""
        return f"{size} at {where} (the bar is {self.bar:g}){span}"

    def to_json(self) -> dict[str, Any]:
        """Plain values; infinities as text."""
        content = {**asdict(self), "setting": dict(self.setting)}
        return {k: str(v) if isinstance(v, float) and not math.isfinite(v) else v for k, v in content.items()}

    @staticmethod
    def from_json(content: Mapping[str, Any]) -> Miss:
        output, variant, dtype = (str(content[key]) for key in ("output", "variant", "dtype"))
        error, bar, at, lower, upper = (float(content[key]) for key in ("error", "bar", "at", "lower", "upper"))
        setting = tuple((name, float(value)) for name, value in content["setting"].items())
        operand, place = content.get("operand", "x"), content.get("place", "")
        return Miss(output, variant, dtype, error, bar, at, lower, upper, setting, operand, place)


def misses(derivation: Derivation | RowDerivation) -> tuple[Miss, ...]:
    """Every stretch of every output that misses its bar, or the hardest row, the worst first."""
    from symgen.rows.derive import RowDerivation as Rows

    found = _of_rows(derivation) if isinstance(derivation, Rows) else _all(derivation)
    return tuple(sorted(found, key=lambda miss: (-miss.error, miss.output, miss.dtype, miss.variant, miss.at)))


def _of_rows(derivation: RowDerivation) -> Iterator[Miss]:
    from symgen.certificate import ROWS, bar
    from symgen.rows.measure import DTYPES

    for variant in derivation.variants:
        suffix = variant.variant.suffix if len(derivation.variants) > 1 else ""
        for output in variant.outputs:
            for target, dtype in DTYPES.items():
                for m in output.unresolved[target]:
                    yield Miss(output.name, suffix, dtype, m.error, bar(dtype, (ROWS,)), 0.0, 0.0, 0.0, place=m.place)


def _all(derivation: Derivation) -> Iterator[Miss]:
    from symgen.settings import first_tensor
    from symgen.stabilize.probe import TARGETS

    operand = first_tensor(derivation.op).name
    several = len(derivation.variants) > 1
    for variant in derivation.variants:
        suffix = variant.variant.suffix if several else ""
        for output in variant.outputs:
            for target in TARGETS:
                half = 0.0 if target.digits == 53 else 0.5  # errors of the others are known before they are rounded
                dtype = "float64" if target.digits == 53 else "float32"
                for m in output.unresolved[target.name]:
                    error, bar, setting = m.error + half, target.bar + half, tuple(m.setting.items())
                    yield Miss(output.name, suffix, dtype, error, bar, m.at, m.lower, m.upper, setting, operand)


def worst(found: Sequence[Miss]) -> tuple[Miss, ...]:
    """The worst stretch of each output in each dtype, whatever the variant."""
    return tuple({(m.output, m.dtype): m for m in reversed(found)}.values())[::-1]


def warning(name: str, found: Sequence[Miss]) -> str:
    """What a build says of a function that misses its bar: where, by how much, and what to do."""
    shown = sorted(worst(found), key=lambda miss: -miss.error)
    folded = textwrap.TextWrapper(WIDTH, initial_indent="  ", subsequent_indent="    ", break_long_words=False)
    lines = [line for miss in shown[:MOST_SHOWN] for line in folded.wrap(str(miss))]
    more = len(shown) - MOST_SHOWN
    if more > 0:
        lines.append(f"  and {more} more {'output' if more == 1 else 'outputs'}")
    hint = f"  hint: `symgen explain {name}` shows what computes these inputs, and why they are hard"
    return "\n".join([f"{name} misses its accuracy bar", *lines, hint])
