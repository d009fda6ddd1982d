"""Prints schedules of row functions as Numba modules: loops over rows, and within a row passes of one or more stages.

A pass walks its axis in tiles of as many entries as a reduction has lanes, through views: so the innermost loop counts
from zero over contiguous numbers, without a branch, and compilers make vector code of it.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
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
from symgen.backends.numba_row_passes import Pass, innermost, passes
from symgen.backends.numba_row_reductions import monoid_of
from symgen.backends.numba_row_runtime import INTRINSIC, TAKEN, imported
from symgen.backends.python_text import fold, local_names, print_graph
from symgen.backends.render import render
from symgen.backends.row_functions import RowFunction, RowVariant
from symgen.backends.row_names import identifier, index_name, size_name
from symgen.kernel import ScalarFunction
from symgen.rows.doubt import doubts
from symgen.rows.indices import axis_of, base_of, is_index, list_of, places
from symgen.rows.schedule import LOW, Step
from symgen.rows.told import entry_of

AGAIN = "in_pairs"  # what the kernel is called that computes rows again
OWN = TAKEN | {"row", "row_of", "tile", "entry", "error", "start", "stop", "i", "min", "max", "inside"}


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
        "needs": needs | ({"math"} if any("math." in line for s in sections for f in s.functions for line in f.lines)
                          else set()),
        "intrinsics": sorted(needs & INTRINSICS | uses & INTRINSIC),
        "runtime": tuple(imported(uses)),
        "trig": sorted(needs & TRIG),
        "elementary": sorted(needs & ELEMENTARY),
    }
    head, documentation, code = render(BACKEND, "rows.py.jinja", values).split('"""', 2)
    return '"""'.join((head, documentation, fold(code)))


def _section(variant: RowVariant) -> Section:
    cores: dict[tuple[Any, ...], Core] = {}
    functions = []
    for function in (each for f in variant.functions for each in _tried(f, variant.suffix)):
        names = {s.stage.out: _core(cores, function, s, variant.suffix) for s in function.schedule.steps}
        functions.append(_Writer(function, names, variant.suffix).written())
    return Section(variant.title, tuple(cores.values()), tuple(functions))


def _tried(function: RowFunction, suffix: str) -> tuple[RowFunction, ...]:
    """A kernel; if plain arithmetic is tried first, after the one for rows where that is not enough."""
    quick = function.schedule.quick
    if quick is None:
        return (function,)
    careful = replace(function, name=f"{function.name}_{AGAIN}")
    return careful, replace(function, schedule=quick, again=_full(careful.name, suffix))


def _full(name: str, suffix: str) -> str:
    return name + (f"_{suffix}" if suffix else "")


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
    widths: dict[str, str] = field(default_factory=dict)
    uses: set[str] = field(default_factory=set)
    depth: int = 0
    free: bool = False  # whether the pass that is printed goes without lanes
    stretches: list[str] = field(default_factory=list)  # what such a pass sums up stretch by stretch
    beside: bool = False  # whether each entry of a row is a lane of its own, as beside a list
    inner: str = ""  # the index of the innermost loop of the step that is printed
    here: set[str] = field(default_factory=set)  # the stages of this pass, whose entries are at hand
    tiles: dict[str, str] = field(default_factory=dict)  # the views of this pass, by what they are of
    still: dict[str, str] = field(default_factory=dict)  # what every entry of this pass reads, by its text

    def __post_init__(self) -> None:
        self.steps = {s.stage.out: s for s in self.function.schedule.steps}
        arrays = (*self.function.takes, *self.function.gives)
        taken = DIALECT.reserved | OWN | set(self.cores.values())
        wanted = [a.name for a in arrays] + [n for s in self.steps for n in (s, s + LOW)]
        self.names = local_names(wanted, taken)
        self.arrays = {a.name: a for a in arrays}
        self.optional = {f"{self.names[a.name]}_row" for a in arrays if a.optional}

    def written(self) -> Function:
        for array in self.function.takes:
            if not array.shared and not array.number:
                name = self.names[array.name]
                self.uses |= {"row_of"} if array.optional else set()
                one = f"row_of({name}, row)" if array.optional else f"{name}[row if {name}.shape[0] > 1 else 0]"
                self.line(f"{name}_row = {one}")
        for axis in self.lists():
            self.uses.add("listed")
            self.line(f"{size_name(axis)} = listed({self.names[list_of(axis)]}_row)")
        for array in self.function.gives:
            if array.axes and not array.shared:
                self.line(f"{self.names[array.name]}_row = {self.names[array.name]}[row]")
        for each in passes([s for s in self.function.schedule.steps if not self.adds_nothing(s)]):
            self.walk(each)
        if self.function.again:
            self.again()
        parameters = [self.names[a.name] for a in self.function.takes]
        for array in self.function.gives:
            name = self.names[array.name]
            parameters += [name, f"{name}{LOW}"] if array.shared else [name]
        # a size may be that of a stage's axis only: the longest of these names is no axis of any array
        return Function(
            _full(self.function.name, self.suffix), tuple(parameters), self.rows(),
            (*self.sizes(), *self.widths.items()), tuple(self.buffers.items()), tuple(self.lines), frozenset(self.uses),
        )  # fmt: skip

    def adds_nothing(self, step: Step) -> bool:
        """Whether a step is zero for what is summed over the rows, as all entries but one may be."""
        array = self.arrays.get(step.stage.out)
        return array is not None and array.shared and step.stage.body == 0

    def again(self) -> None:
        """Compute a row again where it is in doubt."""
        found = [self.names[n] for n in doubts(self.function.schedule.program)]
        self.line(f"if {' + '.join(found)} > 0.0:")
        self.uses.add("rows_at")
        arrays = (*self.function.takes, *self.function.gives)
        arguments = [n if a.shared or a.number else f"rows_at({n}, row)" for a in arrays for n in [self.names[a.name]]]
        self.line(f"    {self.function.again}({', '.join(arguments)})")

    def rows(self) -> str:
        """How many rows there are: as many as a result has, or where all are shared, as the longest operand."""
        for array in self.function.gives:
            if not array.shared:
                return f"{self.names[array.name]}.shape[0]"
        varied = [a for a in self.function.takes if not (a.shared or a.number or a.optional)]
        lengths = [f"{self.names[a.name]}.shape[0]" for a in varied]
        return lengths[0] if len(lengths) == 1 else f"max({', '.join(lengths)})"

    def sizes(self) -> Iterator[tuple[str, str]]:
        seen: set[str] = set()
        for array in (*self.function.takes, *self.function.gives):
            for position, axis in enumerate(() if array.optional else array.axes):
                if axis not in seen and not axis.isdigit():
                    seen.add(axis)
                    yield size_name(axis), f"{self.names[array.name]}.shape[{position + (not array.shared)}]"

    def lists(self) -> list[str]:
        """The axes that run along lists, which end where the row says."""
        looped = [i for s in self.steps.values() for i in (*s.stage.axes, *s.stage.over)]
        return list(dict.fromkeys(axis_of(i) for i in looped if list_of(i)))

    def room(self, axes: Sequence[str]) -> str:
        """The shape of a buffer along axes; a list has room for all that its operand holds."""
        lengths = [size_name(self.arrays[list_of(a)].axes[-1] if list_of(a) else a) for a in axes]
        return f"({', '.join(lengths)})" if len(axes) > 1 else lengths[0]

    def line(self, text: str) -> None:
        self.lines.append("    " * self.depth + text)

    # -- loops -----------------------------------------------------------------------------------------------------

    def walk(self, each: Pass) -> None:
        """The loops of a pass: those around it, its tiles, and the reductions that end with it."""
        stage = each.steps[0].stage
        if not stage.axes and not stage.over:
            self.number(each.steps[0])
            return
        if stage.over and all(map(list_of, stage.over)) and any(not list_of(i) for i in stage.axes[-1:]):
            self.beside_list(each.steps[0])
            return
        reduced = [s for s in each.steps if s.stage.over]
        around = self.loops(stage.axes if stage.over else stage.axes[:-1])
        self.free = all(monoid_of(s).whole for s in reduced)
        self.stretches = [n for s in reduced if monoid_of(s).stretched for n in self.lanes(s)] if self.free else []
        width = f"width_{identifier(each.inner)}"
        for step in reduced:
            for lanes, start in zip(self.lanes(step), (monoid_of(step).start, "0.0"), strict=False):
                if lanes in self.stretches:
                    self.line(f"whole_{lanes}, rest_{lanes} = 0.0, 0.0")
                elif self.free:
                    self.line(f"{lanes} = {start}")
                else:
                    self.uses |= {"cleared", "lanes_of"}
                    if list_of(each.inner):
                        self.line(f"{width} = lanes_of({size_name(each.inner)})")
                    else:
                        self.widths[width] = f"lanes_of({size_name(each.inner)})"
                    self.line(f"cleared({lanes}, {width}, {start})")
        within = self.loops(stage.over[:-1])
        self.tiled(each, innermost(each.steps[0]))
        self.depth -= within
        for step in reduced:
            self.store(step, self.joined(step, width))
        self.stretches = []
        self.depth -= around

    def beside_list(self, step: Step) -> None:
        """A reduction along lists for every entry of a row: its entries are lanes, the lists loop around."""
        monoid, stage = monoid_of(step), step.stage
        parts, (*outer, last) = self.parts(step), stage.axes
        self.buffers |= dict.fromkeys(parts, self.room(stage.axes))
        around = self.loops(outer)
        lanes = [f"{p}[{', '.join(map(index_name, outer))}]" if outer else p for p in parts]
        self.uses.add("cleared")
        for lane, start in zip(lanes, (monoid.start, "0.0"), strict=False):
            self.line(f"cleared({lane}, {size_name(last)}, {start})")
        within = self.loops(stage.over)
        self.free, self.beside = True, True
        self.tiled(Pass((step,)), last)
        self.beside = False
        self.depth -= within
        if monoid.ended:
            self.uses.add(monoid.ended.partition("(")[0])
            at = ", ".join(f"{lane}[i]" for lane in lanes)
            self.line(f"for i in range({size_name(last)}):")
            self.line(f"    {at} = {monoid.ended.format(at)}")
        self.depth -= around

    def joined(self, step: Step, width: str) -> str:
        """What a reduction comes to."""
        monoid, lanes = monoid_of(step), ", ".join(self.lanes(step))
        if self.free:
            if monoid.stretched:
                self.uses.add("together")
                lanes = ", ".join(f"together(whole_{n}, rest_{n})" for n in self.lanes(step))
            self.uses |= {monoid.whole.partition("{")[0].removesuffix("(")} - {""}
            return monoid.whole.format(lanes)
        self.uses.add(monoid.end)
        return f"{monoid.end}({lanes}, {width})"

    def loops(self, indices: Sequence[str]) -> int:
        for i in indices:
            self.line(f"for {index_name(i)} in range({size_name(i)}):")
            self.depth += 1
        return len(indices)

    def tiled(self, each: Pass, inner: str) -> None:
        """The innermost loop: over the whole row at once, or part by part where there are lanes, or sums."""
        size = size_name(inner)
        part = "STRETCH" if self.stretches else "" if self.free else "LANES"
        if part:
            self.uses.add(part)
            self.line(f"for start in range(0, {size}, {part}):")
            self.depth += 1
            self.line(f"stop = min(start + {part}, {size})")
        else:
            self.line(f"start, stop = 0, {size}")
        for lanes in self.stretches:
            self.line(f"{lanes} = 0.0")
        before = len(self.lines)
        self.line("for i in range(stop - start):")
        self.depth += 1
        self.tiles, self.still, self.here = {}, {}, set()
        for step in each.steps:
            self.inner = inner if self.beside else innermost(step)
            self.entry(step, step.stage.out in each.kept)
        self.depth -= 1
        indent = "    " * self.depth
        self.uses |= {"tile"} if any(of in self.optional for of in self.tiles) else set()
        self.lines[before:before] = [
            f"{indent}{tile} = " + (f"tile({of}, start, stop)" if of in self.optional else f"{of}[start:stop]")
            for of, tile in self.tiles.items()
        ] + [f"{indent}{name} = {text}" for text, name in self.still.items()]
        self.inner, self.tiles, self.still, self.here = "", {}, {}, set()
        for lanes in self.stretches:
            self.uses.add("added")
            self.line(f"whole_{lanes}, rest_{lanes} = added(whole_{lanes}, rest_{lanes}, {lanes}, 0.0)")
        self.depth -= bool(part)

    def entry(self, step: Step, kept: bool) -> None:
        """What is done at one entry of a row."""
        stage, call = step.stage, self.call(step)
        if stage.op != "=":
            self.reduce(step, call)
        elif stage.out in self.function.schedule.program.results:
            self.result(step, call)
        else:
            names = [f"{n}_here" for n in self.parts(step)]
            self.line(f"{', '.join(names)} = {call}")
            self.here.add(stage.out)
            for name, part in zip(names, self.parts(step), strict=True):
                if kept:
                    self.buffers[part] = self.room(stage.axes)
                    self.line(f"{self.tile(part, stage.axes[:-1])}[i] = {name}")

    def reduce(self, step: Step, call: str) -> None:
        """One more entry for a reduction."""
        lanes, monoid = self.lanes(step), monoid_of(step)
        name = monoid.alone if self.free and not self.beside and monoid.alone else monoid.step
        self.uses.add(name)
        if not self.free:
            self.buffers |= dict.fromkeys(lanes, "LANES")
        if self.beside:
            lanes = [self.tile(p, step.stage.axes[:-1]) for p in self.parts(step)]
        own = f"{self.names[step.stage.out]}_here"
        now = [own, own + LOW][: len(lanes)]
        if len(step.core.results) == len(lanes):
            self.line(f"{', '.join(now)} = {call}")
        else:
            self.line(f"{now[0]} = {call}")
            now[1] = "0.0"
        at = lanes if self.free and not self.beside else [f"{n}[i]" for n in lanes]
        self.line(f"{', '.join(at)} = {name}({', '.join([*at, *(now[:1] if step.one else now)])})")

    def lanes(self, step: Step) -> list[str]:
        own = self.names[step.stage.out]
        return [f"lanes_{own}", f"lost_{own}"][: 1 + step.pair]

    # -- what becomes of a stage -----------------------------------------------------------------------------------

    def number(self, step: Step) -> None:
        """A stage without a loop."""
        if step.stage.out in self.function.schedule.program.results:
            self.result(step, self.call(step))
        else:
            self.store(step, self.call(step))

    def parts(self, step: Step) -> list[str]:
        """The names of a stage's number and of what it is missing."""
        return [self.names[n] for n in (step.stage.out, step.stage.out + LOW)][: 1 + step.pair]

    def store(self, step: Step, value: str) -> None:
        """Keep a number that is no entry of a tile."""
        names, axes = self.parts(step), step.stage.axes
        if axes:
            self.buffers |= dict.fromkeys(names, self.room(axes))
            names = [f"{n}[{', '.join(map(index_name, axes))}]" for n in names]
        self.line(f"{', '.join(names)} = {value}")

    def result(self, step: Step, call: str) -> None:
        array, axes = self.arrays[entry_of(step.stage) or step.stage.out], step.stage.axes
        name, lost = self.names[array.name], self.names[array.name] + LOW
        own = name if array.shared else f"{name}_row"
        if step.stage.entry is not None:
            (place,) = map(self.position_of, places(step.stage.entry))
            self.line(f"if 0 <= {place} < {size_name(*array.axes)}:")
            self.depth += 1
            at, lost = f"{own}[{place}]", f"{lost}[{place}]"
        elif axes:
            at = f"{self.tile(own, axes[:-1])}[i]"
            lost = f"{self.tile(lost, axes[:-1])}[i]" if array.shared else ""
        else:
            at, lost = f"{name}[{'0' if array.shared else 'row'}]", f"{lost}[0]"
        if array.shared:
            self.uses.add("two_sum")
            self.line(f"{at}, error = two_sum({at}, {call})")
            self.line(f"{lost} += error")
        else:
            self.line(f"{at} = {call}")
        self.depth -= step.stage.entry is not None

    def tile(self, array: str, outer: Sequence[str]) -> str:
        """The view of an array along the innermost axis, at its other indices."""
        return self.view(array, [index_name(i) for i in outer])

    def view(self, array: str, outer: Sequence[str]) -> str:
        of = f"{array}[{', '.join(outer)}]" if outer else array
        return self.tiles.setdefault(of, f"{array}_{len(self.tiles)}")

    # -- what is read ----------------------------------------------------------------------------------------------

    def call(self, step: Step) -> str:
        arguments: list[str] = []
        for what in step.reads:
            arguments += self.read(what)
        return f"{self.cores[step.stage.out]}({', '.join(arguments)})"

    def read(self, e: Expr) -> list[str]:
        """What is passed for a read: of a stage the number, and what it is missing where that is known."""
        if is_index(e):
            return [self.position(e)]
        name = base_of(e)
        if name.startswith("|"):
            return [size_name(name.strip("|"))]
        if name in self.steps:
            parts = self.parts(self.steps[name])
            if name in self.here:
                return [f"{p}_here" for p in parts]
            axes = self.steps[name].stage.axes
            return [self.element(p, e, axes) if places(e) else p for p in parts]
        array = self.arrays[name]
        own = self.names[name]
        if array.number:
            return [own]
        row = own if array.shared else f"{own}_row"
        if not isinstance(e, Indexed):
            return [f"{row}[0]" if array.shared else row]
        element = self.element(row, e, array.axes)
        if array.optional:
            self.uses.add("entry")
            element = "entry({}, {})".format(*element[:-1].split("[", 1))
        return [element]

    def element(self, array: str, e: Expr, axes: Sequence[str]) -> str:
        """An element of an array: of its view where its last index is that of the innermost loop, and no other is."""
        *outer, last = places(e)
        if last == 0 and not outer and not axes[0].isdigit():
            self.uses.add("first_of")
            return f"first_of({array})"
        runs = is_index(last) and last.name == self.inner
        if runs and not any(self.inner in {str(s) for s in i.free_symbols} for i in outer):
            return f"{self.view(array, [self.place(i, a) for i, a in zip(outer, axes[:-1], strict=True)])}[i]"
        element = f"{array}[{', '.join(self.place(i, a) for i, a in zip(places(e), axes, strict=True))}]"
        if not self.inner or array in self.optional or self.inner in {str(s) for s in e.free_symbols}:
            return element
        return self.still.setdefault(element, f"{array}_at_{len(self.still)}")

    def place(self, e: Any, axis: str) -> str:
        """A position along an axis; one that is gathered is kept inside, so that an ignored one is never followed."""
        if is_index(e):
            return self.position(e)
        if isinstance(e, sp.Integer):
            return str(e)
        self.uses.add("inside")
        return f"inside({self.position_of(e)}, {size_name(axis)})"

    def position_of(self, e: Any) -> str:
        """A position that is gathered."""
        (position,) = self.read(e)
        return position

    def position(self, e: Any) -> str:
        return "start + i" if e.name == self.inner else index_name(e.name)
