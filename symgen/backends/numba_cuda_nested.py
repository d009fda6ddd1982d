"""Prints schedules of row functions whose stages run along several axes as Numba CUDA modules: stage after stage.

A kernel is launched once for each of its phases, over all entries of its stages in all rows: what a launch has kept in
scratch memory the next one reads, and nothing else has to wait. An entry that is reduced is a warp's, whose threads
take what is reduced side by side and are joined by shuffles, in an order that sizes alone decide. A thread takes an
entry by itself where nothing is reduced, and where that runs along lists of classes alone, for these are short.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import sympy as sp
from sympy import Expr

from symgen.backends.numba_cpu import Core, ModuleText, doc_text
from symgen.backends.numba_cuda import BACKEND, ELEMENTARY, Precision
from symgen.backends.numba_cuda_rows import REDUCTIONS, core_name, full_name, precision_of
from symgen.backends.numba_row_passes import every_read
from symgen.backends.python_text import fold, local_names
from symgen.backends.render import render
from symgen.backends.row_functions import Array, RowFunction, RowVariant
from symgen.backends.row_names import index_name, size_name
from symgen.rows.indices import axis_of, base_of, is_index, list_of, places
from symgen.rows.schedule import LOW, SINGLES, Step, parameter
from symgen.spec.model import LISTED

WARP = 32
ENDED = frozenset({"sum", "peak", "scale"})  # reductions that are not done when all is in them; joining a warp does it
OWN = frozenset({"row", "rows", "at", "inner", "phase", "scratch", "unit", "left", "lane", "k", "math", "u32", "load",
                 "store", "inside", "kernel", "thread", "threads", "warp", "warps", "warp_lane", "listed",
                 "grid_thread", "grid_threads"})
Term = tuple[Any, ...]  # a factor and the axes of a product of sizes


@dataclass(frozen=True)
class Function:
    """A kernel, ready for the template.

    Attributes:
        name: of the kernel.
        parameters: their names.
        lines: its statements.
        uses: what it calls of `runtime.device_rows`.
        kept: how many numbers of a row are kept in scratch memory, as terms.
        phases: for each launch the threads that a row has work for, one term for each stage.
    """

    name: str
    parameters: tuple[str, ...]
    lines: tuple[str, ...]
    uses: frozenset[str]
    kept: tuple[Term, ...]
    phases: tuple[tuple[Term, ...], ...]


@dataclass(frozen=True)
class Section:
    """One variant, ready for the template."""

    title: str
    cores: tuple[Core, ...]
    functions: tuple[Function, ...]


def printable(function: RowFunction) -> bool:
    """Whether there is a kernel: of every array a sample has all axes that one of them has, or none."""
    apart = [a for a in (*function.takes, *function.gives) if a.axes and not a.shared]
    known = all(s.stage.op in ("=", *REDUCTIONS) for s in function.schedule.steps)
    return known and len({a.axes for a in apart}) == 1


def emit(module: ModuleText, variants: Iterable[RowVariant]) -> str:
    """The text of a module of row functions for GPUs.

    Args:
        module: what the module says of itself; its own variants are not read.
        variants: the kernels, for float32 and for float64 arithmetic; all of them `printable`.
    """
    sections = tuple(_section(v) for v in variants)
    functions = [f for s in sections for f in s.functions]
    needs = frozenset().union(*(c.body.needs for s in sections for c in s.cores))
    uses = frozenset().union(*(f.uses for f in functions))
    values = {
        "module": module,
        "documentation": doc_text(module),
        "sections": sections,
        "math": "math" in needs or any("math." in line for f in functions for line in f.lines),
        "names": sorted((needs - {"math"} - ELEMENTARY) | {"core", "f32", "kernel", "load", "store", "u32"}),
        "sums": [],
        "rows": sorted(uses | {"grid_thread", "grid_threads", "warp_lane"}),
        "elementary": sorted(needs & ELEMENTARY),
        "functions": functions,
    }
    head, text, code = render(BACKEND, "nested.py.jinja", values).split('"""', 2)
    return '"""'.join((head, text, fold(code)))


def _section(variant: RowVariant) -> Section:
    cores: dict[tuple[Any, ...], Core] = {}
    functions = []
    for function in variant.functions:
        precision = precision_of(function)
        # in a batch of one nothing has to be told apart: terms that are equal then cancel
        names = {s.stage.out: core_name(cores, function, s, variant.suffix, precision, alike=True)
                 for s in function.schedule.steps}  # fmt: skip
        functions.append(_Writer(function, names, variant.suffix, precision).written())
    return Section(variant.title, tuple(cores.values()), tuple(functions))


def phases(steps: Sequence[Step]) -> list[list[Step]]:
    """Stages by the launch that computes them: the first after all that they read."""
    place: dict[str, int] = {}
    found: list[list[Step]] = []
    for step in steps:
        read = {base_of(r) for r in every_read(step)}
        place[step.stage.out] = at = max((place[n] + 1 for n in read if n in place), default=0)
        found += [[]] * (at >= len(found))
        found[at] = [*found[at], step]
    return found


def is_joined(step: Step) -> bool:
    """Whether a warp takes an entry."""
    return bool(step.stage.over) and not all(map(list_of, step.stage.over))


def walked(step: Step) -> list[str]:
    """The axes of a stage, last the one along which threads stand side by side: what most reads run along."""
    last = Counter(p[-1].name for r in step.reads if (p := places(r)) and is_index(p[-1]))
    axes = step.stage.axes
    inner = max(range(len(axes)), key=lambda i: (not list_of(axes[i]), last[axes[i]], i), default=0)
    return [*axes[:inner], *axes[inner + 1 :], *axes[inner : inner + 1]]


@dataclass
class _Writer:
    """The state of one kernel's printing."""

    function: RowFunction
    cores: dict[str, str]
    suffix: str
    precision: Precision
    lines: list[str] = field(default_factory=list)
    uses: set[str] = field(default_factory=set)
    depth: int = 1

    def __post_init__(self) -> None:
        self.steps = {s.stage.out: s for s in self.function.schedule.steps}
        self.results = self.function.schedule.program.results
        arrays = (*self.function.takes, *self.function.gives)
        self.prefix = self.precision.sums
        functions = {f"{self.prefix}{op}_{end}" for op in REDUCTIONS for end in ("step", "end")}
        functions |= {f"{self.prefix}warp_{op}" for op in REDUCTIONS}
        taken = self.precision.dialect.reserved | OWN | functions | set(self.cores.values())
        numbers = [a.name + LOW for a in arrays if a.number]
        self.arrays = {a.name: a for a in arrays}
        self.whole = next(a.axes for a in arrays if a.axes and not a.shared)  # what an array has that has any axes
        own = [size_name(a) for a in self.named(self.whole)]
        wanted = [a.name for a in arrays] + numbers + [n for s in self.steps for n in (s, s + LOW)]
        self.names = local_names(wanted, taken | set(own))

    def written(self) -> Function:
        kept = [s for s in self.steps.values() if s.stage.out not in self.results]
        before = "u32(0)"
        for step in kept:
            for name in self.parts(step):
                self.line(f"at_{name} = {before}")
                before = f"u32(at_{name} + {self.whole_size(step.stage.axes)})"
        found = phases(self.function.schedule.steps)
        for k, steps in enumerate(found):
            self.line(f"if phase == u32({k}):")
            self.depth += 1
            for step in steps:
                self.stage(step)
            self.depth -= 1
        parameters = [n for a in (*self.function.takes, *self.function.gives) for n in self.passed(a)]
        sizes = [size_name(a) for a in self.named(self.whole)]
        return Function(
            f"{full_name(self.function.name, self.suffix)}_grid",
            (*parameters, "scratch", "rows", "inner", "phase", *sizes),
            tuple(self.lines), frozenset(self.uses),
            _together(self.term(len(self.parts(s)), s.stage.axes) for s in kept),
            tuple(tuple(dict.fromkeys(self.term(WARP if is_joined(s) else 1, s.stage.axes) for s in steps))
                  for steps in found),
        )  # fmt: skip

    def line(self, text: str) -> None:
        self.lines.append("    " * self.depth + text)

    def passed(self, array: Array) -> list[str]:
        """The parameters of an array, or of a number: its value is a float64, which is two float32."""
        both = array.number and self.precision.name == "f32"
        return [self.names[n] for n in (array.name, array.name + LOW)[: 1 + both]]

    # -- sizes -----------------------------------------------------------------------------------------------------

    def named(self, axes: Iterable[str]) -> list[str]:
        """Axes whose length is not their name."""
        return list(dict.fromkeys(a for a in map(self.room, axes) if not a.isdigit()))

    def room(self, axis: str) -> str:
        """The axis that an index, or a list, has room for entries of."""
        of = list_of(axis)
        return self.arrays[of].axes[-1] if of else axis_of(axis)

    def size(self, axes: Sequence[str]) -> str:
        """How many entries there are along some axes."""
        lengths = [size_name(self.room(a)) for a in axes]
        return f"({' * '.join(lengths)})" if len(axes) > 1 else "".join(lengths) or "1"

    def whole_size(self, axes: Sequence[str]) -> str:
        """How many there are in all rows."""
        return f"rows * {self.size(axes)}" if axes else "rows"

    def term(self, factor: int, axes: Sequence[str]) -> Term:
        rooms = [self.room(a) for a in axes]
        return (factor * math.prod(int(a) for a in rooms if a.isdigit()), *(a for a in rooms if not a.isdigit()))

    @staticmethod
    def flat(at: Sequence[str], lengths: Sequence[str]) -> str:
        """The place of an entry among all along some axes."""
        found = at[0]
        for place, length in zip(at[1:], lengths[1:], strict=True):
            found = f"({found}) * {length} + {place}" if " " in found else f"{found} * {length} + {place}"
        return found

    # -- stages ----------------------------------------------------------------------------------------------------

    def stage(self, step: Step) -> None:
        """All entries of a stage in all rows, those that this thread, or its warp, takes."""
        team = "warp" if is_joined(step) else "thread"
        order = walked(step)
        self.line(f"unit = {team}")
        self.line(f"while unit < u32({self.whole_size(order)}):")
        self.depth += 1
        self.indices("unit", order, row=True)
        begun = len(self.lines)
        depth = self.depth
        for i in (i for i in step.stage.axes if list_of(i)):  # most of what there is room for stands behind the end
            place = self.element(index_name(i))
            self.line(f"if load({self.names[list_of(i)]}, u32({place})) >= 0:")
            self.depth += 1
        for name in self.lists(step):
            self.uses.add("listed")
            n = size_name(self.arrays[name].axes[-1])
            self.line(f"{size_name(f'{LISTED}{name}')} = listed({self.names[name]}, at, inner, {n})")
        inside = [f"{index_name(i)} < {size_name(i)}" for i in step.stage.axes if list_of(i)]
        if inside:
            self.line(f"if {' and '.join(inside)}:")
            self.depth += 1
        self.reduction(step) if step.stage.over else self.keep(step, self.called(step))
        self.depth = depth
        if any(re.search(r"\bat\b", line) for line in self.lines[begun:]):
            row = f"at = u32(row // inner * ({self.size(self.whole)} * inner) + row % inner)"
            self.lines.insert(begun, "    " * self.depth + row)
        self.line(f"unit = u32(unit + {team}s)")
        self.depth -= 1

    def lists(self, step: Step) -> list[str]:
        """The operands whose lists a stage runs along, or asks the length of."""
        known = {list_of(i) for i in (*step.stage.axes, *step.stage.over)}
        known |= {list_of(base_of(r).strip("|")) for r in step.reads if base_of(r).startswith("|")}
        return sorted(known - {""})

    def indices(self, start: str, order: Sequence[str], *, row: bool = False) -> None:
        """Where along some axes an entry stands, from its place among all, and in which row."""
        left = start
        for n, axis in enumerate(reversed(order)):
            length, last = f"u32({size_name(self.room(axis))})", n == len(order) - 1
            if last and not row:
                self.line(f"{index_name(axis)} = {left}")
            else:
                self.line(f"{index_name(axis)} = u32({left} % {length})")
                self.line(f"left = u32({left} // {length})")
                left = "left"
        if row:
            self.line(f"row = {left}")

    def reduction(self, step: Step) -> None:
        """One entry of a reduction, by a warp or by this thread alone."""
        stage, names = step.stage, self.parts(step)
        if stage.op not in SINGLES:  # a sum is a pair while it is made, also where nobody asks what it is missing
            names = [self.names[n] for n in (stage.out, stage.out + LOW)]
        kind = {"zero": self.precision.zero, "infinity": self.infinity}
        starts = [REDUCTIONS[stage.op].format(**kind), self.precision.zero][: len(names)]
        self.line(f"{', '.join(names)} = {', '.join(starts)}")
        lists, side = [i for i in stage.over if list_of(i)], [i for i in stage.over if not list_of(i)]
        for i in lists:
            self.line(f"{index_name(i)} = u32(0)")
            self.line(f"while {index_name(i)} < {size_name(i)}:")
            self.depth += 1
        if side:
            k = index_name(side[0]) if len(side) == 1 else "k"
            self.line(f"{k} = lane")
            self.line(f"while {k} < u32({self.size(side)}):")
            self.depth += 1
            if len(side) > 1:
                self.indices("k", side)
        one_more = f"{self.prefix}{stage.op}_step"
        self.uses.add(one_more)
        entry = [f"{n}_here" for n in names[: len(step.core.results)]]
        call = self.called(step)
        self.line(f"{', '.join(entry)} = {call}")
        entry += [self.precision.zero] * (len(names) - len(entry))
        self.line(f"{', '.join(names)} = {one_more}({', '.join(names + entry)})")
        if side:
            self.line(f"{k} = u32({k} + u32({WARP}))")
            self.depth -= 1
        for i in reversed(lists):
            self.line(f"{index_name(i)} = u32({index_name(i)} + u32(1))")
            self.depth -= 1
        if side or stage.op in ENDED:
            end = f"{self.prefix}warp_{stage.op}" if side else f"{self.prefix}{stage.op}_end"
            self.uses.add(end)
            self.line(f"{', '.join(names)} = {end}({', '.join(names)})")
        if side:
            self.line("if lane == u32(0):")
        self.depth += bool(side)
        self.keep(step, *names[: len(self.parts(step))])
        self.depth -= bool(side)

    @property
    def infinity(self) -> str:
        return "f32(math.inf)" if self.precision.name == "f32" else "math.inf"

    def keep(self, step: Step, *values: str) -> None:
        """Write an entry: to the result that it belongs to, or to scratch memory."""
        out, axes = step.stage.out, step.stage.axes
        at, lengths = [index_name(i) for i in axes], [size_name(self.room(i)) for i in axes]
        if out in self.results:
            array = self.arrays[out]
            if array.shared:  # summed over the rows by another kernel, of a matrix with a row for each
                place = f"row * {self.size(axes)} + {self.flat(at, lengths)}" if axes else "row"
            else:
                place = self.element(self.flat(at, lengths)) if axes else "row"
            self.line(f"store({self.names[out]}, u32({place}), {values[0]})")
            return
        names = self.parts(step)
        if len(values) < len(names):
            self.line(f"{', '.join(names)} = {values[0]}")
        for name, value in zip(names, values if len(values) == len(names) else names, strict=True):
            self.line(f"store(scratch, u32(at_{name} + {self.kept_at(axes, at)}), {value})")

    def kept_at(self, axes: Sequence[str], at: Sequence[str]) -> str:
        """The place of an entry of a stage among those of all rows."""
        lengths = [size_name(self.room(i)) for i in axes]
        return f"row * {self.size(axes)} + {self.flat(at, lengths)}" if axes else "row"

    def parts(self, step: Step) -> list[str]:
        """The names of a stage's number and of what it is missing."""
        return [self.names[n] for n in (step.stage.out, step.stage.out + LOW)][: 1 + step.pair]

    # -- what is read ----------------------------------------------------------------------------------------------

    @staticmethod
    def element(flat: str) -> str:
        """The place of an entry of a row in an array whose later axes have `inner` elements together."""
        return f"at + ({flat}) * inner" if " " in flat else f"at + {flat} * inner"

    def called(self, step: Step) -> str:
        """The core's call, what it takes having been read into variables."""
        arguments = [a for what in step.reads for a in self.read(what)]
        return f"{self.cores[step.stage.out]}({', '.join(arguments)})"

    def read(self, e: Expr) -> list[str]:
        """What is passed for a read: of a stage the number, and what it is missing where that is known."""
        if is_index(e):
            return [self.number(index_name(e.name))]
        name = base_of(e)
        if name.startswith("|"):
            return [self.number(size_name(name.strip("|")))]
        if name in self.steps:
            step = self.steps[name]
            axes = step.stage.axes
            at = [self.place(i, a) for i, a in zip(places(e), axes, strict=True)]
            found = {n: f"load(scratch, u32(at_{n} + {self.kept_at(axes, at)}))" for n in self.parts(step)}
            own = [parameter(e) + low for low in ("", LOW)]
            return [self.local(o if places(e) else n, text)
                    for o, (n, text) in zip(own, found.items(), strict=False)]
        array = self.arrays[name]
        if array.number:
            return self.passed(array)
        text = self.loaded(e, array)
        variable = parameter(e) if places(e) else f"{self.names[name]}_row"
        return [self.local(variable, self.number(text) if self.is_whole(array) else text)]

    def is_whole(self, array: Array) -> bool:
        """Whether an array may hold positions, which `load` gives as integers."""
        return not array.axes or bool(self.lists_of(array))

    def lists_of(self, array: Array) -> list[str]:
        return [i for s in self.steps.values() for i in (*s.stage.axes, *s.stage.over) if list_of(i) == array.name]

    def loaded(self, e: Expr, array: Array) -> str:
        """An element of an operand as it stands there."""
        own = self.names[array.name]
        if not array.axes:
            return f"load({own}, {'u32(0)' if array.shared else 'row'})"
        at = [self.place(i, a) for i, a in zip(places(e), array.axes, strict=True)]
        flat = self.flat(at, [size_name(a) for a in array.axes])
        return f"load({own}, u32({flat if array.shared else self.element(flat)}))"

    def local(self, name: str, text: str) -> str:
        """A variable for what is read."""
        self.line(f"{name} = {text}")
        return name

    def number(self, integer: str) -> str:
        """An integer, or what an array holds, in the arithmetic of the kernel."""
        return f"f32({integer})" if self.precision.name == "f32" else f"float({integer})"

    def place(self, e: Any, axis: str) -> str:
        """A position along an axis; one that is gathered is kept inside, so that an ignored one is never followed."""
        if is_index(e):
            return index_name(e.name)
        if isinstance(e, sp.Integer):
            return f"u32({e})"
        self.uses.add("inside")
        return f"inside({self.loaded(e, self.arrays[base_of(e)])}, {size_name(self.room(axis))})"


def _together(terms: Iterable[Term]) -> tuple[Term, ...]:
    """Terms of the same axes as one."""
    found: Counter[tuple[str, ...]] = Counter()
    for factor, *axes in terms:
        found[tuple(axes)] += factor
    return tuple((factor, *axes) for axes, factor in found.items())
