"""Proofs: every rule and every head's derivative is proved, every wrong identity gets a counterexample."""


import pytest
import sympy as sp
from sympy import Rational, S, Symbol, exp, log, sqrt

from symgen import prove_points
from symgen.heads import maximum, minimum
from symgen.prove import (
    SAMPLED,
    Proof,
    Refutation,
    TacticError,
    by_balls,
    by_derivative,
    by_free_parameter,
    by_instances,
    by_order,
    prove,
    prove_head,
    prove_identity,
    table,
)
from symgen.prove_balls import BallError
from symgen.prove_floats import compare
from symgen.prove_normal import NormalFormError, equal
from symgen.rules import ALL_RULES, NARROW, PROCEDURES, RECOGNIZE, STABILIZE, UNFOLD, Procedure, Rule
from symgen.rules.rule import u, v
from symgen.vocabulary import HEADS, log1p, sigmoid, softplus

PATTERNS = (*RECOGNIZE, *STABILIZE)


@pytest.mark.parametrize("rule", ALL_RULES, ids=lambda r: r.name)
def test_every_rule_proves_exactly(rule):
    """A rule has an exact proof, not a sampled one."""
    result = prove(rule)
    assert isinstance(result, Proof), result
    assert result.label != SAMPLED, result.evidence
    assert result.label.startswith("symbolic")


@pytest.mark.parametrize("head", HEADS, ids=lambda h: h.__name__)
def test_the_table_of_derivatives_is_proved(head):
    """Each head's derivative is equal to SymPy's derivative of its definition."""
    result = prove_head(head)
    assert isinstance(result, Proof), result
    assert result.label == "symbolic"


# -- stability --------------------------------------------------------------------------------------------------------


def test_a_true_identity_can_be_a_bad_rule():
    """log(1 + e^-x) -> -x + log1p(e^x) is proved as an identity and rejected as a stable form."""
    left, right = log(1 + exp(-u)), -u + log1p(exp(u))
    assert isinstance(prove_identity(left, right), Proof)
    assert compare(left, right).worse is not None
    assert compare(left, softplus(-u)).worse is None


# -- tactics ----------------------------------------------------------------------------------------------------------


def test_what_no_tactic_decides_is_labelled_sampled():
    """sin(2u) = 2 sin u cos u holds, but the normal form does not know it, so the label claims points only."""
    result = prove_identity(sp.sin(2 * u), 2 * sp.sin(u) * sp.cos(u))
    assert isinstance(result, Proof)
    assert result.label == SAMPLED
    assert "points" in result.evidence


def test_derivative_and_point_prove_what_a_normal_form_cannot():
    """atan(u) + atan(1/u) is pi/2 for positive u: equal derivatives, and equal at 1."""
    p = Symbol("p", positive=True)
    assert "equal derivatives in p" in by_derivative(sp.atan(p) + sp.atan(1 / p), sp.pi / 2)
    with pytest.raises(TacticError, match="values at p = 1 differ"):
        by_derivative(sp.atan(p) + sp.atan(1 / p), sp.pi / 3)


def test_derivatives_are_compared_in_every_variable():
    """A difference that does not depend on one variable may still depend on the other."""
    half = (u - v) / (1 + u * v + sqrt((1 + u * v) ** 2 + (u - v) ** 2))
    assert "equal derivatives in u, v" in by_derivative(sp.atan(u) - sp.atan(v), 2 * sp.atan(half))
    with pytest.raises(TacticError, match="derivatives in v differ"):
        by_derivative(sp.atan(u) + sp.atan(v), sp.atan(u) + v)
    with pytest.raises(TacticError, match="values at u = 0 and v = 0 differ"):
        by_derivative(sp.atan(u) - sp.atan(v), 2 * sp.atan(half) + 1)


@pytest.mark.parametrize("wrong", [u, v, (u + v) / 2, maximum(u, v) + sp.sign(u - v), minimum(u, v)])
def test_an_order_is_proved_both_ways(wrong):
    """What is right where u is the larger one, where v is, or where both are equal, is not enough."""
    by_order(maximum(u, v), (u + v + sp.Abs(u - v)) / 2)
    with pytest.raises(TacticError):
        by_order(maximum(u, v), wrong)


def test_a_shift_is_proved_by_its_free_parameter():
    """log(e^u + e^v) = m + log(e^(u-m) + e^(v-m)) for every m, since nothing depends on m."""
    m = Symbol("m", real=True)
    left = log(exp(u) + exp(v))
    assert "independent of m" in by_free_parameter(left, m + log(exp(u - m) + exp(v - m)), m)
    with pytest.raises(TacticError, match="depends on m"):
        by_free_parameter(left, m + log(exp(u - m) + exp(v)), m)


def test_a_reduction_is_proved_at_small_lengths():
    """log-softmax written out for two to four classes equals logit minus log-sum-exp."""

    def log_softmax(n):
        logits = sp.symbols(f"x:{n}", real=True)
        total = sum(exp(k) for k in logits)
        return log(exp(logits[0]) / total), logits[0] - log(total)

    assert "2, 3, 4" in by_instances(log_softmax)
    with pytest.raises(TacticError):
        by_instances(lambda n: (log_softmax(n)[0], log_softmax(n)[1] + 1))


def test_ball_arithmetic_bounds_a_difference_on_an_interval():
    """sin^2 + cos^2 is 1 to 2^-60 on [-4, 4]; a difference that is there is not bounded away."""
    assert "[-4, 4]" in by_balls(sp.sin(u) ** 2 + sp.cos(u) ** 2, S.One, -4, 4)
    with pytest.raises(TacticError, match="may be as large as"):
        by_balls(sp.sin(u), u, -1, 1)
    with pytest.raises(BallError, match="one variable"):
        by_balls(sp.sin(u), sp.sin(v), -1, 1)


def test_a_tail_that_cancels_is_not_mistaken_for_zero():
    """Precision rises until the value is seen: 1 - sigmoid(20) and erfc(20), 10^-176, to 60 digits."""
    for e, digits in ((1 - 1 / (1 + exp(-u)), "2.0611536181902"), (1 - sp.erf(u), "5.3958656116079")):
        ball = prove_points.value(e, {u: S(20)})
        assert ball.rel_accuracy_bits() >= 200
        assert ball.str(14, radius=False).startswith(digits)


def test_normal_forms_are_bounded_in_size():
    """An expression that explodes ends in an error that says so, not in a wait."""
    variables = sp.symbols("z:12", real=True)
    with pytest.raises(NormalFormError, match=r"too many terms|power"):
        equal((sum(exp(z) for z in variables) + 1) ** 9, S.One)
    assert equal(sqrt(u**2 + 1) ** 3, (u**2 + 1) * sqrt(u**2 + 1))


def test_a_wrong_procedure_is_refuted_on_its_examples():
    """A procedure's proof is that its examples keep their value."""
    broken = Procedure("broken", lambda e: e + 1, "stabilize", "nothing", (exp(u),), "nowhere")
    assert isinstance(prove(broken), Refutation)


def test_the_table_lists_every_rule_once_with_its_proof():
    """The listing has a row for every rule and procedure, and says how each is proved."""
    rows = table()
    assert [r["name"] for r in rows] == [r.name for r in ALL_RULES]
    assert all(r["proof"].startswith("symbolic") for r in rows)
    assert {r["kind"] for r in rows} == {"rule", "procedure"}
    assert all(r[k] for r in rows for k in ("left", "right", "domain", "phase", "gain", "source"))


def test_a_counterexample_prints_its_point():
    """What a person reads: the point and both values."""
    result = prove(Rule("half", sigmoid(u), Rational(1, 2) + u / 4, "stabilize", "", "exponential", ""))
    assert isinstance(result, Refutation)
    assert str(result).startswith("refuted at u = ")


def test_rules_and_procedures_of_every_phase_are_in_the_one_table():
    """What recognises, stabilises, unfolds or narrows is proved and listed, because it is in ALL_RULES."""
    procedures = [r for r in ALL_RULES if isinstance(r, Procedure)]
    assert set(ALL_RULES) == {*RECOGNIZE, *STABILIZE, *PROCEDURES, *UNFOLD, *NARROW}
    assert {*PROCEDURES} <= {*procedures}
    assert {p.phase for p in PROCEDURES} == {"stabilize"}
    assert {p.phase for p in UNFOLD} == {"unfold"}
    assert {p.phase for p in NARROW} == {"narrow"}
