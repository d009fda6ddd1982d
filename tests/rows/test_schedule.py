"""What makes rows fast: passes that stages share, and short elementary functions where nothing cancels."""

from __future__ import annotations

import importlib
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import symgen.functional as F
from symgen.backends.numba_row_passes import passes
from symgen.rows.derive import derive
from symgen.rows.precision import relative, units
from tests.rows.hard import OPS


@pytest.mark.parametrize(
    ("name", "short"), [("softmax", (True, False)), ("log_softmax", (True, False)), ("logsumexp", (False, True))]
)
def test_short_functions_where_nothing_cancels(name: str, short: tuple[bool, bool]) -> None:
    """A probability and its logarithm keep relative precision; a log-sum-exp may be near its root, a gradient too."""
    outputs = [derive(OPS[name]).variants[0].output(o) for o in ("value", "vjp")]
    assert tuple(relative(o.stable, o.families) for o in outputs) == short


def test_logarithms_without_a_shift() -> None:
    """Without its free parameter a log-softmax subtracts what may be equal."""
    value = derive(OPS["log_softmax"]).variants[0].output("value")
    assert not relative(value.stable, ())


def test_sums_that_are_one_and_more() -> None:
    """A sum of shifted exponentials has an inverse in every dtype; other sums may have none."""
    value = derive(OPS["softmax"]).variants[0].output("value")
    assert units(value.stable, value.families) == {"s0"}
    assert units(value.stable, ()) == set()


def test_an_exponential_is_summed_in_the_pass_that_computes_it() -> None:
    """Softmax takes three passes: the largest, the exponentials with their sum, the quotients."""
    for schedule in derive(OPS["softmax"]).variants[0].output("value").schedules:
        found = [[s.stage.out for s in p.steps] for p in passes(schedule.steps)]
        assert found == [["m0"], ["e0", "s0"], ["r_s0"], ["out"]]


@pytest.mark.parametrize(
    ("name", "output", "ones", "pairs"),
    [
        ("softmax", "value", set(), set()), ("softmax", "vjp", set(), set()), ("log_softmax", "value", {"s0"}, {"s0"}),
        ("log_softmax", "vjp", set(), {"e0", "s0", "r_s0", "s2"}), ("logsumexp", "value", {"s0"}, {"s0"}),
    ],
)  # fmt: skip
def test_what_float32_results_keep_as_pairs(name: str, output: str, ones: set[str], pairs: set[str]) -> None:
    """A sum of exponentials is told from one where it meets something exact; what no result asks for is no pair.

    Where what was passed is compared with the exponentials, each of them tells what it lost.
    """
    single = next(s for s in derive(OPS[name]).variants[0].output(output).schedules if s.target == "f32")
    assert {s.stage.out for s in single.steps if s.one} == ones
    assert {s.stage.out for s in single.steps if s.pair} == pairs


@pytest.mark.parametrize("tag", ["f32", "f64"])
@pytest.mark.parametrize("name", ["softmax", "log_softmax", "logsumexp"])
def test_loops_of_rows_are_vector_code(name: str, tag: str) -> None:
    """The loops over entries call nothing, gather nothing, and compute with vectors as wide as the processor's."""
    module = importlib.import_module(f"symgen.generated.activations.{name}")
    text = Path(str(module.__file__)).read_text(encoding="utf-8").replace("cache=True", "cache=False")
    made: dict[str, Any] = {"__name__": "uncached", "__package__": module.__package__}
    exec(compile(text, "uncached", "exec"), made)  # of cached code there is no text
    x = np.zeros((2, 500), {"f32": np.float32, "f64": np.float64}[tag])
    given = {"x": x, "where": np.ones((1, 500), bool), "temperature": 0.5}
    out = np.empty(2, x.dtype) if name == "logsumexp" else np.empty_like(x)
    kernels = [k for n, k in made.items() if re.fullmatch(rf"value_{tag}(_temperature_(none|given))?", n)]
    assert kernels
    for kernel in kernels:
        if not hasattr(kernel, "inspect_asm"):
            pytest.skip("Numba compiles nothing here")
        parameters = kernel.py_func.__code__.co_varnames[: kernel.py_func.__code__.co_argcount]
        kernel(*(given.get(p, out) for p in parameters))
        code = kernel.inspect_asm(kernel.signatures[-1])
        if "ymm" not in code:
            pytest.skip("no vectors that this test knows the names of")
        wide = "zmm" if "zmm" in code else "ymm"
        assert len(re.findall(rf"vf\w*add\w*pd.*{wide}", code)) >= 8
        assert "gather" not in code
        assert not re.search(r"\$(exp|log|exp2|fmax)\b", code)


def test_terms_that_share_roundings_keep_their_low_parts():
    """``p^q (1 - p)`` as the difference of two terms with one rounding in common: what is left of it shows others."""
    x = np.array([[40.0, 0.0]], np.float32)
    _, dx = F.generalized_cross_entropy.value_and_grad(x, np.array([0]), reduction="sum")
    assert dx[0].tolist() == pytest.approx([-4.248354255291589e-18, 4.248354255291589e-18], rel=1e-6, abs=0.0)
