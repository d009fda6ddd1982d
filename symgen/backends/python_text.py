"""Prints a kernel graph as Python assignments: shared nodes get a name, the others are nested where they are used.

A backend that speaks Python (Numba on the CPU, later on a GPU) gives the two tables: how an operation is written, and
which function a primitive calls. Both must be complete, and importing the backend checks it.
"""

from __future__ import annotations

import keyword
import math
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
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
    """The two tables of a backend that prints Python, the names that its modules take, and how a number is written."""

    operations: Mapping[str, Form]
    primitives: Mapping[str, str]
    reserved: frozenset[str]
    literal: str = ""  # the type that every number is converted to where the language would take float64

    def __post_init__(self) -> None:
        _complete("operation", self.operations, OPERATIONS.keys() - LEAVES - {"call"})
        _complete("primitive", self.primitives, PRIMITIVES.keys())


@dataclass(frozen=True)
class Body:
    """A printed graph: statements in order, one expression for each result, what it reads and what it imports."""

    statements: tuple[str, ...]
    results: tuple[str, ...]
    reads: tuple[str, ...]
    needs: frozenset[str]


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
    statements: list[str] = field(default_factory=list)
    texts: dict[int, _Text] = field(default_factory=dict)
    needs: set[str] = field(default_factory=set)
    count: int = 0

    def assign(self, text: _Text) -> _Text:
        self.count += 1
        while f"t{self.count}" in self.taken:
            self.count += 1
        name = f"t{self.count}"
        self.statements.append(f"{name} = {text.text}")
        return _Text(name, ATOM)

    def write(self, n: Node) -> _Text:
        if n.op == "const":
            return self.constant(n.value)
        if n.op == "var":
            return _Text(self.names[n.value], ATOM)
        form, arguments = self.form(n), [self.texts[id(a)] for a in n.args]
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


def print_graph(function: ScalarFunction, dialect: Dialect) -> Body:
    """The statements of a graph in a fixed order: one for each node that is used twice, or too long to nest.

    Args:
        function: The graph; its parameters keep their names unless Python or the dialect needs them.
        dialect: The tables of the backend.

    Returns:
        The printed body; `reads` lists the parameters (as printed) that the graph uses.
    """
    order = topological(verify(function).results)
    names = local_names(function.parameters, dialect.reserved)
    writer = _Writer(dialect, names, set(names.values()))
    uses = Counter(id(a) for n in order for a in n.args) + Counter(id(r) for r in function.results)
    for n in order:
        text = writer.write(n)
        shared = uses[id(n)] > 1 and n.op not in LEAVES
        writer.texts[id(n)] = writer.assign(text) if shared else text
    used = {n.value for n in order if n.op == "var"}
    texts = [writer.texts[id(r)] for r in function.results]
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
