"""Measures kernels of rows against their definitions: every entry of value and gradients on rows that are hard."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from symgen import ulp
from symgen.certificate import ROWS, Certificate, Row
from symgen.certify_survey import DTYPES
from symgen.rows.derive import Place, places, sample_axes
from symgen.rows.reference import truth
from symgen.rows.samples import ARRAYS, Arrays, Problem, problems, sample
from symgen.spec import Op, Variant
from symgen.spec.model import Parts, Role
from symgen.truth import Truth

LENGTHS = (1, 2, 3, 10, 33)
LONG, MOST = 100, 10  # of one axis alone, of each of several or beside a list of classes: ball arithmetic is slow
Progress = Callable[[str, float], None]


def certify_rows(
    op: Op,
    kernel: Any,
    *,
    digest: str = "",
    dtypes: Sequence[str] = DTYPES,
    progress: Progress | None = None,
    lengths: Sequence[int] = LENGTHS,
) -> Certificate:
    """Measure a row function: each entry of its value and of its gradients, one sample at a time.

    Args:
        op: what the kernel claims to compute.
        kernel: called as ``kernel(*operands, **options)`` and ``kernel.vjp(g, *operands, wrt=(name,), **options)``.
        digest: hash of the kernel's files, to be kept in the certificate.
        dtypes: which to measure.
        progress: called with what is being done and the fraction that is done.
        lengths: of the rows; one of `LONG` comes to it where the operands have one axis, none above `MOST` where more.

    Returns:
        The certificate: a row for each output, variant and dtype; entries that have no finite truth are not counted.
    """
    rows: list[Row] = []
    for i, variant in enumerate(op.variants):
        found = places(op, variant)
        tasks = list(_problems(op, variant, found, lengths))
        for j, dtype in enumerate(dtypes):
            if progress:
                what = f" ({variant.suffix})" if variant.suffix else ""
                progress(f"{op.name}{what}: {dtype}", (i + j / len(dtypes)) / len(op.variants))
            rows += _measured(op, variant, found, kernel, tasks, dtype)
    return Certificate(op.name, digest, tuple(rows))


def _problems(op: Op, variant: Variant, found: Sequence[Place], lengths: Sequence[int]) -> Iterator[Problem]:
    """Each hard row in each length as the first tensor, the other operands at random."""
    several = len({a for p in found for a in p.axes}) > 1 or any(p.role.kind == "labels" for p in found)
    for n in (*(n for n in lengths if not several or n <= MOST), *([] if several else [LONG])):
        yield from problems(op, variant, found, n)


def _measured(
    op: Op, variant: Variant, found: Sequence[Place], kernel: Any, tasks: Sequence[Problem], dtype: str
) -> list[Row]:
    """The rows of one variant in one dtype."""
    form = ulp.format_of(dtype)
    tensors = [p.name for p in found if p.role.kind == "tensor"]
    targets = [p.name for p in found if p.role.kind in ARRAYS and _has_gradient(kernel, op, variant, p)]
    outputs = {"value": "value"} | {t: "vjp" if t in tensors else f"vjp_{t}" for t in targets}
    settings = _settings(op, variant, tasks[0].arrays)
    rows = {o: Row(o, dtype, settings, situations=(ROWS,)) for o in outputs.values()}
    for task in tasks:
        arrays = {p.name: _stored(task.arrays[p.name], p, form.dtype) for p in found}
        g = np.asarray(task.cotangent).astype(form.dtype)
        exact = {n: np.asarray(a, np.float64) if p.role.kind in ARRAYS else a for n, a, p in _named(arrays, found)}
        value, gradients = truth(variant.value, exact, task.lengths, g.astype(np.float64), targets)
        call = Call(op, variant, kernel, arrays)
        rows["value"] = _worse(rows["value"], call.value(), value, task.place, dtype)
        for target in targets:
            row = rows[outputs[target]]
            rows[outputs[target]] = _worse(row, call.gradient(g, target), gradients[target], task.place, dtype)
    first = replace(rows["value"], nan=_gives_nan(op, variant, kernel, found, tasks, form))
    return [first, *(r for o, r in rows.items() if o != "value")]


def _stored(value: Any, place: Place, dtype: Any) -> Any:
    return np.asarray(value).astype(dtype) if place.role.kind in ARRAYS else value


def _named(arrays: Arrays, found: Sequence[Place]) -> Iterator[tuple[str, Any, Place]]:
    return ((p.name, arrays[p.name], p) for p in found)


@dataclass(frozen=True)
class Call:
    """The public function at one sample."""

    op: Op
    variant: Variant
    kernel: Any
    arrays: Arrays

    @property
    def keywords(self) -> dict[str, Any]:
        chosen = dict(self.variant.settings)
        options = {a.name: chosen[a.name] for a in self.op.options if a.name in chosen and chosen[a.name] != "given"}
        whole = {a.name: int(self.arrays[a.name]) for a in self.op.options if a.role.kind == "int"}
        arrays = {a.name: joined(self.arrays[a.name], a.role) for a in self.op.operands if a.name in self.arrays}
        reduction = {"reduction": "none"} if self.op.kind == "loss" else {}
        return {**self.arrays, **arrays, **whole, **options, **reduction}

    def value(self) -> Any:
        with np.errstate(all="ignore"):
            return self.kernel(**self.keywords)

    def gradient(self, g: Any, target: str) -> Any:
        with np.errstate(all="ignore"):
            return self.kernel.vjp(g, wrt=(target,), **self.keywords)


def joined(value: Any, role: Role) -> Any:
    """An operand as it is passed: an axis of parts is one axis, of all parts one after the other; others come first."""
    if not any(isinstance(axis, Parts) for axis in role.axes):
        return value
    left = list(np.shape(value))
    batch = len(left) - len(sample_axes(role))
    own = [left.pop(batch) * (left.pop(batch) if isinstance(axis, Parts) else 1) for axis in role.axes]
    return np.reshape(value, left + own)


def _has_gradient(kernel: Any, op: Op, variant: Variant, place: Place) -> bool:
    arrays, _ = sample(op, variant, 3, 0)
    try:
        Call(op, variant, kernel, arrays).gradient(1.0, place.name)
    except ValueError as error:
        if "no derivative" not in str(error):
            raise
        return False
    return True


def _settings(op: Op, variant: Variant, arrays: Arrays) -> tuple[tuple[str, Any], ...]:
    """What chooses the variant, and the numbers that were used."""
    chosen = {k: v for k, v in variant.settings if v != "given"}
    return tuple((a.name, v) for a in op.arguments if (v := {**arrays, **chosen}.get(a.name, ())) is None
                 or (isinstance(v, str | bool | int | float) and (a.role.is_option or a.role.kinds)))  # fmt: skip


def _worse(row: Row, got: Any, exact: tuple[Any, Any], place: str, dtype: str) -> Row:
    """A row with the entries of one more result."""
    high, low = (np.ravel(v) for v in exact)
    known = np.isfinite(high)
    with np.errstate(all="ignore"):
        residual = np.where(known, low / np.spacing(np.abs(high)), 0.0)
    want = Truth(high, low, residual, np.zeros(len(high), bool))
    values = np.ravel(np.asarray(got))
    nothing = known & (high == 0) & (low == 0)
    errors = np.where(known & ~nothing, ulp.error(values, want, dtype), 0.0)
    worst = float(f"{errors.max(initial=0.0):.6g}")
    form, numbers = ulp.format_of(dtype), values.astype(np.float64)
    lost = known & (numbers == 0) & (np.abs(high) >= form.tiny)
    remains = [row.remains or 0.0, *np.abs(numbers[nothing])]
    return replace(
        row,
        inputs=row.inputs + int(np.count_nonzero(known)),
        error=max(row.error, worst),
        place=place if worst > row.error else row.place,
        misrounded=row.misrounded + int(np.count_nonzero(known & (numbers != ulp.rounded(want, dtype)))),
        nonfinite=row.nonfinite + int(np.count_nonzero(known & ~np.isfinite(numbers) & (np.abs(high) <= form.max))),
        zeros=row.zeros + int(np.count_nonzero(lost)),
        remains=float(f"{np.max(remains):.6g}") if nothing.any() else row.remains,
    )


def _gives_nan(
    op: Op, variant: Variant, kernel: Any, found: Sequence[Place], tasks: Sequence[Problem], form: ulp.Format
) -> bool:
    """Whether NaN in every entry of a tensor gives NaN."""
    arrays = {p.name: _stored(tasks[-1].arrays[p.name], p, form.dtype) for p in found}  # of the longest rows
    results = [
        Call(op, variant, kernel, {**arrays, p.name: np.full_like(arrays[p.name], np.nan)}).value()
        for p in found
        if p.role.kind == "tensor"
    ]
    return all(bool(np.isnan(np.asarray(r).astype(np.float64)).any()) for r in results)
