"""Graphs as loops over arrays: what a graph computes, to the bit, in one pass over memory where NumPy takes dozens.

A loop takes a block of numbers at a time in LLVM's vectors, whatever the width of the processor's; what is left over
goes through a block of its own. Nothing is contracted or reassociated: each operation rounds as IEEE 754 says.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from symgen.kernel import HALF_ROOT, Node, topological
from symgen.machine import ADDRESS, NUMBER, compiled

Array = npt.NDArray[np.float64]

BLOCK = 8  # numbers
FLOATS, WHOLE, FLAGS = (f"<{BLOCK} x {kind}>" for kind in ("double", "i64", "i1"))


def _comparison(code: str) -> str:
    return f"{{r}} = fcmp {code} {FLOATS} {{0}}, {{1}}"


def _intrinsic(name: str, count: int) -> str:
    operands = ", ".join(f"{FLOATS} {{{i}}}" for i in range(count))
    return f"{{r}} = call {FLOATS} @llvm.{name}.v{BLOCK}f64({operands})"


def _every(number: int) -> str:
    """The same whole number in each place of a vector."""
    return "<" + ", ".join([f"i64 {number}"] * BLOCK) + ">"


BITS = f"{{r}}b = bitcast {FLOATS} {{0}} to {WHOLE}"
ABOVE = f"{{r}}e = sub {WHOLE} {{r}}b, {_every(HALF_ROOT)}\n{{r}}n = ashr {WHOLE} {{r}}e, {_every(52)}"

OPERATIONS: Mapping[str, str] = {
    **{op: f"{{r}} = f{op} {FLOATS} {{0}}, {{1}}" for op in ("add", "sub", "mul", "div")},
    **{op: f"{{r}} = {op} {FLAGS} {{0}}, {{1}}" for op in ("and", "or")},
    **{op: _comparison(code) for op, code in {"lt": "olt", "le": "ole", "eq": "oeq", "ne": "une"}.items()},
    **{op: _intrinsic(name, n) for op, name, n in (("abs", "fabs", 1), ("sqrt", "sqrt", 1), ("fma", "fma", 3))},
    "copysign": _intrinsic("copysign", 2),
    "neg": f"{{r}} = fneg {FLOATS} {{0}}",
    "not": f"{{r}} = xor {FLAGS} {{0}}, <{', '.join(['i1 true'] * BLOCK)}>",
    "select": f"{{r}} = select {FLAGS} {{0}}, {FLOATS} {{1}}, {FLOATS} {{2}}",
    "pow2": f"{BITS}\n{{r}}s = shl {WHOLE} {{r}}b, {_every(52)}\n{{r}} = bitcast {WHOLE} {{r}}s to {FLOATS}",
    "exponent": f"{BITS}\n{ABOVE}\n{{r}} = sitofp {WHOLE} {{r}}n to {FLOATS}",
    "mantissa": f"{BITS}\n{ABOVE}\n{{r}}s = shl {WHOLE} {{r}}n, {_every(52)}\n"
    f"{{r}}d = sub {WHOLE} {{r}}b, {{r}}s\n{{r}} = bitcast {WHOLE} {{r}}d to {FLOATS}",
}
DECLARED = "\n".join(
    f"declare {FLOATS} @llvm.{name}.v{BLOCK}f64({', '.join([FLOATS] * n)})"
    for name, n in (("fabs", 1), ("sqrt", 1), ("fma", 3), ("copysign", 2))
)


def loop(parameters: Sequence[str], results: Sequence[Node]) -> Callable[..., tuple[Array, ...]]:
    """Machine code for a graph without calls.

    Args:
        parameters: the variables of the graph, in the order of the arguments.
        results: what is wanted, numbers all of them.

    Returns:
        A function of as many float64 arrays, whose shapes broadcast; it gives an array of that shape for each result.

    Example:
        >>> from symgen.kernel import var
        >>> twice = loop(["x"], [var("x") + var("x")])
        >>> twice(np.arange(3.0))[0].tolist()
        [0.0, 2.0, 4.0]
    """
    takes = [ADDRESS] * (len(parameters) + len(results)) + [NUMBER]
    run = compiled("\n".join(_text(parameters, results)), "loop", takes)

    def call(*arrays: Any) -> tuple[Array, ...]:
        given = np.broadcast_arrays(*(np.asarray(a, np.float64) for a in arrays))
        shape, flat = given[0].shape, [np.ascontiguousarray(a).ravel() for a in given]
        found = [np.empty(flat[0].size) for _ in results]
        whole = flat[0].size // BLOCK
        if whole:
            run(*map(_address, (*flat, *found)), whole)
        rest = flat[0].size - whole * BLOCK
        if rest:
            padded = [np.append(a[whole * BLOCK :], np.ones(BLOCK - rest)) for a in flat]
            last = [np.empty(BLOCK) for _ in results]
            run(*map(_address, (*padded, *last)), 1)
            for all_of_them, end in zip(found, last, strict=True):
                all_of_them[whole * BLOCK :] = end[:rest]
        return tuple(f.reshape(shape) for f in found)

    return call


def _address(array: Array) -> int:
    return int(array.__array_interface__["data"][0])


def _text(parameters: Sequence[str], results: Sequence[Node]) -> Iterator[str]:
    inputs, outputs = [f"%p{i}" for i in range(len(parameters))], [f"%o{i}" for i in range(len(results))]
    yield DECLARED
    yield f"define void @loop({', '.join(f'ptr noalias {a}' for a in (*inputs, *outputs))}, i64 %count) {{"
    yield "entry:\n br label %body\nbody:"
    yield " %i = phi i64 [0, %entry], [%next, %body]"
    names: dict[Node, str] = {}
    for k, n in enumerate(topological(results)):
        if n.op == "const":
            names[n] = _constant(n.value)
            continue
        names[n] = f"%v{k}"
        if n.op == "var":
            at = parameters.index(n.value)
            yield f" %v{k}a = getelementptr {FLOATS}, ptr {inputs[at]}, i64 %i"
            yield f" %v{k} = load {FLOATS}, ptr %v{k}a, align 8"
        else:
            yield OPERATIONS[n.op].format(*(names[a] for a in n.args), r=f"%v{k}")
    for k, (output, result) in enumerate(zip(outputs, results, strict=True)):
        yield f" %r{k} = getelementptr {FLOATS}, ptr {output}, i64 %i"
        yield f" store {FLOATS} {names[result]}, ptr %r{k}, align 8"
    yield " %next = add nuw nsw i64 %i, 1"
    yield " %more = icmp slt i64 %next, %count"
    yield " br i1 %more, label %body, label %end\nend:\n ret void\n}"


def _constant(number: float) -> str:
    """A number to the bit in each place of a vector."""
    (bits,) = struct.unpack("<Q", struct.pack("<d", number))
    return "<" + ", ".join([f"double 0x{bits:016X}"] * BLOCK) + ">"
