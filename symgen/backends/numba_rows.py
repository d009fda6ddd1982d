"""Prints schedules of row functions as Numba modules: loops over rows, and within a row one loop for each stage."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import sympy as sp
from sympy import Expr, Indexed

from symgen.backends.numba_cpu import (
    BACKEND,
    DIALECT,
    ELEMENTARY,
    INTRINSICS,
    TRIG,
    Core,
    ModuleText,
    doc_text,
    function_name,
)
from symgen.backends.python_text import fold, local_names, print_graph
from symgen.backends.render import render
from symgen.kernel import ScalarFunction
from symgen.program import Stage
from symgen.rows.indices import axis_of, base_of, is_index, places, size
from symgen.rows.schedule import LOW, Schedule, Step

REDUCTIONS = {"sum": "sum_up", "max": "largest", "min": "smallest", "peak": "peak", "scale": "scale",
              "prod": "multiply_up"}  # fmt: skip
OWN = frozenset({"row", "rows", "error", "two_sum", "inside", *REDUCTIONS.values()})


@dataclass(frozen=True)
class Array:
    """An operand or a result of a kernel.

    Attributes:
        name: as the spec calls it.
        axes: along which a sample of it varies, by the names of the axes.
        shared: whether all samples share it; a result of this kind is summed over the rows.
        number: whether it is a number, the same for all.
    """

    name: str
    axes: tuple[str, ...] = ()
    shared: bool = False
    number: bool = False


@dataclass(frozen=True)
class RowFunction:
    """One kernel: its schedule, what it takes in order, and the arrays that its results go to."""

    name: str
    schedule: Schedule
    takes: tuple[Array, ...]
    gives: tuple[Array, ...]


@dataclass(frozen=True)
class RowVariant:
    """The kernels of one variant."""

    suffix: str
    functions: tuple[RowFunction, ...]
    title: str = ""


@dataclass(frozen=True)
class Function:
    """A kernel, ready for the template."""

    name: str
    parameters: tuple[str, ...]
    rows: str
    sizes: tuple[tuple[str, str], ...]
    buffers: tuple[tuple[str, str], ...]
    lines: tuple[str, ...]
    uses: frozenset[str]


@dataclass(frozen=True)
class Section:
    """One variant, ready for the template."""

    title: str
    cores: tuple[Core, ...]
    functions: tuple[Function, ...]


def emit(module: ModuleText, variants: Iterable[RowVariant]) -> str:
    """The text of a module of row functions.

    Args:
        module: what the module says of itself; its own variants are not read.
        variants: the kernels.
    """
    sections = tuple(_section(v) for v in variants)
    needs = frozenset().union(*(c.body.needs for s in sections for c in s.cores))
    uses = frozenset().union(*(f.uses for s in sections for f in s.functions))
    values = {
        "module": module,
        "documentation": doc_text(module),
        "sections": sections,
        "needs": needs,
        "intrinsics": sorted(needs & INTRINSICS | uses & {"two_sum"}),
        "reductions": sorted(uses - {"two_sum"}),
        "trig": sorted(needs & TRIG),
        "elementary": sorted(needs & ELEMENTARY),
    }
    head, documentation, code = render(BACKEND, "rows.py.jinja", values).split('"""', 2)
    return '"""'.join((head, documentation, fold(code)))


def _section(variant: RowVariant) -> Section:
    cores: dict[tuple[Any, ...], Core] = {}
    functions = []
    for function in variant.functions:
        names = {s.stage.out: _core(cores, function, s, variant.suffix) for s in function.schedule.steps}
        functions.append(_Writer(function, names, variant.suffix).written())
    return Section(variant.title, tuple(cores.values()), tuple(functions))


def _core(cores: dict[tuple[Any, ...], Core], function: RowFunction, step: Step, suffix: str) -> str:
    """The name of a step's core, which is printed once for all kernels that have it."""
    key = (step.core.parameters, tuple(map(id, step.core.results)))
    if key not in cores:
        full = function_name(f"{function.name}_{step.stage.out}", "core", suffix)
        names = local_names(step.core.parameters, DIALECT.reserved)
        body = print_graph(ScalarFunction(full, step.core.parameters, step.core.results), DIALECT)
        comments = tuple(textwrap.wrap(str(step.stage), 112, subsequent_indent="    "))
        cores[key] = Core(full, tuple(names.values()), comments, body)
    return cores[key].name


@dataclass
class _Writer:
    """The state of one kernel's printing."""

    function: RowFunction
    cores: Mapping[str, str]
    suffix: str
    lines: list[str] = field(default_factory=list)
    buffers: dict[str, str] = field(default_factory=dict)
    uses: set[str] = field(default_factory=set)
    depth: int = 0

    def __post_init__(self) -> None:
        steps = self.function.schedule.steps
        self.stages = {s.stage.out: s.stage for s in steps}
        arrays = (*self.function.takes, *self.function.gives)
        taken = DIALECT.reserved | OWN | set(self.cores.values())
        wanted = [a.name for a in arrays] + [n for s in self.stages for n in (s, s + LOW)]
        self.names = local_names(wanted, taken)
        self.arrays = {a.name: a for a in arrays}

    def written(self) -> Function:
        for array in self.function.takes:
            if not array.shared and not array.number:
                name = self.names[array.name]
                self.line(f"{name}_row = {name}[row % {name}.shape[0]]")
        for array in self.function.gives:
            if array.axes and not array.shared:
                self.line(f"{self.names[array.name]}_row = {self.names[array.name]}[row]")
        for step in self.function.schedule.steps:
            self.step(step)
        parameters = [self.names[a.name] for a in self.function.takes]
        for array in self.function.gives:
            name = self.names[array.name]
            parameters += [name, f"{name}{LOW}"] if array.shared else [name]
        # a size may be that of a stage's axis only: the longest of these names is no axis of any array
        return Function(
            self.function.name + (f"_{self.suffix}" if self.suffix else ""), tuple(parameters), self.rows(),
            tuple(self.sizes()), tuple(self.buffers.items()), tuple(self.lines), frozenset(self.uses),
        )  # fmt: skip

    def rows(self) -> str:
        """How many rows there are: as many as a result has, or where all are shared, as the longest operand."""
        for array in self.function.gives:
            if not array.shared:
                return f"{self.names[array.name]}.shape[0]"
        lengths = [f"{self.names[a.name]}.shape[0]" for a in self.function.takes if not a.shared and not a.number]
        return lengths[0] if len(lengths) == 1 else f"max({', '.join(lengths)})"

    def sizes(self) -> Iterator[tuple[str, str]]:
        seen: set[str] = set()
        for array in (*self.function.takes, *self.function.gives):
            for position, axis in enumerate(array.axes):
                if axis not in seen and not axis.isdigit():
                    seen.add(axis)
                    yield _size(axis), f"{self.names[array.name]}.shape[{position + (not array.shared)}]"

    def line(self, text: str) -> None:
        self.lines.append("    " * self.depth + text)

    def step(self, step: Step) -> None:
        stage = step.stage
        for i in stage.axes:
            self.line(f"for {_index(i)} in range({_size(i)}):")
            self.depth += 1
        if stage.over:
            self.reduction(step)
        else:
            self.assignment(step)
        self.depth -= len(stage.axes)

    def reduction(self, step: Step) -> None:
        stage = step.stage
        buffer = "_".join(["buffer", *(axis_of(i) for i in stage.over)])
        shape = " * ".join(map(_size, stage.over))
        self.buffers[buffer] = self.buffers[buffer + LOW] = shape
        at = _index(stage.over[0])
        for k, i in enumerate(stage.over):
            self.line(f"for {_index(i)} in range({_size(i)}):")
            self.depth += 1
            at = f"({at}) * {_size(i)} + {_index(i)}" if k else at
        self.line(f"{buffer}[{at}], {buffer}{LOW}[{at}] = {self.call(step)}")
        self.depth -= len(stage.over)
        operation = REDUCTIONS[stage.op]
        self.uses.add(operation)
        self.store(stage, f"{operation}({buffer}, {buffer}{LOW})")

    def assignment(self, step: Step) -> None:
        if step.stage.out in self.function.schedule.program.results:
            self.result(step)
        else:
            self.store(step.stage, self.call(step))

    def store(self, stage: Stage, value: str) -> None:
        names = [self.names[stage.out], self.names[stage.out + LOW]]
        if stage.axes:
            shape = ", ".join(map(_size, stage.axes))
            self.buffers |= dict.fromkeys(names, f"({shape})" if len(stage.axes) > 1 else shape)
            at = ", ".join(map(_index, stage.axes))
            names = [f"{n}[{at}]" for n in names]
        self.line(f"{names[0]}, {names[1]} = {value}")

    def result(self, step: Step) -> None:
        array = self.arrays[step.stage.out]
        name, at = self.names[array.name], ", ".join(map(_index, step.stage.axes))
        if array.shared:
            self.uses.add("two_sum")
            at = at or "0"
            self.line(f"{name}[{at}], error = two_sum({name}[{at}], {self.call(step)})")
            self.line(f"{name}{LOW}[{at}] += error")
        else:
            self.line(f"{name}_row[{at}] = {self.call(step)}" if at else f"{name}[row] = {self.call(step)}")

    def call(self, step: Step) -> str:
        arguments: list[str] = []
        for what in step.reads:
            arguments += self.read(what)
        return f"{self.cores[step.stage.out]}({', '.join(arguments)})"

    def read(self, e: Expr) -> list[str]:
        """What is passed for a read: of a stage the number and what it is missing."""
        if is_index(e):
            return [_index(e.name)]
        name = base_of(e)
        if name.startswith("|"):
            return [_size(name.strip("|"))]
        own = self.names[name]
        if name in self.stages:
            at = f"[{', '.join(map(_position_of_stage, places(e)))}]" if places(e) else ""
            return [f"{own}{at}", f"{self.names[name + LOW]}{at}"]
        array = self.arrays[name]
        if array.number:
            return [own]
        row = own if array.shared else f"{own}_row"
        if not isinstance(e, Indexed):
            return [f"{row}[0]" if array.shared else row]
        inner = [self.place(i, axis) for i, axis in zip(e.indices, array.axes, strict=True)]
        return [f"{row}[{', '.join(inner)}]"]

    def place(self, e: Any, axis: str) -> str:
        """A position along an axis; one that is gathered is kept inside, so that an ignored one is never followed."""
        if is_index(e):
            return _index(e.name)
        if isinstance(e, sp.Integer):
            return str(e)
        (position,) = self.read(e)
        self.uses.add("inside")
        return f"inside({position}, {_size(axis)})"


def _position_of_stage(e: Any) -> str:
    return _index(e.name) if is_index(e) else str(e)


def _index(name: str) -> str:
    return f"i_{name.replace('.', '')}"


def _size(name: str) -> str:
    known = size(name)
    return str(known) if known.is_Integer else f"n_{axis_of(name)}"
