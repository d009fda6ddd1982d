"""A definition read from a spec file: tracing it into an Op, one variant at a time, and inlining it elsewhere."""

from __future__ import annotations

import ast
import inspect
import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import sympy as sp
from sympy import Expr, Indexed, IndexedBase, Symbol

from symgen.spec.evaluate import Frame, evaluate, run
from symgen.spec.model import Alternative, Axis, Mistake, Op, Source, SpecError, Variant, role_limits, symbol_of
from symgen.spec.signature import NUMERIC, Parameter, bind, placeholder, read_parameters
from symgen.spec.suffixes import name_variants
from symgen.spec.text import SpecText
from symgen.spec.trace import Trace, limit_facts
from symgen.spec.words import is_condition

MOST_VARIANTS = 16
Choice = tuple[tuple[Parameter, object], ...]


@dataclass
class Definition:
    """One decorated function of a spec file."""

    kind: str
    node: ast.FunctionDef
    text: SpecText
    scope: dict[str, Any]
    meta: dict[str, Any]
    parameters: tuple[Parameter, ...] = field(init=False)

    def __post_init__(self) -> None:
        self.parameters = read_parameters(self.node, self.frame(Trace(), {}))

    @property
    def name(self) -> str:
        return self.node.name

    def frame(self, trace: Trace, axes: dict[Axis, Axis], **names: Any) -> Frame:
        return Frame(self.text, self.name, {**self.scope, **names}, trace, axes)

    def error(self, what: str, hint: str = "", line: int = 0) -> SpecError:
        return self.text.error(line or self.node.lineno, self.name, what, hint)

    def body(self, trace: Trace, axes: dict[Axis, Axis], values: dict[str, Any]) -> Any:
        """The value that the text returns for these arguments."""
        result = run(self.node.body[1:], self.frame(trace, axes, **values))
        if result is None:
            raise self.error("nothing is returned in some case", "end with 'return' and the formula")
        return result

    def __call__(self, *arguments: Any, **keywords: Any) -> Any:
        """The formula on SymPy expressions or numbers, for use in Python."""
        return self.inline(Trace(), [sp.sympify(a) for a in arguments], keywords)

    def inline(self, trace: Trace, arguments: list[Any], keywords: dict[str, Any]) -> Any:
        """The formula with a caller's expressions in place of the arguments.

        Raises:
            Mistake: the call does not fit the signature, or the spec calls itself.
        """
        if self in trace.calls:
            raise Mistake(f"{self.name} calls itself", "a formula is finite: write it out")
        given = dict(keywords)
        named = {p.name for p in self.parameters}
        axis = given.pop("axis", None) if "axis" not in named else None
        values = bind(self.name, self.parameters, arguments, given)
        axes = self.matched_axes(trace, values, axis)
        trace.calls.append(self)
        try:
            return self.body(trace, axes, values)
        finally:
            trace.calls.pop()

    def matched_axes(self, trace: Trace, values: dict[str, Any], axis: Any) -> dict[Axis, Axis]:
        """The callee's axes in the caller: an argument's only axis, or the one that ``axis=`` names."""
        matched: dict[Axis, Axis] = {}
        for p in self.parameters:
            if not p.role.is_data or not isinstance(values[p.name], sp.Basic):
                continue
            have = trace.axes_of(values[p.name])
            for wanted in p.role.axes:
                if not isinstance(wanted, Axis) or wanted in matched:
                    continue
                if axis is not None:
                    matched[wanted] = axis
                elif wanted not in have and len(have) == 1:
                    matched[wanted] = have[0]
                elif wanted not in have and len(have) > 1:
                    raise Mistake(f"{self.name}: along which axis?", f"say {self.name}(..., axis={have[0]})")
        return matched

    # Tracing

    def combinations(self) -> Iterator[Choice]:
        several = [p for p in self.parameters if p.choices]
        for combination in itertools.product(*[p.choices for p in several]):
            yield tuple(zip(several, combination, strict=True))

    @cached_property
    def op(self) -> Op:
        """The definition as an immutable record, every variant traced.

        Raises:
            SpecError: the text has a mistake that shows when it runs on symbols, or too many variants.
        """
        variants: list[Variant] = []
        assertions: list[Any] = []
        for choice in self.combinations():
            for variant, trace in self.paths(choice):
                variants.append(variant)
                assertions += [a for a in trace.assertions if a not in assertions]
                self.check_count(len(variants))
        self.check_used(variants, assertions)
        documentation = inspect.cleandoc(ast.get_docstring(self.node) or "")
        return Op(
            name=self.name,
            kind=self.kind,
            summary=" ".join(documentation.split("\n\n")[0].split()),
            doc=documentation,
            arguments=tuple(p.argument for p in self.parameters),
            variants=name_variants(variants),
            assertions=tuple(assertions),
            torch=self.meta.get("torch"),
            cite=self.meta.get("cite"),
            reduction=self.meta.get("reduction", "mean" if self.kind == "loss" else "none"),
            aliases=tuple(self.meta.get("aliases", ())),
            symbols=dict(self.meta.get("symbols") or {}),
            source=Source(self.text.name, self.node.lineno, self.text.source(self.node)),
            alternatives=tuple(self.alternative(t, n) for t, n in (self.meta.get("also") or {}).items()),
        )

    def check_count(self, count: int) -> None:
        if count <= MOST_VARIANTS:
            return
        named = [f"{p.name} ({', '.join(map(str, p.choices))})" for p in self.parameters if p.choices]
        what = f"more than {MOST_VARIANTS} variants: {'; '.join(named) or 'conditions on options'}"
        raise self.error(what, "each is compiled on its own: split the function, or make a choice a Real")

    def paths(self, choice: Choice) -> Iterator[tuple[Variant, Trace]]:
        """Every way through the text that the conditions on options allow, depth first, true before false."""
        waiting: list[dict[Any, bool]] = [{}]
        while waiting:
            seed = waiting.pop()
            trace, values = self.start(choice, seed)
            result = self.body(trace, {}, values)
            taken = list(trace.path.items())
            for position in range(len(seed), len(taken)):
                condition, _ = taken[position]
                waiting.append({**dict(taken[:position]), condition: False})
            yield self.variant(choice, trace, result), trace

    def start(self, choice: Choice, seed: dict[Any, bool]) -> tuple[Trace, dict[str, Any]]:
        """A fresh run: what stands for each argument, and which conditions are already answered."""
        chosen = {p.name: c for p, c in choice}
        options: set[Symbol] = set()
        known: list[Any] = []
        for p in self.parameters:
            if p.role.kind in NUMERIC and chosen.get(p.name, "given") is not None:
                options.add(symbol_of(p.argument))
                known += limit_facts(symbol_of(p.argument), role_limits(p.role))
        trace = Trace(frozenset(options), tuple(known), dict(seed), calls=[self])
        return trace, {p.name: placeholder(p, chosen.get(p.name), trace) for p in self.parameters}

    def variant(self, choice: Choice, trace: Trace, result: Any) -> Variant:
        pair = result if isinstance(result, tuple) else (result, None)
        if len(pair) != 2 or (pair[1] is not None and self.kind == "activation"):
            hint = "an activation returns one, a loss one or 'loss, share'"
            raise self.error(f"{len(pair)} values are returned", hint)
        value, share = (None if v is None else self.returned(v, trace) for v in pair)
        assert value is not None
        settings = tuple((p.name, c) for p, c in choice)
        return Variant("", settings, tuple(trace.path.items()), value, share)

    def returned(self, value: Any, trace: Trace) -> Expr:
        """A returned value as an expression; a loss must not vary along an axis any more."""
        if is_condition(value):
            raise self.error("a condition is returned", "return '1 if condition else 0'")
        if not isinstance(value, Expr):
            raise self.error(f"'{getattr(value, 'name', value)}' is returned, which is no formula", "return a number")
        if value.has(sp.nan, sp.zoo, sp.I):
            raise self.error(f"the value is {value}", "a formula has real values")
        axes = trace.axes_of(value)
        if self.kind == "loss" and axes:
            what = f"the loss of one sample still varies along {', '.join(map(str, axes))}"
            raise self.error(what, f"sum or average over the axis, sum(..., {axes[0]}), or pick the target: x[target]")
        return without_running_indices(value, trace)

    def check_used(self, variants: list[Variant], assertions: list[Any]) -> None:
        """An argument that is read but has no effect on any variant is a slip too."""
        expressions = [e for v in variants for e in (v.value, v.share, *(c for c, _ in v.conditions)) if e is not None]
        symbols = {s.name for e in [*expressions, *assertions] for s in e.atoms(Symbol)}
        for p in self.parameters:
            if (p.role.is_data or p.role.kind in NUMERIC) and p.name not in symbols:
                what = f"argument '{p.name}' has no effect: it is never used in the value"
                raise self.error(what, f"use it or remove it: '{p.name}'", p.line)
        if not any(p.role.is_data for p in self.parameters) and self.kind != "function":
            raise self.error("it has no array argument", "an argument without annotation is a Tensor: def f(x)")
        kinds = {r.kind for p in self.parameters for r in p.role.kinds or (p.role,)}
        if "tensor" not in kinds and self.kind != "function":
            first = next(p for p in self.parameters if p.role.is_data)
            hint = f"say what it is differentiated in: '{first.name}: Tensor', of a probability '0 <= Tensor <= 1'"
            raise self.error("none of its arguments is a Tensor", hint, first.line)

    def alternative(self, text: str, note: str) -> Alternative:
        """Another written form, read by the same evaluator with the same names."""
        return Alternative(text, note, read_alternative(self, text))


def without_running_indices(value: Expr, trace: Trace) -> Expr:
    """An elementwise formula in plain symbols: operands that all stand at their running index need none."""
    indexed = sorted(value.atoms(Indexed), key=sp.default_sort_key)
    if not indexed or any(i not in trace.axes for e in indexed for i in e.indices):
        return value
    plain = value.xreplace({e: Symbol(str(e.base), real=True) for e in indexed})
    leftover = {s.name.split(".")[0].strip("|") for s in plain.atoms(Symbol)} & {a.name for a in trace.axes.values()}
    return value if leftover or plain.atoms(IndexedBase) else plain


@dataclass(frozen=True)
class AlternativeText(SpecText):
    """The text of another form, whose mistakes are reported at the line of its decorator."""

    home: SpecText
    line: int

    def error(self, line: int, owner: str, what: str, hint: str = "") -> SpecError:  # noqa: ARG002  its only line
        return self.home.error(self.line, owner, f"in the other form '{self.text}': {what}", hint)


def read_alternative(definition: Definition, text: str) -> Expr:
    """The value of another form, with every option given and choices at their defaults."""
    line = definition.node.decorator_list[0].lineno
    home = AlternativeText(definition.text.path, "", "", text.strip(), ast.Module([], []), definition.text, line)
    try:
        tree = ast.parse(home.text, mode="eval")
    except SyntaxError as error:
        raise home.error(1, definition.name, f"not Python: {error.msg}") from None
    several = [p for p in definition.parameters if p.choices]
    choice = tuple((p, p.choices[-1] if "given" in p.choices else p.argument.default) for p in several)
    trace, values = definition.start(choice, {})
    known = {**definition.scope, **values}
    for name in [n.id for n in ast.walk(tree) if isinstance(n, ast.Name)]:
        if name not in known:
            raise home.error(1, definition.name, f"unknown name '{name}'", "it has the names of the definition")
    frame = Frame(home, definition.name, known, trace, {})
    return definition.returned(evaluate(tree.body, frame), trace)
