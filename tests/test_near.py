"""Twins of graphs for near arguments: which graphs have one, that it computes the same, and when it must not."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from flint import arb, ctx

from symgen.elementary import evaluate
from symgen.kernel import Node, ScalarFunction, call, const, var, verify
from symgen.near import CLOSEST, FARTHEST, WAVES, near

x, y = var("x"), var("y")
RANDOM = np.random.default_rng(11)
WAVE: dict[str, Callable[[arb], arb]] = {"sin": arb.sin, "cos": arb.cos}


def arguments(count: int = 1500) -> tuple[np.ndarray, np.ndarray]:
    """Sums over the range, next to multiples of a quarter turn among them; the low part is what a product loses."""
    some = [RANDOM.uniform(-30, 30, count), 2.0 ** RANDOM.uniform(-70, 30, count), np.arange(1, 400) * (np.pi / 2)]
    h = np.concatenate(some)
    h = h * RANDOM.choice([-1.0, 1.0], h.size)
    return h, h * 2.0**-54 * RANDOM.uniform(-1, 1, h.size)


def relative(name: str, got: np.ndarray, h: np.ndarray, low: np.ndarray, rest: np.ndarray) -> float:
    """The largest relative error of got + rest."""
    saved = ctx.prec
    ctx.prec = 300
    try:
        truth = [WAVE[name](arb(a) + arb(b)) for a, b in zip(h.tolist(), low.tolist(), strict=True)]
        sums = [arb(a) + arb(b) for a, b in zip(got.tolist(), rest.tolist(), strict=True)]
        return max(float(abs(a / b - 1)) for a, b in zip(sums, truth, strict=True))
    finally:
        ctx.prec = saved


@pytest.mark.parametrize("name", list(WAVE))
def test_near_waves_are_right_to_all_bits(name: str) -> None:
    """The rounded value is right to 0.7 ULP, with its low part to 2^-54, and the short form to 2^-35."""
    h, low = arguments()
    high, rest = evaluate(f"{name}_near", (h, low)), evaluate(f"{name}_near_low", (h, low))
    none = np.zeros_like(h)
    assert relative(name, high, h, low, rest) <= 2.0**-54
    assert relative(name, high, h, low, none) <= 0.7 * 2.0**-52
    assert relative(name, evaluate(f"{name}_near_short", (h, low)), h, low, none) <= 2.0**-35


def test_signs_of_zero_and_the_smallest_numbers_come_through() -> None:
    """The sine of a number next to nothing is that number."""
    tiny = np.array([0.0, -0.0, 5e-324, -1e-300])
    for part in ("", "_short"):
        got = evaluate(f"sin_near{part}", (tiny, 0 * tiny))
        np.testing.assert_array_equal(np.signbit(got), np.signbit(tiny))
        np.testing.assert_array_equal(got, tiny)


@pytest.mark.parametrize("primitive", list(WAVES))
@pytest.mark.parametrize("single", [False, True])
def test_a_twin_computes_what_its_graph_does(primitive: str, single: bool) -> None:
    """Of every wave, at arguments which the twin says are near, to half an ULP of the format."""
    two = primitive.removesuffix("_short").endswith(("_sum", "_product"))
    graph = call(primitive, x, y) if two else call(primitive, x)
    twin = near([graph * 2.0], single)
    assert twin is not None
    a = RANDOM.uniform(-40, 40, 800)
    b = RANDOM.uniform(-1e-17, 1e-17, 800) if "_sum" in primitive else RANDOM.uniform(-3, 3, 800)
    whole = verify(ScalarFunction("whole", ("x", "y"), (graph * 2.0,))).evaluate([a, b])[0]
    (nearby,), far = twin
    got, told = (verify(ScalarFunction("twin", ("x", "y"), (n,))).evaluate([a, b])[0] for n in (nearby, far))
    assert not told.any()
    np.testing.assert_allclose(got, whole, rtol=2.0**-34 if "short" in primitive else 2.0**-51)


def told(graph: Node, *values: float, single: bool = False) -> bool:
    """Whether an argument is told to be far."""
    twin = near([graph], single)
    assert twin is not None
    function = verify(ScalarFunction("far", ("x", "y"), (twin[1],)))
    return bool(function.evaluate([np.array([v]) for v in values])[0][0])


def test_what_is_far_is_told() -> None:
    """Arguments beyond 2^30, no numbers, and in float64 sums that nearly are a multiple of a quarter turn."""
    wave = call("sin_sum", x, y)
    assert not told(wave, FARTHEST, 0.0)
    assert told(wave, math.nextafter(FARTHEST, math.inf), 0.0)
    assert told(wave, math.nan, 0.0)
    assert told(wave, -math.inf, 0.0)
    pi, rest = math.pi, 1.2246467991473532e-16
    assert told(wave, pi, rest)
    assert not told(wave, pi, rest, single=True)
    assert not told(wave, pi, rest + 2 * CLOSEST)
    assert not told(wave, 0.0, 0.0)
    assert told(call("tan", x) + call("sin", y), 1.0, 1e300)


def test_a_graph_without_a_wave_has_no_twin() -> None:
    """Its loops stay as they are."""
    assert near([x * const(2.0) + call("exp", y)], False) is None
