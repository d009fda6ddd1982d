"""The typed scalar code that schedules produce and backends print: an immutable graph of a few plain operations.

A `Node` is one operation on float64 (or boolean) scalars. Nodes are interned: equal nodes are the same object, so
common subexpressions are found by identity and a graph prints as one assignment per shared node. A `ScalarFunction`
is a named graph with several results; backends wrap it in the loops of an archetype.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Container, Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from symgen import fused, trig_numpy

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Operation:
    """What an operation takes and gives ("f" float64, "b" boolean) and how NumPy computes it."""

    takes: str
    gives: str
    numpy: Callable[..., Any]


SMALL = 1 << 14  # elements of an array that is kept for the next candidate
ROUNDING = 1.5 * 2.0**52  # added to a number of moderate size, it leaves the nearest integer in the last bits
HALF_ROOT = int(np.float64(2.0**-0.5).view(np.int64))  # its bits: see `_exponent`


def _pow2(k: Any) -> Any:
    """2**n from k = ROUNDING + 1023 + n, for -1023 < n < 1024: the last bits of k are the exponent's bits."""
    return (np.asarray(k, dtype=np.float64).view(np.int64) << 52).view(np.float64)


def _exponent(x: Any) -> Any:
    """The integer n for which x/2**n is in [sqrt(1/2), sqrt(2)), for normal positive x."""
    bits = np.asarray(x, dtype=np.float64).view(np.int64)
    return ((bits - HALF_ROOT) >> 52).astype(np.float64)


def _mantissa(x: Any) -> Any:
    """x/2**n with the n of `_exponent`."""
    bits = np.asarray(x, dtype=np.float64).view(np.int64)
    return (bits - (((bits - HALF_ROOT) >> 52) << 52)).view(np.float64)


OPERATIONS: dict[str, Operation] = {
    "const": Operation("", "f", lambda: None),
    "var": Operation("", "f", lambda: None),
    "add": Operation("ff", "f", np.add),
    "sub": Operation("ff", "f", np.subtract),
    "mul": Operation("ff", "f", np.multiply),
    "div": Operation("ff", "f", np.divide),
    "neg": Operation("f", "f", np.negative),
    "abs": Operation("f", "f", np.abs),
    "fma": Operation("fff", "f", fused.fma),
    "inverse": Operation("f", "f", np.reciprocal),  # on a GPU to two units, and in float32 of normal numbers alone
    "sqrt": Operation("f", "f", np.sqrt),
    "copysign": Operation("ff", "f", np.copysign),
    "pow2": Operation("f", "f", _pow2),
    "exponent": Operation("f", "f", _exponent),
    "mantissa": Operation("f", "f", _mantissa),
    "select": Operation("bff", "f", np.where),
    "lt": Operation("ff", "b", np.less),
    "le": Operation("ff", "b", np.less_equal),
    "eq": Operation("ff", "b", np.equal),
    "ne": Operation("ff", "b", np.not_equal),
    "and": Operation("bb", "b", np.logical_and),
    "or": Operation("bb", "b", np.logical_or),
    "not": Operation("b", "b", np.logical_not),
    "call": Operation("*", "f", lambda *a: None),
}


def _libm(name: str) -> Callable[..., Any]:
    """A function of the C library, elementwise: what compiled kernels call, and the same on every processor.

    NumPy's own exp, log or tanh are other code, chosen by processor; measured with them, kernels would come out
    differently from machine to machine.
    """
    function = getattr(math, name)

    # Python's math raises at infinities
    call_each = np.frompyfunc(lambda u: float(function(u)) if math.isfinite(u) else math.nan, 1, 1)
    return lambda array: np.asarray(call_each(array), dtype=np.float64)


def _generated(name: str) -> Callable[..., Any]:
    """A function of specs/elementary, by the graph that backends print."""

    def evaluate(*arrays: Any) -> Any:
        from symgen.elementary import evaluate as by_graph  # it is made of this module's nodes

        return by_graph(name, arrays)

    return evaluate



def _short_wave(wave: str) -> Callable[..., Any]:
    """A wave of a number or a product as loops compute it in short: in full far out, where no short form reaches."""

    def evaluate(*factors: Any) -> Any:
        factors = np.broadcast_arrays(*factors)
        high = np.asarray(math.prod(factors), dtype=np.float64)
        low = fused.fma(factors[0], factors[1], -high) if len(factors) > 1 else np.zeros_like(high)
        far = ~(np.abs(high) <= 2.0**30)  # see `symgen.near`
        short = np.array(PRIMITIVES[f"{wave}_near_short"](high, low))
        if far.any():
            whole = PRIMITIVES[f"{wave}_product" if len(factors) > 1 else wave]
            short[far] = whole(*(f[far] for f in factors))
        return short

    return evaluate


def _power_of_sums(b: Any, b_low: Any, x: Any, x_low: Any) -> Any:
    """Of float32 in float64, which holds both sums but for their last bits."""
    return PRIMITIVES["pow"](np.asarray(b + b_low), np.asarray(x + x_low))


def _of_sum(name: str) -> Callable[..., Any]:
    """A function of the sum of two float32, in float64."""
    return lambda high, low: PRIMITIVES[name](np.asarray(high + low))


def _nothing(*sums: Any) -> Any:
    return np.zeros(np.broadcast_shapes(*map(np.shape, sums)))


# Of each, the full form's high part goes by its name, and NAME_low and NAME_short are there too; of some NAME_medium.
GENERATED = (
    "exp", "expm1", "log", "log1p", "log1p_unit", "erfcx", "erf", "hypot", "sinh", "cosh", "asinh", "atan",
    "pow", "sin_near", "cos_near", "rest_near", "exp_fine", "log_fine", "pow_fine",
)  # fmt: skip
PARTS = ("", "_low", "_short")
MEDIUM = frozenset(f"{name}_medium" for name in ("exp", "expm1", "log", "log1p", "log1p_unit", "pow"))
FINE = frozenset(name for name in GENERATED if name.endswith("_fine"))  # whose low parts know more
BRANCH_FREE = frozenset(name + part for name in GENERATED for part in PARTS) | MEDIUM
SINGLE = frozenset({"erfcx_single"})  # forms in float32 arithmetic, for which libdevice has a worse or a dearer one

# The seam to the elementary functions: what a graph may call. A backend has one such table.
PRIMITIVES: dict[str, Callable[..., Any]] = {
    **{name: _generated(name) for name in sorted(BRANCH_FREE)},
    **{name: _libm(name) for name in ("sin", "cos", "tan")},
    "sin_sum": trig_numpy.sin_sum,  # of the exact sum of the two arguments
    "cos_sum": trig_numpy.cos_sum,
    "sin_product": trig_numpy.sin_product,  # of the exact product
    "cos_product": trig_numpy.cos_product,
    **{f"{wave}{of}_short": _short_wave(wave) for wave in ("sin", "cos") for of in ("", "_product")},
    "floor": np.floor,
    "pow_sum": _power_of_sums,  # of the exact sum of the first two arguments, raised to that of the last two
    "log_sum": _of_sum("log"),  # of the exact sum of the two arguments
    "log1p_sum": _of_sum("log1p"),
    **{f"{name}_sum_low": _nothing for name in ("pow", "log", "log1p")},
}
IN_SINGLE = frozenset(f"{n}_sum{p}" for n in ("pow", "log", "log1p") for p in ("", "_low"))  # in float32 alone


class KernelError(ValueError):
    """A graph that breaks the rules of the kernel language: a bug in symgen, not in a spec."""


@dataclass(frozen=True, eq=False)
class Node:
    """One operation; `value` is the number of a const, the name of a var, the primitive of a call."""

    op: str
    args: tuple[Node, ...] = ()
    value: Any = None
    serial: int = field(default=0)

    def __add__(self, other: Node | float) -> Node:
        return node("add", self, as_node(other))

    def __radd__(self, other: float) -> Node:
        return node("add", as_node(other), self)

    def __sub__(self, other: Node | float) -> Node:
        return node("sub", self, as_node(other))

    def __rsub__(self, other: float) -> Node:
        return node("sub", as_node(other), self)

    def __mul__(self, other: Node | float) -> Node:
        return node("mul", self, as_node(other))

    def __rmul__(self, other: float) -> Node:
        return node("mul", as_node(other), self)

    def __truediv__(self, other: Node | float) -> Node:
        return node("div", self, as_node(other))

    def __rtruediv__(self, other: float) -> Node:
        return node("div", as_node(other), self)

    def __lt__(self, other: Node) -> Node:
        return node("lt", self, other)

    def __and__(self, other: Node) -> Node:
        return node("and", self, other)

    def __or__(self, other: Node) -> Node:
        return node("or", self, other)

    def equals(self, other: Node | float) -> Node:
        """The condition that both are equal; == compares the objects."""
        return node("eq", self, as_node(other))

    def __neg__(self) -> Node:
        return node("neg", self)

    def __abs__(self) -> Node:
        return node("abs", self)


_interned: dict[tuple[Any, ...], Node] = {}


def node(op: str, *args: Node, value: Any = None) -> Node:
    """The one node with this operation and these arguments."""
    if op not in OPERATIONS:
        raise KernelError(f"unknown operation {op!r}; a backend knows {', '.join(OPERATIONS)}")
    # repr tells 0.0 from -0.0 and equal-looking int from float, which == does not
    key = (op, args) if value is None else (op, args, repr(value))
    found = _interned.get(key)
    if found is None:
        found = _interned[key] = Node(op, args, value, len(_interned))
    return found


def const(value: float) -> Node:
    return node("const", value=float(value))


def as_node(value: Node | float) -> Node:
    """A number as a constant; a node as it is."""
    return value if isinstance(value, Node) else const(value)


def var(name: str) -> Node:
    return node("var", value=name)


def call(primitive: str, *args: Node) -> Node:
    if primitive not in PRIMITIVES:
        raise KernelError(f"unknown primitive {primitive!r}; add it to PRIMITIVES and to each backend's table")
    return node("call", *args, value=primitive)


def fma(a: Node, b: Node, c: Node) -> Node:
    return node("fma", a, b, c)


def pow2(k: Node) -> Node:
    """2**n from k = ROUNDING + 1023 + n."""
    return node("pow2", k)


def exponent(x: Node) -> Node:
    """n of x = 2**n m with m in [sqrt(1/2), sqrt(2)), for normal positive x."""
    return node("exponent", x)


def mantissa(x: Node) -> Node:
    """m of x = 2**n m, see `exponent`."""
    return node("mantissa", x)


def copysign(size: Node, sign: Node) -> Node:
    return node("copysign", size, sign)


def larger(x: Node, least: Node) -> Node:
    """The larger one; a NaN in x stays."""
    return select(x < least, least, x)


def smaller(x: Node, most: Node) -> Node:
    """The smaller one; a NaN in x stays."""
    return select(most < x, most, x)


def select(condition: Node, then: Node, otherwise: Node) -> Node:
    return then if then is otherwise else node("select", condition, then, otherwise)


def topological(results: Iterable[Node], known: Container[Node] = ()) -> tuple[Node, ...]:
    """Every node that the results need, arguments before users, in a fixed order.

    Args:
        results: where to start.
        known: nodes that are left out, with all that only they need.
    """
    order: list[Node] = []
    seen: set[Node] = set()
    open_nodes: list[Node] = []
    stack: list[Node | None] = [*reversed([*results])]  # None: the arguments of the last open node are done
    while stack:
        n = stack.pop()
        if n is None:
            order.append(open_nodes.pop())
        elif n not in seen and n not in known:
            seen.add(n)
            if n.args:
                open_nodes.append(n)
                stack.append(None)
                stack.extend(n.args[::-1])
            else:
                order.append(n)
    return tuple(order)


def _operations(dtype: type) -> Callable[[Node], Callable[..., Any]]:
    """How NumPy computes a node in one precision."""

    def fused(a: Any, b: Any, c: Any) -> Any:
        return a * b + c

    def double(n: Node) -> Callable[..., Any]:
        return PRIMITIVES[n.value] if n.op == "call" else OPERATIONS[n.op].numpy

    def lost(n: Node) -> Callable[..., Any]:
        whole = PRIMITIVES[n.value.removesuffix("_low")]

        def low(*values: Any) -> Any:
            value = np.asarray(whole(*values))
            return value - value.astype(dtype)

        return low

    def single(n: Node) -> Callable[..., Any]:
        if n.op not in {"call", "fma"}:
            return OPERATIONS[n.op].numpy
        if n.op == "call" and n.value.endswith("_low"):
            return lambda *values: lost(n)(*(np.float64(v) for v in values)).astype(dtype)
        # float64 holds the product of two float32, so its sum is as good as a fused one but for the rarest ties
        wide = double(n) if n.op == "call" else fused
        return lambda *values: np.asarray(wide(*(np.float64(v) for v in values))).astype(dtype)

    return double if dtype is np.float64 else single


@dataclass(frozen=True)
class ScalarFunction:
    """A named graph: parameters (float64 scalars) in, results (float64 scalars) out."""

    name: str
    parameters: tuple[str, ...]
    results: tuple[Node, ...]

    def evaluate(
        self, values: Sequence[Array | float], known: dict[Node, Any] | None = None, dtype: type = np.float64,
        keeping: int = SMALL,
    ) -> tuple[Array, ...]:  # fmt: skip
        """The results by NumPy, elementwise: for measuring a candidate without compiling it.

        Args:
            values: an array or a number for each parameter.
            known: results of nodes from earlier calls with the same values, read and added to; candidates share much.
                Of long arrays only those of calls: memory that nothing has touched yet costs more than arithmetic.
            dtype: what every operation computes in; in float32, primitives are the float64 ones, rounded once.
            keeping: the size up to which every result is added to `known`.
        """
        bound = dict(zip(self.parameters, values, strict=True))
        table = _operations(dtype)
        kept: dict[Node, Any] = {} if known is None else known
        order = topological(self.results, kept) if kept else self.order
        computed: dict[Node, Any] = {}
        left = Counter(a for n in order for a in n.args)  # uses to come
        left.update(self.results)
        with np.errstate(all="ignore"):
            for n in order:
                if n.op == "const":
                    computed[n] = dtype(n.value)
                elif n.op == "var":
                    computed[n] = np.asarray(bound[n.value], dtype)
                else:
                    computed[n] = table(n)(*[kept[a] if a in kept else computed[a] for a in n.args])
                    if known is not None and (n.op == "call" or np.size(computed[n]) <= keeping):
                        known[n] = computed[n]
                for a in n.args:
                    left[a] -= 1
                    if not left[a]:  # its memory is in the cache, for the next result
                        computed.pop(a, None)
        computed |= {r: kept[r] for r in self.results if r in kept}
        shape = np.broadcast_shapes(*(np.shape(v) for v in values)) if values else ()
        return tuple(np.broadcast_to(np.asarray(computed[r], dtype=np.float64), shape) for r in self.results)

    @cached_property
    def order(self) -> tuple[Node, ...]:
        """Every node, arguments before users."""
        return topological(self.results)


def verify(function: ScalarFunction) -> ScalarFunction:
    """Check types and free variables of a graph; return it unchanged."""
    kinds: dict[int, str] = {}
    for n in topological(function.results):
        operation = OPERATIONS[n.op]
        takes = "f" * len(n.args) if operation.takes == "*" else operation.takes
        got = "".join(kinds[id(a)] for a in n.args)
        if got != takes:
            raise KernelError(f"{function.name}: {n.op} takes {takes or 'nothing'!r}, got {got!r}")
        if n.op == "var" and n.value not in function.parameters:
            raise KernelError(f"{function.name}: unknown variable {n.value!r}; it has {function.parameters}")
        kinds[id(n)] = operation.gives
    for r in function.results:
        if kinds[id(r)] != "f":
            raise KernelError(f"{function.name}: a result is a condition, not a number")
    return function
