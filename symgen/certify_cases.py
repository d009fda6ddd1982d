"""Which formulas and option values a certificate measures: a small set, the same each time, derived from the spec."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import sympy as sp
from sympy import Expr, Symbol

from symgen.spec.model import DATA_KINDS, Argument, Op, Variant, exact, role_limits
from symgen.ulp import inside

STATED: dict[str, tuple[Any, ...]] = {
    "real": (0.5, 2.0, -1.0, 1e-3, 1e3),
    "int": (1, 2, 5),
    "param": (0.25, -1.5),
    "weight": (0.25, 2.0),
    "prob": (0.25, 0.0, 1.0),
    "tensor": (0.75, -2.5),
}
EXTRAS = 3  # further values of one option, the others at their base
SEARCHED = 4096  # combinations looked through for one that chooses a variant


OUTPUTS = (("value", 0), ("grad", 1), ("grad2", 2))


class CertifyError(ValueError):
    """A function cannot be certified; the message says why and what to do."""


@dataclass(frozen=True)
class Case:
    """One formula with one value for everything except the operand that is swept.

    Attributes:
        variant: the spec's variant, None for a formula without a spec.
        expression: the naive formula.
        operand: name of the operand that is swept.
        symbol: what stands for it in the formula.
        limits: its domain.
        options: values of the options, by name, as the kernel takes them; a loss is measured without reduction.
        operands: every array operand in signature order, with its value, None for the one that is swept.
        parameters: values of the formula's other symbols, by name.
        numeric: names of the parameters that have a gradient, with their symbols.
        outputs: names of what is measured along the swept operand, each with its order of derivative.
        base: whether this is the variant's main setting, which is measured with the most points.
    """

    expression: Expr
    operand: str
    symbol: Symbol
    variant: Variant | None = None
    limits: tuple[tuple[str, Any], ...] = ()
    options: tuple[tuple[str, Any], ...] = ()
    operands: tuple[tuple[str, float | None], ...] = ()
    parameters: tuple[tuple[str, float], ...] = ()
    numeric: tuple[tuple[str, Symbol], ...] = ()
    outputs: tuple[tuple[str, int], ...] = OUTPUTS
    base: bool = True

    @property
    def is_loss(self) -> bool:
        """Whether the kernel reduces, and was told not to."""
        return any(name == "reduction" for name, _ in self.options)

    @property
    def settings(self) -> tuple[tuple[str, Any], ...]:
        """What a row of the certificate states."""
        held = tuple((name, value) for name, value in self.operands if value is not None)
        return held + self.options


@dataclass(frozen=True)
class Along:
    """What a case is differentiated by, and the outputs that this gives, each with its order of derivative."""

    name: str
    symbol: Symbol
    outputs: tuple[tuple[str, int], ...]
    is_operand: bool

    @property
    def title(self) -> str:
        return ", ".join(name for name, _ in self.outputs)


def directions(case: Case) -> tuple[Along, ...]:
    """The operand that is swept, then each parameter that has a gradient."""
    parameters = [Along(name, symbol, ((f"grad_{name}", 1),), False) for name, symbol in case.numeric]
    return (Along(case.operand, case.symbol, case.outputs, True), *parameters)


def cases(op: Op) -> tuple[Case, ...]:
    """Every variant of a function at its base setting, and at a few other values of each option.

    Args:
        op: an elementwise function.

    Returns:
        Cases in a fixed order; for several Tensor operands, each is swept in turn.

    Raises:
        CertifyError: a variant is chosen by no value that this module thinks of, or the function is not elementwise.
    """
    swept = [a for a in op.operands if a.role.kind == "tensor"]
    symbols = {op.symbol(a.name) for a in op.arguments}
    if not swept or any(v.value.free_symbols - symbols for v in op.variants):
        raise CertifyError(f"{op.name}: only elementwise functions of a tensor can be certified so far")
    found = [
        _case(op, variant, argument, values, i == 0)
        for variant in op.variants
        for i, values in enumerate(settings(op, variant))
        for argument in swept
    ]
    return tuple({(c.variant, c.operand, c.settings): c for c in reversed(found)}.values())[::-1]


def settings(op: Op, variant: Variant) -> tuple[Mapping[str, Any], ...]:
    """Values for all options and held operands that choose a variant: the base first, then one changed at a time."""
    free = [a for a in op.arguments if a.role.kind in DATA_KINDS or a.role.is_option]
    candidates = {a.name: _candidates(a, variant) for a in free}
    base = next((v for v in _combinations(candidates) if _chooses(op, variant, v)), None)
    if base is None:
        raise CertifyError(
            f"{op.name}: no stated value of {', '.join(candidates)} chooses the variant '{variant.suffix}'"
            " (conditions: " + ", ".join(f"{c} is {t}" for c, t in variant.conditions) + ")"
        )
    found = [base]
    for name, values in candidates.items():
        changed = [{**base, name: v} for v in values if v != base[name]]
        found += [v for v in changed if _chooses(op, variant, v)][:EXTRAS]
    return tuple(found)


def _combinations(candidates: Mapping[str, Sequence[Any]]) -> Iterator[Mapping[str, Any]]:
    for values in itertools.islice(itertools.product(*candidates.values()), SEARCHED):
        yield dict(zip(candidates, values, strict=True))


def _candidates(argument: Argument, variant: Variant) -> tuple[Any, ...]:
    """Values to try, the default first where it belongs to the variant."""
    setting = dict(variant.settings).get(argument.name, "given")
    if argument.role.kind == "choice" or setting is None or (setting != "given" and not argument.role.is_data):
        return (setting if setting != "given" or argument.role.choices else argument.default,)
    stated = STATED.get(argument.role.kind, (1.0,))
    number = int if argument.role.kind == "int" else float
    default = [argument.default] if isinstance(argument.default, int | float) else []
    compared = [number(v) for v in _compared(argument.name, variant) if argument.role.is_option]
    values = dict.fromkeys([*map(number, default), *stated, *compared])
    allowed = tuple(v for v in values if _within(v, argument))
    return allowed or tuple(number(v) for _, v in role_limits(argument.role))


def _within(value: float, argument: Argument) -> bool:
    return bool(inside(np.array([value], float), role_limits(argument.role))[0])


def _compared(name: str, variant: Variant) -> list[float]:
    """Numbers that the variant's conditions compare an option with, and values on both sides of them."""
    numbers: list[float] = []
    for condition, _ in variant.conditions:
        for relation in condition.atoms(sp.Rel):
            if name in {s.name for s in relation.free_symbols} and len(relation.free_symbols) == 1:
                zero = [float(v) for v in (relation.lhs, relation.rhs) if v.is_number]
                numbers += [w for v in zero for w in ((v, v + 1, v - 1) if math.isfinite(v) else (v,))]
    return numbers


def _chooses(op: Op, variant: Variant, values: Mapping[str, Any]) -> bool:
    numbers = {op.symbol(k): exact(v) for k, v in values.items() if isinstance(v, int | float)}
    checks = [(c, True) for c in op.assertions] + list(variant.conditions)
    return all(bool(sp.sympify(c).subs(numbers) == sp.true) == truth for c, truth in checks)


def _case(op: Op, variant: Variant, swept: Argument, values: Mapping[str, Any], base: bool) -> Case:
    held = [a for a in op.operands if a is not swept]
    options = tuple((a.name, values[a.name]) for a in op.options)
    options += (("reduction", "none"),) if op.kind == "loss" else ()
    numbers = {k: float(v) for k, v in values.items() if isinstance(v, int | float) and not isinstance(v, bool)}
    present = {s.name for s in variant.value.free_symbols}
    parameters = {k: v for k, v in numbers.items() if k in present and k != swept.name}
    numeric = [a for a in op.arguments if a.role.kind in ("real", "param", "weight", "prob") and a.name in parameters]
    return Case(
        expression=variant.value,
        operand=swept.name,
        symbol=op.symbol(swept.name),
        variant=variant,
        limits=role_limits(swept.role),
        options=options,
        operands=tuple((a.name, numbers[a.name] if a in held else None) for a in op.operands),
        parameters=tuple(sorted(parameters.items())),
        numeric=tuple((a.name, op.symbol(a.name)) for a in numeric),
        outputs=_outputs(op, swept),
        base=base,
    )


def _outputs(op: Op, swept: Argument) -> tuple[tuple[str, int], ...]:
    """A function of one tensor has two derivatives; of several, the value once and two derivatives in each."""
    tensors = [a for a in op.operands if a.role.kind == "tensor"]
    if len(tensors) == 1:
        return OUTPUTS
    own = ((f"grad_{swept.name}", 1), (f"grad2_{swept.name}", 2))
    return (("value", 0), *own) if swept is tensors[0] else own
