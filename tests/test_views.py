"""What people read of a derivation: the note on targets that it misses."""

from __future__ import annotations

from dataclasses import replace

from symgen.build_compile import _report
from symgen.cli_show import loaded
from symgen.pipeline import Derivation, derive
from symgen.stabilize.regimes import Unresolved


def test_missed_targets_are_one_note_of_a_function() -> None:
    """It names the worst stretch of each output and dtype once, whatever the variants, and where there is more."""
    stretches = {
        ("grad", "f64"): (Unresolved(1.0, 2.0, 1.5, 7.25), Unresolved(3.0, 4.0, 3.5, 9.5)),
        ("value", "f64"): (Unresolved(-2.0, -1.0, -1.5, 5.0),),
        ("value", "f32"): (Unresolved(5.0, 6.0, 5.5, 0.75),),
    }
    op, _ = loaded("relu")
    (variant,) = derive(op).variants
    outputs = tuple(
        replace(o, unresolved={t: stretches.get((o.name, t), ()) for t in ("f32", "f64")}) for o in variant.outputs
    )
    missing = Derivation(op, (replace(variant, outputs=outputs),) * 2)
    (note,) = _report(missing, 0.0).notes
    assert note == (
        "target missed: grad in float64 has 9.5 ULP at 3.5 (3 to 4); value in float64 has 5 ULP at -1.5 (-2 to -1); "
        "1 more: `symgen explain relu` shows where"
    )
    assert _report(Derivation(op, (variant,)), 0.0).notes == ()
