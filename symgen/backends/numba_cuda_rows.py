"""Prints schedules of row functions as Numba CUDA modules: a warp on each row where rows are short, else a block.

Threads of the team take every so many entries of a row, one by one or, where addresses and lengths allow it, as many as
16 bytes hold. Entries of stages that several loops need, as the exponentials of softmax, are computed once and kept in
shared memory, each thread its own, where the row is short enough; where it is not they are computed again. Operands are
read again, from the cache. Of an axis of parts, as the halves of a gated unit, a thread takes the same of every part.
"""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import sympy as sp
from sympy import Expr

from symgen.backends import device_graph
from symgen.backends.numba_cpu import Core, ModuleText, doc_text, function_name
from symgen.backends.numba_cuda import BACKEND, ELEMENTARY, SINGLE, Precision
from symgen.backends.numba_cuda import PRECISIONS as ELEMENTWISE
from symgen.backends.python_text import fold, local_names, print_graph
from symgen.backends.render import render
from symgen.backends.row_functions import Array, RowFunction, RowVariant
from symgen.kernel import ScalarFunction, var
from symgen.rows.indices import axis_of, base_of, is_index, places
from symgen.rows.schedule import LOW, SINGLES, Step
from symgen.runtime.cuda import KEPT
from symgen.runtime.cuda_launch import THREADS, WARP_THREADS
from symgen.runtime.cuda_rows import SHORT

TEAMS = ("warp", "block")
WIDTHS = {"warp": 32, "block": THREADS}
BLOCKS = {"warp": WARP_THREADS, "block": THREADS}  # threads of a block, by what takes a row
KEEPING = {"few": KEPT // 2, "kept": KEPT}  # what allocates memory of a block, and of how many float32
MOST = 6  # numbers of one entry that are kept
UNIT = (1.0, 2.0**32)  # a sum of exponentials of which one is one
WIDE = "wide"  # ends the names of kernels with vector accesses
# differences of exponentials and logarithms cancel in rows: in float32 they need what these lose
TELLING = {"exp": "expf", "exp_low": "expf_low", "log_low": "logf_low", "pow_sum": "powf_sum",
           "pow_sum_low": "powf_sum_low"}
ROWS = replace(SINGLE, primitives={**SINGLE.primitives, **TELLING}, reserved=SINGLE.reserved | set(TELLING.values()))
PRECISIONS = tuple(replace(p, dialect=ROWS) if p.name == "f32" else p for p in ELEMENTWISE)
REDUCTIONS = {"sum": "{zero}", "max": "-{infinity}", "min": "{infinity}", "peak": "-{infinity}", "scale": "{zero}"}
OWN = frozenset({"row", "rows", "at", "n", "inner", "lane", "i", "math", "u32", "load", "store", "inside", "kernel",
                 "keep", "kept", "own", "first", "mask", "of_warps", "u64",
                 *(f"{a}{k}" for a in ("load", "mask", "store", "i_") for k in (1, 2, 3, 4))})


@dataclass(frozen=True)
class Function:
    """A kernel, ready for the template."""

    name: str
    parameters: tuple[str, ...]
    team: str
    start: str
    lines: tuple[str, ...]
    uses: frozenset[str]
    accesses: frozenset[str]


@dataclass(frozen=True)
class Section:
    """One variant, ready for the template."""

    title: str
    cores: tuple[Core, ...]
    functions: tuple[Function, ...]


def printable(function: RowFunction) -> bool:
    """Whether there is a kernel: all loops run along one axis, and only results have parts."""
    stages = [s.stage for s in function.schedule.steps]
    results = function.schedule.program.results
    looped = [(*(s.axes[-1:] if s.out in results else s.axes), *s.over) for s in stages]
    arrays = [x.axes for x in (*function.takes, *function.gives)]
    axes = {axis_of(i) for own in looped for i in own} | {a for own in arrays for a in own[-1:]}
    split = all(a.isdigit() for own in (*arrays, *(s.axes for s in stages)) for a in own[:-1])
    known = all(s.op in ("=", *REDUCTIONS) for s in stages)
    return known and split and len(axes) == 1 and max(map(len, looped)) <= 1


def emit(module: ModuleText, variants: Iterable[RowVariant]) -> str:
    """The text of a module of row functions for GPUs.

    Args:
        module: what the module says of itself; its own variants are not read.
        variants: the kernels, for float32 and for float64 arithmetic; all of them `printable`.
    """
    sections = tuple(_section(v) for v in variants)
    needs = frozenset().union(*(c.body.needs for s in sections for c in s.cores))
    uses = frozenset().union(*(f.uses for s in sections for f in s.functions))
    accesses = (f.accesses for s in sections for f in s.functions)
    imported = {"core", "f32", "kernel", "load", "of_warps", "store", "u32", "u64"}.union(*accesses)
    values = {
        "module": module,
        "documentation": doc_text(module),
        "sections": sections,
        "math": "math" in needs or any("math." in line for s in sections for f in s.functions for line in f.lines),
        "names": sorted((needs - {"math"} - ELEMENTARY) | imported),
        "sums": [],
        "rows": sorted(uses | {f"{t}_{n}" for t in TEAMS for n in ("row", "lane", "width")}),
        "elementary": sorted(needs & ELEMENTARY),
    }
    head, text, code = render(BACKEND, "rows.py.jinja", values).split('"""', 2)
    return '"""'.join((head, text, fold(code)))


def _section(variant: RowVariant) -> Section:
    cores: dict[tuple[Any, ...], Core] = {}
    functions = []
    for function in variant.functions:
        precision = precision_of(function)
        names = {s.stage.out: core_name(cores, function, s, variant.suffix, precision) for s in function.schedule.steps}
        functions += [
            _written(partial(_Writer, function, names, variant.suffix, precision, team, lanes))
            for team in TEAMS
            for lanes in (1, precision.lanes)
        ]
    return Section(variant.title, tuple(cores.values()), tuple(functions))


def precision_of(function: RowFunction) -> Precision:
    """The arithmetic of a kernel, by which its name ends."""
    return next(p for p in PRECISIONS if function.name.endswith(f"_{p.name}"))


def full_name(name: str, suffix: str) -> str:
    """The name of a kernel of a variant."""
    return f"{name}_{suffix}" if suffix else name


def core_name(
    cores: dict[tuple[Any, ...], Core], function: RowFunction, step: Step, suffix: str, precision: Precision,
    alike: bool = False,
) -> str:
    """The name of a step's core, which is printed once for all kernels that have it; see `device_graph.quick`."""
    results = device_graph.usual(step.core.results)
    if precision.name == "f32":
        results = device_graph.quick(results, {var(name): UNIT for name in function.schedule.units}, alike)
    key = (precision.name, step.core.parameters, results)
    if key not in cores:
        full = function_name(f"{function.name}_{step.stage.out}", "core", suffix)
        names = local_names(step.core.parameters, precision.dialect.reserved)
        body = print_graph(ScalarFunction(full, step.core.parameters, results), precision.dialect)
        comments = tuple(textwrap.wrap(str(step.stage), 112, subsequent_indent="    "))
        cores[key] = Core(full, tuple(names.values()), comments, body)
    return cores[key].name


def _written(make: Callable[[Mapping[str, int]], _Writer]) -> Function:
    """A kernel that keeps the stages that several of its loops need, as long as there is room."""
    kept: dict[str, int] = {}
    while True:
        writer = make(kept)
        text = writer.written()
        wanted = writer.worth_keeping()
        if not wanted:
            return text
        kept = {**kept, wanted: writer.numbers_kept}


@dataclass
class _Writer:
    """The state of one kernel's printing."""

    function: RowFunction
    cores: dict[str, str]
    suffix: str
    precision: Precision
    team: str
    lanes: int
    kept: Mapping[str, int]  # the stages that are kept from one loop to later ones: the places of their numbers
    lines: list[str] = field(default_factory=list)
    uses: set[str] = field(default_factory=set)
    uses_access: set[str] = field(default_factory=set)
    depth: int = 1
    here: dict[tuple[str, str], list[str]] = field(default_factory=dict)  # what is at hand, by its name and position
    part: str = ""  # of the result that is written, which of its parts
    turn: int = 0  # how many loops there have been
    used: dict[str, set[int]] = field(default_factory=dict)  # the loops that need a stage, by its name
    made: dict[str, int] = field(default_factory=dict)  # the loop that keeps a stage
    again: bool = False  # whether what is printed is for rows of which nothing was kept

    def __post_init__(self) -> None:
        self.steps = {s.stage.out: s for s in self.function.schedule.steps}
        arrays = (*self.function.takes, *self.function.gives)
        self.prefix = self.precision.sums
        functions = {f"{self.prefix}{t}_{op}" for t in (*TEAMS,) for op in REDUCTIONS}
        functions |= {f"{self.prefix}{op}_{how}" for op in REDUCTIONS for how in ("step", "plus")}
        taken = self.precision.dialect.reserved | OWN | functions | set(self.cores.values())
        numbers = [a.name + LOW for a in arrays if a.number]
        wanted = [a.name for a in arrays] + numbers + [n for s in self.steps for n in (s, s + LOW)]
        self.names = local_names(wanted, taken)
        self.arrays = {a.name: a for a in arrays}

    def written(self) -> Function:
        for count in sorted({a.axes[0] for a in self.arrays.values() if len(a.axes) > 1}):
            above = "row" if self.lanes > 1 else "row // inner"
            self.line(f"at_{count} = u32(at + {above} * (u32({int(count) - 1}) * n{self.times}))")
        for array in self.function.takes:
            if not array.axes and not array.number:
                name = self.names[array.name]
                self.line(f"{name}_row = load({name}, {'0' if array.shared else 'row'})")
        if self.kept:
            self.uses |= {f"{self.prefix}{self.memory}", f"{self.team}_first"}
            self.line(f"kept, first = {self.prefix}{self.memory}(), {self.team}_first(u32({self.room}))")
            if not self.always:
                self.line(f"keep = n <= u32({self.longest})")
        for step in self.function.schedule.steps:
            self.step(step)
        parameters = [n for a in (*self.function.takes, *self.function.gives) for n in self.passed(a)]
        wide = f"_{WIDE}" if self.lanes > 1 else ""
        return Function(
            f"{full_name(self.function.name, self.suffix)}_{self.team}{wide}",
            (*parameters, "rows", "n", "inner"), self.team, self.start,
            tuple(self.lines), frozenset(self.uses), frozenset(self.uses_access),
        )  # fmt: skip

    @property
    def start(self) -> str:
        """Where the row begins."""
        return "row * n" if self.lanes > 1 else "row // inner * (n * inner) + row % inner"

    @property
    def times(self) -> str:
        """What steps along a row are multiplied by: entries that are read as vectors lie side by side."""
        return "" if self.lanes > 1 else " * inner"

    def passed(self, array: Array) -> list[str]:
        """The parameters of an array, or of a number: its value is a float64, which is two float32."""
        both = array.number and self.precision.name == "f32"
        return [self.names[n] for n in (array.name, array.name + LOW)[: 1 + both]]

    def line(self, text: str) -> None:
        self.lines.append("    " * self.depth + text)

    # -- stages ----------------------------------------------------------------------------------------------------

    def step(self, step: Step) -> None:
        result = step.stage.out in self.function.schedule.program.results
        if step.stage.over:
            self.reduction(step)
        elif result and step.stage.axes:
            array = self.arrays[step.stage.out]
            made: dict[str, list[str]] = {part: [] for part in self.parts_of(array)}
            for position in self.loop():
                for self.part, results in made.items():
                    results.append(self.call(step, position))
                    if len(results) == self.lanes:
                        # what all rows share is summed over them by another kernel, of a matrix with a row for each
                        place = "u32(row * n + i)" if array.shared else self.place("i", array, self.part)
                        self.store(step.stage.out, place, results)
            self.part = ""
        elif result:
            call = self.call(step, "")
            self.line("if lane == 0:")
            self.line(f"    store({self.names[step.stage.out]}, row, {call})")
        elif not step.stage.axes:
            self.line(f"{', '.join(self.parts(step))} = {self.call(step, '')}")

    def loop(self) -> Iterator[str]:
        """The statements that follow are for every entry that this thread takes, at the position that is given."""
        several = self.lanes > 1
        self.line(f"i = u32(lane * u32({self.lanes}))" if several else "i = lane")
        self.line("while i < n:")
        self.depth += 1
        before, self.here = self.here, dict(self.here)
        self.turn += 1
        begun, others = len(self.lines), [f"i_{k} = u32(i + u32({k}))" for k in range(1, self.lanes)]
        for k in range(self.lanes):
            if k and not self.kept:
                self.line(others[k - 1])
            yield f"i_{k}" if k else "i"
        fresh = [self.steps[name] for name, turn in self.made.items() if turn == self.turn]
        if fresh and not self.always:
            self.line("if keep:")
        for step in fresh:
            for k, position in enumerate(self.positions):
                indent, numbers = "" if self.always else "    ", ", ".join(self.here[step.stage.out, position])
                self.line(f"{indent}{self.cells(step, k)} = {numbers}")
        if self.kept:
            own = f"own = u64(u32(first + i - lane * u32({self.lanes - 1})))"
            self.lines[begun:begun] = ["    " * self.depth + text for text in (*others, own)]
        self.line(f"i = u32(i + {self.team}_width{f' * u32({self.lanes})' if several else ''})")
        self.here = before
        self.depth -= 1

    def reduction(self, step: Step) -> None:
        stage = step.stage
        names = self.parts(step)
        if stage.op not in SINGLES:  # a sum is a pair while it is made, also where nobody asks what it is missing
            names = [self.names[n] for n in (stage.out, stage.out + LOW)]
        kind = {"zero": self.precision.zero, "infinity": self.infinity}
        starts = [REDUCTIONS[stage.op].format(**kind), self.precision.zero][: len(names)]
        self.line(f"{', '.join(names)} = {', '.join(starts)}")
        one_more, joined = f"{self.prefix}{stage.op}_step", f"{self.prefix}{self.team}_{stage.op}"
        self.uses.add(joined)
        for position in self.loop():
            given = self.call(step, position)
            entry = [f"{n}_here" for n in names[: len(step.core.results)]]
            self.line(f"{', '.join(entry)} = {given}")
            alone = stage.op == "sum" and len(entry) < len(names)
            more = f"{self.prefix}sum_plus" if alone else one_more
            self.uses.add(more)
            entry += [] if alone else [self.precision.zero] * (len(names) - len(entry))
            self.line(f"{', '.join(names)} = {more}({', '.join(names + entry)})")
        self.line(f"{', '.join(names)} = {joined}({', '.join(names)})")

    @property
    def infinity(self) -> str:
        return "f32(math.inf)" if self.precision.name == "f32" else "math.inf"

    def store(self, name: str, place: str, values: Sequence[str]) -> None:
        """Write the entries of a result from a place on."""
        if len(values) > 1:
            own = f"{self.names[name]}_{self.part}" if self.part else self.names[name]
            made = [f"{own}_{k}" for k in range(len(values))]
            self.line(f"{', '.join(made)} = {', '.join(values)}")
            values = made
        access = f"store{len(values)}" if len(values) > 1 else "store"
        self.uses_access.add(access)
        self.line(f"{access}({self.names[name]}, {place}, {', '.join(values)})")

    def parts(self, step: Step) -> list[str]:
        """The names of a stage's number and of what it is missing."""
        return [self.names[n] for n in (step.stage.out, step.stage.out + LOW)][: 1 + step.pair]

    # -- what is kept ----------------------------------------------------------------------------------------------

    @property
    def numbers_kept(self) -> int:
        """Of one entry."""
        return sum(len(self.parts(self.steps[name])) for name in self.kept)

    @property
    def room(self) -> int:
        """The numbers that a team may keep."""
        return self._room(KEEPING[self.memory])

    def _room(self, size: int) -> int:
        return size * self.precision.lanes // 4 * WIDTHS[self.team] // BLOCKS[self.team]

    @property
    def memory(self) -> str:
        """What allocates it: half is enough where a warp keeps all rows that it takes."""
        enough = self.team == "warp" and self._room(KEEPING["few"]) >= SHORT * self.numbers_kept
        return "few" if enough else "kept"

    @property
    def longest(self) -> int:
        """The entries of a row that there is room for, in whole turns of a team."""
        turn = WIDTHS[self.team] * self.lanes
        return self.room // self.numbers_kept // turn * turn

    @property
    def always(self) -> bool:
        """Whether there is room for all rows that this team takes."""
        return self.team == "warp" and self.longest >= SHORT

    def worth_keeping(self) -> str:
        """A stage that several loops need and there is room for; the last one, for which alone others may be needed."""
        several = [n for n in self.steps if len(self.used.get(n, ())) > 1 and n not in self.kept]
        room = MOST - self.numbers_kept
        return next((n for n in reversed(several) if len(self.parts(self.steps[n])) <= room), "")

    def cells(self, step: Step, k: int) -> str:
        """Where this thread keeps its k-th entry of a stage: what a team keeps at one time stands side by side."""
        first = [(self.kept[step.stage.out] + j) * self.longest for j in range(len(self.parts(step)))]
        return ", ".join(f"kept[own + u64({place + k * WIDTHS[self.team]})]" for place in first)

    def is_kept(self, step: Step) -> bool:
        """Whether an earlier loop has kept a stage that is needed now."""
        name = step.stage.out
        if self.again or self.lanes == 1:
            return False
        self.used.setdefault(name, set()).add(self.turn)
        return name in self.kept and self.made.setdefault(name, self.turn) != self.turn

    def recalled(self, step: Step) -> None:
        """Take a stage's entries from where they are kept; where there was no room compute them again."""
        if self.always:
            for k, position in enumerate(self.positions):
                names = self.here[step.stage.out, position] = [f"{n}_{position}" for n in self.parts(step)]
                self.line(f"{', '.join(names)} = {self.cells(step, k)}")
            return
        before, self.here, self.again = self.here, dict(self.here), True
        start, indent = len(self.lines), "    " * self.depth
        self.depth += 1
        self.compute(step, self.positions)
        self.depth -= 1
        found = {(step.stage.out, p): self.here[step.stage.out, p] for p in self.positions}
        taken = [f"    {', '.join(names)} = {self.cells(step, k)}" for k, names in enumerate(found.values())]
        self.lines[start:start] = [indent + text for text in ("if keep:", *taken, "else:")]
        self.here, self.again = before | found, False

    # -- what is read ----------------------------------------------------------------------------------------------

    def call(self, step: Step, position: str) -> str:
        """The core's call, where its loop index stands at a position."""
        arguments = [a for what in step.reads for a in self.read(what, position)]
        return f"{self.cores[step.stage.out]}({', '.join(arguments)})"

    def read(self, e: Expr, position: str) -> list[str]:
        """What is passed for a read: of a stage the number, and what it is missing where that is known."""
        if is_index(e):
            return [self.number(self.position(e, position))]
        name = base_of(e)
        if name.startswith("|"):
            return [self.number("n")]
        *outer, at = [*places(e)[:-1], *(self.position(p, position) for p in places(e)[-1:])] or [""]
        part = "".join(self.part if is_index(p) else str(p) for p in outer)
        if name in self.steps:
            step = self.steps[name]
            return self.entry(step, at) if step.stage.axes else self.parts(step)
        array = self.arrays[name]
        own = self.names[name]
        if array.number:
            return self.passed(array)
        if not array.axes:
            return [self.number(f"{own}_row")]
        if self.lanes > 1 and at in self.positions:
            return self.vector(array, part)[at]
        where = at if array.shared else self.place(at, array, part)
        return self.at_hand(f"{own}_{part}" if part else own, at, [f"{self.access(array, 1)}({own}, {where})"])

    def access(self, array: Array, lanes: int) -> str:
        """The name of what reads so many entries of an array."""
        found = f"{'mask' if array.optional else 'load'}{lanes if lanes > 1 else ''}"
        self.uses_access.add(found)
        return found

    @property
    def positions(self) -> list[str]:
        """Where a thread's entries are."""
        return ["i", *(f"i_{k}" for k in range(1, self.lanes))]

    def vector(self, array: Array, part: str = "") -> dict[str, list[str]]:
        """The entries of an array that this thread has at hand, by their positions."""
        positions, own = self.positions, self.names[array.name]
        name = f"{own}_{part}" if part else own
        if (name, "i") not in self.here:
            locals_ = [f"{name}_{p}" for p in positions]
            where = "i" if array.shared else self.place("i", array, part)
            self.line(f"{', '.join(locals_)} = {self.access(array, self.lanes)}({own}, {where})")
            self.here |= {(name, p): [x] for p, x in zip(positions, locals_, strict=True)}
        return {p: self.here[name, p] for p in positions}

    def entry(self, step: Step, at: str) -> list[str]:
        """A stage with an entry for each position, at one of them."""
        key = (step.stage.out, at)
        if key not in self.here:
            if at in self.positions and self.is_kept(step):
                self.recalled(step)
            else:
                self.compute(step, [at])
        return self.here[key]

    def compute(self, step: Step, places: Sequence[str]) -> None:
        """Call a stage's core for some positions."""
        for at in places:
            call = self.call(step, at)
            names = [f"{n}_{self.label(at)}" for n in self.parts(step)]
            self.line(f"{', '.join(names)} = {call}")
            self.here[step.stage.out, at] = names

    def at_hand(self, name: str, at: str, values: list[str]) -> list[str]:
        key = (name, at)
        if key not in self.here:
            local = f"{name}_{self.label(at)}"
            self.line(f"{local} = {values[0]}")
            self.here[key] = [local]
        return self.here[key]

    def label(self, at: str) -> str:
        """A position as part of a name."""
        return "".join(c if c.isalnum() else "_" for c in at).strip("_")

    def number(self, integer: str) -> str:
        """An integer, or what an array holds, in the arithmetic of the kernel."""
        return f"f32({integer})" if self.precision.name == "f32" else f"float({integer})"

    def position(self, e: Any, running: str) -> str:
        """A position along the axis; one that is gathered is kept inside, so that an ignored one is never followed."""
        if is_index(e):
            return self.part if self.part and axis_of(e.name).isdigit() else running
        if isinstance(e, sp.Integer):
            return f"u32({e})"
        self.uses.add("inside")
        return f"inside({self.names[base_of(e)]}_row, n)"

    def parts_of(self, array: Array) -> list[str]:
        """The parts of a result, by their numbers; an empty one where it has none."""
        return list(map(str, range(int(array.axes[0])))) if len(array.axes) > 1 else [""]

    def place(self, at: str, array: Array, part: str = "") -> str:
        """Where an entry lies in an array of rows, and in one of its parts."""
        if part:
            return f"u32(at_{array.axes[0]} + (u32({part}) * n + {at}){self.times})"
        return f"u32(at + {at}{self.times})"


def arrays_of(functions: Iterable[RowFunction]) -> Iterator[Array]:
    """Every operand and result."""
    for f in functions:
        yield from (*f.takes, *f.gives)
