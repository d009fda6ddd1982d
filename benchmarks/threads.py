"""From how many elements several threads pay: `python -m benchmarks.threads` measures it, kernel by kernel.

A call on several threads costs something once (waking helpers, slices, waiting for the last) and divides the rest.
For each kernel this prints the time of one thread and of all of them at each size, and from which size on the latter is
shorter by a tenth. The cut of `symgen/runtime/threads.py` is that of the cheapest kernels, where it is largest.

Shortest times are compared, not medians: what is asked for is the cost of the machinery, not of a busy machine.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

import numpy as np

from benchmarks.subjects import Subject, subjects
from benchmarks.timing import measure
from symgen.runtime import get_num_threads, quick, set_num_threads, threads

CUT = threads.CUT
SIZES = tuple(1 << k for k in range(13, 22))
GAIN = 0.9  # of the time of one thread, at most, for several to be worth it


def times(subject: Subject, size: int, many: int, repeats: int) -> tuple[float, float]:
    """Seconds for one call on one thread, and on many, of a float32 array with an output given."""
    x, _ = subject.inputs(np.float32, size)
    out = np.empty_like(x)
    held = tuple(np.array([v], x.dtype) for v in subject.held)

    def call(n: int) -> None:
        set_num_threads(n)
        subject.kernel(x, *held, out=out, **subject.options)

    found = measure({"one": lambda: call(1), "many": lambda: call(many)}, repeats, least=0)
    return found["one"].best, found["many"].best


def cut(measured: Sequence[tuple[int, float, float]]) -> int | None:
    """The smallest size from which on many threads win at every size, or None.

    Example:
        >>> cut([(1, 1.0, 3.0), (2, 2.0, 1.0), (4, 4.0, 4.0), (8, 8.0, 5.0)])
        8
    """
    found = None
    for size, one, many in sorted(measured, reverse=True):
        if many > GAIN * one:
            break
        found = size
    return found


def main(tokens: Sequence[str] | None = None) -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.threads", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("functions", nargs="*", metavar="NAME", help="kernels to measure; all if none is named")
    parser.add_argument("--repeats", type=int, default=200)
    chosen = parser.parse_args(tokens)
    many = get_num_threads()
    for module in (threads, quick):  # divide everything
        vars(module).update(CUT=0, GRAIN=threads.LANES)
    print(f"{'function':14}{'size':>9}{'one thread':>12}{f'{many} threads':>12}  microseconds")
    cuts = {}
    for subject in subjects(chosen.functions):
        measured = [(size, *times(subject, size, many, chosen.repeats)) for size in SIZES]
        for size, one, several in measured:
            print(f"{subject.name:14}{size:9}{one * 1e6:12.1f}{several * 1e6:12.1f}")
        cuts[subject.name] = cut(measured)
        print(f"{subject.name:14}{many} threads pay from {cuts[subject.name] or 'no size measured'} elements on")
    set_num_threads(many)
    known = [c for c in cuts.values() if c is not None]
    if known:
        print(f"the largest of these cuts is {max(known)}; the runtime's is {CUT}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
