"""What a card says of CUDA: how far float32 arithmetic is from the truth, and how much work an element is.

Where `symgen certify --cuda` has measured the kernels it is what that found, else what the derivation knows.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from symgen.backends.latex_accuracy import ulp
from symgen.backends.latex_behaviour import left_side
from symgen.kernel import topological

if TYPE_CHECKING:
    from symgen.derivation import Derivation, Output

LEAVES = frozenset({"const", "var"})


def operations(output: Output) -> int:
    """How many operations an element of the float32 kernel is; a call of an elementary function is one."""
    assert output.device is not None
    return sum(n.op not in LEAVES for n in topological(output.device.core.results))


def measured(certificate: Mapping[str, Any] | None, outputs: Mapping[str, str]) -> list[tuple[str, str]]:
    """What was measured of CUDA kernels: the largest error, and what an element takes of instructions and memory.

    Args:
        certificate: what was measured of a function, that of its CUDA kernels under "cuda".
        outputs: how each is called in formulas.
    """
    rows = [r for r in (certificate or {}).get("cuda", ()) if r["output"] in outputs]
    told = [f"${outputs[r['output']]}$ {_figures(r)}" for r in rows]
    return [("CUDA float32", "; ".join(told))] if told else []


def _figures(row: Mapping[str, Any]) -> str:
    parts = [f"{ulp(float(row['error']))} ULP"]
    if row.get("beside_roots"):
        parts.append(f"{ulp(float(row['beside_roots']))} beside roots")
    if "instructions" in row:
        parts += [f"{row['instructions']} instructions", f"{row['bytes']} bytes in accesses of {row['access']}"]
    if row.get("registers"):
        parts.append(f"{row['registers']} registers")
    return ", ".join(parts)


def device(derivation: Derivation) -> list[tuple[str, str]]:
    """The largest error in ULP and the operations of the value and the derivatives in tensors, of all variants.

    Errors are those at the points where forms were chosen, with elementary functions correctly rounded. A GPU's own
    are not: see docs/adr/0021-float32-on-gpus.md. What was asked without CUDA says nothing.
    """
    tensors = {a.name for a in derivation.op.operands if a.role.kind == "tensor"}
    found: dict[str, list[Output]] = {}
    for variant in derivation.variants:
        for o in variant.outputs:
            if o.device is not None and o.wrt in {None, *tensors} and not o.name.startswith("share"):
                found.setdefault(o.name, []).append(o)
    told = [f"${left_side(derivation.op, of[0])}$ {_told(of)}" for of in found.values()]
    return [("CUDA float32", "; ".join(told))] if told else []


def _told(outputs: list[Output]) -> str:
    known = [o.device for o in outputs if o.device is not None]
    worst = max((d.worst for d in known if not math.isnan(d.worst)), default=0.0)
    most = max(map(operations, outputs))
    where = "misses 4 ULP in places" if any(d.unresolved for d in known) else f"{ulp(worst)} ULP"
    return f"{where}, {most} operation{'s' * (most != 1)}"
