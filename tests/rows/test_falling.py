"""Factors that are about to underflow: they stay in the products that they are factors of."""

from __future__ import annotations

import pytest
import sympy as sp

from symgen.program import Program, Stage
from symgen.rows.derive import derive
from symgen.rows.falling import falls, gathered
from symgen.rows.indices import index, read
from symgen.rows.lower import verify
from symgen.vocabulary import sigmoid
from tests.rows.hard import OPS

i, k = index("C"), index("C.1")
x, y, g = (read(name, [i]) for name in "xyg")
GATE = Stage("e0", "=", ("C",), (), sigmoid(x))
e0 = read("e0", [i])


def program(*stages: Stage) -> Program:
    return verify(Program("f", tuple(map(sp.Symbol, "gxy")), stages, (stages[-1].out,)))


@pytest.mark.parametrize(
    ("body", "expected"),
    [(sigmoid(x) * y, True), (sp.exp(x) ** 2 * y, True), (1 + sigmoid(x) * y, True), (sigmoid(x), False),
     (2 * sigmoid(x), False), (sigmoid(x) * sp.log(y), False), (sigmoid(x) + y, False), (y * sp.Symbol("x"), False)],
    ids=str,
)  # fmt: skip
def test_what_falls_is_a_product_with_an_entry(body: sp.Expr, expected: bool) -> None:
    """A gate alone is as small as its result, and a number is no array."""
    assert falls(body, {"x", "y"}) is expected


def test_a_gate_moves_into_the_only_product_that_needs_it() -> None:
    """Also where parts of an entry do; not where it would be computed twice, nor where no entry is multiplied."""
    parts = Stage("dx", "=", ("2", "C"), (), e0 * g * index("2"))
    (found,) = gathered(program(GATE, parts)).stages
    assert found.body == sigmoid(x) * g * index("2")
    twice = program(GATE, Stage("s", "sum", (), ("C",), e0), Stage("dx", "=", ("C",), (), e0 * g * read("s")))
    assert gathered(twice).stages == twice.stages
    alone = program(GATE, Stage("dx", "=", ("C",), (), e0 + g))
    assert gathered(alone).stages == alone.stages


def test_no_sum_of_gates_is_multiplied_afterwards() -> None:
    """What its terms share is taken out; where they share nothing, each is multiplied."""
    shared = program(GATE, Stage("dx", "=", ("C",), (), (e0 * y + e0 * y**2) * g))
    assert gathered(shared).stages[-1].body.args.count(sigmoid(x)) == 1
    apart = program(GATE, Stage("dx", "=", ("C",), (), (e0 * y + sp.exp(x) * x) * g))
    assert gathered(apart).stages[-1].body == sigmoid(x) * y * g + sp.exp(x) * x * g


@pytest.mark.parametrize("name", ["softmax", "cross_entropy", "layer_norm", "logsumexp"])
def test_rows_without_gates_stay_as_they_are(name: str) -> None:
    for output in derive(OPS[name]).variants[0].outputs:
        assert gathered(output.stable) == output.stable
        assert not any(falls(s.body, {p.name for p in output.stable.inputs}) for s in output.stable.stages)
