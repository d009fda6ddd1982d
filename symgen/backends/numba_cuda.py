"""Prints derived functions as Numba CUDA modules: device functions in float32 and float64, and kernels around them.

A kernel is printed twice for each arithmetic: with vector accesses, and element by element for arrays whose address or
stride does not allow them. What its arrays store (float16 and bfloat16 beside the two) is known when it is compiled.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from symgen.backends import device_graph
from symgen.backends.branches import branches
from symgen.backends.numba_cpu import ELEMENTARY as IN_DOUBLE
from symgen.backends.numba_cpu import (
    INTRINSICS,
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
from symgen.backends.numba_loops import TENSOR, WALKED
from symgen.backends.python_text import ATOM, TERNARY, Dialect, Form, fold, local_names, print_graph
from symgen.backends.render import render
from symgen.kernel import IN_SINGLE, PRIMITIVES, ScalarFunction
from symgen.kernel import SINGLE as SINGLE_FORMS

BACKEND = "numba_cuda"
PARAM = "param"
ARRAYS = WALKED | {PARAM}


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
    "inverse": call("inverse", 1),
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
    "inverse": Form("ddiv(1.0, {})", ATOM, (TERNARY,), needs="ddiv"),
    "sqrt": call("libdevice.dsqrt_rn", 1),
    "abs": call("libdevice.fabs", 1),
    "copysign": call("libdevice.copysign", 2),
}
IMPORTED = frozenset({"core", "kernel", "thread", "u32"}) | {
    f"{v}{n}" for v in ("load", "store") for n in ("", "2", "4")
}
SUMMING = ("total", "lost", "sums")  # what kernels that sum call their own
OWN = {  # where libdevice's function rests on what a device approximates, or does not tell what it loses
    "exp": "near_expf",
    "exp_fine": "expf",
    "exp_fine_low": "expf_low",
    "pow_sum": "near_powf",
    "pow_sum_low": "powf_sum_low",
    "log_fine": "logf_fine",
    "log_fine_low": "logf_fine_low",
    "log_sum": "logf_sum",
    "log_sum_low": "logf_sum_low",
    "log1p_sum": "log1pf_sum",
    "log1p_sum_low": "log1pf_sum_low",
}
ELEMENTARY = IN_DOUBLE | SINGLE_FORMS  # what the package's `elementary` for GPUs has
HELPERS = INTRINSICS | {"f32", "fadd", "fsub", "fmul", "fdiv", "dadd", "dmul", "ddiv", "inverse", *OWN.values()}
RESERVED = IMPORTED | HELPERS | TRIG | ELEMENTARY | {"math", "libdevice", "i", "n", "place", "whole", *SUMMING}
RESERVED |= {"threads", "fplus", "dplus", "fsettle", "dsettle"}
SAME = {"log1p_unit": "log1p"}


def single(primitive: str) -> str:
    """Which function stands for a primitive in float32: one without NAME_low, for which graphs do not ask here."""
    if primitive in TRIG:
        return primitive
    name = primitive.removesuffix("_short").removesuffix("_medium")
    if f"{name}_single" in SINGLE_FORMS:
        return f"{name}_single"
    return OWN.get(name, f"libdevice.{SAME.get(name, name)}f")


def double(primitive: str) -> str:
    """In float64 the package's own elementary functions, as on the CPU: libdevice's do not tell what they lose."""
    return primitive if primitive in TRIG | IN_DOUBLE else f"libdevice.{primitive}"


SINGLE = Dialect(FLOAT32, {p: single(p) for p in PRIMITIVES}, RESERVED, literal="f32")
DOUBLE = Dialect(FLOAT64, {p: double(p) for p in PRIMITIVES if p not in IN_SINGLE}, RESERVED, lacks=IN_SINGLE)


@dataclass(frozen=True)
class Precision:
    """One arithmetic.

    Attributes:
        name: the suffix of its kernels.
        core: and of its cores.
        lanes: how many elements a vector has.
        dialect: how graphs print.
        zero: what a sum starts from.
        sums: what the names of the runtime's functions for sums begin with.
    """

    name: str
    core: str
    lanes: int
    dialect: Dialect
    zero: str
    sums: str


PRECISIONS = (Precision("f32", "device32", 4, SINGLE, "f32(0)", "f"), Precision("f64", "device", 2, DOUBLE, "0.0", "d"))


@dataclass(frozen=True)
class Kernel:
    """A kernel: what it reads, what it writes, and the core that computes an element.

    Attributes:
        name: of the function.
        core: which gives `results`, in their order.
        results: what they are called here.
        factors: the arrays that results are multiplied by, one for all of them; two for the two terms of one result.
        operands: the arrays that the core takes, then
        numbers: the numbers.
        writes: the arrays that results go to, by the names of these.
        summed: the result that is added up over all elements, if there is one.
        precision: the arithmetic.
    """

    name: str
    core: str
    results: tuple[str, ...]
    factors: tuple[str, ...]
    operands: tuple[str, ...]
    numbers: tuple[str, ...]
    writes: tuple[str, ...]
    summed: str
    precision: Precision

    @property
    def lanes(self) -> int:
        return self.precision.lanes

    @property
    def arrays(self) -> tuple[str, ...]:
        return (*self.factors, *self.operands)

    @property
    def parameters(self) -> str:
        return ", ".join([*self.arrays, *self.numbers, *self.writes, *(["sums"] if self.summed else []), "n"])

    @property
    def vector(self) -> list[str]:
        """The statements for a vector of elements."""
        return self._statements(f"{self.lanes}", tuple(map(str, range(self.lanes))))

    @property
    def scalar(self) -> list[str]:
        """The statements for one element."""
        return self._statements("", ("i",))

    def _statements(self, form: str, elements: tuple[str, ...]) -> list[str]:
        """Load the arrays, compute each element, store the results and add up what is summed."""
        lines = [f"{_names([a], elements)} = load{form}({a}, i)" for a in self.arrays]
        for e in elements:
            passed = ", ".join([*(f"{name}_{e}" for name in self.operands), *self.numbers])
            lines.append(f"{_names(self.results, (e,))} = {self.core}({passed})")
            lines += self._scaled(e)
            if self.summed:
                lines.append(f"total, lost = {self.precision.sums}plus(total, lost, {self.summed}_{e})")
        return [*lines, *(f"store{form}({w}, i, {_names([w], elements)})" for w in self.writes)]

    def _scaled(self, e: str) -> list[str]:
        """Results times their factors; one whose loss is summed stays as it is."""
        if len(self.factors) == 2:
            terms = " + ".join(f"{f}_{e} * {r}_{e}" for f, r in zip(self.factors, self.results, strict=True))
            return [f"{self.results[0]}_{e} = {terms}"]
        scaled = self.writes or (self.summed,)
        return [f"{r}_{e} = {f}_{e} * {r}_{e}" for f in self.factors for r in scaled]


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
        "names": sorted((needs - {"math"} - ELEMENTARY) | IMPORTED | _zeros(sections)),
        "sums": sorted(_sums(sections)),
        "rows": [],
        "elementary": sorted(needs & ELEMENTARY),
    }
    head, text, code = render(BACKEND, f"{module.archetype}.py.jinja", values).split('"""', 2)
    return '"""'.join((head, text, fold(code)))


def _zeros(sections: Sequence[Section]) -> set[str]:
    """What the zeros that sums begin with are made by."""
    return {"f32" for s in sections for k in s.kernels if k.summed and k.precision.sums == "f"}


def _sums(sections: Sequence[Section]) -> set[str]:
    """What kernels that sum import."""
    used = {k.precision.sums for s in sections for k in s.kernels if k.summed}
    return {"threads", *(f"{u}{name}" for u in used for name in ("plus", "settle"))} if used else set()


def _section(module: ModuleText, variant: VariantText) -> Section:
    outputs = {o.name: o for o in variant.outputs}
    tensors = module.named(TENSOR)
    gradients = [outputs[gradient_name(tensors, t)] for t in tensors]
    groups = {o.name: [o] for o in variant.outputs}
    if len(gradients) > 1:
        groups["grads"] = gradients
    groups["value_and_grad"] = [outputs["value"], *gradients]
    for a in module.arguments:
        if f"share_grad_{a.name}" in outputs:
            groups[f"mean_{a.name}"] = [outputs[f"grad_{a.name}"], outputs[f"share_grad_{a.name}"]]
    cores = [c for p in PRECISIONS for name, parts in groups.items() for c in _core(module, variant, name, parts, p)]
    kernels = [_kernel(module, variant, wanted, p) for p in PRECISIONS for wanted in _wanted(module, variant)]
    return Section(variant.title, tuple(cores), tuple(kernels))


def _core(
    module: ModuleText, variant: VariantText, name: str, parts: list[OutputText], precision: Precision
) -> Iterator[Core]:
    """The device function of some outputs together, which shares their common subexpressions."""
    full = function_name(name, precision.core, variant.suffix)
    parameters = (*_arrays(module), *_numbers(module, precision))
    results = tuple(r for p in parts for r in (p.f64 if precision.name == "f64" else p.f32).results)
    single = precision.name == "f32"
    graph = ScalarFunction(full, parameters, device_graph.quick(results) if single else device_graph.usual(results))
    held = {n: 0.0 if single and n.endswith(low("")) else 1.0 for n in _numbers(module, precision)}
    body = print_graph(graph, precision.dialect, branches(graph, held))
    names = local_names(parameters, precision.dialect.reserved)
    told = parts[0].comments if len(parts) == 1 else (TOGETHER,)
    comments = tuple(line for text in told for line in textwrap.wrap(text, 116)) if precision.name == "f32" else ()
    yield Core(full, tuple(names.values()), comments, body)


def _arrays(module: ModuleText) -> tuple[str, ...]:
    return tuple(a.name for a in module.arguments if a.role in ARRAYS)


def _numbers(module: ModuleText, precision: Precision) -> tuple[str, ...]:
    names = [a.name for a in module.arguments if a.role not in ARRAYS]
    return tuple(n for name in names for n in ((name, low(name)) if precision.name == "f32" else (name,)))


@dataclass(frozen=True)
class Wanted:
    """A kernel by the core that it calls: its results, which of them are written or summed, and their factors."""

    name: str
    core: str
    results: tuple[str, ...]
    factors: tuple[str, ...] = ()
    writes: tuple[str, ...] = ()
    summed: str = ""


def _wanted(module: ModuleText, variant: VariantText) -> Iterator[Wanted]:
    """Every output by itself, the vjp of all tensors and of each operand, the value with its gradients; and sums."""
    tensors, outputs = module.named(TENSOR), [o.name for o in variant.outputs]
    together = tuple(f"g{t}" for t in tensors)
    both = ("out", *(f"d{t}" for t in tensors))
    yield from (Wanted(o, o, ("out",), (), ("out",)) for o in outputs if not o.startswith("share"))
    yield Wanted("vjp", "grads" if len(tensors) > 1 else "grad", together, ("g",), together)
    yield Wanted("value_and_grad", "value_and_grad", both, (), both)
    for a in module.arguments:
        core, result = gradient_name(tensors, a.name) if a.role == TENSOR else f"grad_{a.name}", (f"g{a.name}",)
        if core not in outputs:
            continue
        if a.role in ARRAYS and (a.role != TENSOR or len(tensors) > 1):
            yield Wanted(f"vjp_{a.name}", core, result, ("g",), result)
        yield Wanted(f"sum_vjp_{a.name}", core, result, ("g",), (), *result)
        if f"share_grad_{a.name}" in outputs:
            pair = (*result, f"s{a.name}")
            yield Wanted(f"mean_vjp_{a.name}", f"mean_{a.name}", pair, ("g", "h"), result)
            yield Wanted(f"sum_mean_vjp_{a.name}", f"mean_{a.name}", pair, ("g", "h"), (), *result)
    if module.reduced:
        yield from (Wanted(f"sum_{o}", o, ("out",), (), (), "out") for o in outputs if o in ("value", "share"))
        yield Wanted("sum_value_and_vjp", "value_and_grad", ("out", *together), ("g",), together, "out")


def _kernel(module: ModuleText, variant: VariantText, wanted: Wanted, precision: Precision) -> Kernel:
    arrays, numbers = _arrays(module), _numbers(module, precision)
    taken = dict.fromkeys((*arrays, *numbers, *wanted.results, *wanted.factors))
    local = local_names(list(taken), precision.dialect.reserved)

    def called(names: Sequence[str]) -> tuple[str, ...]:
        return tuple(local[n] for n in names)

    return Kernel(
        name=function_name(wanted.name, precision.name, variant.suffix),
        core=function_name(wanted.core, precision.core, variant.suffix),
        results=called(wanted.results),
        factors=called(wanted.factors),
        operands=called(arrays),
        numbers=called(numbers),
        writes=called(wanted.writes),
        summed=local[wanted.summed] if wanted.summed else "",
        precision=precision,
    )
