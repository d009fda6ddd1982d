"""The command `python -m benchmarks`: kernels and their peers in one run, as a table, JSON and a plot."""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import json
import math
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks import batches, derive, report, timing
from benchmarks.libraries import LIBRARIES
from benchmarks.run import Plan, Row, document, pieces, restored, within
from benchmarks.subjects import MODES, subjects
from symgen import ulp
from symgen.files import UserError
from symgen.runtime import set_num_threads

KINDS = ("elementwise", "rows", "loss")
SIZES = (1 << 3, 1 << 10, 1 << 16, 1 << 20, 1 << 24)
DTYPES = ("float32", "float64", "bfloat16")
QUICK_SIZES, QUICK_REPEATS, REPEATS = (1 << 3, 1 << 10, 1 << 16, 1 << 20), 5, 11


def arguments(tokens: Sequence[str] | None) -> argparse.Namespace:
    """What the command line says."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description="Time kernels and their peers on the same arrays in one run, in turns; medians over the repeats. "
        "Beside each time stand its ratio to a copy of the bytes that have to be moved, and the largest error in ULP.",
    )
    parser.add_argument("--functions", nargs="+", metavar="NAME", default=(), help="only these")
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=KINDS,
                        help="functions of elements, of rows, and losses with their gradient")
    parser.add_argument("--sizes", nargs="+", type=_size, metavar="N", help="numbers of elements, such as 1024 or 2^20")
    parser.add_argument("--dtypes", nargs="+", choices=tuple(ulp.FORMATS), help=f"default: {' '.join(DTYPES)}")
    parser.add_argument("--modes", nargs="+", choices=MODES, default=MODES)
    parser.add_argument("--outputs", nargs="+", choices=("given", "new"), default=("given", "new"),
                        help="whether calls are given arrays for their results")
    parser.add_argument("--libraries", nargs="+", choices=[each.name for each in LIBRARIES], metavar="NAME",
                        help=f"peers beside symgen and copy, of {', '.join(each.name for each in LIBRARIES[2:])}")
    parser.add_argument("--repeats", type=_count, help=f"rounds, {REPEATS} unless --quick")
    parser.add_argument("--minutes", type=float, metavar="N",
                        help="stop after so many: tasks are taken at random, and those that were not are counted")
    parser.add_argument("--threads", type=_count, metavar="N", help="of every library; as many as they like by default")
    parser.add_argument("--cpu", action="store_true",
                        help="processor time of one thread each, not wall time: for a machine that others use, too")
    parser.add_argument("--quick", action="store_true", help="float32 up to 2^20 elements, fewer rounds")
    parser.add_argument("--derive", action="store_true",
                        help="time derivations of the catalogue's functions instead, and builds of synthetic specs")
    parser.add_argument("--synthetic", type=int, default=1000, metavar="N", help="how many of these, 0 for none")
    parser.add_argument("--read", type=Path, nargs="+", metavar="FILE",
                        help="measure nothing: tell what these files of JSON say; a task counts in the last alone")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write everything that was measured")
    parser.add_argument("--plot", type=Path, metavar="FILE", help="draw time over the memory bound: .svg or .png")
    return parser.parse_args(tokens)


def _size(text: str) -> int:
    base, _, power = text.partition("^")
    try:
        found = int(base) ** int(power) if power else int(base)
    except ValueError:
        found = 0
    if found < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of elements")
    return found


def _count(text: str) -> int:
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of rounds")
    return int(text)


def plan(chosen: argparse.Namespace) -> Plan:
    """What to measure, of what the command line says."""
    wanted = chosen.libraries
    return Plan(
        modes=tuple(chosen.modes),
        dtypes=tuple(chosen.dtypes or (("float32",) if chosen.quick else DTYPES)),
        sizes=tuple(chosen.sizes or (QUICK_SIZES if chosen.quick else SIZES)),
        allocated=tuple(word == "new" for word in chosen.outputs),
        repeats=chosen.repeats or (QUICK_REPEATS if chosen.quick else REPEATS),
        libraries=tuple(x for x in LIBRARIES if wanted is None or x.name in (report.OWN, report.BOUND, *wanted)),
    )


def derivations(chosen: argparse.Namespace) -> int:
    """What deriving takes, apart from all kernels."""
    try:
        lines, data = derive.report(chosen.functions, chosen.synthetic)
    except KeyError as unknown:
        print(f"error: the catalogue has no function {unknown}", file=sys.stderr)
        return 2
    print("\n".join(lines))
    if chosen.json:
        chosen.json.write_text(json.dumps(data, indent=1) + "\n", encoding="utf-8")
    return 0


def limit(threads: int) -> None:
    """Let every library use so many threads."""
    set_num_threads(threads)
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS"):
        os.environ[name] = str(threads)
    if threads == 1:
        os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
    if importlib.util.find_spec("torch"):
        importlib.import_module("torch").set_num_threads(threads)


def main(tokens: Sequence[str] | None = None) -> int:
    """Run the benchmarks; the exit code is 0, or 2 after a mistake in the command."""
    try:
        chosen = arguments(tokens)
    except SystemExit as told:
        return int(told.code or 0)
    if chosen.derive:
        return derivations(chosen)
    if chosen.read:
        texts = [file.read_text(encoding="utf-8") for file in chosen.read]
        return _told(chosen, [row for text in texts for row in restored(json.loads(text)["results"])])
    what = plan(chosen)
    if chosen.cpu or chosen.threads:
        limit(1 if chosen.cpu else chosen.threads)
    timing.Clock.now = time.process_time if chosen.cpu else time.perf_counter
    try:
        functions = list(subjects(chosen.functions)) if "elementwise" in chosen.kinds else []
        whole = [b for b in batches.batches(chosen.functions) if b.kind in chosen.kinds]
    except UserError as mistake:
        print(f"error: {mistake}", file=sys.stderr)
        return 2

    def tell(line: str) -> None:
        print(line, file=sys.stderr, flush=True)

    work = [*pieces(what, functions, tell), *batches.pieces(what, whole, tell)]
    rows = within(work, 60 * chosen.minutes if chosen.minutes else math.inf, tell)
    if chosen.json:
        chosen.json.write_text(json.dumps(document(what, rows), allow_nan=False) + "\n", encoding="utf-8")
    return _told(chosen, rows)


def _told(chosen: argparse.Namespace, rows: Sequence[Row]) -> int:
    """Print and draw what was measured."""
    try:
        print("\n".join((*report.table(rows), "", *report.closing(rows))), flush=True)
    except BrokenPipeError:  # whoever read our output has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    if chosen.plot:
        try:
            report.plot(rows, chosen.plot)
        except ImportError:
            print("no plot: matplotlib is not installed: pip install '.[bench]'", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
