"""Which functions get kernels for a GPU: those whose every graph stays within a budget of operations."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from symgen.cost import cost
from symgen.derivation import DerivedVariant
from symgen.kernel import Node, topological

DEAREST = 1000.0  # of one output, as `cost` counts; what is dearer has more instructions than `cuda_contract` allows
POWER = 200.0  # and what each power in it may add to that
POWERS = frozenset({"pow", "pow_sum"})


def affordable(variants: tuple[DerivedVariant, ...]) -> tuple[DerivedVariant, ...]:
    """The same without graphs for a GPU where one of them is too dear: a function has all of its kernels or none."""
    graphs = [o.device.core for v in variants for o in v.outputs if o.device is not None]
    if all(cost(g.results) <= allowed(g.results) for g in graphs):
        return variants
    return tuple(replace(v, outputs=tuple(replace(o, device=None) for o in v.outputs)) for v in variants)


def allowed(results: Sequence[Node]) -> float:
    """What a graph may cost: a power takes an exponential, a logarithm and pairs, and brings its derivatives terms."""
    powers = sum(n.op == "call" and n.value in POWERS for n in topological(results))
    return DEAREST + POWER * powers
