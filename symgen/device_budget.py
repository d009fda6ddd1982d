"""Which functions get kernels for a GPU: those whose every graph stays within a budget of operations."""

from __future__ import annotations

from dataclasses import replace

from symgen.cost import cost
from symgen.derivation import DerivedVariant

DEAREST = 1000.0  # of one output, as `cost` counts; what is dearer has more instructions than `cuda_contract` allows


def affordable(variants: tuple[DerivedVariant, ...]) -> tuple[DerivedVariant, ...]:
    """The same without graphs for a GPU where one of them is too dear: a function has all of its kernels or none."""
    graphs = [o.device.core for v in variants for o in v.outputs if o.device is not None]
    if all(cost(g.results) <= DEAREST for g in graphs):
        return variants
    return tuple(replace(v, outputs=tuple(replace(o, device=None) for o in v.outputs)) for v in variants)
