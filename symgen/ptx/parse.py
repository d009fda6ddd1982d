"""Reads the PTX text of one kernel: its parameters, what it declares, its instructions with their lines."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np

from symgen.ptx.errors import UnknownPtx
from symgen.ptx.types import TYPES, Array, Type


@dataclass(frozen=True)
class Register:
    """A register, a special register such as ``%tid.x``, or ``!%p1``, a predicate's opposite."""

    name: str
    negated: bool = False


@dataclass(frozen=True)
class Number:
    """A number as written; its type is the instruction's."""

    text: str


@dataclass(frozen=True)
class Symbol:
    """The name of a parameter, a variable or a label."""

    name: str


@dataclass(frozen=True)
class Address:
    """``[base+offset]``."""

    base: Register | Symbol
    offset: int


@dataclass(frozen=True)
class Vector:
    """``{a, b}``, and ``a|b``, the two results of an instruction."""

    parts: tuple[Operand, ...]


Operand = Register | Number | Symbol | Address | Vector


def parts(operand: Operand) -> tuple[Operand, ...]:
    """The operands that a vector has, or the one."""
    return operand.parts if isinstance(operand, Vector) else (operand,)


@dataclass(frozen=True)
class Instruction:
    """One instruction; it runs for the threads whose `guard` holds."""

    line: int
    text: str
    opcode: str
    operands: tuple[Operand, ...]
    guard: Register | None = None

    @property
    def parts(self) -> tuple[str, ...]:
        """The dotted name's parts: the operation, its modifiers, its types."""
        return tuple(self.opcode.split("."))


@dataclass(frozen=True)
class Variable:
    """A variable in global, constant, shared or local memory; `initial` is what a global one holds at first."""

    name: str
    space: str
    align: int
    size: int
    initial: Array | None = None


@dataclass(frozen=True, eq=False)
class Kernel:
    """A kernel, ready to run; what is found out about one is kept by it, so that two are the same only if they are one.

    Attributes:
        name: of the entry.
        target: such as "sm_90".
        parameters: names and types, in order.
        registers: the type of each register's name without its number.
        variables: what is declared in any memory.
        code: the instructions.
        labels: the index of the instruction that follows each label.
    """

    name: str
    target: str
    parameters: tuple[tuple[str, Type], ...]
    registers: Mapping[str, Type]
    variables: tuple[Variable, ...]
    code: tuple[Instruction, ...]
    labels: Mapping[str, int]


@dataclass
class _Reader:
    """What has been read so far."""

    name: str = ""
    target: str = ""
    parameters: list[tuple[str, Type]] = field(default_factory=list)
    registers: dict[str, Type] = field(default_factory=dict)
    variables: list[Variable] = field(default_factory=list)
    code: list[Instruction] = field(default_factory=list)
    labels: dict[str, int] = field(default_factory=dict)

    def directive(self, line: int, text: str) -> None:
        for pattern, read in _DIRECTIVES:
            if match := pattern.fullmatch(text):
                read(self, match)
                return
        raise UnknownPtx(f"unknown directive {text.split(maxsplit=1)[0]!r}", line, text)

    def entry(self, match: re.Match[str]) -> None:
        if self.name:
            raise UnknownPtx(f"two kernels in one module, {self.name} and {match['name']}: compile one at a time")
        self.name = match["name"]
        for parameter in _split(match["parameters"]):
            found = _PARAMETER.fullmatch(parameter)
            if not found or found["type"] not in TYPES:
                raise UnknownPtx(f"unknown kind of parameter: {parameter}")
            self.parameters.append((found["name"], TYPES[found["type"]]))

    def register(self, match: re.Match[str]) -> None:
        for name in _split(match["names"]):
            self.registers[name.partition("<")[0]] = TYPES[match["type"]]

    def variable(self, match: re.Match[str]) -> None:
        kind = TYPES[match["type"]]
        count = int(match["count"] or 1)
        values = [int(v, 0) for v in _split(match["values"] or "")]
        initial = None
        if match["space"] in {"global", "const"}:
            # tables of floats come as integers or bytes: they are bits
            initial = np.zeros(count, dtype=f"u{kind.size}")
            initial[: len(values)] = np.array(values, dtype=initial.dtype)
        self.variables.append(
            Variable(match["name"], match["space"], int(match["align"] or kind.size), count * kind.size, initial)
        )

    def set_target(self, match: re.Match[str]) -> None:
        self.target = match["target"]

    def nothing(self, match: re.Match[str]) -> None:
        """A directive that does not change what the kernel computes."""


_PARAMETER = re.compile(r"\.param \.(?P<type>\w+)(?: \.ptr(?: \.\w+)?(?: \.align \d+)?)? (?P<name>[\w$]+)")

_DIRECTIVES = (
    (re.compile(r"\.target (?P<target>\w+).*"), _Reader.set_target),
    (re.compile(r"(?:\.visible )?\.entry (?P<name>[\w$]+) ?\( ?(?P<parameters>[^)]*)\).*"), _Reader.entry),
    (re.compile(r"\.reg \.(?P<type>\w+) (?P<names>.*)"), _Reader.register),
    (
        re.compile(
            r"(?:\.visible |\.common |\.weak )*\.(?P<space>global|const|shared|local) (?:\.align (?P<align>\d+) )?"
            r"\.(?P<type>\w+) (?P<name>[\w$]+)(?:\[(?P<count>\d+)\])?(?: ?= ?\{(?P<values>[^}]*)\})?"
        ),
        _Reader.variable,
    ),
    (re.compile(r"\.(version|address_size|pragma|file|loc|section)\b.*"), _Reader.nothing),
)

_STATEMENT = re.compile(r"(?:@(?P<not>!?)(?P<guard>%[\w]+) )?(?P<opcode>[a-z][\w.:]*)(?: (?P<operands>.*))?")


def parse(text: str) -> Kernel:
    """Read a module that holds one kernel.

    Raises:
        UnknownPtx: a directive or a statement is not known, or the module holds not exactly one kernel.

    Example:
        >>> parse(chr(10).join([".target sm_90", ".entry k()", "{", "ret;", "}"])).code[0].opcode
        'ret'
    """
    reader = _Reader()
    for line, statement in _statements(text):
        if statement.endswith(":"):
            reader.labels[statement[:-1]] = len(reader.code)
        elif statement.startswith("."):
            reader.directive(line, statement)
        else:
            reader.code.append(_instruction(line, statement, reader.registers))
    if not reader.name:
        raise UnknownPtx("the module holds no kernel")
    return Kernel(
        reader.name, reader.target, tuple(reader.parameters), reader.registers, tuple(reader.variables),
        tuple(reader.code), reader.labels,
    )  # fmt: skip


def opcodes(text: str) -> Counter[str]:
    """How often each instruction stands in a module, whose operands nobody reads.

    Example:
        >>> opcodes(chr(10).join([".entry k()", "{", "@%p1 bra $L;", "ret;", "}"]))
        Counter({'bra': 1, 'ret': 1})
    """
    found = (_STATEMENT.match(s) for _, s in _statements(text) if s[0] != "." and s[-1] != ":")
    return Counter(m["opcode"] for m in found if m)


def _statements(text: str) -> Iterator[tuple[int, str]]:
    """Labels, directives and instructions without their semicolons, each with the line on which it begins."""
    waiting: list[str] = []
    start = 0
    for number, raw in enumerate(text.splitlines(), 1):
        line = " ".join(raw.partition("//")[0].split())
        if not waiting and line in {"", "{", "}"}:
            continue
        while not waiting and ":" in line and (label := re.match(r"([$\w]+): ?", line)):
            yield number, f"{label[1]}:"
            line = line[label.end() :]
        if not line:
            continue
        if line[0] == "{" or line[-1] == "}":
            line = re.sub(r"^\{ (?=\.)|(?<=;) \}$", "", line)  # a scope with a register of its own
        if not waiting and line.startswith(".reg") and line.count(";") > 1:
            yield from ((number, part.strip()) for part in line.split(";") if part.strip())
            continue
        start = start if waiting else number
        if line == "{":  # the body of a kernel begins: its head is complete
            yield start, " ".join(waiting)
            waiting = []
            continue
        waiting.append(line)
        if line.endswith(";"):
            yield start, " ".join(waiting)[:-1].strip()
            waiting = []
        elif re.match(r"\.(version|target|address_size|file|loc|section)\b", waiting[0]):
            yield start, waiting[0]
            waiting = []


def _instruction(line: int, text: str, registers: Collection[str]) -> Instruction:
    match = _STATEMENT.fullmatch(text)
    if not match:
        raise UnknownPtx("not an instruction", line, text)
    guard = Register(match["guard"], bool(match["not"])) if match["guard"] else None
    try:
        operands = tuple(_operand(part, registers) for part in _split(match["operands"] or ""))
    except ValueError:
        raise UnknownPtx("an operand of unknown form", line, text) from None
    return Instruction(line, text, match["opcode"], operands, guard)


def _split(text: str) -> list[str]:
    """The parts between the commas that stand in no brackets."""
    parts = re.split(r",(?![^{]*\})", text) if "{" in text else text.split(",")
    return [part.strip() for part in parts if part.strip()]


def _operand(text: str, registers: Collection[str]) -> Operand:
    if text in registers:  # a register whose name has no percent sign
        return Register(text)
    return _known(text) if text[:1] == "%" and "|" not in text else _composed(text, registers)


@lru_cache(maxsize=4096)
def _known(name: str) -> Register:
    return Register(name)


def _composed(text: str, registers: Collection[str]) -> Operand:
    if text.startswith("{"):
        return Vector(tuple(_operand(part, registers) for part in _split(text[1:-1])))
    if text.startswith("["):
        base, _, offset = text[1:-1].replace(" ", "").partition("+")
        inner = _operand(base, registers)
        if not isinstance(inner, Register | Symbol):
            raise ValueError(text)
        return Address(inner, int(offset or 0))
    if "|" in text:
        return Vector(tuple(_operand(part, registers) for part in text.split("|")))
    if text.startswith("!%"):
        return Register(text[1:], negated=True)
    if text == "_":
        return Register("_")
    if re.fullmatch(r"-?\d[\w.+-]*", text):
        return Number(text)
    if re.fullmatch(r"[\w$]+", text):
        return Symbol(text)
    raise ValueError(text)
