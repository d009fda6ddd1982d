"""Prints a kernel graph as Python assignments: shared nodes get a name, the others are nested where they are used.

A backend that speaks Python (Numba on the CPU, later on a GPU) gives the two tables: how an operation is written, and
which function a primitive calls. Both must be complete, and importing the backend checks it.
"""

from __future__ import annotations

import keyword
import math
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from symgen.kernel import OPERATIONS, PRIMITIVES, KernelError, Node, ScalarFunction, topological, verify

# Python's precedences, weakest first; an operand that binds less than its place asks is put in parentheses.
TERNARY, OR, AND, NOT, COMPARE, SUM, PRODUCT, SIGN, ATOM = range(9)
LEAVES = frozenset({"const", "var"})
WIDTH = 100  # of one expression: with indentation and a name in front a line stays below 120
LINE = 120


@dataclass(frozen=True)
class Form:
    """How one operation is written: its text, how strongly it binds, and how strongly each operand has to."""

    text: str
    binds: int
    operands: tuple[int, ...]
    needs: str = ""  # a name that the text takes from the module's imports


@dataclass(frozen=True, eq=False)
class Dialect:
    """The two tables of a backend that prints Python, the names that its modules take, and how a number is written.

    What the backend `lacks` are primitives that none of its graphs calls.
    """

    operations: Mapping[str, Form]
    primitives: Mapping[str, str]
    reserved: frozenset[str]
    literal: str = ""  # the type that every number is converted to where the language would take float64
    lacks: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        _complete("operation", self.operations, OPERATIONS.keys() - LEAVES - {"call"})
        _complete("primitive", self.primitives, PRIMITIVES.keys() - self.lacks)


@dataclass(frozen=True)
class Body:
    """A printed graph: statements in order, one expression for each result, what it reads and what it imports."""

    statements: tuple[str, ...]
    results: tuple[str, ...]
    reads: tuple[str, ...]
    needs: frozenset[str]


# What is computed under the two arms of a selection, by the selections that are printed as branches.
Branches = Mapping[Node, tuple[Collection[Node], Collection[Node]]]


@dataclass(frozen=True)
class _Text:
    text: str
    binds: int


@dataclass
class _Writer:
    """The state of one printing: what is written so far, and the text of each node that can still be nested."""

    dialect: Dialect
    names: dict[str, str]
    taken: set[str]
    uses: Mapping[Node, int]
    alone: Collection[Node]
    branches: Branches
    statements: list[str] = field(default_factory=list)
    texts: dict[Node, _Text] = field(default_factory=dict)
    needs: set[str] = field(default_factory=set)
    count: int = 0
    depth: int = 0

    def line(self, text: str) -> None:
        self.statements.append("    " * self.depth + text)

    def fresh(self) -> str:
        self.count += 1
        while f"t{self.count}" in self.taken:
            self.count += 1
        return f"t{self.count}"

    def assign(self, text: _Text) -> _Text:
        name = self.fresh()
        self.line(f"{name} = {text.text}")
        return _Text(name, ATOM)

    def block(self, order: Sequence[Node]) -> None:
        """The statements of some nodes, arguments before users; what an arm alone needs stands under its branch."""
        hidden = {n for s in order if s in self.branches for arm in self.branches[s] for n in arm}
        for n in order:
            if n in hidden:
                continue
            if n in self.branches:
                self.texts[n] = self.branch(n)
                continue
            text = self.write(n)
            shared = (self.uses[n] > 1 or n in self.alone) and n.op not in LEAVES
            self.texts[n] = self.assign(text) if shared else text

    def branch(self, n: Node) -> _Text:
        """A selection as a branch."""
        condition, *arms = n.args
        head, name = f"if {self.texts[condition].text}:", self.fresh()
        for arm in arms:
            self.line(head)
            self.depth += 1
            self.block(topological([arm], self.texts))
            self.line(f"{name} = {self.texts[arm].text}")
            self.depth -= 1
            head = "else:"
        return _Text(name, ATOM)

    def write(self, n: Node) -> _Text:
        if n.op == "const":
            return self.constant(n.value)
        if n.op == "var":
            return _Text(self.names[n.value], ATOM)
        form, arguments = self.form(n), [self.texts[a] for a in n.args]
        text = _fill(form, arguments)
        while len(text) > WIDTH and any(len(a.text) > 5 for a in arguments):
            longest = max(range(len(arguments)), key=lambda i: len(arguments[i].text))
            arguments[longest] = self.assign(arguments[longest])
            text = _fill(form, arguments)
        return _Text(text, form.binds)

    def form(self, n: Node) -> Form:
        if n.op == "call":
            function = self.dialect.primitives[n.value]
            self.needs.add(function.partition(".")[0])
            places = ", ".join(f"{{{i}}}" for i in range(len(n.args)))
            return Form(f"{function}({places})", ATOM, (TERNARY,) * len(n.args))
        form = self.dialect.operations[n.op]
        self.needs.update({form.needs} - {""})
        return form

    def constant(self, value: float) -> _Text:
        if math.isfinite(value):
            text = _Text(repr(value), SIGN if math.copysign(1.0, value) < 0 else ATOM)
        else:
            self.needs.add("math")
            infinity = _Text("math.inf", ATOM) if value > 0 else _Text("-math.inf", SIGN)
            text = _Text("math.nan", ATOM) if math.isnan(value) else infinity
        if not self.dialect.literal:
            return text
        self.needs.add(self.dialect.literal)
        return _Text(f"{self.dialect.literal}({text.text})", ATOM)


def print_graph(
    function: ScalarFunction, dialect: Dialect, branches: Branches | None = None, alone: Collection[Node] = ()
) -> Body:
    """The statements of a graph in a fixed order: one for each node that is used twice, or too long to nest.

    Args:
        function: The graph; its parameters keep their names unless Python or the dialect needs them.
        dialect: The tables of the backend.
        branches: Selections that are printed as branches, with what only their arms need, if there are any.
        alone: Nodes that get a statement of their own, wherever they are used.

    Returns:
        The printed body; `reads` lists the parameters (as printed) that the graph uses.
    """
    order = topological(verify(function).results)
    names = local_names(function.parameters, dialect.reserved)
    uses = Counter(a for n in order for a in n.args) + Counter(function.results)
    writer = _Writer(dialect, names, set(names.values()), uses, alone, branches or {})
    writer.block(order)
    used = {n.value for n in order if n.op == "var"}
    texts = [writer.texts[r] for r in function.results]
    if len(texts) > 1:
        texts = [text if text.binds == ATOM else writer.assign(text) for text in texts]
    results = tuple(text.text for text in texts)
    reads = tuple(names[p] for p in function.parameters if p in used)
    return Body(tuple(writer.statements), results, reads, frozenset(writer.needs))


def local_names(wanted: Iterable[str], taken: Collection[str]) -> dict[str, str]:
    """A name for each parameter that is free in Python and in the module: itself, or itself with underscores."""
    names: dict[str, str] = {}
    for name in wanted:
        free = name
        while keyword.iskeyword(free) or free in taken or free in names.values():
            free += "_"
        names[name] = free
    return names


def fold(text: str) -> str:
    """Python text whose too long lines are broken inside their last pair of brackets, as formatters do."""
    return "\n".join(line if len(line) <= LINE else _fold_line(line) for line in text.split("\n"))


def _fold_line(line: str) -> str:
    closing = line.rfind(")")
    opening, depth = closing, 1
    while depth and opening > 0:
        opening -= 1
        depth += {")": 1, "(": -1}.get(line[opening], 0)
    if line.lstrip().startswith("#") or depth or opening + 1 >= closing:
        return line
    indent = " " * (len(line) - len(line.lstrip()))
    inner = f"{indent}    {line[opening + 1 : closing]}"
    if len(inner) > LINE:
        inner = "\n".join(f"{indent}    {part}," for part in _arguments(line[opening + 1 : closing]))
    return f"{line[: opening + 1]}\n{inner}\n{indent}{line[closing:]}"


def _arguments(text: str) -> list[str]:
    """The parts of an argument list, split at the commas that stand in no bracket."""
    parts, depth = [""], 0
    for character in text:
        depth += {"(": 1, "[": 1, ")": -1, "]": -1}.get(character, 0)
        if character == "," and not depth:
            parts.append("")
        else:
            parts[-1] += character
    return [part.strip() for part in parts]


def _fill(form: Form, arguments: list[_Text]) -> str:
    placed = (a.text if a.binds >= least else f"({a.text})" for a, least in zip(arguments, form.operands, strict=True))
    return form.text.format(*placed)


def _complete(kind: str, table: Mapping[str, object], wanted: Collection[str]) -> None:
    missing, unknown = sorted(set(wanted) - table.keys()), sorted(table.keys() - set(wanted))
    if missing or unknown:
        raise KernelError(
            f"a backend's {kind} table does not match symgen.kernel: missing {missing or 'none'}, "
            f"unknown {unknown or 'none'}"
        )
