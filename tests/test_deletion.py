"""Deleting a rule matters: without it, and without pieces, some formula misses its bar, is cut up, or costs more."""

import pytest

from symgen.rules import ALL_RULES, NARROW
from tests.deletion import Score, changes_a_derivation, first_loss

# No score shows these. The exact normal form in exponentials is a candidate too, and as good for every formula here;
# what these give is a derivation that a reader can follow.
READS_BETTER = {"log-difference-exp", "log1mexp-intro", "tanh-odd", "tanh-square", "log-sum-exp-max", "hypot-intro"}


@pytest.mark.slow
@pytest.mark.parametrize("name", [r.name for r in ALL_RULES if r not in NARROW and r.name not in READS_BETTER])
def test_a_rule_that_is_deleted_is_missed(name):
    """Of the formulas that apply it one has a larger error, more segments or dearer code without it.

    Those for float32 arithmetic are missed by the tests of CUDA kernels.
    """
    assert first_loss(name) is not None


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(READS_BETTER))
def test_a_rule_that_only_reads_better_changes_a_derivation(name):
    """Some formula's stable form is another without it."""
    assert changes_a_derivation(name)


def test_what_counts_as_a_loss():
    """A larger error first; then more segments; then dearer code; and a smaller error is no loss at any price."""
    fine = Score(0.0, 2, 100.0)
    assert "misses" in fine.loss(Score(3.0, 2, 100.0))
    assert "3 segments" in fine.loss(Score(0.0, 3, 90.0))
    assert "costs 110" in fine.loss(Score(0.0, 2, 110.0))
    assert not fine.loss(Score(0.0, 2, 101.0))
    assert not Score(2.0, 1, 1.0).loss(Score(1.0, 9, 900.0))
