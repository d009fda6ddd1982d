"""Quick float32 cores: what they are sure of is right, and what they are not is computed in pairs."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache

import numpy as np
import pytest
from flint import arb, ctx

import symgen.functional as F
from symgen.catalogue import folder
from symgen.derivation import Output
from symgen.kernel import Node, ScalarFunction, call, const, fma, node, select, var
from symgen.pipeline import derive
from symgen.spec import load
from symgen.stabilize.doubt import doubt
from symgen.stabilize.relative import Range

x, t, w = var("x"), var("t"), var("w")
RANGES: dict[str, Range] = {"t": (0.0, 1.0), "w": (0.0, math.inf)}


def told(result: Node, **values: float) -> tuple[float, bool]:
    """A result and whether it is in doubt."""
    found = doubt(result, RANGES)
    assert found is not None
    graph = ScalarFunction("told", tuple(values), (result, found))
    value, wrong = graph.evaluate([np.float64(v) for v in values.values()])
    return float(value), bool(wrong != 0)


def test_a_difference_is_in_doubt_where_little_is_left_of_it() -> None:
    """20 bits may go of the 29 that a float64 has beyond a float32."""
    difference = call("exp_medium", x) - t
    assert told(difference, x=0.0, t=0.5) == (0.5, False)
    assert not told(difference, x=0.0, t=1 - 2.0**-17)[1]
    assert told(difference, x=0.0, t=1 - 2.0**-19)[1]
    assert told(difference, x=0.0, t=1.0) == (0.0, True)


def test_what_is_known_relatively_is_never_in_doubt_unless_it_is_no_number() -> None:
    """Products, and sums of one sign, of any elementary functions."""
    total = t * call("exp_medium", x) + w / call("log1p_medium", w)
    assert not told(total, x=-700.0, t=1e-30, w=1e-30)[1]
    assert told(total, x=1.0, t=0.5, w=math.inf)[1]
    assert told(total, x=math.nan, t=0.5, w=1.0)[1]


def test_an_infinite_operand_is_in_doubt_where_it_is_watched() -> None:
    """The result may be a number there, and not the limit."""
    settled = t / (w + w)
    assert not told(settled, t=0.5, w=math.inf)[1]
    found = doubt(settled, RANGES, ["w"])
    assert found is not None
    graph = ScalarFunction("told", ("t", "w"), (found,))
    assert [bool(graph.evaluate([0.5, v])[0] != 0) for v in (math.inf, 1e300)] == [True, False]


def test_operands_cancel_exactly() -> None:
    """Their difference is rounded once, whatever is left of it."""
    assert not told(x - t, x=1.0, t=1 - 2.0**-53)[1]


def test_factors_pass_their_doubt_on() -> None:
    """What a difference has lost, a product with it has lost, however large the rest is."""
    near = {"x": 0.0, "t": 1 - 2.0**-20, "w": 2.0**100}
    difference = call("exp_medium", x) - t
    assert told(difference * w, **near)[1]
    assert told(-(w / difference), **near)[1]
    assert told(abs(difference) * (difference + w), **near)[1]
    assert not told((difference + 2.0) * w, **near)[1]


def test_a_selection_is_in_doubt_where_the_chosen_arm_is() -> None:
    """The arm that is not read may be anything."""
    result = select(node("eq", t, const(0.0)), const(0.0), call("log_medium", t) - x)
    assert told(result, t=0.0, x=-math.inf) == (0.0, False)
    assert told(result, t=0.5, x=math.log(0.5))[1]


def test_a_positive_part_has_a_sign() -> None:
    """``x if 0 < x else 0`` adds to what is positive without a doubt."""
    total = select(node("lt", const(0.0), x), x, const(0.0)) + call("log1p_unit_medium", t)
    assert not told(total, x=-1e30, t=0.5)[1]
    assert "le" not in {n.op for n in ScalarFunction("f", ("x", "t"), (doubt(total, RANGES) or total,)).order}


@pytest.mark.parametrize("unknown", [fma(x, t, w), call("sin", x) - t, call("log_medium", x - call("sin", t))])
def test_what_has_no_size_here_has_no_twin(unknown: Node) -> None:
    """Pairs stay where nothing is known of an operation."""
    assert doubt(unknown, RANGES) is None


@pytest.mark.parametrize(
    ("result", "exact"),
    [
        (call("exp_medium", x) - t, lambda x, t: x.exp() - t),
        (call("log_medium", t) - x, lambda x, t: t.log() - x),
        (call("log_medium", t + 1e-8) - x, lambda x, t: (t + arb(1e-8)).log() - x),
        (call("log1p_medium", t * t / 3.0) - x * x, lambda x, t: (t * t / 3).log1p() - x * x),
        (call("pow_medium", call("exp_medium", x), const(2.5)) - t, lambda x, t: (x * 2.5).exp() - t),
        ((call("exp_medium", x) - t) * call("exp_medium", x) / (w + 1.0), lambda x, t: (x.exp() - t) * x.exp()),
        (call("exp_medium", call("exp_medium", x) - t) - 1.0, lambda x, t: (x.exp() - t).expm1()),
        (t / (1.0 - x) - (1.0 - t) / call("exp_medium", x), lambda x, t: t / (1 - x) - (1 - t) / x.exp()),
    ],
)
def test_what_is_not_in_doubt_is_right_to_a_float32(result: Node, exact: Callable[[arb, arb], arb]) -> None:
    """To a five hundredth of its unit, beside roots of all distances."""
    saved, ctx.prec = ctx.prec, 200
    random = np.random.default_rng(5)
    try:
        xs, ts, sure = [], [], 0
        for _ in range(60):
            at = float(np.float32(random.uniform(-3, -0.1)))
            low, high = 2.0**-40, 1.0
            for _ in range(random.integers(3, 60)):  # towards a root in t, where there is one
                middle = (low + high) / 2
                same = (exact(arb(at), arb(low)) > 0) == (exact(arb(at), arb(middle)) > 0)
                low, high = (middle, high) if same else (low, middle)
            xs.append(at)
            ts.append(low)
        found = doubt(result, RANGES)
        assert found is not None
        values, wrong = ScalarFunction("f", ("x", "t", "w"), (result, found)).evaluate(
            [np.array(xs), np.array(ts), np.zeros(60)]
        )
        for at, of, got, out in zip(xs, ts, values.tolist(), wrong.tolist(), strict=True):
            if not out:
                sure += 1
                assert abs(arb(got) / exact(arb(at), arb(of)) - 1) < arb(2) ** -33
        assert 5 < sure < 60
    finally:
        ctx.prec = saved


@cache
def outputs(name: str) -> dict[str, Output]:
    """Of the first variant of a function in the catalogue."""
    return {o.name: o for o in derive(load(folder())[name]).variants[0].outputs}


@pytest.mark.parametrize(
    ("name", "quick"),
    [
        ("kl_div", {"value"}),
        ("binary_cross_entropy", {"grad"}),
        ("gaussian_nll_loss", {"value", "grad_var"}),
        ("sigmoid_focal_loss", {"value", "grad"}),  # its exponent is free
        ("soft_margin_loss", set()),  # nothing in it needs pairs
        ("pseudo_huber_loss", set()),  # its root moves with nothing
        ("softplus", set()),
    ],
)
def test_values_and_gradients_in_pairs_have_quick_twins(name: str, quick: set[str]) -> None:
    """Where roots move with operands; second derivatives and gradients of options have none."""
    assert {k for k, o in outputs(name).items() if o.quick} == quick


def test_a_twin_has_the_weights_and_the_sign_of_its_core() -> None:
    """It is negated and multiplied as the core is, and its doubt stays."""
    for o in outputs("binary_cross_entropy").values():
        if o.quick:
            at = [np.array([0.25, 0.5]), np.array([0.75, 0.5]), np.array([3.0, 3.0])]
            value, wrong = o.quick.evaluate(at)
            np.testing.assert_allclose(value, o.cores["f32"].evaluate(at)[0], rtol=2.0**-40)
            assert (wrong != 0).tolist() == [False, True]


def operands(size: int) -> tuple[np.ndarray, np.ndarray]:
    """Logits and labels between 0 and 1; one in the second tile of 256 is the sigmoid of its logit, nearly."""
    random = np.random.default_rng(1)
    logits = random.normal(size=size).astype(np.float32)
    labels = random.uniform(size=size).astype(np.float32)
    labels[300] = np.float32(1 / (1 + np.exp(-np.float64(logits[300]))))
    return logits, labels


def test_a_tile_with_a_doubt_is_computed_in_pairs() -> None:
    """All of it, and no other: the gradient beside a root is that of the core in pairs, to the last bit."""
    logits, labels = operands(1000)
    loss = F.binary_cross_entropy_with_logits
    got = loss.grad(logits, labels, reduction="none")
    core = loss.scalar_grad
    exact = np.array([core(float(a), float(b), 1.0, 1.0) for a, b in zip(logits, labels, strict=True)])
    assert got.dtype == np.float32
    assert abs(exact[300]) < 2.0**-24
    np.testing.assert_array_equal(got[256:512], exact[256:512].astype(np.float32))
    np.testing.assert_allclose(got, exact, rtol=2.0**-24)


def test_results_may_stand_in_place_of_operands() -> None:
    """A tile is finished before anything of it is written."""
    logits, labels = operands(1000)
    loss = F.kl_div
    want = loss(logits, labels, reduction="none")
    got = loss(logits, labels, reduction="none", out=logits)
    assert got is logits
    np.testing.assert_array_equal(got, want)


@pytest.mark.parametrize("size", [1, 127, 128, 300, 301, 1000])
def test_sums_have_tiles_in_doubt_too(size: int) -> None:
    """A sum and its gradients are those of the single results, whatever the last tile holds."""
    logits, labels = operands(1000)
    logits, labels = logits[:size], labels[:size]
    loss = F.binary_cross_entropy_with_logits
    value, gradient = loss.value_and_grad(logits, labels, reduction="sum")
    each = loss(logits.astype(np.float64), labels.astype(np.float64), reduction="none")
    assert float(value) == pytest.approx(math.fsum(each), rel=2.0**-23)
    np.testing.assert_array_equal(gradient, loss.grad(logits, labels, reduction="none"))
