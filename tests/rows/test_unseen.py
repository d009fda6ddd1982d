"""Functions of rows outside the catalogue: sure classes, wide ranges and operands that nearly agree keep digits."""

from __future__ import annotations

import math
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import sympy as sp

from symgen.arithmetic import RENEWED, Pair
from symgen.heads import Cases, weighted
from symgen.kernel import ScalarFunction, var
from symgen.lowering import lower
from symgen.program import Program, Stage
from symgen.rows import picked
from symgen.rows.derive import RowOutput, derive
from symgen.rows.differences import without_differences
from symgen.rows.indices import index, read
from symgen.rows.picked import factored
from symgen.rows.precision import delicate
from symgen.rows.recognize import without_quotients
from symgen.rows.simulate import run
from symgen.spec import Op, load
from symgen.vocabulary import expm1, log1p, quotient, softplus
from tests.unseen.of_rows import FOLDER, MeasuredRows, measure

K, K1 = index("K"), index("K.1")
T, S0, G = (sp.Symbol(n, real=True) for n in ("target", "s0", "g"))
X, X1, XT = (read("x", [i]) for i in (K, K1, T))
SUM = Stage("s0", "sum", (), ("K.1",), sp.exp(X1))
AT = sp.Eq(K, T, evaluate=False)

RIGHT = (
    "brier", "focal_ce", "focal_weighted", "unlikelihood", "symmetric_ce", "mae_prob", "nca", "circle", "circle_two",
    "am_softmax", "rmsle", "scale_invariant_depth", "vae_kl", "dirichlet_nll", "bce_row", "pairwise_logistic",
    "entropy_of_softmax", "gini_softmax", "one_minus_softmax", "sink_softmax", "std",
)  # fmt: skip
TOLD = ("soft_dice_multi", "log_odds", "js_logits")


@cache
def ops() -> dict[str, Op]:
    return load(FOLDER)


@cache
def result(name: str) -> MeasuredRows:
    return measure(ops()[name])


def output(name: str, kernel: str) -> RowOutput:
    return derive(ops()[name], only=kernel).variants[0].outputs[0]


@pytest.mark.parametrize("name", RIGHT)
def test_values_and_gradients_are_right_on_every_row(name: str) -> None:
    """Within 2 ULP of float32 and 4 of float64, entry by entry, in rows of one, two, three and six."""
    assert result(name).passes, result(name).lines


@pytest.mark.parametrize("name", TOLD)
def test_a_build_tells_of_what_it_cannot_do(name: str) -> None:
    """Confident rows in which second orders cancel, too."""
    assert not result(name).passes
    assert not result(name).silent, result(name).lines


def test_the_slope_at_the_picked_class_is_a_product_with_what_is_left_of_the_row() -> None:
    """``B - B exp(x[t])/s`` becomes ``B (1 - p)``, whatever the loss makes of the share."""
    stages = output("unlikelihood", "vjp").recognized.stages
    found = factored(output("unlikelihood", "vjp").recognized).stages
    assert len(found) == len(stages)  # the rate of the sum is not needed any more
    assert "b0*(1 - exp(input[K])/s0) if Eq(K, target)" in str(found[-1].body)


def test_weights_and_conditions_stay_in_front_of_the_product() -> None:
    """They make zero of what is owed, and of both its parts, whatever the row holds."""
    *_, owed, slope = factored(output("focal_weighted", "vjp").recognized).stages
    assert str(owed.body).startswith("(0 if Eq(target, ignore_index) else -weighted(weight[target], ")
    assert "weighted(b0, 1 - exp(input[K])/s0) if Eq(K, target) else -weighted(b0, exp(input[K])/s0)" in str(slope.body)


def test_a_rate_that_is_not_owed_stays() -> None:
    """Where what the sum is owed is something else, nothing is taken out."""
    other = Stage("s2", "=", (), (), sp.exp(XT) / S0)  # not exp(x[t])/s0**2
    owed = Cases(AT, -sp.exp(XT) / S0, 0)
    body = G * (weighted(sp.exp(X), read("s2")) + owed)
    program = Program("test", (G, T, sp.Symbol("x")), (SUM, other, Stage("dx", "=", ("K",), (), body)), ("dx",))
    assert factored(program) == program
    right = (SUM, Stage("s2", "=", (), (), sp.exp(XT) / S0**2), program.stages[-1])
    assert factored(Program("test", program.inputs, right, ("dx",))).stages[1].out == f"{picked.OWED}0"


def test_what_is_in_front_of_one_part_alone_stays_there() -> None:
    """A weight or a condition of what the class is owed, and not of what the sum is, or the other way round."""
    w, owed, rate = read("w", [T]), -sp.exp(XT) / S0, sp.exp(XT) / S0**2
    kept = sp.Ne(T, -1, evaluate=False)
    spread = weighted(sp.exp(X), read("s2"))

    def changed(picked_part: sp.Expr, rate_body: sp.Expr, spread_part: sp.Expr) -> bool:
        body = G * (spread_part + Cases(AT, picked_part, 0))
        stages = (SUM, Stage("s2", "=", (), (), rate_body), Stage("dx", "=", ("K",), (), body))
        program = Program("test", (G, T, sp.Symbol("x"), sp.Symbol("w")), stages, ("dx",))
        return factored(program) != program

    assert changed(weighted(w, owed), weighted(w, rate), spread)
    assert changed(Cases(kept, owed, 0), Cases(kept, rate, 0), Cases(kept, spread, 0))
    assert not changed(weighted(w, owed), rate, spread)
    assert not changed(owed, weighted(w, rate), spread)
    assert not changed(owed, rate, Cases(kept, spread, 0))
    assert not changed(Cases(kept, owed, 0), rate, spread)


def test_a_sum_that_a_stage_computes_stays_beside_what_is_owed() -> None:
    """Brier's score has the squares of all other shares in its rate, too."""
    found = factored(output("brier", "vjp").recognized).stages
    assert "weighted(exp(input[K]), s3)" in str(found[-1].body)


def test_what_may_be_left_of_nothing_is_rounded_again() -> None:
    """A square, a divisor and a logarithm of ``1 - p`` want it as a number of its own; a single factor does not."""
    rest = 1 - sp.exp(XT) / S0

    def fragile(body: sp.Expr) -> bool:
        program = Program("test", (G, T, sp.Symbol("x")), (SUM, Stage("out", "=", (), (), body)), ("out",))
        return "out" in delicate(program, ())

    assert all(map(fragile, (rest**2, 1 / rest, sp.log(rest), rest * (2 - sp.exp(X.subs(K, T)) / S0))))
    assert not any(map(fragile, (G * rest, sp.log(S0), (G - XT) ** 2, S0**2)))


def test_a_logarithm_of_one_and_a_product_of_sums_is_a_softplus() -> None:
    """So its gradient is a sigmoid, and nothing overflows; of a single sum the shift takes care."""
    a, b = sp.symbols("a b", real=True)
    u = sp.Symbol("u", real=True)
    sums = frozenset({a, b})
    assert without_quotients(sp.log(1 + a * b), sums) == softplus(sp.log(a) + sp.log(b))
    assert without_quotients(sp.log(1 + a * sp.exp(u)), sums) == softplus(u + sp.log(a))
    assert without_quotients(sp.log(1 + a), sums) == sp.log(1 + a)
    assert without_quotients(sp.log(1 + u * sp.exp(a)), sums) == sp.log(1 + u * sp.exp(a))  # may be negative
    two = without_quotients(sp.log(sp.exp(u) / a + sp.exp(-u) / b), sums)
    assert two.has(softplus)
    assert not two.has(sp.exp)


def test_differences_of_logarithms_and_of_an_exponential_and_one() -> None:
    """Of operands; the logarithm of a sum of exponentials knows how much more than one it is."""
    y = read("y", [K])
    inputs = (sp.Symbol("x"), sp.Symbol("y"))

    def body(e: sp.Expr) -> sp.Expr:
        program = Program("test", inputs, (SUM, Stage("out", "=", ("K",), (), e)), ("out",))
        return without_differences(program).stages[-1].body

    def ratio(above: sp.Expr, below: sp.Expr) -> sp.Expr:
        return Cases(sp.Gt(below, 0, evaluate=False), sp.log(quotient(above, below)), sp.log(above) - sp.log(below))

    assert body(sp.log(X) - sp.log(y)) == ratio(X, y)
    assert body(2 * sp.log(1 + X) - 2 * sp.log(y) + X) == X + 2 * ratio(1 + X, y)
    assert body(sp.log(X) - sp.log(S0)) == sp.log(X) - sp.log(S0)
    assert body(sp.exp(X) / 2 - sp.Rational(1, 2)) == expm1(X) / 2
    assert body(sp.exp(X) / 2 - 1) == sp.exp(X) / 2 - 1


def test_powers_of_differences_stay_powers() -> None:
    """``(1 - p)**gamma`` has the slope ``(1 - p)**(gamma - 1)``, which is no ratio of zeros where p is one."""
    bodies = str([s.body for s in output("focal_ce", "vjp").recognized.stages])
    assert "**(gamma - 1)" in bodies
    assert "log1p" not in bodies


def test_log1p_near_minus_one_is_the_logarithm_of_the_renewed_sum() -> None:
    """An argument of minus one and a little: all that counts is the little."""
    u = sp.Symbol("u", real=True)
    made = lower(log1p(u), {u: Pair(var("h"), var("l"))}, RENEWED)
    core = ScalarFunction("f", ("h", "l"), (made.high,))
    assert core.evaluate([-1.0, 1e-30])[0] == pytest.approx(math.log(1e-30), rel=1e-15)
    assert core.evaluate([1e-30, 1e-50])[0] == 1e-30


SUM_AND_RATIO = '''"""Two."""
from symgen.spec import Axis, Tensor, activation, exp, log, mean

C = Axis("C")


@activation()
def smooth_maximum(x: Tensor[C], y: Tensor[C]):
    """Of two entries, averaged."""
    return mean(log(exp(x) + exp(y)), C)


@activation()
def ratio_of_logs(x: Tensor[C], y: Tensor[C]):
    """Mean difference of logarithms."""
    return mean(log(x) - log(y), C)
'''


@pytest.mark.parametrize(
    ("name", "x", "y", "value"),
    [
        ("smooth_maximum", -math.inf, -math.inf, -math.inf),
        ("smooth_maximum", math.inf, math.inf, math.inf),
        ("smooth_maximum", -math.inf, 3.0, 3.0),
        ("smooth_maximum", 1000.0, 1000.0, 1000 + math.log(2)),
        ("ratio_of_logs", -1.0, -2.0, math.nan),
        ("ratio_of_logs", 0.0, 2.0, -math.inf),
        ("ratio_of_logs", 2.0, 2.0, 0.0),
    ],
)
def test_infinities_and_what_has_no_logarithm(tmp_path: Path, name: str, x: float, y: float, value: float) -> None:
    """Rewriting neither loses the logarithm of two infinities nor makes one of a negative number."""
    (tmp_path / "two.py").write_text(SUM_AND_RATIO, encoding="utf-8")
    made = derive(load(tmp_path)[name], only="value").variants[0].outputs[0]
    for schedule in made.schedules:
        (got,) = run(schedule, {"x": np.array([[x]]), "y": np.array([[y]])}, {"C": 1}).values()
        assert got[0] == pytest.approx(value, nan_ok=True)
