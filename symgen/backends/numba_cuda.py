"""Prints derived functions as Numba CUDA modules: device functions in float32 and float64, and kernels around them.

A kernel is printed twice for each arithmetic: with vector accesses, and element by element for arrays whose address or
stride does not allow them. What its arrays store (float16 and bfloat16 beside the two) is known when it is compiled.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from symgen.backends.numba_cpu import (
    ELEMENTARY,
    INTRINSICS,
    TENSOR,
    TOGETHER,
    TRIG,
    Core,
    ModuleText,
    OutputText,
    VariantText,
    doc_text,
    function_name,
    gradient_name,
)
from symgen.backends.numba_cpu import OPERATIONS as CPU
from symgen.backends.python_text import ATOM, TERNARY, Dialect, Form, fold, local_names, print_graph
from symgen.backends.render import render
from symgen.kernel import PRIMITIVES, ScalarFunction

BACKEND = "numba_cuda"
PARAM = "param"
ARRAYS = (TENSOR, PARAM)


def call(name: str, count: int) -> Form:
    """An operation that is a call of one of the names that modules import."""
    places = ", ".join(f"{{{i}}}" for i in range(count))
    return Form(f"{name}({places})", ATOM, (TERNARY,) * count, needs=name.partition(".")[0])


# What no compiler may fuse or reorder names its rounding; comparisons and choices are as on the CPU.
FLOAT32 = {
    **CPU,
    "add": call("fadd", 2),
    "sub": call("fsub", 2),
    "mul": call("fmul", 2),
    "div": call("fdiv", 2),
    "fma": call("libdevice.fmaf", 3),
    "sqrt": call("libdevice.fsqrt_rn", 1),
    "abs": call("libdevice.fabsf", 1),
    "copysign": call("libdevice.copysignf", 2),
}
FLOAT64 = {
    **CPU,
    "add": call("dadd", 2),
    "sub": Form("dadd({}, -{})", ATOM, (TERNARY, ATOM), needs="dadd"),
    "mul": call("dmul", 2),
    "div": call("ddiv", 2),
    "fma": call("libdevice.fma", 3),
    "sqrt": call("libdevice.dsqrt_rn", 1),
    "abs": call("libdevice.fabs", 1),
    "copysign": call("libdevice.copysign", 2),
}
IMPORTED = frozenset({"core", "kernel", "thread", "u32"}) | {
    f"{v}{n}" for v in ("load", "store") for n in ("", "2", "4")
}
HELPERS = frozenset({"f32", "fadd", "fsub", "fmul", "fdiv", "dadd", "dmul", "ddiv"}) | INTRINSICS
RESERVED = IMPORTED | HELPERS | TRIG | ELEMENTARY | {"math", "libdevice", "i", "n", "place", "whole"}
SAME = {"log1p_unit": "log1p"}


def single(primitive: str) -> str:
    """Which function stands for a primitive in float32: libdevice's, which has no NAME_low; graphs ask for none."""
    if primitive in TRIG:
        return primitive
    name = primitive.removesuffix("_short").removesuffix("_medium")
    return f"libdevice.{SAME.get(name, name)}f"


def double(primitive: str) -> str:
    """In float64 the package's own elementary functions, as on the CPU: libdevice's do not tell what they lose."""
    return primitive if primitive in TRIG | ELEMENTARY else f"libdevice.{primitive}"


SINGLE = Dialect(FLOAT32, {p: single(p) for p in PRIMITIVES}, RESERVED, literal="f32")
DOUBLE = Dialect(FLOAT64, {p: double(p) for p in PRIMITIVES}, RESERVED)


@dataclass(frozen=True)
class Precision:
    """One arithmetic: the suffix of its kernels and of its cores, how many elements a vector has, how graphs print."""

    name: str
    core: str
    lanes: int
    dialect: Dialect


PRECISIONS = (Precision("f32", "device32", 4, SINGLE), Precision("f64", "device", 2, DOUBLE))


@dataclass(frozen=True)
class Kernel:
    """A kernel: the arrays and numbers that it reads, the arrays that it writes, and the core that computes an element.

    `cotangent` is the first of the arrays where results are multiplied by it, else empty.
    """

    name: str
    core: str
    cotangent: str
    operands: tuple[str, ...]
    numbers: tuple[str, ...]
    writes: tuple[str, ...]
    lanes: int

    @property
    def arrays(self) -> tuple[str, ...]:
        return (*([self.cotangent] if self.cotangent else []), *self.operands)

    @property
    def parameters(self) -> str:
        return ", ".join([*self.arrays, *self.numbers, *self.writes, "n"])

    @property
    def vector(self) -> list[str]:
        """The statements for a vector of elements."""
        return self._statements(f"{self.lanes}", tuple(map(str, range(self.lanes))))

    @property
    def scalar(self) -> list[str]:
        """The statements for one element."""
        return self._statements("", ("i",))

    def _statements(self, form: str, elements: tuple[str, ...]) -> list[str]:
        """Load the arrays, compute each element, store the results."""
        lines = [f"{_names([a], elements)} = load{form}({a}, i)" for a in self.arrays]
        for e in elements:
            passed = ", ".join([*(f"{name}_{e}" for name in self.operands), *self.numbers])
            lines.append(f"{_names(self.writes, (e,))} = {self.core}({passed})")
            lines += [f"{w}_{e} = {self.cotangent}_{e} * {w}_{e}" for w in self.writes if self.cotangent]
        return [*lines, *(f"store{form}({w}, i, {_names([w], elements)})" for w in self.writes)]


def _names(arrays: Sequence[str], elements: tuple[str, ...]) -> str:
    return ", ".join(f"{a}_{e}" for a in arrays for e in elements)


@dataclass(frozen=True)
class Section:
    """One variant, ready for the template."""

    title: str
    cores: tuple[Core, ...]
    kernels: tuple[Kernel, ...]


def low(name: str) -> str:
    """What float32 leaves of a number, as the second of the two parameters that carry it."""
    return f"{name}_low"


def emit(module: ModuleText) -> str:
    """The text of the module.

    Args:
        module: The derived function. The graph `f32` of an output is for float32 arithmetic here, and takes each
            number as two parameters, ``NAME`` and ``NAME_low``.

    Returns:
        Python source that imports Numba's CUDA target, and compiles nothing at import.

    Raises:
        KernelError: if a graph breaks the rules of the kernel language.
    """
    sections = tuple(_section(module, variant) for variant in module.variants)
    needs = frozenset().union(*(c.body.needs for s in sections for c in s.cores))
    values = {
        "module": module,
        "documentation": doc_text(module),
        "sections": sections,
        "math": "math" in needs,
        "names": sorted((needs - {"math"} - ELEMENTARY) | IMPORTED),
        "elementary": sorted(needs & ELEMENTARY),
    }
    head, text, code = render(BACKEND, f"{module.archetype}.py.jinja", values).split('"""', 2)
    return '"""'.join((head, text, fold(code)))


def _section(module: ModuleText, variant: VariantText) -> Section:
    outputs = {o.name: o for o in variant.outputs}
    tensors = module.named(TENSOR)
    gradients = [outputs[gradient_name(tensors, t)] for t in tensors]
    groups = {o.name: [o] for o in variant.outputs}
    if len(gradients) > 1:
        groups["grads"] = gradients
    groups["value_and_grad"] = [outputs["value"], *gradients]
    cores = [c for p in PRECISIONS for name, parts in groups.items() for c in _core(module, variant, name, parts, p)]
    kernels = [k for p in PRECISIONS for k in _kernels(module, variant, p)]
    return Section(variant.title, tuple(cores), tuple(kernels))


def _core(
    module: ModuleText, variant: VariantText, name: str, parts: list[OutputText], precision: Precision
) -> Iterator[Core]:
    """The device function of some outputs together, which shares their common subexpressions."""
    full = function_name(name, precision.core, variant.suffix)
    parameters = (*_arrays(module), *_numbers(module, precision))
    results = tuple(r for p in parts for r in (p.f64 if precision.name == "f64" else p.f32).results)
    body = print_graph(ScalarFunction(full, parameters, results), precision.dialect)
    names = local_names(parameters, precision.dialect.reserved)
    told = parts[0].comments if len(parts) == 1 else (TOGETHER,)
    comments = tuple(line for text in told for line in textwrap.wrap(text, 116)) if precision.name == "f32" else ()
    yield Core(full, tuple(names.values()), comments, body)


def _arrays(module: ModuleText) -> tuple[str, ...]:
    return tuple(a.name for a in module.arguments if a.role in ARRAYS)


def _numbers(module: ModuleText, precision: Precision) -> tuple[str, ...]:
    names = [a.name for a in module.arguments if a.role not in ARRAYS]
    return tuple(n for name in names for n in ((name, low(name)) if precision.name == "f32" else (name,)))


def _kernels(module: ModuleText, variant: VariantText, precision: Precision) -> Iterator[Kernel]:
    """Every output by itself, the vjp, and the value with its gradients."""
    tensors = module.named(TENSOR)
    wanted = [(o.name, o.name, ["out"], "") for o in variant.outputs]
    wanted.append(("vjp", "grads" if len(tensors) > 1 else "grad", [f"g{t}" for t in tensors], "g"))
    wanted.append(("value_and_grad", "value_and_grad", ["out", *(f"d{t}" for t in tensors)], ""))
    for name, core, writes, cotangent in wanted:
        taken = [*_arrays(module), *_numbers(module, precision), *writes, *([cotangent] if cotangent else [])]
        local = local_names(taken, precision.dialect.reserved)
        yield Kernel(
            name=function_name(name, precision.name, variant.suffix),
            core=function_name(core, precision.core, variant.suffix),
            cotangent=local[cotangent] if cotangent else "",
            operands=tuple(local[a] for a in _arrays(module)),
            numbers=tuple(local[a] for a in _numbers(module, precision)),
            writes=tuple(local[w] for w in writes),
            lanes=precision.lanes,
        )
