"""Means that are taken off arrays: where that changes nothing, and that a jump is not mistaken for it."""

from __future__ import annotations

import pytest

from symgen.archetypes import archetype_of
from symgen.layers import generated
from symgen.rows.derive import RowOutput
from tests.rows.hard import OPS


def output(function: str, name: str) -> RowOutput:
    """A kernel of the last variant, before it is printed."""
    op = generated(OPS[function])
    return next(o for o in archetype_of(op).derive(op).variants[-1].outputs if o.name == name)


@pytest.mark.parametrize(
    ("function", "name", "less"),
    [("softmax", "vjp", "g"), ("softmax", "vjp_temperature", "g"), ("softmin", "hvp_x", "direction")],
)
def test_a_mean_is_taken_off_where_only_differences_count(function: str, name: str, less: str) -> None:
    """Of cotangents and directions; in exponentials the shift serves the inputs."""
    bodies = [str(s.body) for s in output(function, name).stable.stages]
    assert any(f"-c0 + {less}[C.1]" in b for b in bodies)
    assert not any(f"exp(-c0 + {less}" in b for b in bodies)


def test_a_condition_that_the_mean_would_change_forbids_it() -> None:
    """The gradient in the margin is constant but for a jump where the cosine is the margin."""
    stages = output("cosine_embedding_loss", "vjp_margin").stable.stages
    assert not any("nearest" in str(s.body) for s in stages)
