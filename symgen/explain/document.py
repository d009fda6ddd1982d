"""The report as values for JSON: the same content as the text, every formula and number in full."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any

from symgen.explain.report import Report


def document(report: Report) -> dict[str, Any]:
    """Objects by field name; formulas as text, infinities and NaN as text, certified errors by output and dtype."""
    content = {f.name: _value(getattr(report, f.name)) for f in fields(report) if f.name != "certified"}
    certified: dict[str, dict[str, Any]] = {}
    for (output, dtype), error in report.certified.items():
        certified.setdefault(output, {})[dtype] = _value(error)
    return {**content, "certified": certified}


def _value(value: Any) -> Any:
    if is_dataclass(value) and not isinstance(value, type):
        return {f.name: _value(getattr(value, f.name)) for f in fields(value)}
    if isinstance(value, Mapping):
        return {str(k): _value(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_value(v) for v in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    return value if value is None or isinstance(value, bool | int | str) else str(value)
