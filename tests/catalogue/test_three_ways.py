"""Gradients of losses over no axis, three ways: what runs, SymPy's own calculus, and differences in fifty digits.

Of means over two, three and four samples, the divisor among what is differentiated; all variants, all arguments.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import mpmath
import numpy as np
import pytest
import sympy as sp

import symgen.functional as F
from symgen.catalogue import folder
from symgen.certify_rows import Call
from symgen.program import Program, Stage
from symgen.rows.derive import DIFFERENTIABLE, places
from symgen.rows.lower import is_row_function
from symgen.rows.samples import ARRAYS, sample
from symgen.spec import Op, Variant, load
from tests.rows.interpret import interpret
from tests.rows.test_gradients import concrete

OPS: dict[str, Op] = {n: op for n, op in load(folder()).items() if op.kind == "loss" and not is_row_function(op)}
CASES = [(name, v.suffix) for name, op in OPS.items() for v in op.variants]
DIGITS = 50
Numbers = dict[str, Any]
Total = Callable[[Sequence[Numbers]], Any]


def drawn(op: Op, variant: Variant, n: int) -> tuple[list[Numbers], Numbers]:
    """The operands of each sample, whose loss is finite, and the options, which all of them share."""
    arrays = [p.name for p in places(op, variant) if p.role.kind in ARRAYS]
    found = (sample(op, variant, 1, 100 * n + i)[0] for i in itertools.count())
    plain = ({k: float(v) if k in arrays else v for k, v in s.items()} for s in found)
    taken = [*itertools.islice((s for s in plain if mpmath.isfinite(mean(op, variant, [s], {}))), n)]
    return [{k: s[k] for k in arrays} for s in taken], {k: v for k, v in taken[0].items() if k not in arrays}


def differentiable(op: Op, variant: Variant) -> list[str]:
    known = {a.name for a in op.arguments} & {s.name for s in variant.value.free_symbols}
    return [p.name for p in places(op, variant) if p.role.kind in DIFFERENTIABLE and p.name in known]


def written_out(op: Op, variant: Variant, samples: Sequence[Numbers]) -> Any:
    """The mean of the losses of all samples, each operand with a symbol for each of them."""
    losses, shares = [], []
    for i, one in enumerate(samples):
        own = {op.symbol(k): sp.Symbol(f"{k}_{i}", real=True) for k in one}
        losses.append(concrete(variant.value, {}, {}, {}).subs(plain(op, own)))
        shares.append(sp.S.One if variant.share is None else concrete(variant.share, {}, {}, {}).subs(plain(op, own)))
    return sp.Add(*losses) / sp.Add(*shares)


def plain(op: Op, own: dict[Any, Any]) -> dict[Any, Any]:
    """Symbols as `concrete` leaves them."""
    return {sp.Symbol(s.name, real=True): t for s, t in own.items()}


def mean(op: Op, variant: Variant, samples: Sequence[Numbers], options: Numbers) -> Any:
    """The same without a derivative in sight, in as many digits as are computed with."""
    def of(formula: Any, one: Numbers) -> Any:
        program = Program(op.name, (), (Stage("out", "=", (), (), formula),), ("out",))
        return interpret(program, {**options, **one}, {})["out"][()]

    losses = [of(variant.value, s) for s in samples]
    shares = [mpmath.mpf(1) if variant.share is None else of(variant.share, s) for s in samples]
    return mpmath.fsum(losses) / mpmath.fsum(shares)


@pytest.mark.parametrize("n", [2, 3, 4])
@pytest.mark.parametrize(("loss", "suffix"), CASES)
def test_every_gradient_three_ways(loss: str, suffix: str, n: int) -> None:
    """In each entry of each operand, weights and probabilities among them, and in each option that is a number."""
    op = OPS[loss]
    variant = next(v for v in op.variants if v.suffix == suffix)
    samples, options = drawn(op, variant, n)
    stacked = {k: np.array([s[k] for s in samples]) for k in samples[0]}
    call = Call(op, variant, getattr(F, loss), {**options, **stacked})
    keywords = {**call.keywords, "reduction": "mean"}
    total = written_out(op, variant, samples)
    numbers = {sp.Symbol(f"{k}_{i}", real=True): v for i, s in enumerate(samples) for k, v in s.items()}
    numbers |= {sp.Symbol(k, real=True): v for k, v in options.items()}
    seen = 0
    for wrt in differentiable(op, variant):
        ours = np.atleast_1d(call.kernel.vjp(1.0, wrt=(wrt,), **keywords))
        for i, found in enumerate(ours):
            symbol = sp.Symbol(f"{wrt}_{i}" if wrt in stacked else wrt, real=True)
            theirs = float(sp.N(total.diff(symbol).subs(numbers)))
            assert found == pytest.approx(theirs, rel=1e-13, abs=1e-15), (wrt, i)
            slope = difference(lambda s, o: mean(op, variant, s, o), samples, options, wrt, i)
            assert found == pytest.approx(slope, rel=1e-13, abs=1e-15), (wrt, i)
            seen += 1
    assert seen >= n


def difference(total: Any, samples: Sequence[Numbers], options: Numbers, wrt: str, i: int) -> float:
    """A central difference in fifty digits, in an option or in an operand of one sample."""
    def moved(step: Any) -> Any:
        if wrt in options:
            return total(samples, {**options, wrt: mpmath.mpf(options[wrt]) + step})
        there = [*samples]
        there[i] = {**there[i], wrt: mpmath.mpf(there[i][wrt]) + step}
        return total(there, options)

    with mpmath.workdps(DIGITS):
        h = mpmath.mpf("1e-16")
        return float((moved(h) - moved(-h)) / (2 * h))


def test_a_derivative_that_is_wrong_differs_from_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    """A loss whose definition is another one than its kernel's is found."""
    op = OPS["mse_loss"]
    variant = replace(op.variants[0], value=op.variants[0].value * sp.Rational(1000001, 1000000))
    monkeypatch.setitem(OPS, "mse_loss", replace(op, variants=(variant,)))
    with pytest.raises(AssertionError):
        test_every_gradient_three_ways("mse_loss", variant.suffix, 2)
