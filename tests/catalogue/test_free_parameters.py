"""Options far from their defaults: a kernel must not carry a number that was measured at another value of them."""

from __future__ import annotations

import math
import sys
from typing import Any

import numpy as np

from symgen import ulp
from symgen.oracle import Oracle
from symgen.pipeline import derive
from symgen.settings import first_tensor, free, settings
from symgen.stabilize.recognize import recognize

KIND = "activations"  # losses have rules of their own: test_losses.py

LARGEST = sys.float_info.max
BAR = 2.0  # ULP of float64
AROUND = np.array([-30.0, -3.0, -1.0, -0.3, -1e-3, 1e-3, 0.3, 1.0, 3.0, 30.0])


def test_no_cut_stands_at_a_number(catalogue: Any, name: str) -> None:
    """Where a kernel takes options, the line is cut at zero and at the infinities alone."""
    op = catalogue.ops()[name]
    if not any(free(op, v) for v in op.variants):
        return
    for variant in derive(op).variants:
        if not free(op, variant.variant):
            continue
        for output in variant.outputs:
            for form in output.forms.values():
                cuts = {s.lower for region in form.regions() for s in region.segments}
                assert cuts <= {-math.inf, -LARGEST, 0.0, math.inf}, output.name


def test_extreme_options_keep_to_the_bar(catalogue: Any, name: str) -> None:
    """Value and slope in float64 where an option of 1e-30 or 1e30 moves what the function does near one."""
    op, kernel = catalogue.ops()[name], catalogue.kernel(name)
    variant, x = op.variants[0], first_tensor(op)
    extreme = [s for s in settings(op, variant) if any(abs(v) in (1e-30, 1e30) for v in s.values())]
    for setting in extreme:
        (size,) = {abs(v) for v in setting.values() if abs(v) in (1e-30, 1e30)}
        points = np.unique(np.concatenate([AROUND * size**k for k in (1.0, -1.0, 0.5, -0.5)]))
        points = points[ulp.inside(points, list(x.role.limits))]
        oracle = Oracle(variant.value, op.symbol(x.name), 1, recognize(variant.value)[0])
        truths = oracle.truth(points, setting, (0, 1))
        arrays = [np.array([setting[a.name]]) for a in op.operands if a is not x]
        options = {a.name: setting[a.name] for a in op.options if a.name in setting}
        for computed, truth in zip((kernel, kernel.grad), truths, strict=True):
            extra = {"wrt": x.name} if computed is not kernel else {}
            errors = ulp.error(computed(points, *arrays, **options, **extra), truth, "float64")
            assert np.nanmax(errors) <= BAR, (setting, points[np.nanargmax(errors)])
