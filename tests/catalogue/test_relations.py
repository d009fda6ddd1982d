"""Relations that hold exactly in mathematics, and in the kernels to a stated number of units in the last place."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import symgen.functional as F
from symgen.oracle import Oracle

KIND = "activations"  # losses have rules of their own: test_losses.py

DTYPES = (np.float64, np.float32)
Relation = Callable[[Any], tuple[Any, Any, Any]]

# Left side, right side, and the largest number that is rounded on the way, in whose ULP the tolerance is counted:
# an ULP for each kernel and half a one for each sum; squares, products and compositions pass errors on.
RELATIONS: dict[str, tuple[Relation, float]] = {
    "sigmoid(x) + sigmoid(-x) = 1": (lambda x: (F.sigmoid(x) + F.sigmoid(-x), one(x), one(x)), 2.0),
    "softplus(x) - softplus(-x) = x": (lambda x: (F.softplus(x) - F.softplus(-x), x, F.softplus(np.abs(x))), 2.0),
    "gelu(x) - gelu(-x) = x": (lambda x: (F.gelu(x) - F.gelu(-x), x, x), 2.0),
    "gelu by tanh": (lambda x: (F.gelu(x, approximate="tanh") - F.gelu(-x, approximate="tanh"), x, x), 2.0),
    "silu(x) - silu(-x) = x": (lambda x: (F.silu(x) - F.silu(-x), x, x), 2.0),
    "quick_gelu(x) - quick_gelu(-x) = x": (lambda x: (F.quick_gelu(x) - F.quick_gelu(-x), x, x), 2.0),
    "squareplus(x) - squareplus(-x) = x": (
        lambda x: (F.squareplus(x) - F.squareplus(-x), x, F.squareplus(abs(x))), 2.0),
    "hardswish(x) - hardswish(-x) = x": (lambda x: (F.hardswish(x) - F.hardswish(-x), x, x), 2.0),
    "hardsigmoid(x) + hardsigmoid(-x) = 1": (lambda x: (F.hardsigmoid(x) + F.hardsigmoid(-x), one(x), one(x)), 1.0),
    "relu(x) - relu(-x) = x": (lambda x: (F.relu(x) - F.relu(-x), x, x), 0.0),
    "relu(x) - hardshrink(x, 0) = relu(-x)": (lambda x: (F.relu(x) - F.hardshrink(x, 0.0), F.relu(-x), x), 0.0),
    "logsigmoid(x) = -softplus(-x)": (lambda x: (F.logsigmoid(x), -F.softplus(-x), F.logsigmoid(x)), 2.0),
    "erf(x) + erfc(x) = 1": (lambda x: (F.erf(x) + F.erfc(x), one(x), 2 * one(x)), 1.0),
    "erfc(-x) = 1 + erf(x)": (lambda x: (F.erfc(-abs(x)), 1 + F.erf(abs(x)), 2 * one(x)), 1.0),
    "x - tanh(x) = tanhshrink(x)": (lambda x: (x - F.tanh(x), F.tanhshrink(x), x), 2.0),
    "tanh(x) = 2 sigmoid(2x) - 1": (lambda x: (F.tanh(x), 2 * F.sigmoid(2 * x) - 1, one(x)), 4.0),
    "softcap(x, 1) = tanh(x)": (lambda x: (F.softcap(x, 1.0), F.tanh(x), F.tanh(x)), 2.0),
    "celu(x) = elu(x)": (lambda x: (F.celu(x), F.elu(x), F.elu(x)), 2.0),
    "elu(x) - exponential(x) = -1 below zero": (
        lambda x: (F.elu(-abs(x)) - F.exponential(-abs(x)), -one(x), one(x)), 1.0),
    "exp(logsigmoid(x)) = sigmoid(x)": (
        lambda x: (F.exponential(F.logsigmoid(x)), F.sigmoid(x), F.sigmoid(x) * (1 + abs(F.logsigmoid(x)))), 8.0),
    "softplus' = sigmoid": (lambda x: (F.softplus.grad(x), F.sigmoid(x), F.sigmoid(x)), 2.0),
    "logsigmoid' = sigmoid(-x)": (lambda x: (F.logsigmoid.grad(x), F.sigmoid(-x), F.sigmoid(-x)), 2.0),
    "sigmoid' = softplus''": (lambda x: (F.sigmoid.grad(x), F.softplus.grad(x, order=2), F.sigmoid.grad(x)), 2.0),
    "exponential' = exponential": (lambda x: (F.exponential.grad(x), F.exponential(x), F.exponential(x)), 0.0),
    "tanhshrink' = tanh^2": (lambda x: (F.tanhshrink.grad(x), F.tanh(x) ** 2, F.tanhshrink.grad(x)), 4.0),
    "erfc' = -erf'": (lambda x: (F.erfc.grad(x), -F.erf.grad(x), F.erf.grad(x)), 0.0),
}  # fmt: skip


def one(x: Any) -> Any:
    return np.ones_like(x)


def inputs(dtype: Any) -> st.SearchStrategy[Any]:
    """Arrays of finite numbers, ordinary ones, tiny ones and large ones."""
    width: Any = 8 * np.dtype(dtype).itemsize
    numbers = st.floats(-40, 40, width=width) | st.floats(-1, 1, width=width) | st.floats(-1e4, 1e4, width=width)
    return hnp.arrays(dtype, st.integers(1, 40), elements=numbers, fill=st.nothing())


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("relation", RELATIONS)
def test_relations(relation: str, dtype: Any) -> None:
    """Both sides agree to the tolerance of the table."""
    sides, tolerance = RELATIONS[relation]

    @given(x=inputs(dtype))
    def check(x: Any) -> None:
        with np.errstate(all="ignore"):
            left, right, size = sides(x)
            unit = np.spacing(np.maximum(np.abs(size), np.finfo(dtype).tiny).astype(dtype))
            off = np.where(left == right, 0, np.abs(left.astype(np.float64) - right) / unit)
        assert left.dtype == right.dtype == dtype
        assert (off <= tolerance).all(), (x[off > tolerance][0], off.max())

    check()


def parity(case: Any) -> int:
    """1 where the formula is even, -1 where it is odd, else 0, as ball arithmetic at some points says."""
    points = np.array([1e-300, 1e-5, 0.3, 0.5, 0.7, 1.1, 2.9, 3.3, 6.5, 11.0, 700.0, 1e5, 1e30])
    oracle = Oracle(case.expression, case.symbol, 0)
    if case.limits:
        return 0
    (right,), (left,) = (oracle.truth(s * points, dict(case.parameters), (0,)) for s in (1, -1))
    if not right.high.any():
        return 0
    same = [bool(np.all((left.high == k * right.high) & (left.low == k * right.low))) for k in (1, -1)]
    return 1 if same[0] else -1 if same[1] else 0


def test_odd_functions_are_odd(catalogue: Any, name: str, same_bits: Any) -> None:
    """Of an odd function value and second derivative are odd and the first is even, bit for bit; so for even ones."""
    kernel = catalogue.kernel(name)
    for case in catalogue.cases(name):
        sign = parity(case)
        if sign == 0:
            continue
        for dtype in catalogue.dtypes:
            x = catalogue.points(case, dtype)
            x = x[x.astype(np.float64) != 0]
            for order in (0, 1, 2):
                got, mirrored = (derivative(catalogue, kernel, case, v, order) for v in (x, -x))
                zeros = (got == 0) & (mirrored == 0)
                want = np.where(zeros, got, mirrored * np.asarray(sign * (-1) ** order, dtype))
                same_bits(got, want, f"{case.settings} {dtype} order {order}")


def derivative(catalogue: Any, kernel: Any, case: Any, x: Any, order: int) -> Any:
    """The value of a kernel, or one of its derivatives in the swept operand."""
    operands, options = catalogue.operands(case, x), dict(case.options)
    return kernel.grad(*operands, order=order, wrt=case.operand, **options) if order else kernel(*operands, **options)


def test_some_functions_are_odd(catalogue: Any) -> None:
    """The test above has something to say: a good number of functions are odd."""
    assert sum(parity(catalogue.base(n)[0]) == -1 for n in catalogue.activations) >= 8
