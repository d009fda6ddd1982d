"""Every CUDA kernel against ball arithmetic, as its PTX computes: tails, kinks and specials among the points."""

from __future__ import annotations

import importlib
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest

from symgen import ulp
from symgen.certify_cases import Case, cases
from symgen.features import kinks
from symgen.oracle import Oracle
from symgen.stabilize.probe import grid
from symgen.stabilize.recognize import recognize

# the largest error in ULP, away from roots, of the value and of the first and second derivative
BARS = {"float32": (4.0, 4.0, 8.0), "float64": (4.0, 4.0, 8.0), "float16": (0.51, 0.51, 0.51), "bfloat16": (0.51,) * 3}
# the share of points that may miss it, or give NaN, where the build says itself that some do
EXCUSED = 0.01
SAMPLE = 3
DTYPES = {"bfloat16": np.dtype(ml_dtypes.bfloat16), **{n: np.dtype(n) for n in ("float16", "float32", "float64")}}
MANIFEST = Path(__file__).parents[2] / "generated" / "manifest.json"


def points(case: Case, dtype: str) -> np.ndarray:
    """Inputs of all sizes, those beside kinks, and specials, within the domain."""
    form = DTYPES[dtype]
    with np.errstate(over="ignore"):
        thin = 1 if dtype == "float32" and case.base else 3
        found = grid(-np.inf, np.inf, thin).astype(form).astype(np.float64)
    around = ulp.neighbourhood(kinks(case.expression, case.symbol, dict(case.parameters)), 8, dtype)
    found = np.unique(np.concatenate([found, around]))
    # within a rounding of the largest float64, libdevice's hypot overflows
    return found[(np.abs(found) < 0.999 * float(ml_dtypes.finfo(form).max)) & ulp.inside(found, case.limits)]


def beside_roots(truth: np.ndarray) -> np.ndarray:
    """Which points stand next to a change of sign that is not at zero; the points are in ascending order."""
    sign = np.sign(truth)
    changes = np.flatnonzero(sign[:-1] * sign[1:] < 0)
    near = np.zeros(truth.size, bool)
    for i in changes:
        near[max(i - 12, 0) : i + 13] = True
    return near


def missing(name: str) -> set[tuple[str, str]]:
    """Variants and outputs that the build itself says miss their bar somewhere in float32."""
    entry = json.loads(MANIFEST.read_text(encoding="utf-8"))["functions"][name]
    return {(suffix, output) for suffix, output in entry["cuda"]["missed"]}


@dataclass(frozen=True)
class Measured:
    """The largest error away from roots and where it is, and shares of points: beyond the bar, and NaN for a number."""

    worst: float
    at: float
    beyond: float
    wrong: float


def measure(device_array: Any, kernel: Any, case: Case, dtype: str, order: int, bar: float) -> Measured:
    """What a kernel computes, beside the truth."""
    form, x = DTYPES[dtype], points(case, dtype)
    held = [x if v is None else np.full(x.shape, v) for _, v in case.operands]
    arrays = {n: device_array(v.astype(form)) for (n, _), v in zip(case.operands, held, strict=True)}
    options = dict(case.options) | arrays
    # an operand that is held has the value that its dtype gives it
    parameters = {
        n: float(np.array(v).astype(form)) if n in {a for a, w in case.operands if w is not None} else v
        for n, v in case.parameters
    }
    oracle = Oracle(case.expression, case.symbol, order, recognize(case.expression)[0])
    (truth,) = oracle.truth(x, parameters, (order,))
    more = {"order": order, "wrt": case.operand, **options}
    found = kernel.grad(**more) if order else kernel(**options)
    got = found.memory
    known = ~np.isnan(truth.high)
    if any(v is not None for _, v in case.operands):  # a product of several operands overflows factor by factor
        known &= ~(np.abs(truth.high) > float(ml_dtypes.finfo(form).max) / 8)
    errors = np.where(known & ~beside_roots(truth.high), ulp.error(got, truth, dtype), 0.0)
    worst = int(np.argmax(errors))
    wrong = np.isnan(got.astype(np.float64)) & known
    beyond = errors > bar
    return Measured(float(errors[worst]), float(x[worst]), float(beyond.mean()), float(wrong.mean()))


def calls(kernel: Any, functions: str) -> bool:
    """Whether the kernels call some functions, given as a pattern."""
    text = Path(importlib.import_module(kernel._module).__file__).read_text(encoding="utf-8")
    return re.search(rf"\b(?:{functions})\(", text) is not None


def check(ops: Any, device_array: Any, kernel: Any, name: str, dtype: str, orders: range) -> None:
    complaints = []
    excused = missing(name) if dtype != "float64" else set()
    for case in cases(ops()[name]):
        for output, order in case.outputs:
            if order not in orders:
                continue
            found = measure(device_array, kernel, case, dtype, order, BARS[dtype][order])
            allowed = EXCUSED if (case.variant.suffix, output) in excused else 0.0
            if found.beyond > allowed or found.wrong > allowed:
                complaints.append(f"{output} {case.settings}: {found}")
    assert complaints == []


def test_float32_arithmetic_keeps_its_bars(name, ops, device_array, simulated):
    check(ops, device_array, simulated(name, (9, 0)), name, "float32", range(3))


def test_float32_arithmetic_keeps_its_bars_on_the_newest_devices(name, ops, device_array, simulated, names):
    if names.index(name) % SAMPLE:
        pytest.skip(f"one function in {SAMPLE} is compiled for them")
    check(ops, device_array, simulated(name, (10, 0)), name, "float32", range(2))


def test_float64_arithmetic_keeps_its_bars(name, ops, device_array, simulated):
    if calls(simulated(name, (9, 0)), "(?:sin|cos|tan)(?:_sum|_product)?"):
        pytest.skip("the interpreter knows no calls of functions, which libdevice's float64 sine makes")
    check(ops, device_array, simulated(name, (9, 0)), name, "float64", range(2))


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_narrow_types_are_rounded_once(name, dtype, ops, device_array, simulated):
    check(ops, device_array, simulated(name, (8, 0)), name, dtype, range(2))
