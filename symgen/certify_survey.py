"""The truth of one function of one variable wherever it is worth knowing, and what a kernel makes of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Executor
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import sympy as sp
from flint import arb
from numpy.typing import NDArray
from sympy import Expr

from symgen import ulp
from symgen.certificate import ERROR_FUNCTION, SEVERAL, Limit, Row
from symgen.certify_cases import Along, Case, CertifyError
from symgen.features import SIGN, kinks, merge, roots
from symgen.oracle import Oracle
from symgen.truth import Flags, Floats, Truth

DTYPES = ("float64", "float32", "float16", "bfloat16")
Array = NDArray[Any]
Progress = Callable[[str, float], None]


@dataclass(frozen=True)
class Knowledge:
    """What the derivation of a variant adds.

    Attributes:
        cuts: where its code changes.
        equal: a form proved equal to its formula.
        sides: forms that calculus and rules have made of it and of its derivatives, each with the order of derivative
            that it equals and the sign of the inputs for which it does, 0 for all.
    """

    cuts: tuple[float, ...] = ()
    equal: Expr | None = None
    sides: tuple[tuple[Expr, int, int], ...] = ()

    def forms(self, order: int, sign: int) -> tuple[tuple[Expr, int], ...]:
        """What a derivative is known to be at inputs of a sign: formulas, and how often each is differentiated yet."""
        equal = () if self.equal is None else ((self.equal, 0),)
        sides = ((form, done) for form, done, side in self.sides if done in (0, order) and side in (0, sign))
        return (*equal, *sides)


@dataclass(frozen=True)
class Effort:
    """How much is measured.

    Attributes:
        points32: float32 points of both signs at the base setting.
        points64: the same for float64.
        others: the fraction of these points at other settings of the options.
        gradients: the fraction of these points for the gradient in each parameter.
        near: floats on each side of every cut, kink and root.
        dtypes: which dtypes.
    """

    points32: int = 1_000_000
    points64: int = 100_000
    others: float = 0.1
    gradients: float = 0.1
    near: int = 1000
    dtypes: tuple[str, ...] = DTYPES


class Survey:
    """One case along one of its symbols: truth at all points, and the rows that a kernel gets from it.

    Args:
        case: the formula and the values of everything else.
        along: what to differentiate by; the operand itself, or a parameter at each value of the operand.
        known: what the derivation says.
        effort: how many points.
        executor: where truth is computed, None for here.
        progress: called with what is being done and the fraction of this case that is done.
    """

    def __init__(
        self, case: Case, along: Along, known: Knowledge, effort: Effort, executor: Executor | None, progress: Progress
    ) -> None:
        self.case, self.along, self.known, self.effort = case, along, known, effort
        self.executor, self.progress = executor, progress
        self.parameters = dict(case.parameters)
        self.orders = tuple(order for _, order in along.outputs)
        self.oracle = Oracle(case.expression, along.symbol, max(self.orders), known.equal)
        self.features: dict[str, tuple[float, ...]] = {}
        self.points: dict[str, Floats] = {}
        self.truths: dict[str, dict[int, Truth]] = {}
        self._measure_truth()

    # --- truth ------------------------------------------------------------------------------------------------------

    def _measure_truth(self) -> None:
        share = (1.0 if self.case.base else self.effort.others) * (
            1.0 if self.along.is_operand else self.effort.gradients
        )
        counts = {"float32": self.effort.points32, "float64": self.effort.points64}
        half = [ulp.all_values(d) for d in self.effort.dtypes if d in ("float16", "bfloat16")]
        for i, dtype in enumerate(("float64", "float32")):
            self.progress(f"truth of {self.along.title} at {dtype} points", 0.1 + 0.3 * i)
            grid = [ulp.log_spaced(int(counts[dtype] * share), dtype), ulp.specials(dtype), self._meeting()]
            self._add(dtype, np.concatenate(grid + (half if dtype == "float32" else [])))
        self._find_features()
        self.progress(f"truth of {self.along.title} near cuts, kinks and roots", 0.75)
        centres = merge(*self.features.values())
        for dtype in ("float64", "float32"):
            self._add(dtype, ulp.neighbourhood(centres, self.effort.near, dtype))

    def _meeting(self) -> Floats:
        """Where the operand meets one that is held fixed: there a loss has its root, perhaps without changing sign."""
        return np.array([v for _, v in self.case.operands if v is not None], np.float64)

    def _add(self, dtype: str, points: Floats) -> None:
        """Extend the points of a dtype, whose truth is computed once."""
        old = self.points.get(dtype, np.empty(0))
        new = np.setdiff1d(points[ulp.inside(points, self.case.limits)], old)
        both = np.concatenate([old, new])
        order = np.argsort(both, kind="stable")
        before = self.truths.get(dtype)
        found = dict(zip(self.orders, self._truth(new), strict=True))
        joined = {k: Truth.join([before[k], t]) if before else t for k, t in found.items()}
        self.points[dtype] = both[order]
        self.truths[dtype] = {k: t[order] for k, t in joined.items()}

    def _truth(self, points: Floats) -> tuple[Truth, ...]:
        if self.along.is_operand:
            return self.oracle.truth(points, self.parameters, self.orders, self.executor)
        at = np.full(points.shape, self.parameters[self.along.name])
        return self.oracle.truth(at, self.parameters | {self.case.operand: points}, self.orders, self.executor)

    def _ball(self, order: int, x: float) -> arb | None:
        """The sign of one derivative, as a ball, where the operand is x."""
        if self.along.is_operand:
            return self.oracle.ball(x, order, self.parameters, SIGN)
        at = self.parameters[self.along.name]
        return self.oracle.ball(at, order, self.parameters | {self.case.operand: x}, SIGN)

    def _find_features(self) -> None:
        self.progress("roots and kinks", 0.7)
        self.features["cuts"] = merge(self.known.cuts)
        self.features["kinks"] = kinks(self.case.expression, self.case.symbol, self.parameters)
        for name, order in self.along.outputs:
            found = [
                roots(partial(self._ball, order), self.points[d], self.truths[d][order]) for d in ("float64", "float32")
            ]
            self.features[f"roots of {name}"] = merge(*found)

    # --- rows -------------------------------------------------------------------------------------------------------

    def rows(self, kernel: Any) -> list[Row]:
        """One row for each output and dtype."""
        found = []
        for i, (output, order) in enumerate(self.along.outputs):
            for dtype in self.effort.dtypes:
                self.progress(f"{output} {dtype}", 0.8 + 0.05 * i)
                found.append(self._row(output, order, dtype, partial(call, kernel, self.case, output, order)))
        return found

    def _row(self, output: str, order: int, dtype: str, call: Callable[[Array], Array]) -> Row:
        form = ulp.format_of(dtype)
        exhaustive = form.bits <= 16
        store = "float64" if dtype == "float64" else "float32"
        points, truth = self.points[store], self.truths[store][order]
        if exhaustive:
            chosen = np.isin(points, ulp.all_values(dtype))
            points, truth = points[chosen], truth[chosen]
        if np.any(points == 0):  # the other zero
            where = np.append(np.arange(len(points)), np.flatnonzero(points == 0))
            points, truth = np.append(points, -0.0), truth[where]
        near = np.isin(points, ulp.neighbourhood(self.features[f"roots of {output}"], self.effort.near, dtype))
        nothing = np.full(1, np.nan).astype(form.dtype)
        return Row(
            output=output,
            dtype=dtype,
            settings=self.case.settings,
            sampled=not exhaustive,
            nan=bool(np.isnan(call(nothing).astype(np.float64))[0]),
            limits=tuple(self._limits(order, form, call)) if self.along.is_operand else (),
            situations=situations(self.case),
            **measured(points, call(points.astype(form.dtype)), truth, near, dtype),
        )

    def _limits(self, order: int, form: ulp.Format, call: Callable[[Array], Array]) -> Iterator[Limit]:
        for sign in (-1, 1):
            at = np.full(1, sign * np.inf)
            if ulp.inside(at, self.case.limits)[0]:
                want = self.oracle.limit(sign, order, self.parameters)
                if want is not None:
                    got = call(at.astype(form.dtype)).astype(np.float64)[0]
                    yield Limit(float(at[0]), float(np.asarray(want).astype(form.dtype)), float(got))


def call(kernel: Any, case: Case, output: str, order: int, x: Array) -> Array:
    """The kernel's value or derivative at an array, checked to be of the same dtype and shape."""
    options: dict[str, Any] = {n: x if v is None else np.full(1, v).astype(x.dtype) for n, v in case.operands}
    operands, options = ([] if options else [x]), options | dict(case.options)
    with np.errstate(all="ignore"):
        if order == 0:
            result = kernel(*operands, **options)
        elif output in ("grad", "grad2"):
            result = kernel.grad(*operands, order=order, **options)
        else:
            name = output.partition("_")[2]
            result = kernel.grad(*operands, order=order, wrt=(name,), **options)
    got = np.asarray(result)
    if got.dtype != x.dtype or got.shape != x.shape:
        raise CertifyError(f"{output} of {x.dtype}{list(x.shape)} came back as {got.dtype}{list(got.shape)}")
    return got


def measured(points: Floats, got: NDArray[Any], truth: Truth, near: Flags, dtype: str) -> dict[str, Any]:
    """Compare results with the truth: the figures of a `Row`.

    Args:
        points: float64 (n,), the inputs.
        got: (n,), results in the dtype.
        truth: of length n.
        near: bool (n,), inputs in the neighbourhood of a root.
        dtype: of the results.
    """
    form = ulp.format_of(dtype)
    values = got.astype(np.float64)
    known = ~np.isnan(truth.high)
    errors = np.where(known, ulp.error(got, truth, dtype), 0.0)
    size = np.abs(truth.high)
    nonfinite = known & ~np.isfinite(values) & (size <= form.max)
    zeros = known & (values == 0) & (size >= form.tiny) & ~near  # beside a root its error says it
    worst, at = _worst(points, errors, ~near)
    root_worst, root_at = _worst(points, errors, near & known)
    return {
        "inputs": int(np.count_nonzero(known)),
        "error": worst or 0.0,
        "at": at,
        "root_error": root_worst,
        "root_at": root_at,
        "misrounded": int(np.count_nonzero(known & (values != ulp.rounded(truth, dtype)))),
        "nonfinite": int(np.count_nonzero(nonfinite)),
        "nonfinite_at": _first(points, nonfinite),
        "zeros": int(np.count_nonzero(zeros)),
        "zeros_at": _first(points, zeros),
        "unknown": int(np.count_nonzero(truth.unknown)),
    }


def _worst(points: Floats, errors: Floats, among: Flags) -> tuple[float | None, float | None]:
    """The largest error, to six digits, and the first input that has it; None where there are no inputs."""
    if not among.any():
        return None, None
    i = int(np.argmax(np.where(among, errors, -1.0)))
    return float(f"{errors[i]:.6g}"), float(points[i]) if errors[i] > 0 else None


def _first(points: Floats, where: Flags) -> float | None:
    found = np.flatnonzero(where)
    return float(points[found[np.argmin(np.abs(points[found]))]]) if len(found) else None


def situations(case: Case) -> tuple[str, ...]:
    """Which special bars apply to a formula: its operand occurs only inside error functions, or beside other data."""
    functions = case.expression.atoms(sp.erf, sp.erfc)
    outside: Expr = case.expression.xreplace({f: sp.Dummy() for f in functions})
    found = (ERROR_FUNCTION,) if functions and case.symbol not in outside.free_symbols else ()
    data = {s.name for s in case.expression.free_symbols} & {n for n, _ in case.operands}
    return (*found, SEVERAL) if case.is_loss and len(data) > 1 else found
