"""The module of a row function, and what a person is shown of its derivation."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

from symgen.backends import numba_cuda_nested, numba_cuda_rows, numba_rows
from symgen.backends.numba_cpu import ModuleText
from symgen.backends.row_functions import Array, RowFunction, RowVariant
from symgen.kernel import ScalarFunction, topological
from symgen.rows.adjoint import COTANGENT
from symgen.rows.derive import DerivedRows, Place, RowDerivation, RowOutput, facts_of, gradient_of
from symgen.rows.merge import merged
from symgen.rows.schedule import Schedule, device_schedule
from symgen.rows.tangent import DIRECTION


def emit(derivation: RowDerivation, module: ModuleText, title: Callable[[DerivedRows], str]) -> str:
    """The text of the module."""
    return numba_rows.emit(module, [_variant(v, title(v)) for v in derivation.variants])


def emit_cuda(derivation: RowDerivation, module: ModuleText, title: Callable[[DerivedRows], str]) -> str:
    """The text of the module for GPUs; empty where some variant is more than any template prints."""
    made = [(v, [_device_functions(v, o) for o in v.outputs if not o.along]) for v in derivation.variants]
    for printer in (numba_cuda_rows, numba_cuda_nested):
        variants = []
        for derived, outputs in made:
            functions = tuple(f for own in outputs if printer.printable(own[0]) for f in own)
            variants.append(RowVariant(derived.variant.suffix, functions, title(derived)))
        if all(any(f.name.startswith("value_f") for f in v.functions) for v in variants):
            text: str = printer.emit(module, variants)
            return text
    return ""


def _device_functions(derived: DerivedRows, output: RowOutput) -> list[RowFunction]:
    """The kernels of an output for float32 and for float64 arithmetic."""
    light = tuple(p.name for p in derived.places if p.role.kind in ("weight", "prob"))
    facts = replace(facts_of(derived.places), light=light)
    made = device_schedule(output.name, (output.stable, output.families), facts)
    double = (s for s in output.schedules if s.target == "f64")
    return [_function(derived, output, made, "f32"), *(_function(derived, output, s) for s in double)]


def cores(derivation: RowDerivation) -> list[ScalarFunction]:
    """Every scalar core of every kernel."""
    outputs = (o for v in derivation.variants for o in v.outputs)
    made = [s for o in outputs for own in o.schedules for s in (own, own.quick) if s is not None]
    return [step.core for schedule in made for step in schedule.steps]


def _variant(derived: DerivedRows, title: str) -> RowVariant:
    functions = [_function(derived, o, s) for o in derived.outputs for s in o.schedules]
    return RowVariant(derived.variant.suffix, tuple(functions), title)


def _function(
    derived: DerivedRows, output: RowOutput, made: Schedule, arithmetic: str = ""
) -> RowFunction:
    share = output.name.startswith("share")
    axes = () if share else derived.axes
    arrays = [_array(p) for p in derived.places]
    known = {p.name: p for p in derived.places}
    moving = [replace(_array(known[output.along]), name=DIRECTION)] if output.along else []
    takes = [Array(COTANGENT, axes), *moving, *arrays] if output.wrt else arrays
    gives: list[Array] = []
    for result in output.stable.results:
        wrt = next((known[w] for w in output.wrt if gradient_of(w) == result), None)
        gives.append(Array(result, wrt.axes if wrt else axes, wrt.shared if wrt else False))
    return RowFunction(f"{output.name}_{arithmetic or made.target}", made, tuple(takes), tuple(gives))


def _array(place: Place) -> Array:
    optional = place.role.kind == "mask" and len(place.axes) == 1
    return Array(place.name, place.axes, place.shared, place.number, optional)


def programs(outputs: Iterable[RowOutput], form: Callable[[RowOutput], object]) -> str:
    """One program for each output, indented below its name."""
    blocks = []
    for o in outputs:
        lines = "\n".join(f"  {line}" for line in str(form(o)).splitlines())
        blocks.append(f"{o.name}\n{lines}")
    return "\n".join(blocks)


def _sections(derivation: RowDerivation, text: Callable[[DerivedRows], str]) -> str:
    several = len(derivation.variants) > 1
    heads = (f"{derivation.op.name} of variant {v.variant.suffix}\n" if several else "" for v in derivation.variants)
    return "\n\n".join(head + text(v) for head, v in zip(heads, derivation.variants, strict=True))


def _shifts(output: RowOutput) -> str:
    """The stable program, what was proved of its free parameters, and the hardest rows where it misses its bar."""
    free = (f"# {f.parameter}: the derivative in it vanishes" for f in output.families)
    missed = (
        f"# {target} misses its bar: {miss.error:.3g} ULP at a row of {miss.place}"
        for target, found in output.unresolved.items()
        for miss in found
    )
    parts = (f"# {m}" for m in merged(output.stable, output.families))
    return "\n".join([str(output.stable), *free, *parts, *missed])


def _cores(output: RowOutput) -> str:
    return "\n".join(
        f"{made.target} {s.stage.out}({', '.join(s.core.parameters)}): {len(topological(s.core.results))} nodes"
        for made in output.schedules for s in made.steps
    )  # fmt: skip


STAGES: dict[str, Callable[[RowDerivation], str]] = {
    "lower": lambda d: _sections(d, lambda v: str(v.program)),
    "recognize": lambda d: _sections(d, lambda v: programs(v.outputs, lambda o: o.recognized)),
    "stabilize": lambda d: _sections(d, lambda v: programs(v.outputs, _shifts)),
    "schedule": lambda d: _sections(d, lambda v: programs(v.outputs, _cores)),
}
