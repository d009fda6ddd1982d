"""Measures functions of rows outside the catalogue, on rows of its own: ``python -m tests.unseen.of_rows [NAME]``."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from symgen.certificate import ROWS, bar
from symgen.program import ProgramError
from symgen.rows.derive import DerivedRows, derive
from symgen.rows.measure import DTYPES, Samples, measured
from symgen.rows.samples import Problem, ends, problems
from symgen.spec import Op, load

FOLDER = Path(__file__).parent / "specs_of_rows"
LENGTHS = (1, 2, 3, 6)


@dataclass(frozen=True)
class Line:
    """One output for one dtype: on how many rows it misses its bar, the worst one, and whether the build says so."""

    output: str
    target: str
    error: float
    place: str
    missed: int
    rows: int
    told: bool

    @property
    def silent(self) -> bool:
        return self.missed > 0 and not self.told


@dataclass(frozen=True)
class MeasuredRows:
    """One function: the lines of its first variant, the processor time of deriving, or what stopped it."""

    name: str
    lines: tuple[Line, ...]
    seconds: float
    failure: str = ""

    @property
    def passes(self) -> bool:
        """Whether values and gradients in all tensors hold their bars on every row."""
        wanted = [line for line in self.lines if line.output in ("value", "vjp", "value_and_grad")]
        return bool(wanted) and not any(line.missed for line in wanted)

    @property
    def silent(self) -> bool:
        return any(line.silent for line in self.lines)


def measure(op: Op, extremes: bool = False) -> MeasuredRows:
    """Derive a function of rows and measure values and gradients of its first variant.

    Args:
        op: the function.
        extremes: whether rows of 1e-30 and of 1e30 are asked for, too.
    """
    start = time.process_time()
    try:
        derived = measured(derive(op)).variants[0]
    except ProgramError as error:
        return MeasuredRows(op.name, (), time.process_time() - start, str(error))
    seconds = time.process_time() - start
    outputs = [o for o in derived.outputs if not o.along and not o.name.startswith("share")]
    wrt = tuple(dict.fromkeys(n for o in outputs for n in o.wrt))
    lines = []
    for target, dtype in DTYPES.items():
        found = []
        for n in LENGTHS:
            hard = tuple(_rows(op, derived, n, extremes))
            samples = Samples.of(derived, hard, dtype, wrt)
            found.append((hard, [samples.errors(derived, o, target) for o in outputs]))
        for i, output in enumerate(outputs):
            errors = np.concatenate([of_length[i] for _, of_length in found])
            places = [p.place for hard, _ in found for p in hard]
            worst = int(np.argmax(errors))
            lines.append(Line(output.name, target, float(errors[worst]), places[worst], int(
                (errors > bar(dtype, (ROWS,))).sum()), errors.size, bool(output.unresolved[target])))
    return MeasuredRows(op.name, tuple(lines), seconds)


def _rows(op: Op, derived: DerivedRows, n: int, extremes: bool) -> Iterator[Problem]:
    """The rows of certificates, others like them, and second operands that are near, far, or twice the first."""
    known = list(problems(op, derived.variant, derived.places, n))
    yield from known
    first, *others = (p for p in derived.places if p.role.kind == "tensor")
    usual, low = known[0], ends(first, -np.inf, np.inf)[0]
    rng = np.random.default_rng(n)
    made = {
        "of 1e-3": 1e-3 * rng.normal(size=n), "beside 1e4": 1e4 + rng.normal(size=n),
        "beside 5": 5 + 1e-4 * rng.normal(size=n), "of 30": 30 * rng.normal(size=n), "zeros": np.zeros(n),
        "two of 30": np.concatenate([np.full(min(2, n), 30.0), rng.normal(size=n)])[:n],
        "below": -50 + rng.normal(size=n),
    }  # fmt: skip
    if extremes:
        made |= {"of 1e-30": 1e-30 * rng.normal(size=n), "of 1e30": 1e30 * rng.normal(size=n)}
    for place, row in made.items():
        if np.shape(usual.arrays[first.name]) != (n,):
            return
        own = np.maximum(np.abs(row), low) if low > -np.inf else row
        changed = replace(usual, place=f"{place}, {n}", arrays={**usual.arrays, first.name: own})
        yield changed
        for other in (p for p in others[:1] if np.shape(usual.arrays[p.name]) == (n,)):
            near, apart = own * (1 + 1e-6 * rng.normal(size=n)), own[::-1] + rng.uniform(1, 2)
            for what, second in {"near": near, "twice": 2 * own, "apart": apart}.items():
                yield replace(changed, place=f"{place} and {what}, {n}", arrays={**changed.arrays, other.name: second})


def show(one: MeasuredRows) -> None:
    """A line for the function, and one for each output that misses."""
    mark = "ok  " if one.passes else "MISS"
    print(f"{mark} {one.name:24} {one.seconds:5.1f}s  {one.failure}")
    for line in one.lines:
        if line.missed:
            told = "SILENT" if line.silent else "told"
            print(f"       {line.output:18} {line.target} {line.error:9.3g} ULP at {line.place}; "
                  f"missed {line.missed} of {line.rows} rows, {told}")  # fmt: skip
    sys.stdout.flush()


def main() -> int:
    """Measure all functions, or those that are named."""
    parser = argparse.ArgumentParser(prog="python -m tests.unseen.of_rows", description=__doc__)
    parser.add_argument("functions", nargs="*", help="names; all of them if none is given")
    parser.add_argument("--extremes", action="store_true", help="rows of 1e-30 and of 1e30, too")
    options = parser.parse_args()
    ops = load(FOLDER)
    wanted = options.functions or list(ops)
    results = [measure(ops[name], options.extremes) for name in wanted]
    for one in results:
        show(one)
    double, single = (bar(d, (ROWS,)) for d in DTYPES.values())
    told = sum(not r.passes and not r.silent for r in results)
    print(f"{sum(r.passes for r in results)} of {len(results)} within {single:g} ULP float32 and {double:g} float64")
    print(f"    in value and gradients of all operands; of the others the build tells of {told}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
