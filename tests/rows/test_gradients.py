"""Gradients three ways: the stages' reverse mode, SymPy's own calculus on concrete sizes, and 50-digit differences.

And once more as generated kernels. All functions of rows in the catalogue, every variant, every differentiable
argument, at rows of two, three and four.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import mpmath
import numpy as np
import pytest
import sympy as sp

import symgen.functional as F
from symgen.certify_rows import Call, _has_gradient, joined
from symgen.heads import Cases, first_max, first_min, maximum, minimum, straight_through, weighted
from symgen.program import Program, Stage
from symgen.rows.adjoint import COTANGENT, gradient_of, pullback
from symgen.rows.centre import centred
from symgen.rows.derive import DIFFERENTIABLE, derive_variant, places
from symgen.rows.free import proved
from symgen.rows.indices import axis_of, index, loops, read, size
from symgen.rows.lower import lower
from symgen.rows.reference import truth
from symgen.rows.shift import under_roots
from symgen.rows.tangent import DIRECTION, pushforward
from symgen.spec.axes import AxisMax, AxisMin
from tests.rows.hard import LAYERS, OPS, sample, ulps
from tests.rows.interpret import interpret

BAR = 4.0  # ULP of float64
CASES = [(name, v.suffix) for name, op in OPS.items() for v in op.variants]
EVERY = OPS | LAYERS  # kernels of layers are measured in tests/test_layers
ALL_CASES = CASES + [(name, v.suffix) for name, op in LAYERS.items() for v in op.variants]


def variant_of(name: str, suffix: str) -> Any:
    return next(v for v in EVERY[name].variants if v.suffix == suffix)


def differentiable(name: str, suffix: str) -> dict[str, tuple[str, ...]]:
    found = places(EVERY[name], variant_of(name, suffix))
    return {p.name: p.axes for p in found if p.role.kind in DIFFERENTIABLE}


def cotangent(axes: tuple[str, ...], lengths: dict[str, int]) -> Any:
    shape = tuple(lengths[axis_of(a)] for a in axes)
    return np.random.default_rng(9).uniform(0.5, 1.5, shape)


def concrete(  # noqa: C901  one walk, case by case
    e: Any, where: dict[Any, int], lengths: dict[str, int], positions: dict[str, Any]
) -> Any:
    """A formula with every sum written out and every entry a symbol: what SymPy can differentiate by itself."""
    def go(e: Any) -> Any:
        return concrete(e, where, lengths, positions)

    if e in where:
        return sp.Integer(where[e])
    if isinstance(e, sp.Indexed) and str(e.base) in positions:
        return sp.Integer(positions[str(e.base)][tuple(int(go(i)) for i in e.indices)])
    if isinstance(e, sp.Indexed):
        return sp.Symbol("_".join([str(e.base), *(str(go(i)) for i in e.indices)]), real=True)
    if isinstance(e, sp.Symbol):
        if e.name in positions:
            return sp.Integer(positions[e.name])
        return sp.Integer(lengths[e.name.strip("|")]) if e.name.startswith("|") else sp.Symbol(e.name, real=True)
    if isinstance(e, sp.Sum | sp.Product | AxisMax | AxisMin):
        bound = [limit[0] for limit in e.limits] if hasattr(e, "limits") else [e.args[1]]
        runs: list[dict[Any, int]] = [{}]
        for k in bound:
            count = int(size(k.name)) if size(k.name).is_Integer else lengths[axis_of(k.name)]
            runs = [{**r, k: j} for r in runs for j in range(count)]
        terms = [concrete(e.args[0], {**where, **r}, lengths, positions) for r in runs]
        return {sp.Sum: sp.Add, sp.Product: sp.Mul, AxisMax: sp.Max, AxisMin: sp.Min}[type(e)](*terms)
    if isinstance(e, Cases):
        return sp.Piecewise((go(e.then), go(e.condition)), (go(e.otherwise), True))
    if isinstance(e, weighted):
        return go(e.args[0]) * go(e.args[1])
    if isinstance(e, first_max | maximum):
        return sp.Max(*map(go, e.args))
    if isinstance(e, first_min | minimum):
        return sp.Min(*map(go, e.args))
    if isinstance(e, straight_through):
        return go(e.args[1])
    return e.func(*map(go, e.args)) if e.args else e


def names(name: str, value: Any) -> dict[sp.Symbol, float]:
    return {sp.Symbol("_".join([name, *map(str, at)]), real=True): float(v) for at, v in np.ndenumerate(value)}


@pytest.mark.parametrize(("name", "suffix"), ALL_CASES)
@pytest.mark.parametrize("n", [2, 3, 4])
def test_three_ways(name: str, suffix: str, n: int) -> None:
    """Reverse mode over stages, SymPy on the written-out formula, and differences agree to their digits."""
    op, variant = EVERY[name], variant_of(name, suffix)
    arrays, lengths = sample(op, variant, n, n)
    wrt = differentiable(name, suffix)
    axes = tuple(i.name for i in loops(variant.value))
    g = cotangent(axes, lengths)
    back = interpret(pullback(lower(op, variant.value), wrt), {**arrays, COTANGENT: g}, lengths)

    total, values = written_out(variant, arrays, lengths, g)
    for argument in wrt:
        for at, _ in np.ndenumerate(arrays[argument]):
            ours = float(back[gradient_of(argument)][at])
            s = sp.Symbol("_".join([argument, *map(str, at)]), real=True)
            theirs = float(sp.N(total.diff(s).subs(values)))
            assert ours == pytest.approx(theirs, rel=1e-12, abs=1e-13), (argument, at)
            slope = difference(op, variant, arrays, lengths, g, argument, at)
            assert ours == pytest.approx(slope, rel=1e-12, abs=1e-14)


def written_out(variant: Any, arrays: Any, lengths: Any, g: Any) -> tuple[Any, dict[sp.Symbol, float]]:
    """``sum(g * value)`` without sums or indices, and the numbers that its symbols stand for."""
    positions = {k: int(v) if np.ndim(v) == 0 else v for k, v in arrays.items() if np.asarray(v).dtype.kind in "iu"}
    formula = variant.value
    total = sp.Add(*(float(gk) * concrete(formula, dict(zip(loops(formula), at, strict=True)), lengths, positions)
                     for at, gk in np.ndenumerate(g)))
    return total, {s: x for k, v in arrays.items() if k not in positions for s, x in names(k, v).items()}


def difference(op: Any, variant: Any, arrays: Any, lengths: Any, g: Any, argument: str, at: Any) -> float:
    """A central difference in 50 digits of the program as lowered."""
    def loss(step: Any) -> Any:
        moved = np.array(arrays[argument], dtype=object)
        moved[at] = mpmath.mpf(float(moved[at])) + step
        there = {**arrays, argument: moved[()] if moved.ndim == 0 else moved}
        (found,) = interpret(lower(op, variant.value), there, lengths).values()
        return mpmath.fsum(gk * found[place] for place, gk in np.ndenumerate(g))

    with mpmath.workdps(50):
        h = mpmath.mpf("1e-16")
        return float((loss(h) - loss(-h)) / (2 * h))


@pytest.mark.parametrize(("name", "suffix"), ALL_CASES)
@pytest.mark.parametrize("n", [2, 3])
def test_second_derivatives_three_ways(name: str, suffix: str, n: int) -> None:
    """Reverse over forward mode, SymPy on the written-out formula, and differences of the gradient agree."""
    op, variant = EVERY[name], variant_of(name, suffix)
    arrays, lengths = sample(op, variant, n, n)
    program = lower(op, variant.value)
    found = [p for p in places(op, variant) if p.role.kind in DIFFERENTIABLE and not p.number]
    operands = {p.name: p.axes for p in found}
    if n > 2 and any(len(axes) > 2 for axes in operands.values()):
        pytest.skip("all pairs of the views of three samples take SymPy a minute, and say no more than those of two")
    g = cotangent(tuple(i.name for i in loops(variant.value)), lengths)
    value, values = written_out(variant, arrays, lengths, g)
    for moved, axes in operands.items():
        v = np.random.default_rng(4).normal(size=np.shape(arrays[moved]))
        given = {**arrays, COTANGENT: g, DIRECTION: v}
        second = interpret(pullback(pushforward(program, moved), {moved: axes}), given, lengths)[gradient_of(moved)]
        symbols = {at: sp.Symbol("_".join([moved, *map(str, at)]), real=True) for at in np.ndindex(v.shape)}
        rate = sp.Add(*(float(v[at]) * value.diff(s) for at, s in symbols.items()))
        with mpmath.workdps(50):
            h, first = mpmath.mpf("1e-16"), pullback(program, {moved: axes})
            up, down = (interpret(first, {**given, moved: along(arrays[moved], v, s * h)}, lengths) for s in (1, -1))
            slope = {at: (up[gradient_of(moved)][at] - down[gradient_of(moved)][at]) / (2 * h) for at in symbols}
        kernel = getattr(F, name)
        made = Call(op, variant, kernel, arrays)
        more = {} if op.kind == "loss" else {"g": g}
        scale = float(g) if op.kind == "loss" else 1.0
        ours = scale * np.asarray(kernel.hvp(joined(v, op.argument(moved).role), wrt=moved, **made.keywords, **more))
        for at, s in symbols.items():
            assert ours.reshape(v.shape)[at] == pytest.approx(float(second[at]), rel=1e-11, abs=1e-13)
            assert float(second[at]) == pytest.approx(float(sp.N(rate.diff(s).subs(values))), rel=1e-11, abs=1e-13)
            assert float(second[at]) == pytest.approx(float(slope[at]), rel=1e-11, abs=1e-13)


@pytest.mark.parametrize(("name", "suffix"), CASES)
@pytest.mark.parametrize("n", [2, 3, 4])
def test_generated_kernels(name: str, suffix: str, n: int) -> None:
    """What runs gives the value and every gradient of the definition in ball arithmetic, to the bar."""
    op, variant = OPS[name], variant_of(name, suffix)
    arrays, lengths = sample(op, variant, n, n)
    made = Call(op, variant, getattr(F, name), arrays)
    g = cotangent(tuple(i.name for i in loops(variant.value)), lengths)
    wrt = [p.name for p in places(op, variant) if p.role.kind in DIFFERENTIABLE
           and _has_gradient(made.kernel, op, variant, p)]
    value, gradients = truth(variant.value, arrays, lengths, g, wrt)
    assert ulps(made.value(), value, np.float64) <= BAR
    for w in wrt:
        found = np.reshape(made.gradient(g, w), np.shape(gradients[w][0]))
        assert ulps(found, gradients[w], np.float64) <= BAR, w


def along(a: Any, direction: Any, step: Any) -> Any:
    """An array moved along a direction, in mpmath."""
    whole = [mpmath.mpf(float(x)) + step * float(d) for x, d in zip(np.ravel(a), np.ravel(direction), strict=True)]
    return np.array(whole, dtype=object).reshape(np.shape(a))


@pytest.mark.parametrize(("name", "suffix"), CASES)
def test_rewritten_programs_compute_the_same(name: str, suffix: str) -> None:
    """What runs, interpreted in 40 digits, is the definition and its gradients; and free parameters are proved free."""
    op, variant = OPS[name], variant_of(name, suffix)
    arrays, lengths = sample(op, variant, 4, 1)
    derived = derive_variant(op, variant)
    g = cotangent(derived.axes, lengths)
    wrt = tuple(differentiable(name, suffix))
    with mpmath.workdps(40):
        value, gradients = truth(variant.value, arrays, lengths, g, wrt)
        for output in derived.outputs:
            if output.name.startswith(("share", "hvp")):  # seconds have a test of their own
                continue
            roots = under_roots(output.recognized)
            summed = [s for s in output.recognized.stages if s.op == "sum"]
            wanted = any(s.body.has(sp.exp) or (s.out in roots and s.body.has(sp.Pow)) for s in summed)
            assert bool(output.families) == wanted, output.name  # an unproved shift would have been left out
            for result, table in interpret(output.stable, {**arrays, COTANGENT: g}, lengths).items():
                high, low = value if result == "out" else gradients[result[1:]]
                for place, found in table.items():
                    exact = mpmath.mpf(float(high[place])) + mpmath.mpf(float(low[place]))
                    assert abs(found - exact) <= mpmath.mpf("1e-28") * (1 + abs(exact)), (output.name, result, place)


def test_a_shift_that_is_not_proved_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("symgen.rows.derive.proved", lambda program, families: not families)
    output = derive_variant(OPS["logsumexp"], OPS["logsumexp"].variants[0], "value").outputs[0]
    assert output.families == ()
    assert "m0" not in str(output.stable)


def test_a_shift_by_half_is_not_free() -> None:
    """The proof sees through a shift that is put in once and not taken out again."""
    op = OPS["logsumexp"]
    derived = derive_variant(op, op.variants[0], "value")
    output = derived.outputs[0]
    m = sp.Symbol("m0", real=True)
    *before, last = output.stable.stages
    broken = [*before, type(last)(last.out, last.op, last.axes, last.over, last.body - m / 2)]
    program = type(output.stable)(op.name, output.stable.inputs, tuple(broken), output.stable.results)
    assert proved(output.stable, output.families)
    assert not proved(program, output.families)


SOFTMAX_VJP = [*derive_variant(OPS["softmax"], OPS["softmax"].variants[0], "vjp").outputs[0].recognized.stages]


def program(*stages: Stage, results: tuple[str, ...] = ("dx",)) -> Program:
    return Program("made up", tuple(map(sp.Symbol, ("g", "where", "x"))), stages, results)


def test_a_mean_is_taken_off_what_is_only_compared_with_it() -> None:
    """The gradient of softmax depends on differences of the cotangent alone; each read of it is less the mean."""
    found = centred(program(*SOFTMAX_VJP))
    assert "nearest" in str(found)
    for stage in found.stages[[s.out for s in found.stages].index("c0") + 1 :]:
        assert str(stage).count("g[") == str(stage).count("-c0 + g[")


@pytest.mark.parametrize("wrong", ["g twice", "another weight", "the mean itself", "absolute"])
def test_a_mean_that_counts_stays(wrong: str) -> None:
    """Programs that differ by a factor, a weight or a result from one that only compares are left as they are."""
    *before, mean, last = SOFTMAX_VJP
    g, x = read("g", [index("C")]), read("x", [index("C.1")])
    changed = {
        "g twice": program(*before, mean, replace(last, body=last.body + g)),
        "another weight": program(*before, replace(mean, body=mean.body * x), last),
        "the mean itself": program(*before, mean, last, results=("dx", mean.out)),
        "absolute": program(*before, mean, replace(last, body=last.body + sp.Abs(g))),
    }[wrong]
    assert centred(changed) == changed
