"""Sines and cosines in vector code: twins of graphs for arguments that need no exact reduction, and where those are.

A sine of any float64 wants hundreds of bits of 2/pi, which no branch-free graph has. Up to 2^30 three floats of them
are enough, and loops ask for a block of elements at a time whether they are: then the twin computes all of them at
once, else the graph itself does, one after the other.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import reduce

from symgen.kernel import Node, call, const, fma, node, select, topological

FARTHEST = 2.0**30  # see `remainder` in specs/elementary/circular.py
CLOSEST = 2.0**-60  # the remainder of a sum is right to 2^-122: with less than that, bits are missing
ZERO, ONE = const(0.0), const(1.0)


def _product(a: Node, b: Node) -> tuple[Node, Node]:
    h = a * b
    return h, fma(a, b, -h)


def _tangent(h: Node, low: Node) -> Node:
    """The quotient of both waves, with what its rounding loses put back."""
    s, c = call("sin_near", h, low), call("cos_near", h, low)
    quotient = s / c
    lost = fma(-quotient, c, s) + (call("sin_near_low", h, low) - quotient * call("cos_near_low", h, low))
    return quotient + lost / c


def _called(name: str) -> Callable[[Node, Node], Node]:
    return lambda h, low: call(name, h, low)


# of each primitive: what it is a function of, as a sum; what computes that nearby; whether the sum has a low part
WAVES: dict[str, tuple[Callable[..., tuple[Node, Node]], Callable[[Node, Node], Node], bool]] = {
    f"{wave}{of}{part}": (argument, _called(f"{wave}_near{part}"), bool(of))
    for wave in ("sin", "cos")
    for of, argument in (("", lambda u: (u, ZERO)), ("_sum", lambda h, low: (h, low)), ("_product", _product))
    for part in (("",) if of == "_sum" else ("", "_short"))
} | {"tan": (lambda u: (u, ZERO), _tangent, False)}


def near(results: Sequence[Node], single: bool) -> tuple[tuple[Node, ...], Node] | None:
    """The same results for near arguments, and a node that is zero where all are near.

    Args:
        results: what a graph computes.
        single: whether the results are rounded to float32, which hides what a small remainder lacks.

    Returns:
        The twin and the node, or None where the graph has no wave.
    """
    twins: dict[Node, Node] = {}
    close: list[Node] = []
    for n in topological(results):
        arguments = [twins[a] for a in n.args]
        if n.op == "call" and n.value in WAVES:
            argument, wave, has_low = WAVES[n.value]
            h, low = argument(*arguments)
            close.append(node("le", abs(h), const(FARTHEST)))
            if has_low and not single:
                rest = node("le", const(CLOSEST), abs(call("rest_near", h, low)))
                close.append(rest | (abs(h) < const(0.5)))
            twins[n] = wave(h, low)
        else:
            twins[n] = node(n.op, *arguments, value=n.value) if n.args else n
    if not close:
        return None
    return tuple(twins[r] for r in results), select(reduce(lambda a, b: a & b, dict.fromkeys(close)), ZERO, ONE)
