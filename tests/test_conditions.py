"""Conditions as code: what the exact numbers on both sides say, whatever rounding would."""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import sympy as sp
from hypothesis import assume, given
from hypothesis import strategies as st
from sympy import Expr, Rational, Symbol

from symgen.arithmetic import COMPENSATED, PLAIN, SHORT, Arithmetic, Pair
from symgen.heads import Cases, first_max, first_min, maximum
from symgen.kernel import ScalarFunction, const, select, topological, var, verify
from symgen.lowering import Lowering, lower

x, y = Symbol("x", real=True), Symbol("y", real=True)
beta, threshold = Symbol("beta", real=True), Symbol("threshold", real=True)


RELATIONS: list[tuple[type, Callable[[Any, Any], bool]]] = [
    (sp.Lt, lambda a, b: a < b),
    (sp.Le, lambda a, b: a <= b),
    (sp.Gt, lambda a, b: a > b),
    (sp.Ge, lambda a, b: a >= b),
    (sp.Eq, lambda a, b: a == b),
    (sp.Ne, lambda a, b: a != b),
]


def decided(condition: Any, **values: float) -> bool:
    bound = {s: Pair(var(s.name)) for s in condition.free_symbols}
    flag = select(Lowering(PLAIN, bound).condition(condition), const(1.0), const(0.0))
    function = verify(ScalarFunction("holds", tuple(values), (flag,)))
    return bool(function.evaluate([np.float64(v) for v in values.values()])[0])


@pytest.mark.parametrize(("kind", "meaning"), RELATIONS, ids=[k.__name__ for k, _ in RELATIONS])
@given(st.floats(-1e6, 1e6, width=32), st.floats(-1e3, 1e3), st.integers(-2, 2))
def test_relations_are_decided_exactly_next_to_equality(
    kind: type, meaning: Callable[[Any, Any], bool], b: float, v: float, steps: int
) -> None:
    """beta*x against a threshold a few floats from the rounded product: the sign of the exact difference decides.

    What rounding loses of a product below 2^-960 is itself too small for a float, and cannot decide.
    """
    product = b * v
    assume(b * v == 0 == min(abs(b), abs(v)) or abs(product) > 2.0**-960)
    t = product + steps * math.ulp(product)
    want = meaning(Rational(b) * Rational(v), Rational(t))
    assert decided(kind(beta * x, threshold, evaluate=False), beta=b, x=v, threshold=t) == want


@pytest.mark.parametrize("arithmetic", [PLAIN, SHORT, COMPENSATED], ids=["plain", "short", "compensated"])
@pytest.mark.parametrize("steps", [-2, -1, 0, 1, 2])
def test_a_sign_is_decided_as_conditions_are(steps: int, arithmetic: Arithmetic) -> None:
    """sign(||x| - 2| - 1) beside x = 1, where the inner difference rounds to its tie."""
    v = 1 + steps * math.ulp(0.5)
    sign = lower(sp.sign(sp.Abs(sp.Abs(x) - 2) - 1), {x: Pair(var("x"))}, arithmetic)
    function = verify(ScalarFunction("sign", ("x",), (sign.high,)))
    want = float(sp.sign(abs(abs(Rational(v)) - 2) - 1))
    assert function.evaluate([np.float64(v)])[0] == want


def test_a_tie_that_rounding_would_invent_is_none() -> None:
    """x/3 > 1/3 just above x = 1, where the quotient rounds to the same float as the constant."""
    above, below = math.nextafter(1, 2), math.nextafter(1, 0)
    relation = sp.Gt(x / 3, Rational(1, 3), evaluate=False)
    assert decided(relation, x=above)
    assert not decided(relation, x=1.0)
    assert not decided(relation, x=below)
    assert decided(sp.Eq(x / 10, Rational(1, 10), evaluate=False), x=1.0)
    assert not decided(sp.Eq(x, Rational(1, 10), evaluate=False), x=0.1)


# an expression, its value at a rational number, and where what is inside its bounds has a value
SIDES: list[tuple[Expr, Callable[[Any], Any], Callable[[Any], Any]]] = [
    (first_max(0, 2 * x + 3), lambda v: max(0, 2 * v + 3), lambda q: (q - 3) / 2),
    (first_min(x / 3 - 1, 5), lambda v: min(v / 3 - 1, 5), lambda q: 3 * (q + 1)),
    (first_min(6, first_max(0, x + 3)), lambda v: min(6, max(0, v + 3)), lambda q: q - 3),
    (1 - maximum(x, -2), lambda v: 1 - max(v, -2), lambda q: 1 - q),
]


@pytest.mark.parametrize(("kind", "meaning"), RELATIONS[:4], ids=[k.__name__ for k, _ in RELATIONS[:4]])
@pytest.mark.parametrize(("side", "value", "inverse"), SIDES, ids=[str(e) for e, _, _ in SIDES])
@given(bound=st.fractions(-7, 7, max_denominator=12), steps=st.integers(-2, 2), reverse=st.booleans())
def test_an_order_against_a_number_is_decided_beside_every_tie(
    side: Expr,
    value: Callable[[Any], Any],
    inverse: Callable[[Any], Any],
    kind: type,
    meaning: Callable[[Any, Any], bool],
    bound: Fraction,
    steps: int,
    reverse: bool,
) -> None:
    """Sums, factors and bounds by numbers are taken off the expression, and the order stays what it was."""
    number = Rational(bound.numerator, bound.denominator)
    tie = float(inverse(bound))
    near = tie + steps * math.ulp(tie)
    relation = kind(number, side, evaluate=False) if reverse else kind(side, number, evaluate=False)
    truth = value(Fraction(near))
    assert decided(relation, x=near) == (meaning(bound, truth) if reverse else meaning(truth, bound))


def test_an_order_against_a_number_computes_no_sum() -> None:
    """max(0, x + 3) >= 6 asks x alone: one comparison with a constant."""
    condition = Lowering(PLAIN, {x: Pair(var("x"))}).condition(sp.Ge(first_max(0, x + 3), 6))
    assert [n.op for n in topological([condition]) if n.args] == ["le"]


def test_an_order_between_lines_is_one_of_the_operand() -> None:
    """x/10 - 9/10 against min(x, x/10 + 9/10) meets at -1, a float, though neither coefficient is one."""
    relation = sp.Ge(x / 10 - Rational(9, 10), first_min(x, x / 10 + Rational(9, 10)))
    beside = (math.nextafter(-1, -2), -1.0, math.nextafter(-1, 0))
    assert [decided(relation, x=v) for v in beside] == [True, True, False]
    both = sp.Lt(first_max(x / 3, 1 - x), 2 - x / 7)
    for v in (-1.0 - 1 / 6, math.nextafter(-7 / 6, 0), 4.199999999999999, math.nextafter(4.2, 5)):
        exact = Rational(v)
        assert decided(both, x=v) == (max(exact / 3, 1 - exact) < 2 - exact / 7)
    assert not decided(sp.Ge(x - 1, x, evaluate=False), x=1e300)


@pytest.mark.parametrize(("kind", "meaning"), RELATIONS, ids=[k.__name__ for k, _ in RELATIONS])
@given(a=st.floats(-8, 8), b=st.floats(-1e-3, 1e-3), steps=st.integers(-2, 2))
def test_a_distance_is_compared_exactly(
    kind: type, meaning: Callable[[Any, Any], bool], a: float, b: float, steps: int
) -> None:
    """|x - y| against a float beside what it rounds to, or against another difference that rounds to the same."""
    t = abs(abs(a - b) + steps * math.ulp(a - b))
    exact = abs(Rational(a) - Rational(b))
    values = {"x": a, "y": b, "threshold": t, "beta": 0.0}
    assert decided(kind(sp.Abs(x - y), threshold, evaluate=False), **values) == bool(meaning(exact, Rational(t)))
    other = kind(sp.Abs(x - y), threshold + beta, evaluate=False)
    values["beta"] = math.ulp(t) / 4
    assert decided(other, **values) == bool(meaning(exact, Rational(t) + Rational(values["beta"])))


def test_conditions_combine_and_constants_are_conditions() -> None:
    """and, or, not, true and false."""
    both, either = sp.And(x > 0, x < 1), sp.Or(x < 0, x > 1)
    assert [decided(both, x=v) for v in (-1.0, 0.5, 2.0)] == [False, True, False]
    assert [decided(either, x=v) for v in (-1.0, 0.5, 2.0)] == [True, False, True]
    assert decided(sp.Not(sp.Eq(x, 1, evaluate=False), evaluate=False), x=2.0)
    for constant, chosen in ((sp.true, 1.0), (sp.false, 2.0)):
        cases = lower(Cases(constant, x, y), {s: Pair(var(s.name)) for s in (x, y)}, PLAIN)
        assert ScalarFunction("cases", ("x", "y"), (cases.high,)).evaluate([np.float64(1), np.float64(2)]) == (chosen,)


def test_a_comparison_with_nan_or_an_infinity_is_ieee() -> None:
    """NaN fulfils nothing but being unequal; an infinity is larger than any product."""
    assert not decided(sp.Gt(beta * x, threshold), beta=math.nan, x=1.0, threshold=0.0)
    assert not decided(sp.Gt(x, 0), x=math.nan)
    assert decided(sp.Lt(x, threshold), x=1.0, threshold=math.inf)
    assert decided(sp.Gt(beta * x, threshold), beta=2.0, x=math.inf, threshold=1.0)
    assert decided(sp.Gt(beta * x, threshold), beta=1e200, x=1e200, threshold=1.0)
    assert not decided(sp.Gt(beta * x, threshold), beta=1e200, x=-1e200, threshold=1.0)
    assert decided(sp.Le(sp.Abs(x - y), threshold), x=math.inf, y=0.0, threshold=math.inf)
    assert not decided(sp.Lt(sp.Abs(x - y), threshold), x=math.inf, y=0.0, threshold=math.inf)
    assert not decided(sp.Le(sp.Abs(x - y), threshold), x=math.nan, y=0.0, threshold=math.inf)
