"""The instrument: statistics, turns, skipping, errors beside times, and its JSON. No test has a limit in seconds."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import sympy as sp

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module", autouse=True)
def importable() -> Iterator[None]:
    """The benchmarks lie beside the package, not in it."""
    sys.path.insert(0, str(ROOT))
    yield
    sys.path.remove(str(ROOT))


def rows(*libraries: tuple[str, float, float | None], size: int = 8, mode: str = "value") -> list[Any]:
    """Made-up rows of one task: name, seconds, error."""
    from benchmarks.run import Row
    from benchmarks.subjects import COPIES
    from benchmarks.timing import summary

    return [
        Row("f", mode, "float32", size, True, name, summary([seconds], 1), None, error, COPIES[mode])
        for name, seconds, error in libraries
    ]


def test_quartiles_of_samples() -> None:
    """The summary of samples is their median and quartiles, one sample's is itself."""
    from benchmarks.timing import summary

    found = summary([5.0, 1.0, 4.0, 2.0, 3.0], 7)
    assert (found.low, found.median, found.high, found.best) == (2, 3, 4, 1)
    assert (found.repeats, found.calls) == (5, 7)
    assert summary([2.0], 1).median == summary([2.0], 1).best == 2
    assert summary([2.0], 1).repeats == 1


def test_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    """Everybody runs once in each round, each round begins with another, and spinning threads get time to stop."""
    from benchmarks import timing

    told: list[str] = []
    monkeypatch.setattr(timing, "calls_needed", lambda run, least: 1)
    monkeypatch.setattr(timing.time, "sleep", lambda gap: told.append(f"rest {gap}"))
    runs = {name: lambda name=name: told.append(name) for name in "abc"}
    found = timing.measure(runs, 2, frozenset("b"), gap=0.5)
    assert told == ["a", "b", "rest 0.5", "c", "b", "rest 0.5", "c", "a"]
    assert {times.repeats for times in found.values()} == {2}


@pytest.mark.parametrize("name", ["silu", "prelu", "softplus", "hardshrink", "hardtanh", "selu"])
def test_formulas_in_text(name: str) -> None:
    """The definition and its derivative, printed, compute what the kernel does at moderate points."""
    from benchmarks.libraries import LIBRARIES, Task, results
    from benchmarks.subjects import subjects

    (subject,) = subjects([name])
    x, g = subject.inputs(np.dtype(np.float64), 500)
    known = {library.name: library for library in LIBRARIES}
    for mode in ("value", "vjp", "value_and_grad"):
        own, naive = (results(known[who], Task(subject, mode, x, g)) for who in ("symgen", "NumPy"))
        for a, b in zip(own, naive, strict=True):
            np.testing.assert_allclose(np.broadcast_to(b, x.shape), a, rtol=1e-9, atol=1e-12)


def test_text_of_expressions() -> None:
    """Divisions, roots, small powers and conditions come out as one would write them; what has no name is said."""
    from benchmarks.text import UnprintableError, text

    x = sp.Symbol("x", real=True)
    assert text(x**3) == "(x * x * x)"
    assert text(sp.sqrt(x)) == "sqrt(x)"
    assert text(sp.exp(x) / x) == "(exp(x) / (x))"
    assert text(x > 1) == "(x > 1.0)"
    assert text(x**-2, lambda v: f"c({v})") == "(c(1.0) / (x * x))"
    with pytest.raises(UnprintableError, match="zeta"):
        text(sp.zeta(x))


def test_errors_stand_beside_times() -> None:
    """The error of a kernel is within its bar where the naive formula's is not, at the same points."""
    from benchmarks.libraries import LIBRARIES
    from benchmarks.run import error
    from benchmarks.subjects import subjects

    (subject,) = subjects(["silu"])
    known = {library.name: library for library in LIBRARIES}
    assert error(known["symgen"], subject, "value", "float32") <= 0.51
    assert error(known["symgen"], subject, "vjp", "float32") <= 0.51
    assert error(known["NumPy"], subject, "value", "float32") > 1000
    assert error(known["copy"], subject, "value", "float32") is None


def test_what_takes_no_part_says_why() -> None:
    """A library that is missing, cannot, or breaks is told of in a word; the others are measured."""
    from benchmarks.libraries import LIBRARIES, Library, Skip
    from benchmarks.run import Plan, run
    from benchmarks.subjects import subjects

    def refuse(task: Any) -> Any:
        raise Skip("has no such thing")

    def breaks(task: Any) -> Any:
        raise OSError("broken\nin two lines")

    peers = (Library("absent", refuse, module="no_such_module"), Library("cannot", refuse), Library("broken", breaks))
    told: list[str] = []
    plan = Plan(("value",), ("float32",), (8,), (True,), 1, (*LIBRARIES[:2], *peers))
    found = {row.library: row for row in run(plan, list(subjects(["relu"])), told.append)}
    assert told[0] == "absent does not take part: no_such_module is not installed: pip install '.[bench]'"
    assert list(found) == ["symgen", "copy", "cannot", "broken"]
    assert found["cannot"].skipped == "has no such thing"
    assert found["broken"].skipped == "failed: OSError: broken"
    assert found["cannot"].times is None
    assert found["symgen"].times is not None


def test_ratios_and_exceptions() -> None:
    """Ratios are of medians in the same task; a faster peer is listed only if it is as accurate, or twice as fast."""
    from benchmarks import report

    own = (("symgen", 3.0, 0.5), ("copy", 2.0, None))
    made = rows(*own, ("exact", 2.5, 0.9), ("rough", 2.0, 100.0), ("fast", 1.0, math.inf))
    wanted = {"exact": [2.5 / 3], "rough": [2 / 3], "fast": [1 / 3]}
    assert report.ratios(made) == {("elementwise", "value", "float32", name): ratio for name, ratio in wanted.items()}
    assert [line.split(": ")[1].split(" times ")[1].split("'")[0] for line in report.slower(made)] == ["exact", "fast"]
    (task,) = report.tasks(made).values()
    assert report.over_bound(task, "symgen") == 1.5
    (task,) = report.tasks(rows(("symgen", 3.0, 0.5), ("copy", 2.0, None), mode="vjp")).values()
    assert report.over_bound(task, "symgen") == 1.0
    closing = "\n".join(report.closing(made))
    assert "elementwise value, float32: fast takes 0.33 times symgen's time" in closing
    assert "new: symgen takes 1.50 times a copy of the bytes in the geometric mean, from 1.50 (" in closing
    assert "inf" in list(report.table(made))[-1]


def test_cut_between_one_thread_and_several() -> None:
    """The cut is the size from which on several threads win at every size by a tenth."""
    from benchmarks.threads import cut

    assert cut([(1, 1.0, 0.1), (2, 2.0, 3.0), (4, 4.0, 3.0), (8, 8.0, 4.0)]) == 4
    assert cut([(1, 1.0, 1.0)]) is None


def test_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The command measures what it is asked to, prints a table, and writes JSON without infinities."""
    from benchmarks.__main__ import main

    file = tmp_path / "found.json"
    asked = ["--functions", "relu", "silu", "--sizes", "8", "2^4", "--dtypes", "float32", "--repeats", "2"]
    assert main([*asked, "--libraries", "NumPy", "--json", str(file)]) == 0
    found = json.loads(file.read_text(encoding="utf-8"))
    assert found["format"] == 1
    assert {"processor", "processors", "system", "python", "threads", "clock", "packages"} == set(found["machine"])
    assert len(found["results"]) == 2 * 2 * 3 * 2 * 3
    for row in found["results"]:
        assert (row["times"] is None) == (row["skipped"] is not None)
        assert row["ulp"] is None or row["ulp"] == "inf" or row["ulp"] >= 0
    out = capsys.readouterr().out
    assert "NumPy takes" in out
    assert "NumPy skipped in 12 tasks: an expression takes no output" in out


@pytest.mark.parametrize("wrong", [
    ["--functions", "relo"], ["--sizes", "many"], ["--sizes", "2^-1"], ["--repeats", "0"],
])
def test_mistakes_in_the_command(wrong: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """A mistake ends with exit code 2 and a word about it."""
    from benchmarks.__main__ import main

    assert main(wrong) == 2
    assert wrong[1] in capsys.readouterr().err


def test_plot(tmp_path: Path) -> None:
    """The plot has a line for each library, where matplotlib is installed."""
    pytest.importorskip("matplotlib")
    from benchmarks import report

    known = (("symgen", 3.0, 0.5), ("copy", 2.0, None), ("peer", 4.0, 2.0))
    made = [row for size in (8, 64) for row in rows(*known, size=size)]
    report.plot(made, tmp_path / "plot.svg")
    assert "</svg>" in (tmp_path / "plot.svg").read_text(encoding="utf-8")


def test_derivations_are_timed(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    """The command tells processor seconds of each function, the sum, and how builds grow; and writes them as JSON."""
    from benchmarks.__main__ import main

    told = tmp_path / "derive.json"
    assert main(["--derive", "--functions", "linear", "relu", "--synthetic", "4", "--json", str(told)]) == 0
    out = capsys.readouterr().out
    assert "2 functions: " in out
    assert "time grows with the power" in out
    found = json.loads(told.read_text())
    assert [f["function"] for f in found["functions"]] == ["linear", "relu"]
    assert [b["specs"] for b in found["synthetic"]] == [1, 2, 4]
    assert main(["--derive", "--functions", "no_such_function"]) == 2
    assert "no_such_function" in capsys.readouterr().err


def test_growth_is_the_power_between_the_smallest_and_the_largest_build() -> None:
    """Twice the specs in twice the time is linear, in four times the time a square."""
    from benchmarks.derive import Build, exponent

    assert exponent([Build(10, 1.0), Build(20, 2.0)]) == pytest.approx(1.0)
    assert exponent([Build(10, 1.0), Build(15, 9.0), Build(20, 4.0)]) == pytest.approx(2.0)


@pytest.mark.parametrize(("name", "kind"), [("log_softmax", "rows"), ("huber_loss", "loss"), ("cross_entropy", "loss")])
def test_batches(name: str, kind: str) -> None:
    """Rows and losses are drawn from their roles, timed beside a copy, and come back from the JSON as they went in."""
    from benchmarks import batches
    from benchmarks.libraries import LIBRARIES
    from benchmarks.run import Plan, document, restored

    plan = Plan(("value",), ("float32", "bfloat16"), (256,), (True,), 1, LIBRARIES[:2])
    (batch,) = batches.batches([name])
    found = list(batches.run(plan, [batch], lambda line: None))
    assert {(r.function, r.kind, r.dtype) for r in found} == {(name, kind, dtype) for dtype in plan.dtypes}
    assert {r.mode for r in found} == set(batches.MODES[kind])
    own = [r for r in found if r.library == "symgen"]
    assert own
    assert all(r.ulp is not None and r.ulp < 1 and r.times is not None for r in own)
    assert restored(json.loads(json.dumps(document(plan, found)))["results"]) == found


def test_tasks_within_a_time() -> None:
    """Rows come in the order of their tasks whatever order those were measured in, and what is left out is counted."""
    from benchmarks.run import within

    told: list[str] = []
    work = [lambda i=i: [i, i] for i in range(9)]
    assert within(work, 60.0, told.append) == [i for i in range(9) for _ in range(2)]  # type: ignore[arg-type]
    assert not told
    assert within(work, -1.0, told.append) == []  # type: ignore[arg-type]
    assert told == ["time is up: 9 of 9 tasks were not measured"]


def test_a_clock_of_the_processor(monkeypatch: pytest.MonkeyPatch) -> None:
    """Times are taken from one clock, which a busy machine may have to be that of the process."""
    from benchmarks import timing

    ticks = iter(range(100))
    monkeypatch.setattr(timing.Clock, "now", lambda: next(ticks))
    assert timing.once(lambda: None, 1) == 1


def test_parity_compares_at_all_settings_and_tells_differences(monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    """Options inside their domain, weights or none, classes and probabilities; a shape, a NaN and a digit are told."""
    import symgen.functional as F
    from benchmarks import parity

    assert {"beta": 0.4} in list(parity.settings(F.smooth_l1_loss.function))
    assert all(0 < s.get("label_smoothing", 0.4) <= 1 for s in parity.settings(F.cross_entropy.function))
    kinds = [("weight" in o, o["target"].dtype.kind) for o in parity.operands(F.cross_entropy.function, {})]
    assert sorted(kinds) == [(False, "f"), (False, "i"), (True, "f"), (True, "i")]
    signs = next(parity.operands(F.soft_margin_loss.function, {}))["target"]
    assert set(np.unique(signs)) == {-1.0, 1.0}
    found = parity.Compared()
    one = np.array([1.0, np.nan, np.inf])
    found.add("same", one, one)
    assert (found.results, found.differ) == (1, [])
    found.add("shape", one, one[:2])
    found.add("digit", [1.0, 2.0], [1.0, 2.1])
    found.add("nan", [1.0, np.nan], [1.0, 2.0])
    assert [line.partition(":")[0] for line in found.differ] == ["shape", "digit", "nan"]
    monkeypatch.setitem(sys.modules, "torch", None)
    assert parity.main([]) == 2
    assert "pip install torch" in capsys.readouterr().err


def test_parity_holds_where_pytorch_is_installed() -> None:
    """A loss over classes with weights and probabilities, at three reductions."""
    pytest.importorskip("torch")
    from benchmarks import parity

    found = parity.compare("cross_entropy")
    assert found.results >= 40
    assert found.differ == []
