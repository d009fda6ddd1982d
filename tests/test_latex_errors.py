"""Errors on a card: what the text comes to, what the rules made of it, and the bars that are missed."""

from __future__ import annotations

from dataclasses import replace

from symgen.backends.latex_card import card
from symgen.backends.latex_errors import gains, remains
from symgen.cli_show import loaded
from symgen.derivation import Derivation
from symgen.pipeline import derive
from symgen.stabilize.regimes import Unresolved


def test_a_card_tells_what_the_rules_are_worth() -> None:
    """The slope of the logistic function, as everybody writes it, loses its tail; what runs does not."""
    op, _ = loaded("sigmoid")
    derivation = derive(op)
    slope = next(g for g in gains(op, derivation.variants[0]) if g.left == "f'")
    assert {m.what for m in slope.text} & {"NaN", "lost"}
    (mark,) = slope.runs
    assert float(mark.what.strip("$")) < 2


def test_what_is_right_as_written_is_not_told() -> None:
    """A function whose text meets the bar by itself needs no such lines."""
    op, _ = loaded("relu")
    derivation = derive(op)
    assert gains(op, derivation.variants[0]) == ()
    assert card(derivation).remains == ()


def test_what_remains_is_on_the_card() -> None:
    """A missed bar is printed with the output, the dtype, the error, the input, the option and the bar."""
    op, _ = loaded("celu")
    (variant,) = derive(op).variants
    missed = Unresolved(1.0, 2.0, 1.5, 7.25, {"alpha": 30.0})
    worse = replace(variant.outputs[1], unresolved={"f32": (), "f64": (missed,)})
    derivation = Derivation(op, (replace(variant, outputs=(variant.outputs[0], worse)),))
    assert remains(op, derivation) == (("f'", "float64", r"$7.2$ ULP at $x = 1.5,\;\alpha = 30$; the bar is 2"),)
