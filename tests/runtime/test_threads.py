"""Kernels on several threads: the same bits for any number of them, and nothing that forks, exits or nests breaks."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

import symgen
from symgen.runtime import quick, threads

SIZE = threads.CUT + 77


@pytest.fixture(autouse=True)
def number_restored() -> Iterator[None]:
    """A test that sets the number of threads does so for itself."""
    before = threads._State.threads
    yield
    threads._State.threads = before


def fine_chunks(monkeypatch: pytest.MonkeyPatch, cut: int = 100) -> None:
    """Let small arrays be divided too."""
    for module in (threads, quick):
        monkeypatch.setattr(module, "CUT", cut)
    monkeypatch.setattr(threads, "GRAIN", threads.LANES)


@pytest.mark.parametrize("size", [100, 127, 128, 129, 1000, 4099])
def test_same_bits(kernels: ModuleType, monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    """Value, derivatives and vjp are the same to the last bit for any number of threads."""
    fine_chunks(monkeypatch)
    draw = np.random.default_rng(size)
    for dtype in (np.float64, np.float32):
        x, y, g = (draw.standard_normal(size).astype(dtype) for _ in range(3))
        found = []
        for n in (1, 2, 3, 8):
            symgen.set_num_threads(n)
            calls: list[Any] = [
                kernels.soft(x, 2.5), kernels.soft.grad(x), kernels.soft.grad(x, order=2), kernels.soft.vjp(g, x),
                *kernels.mix.vjp(g, x, y), *kernels.mix.value_and_grad(x, y, wrt="input"),
                kernels.gate(x.reshape(1, -1)), kernels.gate(x, out=x.copy()), kernels.gate(x[::-1]),
            ]  # fmt: skip
            found.append([np.asarray(c).tobytes() for c in calls])
        assert all(each == found[0] for each in found[1:])


def test_over_the_operand(kernels: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    """Writing over the operand, exactly or shifted, gives on three threads what separate memory gives."""
    fine_chunks(monkeypatch)
    symgen.set_num_threads(3)
    for shift in (0, 1, 64):
        whole = np.random.default_rng(0).standard_normal(2000)
        source, target = whole[:1900], whole[shift : 1900 + shift]
        expected = kernels.gate(source.copy())
        kernels.gate(source, out=target)
        np.testing.assert_array_equal(target, expected)


@pytest.mark.parametrize("n", [1, 2, 3, 7, 64])
@pytest.mark.parametrize("size", [threads.CUT, SIZE, 1 << 20, (1 << 20) + 1, 16_000_001])
def test_chunks(size: int, n: int) -> None:
    """Chunks cover everything once, begin at whole cache lines, and are neither tiny nor many."""
    chunks = list(threads.cuts(size, n))
    assert [start for start, _ in chunks] == [0, *(stop for _, stop in chunks[:-1])]
    assert chunks[-1][1] == size
    assert all(start % threads.LANES == 0 and stop > start for start, stop in chunks)
    assert len(chunks) <= n * threads.SHARE
    assert all(stop - start >= threads.GRAIN for start, stop in chunks[:-1])


def test_tiles_are_whole_in_chunks() -> None:
    """Loops that decide a tile at a time would tell how many threads there are if a chunk began within one."""
    generated = Path(symgen.__file__).parents[1] / "generated"
    tiles = {int(n) for file in generated.rglob("*.py") for n in re.findall(r"range\(0, \w+\.size, (\d+)\)",
                                                                            file.read_text("utf-8"))}  # fmt: skip
    assert tiles
    assert all(threads.LANES % n == 0 for n in tiles)


def test_both_sides_work(monkeypatch: pytest.MonkeyPatch) -> None:
    """A helper takes chunks while the caller is held up by one, and each chunk is done once."""
    fine_chunks(monkeypatch)
    symgen.set_num_threads(2)
    out, helped, workers = np.zeros(1000), threading.Event(), set()

    def loop(target: Any) -> None:
        workers.add(threading.get_ident())
        target += 1
        if threading.get_ident() == caller:
            assert helped.wait(60), "no helper came"
        else:
            helped.set()

    caller = threading.get_ident()
    threads.spread(loop, [], [], [out])
    assert len(workers) == 2
    assert (out == 1).all()


@pytest.mark.parametrize("where", ["caller", "helper"])
def test_errors_reach_the_caller(monkeypatch: pytest.MonkeyPatch, where: str) -> None:
    """What a chunk raises, on whichever thread, is raised by the call; the next call works."""
    fine_chunks(monkeypatch)
    symgen.set_num_threads(2)
    caller, failed = threading.get_ident(), threading.Event()

    def loop(target: Any) -> None:
        mine = threading.get_ident() == caller
        if mine == (where == "caller"):
            failed.set()
            raise ZeroDivisionError(where)
        assert failed.wait(60)

    with pytest.raises(ZeroDivisionError, match=where):
        threads.spread(loop, [], [], [np.zeros(1000)])
    out = np.zeros(1000)
    threads.spread(lambda target: target.fill(2), [], [], [out])
    assert (out == 2).all()


def test_one_thread_makes_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """With one thread, or below the cut, no helper is ever made."""
    monkeypatch.setattr(threads._State, "pool", threads._Pool())
    symgen.set_num_threads(1)
    threads.spread(lambda target: target.fill(1), [], [], [np.zeros(SIZE)])
    symgen.set_num_threads(4)
    threads.spread(lambda target: target.fill(1), [], [], [np.zeros(threads.CUT - 1)])
    assert threads._State.pool.helpers == 0


def test_no_more_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the system gives no more threads the caller works alone."""
    def refuse(*_: Any) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threads._State, "pool", threads._Pool())
    monkeypatch.setattr(threads._thread, "start_new_thread", refuse)
    symgen.set_num_threads(4)
    out = np.zeros(SIZE)
    threads.spread(lambda target: target.fill(1), [], [], [out])
    assert (out == 1).all()


@pytest.mark.parametrize(("wrong", "error"), [(0, ValueError), (-1, ValueError), (2.0, TypeError), ("2", TypeError),
                                              (True, TypeError), (None, TypeError)])
def test_wrong_numbers(wrong: Any, error: type[Exception]) -> None:
    """A number of threads is an integer of at least one."""
    with pytest.raises(error, match=r"set_num_threads\(\): n must be an integer >= 1"):
        symgen.set_num_threads(wrong)


@pytest.mark.parametrize(("variables", "number"), [
    ({"SYMGEN_NUM_THREADS": "3", "OMP_NUM_THREADS": "2"}, 3), ({"OMP_NUM_THREADS": "5,2"}, 5),
    ({"OMP_NUM_THREADS": "many"}, None), ({}, None), ({"SYMGEN_NUM_THREADS": " 4 "}, 4),
])
def test_environment(monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], number: int | None) -> None:
    """The environment says how many threads; else it is every processor that the process may use."""
    for name in threads.VARIABLES:
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    threads._State.threads = None
    assert symgen.get_num_threads() == (number or threads._processors())


@pytest.mark.parametrize("text", ["none", "0", "-2", "1.5"])
def test_environment_that_is_wrong(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    """A variable that holds no number of threads is ignored, with a warning that names it."""
    monkeypatch.setenv("SYMGEN_NUM_THREADS", text)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    threads._State.threads = None
    with pytest.warns(RuntimeWarning, match="SYMGEN_NUM_THREADS"):
        assert symgen.get_num_threads() == threads._processors()


START = f"""
import os, sys, threading
import numpy as np
import symgen
import handmade
symgen.set_num_threads(3)
x = np.linspace(-2.0, 2.0, {SIZE})
expected = x * x
def check():
    assert np.array_equal(handmade.gate(x), expected)
check()
"""

FORK = """
from symgen.runtime.threads import _State
for _ in range(20):
    child = os.fork()
    if child == 0:
        try:
            assert _State.pool.helpers == 0  # those of the parent are not here
            check()
            assert _State.pool.helpers == 2
            check()
        finally:
            os._exit(0 if sys.exc_info()[0] is None else 1)
    assert os.waitpid(child, 0)[1] == 0
check()
"""

FORK_WHILE_BUSY = """
stop = threading.Event()
def work():
    while not stop.is_set():
        check()
busy = [threading.Thread(target=work) for _ in range(2)]
for t in busy:
    t.start()
for _ in range(20):
    child = os.fork()
    if child == 0:
        try:
            check()
        finally:
            os._exit(0 if sys.exc_info()[0] is None else 1)
    assert os.waitpid(child, 0)[1] == 0
stop.set()
for t in busy:
    t.join()
"""

PROCESS_POOL = """
import multiprocessing
from concurrent.futures import ProcessPoolExecutor
with ProcessPoolExecutor(2, multiprocessing.get_context("fork")) as pool:
    for future in [pool.submit(check) for _ in range(8)]:
        future.result(60)
"""

NESTED = """
from concurrent.futures import ThreadPoolExecutor
with ThreadPoolExecutor(6) as pool:
    for future in [pool.submit(check) for _ in range(100)]:
        future.result()
"""

AT_EXIT = """
import atexit
atexit.register(check)
atexit.register(print, "at exit")
threading._register_atexit(check)
"""

# No thread may be started, and nobody waited for, once the interpreter is being taken down.
TAKEN_DOWN = """
class Late:
    def __init__(self):
        self.gate, self.x, self.expected = handmade.gate, x, expected
        self.equal, self.write = np.array_equal, os.write
    def __del__(self):
        self.write(1, b"late\\n" if self.equal(self.gate(self.x), self.expected) else b"wrong\\n")
late = Late()
"""

TAKEN_DOWN_AT_FIRST_USE = TAKEN_DOWN + """
from symgen.runtime import quick, threads
threads._State.pool = threads._Pool()
"""

DAEMON = """
def work():
    while True:
        handmade.gate(x)
for _ in range(3):
    threading.Thread(target=work, daemon=True).start()
"""


@pytest.mark.parametrize(("name", "code", "said"), [
    ("fork", FORK, ""), ("fork while busy", FORK_WHILE_BUSY, ""), ("process pool", PROCESS_POOL, ""),
    ("nested threads", NESTED, ""), ("at exit", AT_EXIT, "at exit"), ("taken down", TAKEN_DOWN, "late"),
    ("taken down at first use", TAKEN_DOWN_AT_FIRST_USE, "late"), ("daemon threads", DAEMON, ""),
])
@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_nothing_is_fatal(package_folder: Path, name: str, code: str, said: str) -> None:
    """Forks, nested threads and the interpreter's end leave results right, and no process hung or killed."""
    path = os.pathsep.join([str(package_folder), str(Path(symgen.__file__).parents[1])])
    done = subprocess.run(
        [sys.executable, "-W", "ignore::DeprecationWarning", "-c", START + code],
        env=os.environ | {"PYTHONPATH": path}, capture_output=True, text=True, timeout=120,
    )
    assert (done.returncode, done.stdout.strip(), done.stderr) == (0, said, ""), name


VENDORED = f"""
import sys
import numpy as np
import vendored
from vendored._runtime import set_num_threads, threads
set_num_threads(3)
x = np.linspace(-2.0, 2.0, {SIZE})
for _ in range(2):
    assert np.array_equal(vendored.gate(x), x * x)
    half = x.astype(np.float16)
    assert np.array_equal(vendored.gate(half), (half.astype(np.float64) ** 2).astype(np.float16))
assert threads._State.pool.helpers == 2
assert "symgen" not in sys.modules
"""


def test_a_copy_of_the_runtime_has_threads_of_its_own(package_folder: Path, tmp_path: Path) -> None:
    """The runtime beside a user's kernels divides large arrays and makes tables, without symgen."""
    runtime = Path(symgen.__file__).parent / "runtime"
    sources = shutil.ignore_patterns("__pycache__")  # what Numba cached there belongs to a package of another name
    shutil.copytree(package_folder / "handmade", tmp_path / "vendored", ignore=sources)
    shutil.copytree(runtime, tmp_path / "vendored" / "_runtime", ignore=sources)
    face = tmp_path / "vendored" / "__init__.py"
    face.write_text(face.read_text(encoding="utf-8").replace("from symgen.runtime", "from ._runtime"), encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-c", VENDORED], env=os.environ | {"PYTHONPATH": str(tmp_path)},
        capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert (done.stderr, done.returncode) == ("", 0)
