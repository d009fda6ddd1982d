"""Prints the functions of specs/elementary as one Numba module for each backend, which a package's kernels import."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache

from symgen.backends import numba_cpu, numba_cuda
from symgen.backends.python_text import Body, Dialect, fold, print_graph
from symgen.backends.render import render
from symgen.elementary import SUFFIXES, catalogue, graph_of
from symgen.kernel import BRANCH_FREE, FINE, GENERATED, SINGLE, topological

FILE = "elementary.py"


@dataclass(frozen=True)
class Function:
    """One printed function."""

    name: str
    parameters: tuple[str, ...]
    summary: str
    body: Body


def emit(runtime: str, names: Iterable[str] | None = None) -> str:
    """The text of the module for the CPU.

    Args:
        runtime: where the module finds the runtime's helpers, such as ``symgen.runtime``.
        names: the primitives wanted, with all that they call; every one if this is None.

    Returns:
        Python source; called functions stand before those that call them.
    """
    every = (n + s for n in GENERATED for s in SUFFIXES.values())
    wanted = [name for name in every if name in BRANCH_FREE] if names is None else sorted(names)
    return _text(runtime, wanted, numba_cpu.BACKEND, numba_cpu.DIALECT)


def emit_cuda(runtime: str) -> str:
    """The text of the module for the GPU: what float64 kernels call, and forms in float32."""
    wanted = [n + s for n in GENERATED if n not in FINE for s in (SUFFIXES["high"], SUFFIXES["low"])]
    wanted += sorted(SINGLE)
    return _text(runtime, wanted, numba_cuda.BACKEND, numba_cuda.DOUBLE)


def _text(runtime: str, names: Iterable[str], backend: str, dialect: Dialect) -> str:
    functions = [_function(name, numba_cuda.SINGLE if name in SINGLE else dialect) for name in _with_called(names)]
    needs = frozenset().union(*(f.body.needs for f in functions))
    values = {
        "runtime": runtime,
        "functions": functions,
        "math": "math" in needs,
        "helpers": sorted(needs - {"math"} - numba_cpu.ELEMENTARY),
    }
    return fold(render(backend, "elementary.py.jinja", values))


def _with_called(names: Iterable[str]) -> list[str]:
    """The names and whatever they call, callees first."""
    ordered: dict[str, None] = {}

    def visit(name: str) -> None:
        for n in topological(graph_of(name).results):
            if n.op == "call" and n.value not in ordered:
                visit(n.value)
        ordered[name] = None

    for name in names:
        visit(name)
    return list(ordered)


@cache
def _function(name: str, dialect: Dialect) -> Function:
    graph = graph_of(name)
    base = next(n for n in GENERATED if name in {n + s for s in SUFFIXES.values()})
    summary = catalogue()[base].summary if name == base else ""
    return Function(name, graph.parameters, summary, print_graph(graph, dialect))
