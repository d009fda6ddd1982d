"""The table of instructions that compute something from registers alone: what each takes, gives and does.

An entry is a pattern of the whole dotted name, so that a modifier which nobody has thought of is never ignored.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache, partial
from typing import Any

import numpy as np

from symgen.ptx import integers, rounding
from symgen.ptx.approximate import approximate, approximate64
from symgen.ptx.convert import converter
from symgen.ptx.errors import UnknownPtx
from symgen.ptx.parse import Instruction
from symgen.ptx.types import TYPES, WIDER, Array, Type


@dataclass(frozen=True)
class Pure:
    """What an instruction computes: `compute` maps arrays of the source types to arrays of the result types.

    `noisy` functions get first a number in [-1, 1] for each element, or None. The carry flag, where it is read or
    written, is the last source or the last result.
    """

    results: tuple[Type, ...]
    sources: tuple[Type, ...]
    compute: Callable[..., Any]
    noisy: bool = False
    reads_carry: bool = False
    writes_carry: bool = False


Match = re.Match[str]
Builder = Callable[[Match], Pure]

PRED, U32, B32, S32 = TYPES["pred"], TYPES["u32"], TYPES["b32"], TYPES["s32"]
INTEGER = "(?P<type>[us](?:16|32|64))"
ANY_INTEGER = "[bus](?:16|32|64)"
CONVERTED = "[us](?:8|16|32|64)|f16|f32|f64|bf16"
FLOAT = "(?P<type>f32|f64)"
ROUND = r"(?:\.(?P<round>rn|rz|rm|rp))?"
FTZ = r"(?P<ftz>\.ftz)?"
SAT = r"(?P<sat>\.sat)?"


def _float(count: int, f32: Callable[..., Array], f64: Callable[..., Array]) -> Builder:
    """A float operation of `count` operands that is rounded in a mode."""

    def build(m: Match) -> Pure:
        kind = TYPES[m["type"]]
        function, mode = (f32 if kind.size == 4 else f64), m["round"] or "rn"
        return Pure((kind,), (kind,) * count, _modified(m, lambda *v: function(*v, mode)))

    return build


def _modified(m: Match, function: Callable[..., Array]) -> Callable[..., Array]:
    """The function with subnormal operands and results flushed, and the result saturated, as the modifiers say."""
    groups = m.groupdict()
    steps = [f for name, f in (("ftz", rounding.flush), ("sat", rounding.saturate)) if groups.get(name)]
    if not steps:
        return function

    def compute(*values: Array) -> Array:
        values = tuple(rounding.flush(v) for v in values) if groups.get("ftz") else values
        result = function(*values)
        for step in steps:
            result = step(result)
        return result

    return compute


def _plain(count: int, function: Callable[..., Array]) -> Builder:
    """An operation whose operands and result have the one type of the name."""

    def build(m: Match) -> Pure:
        kind = TYPES[m["type"]]
        return Pure((kind,), (kind,) * count, _modified(m, function))

    return build


def _subtract(function: Callable[..., Array]) -> Callable[..., Array]:
    return lambda a, b, mode: function(a, -b, mode)


def _exact(operation: Callable[..., Array]) -> Callable[..., Array]:
    """An operation that NumPy rounds to nearest itself; the pattern allows no other mode."""
    return lambda *values: operation(*values[:-1])


def _extreme(keep: Callable[..., Array], zeros: Callable[..., Array], nan: bool) -> Callable[..., Array]:
    """Minimum or maximum: NaN loses unless asked for, and minus zero is less than zero."""

    def compute(a: Array, b: Array) -> Array:
        bits = zeros(a.view(f"u{a.itemsize}"), b.view(f"u{b.itemsize}")).view(a.dtype)
        result = np.where(a == b, bits, keep(a, b))
        return np.where(np.isnan(a) | np.isnan(b), a.dtype.type(np.nan), result) if nan else result

    return compute


def _float_extreme(which: str) -> Builder:
    keep, zeros = (np.fmin, np.bitwise_or) if which == "min" else (np.fmax, np.bitwise_and)

    def build(m: Match) -> Pure:
        kind = TYPES[m["type"]]
        return Pure((kind,), (kind, kind), _modified(m, _extreme(keep, zeros, bool(m["nan"]))))

    return build


def _approximate(m: Match) -> Pure:
    operation = m["operation"]
    kind, count = TYPES["f32"], 2 if operation == "div" else 1
    return Pure((kind,), (kind,) * count, partial(_noise_first, operation, bool(m["ftz"])), noisy=True)


def _noise_first(operation: str, ftz: bool, noise: Array | None, *values: Array) -> Array:
    return approximate(operation, ftz, noise, *values)


def _approximate64(m: Match) -> Pure:
    return Pure((TYPES["f64"],), (TYPES["f64"],), partial(approximate64, m["operation"]))


def _product(m: Match) -> Pure:
    """``mul`` and ``mad`` of integers: the lower half, the upper half, or all of the product."""
    kind, part = TYPES[m["type"]], m["part"]
    result = TYPES[WIDER[kind.name]] if part == "wide" else kind
    functions: dict[str, Callable[..., Array]] = {
        "lo": np.multiply, "hi": integers.product_high, "wide": integers.product_wide,
    }  # fmt: skip
    times = functions[part]
    if m["operation"] == "mul":
        return Pure((result,), (kind, kind), times)
    return Pure((result,), (kind, kind, result), lambda a, b, c: times(a, b) + c)


def _carrying(m: Match) -> Pure:
    """``add``, ``sub`` and ``mad`` with the carry flag in (c), out (.cc) or both."""
    kind = TYPES[m["type"]]
    reads, writes = bool(m["reads"]), bool(m["writes"])
    combine = integers.sub_borrow if m["operation"] == "sub" else integers.add_carry
    functions: dict[str | None, Callable[..., Array] | None] = {
        None: None,
        "lo": np.multiply,
        "hi": integers.product_high,
    }
    times = functions[m["part"]]

    def compute(*values: Array) -> Any:
        numbers = list(values)
        carry = numbers.pop() if reads else np.zeros(1, np.bool_)
        if times is not None:
            numbers[:2] = [times(numbers[0], numbers[1])]
        total, out = combine(numbers[0], numbers[1], carry)
        return (total, out) if writes else total

    sources = (kind,) * (2 if times is None else 3) + ((PRED,) if reads else ())
    return Pure((kind, PRED) if writes else (kind,), sources, compute, reads_carry=reads, writes_carry=writes)


def _shift(m: Match) -> Pure:
    kind = TYPES[m["type"]]
    return Pure((kind,), (kind, U32), {"shl": integers.shift_left, "shr": integers.shift_right}[m["operation"]])


def _funnel(m: Match) -> Pure:
    function = {"l": integers.funnel_left, "r": integers.funnel_right}[m["side"]]
    return Pure((B32,), (B32, B32, U32), lambda a, b, n: function(a, b, n, m["mode"] == "wrap"))


def _logical(function: Callable[..., Array], of_predicates: Callable[..., Array], count: int = 2) -> Builder:
    def build(m: Match) -> Pure:
        kind = TYPES[m["type"]]
        return Pure((kind,), (kind,) * count, of_predicates if kind is PRED else function)

    return build


COMPARISONS: dict[str, Callable[..., Array]] = {
    "eq": np.equal, "ne": np.not_equal, "lt": np.less, "le": np.less_equal, "gt": np.greater, "ge": np.greater_equal,
    "lo": np.less, "ls": np.less_equal, "hi": np.greater, "hs": np.greater_equal,
}  # fmt: skip
COMBINE: dict[str, Callable[..., Array]] = {"and": np.logical_and, "or": np.logical_or, "xor": np.logical_xor}


def _compare(name: str, a: Array, b: Array) -> Array:
    """A comparison of floats: false where one is NaN, or true if its name ends in u; ``nan`` and ``num`` ask that."""
    unordered = np.isnan(a) | np.isnan(b)
    if name in {"nan", "num"}:
        return unordered if name == "nan" else ~unordered
    if len(name) == 3:
        return COMPARISONS[name[:2]](a, b) | unordered
    return COMPARISONS[name](a, b) & ~unordered


def _setp(m: Match) -> Pure:
    kind, name, ftz = TYPES[m["type"]], m["compare"], bool(m["ftz"])
    compare = partial(_compare, name) if kind.kind == "f" else COMPARISONS[name]
    combine = COMBINE.get(m["combine"] or "")

    def compute(a: Array, b: Array, *rest: Array) -> tuple[Array, Array]:
        a, b = (rounding.flush(a), rounding.flush(b)) if ftz else (a, b)
        holds = compare(a, b)
        if combine is None:
            return holds, ~holds
        return combine(holds, rest[0]), combine(~holds, rest[0])

    return Pure((PRED, PRED), (kind, kind) + ((PRED,) if combine else ()), compute)


def _selp(m: Match) -> Pure:
    kind = TYPES[m["type"]]
    return Pure((kind,), (kind, kind, PRED), lambda a, b, p: np.where(p, a, b))


def _testp(m: Match) -> Pure:
    kind = TYPES[m["type"]]
    tiny = np.finfo(kind.dtype).tiny
    tests: dict[str, Callable[[Array], Array]] = {
        "finite": np.isfinite,
        "infinite": np.isinf,
        "number": lambda x: ~np.isnan(x),
        "notanumber": np.isnan,
        "normal": lambda x: np.isfinite(x) & (np.abs(x) >= tiny),
        "subnormal": lambda x: (np.abs(x) < tiny) & (x != 0),
    }
    return Pure((PRED,), (kind,), tests[m["test"]])


def _convert(m: Match) -> Pure:
    to, of = TYPES[m["to"]], TYPES[m["of"]]
    return Pure((to,), (of,), converter(to, of, m["round"], bool(m["ftz"]), bool(m["sat"])))


def _counting(function: Callable[..., Array]) -> Builder:
    return lambda m: Pure((U32,), (TYPES[m["type"]],), function)


def _field(m: Match) -> Pure:
    kind = TYPES[m["type"]]
    if m["operation"] == "bfe":
        return Pure((kind,), (kind, U32, U32), integers.field_extract)
    return Pure((kind,), (kind, kind, U32, U32), integers.field_insert)


_TABLE: tuple[tuple[str, Builder], ...] = (
    (rf"add{ROUND}{FTZ}{SAT}\.{FLOAT}", _float(2, rounding.add32, rounding.add64)),
    (rf"sub{ROUND}{FTZ}{SAT}\.{FLOAT}", _float(2, _subtract(rounding.add32), _subtract(rounding.add64))),
    (rf"mul{ROUND}{FTZ}{SAT}\.{FLOAT}", _float(2, rounding.mul32, rounding.mul64)),
    (rf"(?:fma|mad){ROUND}{FTZ}{SAT}\.{FLOAT}", _float(3, rounding.fma32, rounding.fma64)),
    # float32 holds enough of a sum or product of two halves for NumPy's second rounding to be harmless
    (r"add(?:\.rn)?\.(?P<type>f16)", _plain(2, np.add)),
    (r"sub(?:\.rn)?\.(?P<type>f16)", _plain(2, np.subtract)),
    (r"mul(?:\.rn)?\.(?P<type>f16)", _plain(2, np.multiply)),
    (rf"div\.(?P<round>rn){FTZ}\.{FLOAT}", _float(2, _exact(np.divide), _exact(np.divide))),
    (rf"rcp\.(?P<round>rn){FTZ}\.{FLOAT}", _float(1, _exact(np.reciprocal), _exact(np.reciprocal))),
    (rf"sqrt\.(?P<round>rn){FTZ}\.{FLOAT}", _float(1, _exact(np.sqrt), _exact(np.sqrt))),
    (rf"neg{FTZ}\.(?P<type>f16|f32|f64)", _plain(1, np.negative)),
    (rf"abs{FTZ}\.(?P<type>f16|f32|f64)", _plain(1, np.abs)),
    (rf"copysign\.{FLOAT}", _plain(2, lambda sign, size: np.copysign(size, sign))),
    (rf"min{FTZ}(?P<nan>\.NaN)?\.{FLOAT}", _float_extreme("min")),
    (rf"max{FTZ}(?P<nan>\.NaN)?\.{FLOAT}", _float_extreme("max")),
    (rf"(?P<operation>ex2|lg2|rcp|sqrt|rsqrt|sin|cos|tanh|div)\.approx{FTZ}\.f32", _approximate),
    (rf"(?P<operation>div)\.full{FTZ}\.f32", _approximate),
    (r"(?P<operation>rcp|rsqrt)\.approx\.ftz\.f64", _approximate64),
    (rf"testp\.(?P<test>finite|infinite|number|notanumber|normal|subnormal)\.{FLOAT}", _testp),
    (rf"add\.{INTEGER}", _plain(2, np.add)),
    (rf"sub\.{INTEGER}", _plain(2, np.subtract)),
    (rf"div\.{INTEGER}", _plain(2, integers.divide)),
    (rf"rem\.{INTEGER}", _plain(2, integers.remainder)),
    (rf"min\.{INTEGER}", _plain(2, np.minimum)),
    (rf"max\.{INTEGER}", _plain(2, np.maximum)),
    (rf"neg\.{INTEGER}", _plain(1, np.negative)),
    (rf"abs\.{INTEGER}", _plain(1, np.abs)),
    (rf"(?P<operation>mul|mad)\.(?P<part>lo|hi)\.{INTEGER}", _product),
    (r"(?P<operation>mul|mad)\.(?P<part>wide)\.(?P<type>[us](?:16|32))", _product),
    (r"(?P<operation>add|sub)(?P<reads>)(?P<writes>\.cc)(?P<part>lo)?\.(?P<type>[us](?:32|64))", _carrying),
    (r"(?P<operation>add|sub)(?P<reads>c)(?P<writes>\.cc)?(?P<part>lo)?\.(?P<type>[us](?:32|64))", _carrying),
    (r"(?P<operation>mad)(?P<reads>)\.(?P<part>lo|hi)(?P<writes>\.cc)\.(?P<type>[us](?:32|64))", _carrying),
    (r"(?P<operation>mad)(?P<reads>c)\.(?P<part>lo|hi)(?P<writes>\.cc)?\.(?P<type>[us](?:32|64))", _carrying),
    (r"(?P<operation>shl)\.(?P<type>b(?:16|32|64))", _shift),
    (r"(?P<operation>shr)\.(?P<type>[bus](?:16|32|64))", _shift),
    (r"shf\.(?P<side>l|r)\.(?P<mode>wrap|clamp)\.b32", _funnel),
    (r"and\.(?P<type>pred|b16|b32|b64)", _logical(np.bitwise_and, np.logical_and)),
    (r"or\.(?P<type>pred|b16|b32|b64)", _logical(np.bitwise_or, np.logical_or)),
    (r"xor\.(?P<type>pred|b16|b32|b64)", _logical(np.bitwise_xor, np.logical_xor)),
    (r"not\.(?P<type>pred|b16|b32|b64)", _logical(np.invert, np.logical_not, 1)),
    (r"popc\.(?P<type>b32|b64)", _counting(integers.bit_count)),
    (r"clz\.(?P<type>b32|b64)", _counting(integers.leading_zeros)),
    (r"brev\.(?P<type>b32|b64)", _plain(1, integers.reversed_bits)),
    (r"(?P<operation>bfe)\.(?P<type>[us](?:32|64))", _field),
    (r"(?P<operation>bfi)\.(?P<type>b32|b64)", _field),
    (r"lop3\.b32", lambda m: Pure((B32,), (B32, B32, B32, U32), integers.logic)),
    (r"prmt\.b32", lambda m: Pure((B32,), (B32, B32, U32), integers.permute)),
    (
        rf"setp\.(?P<compare>(?:eq|ne|lt|le|gt|ge)u?|num|nan)(?:\.(?P<combine>and|or|xor))?{FTZ}\.(?P<type>f16|f32|f64)",
        _setp,
    ),
    (
        rf"setp\.(?P<compare>{'|'.join(COMPARISONS)})(?:\.(?P<combine>and|or|xor))?(?P<ftz>)\.(?P<type>{ANY_INTEGER})",
        _setp,
    ),
    (r"selp\.(?P<type>[busf](?:16|32|64))", _selp),
    (
        rf"cvt(?:\.(?P<round>rn|rz|rm|rp|rni|rzi|rmi|rpi))?{FTZ}{SAT}\.(?P<to>{CONVERTED})\.(?P<of>{CONVERTED})",
        _convert,
    ),
)  # fmt: skip

_COMPILED = tuple((re.compile(pattern), build) for pattern, build in _TABLE)


def decode(instruction: Instruction) -> Pure:
    """What an instruction computes.

    Raises:
        UnknownPtx: no entry of the table has this name with exactly these modifiers.
    """
    found = _named(instruction.opcode)
    if found is None:
        raise UnknownPtx(f"unknown instruction {instruction.opcode!r}", instruction.line, instruction.text)
    return found


@cache
def _named(opcode: str) -> Pure | None:
    return next((build(m) for pattern, build in _COMPILED if (m := pattern.fullmatch(opcode))), None)


def patterns() -> Iterator[str]:
    """The names that the table knows, as patterns: for documentation and tests."""
    return (pattern for pattern, _ in _TABLE)
