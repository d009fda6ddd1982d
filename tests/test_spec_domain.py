"""Stated domains: a formula that is undefined or complex inside one is an error with the point; nothing else is."""

from __future__ import annotations

from pathlib import Path

import pytest
from flint import arb
from hypothesis import given
from hypothesis import strategies as st

from symgen.catalogue import folder
from symgen.spec import SpecError, load
from symgen.spec.domain import breach_of
from symgen.spec.spans import NODES, Undefined

HEADER = "from symgen.spec import Int, Real, Tensor, activation, cos, exp, lgamma, log, sin, sqrt, tan\n"


def spec(signature: str, body: str) -> str:
    lines = "".join(f"    {line}\n" for line in body.splitlines())
    return f'{HEADER}@activation()\ndef f({signature}):\n    """Something."""\n{lines}'


# Of each: the signature, the body, what is said of the point, the hint.
WRONG = {
    "divisor": ("x, beta: Real = 1", "return x / beta", "undefined at beta = 0", "declare `beta: Real != 0`"),
    "logarithm": ("x", "return log(x)", "undefined at x = 0: log(x) is the logarithm of 0", "declare `x: Tensor > 0`"),
    "complex logarithm": ("x", "return log(x - 1 / 3)", "complex at x = 0", "hint: "),
    "root": ("x", "return sqrt(x - 1)", "complex at x = 0: sqrt(x - 1) is a root of -1", "declare `x: Tensor >= 1`"),
    "upper limit": (
        "x", "return sqrt(2 - x)", "complex at x = 3: sqrt(2 - x) is a root of -1", "declare `x: Tensor <= 2`",
    ),
    "both limits": ("x", "return sqrt(1 - x**2)", "complex at x = 2", "declare `x: -1 <= Tensor <= 1`"),
    "removable": ("x", "return sin(x) / x", "undefined at x = 0", "declare `x: Tensor != 0`"),
    "narrow": ("x", "return sqrt((x - 1.2345) ** 2 - 1e-6)", "complex at x = 1.23", "case of its own"),
    "transcendental root": ("x", "return 1 / (exp(x) - 2)", "undefined at x = 0.693147", "case of its own"),
    "irrational root": ("x", "return 1 / (x**2 - 2)", "undefined at x = ", "case of its own"),
    "nearest pole": ("x", "return tan(x)", "undefined at x = 1.5708", "case of its own"),
    "two arguments": ("x, a: Real = 0", "return 1 / (x - a)", "undefined at a = 0, x = 0", "case of its own"),
    "absolute value": ("x", "return log(abs(x))", "undefined at x = 0", "declare `x: Tensor != 0`"),
    "gamma": ("x", "return lgamma(x)", "undefined at x = 0", "declare `x: Tensor > 0`"),
    "double root": ("x", "return log(x**2 - 2 * x + 1)", "undefined at x = 1", "declare `x: Tensor != 1`"),
    "negative power": ("x, p: Real = 1", "return max(0, x) ** p", "undefined at p = -1, x = 0", "case of its own"),
    "inside a declared domain": ("x: Tensor > -1", "return log(x)", "at x = 0", "declare `x: Tensor > 0`"),
    "integer option": ("x, n: Int = 2", "return x / (n - 3)", "undefined at n = 3", "declare `n: Int != 3`"),
    "behind a case": ("x", "return log(x) if x > -1 else 0", "undefined at x = 0", "hint: "),
    "beside a case of a product": ("x, r: Real = 1", "return 1 / (x - 2) if r * x != 0 else 1", "at r = ", "hint: "),
    "behind a condition on an option": (
        "x, a: Real = 1", "if a > 2:\n    return x\nreturn x / a", "undefined at a = 0", "hint: ",
    ),
}  # fmt: skip

RIGHT = {
    "limit at an end": ("x: 0 <= Tensor <= 1", "return log(x / (1 - x))"),
    "root that starts at the end": ("x: Tensor >= 0", "return sqrt(x)"),
    "closed end of an option": ("x, a: Real >= 0 = 1", "return x / a"),
    "case of its own": ("x", "return sin(x) / x if x != 0 else 1"),
    "case of a product": ("x, r: Real = 1", "return (exp(r * x) - 1) / (r * x) if r * x != 0 else 1"),
    "variant of its own": ("x, b: Real = 1", "if b == 0:\n    return x\nreturn (exp(b * x) - 1) / b"),
    "asserted relation": ("x, a: Real = 0, b: Real = 1", "assert a < b\nreturn (x - a) / (b - a)"),
    "sign that jumps without a zero": ("x", "return 1 / (1 if x > 0 else -1)"),
    "always positive": ("x", "return log(1 + exp(x)) + sqrt(1 + x**2)"),
    "positive by subdivision": ("x", "return log(2 + sin(x) * cos(3 * x))"),
    "between two limits": ("x: -1 < Tensor < 1", "return log((1 + x) / (1 - x)) / 2"),
    "real power of a positive part": ("x, p: Real > 0 = 1", "return max(0, x) ** p"),
    "whole power": ("x, n: Int >= 0 = 2", "return x**n"),
    "nonzero option": ("x, b: Real != 0 = 1", "return log(1 + exp(b * x)) / b"),
    "tails where balls lose the sign": ("x: Tensor > 0", "return log(exp(x) - 1) - x"),
}


@pytest.mark.parametrize("name", WRONG)
def test_wrong_domain(tmp_path: Path, name: str) -> None:
    """The error shows the point, what happens there, and the declaration that excludes it."""
    signature, body, what, hint = WRONG[name]
    path = tmp_path / "wrong.py"
    path.write_text(spec(signature, body), encoding="utf-8")
    with pytest.raises(SpecError) as caught:
        load(path)
    assert what in str(caught.value)
    assert hint in str(caught.value)
    assert caught.value.line == 3


@pytest.mark.parametrize("name", RIGHT)
def test_right_domain(tmp_path: Path, name: str) -> None:
    """No alarm where the formula is real and defined in the interior, whatever happens at the ends."""
    signature, body = RIGHT[name]
    path = tmp_path / "right.py"
    path.write_text(spec(signature, body), encoding="utf-8")
    assert list(load(path)) == ["f"]


@pytest.mark.parametrize("hint", ["Real != 0", "Real > 0"])
def test_hint_mends(tmp_path: Path, hint: str) -> None:
    """A spec that follows the hint loads."""
    path = tmp_path / "mended.py"
    path.write_text(spec(f"x, beta: {hint} = 1", "return x / beta"), encoding="utf-8")
    assert str(load(path)["f"].argument("beta").role) == hint


def test_the_point_is_on_the_argument_line(tmp_path: Path) -> None:
    """Where one argument is to blame, the error stands at the line that declares it."""
    path = tmp_path / "lines.py"
    path.write_text(spec("\n    x,\n    beta: Real = 1,\n", "return x / beta"), encoding="utf-8")
    with pytest.raises(SpecError, match=r"lines\.py:5: f: undefined at beta = 0"):
        load(path)


def test_no_alarm_on_the_catalogue() -> None:
    """Every function of the catalogue passes."""
    ops = load(folder())
    assert [name for name, op in ops.items() if breach_of(op) is not None] == []


finite = st.floats(-50, 50)


@given(ends=st.tuples(finite, finite), share=st.floats(0, 1), node=st.sampled_from(sorted(NODES, key=str)))
def test_enclosures_enclose(ends: tuple[float, float], share: float, node: type) -> None:
    """The span of a function over an interval contains its value at every point of the interval."""
    low, high = sorted(ends)
    inside = min(max(low + share * (high - low), low), high)
    arguments = 2 if node.__name__ in {"Pow", "Add", "Mul"} or getattr(node, "nargs", None) == {2} else 1
    point, whole = (arb(inside),) * 2, (arb(low), arb(high))
    try:
        value = NODES[node](*[point] * arguments)
        span = NODES[node](*[whole] * arguments)
    except Undefined:
        return
    assert not value[1] < span[0]
    assert not value[0] > span[1]
