"""What was measured on a GPU, as a table: errors over all float32 numbers, bandwidth as a share of a copy, overhead."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

ERRORS = ("errors: symgen", "PyTorch")
SPEEDS = ("value: symgen", "PyTorch", "vjp: symgen", "PyTorch")
OUTPUTS = ("value", "vjp")


def table(result: Mapping[str, Any]) -> str:
    """The results of `benchmarks.gpu` in words and columns.

    Args:
        result: what that has written as JSON.
    """
    device, versions = result["device"], result["versions"]
    lines = [f"{device['name']}, PyTorch {versions['torch']}, numba-cuda {versions['numba-cuda']}", ""]
    swept = result.get("sweep")
    if swept:
        lines.append("errors: the largest of value and gradient in ULP over all float32 numbers")
    lines += ["value, vjp: bytes moved in a second, as a share of a copy on the device", ""]
    head = ("", *(ERRORS if swept else ()), *SPEEDS)
    rows = [_row(name, result) for name in sorted(result.get("bandwidth", {}))]
    return "\n".join([*lines, *_columns([head, *rows]), "", *_summary(result)])


def _row(name: str, result: Mapping[str, Any]) -> tuple[str, ...]:
    sweep = result.get("sweep", {}).get(name) or {}
    errors = [_worst(v for k, v in sweep.items() if k.startswith("torch") == theirs) for theirs in (False, True)]
    errors = errors if result.get("sweep") else []
    speed = _main(result["bandwidth"][name])
    found = [_number(speed.get(o, {}).get(who)) for o in OUTPUTS for who in ("symgen", "torch")]
    return (name, *map(_number, errors), *found)


def _main(sizes: Mapping[str, Any]) -> Mapping[str, Any]:
    """The size that stands for all: rows of 1024, or the largest array of float32."""
    numbers = [k for k in sizes if k.isdigit()]
    found = sizes.get("rows of 1024") or (sizes[max(numbers, key=int)] if numbers else {})
    return found if isinstance(found, Mapping) else {}


def _worst(swept: Iterable[Any]) -> float | None:
    """The largest error of a value or a first derivative that was swept."""
    return max((v["largest error in ULP"] for v in swept if isinstance(v, Mapping)), default=None)


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.3g}"


def _columns(rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(f"{c:<{w}}" if i == 0 else f"{c:>{w}}" for i, (c, w) in enumerate(zip(row, widths, strict=True)))
            .rstrip() for row in rows]  # fmt: skip


def _summary(result: Mapping[str, Any]) -> list[str]:
    """Geometric means over all functions: of shares of a copy, and of times beside PyTorch's."""
    found, speeds = [], [_main(v) for v in result.get("bandwidth", {}).values()]
    for output in (*OUTPUTS, "mean and gradient"):
        own = [s[output]["symgen"] for s in speeds if s.get(output, {}).get("symgen")]
        both = [s[output]["symgen"] / s[output]["torch"] for s in speeds if s.get(output, {}).get("torch")
                and s[output]["symgen"]]  # fmt: skip
        if own and both:
            found.append(f"{output}: {_mean(own):.2f} of a copy in the mean of {len(own)} functions; "
                         f"{_mean(both):.2f} times PyTorch's speed in that of {len(both)}")  # fmt: skip
    calls = [v for v in result.get("overhead", {}).values() if v and "symgen" in v]
    if calls:
        median = {who: float(np.median([v[who] for v in calls])) for who in ("symgen", "torch")}
        found.append(f"a call on four elements, microseconds: {median['symgen']:.1f}, PyTorch {median['torch']:.1f}")
    return found


def _mean(values: Sequence[float]) -> float:
    return float(np.exp(np.mean(np.log(values))))
