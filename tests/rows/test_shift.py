"""Free parameters reach exponentials wherever algebra has drawn them together, and change nothing."""

from __future__ import annotations

from pathlib import Path

import pytest
import sympy as sp

from symgen.rows.derive import derive
from symgen.rows.indices import index, read
from symgen.rows.shift import Family, Shifting
from tests.rows.test_lower import spec

SOFTMAX = "e = exp(x)\np = e / sum(e, K)\n"


@pytest.mark.parametrize(
    "body",
    [
        "return p[t]**2",  # exp(2 x)
        "return p[t]**2 * (1 - p[t])",  # exp(3 x) in its derivative
        "return p[t] * p[u]",  # exp(x_t + x_u)
    ],
)
def test_no_exponential_is_left_bare(tmp_path: Path, body: str) -> None:
    """Powers and products of probabilities overflow nowhere, in the value and in every derivative."""
    op = spec(tmp_path, "x: Tensor[K], t: Index[K], u: Index[K]", f"{SOFTMAX}{body} + x[u]", "@loss()")
    for output in derive(op).variants[0].outputs:
        exponents = [e.args[0] for s in output.stable.stages for e in s.body.atoms(sp.exp)]
        assert exponents
        assert all(e.has(sp.Symbol("m0", real=True)) for e in exponents), (output.name, exponents)


def test_what_is_taken_off() -> None:
    """The parameter of the whole exponent, else that of each of its terms, as often as it stands there."""
    x, k, m = read("x", [index("K.1")]), index("K.1"), read("m0")
    shifting = Shifting((Family(x, "m0", ()),), {})
    assert shifting.shift(x) == m
    assert shifting.shift(3 * x) == 3 * m
    assert shifting.shift(x.xreplace({k: index("K")}) + 2 * read("x", [index("K.2")])) == 3 * m
    assert shifting.shift(2 * read("y", [k])) == 0
