"""Measures CUDA kernels of rows against their definitions: the hard rows of certificates, of one length at once."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from symgen import ulp
from symgen.certify_rows import Call
from symgen.cuda_code import DeviceArray
from symgen.rows.derive import Place, places
from symgen.rows.reference import truth
from symgen.rows.samples import ARRAYS, Arrays, Problem, problems
from symgen.spec import Op, Variant
from symgen.spec.model import Axis
from symgen.truth import Truth

LENGTHS = (3, 33)
NESTED = 5  # at most, of each axis where loops are nested: ball arithmetic is slow
BAR = 4.0  # ULP
SHARE = 0.125  # of an operand: what it takes at most to reach a root that an entry stands beside
DRAWS = 8  # of the operands that are tried, in every direction
Exact = tuple[Any, Any]
Result = tuple[Any, Exact, str, Callable[[], Any]]  # what a kernel gave and should have, a place, and what is by a root


@dataclass(frozen=True)
class Measured:
    """One output of a variant, over all entries of all rows.

    Attributes:
        variant: its suffix.
        output: as the manifest calls it.
        error: the largest away from roots, in ULP of the exact entry.
        place: the row where that was.
        root: the largest beside roots, of entries that miss `BAR`: a share of their operands changes their sign.
        beyond: the share of entries that miss `BAR`.
        coarse: the largest error of these in ULP of the largest entry of their row: beside a root it is small.
        lost: entries that are zero, infinite or NaN and should be normal numbers.
    """

    variant: str
    output: str
    error: float = 0.0
    place: str = ""
    root: float = 0.0
    beyond: float = 0.0
    coarse: float = 0.0
    lost: int = 0


def measured(op: Op, kernel: Any, dtype: str = "float32", lengths: Sequence[int] = LENGTHS) -> list[Measured]:
    """Errors of the value and of every gradient of a row function.

    Args:
        op: what the kernels claim to compute.
        kernel: ``F.name.cuda`` with launches that the interpreter runs.
        dtype: of the operands.
        lengths: of the rows.
    """
    return [m for v in op.variants for m in _of_variant(op, v, kernel, dtype, lengths)]


def _of_variant(op: Op, variant: Variant, kernel: Any, dtype: str, lengths: Sequence[int]) -> Iterator[Measured]:
    found = places(op, variant)
    known = next(v for v in kernel._caller.function.variants if v.suffix == variant.suffix).outputs
    tensors = [p.name for p in found if p.role.kind == "tensor"]
    targets = [p.name for p in found if p.name in tensors or (p.role.kind in ARRAYS and f"vjp_{p.name}" in known)]
    results: dict[str, list[Result]] = {}
    form = np.dtype(ulp.format_of(dtype).dtype)
    for n in (min(n, NESTED) if is_nested(found) else n for n in lengths):
        for batch in batches(op, variant, found, list(problems(op, variant, found, n)), form):
            for name, result in batch.results(kernel, targets):
                output = "value" if not name else "vjp" if name in tensors else f"vjp_{name}"
                results.setdefault(output, []).extend(result)
    return (_summary(variant.suffix, output, of, dtype) for output, of in results.items())


def is_nested(found: Sequence[Place]) -> bool:
    """Whether loops over a sample are nested, so that rows have to be short."""
    return len({a for p in found for a in p.axes if not a.isdigit()}) > 1 or any(p.role.kind == "labels" for p in found)


def batches(op: Op, variant: Variant, found: Sequence[Place], samples: list[Problem], form: Any) -> list[Batch]:
    """All samples as one call takes them; one by one where its arrays have no axis for several."""
    axes = next(p.role.axes for p in found if p.role.kind == "tensor")
    if any(isinstance(a, Axis) and 0 < a.rank <= len(axes) for a in axes):
        return [Batch(op, variant, found, [s], form, alone=True) for s in samples]
    return [Batch(op, variant, found, samples, form)]


@dataclass
class Batch:
    """Samples of one length, as one call takes them: what all samples share is that of the first.

    Attributes:
        op: the function.
        variant: one of its.
        found: its arguments.
        samples: with operands in no dtype yet.
        form: the dtype.
        alone: whether there is one sample, and no axis for several.
    """

    op: Op
    variant: Variant
    found: Sequence[Place]
    samples: list[Problem]
    form: Any
    alone: bool = False

    def __post_init__(self) -> None:
        common = {p.name: self.samples[0].arrays[p.name] for p in self.found if p.shared or p.number}
        self.rows = [
            {p.name: self.stored(p, {**s.arrays, **common}[p.name]) for p in self.found} for s in self.samples
        ]
        self.cotangents = [np.asarray(s.cotangent).astype(self.form) for s in self.samples]

    def stored(self, place: Place, value: Any) -> Any:
        return np.asarray(value).astype(self.form) if place.role.kind in ARRAYS else value

    def results(self, kernel: Any, targets: Sequence[str]) -> Iterator[tuple[str, list[Result]]]:
        """The value (without a name) and the gradients: entries of each sample, or of all, with what they should be."""
        each = zip(self.rows, self.cotangents, self.samples, strict=True)
        exact = [self._truth(r, g, s, targets) for r, g, s in each]
        called = self.called(kernel)
        labels = [s.place for s in self.samples]

        def roots(name: str) -> list[Callable[[], Any]]:
            return [functools.partial(self._beside_roots, [k], name) for k in range(len(self.samples))]

        yield "", list(zip(self._each(called.value()), [e[0] for e in exact], labels, roots(""), strict=True))
        for place in (p for p in self.found if p.name in targets):
            got = called.gradient(self.cotangent, place.name)
            wanted = [e[1][place.name] for e in exact]
            if place.shared:
                beside = functools.partial(self._beside_roots, range(len(self.samples)), place.name)
                yield place.name, [(got, _total(wanted), f"the sum over {len(wanted)} rows", beside)]
            else:
                yield place.name, list(zip(self._each(got), wanted, labels, roots(place.name), strict=True))

    def _beside_roots(self, samples: Sequence[int], name: str) -> Any:
        """Which entries of a result, summed over samples, change their sign where operands move by a share."""
        found = np.array([sum(self._moved(k, name, draw) for k in samples) for draw in range(-2, DRAWS)])
        return (np.min(found, axis=0) < 0) & (np.max(found, axis=0) > 0)

    def _moved(self, k: int, name: str, draw: int) -> Any:
        """The exact result of a sample whose operands have all grown or shrunk by the share, or at random."""
        rng, row = np.random.default_rng((k, draw + 2)), self.rows[k]
        moved = {p.name: np.asarray(row[p.name], np.float64) for p in self.found if p.role.kind == "tensor"}
        for n, v in moved.items():
            moved[n] = v * (1 + SHARE * (rng.uniform(-1, 1, v.shape) if draw >= 0 else 2.0 * draw + 3))
        value, gradients = self._truth({**row, **moved}, self.cotangents[k], self.samples[k], [name] if name else [])
        return np.ravel((gradients[name] if name else value)[0])

    def called(self, kernel: Any) -> Call:
        """The call of all samples."""
        return Call(self.op, self.variant, Device(kernel), self.stacked())

    @property
    def cotangent(self) -> Any:
        """Of all samples."""
        return self.cotangents[0] if self.alone else np.stack(self.cotangents)

    def _each(self, result: Any) -> Any:
        """The result of each sample."""
        return [result] if self.alone else result

    def _truth(self, row: Arrays, g: Any, problem: Problem, targets: Sequence[str]) -> tuple[Exact, dict[str, Exact]]:
        kinds = {p.name: p.role.kind for p in self.found}
        wide = {n: np.asarray(a, np.float64) if kinds[n] in ARRAYS else a for n, a in row.items()}
        return truth(self.variant.value, wide, problem.lengths, g.astype(np.float64), targets)

    def stacked(self) -> Arrays:
        """The operands of all samples."""
        if self.alone:
            return self.rows[0]
        return {p.name: self.rows[0][p.name] if p.shared or p.number else np.stack([r[p.name] for r in self.rows])
                for p in self.found}  # fmt: skip


class Device:
    """A kernel for arrays of a GPU, called with arrays in main memory."""

    def __init__(self, kernel: Any) -> None:
        self.kernel = kernel

    def _shown(self, keywords: Arrays) -> Arrays:
        operands = {a.name for a in self.kernel._caller.function.operands}
        return {k: DeviceArray(np.ascontiguousarray(v)) if k in operands else v for k, v in keywords.items()}

    def __call__(self, **keywords: Any) -> Any:
        return self.kernel(**self._shown(keywords)).memory

    def vjp(self, g: Any, wrt: Any, **keywords: Any) -> Any:
        return self.kernel.vjp(DeviceArray(g), wrt=wrt, **self._shown(keywords)).memory


def _total(terms: Sequence[Exact]) -> Exact:
    """The sum of what each sample gives, as a number and what it is missing."""
    parts = np.stack([part for pair in terms for part in pair])
    high = np.apply_along_axis(math.fsum, 0, parts)
    return high, np.apply_along_axis(math.fsum, 0, np.concatenate([parts, -high[None]]))


def _summary(suffix: str, output: str, results: Sequence[Result], dtype: str) -> Measured:
    worst, place, root, coarse, beyond, lost, count = 0.0, "", 0.0, 0.0, 0, 0, 0
    for got, exact, label, beside_roots in results:
        high, low = (np.ravel(v) for v in exact)
        values, finite = np.ravel(got).astype(np.float64), np.isfinite(high)
        form = ulp.format_of(dtype)
        normal = finite & (np.abs(high) >= form.tiny) & (np.abs(high) <= form.max)
        with np.errstate(all="ignore"):
            residual = np.where(finite, low / np.spacing(np.abs(high)), 0.0)
            exactly = Truth(high, low, residual, np.zeros(len(high), bool))
            sized = finite & ((high != 0) | (low != 0))  # what is exactly zero has no error in ULP
            errors = np.where(sized, ulp.error(np.ravel(got), exactly, dtype), 0.0)
            unit = float(np.spacing(np.float32(np.abs(high[finite]).max(initial=0.0))))
            rough = np.where((errors > BAR) | (finite & ~sized), np.abs(values - high) / unit, 0.0)
        lost += int(np.count_nonzero(normal & ((values == 0) | ~np.isfinite(values))))
        missed = errors > BAR
        count, beyond, coarse = count + len(high), beyond + int(np.sum(missed)), max(coarse, float(rough.max()))
        if missed.any():
            beside = missed & beside_roots()
            root = max(root, float(errors[beside].max(initial=0.0)))
            errors = np.where(beside, 0.0, errors)
        if errors.max() > worst:
            worst, place = float(errors.max()), label
    return Measured(suffix, output, worst, place, root, beyond / max(count, 1), coarse, lost)
