"""Programs: a definition as let-bindings over named axes, with every reduction explicit.

Elementwise functions are one stage; a gradient that is summed over the axes its target lacks is a stage of its own,
so that parameters, options and broadcast operands need no special case.
"""

from __future__ import annotations

from dataclasses import dataclass

from sympy import Expr, Sum, Symbol

from symgen.spec import Op, Variant

OPERATIONS = ("=", "sum", "max", "min", "prod")


class ProgramError(ValueError):
    """A definition that this version has no kernels for, or a program that breaks its own rules."""


@dataclass(frozen=True)
class Stage:
    """``out[axes] = op over(axes) body``.

    Where there is an `entry`, an element of an earlier result, the number is written over it if the row has that place.
    """

    out: str
    op: str
    axes: tuple[str, ...]
    over: tuple[str, ...]
    body: Expr
    entry: Expr | None = None

    @property
    def taken(self) -> tuple[Expr, ...]:
        """The expressions whose parts have to be there before."""
        return (self.body,) if self.entry is None else (self.body, self.entry)

    def __str__(self) -> str:
        if self.entry is not None:
            return f"{self.entry} = {self.body}"
        index = f"[{', '.join(self.axes)}]" if self.axes else ""
        reduce = "=" if self.op == "=" else f"= {self.op} over {', '.join(self.over)} of"
        return f"{self.out}{index} {reduce} {self.body}"


@dataclass(frozen=True)
class Program:
    """Stages in order; `results` names those that are wanted, the last one where it is empty."""

    name: str
    inputs: tuple[Symbol, ...]
    stages: tuple[Stage, ...]
    results: tuple[str, ...] = ()

    def __str__(self) -> str:
        return "\n".join(map(str, self.stages))


def lower(op: Op, variant: Variant) -> Program:
    """The program of one variant of a definition.

    Raises:
        ProgramError: the formula reduces over an axis, which needs row kernels.
    """
    if variant.value.has(Sum):
        raise ProgramError(
            f"{op.source.file}:{op.source.line}: {op.name}: the formula sums over an axis; "
            "this version generates elementwise functions only"
        )
    inputs = tuple(sorted(variant.value.free_symbols, key=str))
    return verify(Program(op.name, inputs, (Stage("out", "=", ("...",), (), variant.value),)))


def verify(program: Program) -> Program:
    """Check that each stage reads inputs and earlier stages only; return the program unchanged."""
    known = {s.name for s in program.inputs}
    for stage in program.stages:
        unknown = sorted(s.name for s in stage.body.free_symbols if s.name not in known)
        if unknown:
            raise ProgramError(f"{program.name}: stage {stage.out} reads {', '.join(unknown)}, which nothing defines")
        if stage.op not in OPERATIONS:
            raise ProgramError(f"{program.name}: stage {stage.out} has the unknown operation {stage.op!r}")
        known.add(stage.out)
    return program
