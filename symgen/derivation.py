"""What the pipeline makes of a definition: every output of every variant, with each stage of its making kept."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import sympy as sp
from sympy import Expr, Symbol

from symgen.kernel import ScalarFunction
from symgen.program import Program
from symgen.rules.rule import Step
from symgen.spec import Op, Variant
from symgen.stabilize.form import Form, Region
from symgen.stabilize.probe import Probe
from symgen.stabilize.regimes import Unresolved


@dataclass(frozen=True)
class Output:
    """One scalar function of a variant: the value or a derivative, at every stage of its making.

    Attributes:
        name: "value", "grad", "grad2", or "grad_NAME" for another operand, a parameter or an option.
        wrt: what it is a derivative in; None for the value.
        order: of the derivative.
        naive: the formula of the variant, as written.
        recognized: this output after calculus, in the vocabulary.
        stable: after all rules.
        trace: the rules that were applied.
        regions: what computes which part of the line in float64, for people.
        cores: the scalar functions, "f32" and "f64".
        forms: the same before scheduling.
        worst: the largest error at the probe points, in ULP of the target (before rounding for "f32").
        unresolved: stretches on which the target's bar is missed.
        probe: where it was measured, and the truth there.
        device: the same for float32 arithmetic on a GPU; None where that was not asked for.
        difference: a symbol and what it stands for, where regions and forms are stated in a difference of operands.
        quick: for float32 results, what is computed first, and a number that is not zero where that is in doubt (see
            `symgen.stabilize.doubt`); None where the core itself is as good.
        factor: what regions and forms are still multiplied by: the weights, and the sign of the operand.
    """

    name: str
    wrt: str | None
    order: int
    naive: Expr
    recognized: Expr
    stable: Expr
    trace: tuple[Step, ...]
    regions: tuple[Region, ...]
    cores: Mapping[str, ScalarFunction]
    forms: Mapping[str, Form]
    worst: Mapping[str, float]
    unresolved: Mapping[str, tuple[Unresolved, ...]]
    probe: Probe
    device: Device | None = None
    difference: tuple[Symbol, Expr] | None = None
    factor: Expr = sp.S.One
    quick: ScalarFunction | None = None

    @property
    def every_core(self) -> tuple[ScalarFunction, ...]:
        """The scalar functions that kernels for the CPU are made of."""
        return (*self.cores.values(), *((self.quick,) if self.quick else ()))


@dataclass(frozen=True)
class Device:
    """One output in float32 arithmetic; a number among the parameters comes as two, `NAME` and `NAME_low`."""

    core: ScalarFunction
    form: Form
    worst: float
    unresolved: tuple[Unresolved, ...]


@dataclass(frozen=True)
class DerivedVariant:
    """One variant of a definition with all that was derived from it."""

    variant: Variant
    program: Program
    outputs: tuple[Output, ...]
    names: tuple[str, ...] = ()  # of all outputs that there are, whether derived or not

    def output(self, name: str) -> Output:
        return next(o for o in self.outputs if o.name == name)


@dataclass(frozen=True)
class Derivation:
    """Everything that the build knows of a function."""

    op: Op
    variants: tuple[DerivedVariant, ...]
