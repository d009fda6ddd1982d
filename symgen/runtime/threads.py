"""Elementwise loops on several threads: the caller and a few helpers take chunks of the arrays until none are left.

The caller works too and waits for nothing but chunks that a helper has begun. So a call always finishes: with helpers
that are busy with another thread's call, that a fork has left behind, or that a dying interpreter no longer schedules.
Every element is computed by the same operations whatever the chunks, so results are the same to the last bit for any
number of threads.
"""

from __future__ import annotations

import _thread
import os
import sys
import warnings
from collections import deque
from collections.abc import Callable, Sequence
from queue import SimpleQueue
from typing import Any, Final

VARIABLES: Final = ("SYMGEN_NUM_THREADS", "OMP_NUM_THREADS")  # the first that holds a number decides

# Elements from which several threads beat one, also for the cheapest kernels, which take 0.5 nanoseconds an element:
# chunks and helpers cost 20 to 25 microseconds a call, waking a helper some 10 more, and two threads save half of the
# 70 microseconds that one needs. `python -m benchmarks.threads` measures it for every kernel.
CUT: Final = 1 << 17
GRAIN: Final = 1 << 15  # elements of a chunk at least: 20 microseconds of work for one microsecond of handing over
SHARE: Final = 4  # chunks for each thread, so that one that is held up leaves its share to the others
LANES: Final = 256  # chunks begin at multiples of it: whole vectors and cache lines, and the tiles that some loops take


class _Job:
    """The chunks of one call that nobody has begun yet."""

    __slots__ = ("chunks", "count", "done", "task")

    def __init__(self, task: Callable[[int, int], object], chunks: deque[tuple[int, int]]) -> None:
        self.task: Callable[[int, int], object] | None = task
        self.chunks = chunks
        self.count = len(chunks)
        self.done: SimpleQueue[BaseException | None] = SimpleQueue()

    def help(self) -> None:
        """Work on chunks while there are any; tell of each what became of it."""
        task = self.task
        while task is not None and (chunk := self._take()) is not None:
            try:
                task(*chunk)
            except BaseException as error:  # noqa: BLE001  whatever it is, the caller's thread has to raise it
                self.done.put(error)
            else:
                self.done.put(None)

    def finish(self) -> None:
        """Work on chunks while there are any, then wait for those that helpers have begun.

        Raises:
            BaseException: what a chunk raised, here or on a helper; chunks that nobody has begun are dropped then.
        """
        waiting, task = self.count, self.task
        try:
            while task is not None and (chunk := self._take()) is not None:
                waiting -= 1
                task(*chunk)
            for _ in range(waiting):
                if (error := self.done.get()) is not None:
                    raise error
        finally:
            self.chunks.clear()
            self.task = None  # a helper that comes too late finds no array kept alive for it

    def _take(self) -> tuple[int, int] | None:
        try:
            return self.chunks.popleft()
        except IndexError:
            return None


class _Pool:
    """Helpers that wait for jobs: daemon threads, made when they are first needed."""

    def __init__(self) -> None:
        self.jobs: SimpleQueue[_Job] = SimpleQueue()
        self.helpers = 0
        self.lock = _thread.allocate_lock()

    def call(self, job: _Job, helpers: int) -> None:
        """Ask some helpers to join a job."""
        if self.helpers < helpers:
            self._grow(helpers)
        for _ in range(min(helpers, self.helpers)):
            self.jobs.put(job)

    def _grow(self, helpers: int) -> None:
        # A thread of `threading` waits until it has started, which at the end of the interpreter is for ever.
        with self.lock:
            while self.helpers < helpers and not sys.is_finalizing():
                try:
                    _thread.start_new_thread(_serve, (self.jobs,))
                except RuntimeError:  # no more threads here: the caller works alone, or with those it has
                    return
                self.helpers += 1


def _serve(jobs: SimpleQueue[_Job]) -> None:
    while True:
        job = jobs.get()
        job.help()
        del job  # while it waits, a helper keeps no array alive


class _State:
    """What this process knows: how many threads to use, and its helpers."""

    threads: int | None = None
    pool = _Pool()


def _forget() -> None:
    """A forked child has one thread, and locks in whatever state they were."""
    _State.pool = _Pool()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)


def get_num_threads() -> int:
    """How many threads a kernel uses for a large array.

    It is what ``set_num_threads`` was given, else what the environment variable SYMGEN_NUM_THREADS says, else
    OMP_NUM_THREADS, else the number of processors that this process may use.

    Example:
        >>> get_num_threads() >= 1
        True
    """
    if _State.threads is None:
        _State.threads = _from_environment() or _processors()
    return _State.threads


def set_num_threads(n: int) -> None:
    """Let kernels use ``n`` threads for a large array, in the whole process; 1 means that no thread is ever made.

    Results do not depend on it, not in a single bit.

    Args:
        n: the number of threads, the calling one among them.

    Raises:
        TypeError: not an integer.
        ValueError: less than one.

    Example:
        >>> set_num_threads(2)
        >>> get_num_threads()
        2
    """
    if isinstance(n, bool) or not hasattr(n, "__index__"):
        raise TypeError(f"set_num_threads(): n must be an integer >= 1, got {n!r} ({type(n).__name__})")
    if (count := n.__index__()) < 1:
        raise ValueError(f"set_num_threads(): n must be an integer >= 1, got {n!r}")
    _State.threads = count


def _from_environment() -> int | None:
    own = VARIABLES[0]
    for name in VARIABLES:
        text = os.environ.get(name, "").split(",")[0].strip()  # OpenMP's variable may list a number for each level
        if text.isascii() and text.isdigit() and int(text) > 0:
            return int(text)
        if text and name == own:
            warnings.warn(
                f"{own}={text!r} is not a number of threads and is ignored; set it to an integer >= 1",
                RuntimeWarning,
                stacklevel=2,
            )
    return None


def _processors() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0)) or 1
    return os.cpu_count() or 1


def cuts(size: int, threads: int) -> deque[tuple[int, int]]:
    """The chunks of ``size`` elements as (start, stop): equal but for the last, a few for each thread."""
    grain = max(GRAIN, -(-size // (threads * SHARE)))
    grain += -grain % LANES
    return deque((start, min(start + grain, size)) for start in range(0, size, grain))


def spread(loop: Callable[..., Any], inputs: Sequence[Any], options: Sequence[float], outputs: Sequence[Any]) -> None:
    """Run a loop that releases the GIL over whole 1-D arrays of one length, on several threads where that is faster.

    Args:
        loop: takes inputs, options and outputs; element i of the outputs depends on element i of the inputs alone.
        inputs: arrays that are read.
        options: numbers that every chunk gets.
        outputs: arrays that are written.
    """
    size = outputs[0].size
    if size < CUT or (threads := get_num_threads()) == 1:
        loop(*inputs, *options, *outputs)
        return

    def task(start: int, stop: int) -> None:
        loop(*[a[start:stop] for a in inputs], *options, *[a[start:stop] for a in outputs])

    job = _Job(task, cuts(size, threads))
    _State.pool.call(job, min(threads, job.count) - 1)
    job.finish()


def in_chunks(task: Callable[[int, int], object], rows: int, width: int) -> None:
    """Run a task that releases the GIL over rows of some elements each, on several threads where that is faster.

    Args:
        task: takes the first row and the one after the last; rows do not depend on each other.
        rows: how many there are.
        width: elements of a row.
    """
    if rows * width < CUT or rows == 1 or (threads := get_num_threads()) == 1:
        task(0, rows)
        return
    grain = max(1, GRAIN // width, -(-rows // (threads * SHARE)))
    job = _Job(task, deque((start, min(start + grain, rows)) for start in range(0, rows, grain)))
    _State.pool.call(job, min(threads, job.count) - 1)
    job.finish()
