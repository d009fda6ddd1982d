"""Mutation of every rule: what is wrong with one is found, and what only looks different is proved to be the same."""

import pytest
import sympy as sp

from symgen.proofs import Proof, Refutation
from symgen.prove import SAMPLED, prove, prove_identity
from symgen.prove_floats import compare
from symgen.prove_points import KEPT
from symgen.rules import ALL_RULES, Procedure, Rule
from symgen.rules.engine import RewriteError, fixpoint
from symgen.rules.matching import apply
from symgen.rules.rule import v
from tests.mutations import broken, mutants, without_each_condition
from tests.test_rules import fresh

RULES = [r for r in ALL_RULES if isinstance(r, Rule)]
PROCEDURES = [r for r in ALL_RULES if isinstance(r, Procedure)]


@pytest.mark.parametrize("rule", RULES, ids=lambda r: r.name)
def test_every_mutation_of_a_rule_is_refuted_or_proved_to_be_no_mutation(rule):
    """A wrong sign, number, function or term has a counterexample; a symmetry of the right side has an exact proof."""
    different = 0
    for what, mutated in mutants(rule):
        result = prove_identity(rule.left, mutated, rule.proof, rule.domain)
        if isinstance(result, Refutation):
            different += 1
            continue
        assert isinstance(result, Proof), (what, mutated, result)
        assert result.label != SAMPLED, (what, mutated, result)
        same = prove_identity(rule.right, mutated, rule.proof, rule.domain)
        assert isinstance(same, Proof), (what, mutated, same)
    assert different >= 2


def test_few_mutations_are_none():
    """Symmetries are rare: that a mutation survives is the exception, not what the prover says of everything."""
    everything = [(r, m) for r in RULES for _, m in mutants(r)]
    alive = [m for r, m in everything[::7] if not isinstance(prove_identity(r.left, m, r.proof, r.domain), Refutation)]
    assert len(everything) > 500
    assert len(alive) < 0.1 * len(everything[::7])


@pytest.mark.parametrize("procedure", PROCEDURES, ids=lambda p: p.name)
def test_every_mutation_of_a_procedure_is_refuted(procedure):
    """A procedure that gives something else is found out on its examples."""
    for what, mutated in broken(procedure):
        assert isinstance(prove(mutated), Refutation), what


@pytest.mark.parametrize("rule", [r for r in RULES if r.domain], ids=lambda r: r.name)
def test_every_condition_of_a_domain_is_missed(rule):
    """Without it the rule is wrong or worse somewhere, runs in circles, or takes what it should leave alone."""
    for what, wider in without_each_condition(rule):
        assert _wrong_or_worse(wider) or _endless(wider) or _greedy(rule, wider), what


def _wrong_or_worse(rule):
    if isinstance(prove_identity(rule.left, rule.right, rule.proof, rule.domain), Refutation):
        return True
    kept = tuple((e, c) for e, c in rule.domain if c in KEPT)
    return compare(rule.left, rule.right, kept).worse is not None


def _endless(rule):
    """A condition on spelling decides between two forms, and without it the rule undoes itself."""
    try:
        fixpoint((rule,), rule.left)
    except RewriteError:
        return True
    return False


# what a condition keeps out; of what no condition speaks of, nothing is known but that it is real
OUTSIDE = {
    "not a number": (sp.Integer(7), sp.sqrt(2)),
    "not an integer": (sp.Integer(3),),
    "of several operands": (sp.Rational(3, 2),),
    "number": (sp.Symbol("any", positive=True),),
    "number below 2": (sp.Integer(5), sp.Symbol("any", positive=True)),
}


def _greedy(rule, wider):
    """It rewrites what the rule leaves alone or rewrites otherwise: numbers, steps, what nothing is known of."""
    for e, condition in set(rule.domain) - set(wider.domain):
        for outside in OUTSIDE.get(condition, (sp.Symbol("any", real=True),)):
            chosen = fresh(rule)
            chosen[min(e.free_symbols, key=str)] = outside if e.is_Symbol else chosen[v] + outside
            left = rule.left.xreplace(chosen)
            if apply(wider, left) not in (None, apply(rule, left)):
                return True
    return False
