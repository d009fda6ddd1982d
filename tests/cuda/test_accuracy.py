"""Every CUDA kernel against ball arithmetic, as its PTX computes: tails, kinks and specials among the points."""

from __future__ import annotations

import importlib
import json
import re
from pathlib import Path
from typing import Any

import pytest

from symgen.certify_cases import cases
from symgen.certify_cuda import measured

# the largest error in ULP, away from roots, of the value and of the first and second derivative
BARS = {"float32": (4.0, 4.0, 8.0), "float64": (4.0, 4.0, 8.0), "float16": (0.51, 0.51, 0.51), "bfloat16": (0.51,) * 3}
# the share of points that may miss it, or give NaN, where the build says itself that some do
EXCUSED = 0.01
SAMPLE = 3
MANIFEST = Path(__file__).parents[2] / "generated" / "manifest.json"


def missing(name: str) -> set[tuple[str, str]]:
    """Variants and outputs that the build itself says miss their bar somewhere in float32."""
    entry = json.loads(MANIFEST.read_text(encoding="utf-8"))["functions"][name.partition(".")[0]]
    return {(suffix, output) for suffix, output in entry["cuda"]["missed"]}


def calls(kernel: Any, functions: str) -> bool:
    """Whether the kernels call some functions, given as a pattern."""
    text = Path(importlib.import_module(kernel._module).__file__).read_text(encoding="utf-8")
    return re.search(rf"\b(?:{functions})\(", text) is not None


def check(ops: Any, kernel: Any, name: str, dtype: str, orders: range) -> None:
    complaints = []
    excused = missing(name) if dtype != "float64" else set()
    for case in cases(ops()[name]):
        for output, order in case.outputs:
            if order not in orders:
                continue
            found = measured(kernel, case, dtype, order, BARS[dtype][order])
            allowed = EXCUSED if (case.variant.suffix, output) in excused else 0.0
            if found.beyond > allowed or found.wrong > allowed:
                complaints.append(f"{output} {case.settings}: {found}")
    assert complaints == []


def test_float32_arithmetic_keeps_its_bars(name, ops, executed):
    check(ops, executed(name, (9, 0)), name, "float32", range(3))


def test_float32_arithmetic_keeps_its_bars_on_the_newest_devices(name, ops, executed, names):
    if names.index(name) % SAMPLE:
        pytest.skip(f"one function in {SAMPLE} is compiled for them")
    check(ops, executed(name, (10, 0)), name, "float32", range(2))


def test_float64_arithmetic_keeps_its_bars(name, ops, executed):
    if calls(executed(name, (9, 0)), "(?:sin|cos|tan)(?:_sum|_product)?"):
        pytest.skip("the interpreter knows no calls of functions, which libdevice's float64 sine makes")
    check(ops, executed(name, (9, 0)), name, "float64", range(2))


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_narrow_types_are_rounded_once(name, dtype, ops, executed):
    check(ops, executed(name, (8, 0)), name, dtype, range(2))
