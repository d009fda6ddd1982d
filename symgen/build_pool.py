"""Runs independent jobs on several processes, or on this one where processes cannot be had."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from typing import TypeVar

J = TypeVar("J")
R = TypeVar("R")

WORTH_A_POOL = 3
"""Starting a worker costs about as much (importing SymPy) as deriving a function or two does."""


def cores() -> int:
    """How many processors this process may use."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # only Linux tells
        return os.cpu_count() or 1


def run(work: Callable[[J], R], jobs: Sequence[J], workers: int) -> Iterator[R]:
    """Yield the result of each job as it is ready, in any order.

    Workers are spawned, never forked: a fork would inherit threads in unknown states. Where no worker can live (a
    sandbox without semaphores, a main module that cannot be imported again), the rest runs in this process.
    """
    workers = min(workers, len(jobs))
    if workers < 2 or len(jobs) < WORTH_A_POOL:
        yield from map(work, jobs)
        return
    left = list(jobs)
    try:
        for job, result in _pooled(work, jobs, workers):
            left.remove(job)
            yield result
    except (BrokenProcessPool, OSError, ImportError):
        yield from map(work, left)


def _pooled(work: Callable[[J], R], jobs: Sequence[J], workers: int) -> Iterator[tuple[J, R]]:
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(workers, mp_context=context, initializer=_quiet)
    try:
        futures = {pool.submit(work, job): job for job in jobs}
        for future in as_completed(futures):
            yield futures[future], future.result()
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def _quiet() -> None:
    """Let an interrupt end a worker without a traceback; the driver is interrupted as well, and it reports."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
