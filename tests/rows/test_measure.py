"""What a build finds out about functions of rows: their code on a few hard rows, before any is compiled."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import sympy as sp

import symgen.functional as F
from symgen.archetypes import archetype_of
from symgen.certify_rows import Call
from symgen.missed import Miss, misses, warning
from symgen.oracle_balls import OracleError
from symgen.rows import reference
from symgen.rows.derive import derive
from symgen.rows.measure import measured
from symgen.rows.simulate import run
from symgen.spec import load
from tests.rows.hard import OPS, sample

TWO = '''"""Divergences."""
from symgen.catalogue import log_softmax, softmax
from symgen.spec import Axis, Tensor, log, loss, sum

C = Axis("C")

@loss()
def divergence(input: Tensor[C], target: Tensor[C]):
    """Of two softmaxes."""
    p, q = softmax(input), softmax(target)
    return sum(q * (log(q) - log(p)), C)

@loss()
def surprise(input: Tensor[C], target: Tensor[C]):
    """What is expected of one and found of another."""
    return -sum(softmax(target) * log_softmax(input), C)
'''


@pytest.mark.parametrize("name", ["softmax", "layer_norm", "normalize", "multilabel_margin_loss", "cosine_similarity"])
def test_code_that_is_run_by_numpy_is_what_kernels_compute(name: str) -> None:
    """Values in float64, of three samples at a time, but for the order in which sums are rounded."""
    op = OPS[name]
    derived = derive(op, only="value").variants[0]
    drawn = [sample(op, derived.variant, 5, seed)[0] for seed in range(3)]
    _, lengths = sample(op, derived.variant, 5, 0)
    schedule = next(s for s in derived.output("value").schedules if s.target == "f64")
    (got,) = run(schedule, {n: np.stack([s[n] for s in drawn]) for n in drawn[0]}, lengths).values()
    wanted = [Call(op, derived.variant, getattr(F, name), s).value() for s in drawn]
    assert np.allclose(got, wanted, rtol=1e-15, atol=0)


def test_a_build_tells_of_rows_that_lose_digits(tmp_path: Path) -> None:
    """The divergence of two distributions that nearly agree is next to nothing; their cross entropy is not."""
    (tmp_path / "two.py").write_text(TWO, encoding="utf-8")
    ops = load(tmp_path)
    archetype = archetype_of(ops["divergence"])
    derived = archetype.derive(ops["divergence"])
    found = misses(derived)
    assert {m.place for m in found if m.output == "value"} == {"operands that nearly agree"}
    assert max(m.error for m in found if m.output == "value") > 1e5
    other = misses(archetype_of(ops["surprise"]).derive(ops["surprise"]))
    assert not [m for m in other if m.output == "value"]
    text = warning("divergence", found)
    assert "value in float64: " in text
    assert "ULP at a row of operands that nearly agree (the bar is 4)" in text
    assert all(Miss.from_json(m.to_json()) == m for m in found)
    assert "# f64 misses its bar: " in archetype.stages["stabilize"](derived)


@pytest.mark.parametrize("name", ["softmax", "log_softmax", "cross_entropy", "js_div", "triplet_margin_loss"])
def test_outputs_that_keep_their_bar_have_no_miss(name: str) -> None:
    """The catalogue's value and gradients, but for derivatives in an order and a small number beside it."""
    for variant in measured(derive(OPS[name])).variants:
        missed = {o.name for o in variant.outputs if any(o.unresolved.values())}
        assert missed <= {"vjp_p", "vjp_eps"}


def test_functions_that_the_oracle_lacks_are_built_without_a_measurement(tmp_path: Path) -> None:
    """Arcs and error functions are measured; what no ball arithmetic is known for stops no build."""
    names = "Axis, Tensor, activation, atan, erfc, exp, sinh, sum"
    head = f'"""Rows."""\nfrom symgen.spec import {names}\n\nC = Axis("C")\n\n\n'
    body = '@activation()\ndef {}(x: Tensor[C]):\n    """Some."""\n    return {} / sum(exp(x), C)\n\n\n'
    (tmp_path / "f.py").write_text(head + body.format("arcs", "atan(sinh(x)) * erfc(x)"), encoding="utf-8")
    op = load(tmp_path)["arcs"]
    (derived,) = measured(derive(op)).variants
    assert not any(derived.output("value").unresolved.values())
    with pytest.MonkeyPatch.context() as patch:
        patch.delitem(reference.TABLE, sp.atan)
        with pytest.raises(OracleError, match="no ball arithmetic for atan"):
            reference.truth(op.variants[0].value, {"x": np.zeros(2)}, {"C": 2})
        assert measured(derive(op)).variants[0].names == derived.names
