"""Free parameters reach exponentials wherever algebra has drawn them together, and change nothing."""

from __future__ import annotations

from pathlib import Path

import pytest
import sympy as sp
from sympy import Symbol

from symgen.rows import free
from symgen.rows.derive import derive
from symgen.rows.free import is_zero
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
        "return sum(sqrt(p), K) * p[t]",  # exp(x/2), which is largest where exp(x) is
    ],
)
def test_no_exponential_is_left_bare(tmp_path: Path, body: str) -> None:
    """Powers and products of probabilities overflow nowhere, in the value and in every derivative."""
    op = spec(tmp_path, "x: Tensor[K], t: Index[K], u: Index[K]", f"{SOFTMAX}{body} + x[u]", "@loss()")
    for output in derive(op).variants[0].outputs:
        exponents = [e.args[0] for s in output.stable.stages for e in s.body.atoms(sp.exp)]
        assert exponents
        assert all(e.has(sp.Symbol("m0", real=True)) for e in exponents), (output.name, exponents)


@pytest.mark.parametrize(
    "body",
    [
        "return exp(x[t]) / (1 + sum(exp(x), K))",  # a class of its own for nothing
        "return log(1 + sum(exp(x), K)) + x[t]",
        "return -log(exp(x[t] - 0.3) / (exp(x[t] - 0.3) + sum(exp(x[k]) for k in K if k != t)))",  # a margin
        "return log(2 + exp(u) + sum(exp(x), K)) - x[t]",
    ],
)
def test_what_is_added_to_a_sum_of_exponentials_is_shifted_with_it(tmp_path: Path, body: str) -> None:
    """Logits of 800 leave the range of exponentials, the parameter with its further exponents takes them back."""
    option = ", u: Real = 0" if "(u)" in body else ""
    op = spec(tmp_path, f"x: Tensor[K], t: Index[K]{option}", body, "@loss()")
    for output in derive(op).variants[0].outputs:
        parameter = read("m0")
        for stage in output.stable.stages:
            exponents = [e.args[0] for e in stage.body.atoms(sp.exp)]
            assert all(e.coeff(parameter) < 0 for e in exponents), (output.name, stage)


def test_what_is_taken_off() -> None:
    """The parameter of the whole exponent, else that of each of its terms, as often as it stands there."""
    x, k, m = read("x", [index("K.1")]), index("K.1"), read("m0")
    shifting = Shifting((Family(x, "m0", ()),), {})
    assert shifting.shift(x) == m
    assert shifting.shift(3 * x) == 3 * m
    assert shifting.shift(x.xreplace({k: index("K")}) + 2 * read("x", [index("K.2")])) == 3 * m
    assert shifting.shift(2 * read("y", [k])) == 0


def test_what_gathers_to_zero_is_shown_to_be_zero() -> None:
    """Powers of one base, terms over one divisor, and both together; what is not zero stays open."""
    s, t, p = Symbol("s", positive=True), Symbol("t", positive=True), Symbol("p", positive=True)
    assert is_zero(s * s ** (1 / p - 1) - s ** (1 / p))
    assert is_zero(1 / (s * (s + t)) + 1 / (t * (s + t)) - 1 / (s * t))
    assert is_zero(s * s ** (1 / p - 1) / (s + t) + t * s ** (1 / p) / (s**2 + s * t) - s ** (1 / p) / s)
    assert not is_zero(s ** (1 / p) - s**p)


def test_a_degree_is_a_number_or_made_of_options() -> None:
    """The slope of what scales with a power is that power times it, whatever shape calculus left it in."""
    s, y, p = Symbol("s", positive=True), Symbol("y", positive=True), Symbol("p", positive=True)
    root = sp.sqrt(s + y**2)
    assert degree(s / root**3 + y**2 / root**3, 1 / root) == -1
    assert degree(-p * y ** (p - 1) * y, y**p) == p
    assert degree(s * s ** (1 / p - 2) * (1 / p - 1), s ** (1 / p - 1)) == 1 - 1 / p
    assert degree(y, y + s) is None


def degree(slope: sp.Expr, body: sp.Expr) -> sp.Expr | None:
    found = free._degree(slope, body, ("s", "y"))
    return None if found is None else sp.expand(found)
