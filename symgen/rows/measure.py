"""Measures the code of row functions while it is made, on a few hard rows: so a build can say what a formula loses."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from symgen import ulp
from symgen.certificate import ROWS, bar
from symgen.oracle_balls import OracleError
from symgen.rows.adjoint import COTANGENT, gradient_of
from symgen.rows.derive import DerivedRows, Place, RowDerivation, RowMiss, RowOutput
from symgen.rows.reference import lists, truth
from symgen.rows.samples import ARRAYS, Arrays, Problem, ends, problems
from symgen.rows.simulate import run
from symgen.spec import Op
from symgen.truth import Truth

LENGTH = 3  # of a row: enough for one entry to differ from others that do not
SURE = ("one of 40", "one of 80", "a range of 1e4")  # rows of which one entry is nearly all
NEARLY = 1e-6  # how far operands differ that nearly agree
PATIENCE = (128, 384)  # bits; what is exactly zero takes many more to tell, and is not measured
DTYPES = {"f64": "float64", "f32": "float32"}


def measured(derivation: RowDerivation) -> RowDerivation:
    """The derivation with what its outputs miss: but for second derivatives, and functions that the oracle lacks."""
    return replace(derivation, variants=tuple(_known(derivation.op, v) for v in derivation.variants))


def _known(op: Op, derived: DerivedRows) -> DerivedRows:
    try:
        return _variant(op, derived)
    except OracleError:
        return derived


def _variant(op: Op, derived: DerivedRows) -> DerivedRows:
    outputs = [o for o in derived.outputs if not o.along and not o.name.startswith("share")]
    wrt = tuple(dict.fromkeys(n for o in outputs for n in o.wrt))
    hard = tuple(_hard(op, derived))
    missed: dict[str, dict[str, tuple[RowMiss, ...]]] = {o.name: {} for o in outputs}
    for target, dtype in DTYPES.items():
        samples = Samples.of(derived, hard, dtype, wrt)
        for output in outputs:
            errors = samples.errors(derived, output, target)
            worst = int(np.argmax(errors))
            miss = RowMiss(float(errors[worst]), hard[worst].place)
            missed[output.name][target] = (miss,) if miss.error > bar(dtype, (ROWS,)) else ()
    found = (replace(o, unresolved=missed[o.name]) if o.name in missed else o for o in derived.outputs)
    return replace(derived, outputs=tuple(found))


def _first(derived: DerivedRows) -> Place:
    """The operand that hard rows are of."""
    return next(p for p in derived.places if p.role.kind == "tensor")


def _hard(op: Op, derived: DerivedRows) -> Iterator[Problem]:
    """Rows that are hard for exponentials, classes that are sure or out of the question, operands that nearly agree."""
    found = list(problems(op, derived.variant, derived.places, LENGTH))
    yield from found
    for place in (p for p in derived.places if p.role.kind == "index"):
        for problem in (p for p in found if p.place.startswith(SURE)):
            largest = int(np.argmax(problem.arrays[_first(derived).name]))
            for at, what in ((largest, "its own class"), ((largest + 1) % LENGTH, "another class")):
                yield replace(problem, place=f"{problem.place}, {what}", arrays={**problem.arrays, place.name: at})
    arrays = found[0].arrays
    first, *others = (p for p in derived.places if p.role.kind in ("tensor", "prob"))
    row = arrays[first.name]
    same = [p for p in others if np.shape(arrays[p.name]) == np.shape(row)]
    apart = np.random.default_rng(LENGTH).normal(size=np.shape(row))
    near = {p.name: np.clip(row * (1 + NEARLY * k * apart), *ends(p, -np.inf, np.inf)) for k, p in enumerate(same, 1)}
    if near:
        yield replace(found[0], place="operands that nearly agree", arrays={**arrays, **near})
    for problem in (p for p in found if near and p.place.startswith(SURE)):
        twice = 2 * problem.arrays[first.name]
        beside = {p.name: np.clip(twice, *ends(p, -np.inf, np.inf)) for p in same}
        yield replace(problem, place=f"{problem.place}, one twice the other", arrays={**problem.arrays, **beside})


@dataclass(frozen=True)
class Samples:
    """Problems in a dtype, as arrays of them all, with the truth of the value and of each gradient."""

    dtype: str
    arrays: Arrays
    lengths: Mapping[str, int]
    value: tuple[Any, Any]
    gradients: Mapping[str, tuple[Any, Any]]

    @staticmethod
    def of(derived: DerivedRows, wanted: Sequence[Problem], dtype: str, wrt: Sequence[str]) -> Samples:
        stored = ulp.format_of(dtype).dtype
        rounded = {p.name for p in derived.places if p.role.kind in ARRAYS}
        samples, values, gradients = [], [], []
        for problem in wanted:
            own = {n: np.asarray(v, stored).astype(np.float64) if n in rounded else v
                   for n, v in problem.arrays.items()}
            g = np.asarray(problem.cotangent, stored).astype(np.float64)
            value, found = truth(derived.variant.value, own, problem.lengths, g, wrt, PATIENCE)
            if np.isnan(value[0]).any():  # where there is no value, slopes are no one's business
                found = {n: (np.full_like(high, np.nan), low) for n, (high, low) in found.items()}
            samples.append({**own, COTANGENT: g})
            values.append(value)
            gradients.append(found)
        arrays = {n: np.stack([s[n] for s in samples]) for n in samples[0]}
        both = {n: _stacked([g[n] for g in gradients]) for n in wrt}
        return Samples(dtype, arrays, {**wanted[0].lengths, **lists(samples[0])}, _stacked(values), both)

    def errors(self, derived: DerivedRows, output: RowOutput, target: str) -> Any:
        """The largest error of an entry of an output in each sample, in ULP."""
        schedule = next(s for s in output.schedules if s.target == target)
        exact = {gradient_of(n): self.gradients[n] for n in output.wrt} | {derived.program.stages[-1].out: self.value}
        got = run(schedule, self.arrays, self.lengths)
        return np.max([self._apart(values, exact[name]) for name, values in got.items()], axis=0)

    def _apart(self, got: Any, exact: tuple[Any, Any]) -> Any:
        count = len(exact[0])
        high, low = (np.ravel(v) for v in exact)
        counted = np.isfinite(high) & ((high != 0) | (low != 0))
        with np.errstate(all="ignore"):
            residual = np.where(counted, low / np.spacing(np.abs(high)), 0.0)
            values = np.broadcast_to(got, np.shape(exact[0])).ravel().astype(ulp.format_of(self.dtype).dtype)
        counted |= np.isfinite(high) & np.isnan(values)  # zero has no error in ULP, but is a number
        want = Truth(high, low, residual, np.zeros(high.size, bool))
        errors = np.where(counted, ulp.error(values, want, self.dtype), 0.0)
        return errors.reshape(count, -1).max(axis=1, initial=0.0)


def _stacked(pairs: Sequence[tuple[Any, Any]]) -> tuple[Any, Any]:
    return np.stack([high for high, _ in pairs]), np.stack([low for _, low in pairs])
