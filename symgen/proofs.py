"""What can be claimed and what comes of it: obligations to prove, each run under a time limit, and three verdicts.

A module that has something to prove lists it as `Obligation`; ``symgen prove`` runs the lists of `SOURCES` without
knowing what is in them.
"""

from __future__ import annotations

import importlib
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from types import FrameType

from symgen import build_pool

SOURCES: tuple[str, ...] = ("symgen.prove", "symgen.prove_pieces")
"""Modules with a function ``obligations()`` that lists what they claim."""

LIMIT = 60.0
"""Seconds of processor time for one proof: above what any needs; reaching it means that a tactic does not fit."""


@dataclass(frozen=True)
class Proof:
    """What was done, in how long, and what it shows.

    Attributes:
        label: the kind of proof, never more than was done: "symbolic", "ball arithmetic on [a, b]", "sampled ...".
        seconds: how long it took.
        evidence: what was compared, in one sentence.
    """

    label: str
    seconds: float
    evidence: str

    def __str__(self) -> str:
        return f"{self.label}: {self.evidence}"


@dataclass(frozen=True)
class Refutation:
    """A point at which the claim does not hold; the counterexample prints it with both values."""

    counterexample: object
    seconds: float

    def __str__(self) -> str:
        return f"refuted {self.counterexample}"


@dataclass(frozen=True)
class Undecided:
    """No proof and no counterexample: what was tried, and why it came to nothing."""

    reason: str
    seconds: float

    def __str__(self) -> str:
        return f"undecided: {self.reason}"


Verdict = Proof | Refutation | Undecided


@dataclass(frozen=True)
class Obligation:
    """One claim.

    Attributes:
        kind: what is claimed of: "rule", "procedure", "derivative", "piece".
        name: of the rule, the head or the kernel.
        run: proves or refutes it. It can be pickled, since it may run in another process.
    """

    kind: str
    name: str
    run: Callable[[], Verdict]


@dataclass(frozen=True)
class Finding:
    """An obligation's verdict."""

    kind: str
    name: str
    verdict: Verdict

    @property
    def proved(self) -> bool:
        return isinstance(self.verdict, Proof)


class _TimeLimit(BaseException):
    """Not an Exception, lest a tactic that tries one thing after another takes it for a failed attempt."""


@contextmanager
def _limited(seconds: float) -> Iterator[None]:
    """Interrupt the body after so many seconds of processor time; only Unix and only a main thread can."""
    if not hasattr(signal, "setitimer") or threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(_number: int, _frame: FrameType | None) -> None:
        raise _TimeLimit

    before = signal.signal(signal.SIGPROF, stop)
    signal.setitimer(signal.ITIMER_PROF, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)


def discharge(obligation: Obligation, limit: float = LIMIT) -> Finding:
    """Run one obligation; what is not decided within the limit (in seconds) is undecided, not proved."""
    start = time.perf_counter()
    try:
        with _limited(limit):
            verdict = obligation.run()
    except _TimeLimit:
        verdict = Undecided(f"not decided within {limit:g} s", limit)
    if not isinstance(verdict, Undecided):
        verdict = replace(verdict, seconds=time.perf_counter() - start)
    return Finding(obligation.kind, obligation.name, verdict)


def obligations() -> list[Obligation]:
    """What every source claims, in their order."""
    return [o for source in SOURCES for o in importlib.import_module(source).obligations()]


def discharge_all(wanted: Sequence[Obligation], limit: float = LIMIT, workers: int = 1) -> Iterator[Finding]:
    """The findings as they are ready, on several processes where there are many obligations."""
    yield from build_pool.run(partial(discharge, limit=limit), wanted, workers)
