"""Prints derived functions as Numba modules for the CPU: scalar cores, and the loops over arrays around them.

A module's text is made of what this file prepares (names, printed graphs) and of a template for the archetype, which
holds the structure. Cores are compiled without fastmath, so a kernel computes exactly the operations of its graph.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from functools import reduce

from symgen.backends.numba_loops import FAR, NEAR, PARAM, PRECISIONS, QUICK, TENSOR, WALKED, Loop, Precision, Total
from symgen.backends.one_division import once_divided
from symgen.backends.python_text import (
    AND,
    ATOM,
    COMPARE,
    NOT,
    OR,
    PRODUCT,
    SIGN,
    SUM,
    TERNARY,
    Body,
    Dialect,
    Form,
    fold,
    local_names,
    print_graph,
)
from symgen.backends.render import render
from symgen.backends.straight import dear_in_arms
from symgen.kernel import BRANCH_FREE, IN_SINGLE, KernelError, Node, ScalarFunction
from symgen.near import near

BACKEND = "numba_cpu"
TOGETHER = "Together, so that what they share is computed once."

OPERATIONS = {
    "add": Form("{} + {}", SUM, (SUM, SUM + 1)),
    "sub": Form("{} - {}", SUM, (SUM, SUM + 1)),
    "mul": Form("{} * {}", PRODUCT, (PRODUCT, PRODUCT + 1)),
    "div": Form("{} / {}", PRODUCT, (PRODUCT, PRODUCT + 1)),
    "neg": Form("-{}", SIGN, (ATOM,)),
    "abs": Form("abs({})", ATOM, (TERNARY,)),
    "fma": Form("fma({}, {}, {})", ATOM, (TERNARY,) * 3, needs="fma"),
    "inverse": Form("1.0 / {}", PRODUCT, (PRODUCT + 1,)),
    "sqrt": Form("math.sqrt({})", ATOM, (TERNARY,), needs="math"),
    "pow2": Form("pow2({})", ATOM, (TERNARY,), needs="pow2"),
    "exponent": Form("exponent({})", ATOM, (TERNARY,), needs="exponent"),
    "mantissa": Form("mantissa({})", ATOM, (TERNARY,), needs="mantissa"),
    "copysign": Form("math.copysign({}, {})", ATOM, (TERNARY,) * 2, needs="math"),
    "select": Form("{1} if {0} else {2}", TERNARY, (OR, OR, TERNARY)),
    "lt": Form("{} < {}", COMPARE, (SUM, SUM)),
    "le": Form("{} <= {}", COMPARE, (SUM, SUM)),
    "eq": Form("{} == {}", COMPARE, (SUM, SUM)),
    "ne": Form("{} != {}", COMPARE, (SUM, SUM)),
    "and": Form("{} and {}", AND, (AND, AND + 1)),
    "or": Form("{} or {}", OR, (OR, OR + 1)),
    "not": Form("not {}", NOT, (NOT,)),
}

ELEMENTARY = BRANCH_FREE  # what the package's `elementary` has
INTRINSICS = frozenset({"fma", "pow2", "exponent", "mantissa"})  # what the runtime's `intrinsics` has for graphs

# The seam to the elementary functions: which function of the module's imports stands for a primitive.
PRIMITIVES = {
    **{name: name for name in ELEMENTARY},
    "sin": "math.sin",
    "cos": "math.cos",
    "tan": "math.tan",
    "floor": "np.floor",  # math.floor gives an integer
    "sin_sum": "sin_sum",
    "sin_product": "sin_product",
    "cos_product": "cos_product",
    "cos_sum": "cos_sum",
    # where a loop's twin does not serve, nothing is short
    "sin_short": "math.sin",
    "cos_short": "math.cos",
    "sin_product_short": "sin_product",
    "cos_product_short": "cos_product",
}
TRIG = frozenset({"sin_sum", "cos_sum", "sin_product", "cos_product"})  # what the runtime's `trig` has

# What the loops call their own variables and helpers: an operand of such a name gets an underscore there.
WALK = frozenset(
    {"i", "k", "n", "v", "far", "outer", "channels", "inner", "size", "width", "row", "channel", "start", "stop", "end"}
    | {"total", "lost", "error", "min", "max", "two_sum", "add_up"}
    | {"LANES", "added", "entry", "sum_up", "tile", "sums", "scale", "value_i", "value_kept", "doubts", "doubt_i"}
)

DIALECT = Dialect(
    OPERATIONS, PRIMITIVES, TRIG | ELEMENTARY | INTRINSICS | {"abs", "math", "np", "core", "loop", "range"},
    lacks=IN_SINGLE,
)


@dataclass(frozen=True)
class Operand:
    """An argument that kernels take: a number if ``role`` is "real" or "int", else an array."""

    name: str
    role: str


@dataclass(frozen=True)
class OutputText:
    """One derived output: its cores for float64 and float32 results, and what to tell the reader about them.

    A `quick` core for float32 gives the result and a number that is not zero where that is in doubt.
    """

    name: str
    f64: ScalarFunction
    f32: ScalarFunction
    comments: tuple[str, ...] = ()
    quick: ScalarFunction | None = None


@dataclass(frozen=True)
class VariantText:
    """The outputs of one variant; `suffix` is "" for the only one, `title` says in words when it applies."""

    suffix: str
    outputs: tuple[OutputText, ...]
    title: str = ""


@dataclass(frozen=True)
class ModuleText:
    """Everything that the text of one generated module is made of.

    Attributes:
        name: The function's name.
        summary: The first line of its documentation.
        definition: The formula as text, for the module's documentation.
        source: The spec file, relative to the project, for the header.
        key: The hash of everything that the text depends on.
        arguments: Array operands and real options, in the order in which the cores take them.
        variants: The variants, each with its outputs.
        runtime: Where helpers are imported from: "symgen.runtime", or ".._runtime" beside a user's kernels.
        archetype: Which template holds the structure.
        reduced: Whether values are those of a loss, which is summed over elements.
    """

    name: str
    summary: str
    definition: str
    source: str
    key: str
    arguments: tuple[Operand, ...]
    variants: tuple[VariantText, ...]
    runtime: str = "symgen.runtime"
    archetype: str = "elementwise"
    reduced: bool = False

    def named(self, role: str) -> tuple[str, ...]:
        return tuple(a.name for a in self.arguments if a.role == role)


@dataclass(frozen=True)
class Core:
    """A printed core: `alias` names the core that computes the same, and then there is no body."""

    name: str
    parameters: tuple[str, ...] = ()
    comments: tuple[str, ...] = ()
    body: Body = field(default=Body((), (), (), frozenset()))
    alias: str = ""


@dataclass(frozen=True)
class Section:
    """One variant, ready for the template."""

    title: str
    cores: tuple[Core, ...]
    loops: tuple[Loop, ...]
    sums: tuple[Loop, ...]
    totals: tuple[Total, ...] = ()


def emit(module: ModuleText) -> str:
    """The text of the module: cores and loops of every output of every variant.

    Args:
        module: The derived function.

    Returns:
        Python source that imports NumPy, Numba and the runtime's helpers, and compiles nothing at import.

    Raises:
        KernelError: if a graph breaks the rules of the kernel language.
        TemplateError: if the archetype has no template.
    """
    sections = tuple(_section(module, variant) for variant in module.variants)
    needs = frozenset().union(*(c.body.needs for s in sections for c in s.cores))
    intrinsics = sorted(needs & INTRINSICS) + (["add_up", "two_sum"] if any(s.sums for s in sections) else [])
    values = {
        "module": module,
        "documentation": doc_text(module),
        "sections": sections,
        "needs": needs,
        "intrinsics": sorted(intrinsics),
        "reductions": ["LANES", "added", "entry", "sum_up", "tile"] if any(s.totals for s in sections) else [],
        "trig": sorted(needs & TRIG),
        "elementary": sorted(needs & ELEMENTARY),
    }
    head, documentation, code = render(BACKEND, f"{module.archetype}.py.jinja", values).split('"""', 2)
    return '"""'.join((head, documentation, fold(code)))


def function_name(output: str, kind: str, suffix: str) -> str:
    """The name of a generated function: ``value_f32_tanh`` for ("value", "f32", "tanh")."""
    return f"{output}_{kind}_{suffix}" if suffix else f"{output}_{kind}"


def gradient_name(tensors: tuple[str, ...], tensor: str) -> str:
    """The output that is the derivative in one tensor: ``grad`` where there is only one, else ``grad_NAME``."""
    return "grad" if len(tensors) == 1 else f"grad_{tensor}"


def _section(module: ModuleText, variant: VariantText) -> Section:
    outputs = {o.name: o for o in variant.outputs}
    tensors = module.named(TENSOR)
    wanted = ["value", *(gradient_name(tensors, t) for t in tensors)]
    if missing := [name for name in wanted if name not in outputs]:
        raise KernelError(f"{module.name}: the variant {variant.suffix!r} has no output {', '.join(missing)}")
    gradients = [outputs[name] for name in wanted[1:]]
    groups = [(o.name, [o]) for o in variant.outputs]
    if len(gradients) > 1:
        groups.append(("grads", gradients))
    groups.append(("value_and_grad", [outputs["value"], *gradients]))
    cores = tuple(core for name, parts in groups for core in _cores(module, variant, name, parts))
    scopes = [_Scope(module, variant, precision, frozenset(c.name for c in cores)) for precision in PRECISIONS]
    return Section(
        variant.title,
        cores,
        tuple(loop for scope in scopes for loop in scope.loops()),
        tuple(loop for scope in scopes for loop in scope.sums()),
        tuple(total for scope in scopes for total in scope.totals()),
    )


def _cores(module: ModuleText, variant: VariantText, name: str, parts: list[OutputText]) -> Iterator[Core]:
    """The float64 and the float32 core of some outputs together, which shares their common subexpressions.

    Each takes all arguments of the module, so that every core of a variant is called alike.
    """
    arguments = tuple(a.name for a in module.arguments)
    told = parts[0].comments if len(parts) == 1 else (TOGETHER,)
    comments = tuple(line for text in told for line in textwrap.wrap(text, 116))
    done: dict[tuple[int, ...], str] = {}
    for precision in PRECISIONS:
        graphs = (p.f64 if precision.name == "f64" else p.f32 for p in parts)
        results = tuple(r for graph in graphs for r in graph.results)
        if precision.name == "f32" and sum(a.role in WALKED for a in module.arguments) == 1:
            results = once_divided(results)
        full = function_name(name, precision.core, variant.suffix)
        twin = near(results, precision.name == "f32")
        twins = [] if twin is None else [(f"{full}{NEAR}", twin[0]), (f"{full}{FAR}", (twin[1],))]
        if twin is None and precision.name == "f32" and any(p.quick for p in parts):
            twins = [(f"{full}{QUICK}", _quickly(parts))]
        for each, nodes in ((full, results), *twins):
            same = tuple(id(r) for r in nodes)
            if same in done:
                yield Core(each, alias=done[same])
                continue
            done[same] = each
            alone = dear_in_arms(nodes, sum(a.role in WALKED for a in module.arguments) > 1)
            body = print_graph(ScalarFunction(each, arguments, nodes), DIALECT, alone=alone)
            names = local_names(arguments, DIALECT.reserved)
            yield Core(each, tuple(names.values()), comments, body)
            comments = ()


def _quickly(parts: list[OutputText]) -> tuple[Node, ...]:
    """The results of some outputs, those of quick cores where there are any, and what tells of doubt in one of them."""
    chosen = [(p.quick or p.f32).results for p in parts]
    return (*(results[0] for results in chosen), reduce(Node.__add__, (d for _, *doubts in chosen for d in doubts)))


@dataclass(frozen=True)
class _Scope:
    """Makes the loops of one variant and one element type."""

    module: ModuleText
    variant: VariantText
    precision: Precision
    cores: frozenset[str]  # names

    def loops(self) -> Iterator[Loop]:
        """Every output by itself, the vjp, and the value with its gradients."""
        tensors = self.module.named(TENSOR)
        for output in self.variant.outputs:
            yield self.loop(output.name, output.name, ["out"])
        yield self.loop("vjp", "grads" if len(tensors) > 1 else "grad", [f"g{t}" for t in tensors], "g")
        yield self.loop("value_and_grad", "value_and_grad", ["out", *(f"d{t}" for t in tensors)])

    def sums(self) -> Iterator[Loop]:
        """The reduced gradient of each parameter and of each option that has one."""
        outputs = {o.name for o in self.variant.outputs}
        for a in self.module.arguments:
            if a.role not in WALKED and f"grad_{a.name}" in outputs:
                yield self.loop(f"vjp_{a.name}", f"grad_{a.name}", ["out"], "g")

    def totals(self) -> Iterator[Total]:
        """Of a loss, its sum alone, with its gradients in all tensors, and with each one of them."""
        if self.module.archetype != "losses" or self.module.named(PARAM):
            return
        yield Total(self.loop("total", "value", []), ())
        tensors = self.module.named(TENSOR)
        every = self.loop("total_and_grad", "value_and_grad", [f"d{t}" for t in tensors])
        yield Total(every, every.writes)
        if len(tensors) > 1:
            for tensor, written in zip(tensors, every.writes, strict=True):
                name = function_name(f"total_and_grad_{tensor}", self.precision.name, self.variant.suffix)
                yield Total(replace(every, name=name, writes=(written,)), every.writes)

    def loop(self, name: str, core: str, writes: list[str], cotangent: str = "") -> Loop:
        called = function_name(core, self.precision.core, self.variant.suffix)
        arguments = [a.name for a in self.module.arguments]
        arrays = ("g", *arguments, *writes)
        own = {f"{a}_{part}" for a in arrays for part in ("row", "flat", "t", "kept")}
        own |= {f"{w}{part}_i" for w in writes for part in ("", "_row")}
        taken = DIALECT.reserved | WALK | own | {called}
        locals_ = local_names(arguments, taken)
        # Loops are called by position, so it is the names that symgen invents that give way to an operand's.
        others = local_names([*writes, *([cotangent] if cotangent else [])], taken | set(locals_.values()))
        return Loop(
            name=function_name(name, self.precision.name, self.variant.suffix),
            core=called,
            precision=self.precision,
            cotangent=others[cotangent] if cotangent else "",
            reads=tuple((locals_[a.name], a.role) for a in self.module.arguments),
            writes=tuple(others[w] for w in writes),
            twin=f"{called}{NEAR}" in self.cores,
            quick=f"{called}{QUICK}" in self.cores,
        )


def doc_text(module: ModuleText) -> str:
    """The module's documentation: what it is and what it computes, safe inside triple quotes."""
    text = f"{module.name}: {module.summary}\n\n{module.definition.strip()}\n"
    return text.replace("\\", "\\\\").replace('"""', '\\"\\"\\"')
