"""What misses its accuracy bar: the worst of it in a warning, all of it in the manifest."""

from __future__ import annotations

import json
import math
from dataclasses import replace

from symgen.cli_show import loaded
from symgen.derivation import Derivation
from symgen.missed import Miss, misses, warning, worst
from symgen.pipeline import derive
from symgen.stabilize.regimes import Unresolved

STRETCHES = {
    ("grad", "f64"): (Unresolved(1.0, 2.0, 1.5, 7.25), Unresolved(3.0, 4.0, 3.5, 9.5, {"beta": 1e30})),
    ("value", "f64"): (Unresolved(-2.0, -1.0, -1.5, 5.0),),
    ("value", "f32"): (Unresolved(5.0, 6.0, 5.5, 0.75),),
}


def derivation(stretches: dict[tuple[str, str], tuple[Unresolved, ...]]) -> Derivation:
    """relu, as if it missed on these stretches, in two variants."""
    op, _ = loaded("relu")
    (variant,) = derive(op).variants
    outputs = tuple(
        replace(o, unresolved={t: stretches.get((o.name, t), ()) for t in ("f32", "f64")}) for o in variant.outputs
    )
    return Derivation(op, (replace(variant, outputs=outputs),) * 2)


def test_the_worst_stretch_of_each_output_is_warned_of() -> None:
    """A warning names output, input, option, error, dtype and bar, each output and dtype once, and what to do."""
    found = misses(derivation(STRETCHES))
    assert len(found) == 8
    assert warning("relu", found).splitlines() == [
        "relu misses its accuracy bar",
        "  grad in float64: 9.5 ULP at x = 3.5, beta = 1e+30 (the bar is 2), on 3 .. 4",
        "  value in float64: 5 ULP at x = -1.5 (the bar is 2), on -2 .. -1",
        "  value in float32: 1.25 ULP at x = 5.5 (the bar is 0.51), on 5 .. 6",
        "  hint: `symgen explain relu` shows what computes these inputs, and why they are hard",
    ]
    assert misses(derivation({})) == ()


def test_a_warning_stays_short() -> None:
    """Of many outputs the worst four are named, and the others counted."""
    many = tuple(Miss(f"grad_{i}", "", "float64", 10.0 - i, 4.0, 1.0, 1.0, 1.0) for i in range(6))
    text = warning("f", many)
    assert "grad_3" in text
    assert "grad_4" not in text
    assert "and 2 more outputs" in text
    assert len(worst(many)) == 6


def test_a_miss_survives_the_manifest() -> None:
    """It is plain JSON, infinities included, and reads back as it was."""
    miss = Miss("grad", "tanh", "float64", math.inf, 4.0, -1e300, -math.inf, -1.0, (("alpha", 1e30),))
    assert Miss.from_json(json.loads(json.dumps(miss.to_json(), allow_nan=False))) == miss
    assert "a wrong result at x = -1e+300, alpha = 1e+30" in str(miss)
