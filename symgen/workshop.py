"""Where the outputs of one variant are made: its core, the parameters of its kernels, and where truth is sampled."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np
import sympy as sp
from sympy import Expr, Symbol

from symgen.arithmetic import FINEST, PLAIN, Pair, computing_in, negative, parts
from symgen.calculus import derivative
from symgen.cost import cost
from symgen.derivation import Device, Output
from symgen.ends import MIDDLE, End, below_zero
from symgen.kernel import Node, ScalarFunction, var, verify
from symgen.lowering import lower as lower_expression
from symgen.operands import domain, finite
from symgen.schedule import finish, with_sign_of_zero
from symgen.settings import certain, first_tensor, free, held_out, settings
from symgen.spec import Op, Variant
from symgen.stabilize.candidates import attempt, traced
from symgen.stabilize.doubt import doubt
from symgen.stabilize.form import MAGNITUDE, Form, Formula, Segment
from symgen.stabilize.leaves import ARITHMETICS, IN_FULL, INNER_ARITHMETICS, SEVERAL, Bench, Leaf
from symgen.stabilize.probe import DEVICE, TARGETS, Probe, Target, error, grid, kinks, neighbours, roots, scaled
from symgen.stabilize.regimes import Unresolved, evaluate, stretches
from symgen.stabilize.relative import Range, magnitude
from symgen.stabilize.sampler import Question, Sampler, products
from symgen.structure import Structure, annihilated, structure
from symgen.wanted import Wanted

SPREAD = 10  # of the dense grid, as many points are left out where an extreme parameter moves it
SECOND = 2  # the order of derivatives that are too rare for a second kernel
WORTH = 0.75  # of what pairs cost is the most that is worth one
THIN = 3  # with free parameters every setting is measured, on a coarser grid


@dataclass(frozen=True)
class Workshop:
    """What the outputs of one variant share: the symbols, the kernel's parameters, and where truth is sampled.

    Attributes:
        symbols: of the core, by name: the arguments, and the difference of two tensors where there is one.
        parts: the weights in front and the core behind them, which is what is stabilised.
        parameters: of the kernel, in signature order.
        sampled: what the core depends on, its variable among them: the difference stands for its two operands.
        tensors: names in which the core has two derivatives.
        further: names in which it has a gradient.
        twice: those of them that are arrays, in which it has a second derivative, too.
        sampler: where truth is asked for.
        limits: the domain of the variable.
        range: the same as its ends, open ones left out by one float.
    """

    symbols: Mapping[str, Symbol]
    parts: Structure
    parameters: tuple[str, ...]
    sampled: tuple[str, ...]
    tensors: tuple[str, ...]
    further: tuple[str, ...]
    twice: frozenset[str]
    sampler: Sampler
    limits: tuple[tuple[str, float], ...]
    range: tuple[float, float]
    pieces: bool = True  # whether pieces of the exact function may fill what algebra leaves
    numbers: frozenset[str] | None = None  # parameters that are no arrays; None where no GPU is asked for
    several: bool = False  # whether the formula is one of several operands with data
    ranges: Mapping[Symbol, Range] | None = None  # of what the core is of, where that is several operands with data
    powers: bool = False  # whether an exponent is free, which multiplies what is wrong with its base without bounds
    certain: tuple[Mapping[str, float], ...] = ()  # settings that are tried for a GPU too, where nothing is held out
    lows: frozenset[str] = frozenset()  # numbers that come as two float32 each, in a graph for a GPU

    @staticmethod
    def of(op: Op, variant: Variant, pieces: bool = True, device: bool = False) -> Workshop:
        symbols = {a.name: finite(a) for a in op.arguments if a.role.kind != "choice"}
        first, others = first_tensor(op), free(op, variant)
        roles = {a.name: a.role.kind for a in (first, *others)}
        light = frozenset(symbols[n] for n, kind in roles.items() if kind in ("weight", "prob"))
        value = variant.value.xreplace({op.symbol(n): s for n, s in symbols.items()})
        parts = structure(
            value,
            [symbols[a.name] for a in op.operands if roles.get(a.name) == "tensor"],
            [symbols[a.name] for a in op.operands if roles.get(a.name) == "weight"],
        )
        parts = replace(parts, core=annihilated(parts.core, light))
        names = {a.name for a in (first, *others)} - {w.name for w in parts.weights}
        tensors = [a.name for a in op.arguments if a.name in names and a.role.kind == "tensor"]
        x, known, limits = symbols[first.name], {w.name for w in parts.weights}, first.role.limits
        low, high = domain(first)
        if parts.difference:
            x, pair = parts.difference.symbol, (parts.difference.minuend.name, parts.difference.subtrahend.name)
            symbols, known, limits = {**symbols, x.name: x}, known | set(pair), ()
            names, low, high = names - set(pair) | {x.name}, -math.inf, math.inf
            tensors = [x.name, *(t for t in tensors if t not in pair)]
        tried = settings(op, variant, known)
        more = scaled(tried, SPREAD)
        ends = (low, high, *kinks(parts.core, x))
        more = np.concatenate([more, *map(neighbours, ends)])
        points = np.union1d(grid(low, high, THIN if tried != ({},) else 1), more[(more >= low) & (more <= high)])
        data = [a.name for a in (first, *others) if a.role.kind in {"tensor", "prob"} and a.name in names]
        ranges = {symbols[a.name]: domain(a) for a in (first, *others)} | {x: (low, high)}
        further = [a.name for a in op.arguments if a.name in names and a.name not in tensors and a is not first]
        order = [x.name] * (parts.difference is not None) + [a.name for a in op.arguments]
        return Workshop(
            symbols,
            parts,
            tuple(a.name for a in op.arguments if a.name in roles),
            tuple(n for n in order if n in names),
            tuple(tensors),
            tuple(further),
            frozenset(a.name for a in op.operands) & {*further},
            Sampler(x, tried, points, products(parts.core, x), held_out(op, variant, known)),
            tuple((r, float(v)) for r, v in limits),
            (low, high),
            pieces,
            frozenset(a.name for a in others if a.role.kind in {"real", "int"}) if device else None,
            sum(kind in {"tensor", "prob"} for kind in roles.values()) > 1,
            ranges | {MAGNITUDE: magnitude((low, high))} if len(data) + (parts.difference is not None) > 1 else None,
            any(not p.exp.is_number for p in parts.core.atoms(sp.Pow)),
            certain=tuple(s for s in certain(op, variant, known) if s not in tried),
        )

    @property
    def variables(self) -> tuple[list[Symbol], list[Symbol], frozenset[Symbol]]:
        """The tensors of the core, what else it has a gradient in, and in which of these it has two derivatives."""
        tensors, further = ([self.symbols[n] for n in names] for names in (self.tensors, self.further))
        return tensors, further, frozenset(self.symbols[n] for n in self.twice)

    def output(self, wanted: Wanted) -> Output:
        """Stabilise and schedule one output of the core for both targets."""
        stable, steps = traced(wanted.recognized)
        sampler = self.sampler
        alone = wanted.question.wrt == sampler.x and wanted.question.naive.free_symbols == {sampler.x}
        if alone and sampler.settings != ({},):
            sampler = replace(sampler, settings=({},), points=grid(*self.range), held_out=())
        probe, fresh = sampler.probe(wanted.question), sampler.fresh(wanted.question)
        fuller = sampler.with_moving_roots(wanted.question, probe)
        fullest = sampler.where_operands_agree(wanted.question, fuller, self.tensors[1:]) if self.several else fuller
        bound = {self.symbols[n]: Pair(var(n)) for n in self.sampled}
        leaf = Leaf(stable, (wanted.recognized, *(attempt(e) for e in wanted.also), *wanted.also))
        forms: dict[str, Form] = {}
        cores, worst, missed = {}, {}, {}
        quick = None
        ends = tuple(self.ends(wanted.question))
        for target in reversed(TARGETS):  # float64 first: float32 may have to take its form
            # where a root moves with another operand, functions cancel that are not known to more than float64
            seen = probe if self.several and not target.single else fuller
            known = forms["f64"] if target.single and self._needs_lows(probe) else None
            form, core, most, beyond = self._core(
                wanted, leaf, seen, fresh, bound, target, sampler, ends, fullest, known)  # fmt: skip
            forms[target.name], cores[target.name] = form, core
            if target.name == "f32" and wanted.wrt in (None, *self.tensors) and wanted.question.order < SECOND:
                quick = self.quick(wanted.name, form, core, seen, target, ends, bound)
            worst[target.name], missed[target.name] = most, beyond
        trace = (*wanted.steps, *(s for s in steps if s not in wanted.steps))
        order = max(wanted.question.order, int(wanted.wrt is not None))
        return Output(
            wanted.name, wanted.wrt, order, wanted.question.naive, wanted.recognized, stable,
            tuple(s for s in trace if str(s.before) != str(s.after)),  # a head that only changes its class is no step
            forms["f64"].regions(), cores, forms, worst, missed, replace(probe, memory={}),
            None if self.numbers is None else self.device(wanted, leaf, probe, fresh, ends), quick=quick,
        )  # fmt: skip

    def _core(
        self, wanted: Wanted, leaf: Leaf, probe: Probe, fresh: Probe, bound: Mapping[Symbol, Pair], target: Target,
        sampler: Sampler, ends: tuple[End, ...], fullest: Probe | None = None, known: Form | None = None,
    ) -> tuple[Form, ScalarFunction, float, tuple[Unresolved, ...]]:
        """The form and the scalar function of one output for one target, its worst error and what it misses.

        The points of the fullest probe are looked at, too, though nothing is chosen by them; and nothing is chosen at
        all where a form is known already.
        """
        bench = Bench(
            sampler, wanted.question, self.sampled, bound, target, self.pieces, self.arithmetics(target), self.several,
            self.ranges,
        )
        form, missed = (known, ()) if known is not None else bench.form(leaf, probe, fresh)
        name, sign = f"{wanted.name}_{target.name}", below_zero(probe)
        turning = sign is None and self.parts.difference is None and not target.single
        plain = lower_expression(leaf.stable, bound, PLAIN).high if turning else None
        core = self._finished(name, form, bound, ends, sign, plain)
        each = error(evaluate(core, probe, target.computes), probe, target)
        if fullest is not None and fullest is not probe:
            there = stretches(error(evaluate(core, fullest, target.computes), fullest, target), fullest, target)
            missed += tuple(s for s in there if not any(m.lower <= s.lower and s.upper <= m.upper for m in missed))
        counted = each[~np.isnan(each) & (probe.single | (not target.single))]
        core = core if self.parts.difference is None else self.spread(name, form, ends)
        return form, core, float(counted.max()) if counted.size else math.nan, missed

    def _finished(
        self, name: str, form: Form, bound: Mapping[Symbol, Pair], ends: tuple[End, ...], sign: float | None,
        plain: Node | None = None,
    ) -> ScalarFunction:
        """The scalar function of a form; what `plain` gives at zero has the sign of zero that is wanted."""
        x, tried = self.sampler.x, self.sampler.settings
        graph = form.node(x, bound)
        if plain is not None:
            graph = with_sign_of_zero(self.sampled, x.name, graph, plain, tried)
        for end in ends:
            graph = end.kept(graph, self.sampled, x.name, tried)
        return finish(name, self.sampled, x.name, graph, tried, sign, self.limits, self.tensors[1:])

    def quick(
        self, name: str, form: Form, core: ScalarFunction, probe: Probe, target: Target, ends: tuple[End, ...],
        bound: Mapping[Symbol, Pair],
    ) -> ScalarFunction | None:
        """What is computed before a core in pairs: the same without them, and a number that tells where that fails.

        None where there are no pairs, where there is no telling, or where that would not be worth it.
        """
        light = form.quickened()
        if self.ranges is None or light == form:
            return None
        name, x, pair = f"{name}_quick", self.sampler.x, self.parts.difference
        alone = self._finished(name, light, bound, ends, below_zero(probe))
        whole = alone if pair is None else self.spread(name, light, ends)
        operands = (x,) if pair is None else (pair.minuend, pair.subtrahend)
        for watched in (False, True):  # an infinite operand is looked after where the limit needs it
            inner = self._told(alone, [x] if watched else [])
            told = self._told(whole, operands if watched else [])
            if inner is None or told is None or cost(told.results) > WORTH * cost(core.results):
                return None
            value, wrong = (evaluate(replace(inner, results=(r,)), probe) for r in inner.results)
            each = error(value, probe, target)
            known = ~np.isnan(each) & (wrong == 0)
            if (each[known & probe.single] <= target.bar).all():
                return told
        return None

    def _told(self, core: ScalarFunction, watched: Iterable[Symbol]) -> ScalarFunction | None:
        """A core with what tells where its result is in doubt, and that of an infinite operand that is watched."""
        assert self.ranges is not None
        ranges = {str(s): r for s, r in self.ranges.items()}
        found = doubt(core.results[0], ranges, [s.name for s in watched])
        return None if found is None else verify(replace(core, results=(*core.results, found)))

    def pair(self, name: str) -> Pair:
        """A parameter as the graph takes it."""
        return Pair(var(name), var(low(name)) if name in self.lows else None)

    def taken(self, names: Iterable[str]) -> tuple[str, ...]:
        """Parameters by name as the graph takes them."""
        return tuple(p for n in names for p in ((n, low(n)) if n in self.lows else (n,)))

    def on_device(self) -> Workshop:
        """The same, for graphs in float32 arithmetic."""
        return replace(self, lows=self.numbers or frozenset())

    def device(self, wanted: Wanted, leaf: Leaf, probe: Probe, fresh: Probe, ends: tuple[End, ...]) -> Device:
        """The output for float32 arithmetic: arrays hold float32, and numbers come as two float32 each.

        An option is a float64, and no float32 near it would do: ``exp(x / alpha)`` multiplies its rounding error.
        """
        numbers = self.numbers or frozenset()
        tried = (*self.sampler.settings, *self.certain)
        arrays = [{n: v if n in numbers else float(np.float32(v)) for n, v in s.items()} for s in tried]
        # in float32 extremes are beyond all candidates: nothing is held out
        sampler, fresh = replace(self.sampler, settings=tuple(arrays), held_out=()), fresh.first(len(arrays))
        if sampler.settings != self.sampler.settings:
            probe, fresh = sampler.probe(wanted.question), sampler.fresh(wanted.question)
        with computing_in(np.float32, FINEST):
            split = tuple(_split(setting, numbers) for setting in arrays)
            shop = self.on_device()
            bound = {self.symbols[n]: shop.pair(n) for n in self.sampled}
            shop = replace(shop, sampled=shop.taken(self.sampled), sampler=replace(sampler, settings=split))
            # what no number occurs in was asked for once
            probe, fresh = (
                replace(p, settings=split if len(p.settings) == len(split) else p.settings, memory={})
                for p in (probe, fresh)
            )
            leaf, sampler = leaf.narrowed(), shop.sampler
            form, core, worst, missed = shop._core(wanted, leaf, probe, fresh, bound, DEVICE, sampler, ends)
        return Device(core, form, worst, missed)

    def ends(self, question: Question) -> Iterator[End]:
        """What the function is where another operand is infinite, if that is one number whatever the rest is."""
        middle = MIDDLE[(self.range[0] <= MIDDLE) & (self.range[1] >= MIDDLE)]
        for name, at in itertools.product(self.tensors[1:], (-math.inf, math.inf)):
            if question.wrt.name == name:  # its limit is that along the operand itself
                others = [{k: v for k, v in s.items() if k != name} for s in self.sampler.settings]
                there = ({**s, self.sampler.x.name: float(v)} for s in others for v in middle)
                along, points = replace(self.sampler, x=question.wrt, products=(), held_out=()), np.array([at])
            else:
                there = ({**s, name: at} for s in self.sampler.settings)
                along, points = self.sampler, middle
            found = np.unique(replace(along, settings=tuple(there)).sample(question, points).high)
            if found.size == 1 and not np.isnan(found[0]):
                yield End(name, at, float(found[0]), tuple(middle.tolist()))

    def _needs_lows(self, probe: Probe) -> bool:
        """Whether a result tells a difference of float32 numbers from the float64 that is next to it.

        Of a wave far out the rest is many turns, and beside a root of the difference it is all that there is. The
        form that keeps it is that of float64.
        """
        if self.parts.difference is None:
            return False
        rows = (probe.only([row]) for row in range(len(probe.settings)))
        return self.parts.core.has(sp.sin, sp.cos, sp.tan) or any(r != 0 for row in rows for r in roots(row))

    def arithmetics(self, target: Target) -> tuple[str, ...]:
        """What may compute an output: a difference of float64 numbers has a low part, which must not be dropped."""
        if target.name == "f32":
            return ARITHMETICS["f32"] if self.ranges is None else IN_FULL if self.powers else SEVERAL
        # a root that moves with data asks for more of exponentials
        more = ("fine",) if target.name == DEVICE.name and self.several else ()
        return (*(INNER_ARITHMETICS if self.parts.difference is not None else ARITHMETICS[target.name]), *more)

    def spread(self, name: str, form: Form, ends: tuple[End, ...]) -> ScalarFunction:
        """The core with its variable taken apart again: a function of the two operands."""
        difference = self.parts.difference
        assert difference is not None
        operands = (difference.minuend.name, difference.subtrahend.name)
        bound = {self.symbols[n]: self.pair(n) for n in self.parameters} | {difference.symbol: difference.pair()}
        graph = form.node(difference.symbol, bound)
        tried = [{operands[0]: 1.5, operands[1]: 0.5, **s} for s in self.sampler.settings]
        names = tuple(p for p in self.taken(self.parameters) if p in self.sampled or p in operands)
        for end in ends:
            graph = end.kept(graph, names, operands[0], tried)
        return finish(name, names, operands[0], graph, tried, None, (), (operands[1], *self.tensors[1:]))

    def named(self, inner: Output | Wanted) -> list[tuple[str, str | None]]:
        """Names of the outputs that one of the core stands for, each with what it is a derivative in."""
        found = self.parts.difference
        if inner.name == "value":
            return [("value", None), *((f"grad_{w.name}", w.name) for w in self.parts.weights)]
        if found is None or inner.wrt != found.symbol.name:
            return [(inner.name, inner.wrt)]
        prefix = "grad2" if inner.name.startswith("grad2") else "grad"
        return [(f"{prefix}_{s.name}", s.name) for s in (found.minuend, found.subtrahend)]

    def public(self, inner: Output) -> Iterator[Output]:
        """The outputs that one of the core stands for: times the weights, and for both operands of a difference."""
        found = self.parts.difference
        for name, wrt in self.named(inner):
            turned = found is not None and wrt == found.subtrahend.name and inner.order == 1
            yield self.scaled(opposite(inner) if turned else inner, name, wrt)

    def scaled(self, inner: Output, name: str, wrt: str | None) -> Output:
        """An output of the core times the weights, over the kernel's parameters and spelled in the operands."""
        if self.parts.difference is None and not self.parts.weights:
            return inner
        but = wrt if inner.wrt is None and wrt else ""
        factor = sp.Mul(*(w for w in self.parts.weights if w.name != but))

        def weighted_core(core: ScalarFunction, shop: Workshop, end: str) -> ScalarFunction:
            result = self.parts.scaled(core.results[0], but)
            return over(shop.taken(self.parameters), f"{name}_{end}", result, *core.results[1:])

        cores = {k: weighted_core(core, self, k) for k, core in inner.cores.items()}
        quick = None if inner.quick is None else weighted_core(inner.quick, self, "quick")
        device = inner.device
        if device is not None:
            device = replace(device, core=weighted_core(device.core, self.on_device(), DEVICE.name))

        def spelled(e: Expr) -> Expr:
            return factor * self.parts.spelled(e)

        found = self.parts.difference
        fixed = {w.name: 1.0 for w in self.parts.weights} | ({found.subtrahend.name: 0.0} if found else {})
        probe = replace(inner.probe, settings=tuple({**s, **fixed} for s in inner.probe.settings))
        return replace(
            inner, difference=None if found is None else (found.symbol, found.expression), factor=factor * inner.factor,
            name=name, wrt=wrt, cores=cores, quick=quick, device=device, probe=probe, naive=spelled(inner.naive),
            recognized=spelled(inner.recognized),
            order=1 if but else inner.order, stable=spelled(inner.stable),
            trace=tuple(replace(s, before=self.parts.spelled(s.before), after=self.parts.spelled(s.after))
                        for s in inner.trace),
        )  # fmt: skip

    def shares(self, variant: Variant) -> Iterator[Output]:
        """A loss's share in the mean and its gradient in each weight, which need no stabilising."""
        if variant.share is None:
            return
        share = sp.sympify(variant.share)
        share = share.xreplace({s: self.symbols[s.name] for s in share.free_symbols})
        yield self.plain("share", None, 0, share)
        for s in sorted(share.free_symbols, key=str):
            yield self.plain(f"share_grad_{s.name}", s.name, 1, slope := derivative(share, s))
            if (bend := derivative(slope, s)) != 0:
                yield self.plain(f"share_grad2_{s.name}", s.name, 2, bend)

    def plain(self, name: str, wrt: str | None, order: int, expression: Expr) -> Output:
        """An output whose formula is computed as it stands."""
        form = Form((Segment(-math.inf, math.inf, Formula(expression, "plain", source="plain")),))

        def core(shop: Workshop, end: str) -> ScalarFunction:
            bound = {self.symbols[n]: shop.pair(n) for n in self.parameters}
            graph = lower_expression(expression, bound, PLAIN).high
            return over(shop.taken(self.parameters), f"{name}_{end}", graph)

        forms = {t.name: form for t in TARGETS}
        cores = {t.name: core(self, t.name) for t in TARGETS}
        device = None
        if self.numbers is not None:
            with computing_in(np.float32, FINEST):
                device = Device(core(self.on_device(), DEVICE.name), form, 0.0, ())
        return Output(name, wrt, order, expression, expression, expression, (), forms["f64"].regions(), cores, forms,
                      {t.name: 0.0 for t in TARGETS}, {t.name: () for t in TARGETS},
                      Probe(np.empty(0), ({},), np.empty((1, 0)), np.empty((1, 0))), device)  # fmt: skip


def low(name: str) -> str:
    """The parameter that carries what float32 leaves of a number."""
    return f"{name}_low"


def _split(setting: Mapping[str, float], numbers: frozenset[str]) -> dict[str, float]:
    """A setting with every number in two float32."""
    found = {}
    for name, value in setting.items():
        found[name], rest = parts(value, 0.0)
        if name in numbers:
            found[low(name)] = rest
    return found


def over(parameters: tuple[str, ...], name: str, *results: Node) -> ScalarFunction:
    """A graph as a function of all parameters of a kernel."""
    return verify(ScalarFunction(name, parameters, results))


def opposite(output: Output) -> Output:
    """The negative of an output."""

    def turned(core: ScalarFunction) -> ScalarFunction:
        value, *rest = core.results
        return replace(core, results=(negative(value), *rest))

    cores = {k: turned(c) for k, c in output.cores.items()}
    quick = None if output.quick is None else turned(output.quick)
    device = None if output.device is None else replace(output.device, core=turned(output.device.core))
    probe = replace(output.probe, high=-output.probe.high, low=-output.probe.low)
    return replace(output, cores=cores, recognized=-output.recognized, stable=-output.stable, factor=-output.factor,
                   probe=probe, device=device, quick=quick)  # fmt: skip
