"""Values for plots: at which options a card shows a function, and f, f' and f'' there from its generated code."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import numpy.typing as npt
import sympy as sp

from symgen.spec.model import REQUIRED, Argument, Op, role_limits
from symgen.structure import structure

if TYPE_CHECKING:
    from symgen.derivation import Derivation

Array = npt.NDArray[np.float64]
Samples = Callable[[Array], tuple[Array, ...]]
"""f, f' and f'' of the generated code at float64 points, at the options that the card shows."""

# for arguments without a default, in the order in which they are tried
_ILLUSTRATIVE = (0.25, 0.5, -0.5, 2.0, -2.0, 1.0, -1.0)
_TESTS: dict[str, Callable[[float, float], bool]] = {
    ">": lambda a, b: a > b,
    ">=": lambda a, b: a >= b,
    "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b,
    "!=": lambda a, b: a != b,
}


class Kernel(Protocol):
    """A generated kernel, as `symgen.functional` has it."""

    def __call__(self, x: Array, /, **options: Any) -> Any: ...

    def grad(self, x: Array, /, *, order: int = 1, **options: Any) -> Any: ...


def shown_options(op: Op) -> dict[str, object]:
    """Values for the arguments that have no default: the first illustrative numbers that their limits allow."""
    chosen: dict[str, object] = {}
    left = list(_ILLUSTRATIVE) if op.kind != "loss" else [*_target(op), *_ILLUSTRATIVE]
    for argument in op.arguments[1:]:
        if argument.default is REQUIRED and argument.role.kind != "choice":
            value = next((v for v in left if _allowed(argument, v)), None)
            if value is not None:
                left.remove(value)
                chosen[argument.name] = value
    return chosen


def _target(op: Op) -> tuple[float, ...]:
    """What a loss is drawn for: its residual where it has one, else a positive label."""
    tensors = [op.symbol(a.name) for a in op.operands if a.role.kind == "tensor"]
    return (0.0, 1.0) if structure(op.variants[0].value, tensors, ()).difference else (1.0,)


def _allowed(argument: Argument, value: float) -> bool:
    return all(_TESTS[o](value, v) for o, v in role_limits(argument.role) if o in _TESTS)


def is_curve(op: Op) -> bool:
    """Whether a function can be drawn: one operand runs, the others are parameters; a loss is drawn for one target."""
    return op.kind == "loss" or sum(a.role.kind not in ("param", "weight") for a in op.operands) == 1


def from_kernel(kernel: Kernel, op: Op) -> Samples:
    """Values of a compiled kernel."""
    options: dict[str, Any] = shown_options(op)
    if op.kind == "loss":
        options |= {"reduction": "none"}
    first: dict[str, Any] = {"wrt": op.operands[0].name} if op.kind == "loss" else {}

    def samples(x: Array) -> tuple[Array, ...]:
        x = np.ascontiguousarray(x, dtype=np.float64)
        return kernel(x, **options), kernel.grad(x, **first, **options), kernel.grad(x, order=2, **first, **options)

    return samples


def from_cores(derivation: Derivation) -> Samples:
    """Values of the scalar code that the kernel is printed from, without compiling it."""
    op, derived = derivation.op, default_variant(derivation)
    first = op.operands[0].name
    given = {a.name: a.default for a in op.arguments} | shown_options(op)
    cores = [o.cores["f64"] for o in derived.outputs if o.wrt in (None, first) and not o.name.startswith("share")]

    def samples(x: Array) -> tuple[Array, ...]:
        x = np.asarray(x, dtype=np.float64)
        columns = [[x if p == first else np.float64(given[p]) for p in core.parameters] for core in cores]  # type: ignore[arg-type]
        return tuple(core.evaluate(c)[0] for core, c in zip(cores, columns, strict=True))

    return samples


def default_variant(derivation: Any) -> Any:
    """The variant that the defaults choose, of a derivation of any kind."""
    op = derivation.op
    defaults = {a.name: a.default for a in op.arguments}

    def fits(derived: Any) -> bool:
        for name, value in derived.variant.settings:
            given = defaults.get(name)
            if value != given and not (value == "given" and given is not None):
                return False
        return all(bool(c.subs(values(op, c)) == truth) for c, truth in derived.variant.conditions)

    return next((v for v in derivation.variants if fits(v)), derivation.variants[0])


def values(op: Op, e: Any) -> dict[Any, Any]:
    """What the options are on the card, exactly, for the symbols of an expression."""
    shown = {a.name: a.default for a in op.arguments[1:]} | shown_options(op)
    exact = {name: exact_number(v) for name, v in shown.items()}
    return {s: exact[s.name] for s in sorted(e.free_symbols, key=str) if exact.get(s.name) is not None}


def exact_number(value: object) -> Any:
    """A Python number as SymPy's, None for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return sp.Rational(repr(value)) if np.isfinite(value) else (sp.oo if value > 0 else -sp.oo)


def named(e: Any, name: str) -> Any:
    """The symbol of an expression that has this name; its assumptions are the pipeline's business."""
    found = (s for s in sorted(e.free_symbols, key=str) if s.name == name)
    return next(found, sp.Symbol(name, real=True))


def domain(op: Op) -> tuple[float, float]:
    """The open interval in which the first operand may lie."""
    low, high = -np.inf, np.inf
    for o, v in role_limits(op.operands[0].role):
        low = max(low, float(v)) if o in (">", ">=") else low
        high = min(high, float(v)) if o in ("<", "<=") else high
    return float(low), float(high)
