"""Every function, variant and derivative against ball arithmetic, in the four dtypes and where it is hardest."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np
import pytest

from symgen import ulp
from symgen.certificate import Certificate, Row
from symgen.certify import Effort, Knowledge, certify_cases
from symgen.certify_cases import Case, directions
from symgen.certify_survey import measured, situations
from symgen.features import kinks
from symgen.oracle import Oracle
from symgen.stabilize.recognize import recognize

EFFORT = Effort(points32=400, points64=400, others=0.5, gradients=0.5, near=6, dtypes=("float64", "float32"))
STRIDE = 41  # through the 63,488 or 65,280 values of a 16-bit format; prime, so that it meets each binade elsewhere
NEAR = 8


def certificate(catalogue: Any, name: str, cases: Sequence[Case]) -> Certificate:
    """What a function measures at some cases, the neighbourhoods of the kernel's own cuts among the points."""
    variants = catalogue.ops()[name].variants
    known = {v.suffix: Knowledge(catalogue.cuts(name), recognize(v.value)[0]) for v in variants}
    return certify_cases(name, cases, catalogue.kernel(name), known, effort=EFFORT)


def test_no_bar_is_missed(catalogue: Any, name: str) -> None:
    """In float32 and float64, value, derivatives and gradients in parameters keep to the bars at every setting."""
    found = certificate(catalogue, name, catalogue.measured(name))
    assert found.failures() == []
    inputs = sum(row.inputs for row in found.rows)
    assert inputs > 100 * len(found.rows)
    assert 20 * sum(row.unknown for row in found.rows) < inputs


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_half_precisions(catalogue: Any, name: str, dtype: str) -> None:
    """Fifteen hundred 16-bit inputs, and those beside every cut and kink, are rounded correctly in every output."""
    for case in catalogue.base(name):
        around = [*catalogue.cuts(name), *kinks(case.expression, case.symbol, dict(case.parameters))]
        chosen = [ulp.all_values(dtype)[::STRIDE], ulp.specials(dtype), ulp.neighbourhood(around, NEAR, dtype)]
        points = np.unique(np.concatenate(chosen))
        points = points[ulp.inside(points, case.limits)]
        rows = list(half_precision_rows(catalogue.kernel(name), case, points, dtype))
        assert [f for row in rows for f in row.failures()] == []
        assert all(row.inputs > 0.9 * len(points) for row in rows)


def half_precision_rows(kernel: Any, case: Case, points: Any, dtype: str) -> Iterator[Row]:
    """A row for each output of a case, measured at these points."""
    x = points.astype(ulp.format_of(dtype).dtype)
    operands = {name: x if v is None else np.full(1, v).astype(x.dtype) for name, v in case.operands}
    nowhere = np.zeros(points.shape, bool)
    for along in directions(case):
        orders = tuple(order for _, order in along.outputs)
        parameters: dict[str, Any] = dict(case.parameters)
        at = points
        if not along.is_operand:
            at = np.full(points.shape, parameters[along.name])
            parameters[case.operand] = points
        oracle = Oracle(case.expression, along.symbol, max(orders), recognize(case.expression)[0])
        truths = oracle.truth(at, parameters, orders)
        for (output, order), truth in zip(along.outputs, truths, strict=True):
            call = kernel if order == 0 else partial(kernel.grad, order=order, wrt=along.name)
            found = measured(points, call(**operands, **dict(case.options)), truth, nowhere, dtype)
            yield Row(output, dtype, case.settings, situations=situations(case), **found)
