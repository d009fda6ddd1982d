"""How well a formula that nobody has seen comes out: its cores against the oracle, at points the build has not used."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from sympy import Expr, Symbol

from symgen import ulp
from symgen.derivation import DerivedVariant, Output
from symgen.operands import domain, finite
from symgen.oracle import Oracle
from symgen.pipeline import derive
from symgen.program import ProgramError
from symgen.settings import first_tensor, settings
from symgen.spec import Op, load
from symgen.stabilize.regimes import Unresolved
from symgen.truth import Flags, Floats

FOLDER = Path(__file__).parent / "specs"
ORDERS = {"value": 0, "grad": 1, "grad2": 2}
DTYPES = {"f32": "float32", "f64": "float64"}
SEED = 20260
SINGLE_BAR = 1.0  # ULP of float32, after rounding once
DOUBLE_BAR = 2.0
NEAR = 12  # floats on each side of every cut, kink and root
MOST_SETTINGS = 9
SLACK = 0.2  # of an octave: a reported stretch ends at probe points, a miss lies between them


@dataclass(frozen=True)
class Row:
    """One output of one formula for one target.

    Attributes:
        error: the largest error in ULP, after rounding once to the dtype.
        at: where it is, with the values of the options.
        missed: at how many of the points the bar is missed.
        silent: at how many of these the build itself has not said so.
        unknown: at how many points the oracle has no answer.
        segments: of its form.
        pieces: how many of them are polynomials fitted to the exact function.
    """

    name: str
    output: str
    target: str
    error: float
    at: Mapping[str, float]
    points: int
    missed: int
    silent: int
    unknown: int
    segments: int
    pieces: int


@dataclass(frozen=True)
class Measured:
    """One formula: its rows, the processor time of deriving, or the error that stopped it."""

    name: str
    rows: tuple[Row, ...]
    seconds: float
    free: bool
    failure: str = ""

    def of(self, output: str, target: str = "f32") -> Row | None:
        return next((r for r in self.rows if (r.output, r.target) == (output, target)), None)

    @property
    def passes(self) -> bool:
        """Value and first derivative within 1 ULP of float32 wherever they were measured."""
        rows = [self.of("value"), self.of("grad")]
        return all(r is not None and r.missed == 0 for r in rows)

    @property
    def silent(self) -> int:
        return sum(r.silent for r in self.rows if r.target == "f32" and r.output != "grad2")


def measured(op: Op, count: int = 10_000, targets: tuple[str, ...] = ("f32", "f64")) -> Measured:
    """Derive one formula and measure each output of its first variant."""
    start = time.process_time()
    free = settings(op, op.variants[0]) != ({},)
    try:
        variant = derive(op).variants[0]
    except ProgramError as error:
        return Measured(op.name, (), time.process_time() - start, free, str(error))
    except Exception as crash:  # noqa: BLE001  a traceback is a bug to be counted, not a reason to stop measuring
        return Measured(op.name, (), time.process_time() - start, free, f"CRASH {crash!r}")
    seconds = time.process_time() - start
    x = first_tensor(op).name
    wanted = {o.name: o.name.removesuffix(f"_{x}") for o in variant.outputs}
    rows = [
        replace(r, output=wanted[o.name])
        for o in variant.outputs if wanted[o.name] in ORDERS for r in _rows(op, variant, o, count, targets)
    ]  # fmt: skip
    return Measured(op.name, tuple(rows), seconds, free)


def _rows(op: Op, variant: DerivedVariant, output: Output, count: int, targets: tuple[str, ...]) -> Iterator[Row]:
    tried = settings(op, variant.variant)[:MOST_SETTINGS]
    for target in targets:
        dtype = DTYPES[target]
        total = Row(op.name, output.name, target, 0.0, {}, 0, 0, 0, 0, *_parts(output, target))
        for setting in tried:
            total = _worse(total, _row(op, output, target, dtype, setting, max(count // len(tried), 200)))
        yield total


def _worse(a: Row, b: Row) -> Row:
    error, at = max(((a.error, a.at), (b.error, b.at)), key=lambda e: e[0])
    counts = {k: getattr(a, k) + getattr(b, k) for k in ("points", "missed", "silent", "unknown")}
    return Row(a.name, a.output, a.target, error, at, segments=a.segments, pieces=a.pieces, **counts)


def _parts(output: Output, target: str) -> tuple[int, int]:
    segments = [s for r in output.forms[target].regions() for s in r.segments]
    return len(segments), sum(s.kind == "piece" for s in segments)


def _row(op: Op, output: Output, target: str, dtype: str, setting: Mapping[str, float], count: int) -> Row:
    x, order = first_tensor(op), output.order
    naive, symbol = _definition(op, output)
    oracle = Oracle(naive, symbol, 2, output.recognized if output.name == "value" and naive == output.naive else None)
    points = _points(output, target, dtype, domain(x), count)
    others = [setting[a.name] for a in op.operands if a.name in setting]
    if others:  # where two operands nearly agree, and beside what is opposite
        near = [o * (1 + s * 2.0**-k) for o in others for s in (1, -1) for k in range(2, 50, 4)]
        near = np.array([*near, *ulp.neighbourhood([s * o for o in others for s in (1, -1)], NEAR, dtype)])
        points = np.union1d(points, near.astype(dtype).astype(np.float64))
        points = points[(points >= domain(x)[0]) & (points <= domain(x)[1])]
    (truth,) = oracle.truth(points, setting, (order,))
    near = _sign_changes(points, truth.high)
    if near:
        more = ulp.neighbourhood(near, NEAR, dtype)
        more = more[(more >= points[0]) & (more <= points[-1])]
        points = np.unique(np.concatenate([points, more]))
        (truth,) = oracle.truth(points, setting, (order,))
    core = output.cores[target]
    values = [points if p == x.name else np.float64(setting[p]) for p in core.parameters]
    with np.errstate(all="ignore"):
        got = core.evaluate(values)[0].astype(dtype)
    error = ulp.error(got, truth, dtype)
    missed = error > (SINGLE_BAR if target == "f32" else DOUBLE_BAR)
    silent = missed & ~_reported(points, output.unresolved[target])
    known = np.nan_to_num(error, nan=0.0)
    worst = int(np.argmax(known))
    return Row(
        op.name, output.name, target, float(known[worst]), {x.name: float(points[worst]), **setting}, points.size,
        int(missed.sum()), int(silent.sum()), int(truth.unknown.sum()), *_parts(output, target),
    )  # fmt: skip


def _definition(op: Op, output: Output) -> tuple[Expr, Symbol]:
    """What an output is the value or a derivative of, and the variable, in the operands themselves."""
    name = first_tensor(op).name
    symbol = next((s for s in output.naive.free_symbols if s.name == name), None)
    if symbol is not None and len({a.name for a in op.operands} & {s.name for s in output.naive.free_symbols}) > 0:
        return output.naive, symbol
    there = {op.symbol(a.name): finite(a) for a in op.arguments if a.role.kind != "choice"}
    value = op.variants[0].value.xreplace(there)
    return value, there[op.symbol(name)]


def _points(output: Output, target: str, dtype: str, ends: tuple[float, float], count: int) -> Floats:
    """Fresh points: log-spaced over the whole range, denser where functions bend, and around every cut."""
    cuts = [s.lower for r in output.forms[target].regions() for s in r.segments[1:] if math.isfinite(s.lower)]
    spread = ulp.log_spaced(count, dtype, SEED)
    bends = np.random.default_rng(SEED).uniform(-30, 30, count // 10).astype(dtype).astype(np.float64)
    near = ulp.neighbourhood([*cuts, *_kinks(output)], NEAR, dtype)
    points = np.unique(np.concatenate([spread, bends, near, ulp.specials(dtype)]))
    return points[(points >= ends[0]) & (points <= ends[1])]


def _kinks(output: Output) -> list[float]:
    """Numbers in the formula's conditions: where its cases change, if they change at a number."""
    found: set[float] = set()
    for region in output.forms["f64"].regions():
        if region.condition is not None:
            found |= {float(n) for n in region.condition.atoms() if n.is_number and n.is_real and n.is_finite}
    return sorted(found | {-v for v in found})


def _sign_changes(points: Floats, truth: Floats) -> list[float]:
    known = np.flatnonzero(np.isfinite(truth) & (truth != 0))
    left, right = known[:-1], known[1:]
    change = np.flatnonzero(np.sign(truth[left]) * np.sign(truth[right]) < 0)[:20]
    return [float(points[left[i]] / 2 + points[right[i]] / 2) for i in change]


def _reported(points: Floats, stretches: tuple[Unresolved, ...]) -> Flags:
    flags = np.zeros(points.shape, bool)
    for s in stretches:
        low = s.lower * 2 ** (-SLACK if s.lower > 0 else SLACK)
        high = s.upper * 2 ** (SLACK if s.upper > 0 else -SLACK)
        flags |= (points >= low) & (points <= high)
    return flags


def corpus(only: tuple[str, ...] = (), files: tuple[str, ...] = ()) -> Iterator[tuple[str, Op]]:
    """The file and the op of every formula, or of those asked for."""
    for file in sorted(FOLDER.glob("*.py")):
        if files and file.stem not in files:
            continue
        for name, op in load(file).items():
            if not only or name in only:
                yield file.stem, op
