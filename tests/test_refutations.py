"""The refutation corpus: every wrong identity gets a counterexample, every bad form a point where it is worse."""

import pytest
import sympy as sp
from sympy import exp, log

from symgen.proofs import Proof, Refutation, Undecided
from symgen.prove import SAMPLED, prove_identity
from symgen.prove_floats import compare
from symgen.prove_points import value
from symgen.rules.rule import u
from symgen.vocabulary import softplus
from tests.refutations import UNSTABLE, WRONG


def test_the_corpus_is_large():
    """At least forty wrong identities, and more than a dozen true ones that are no stable forms."""
    assert len(WRONG) >= 40
    assert len(UNSTABLE) >= 12


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_identity_is_refuted_with_a_counterexample(name):
    """The point it names is in the domain, and the sides differ there when they are evaluated anew."""
    left, right, domain = WRONG[name]
    result = prove_identity(left, right, domain=domain)
    assert isinstance(result, Refutation), result
    at = {s: sp.Rational(dict(result.counterexample.point)[s.name]) for s in left.free_symbols | right.free_symbols}
    assert all(at[s] > 0 for s, condition in domain if condition == "positive")
    one, other = value(left, at), value(right, at)
    assert one is not None
    assert other is None or not one.overlaps(other)


@pytest.mark.parametrize("name", UNSTABLE)
def test_a_true_identity_that_is_no_stable_form_is_refused(name):
    """It is equal wherever both sides are defined, and at some float it has lost what the left side has."""
    left, right, domain = UNSTABLE[name]
    assert not isinstance(prove_identity(left, right, "exponentiate", domain), Refutation)
    worse = compare(left, right, domain).worse
    assert worse is not None
    assert "ULP" in str(worse)


def test_the_stable_form_itself_is_not_refused():
    """log(1 + e^-x) -> softplus(-x) passes the test that -x + log1p(e^x) fails."""
    assert compare(log(1 + exp(-u)), softplus(-u)).worse is None


def test_an_identity_without_a_point_to_compare_is_undecided():
    """log(-1 - u^2) has no value: nothing was shown, whatever the normal forms say."""
    assert isinstance(prove_identity(log(-1 - u**2), log(-1 - u**2)), Undecided)
    assert isinstance(prove_identity(log(1 + u**2), log(1 + u**2)), Proof)


def test_what_no_tactic_decides_is_labelled_sampled():
    """A true identity outside every normal form is claimed at points only."""
    result = prove_identity(sp.sin(3 * u), 3 * sp.sin(u) - 4 * sp.sin(u) ** 3)
    assert isinstance(result, Proof)
    assert result.label == SAMPLED
