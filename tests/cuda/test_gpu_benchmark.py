"""`benchmarks/gpu.py` before there is a GPU: what it measures here, and the rest on a stand-in for PyTorch."""

from __future__ import annotations

import functools
import json
import re
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest

import symgen.functional as F
from symgen.cuda_code import DeviceArray, Simulator
from symgen.runtime.cuda import Driver
from symgen.runtime.cuda_arrays import LIBRARIES, Library

ROOT = Path(__file__).parents[2]
NAMES = ["mse_loss", "prelu", "relu", "softmax"]


class Tensor(DeviceArray):
    """An array in main memory with what the benchmark asks of a tensor; the interpreter runs kernels on it."""

    __module__ = "standin.tensors"

    def cuda(self) -> Tensor:
        return self

    def cpu(self) -> Tensor:
        return self

    def numpy(self) -> np.ndarray:
        return self.memory

    def numel(self) -> int:
        return self.memory.size

    def element_size(self) -> int:
        return self.memory.itemsize

    def copy_(self, other: Tensor) -> None:
        self.memory[...] = other.memory

    def repeat(self, *counts: int) -> Tensor:
        return Tensor(np.tile(self.memory, counts))

    def to(self, dtype: Any) -> Tensor:
        return Tensor(self.memory.astype(dtype))

    def detach(self) -> Tensor:
        return self

    def requires_grad_(self) -> Tensor:
        return self

    @property
    def dtype(self) -> Any:
        return self.memory.dtype

    @property
    def ndim(self) -> int:
        return self.memory.ndim


def torch() -> Any:
    """The part of PyTorch that the benchmark uses where it is quick."""
    made: Any = ModuleType("torch")
    event = lambda enable_timing: SimpleNamespace(record=lambda: None, elapsed_time=lambda end: 1.0)  # noqa: E731
    properties = SimpleNamespace(name="stand-in", major=9, minor=0, total_memory=0)
    made.cuda = SimpleNamespace(Event=event, synchronize=lambda: None, get_device_capability=lambda: (9, 0),
                                get_device_properties=lambda i: properties)  # fmt: skip
    made.from_numpy = Tensor
    made.empty_like = lambda a: Tensor(np.empty_like(a.memory))
    made.ones_like = lambda a: Tensor(np.ones_like(a.memory))
    made.float32 = np.dtype("float32")
    made.autograd = SimpleNamespace(grad=lambda *args, **more: None)
    made.zeros = lambda n, device: Tensor(np.zeros(n, np.float32))
    made.sigmoid = lambda x, out: out
    made.nn = SimpleNamespace(functional=SimpleNamespace(relu=lambda x: x, softmax=lambda x, dim: x))
    made.compile = lambda f: f
    return made


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(ROOT))
    from benchmarks import gpu, gpu_speed

    monkeypatch.setattr(gpu_speed, "LARGE", 4096)
    monkeypatch.setattr(gpu_speed, "REPEATS", 2)
    monkeypatch.setattr(gpu_speed, "BYTES", 2 * 4 * 4096)
    return gpu


def test_without_a_device_it_says_so_and_gives_what_needs_none(gpu, tmp_path, capsys):
    """Static figures and the interpreter's results on every architecture; exit code 1, for the rest is missing."""
    pytest.importorskip("numba_cuda")
    place = tmp_path / "found.json"
    assert gpu.main(["relu", "--quick", "--json", str(place)]) == 1
    shown = capsys.readouterr()
    assert "nothing more can be measured here" in shown.err
    found = json.loads(shown.out)
    assert found == json.loads(place.read_text())
    assert set(found) == {"versions", "static", "interpreter", "device"}
    assert found["device"] is None
    for section in ("static", "interpreter"):
        assert set(found[section]["relu"]) == {"sm_80", "sm_90", "sm_100"}
    assert len({tuple(v["sha256"]) for v in found["interpreter"]["relu"].values()}) == 1


def test_every_section_runs_to_its_end_where_there_is_a_device(gpu, monkeypatch, tmp_path, capsys):
    simulator = Simulator((9, 0))
    monkeypatch.setattr(Driver, "check", lambda self: None)
    for method in ("launch", "prepared", "wait"):
        monkeypatch.setattr(Driver, method, functools.partial(getattr(simulator, method)))
    monkeypatch.setitem(sys.modules, "torch", torch())
    new = Library(lambda a: Tensor(np.empty_like(a.memory)), lambda a: 0,
                  lambda a, shape, dtype: Tensor(np.empty(shape, dtype or a.memory.dtype)))  # fmt: skip
    monkeypatch.setitem(LIBRARIES, "standin", new)
    chosen = [f"--section={s}" for s in ("correctness", "sweep", "bandwidth", "overhead")]
    place = tmp_path / "found.json"
    assert gpu.main([*NAMES, "--quick", *chosen, "--json", str(place)]) == 0
    shown = capsys.readouterr()
    found = json.loads(shown.out)
    assert "failed" not in shown.err
    for name in NAMES:
        right = found["correctness"][name]
        assert right["as interpreted"] == 1.0
        assert right["largest error of the value in ULP, 4096 elements"] <= 4
    for output in ("value", "vjp"):
        assert found["bandwidth"]["relu"]["4096"][output].keys() == {"symgen", "torch"}
    assert found["bandwidth"]["mse_loss"]["4096"]["value"].keys() == {"symgen"}
    assert set(found["bandwidth"]["softmax"]) == {"rows of 1024"}
    assert found["overhead"]["mse_loss"] is None
    assert found["overhead"]["relu"].keys() == {"symgen", "torch"}
    assert gpu.main(["--show", str(place)]) == 0
    shown = capsys.readouterr().out
    assert re.search(r"^relu +[\d.]+ +[\d.]+ +[\d.]+ +[\d.]+$", shown, re.MULTILINE)
    assert "of a copy in the mean of 4 functions" in shown


def test_what_fails_is_said_and_the_rest_is_measured(gpu, monkeypatch, capsys):
    def broken(name: str, quick: bool) -> None:
        raise RuntimeError(f"{name} {quick}")

    monkeypatch.setitem(gpu.SECTIONS, "broken", gpu.Section(broken))
    assert gpu.tried("broken", "relu", quick=True) == {"failed": "RuntimeError: relu True"}
    assert "broken of relu failed" in capsys.readouterr().err


def test_every_function_is_called_with_what_it_takes(gpu, function):
    """Lists of classes, batches that are compared, domains: a kernel of the processor refuses none of the operands."""
    from benchmarks import gpu_calls

    if function not in gpu.functions():
        pytest.skip(f"{function} is the epilogue of a layer, which is not measured")
    kernel, more = getattr(F, function), gpu_calls.settings(function)
    first = kernel.function.tensors[0].name
    for columns in (128, 1024):
        x = gpu_calls.operands(function, 4096, columns)
        assert x[first].size == 4096
        wide = {k: v.astype(np.float64) if v.dtype == np.float32 else v for k, v in x.items()}
        assert np.isfinite(kernel(**wide, **more)).all()


def test_what_is_measured_is_as_long_as_it_is_asked_for(gpu, function, monkeypatch):
    """A few samples are drawn and repeated; a batch that is compared is shorter where that would take too long."""
    from benchmarks import gpu_calls

    if function not in gpu.functions():
        pytest.skip(f"{function} is the epilogue of a layer, which is not measured")
    monkeypatch.setitem(sys.modules, "torch", torch())
    monkeypatch.setattr(gpu_calls, "DRAWN", 2048)
    monkeypatch.setattr(gpu_calls, "WORK", 2**18)
    found = {k: v.memory.shape for k, v in gpu_calls.on_device(function, 8192, 128, "float32").items()}
    assert found == {k: v.shape for k, v in gpu_calls.operands(function, 8192, 128).items()}
    plain = getattr(F, function).function
    size = np.prod(found[plain.tensors[0].name])
    if gpu_calls.layout(plain, 8192, 128).batch:
        assert size == 8192
    else:
        assert 1 < size < 8192
