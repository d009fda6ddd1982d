"""Measures every formula of the corpus and prints the score: ``python -m tests.unseen [--file NAME] [formula ...]``."""

from __future__ import annotations

import argparse
import json
import statistics
import sys
from dataclasses import asdict
from pathlib import Path

from tests.unseen.measure import Measured, Row, corpus, measured


def main() -> int:
    """Measure, print a line for each output, and a summary for each file."""
    parser = argparse.ArgumentParser(prog="python -m tests.unseen", description=__doc__)
    parser.add_argument("formulas", nargs="*", help="names; all of them if none is given")
    parser.add_argument("--file", action="append", default=[], help="a file of tests/unseen/specs, without .py")
    parser.add_argument("--count", type=int, default=10_000, help="fresh points for each output and dtype")
    parser.add_argument("--target", choices=("f32", "f64"), action="append", help="both if not said")
    parser.add_argument("--json", type=Path, help="write every row here")
    parser.add_argument("--bad", action="store_true", help="print only what misses a bar")
    options = parser.parse_args()
    by_file: dict[str, list[Measured]] = {}
    for file, op in corpus(tuple(options.formulas), tuple(options.file)):
        one = measured(op, options.count, tuple(options.target or ("f32", "f64")))
        by_file.setdefault(file, []).append(one)
        show(one, options.bad)
    for file, results in by_file.items():
        print(summary(file, results))
    everything = [m for results in by_file.values() for m in results]
    print(summary("total", everything))
    if options.json:
        options.json.write_text(json.dumps([asdict(m) for m in everything], indent=1), encoding="utf-8")
    return 0


def show(one: Measured, bad_only: bool = False) -> None:
    """A line for each output: errors, where, segments and pieces, and what the build has not reported."""
    mark = "ok  " if one.passes else "MISS"
    if one.failure:
        print(f"{mark} {one.name:22} {one.seconds:5.1f}s  {one.failure}")
    elif not bad_only or not one.passes:
        print(f"{mark} {one.name:22} {one.seconds:5.1f}s")
    for row in one.rows:
        if row.missed or not bad_only:
            print(line(row))
    sys.stdout.flush()


def line(row: Row) -> str:
    """One row, for reading."""
    where = ", ".join(f"{k}={v!r}" for k, v in row.at.items())
    missed = f"; missed {row.missed} of {row.points}, silent {row.silent}" if row.missed else ""
    unknown = f"; unknown {row.unknown}" if row.unknown else ""
    size = f"{row.segments} segments, {row.pieces} pieces"
    return f"       {row.output:6} {row.target} {row.error:9.3g} ULP at {where}; {size}{missed}{unknown}"


def summary(title: str, results: list[Measured]) -> str:
    """The score of a group of formulas."""
    good = sum(m.passes for m in results)
    silent = sum(m.silent > 0 for m in results)
    rows = [r for m in results for r in m.rows]
    second = [m for m in results if (r := m.of("grad2")) is not None and r.missed == 0]
    double = [m for m in results if all(r.missed == 0 for r in m.rows if r.target == "f64" and r.output != "grad2")]
    pieces = sum(r.pieces for r in rows if r.target == "f32" and r.output != "grad2")
    measured64 = any(r.target == "f64" for r in rows)
    wide = f"; float64 within 2 ULP in value and first derivative {len(double)}" if measured64 else ""
    times = [m.seconds for m in results]
    return (
        f"{title}: {good} of {len(results)} within 1 ULP float32 in value and first derivative\n"
        f"    misses that the build did not report in {silent}\n"
        f"    second derivative {len(second)}{wide}\n"
        f"    pieces in float32 values and first derivatives {pieces}\n"
        f"    seconds to derive: median {statistics.median(times):.2f}, largest {max(times):.2f}"
    )


if __name__ == "__main__":
    sys.exit(main())
