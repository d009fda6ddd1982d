"""The CUDA kernels on a GPU: are they right, are they what the interpreter computed, and how fast are they?

    python benchmarks/gpu.py [FUNCTION ...] [--json FILE] [--quick]

What needs no GPU is done anywhere: every kernel is compiled, its static figures are taken, and the interpreter runs it.
The rest needs a driver and PyTorch; where one is missing the program says so and ends with exit code 1. It prints one
JSON object, whose keys are those of `SECTIONS`.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib
import importlib.metadata
import json
import platform
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

import symgen.functional as F
from symgen.cuda_code import CAPABILITIES, Simulator, compile_ptx, figures
from symgen.ptx import parse
from symgen.runtime.cuda import DRIVER, DeviceKernel
from symgen.runtime.errors import CudaMissingError

PACKAGES = ("numba", "numba-cuda", "nvidia-cuda-nvrtc", "nvidia-nvvm", "numpy", "torch", "triton")
REPEATS = 20
SWEEP = 2**26  # float32 inputs at a time in the exhaustive sweep


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("functions", nargs="*", help="all if none is named")
    parser.add_argument("--json", help="write the result to this file too")
    parser.add_argument("--quick", action="store_true", help="one size, and no exhaustive sweep")
    options = parser.parse_args(arguments)
    chosen = options.functions or sorted({getattr(F, n).__name__ for n in dir(F) if _is_kernel(n)})
    result: dict[str, Any] = {"versions": versions(), "static": {n: static(n) for n in chosen}}
    result["interpreter"] = {n: interpreted(n) for n in chosen}
    missing = _missing()
    if missing:
        result["device"] = None
        print(f"nothing more can be measured here: {missing}", file=sys.stderr)
    else:
        result["device"] = device()
        for name, section in SECTIONS.items():
            result[name] = {n: section(n, options.quick) for n in chosen if section is not overhead or n == chosen[0]}
    text = json.dumps(result, indent=1, sort_keys=True)
    print(text)
    if options.json:
        Path(options.json).write_text(text + "\n", encoding="utf-8")
    return 1 if missing else 0


def _is_kernel(name: str) -> bool:
    """Whether a name is that of an activation that is computed element by element: what is measured here."""
    function = getattr(getattr(F, name), "function", None) if not name.startswith("_") else None
    return function is not None and bool(function.cuda) and (function.archetype, function.kind) == (
        "elementwise", "activation")  # fmt: skip


def _missing() -> str:
    try:
        DRIVER.check()
        importlib.import_module("torch")
    except (CudaMissingError, ImportError) as error:
        return str(error)
    return ""


def versions() -> dict[str, str]:
    """What the figures depend on."""
    found = {"python": platform.python_version(), "machine": platform.machine()}
    for package in PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            found[package] = "none"
    return found


class HostArray:
    """An array in main memory that passes for one of a GPU: for the interpreter."""

    def __init__(self, memory: np.ndarray) -> None:
        self.memory = memory

    @property
    def __cuda_array_interface__(self) -> dict[str, Any]:
        found = self.memory.__array_interface__
        return {**{k: found[k] for k in ("shape", "typestr", "data", "strides")}, "version": 3}


def inputs(name: str, n: int) -> list[np.ndarray]:
    """Operands of a size, of both signs where the domain allows."""
    rng = np.random.default_rng(0)
    limited = any(a.limits for a in getattr(F, name).function.operands)
    return [
        (np.abs(v) + 1e-3 if limited else v).astype(np.float32)
        for v in (rng.standard_normal(n) * 3 for _ in getattr(F, name).function.operands)
    ]


def interpreted(name: str, n: int = 4099) -> dict[str, Any]:
    """The value kernel in the interpreter: its result's hash for each architecture, and what moving memory costs."""
    found = {}
    for capability in CAPABILITIES:
        real = getattr(F, name).cuda
        simulator = Simulator(capability)
        kernel = DeviceKernel(real._caller, real._module, simulator)
        out = HostArray(np.zeros(n, np.float32))
        kernel(*map(HostArray, inputs(name, n)), out=out)
        counts = simulator.runs[-1].counts
        found[f"sm_{capability[0]}{capability[1]}"] = {
            "sha256": hashlib.sha256(out.memory.tobytes()).hexdigest(),
            "instructions per element": round(32 * counts.instructions.total() / n, 1),
            "sectors per request": max(counts.sectors_per_request().values()),
        }
    return found


def static(name: str) -> dict[str, Any]:
    """Figures of the PTX of the value and the gradient kernel, and a hash by which a driver's own can be recognised."""
    return {f"sm_{c[0]}{c[1]}": dict(_static(name, c)) for c in CAPABILITIES}


def _static(name: str, capability: tuple[int, int]) -> Iterator[tuple[str, Any]]:
    real = getattr(F, name).cuda
    recorder = _Recorder(capability)
    kernel = DeviceKernel(real._caller, real._module, recorder)
    arrays = [HostArray(v) for v in inputs(name, 4)]
    kernel(*arrays, out=HostArray(np.zeros(4, np.float32)))
    if len(real._caller.function.tensors) == 1:
        kernel.grad(*arrays, out=HostArray(np.zeros(4, np.float32)))
    for title, text in recorder.texts.items():
        f = figures(parse(text))
        numbers = {"instructions": f.instructions, "float64": f.double, "local": f.local, "wide": f.wide}
        yield title, {**numbers, "sha256": hashlib.sha256(text.encode()).hexdigest()}


class _Recorder(Simulator):
    """Compiles what would be launched, and launches nothing."""

    def __init__(self, capability: tuple[int, int]) -> None:
        super().__init__(capability)
        self.texts: dict[str, str] = {}

    def launch(self, kernel: Any, blocks: int, stream: int, arguments: Sequence[Any]) -> None:  # noqa: ARG002
        from symgen.cuda_code import argument_type

        signature = tuple(map(argument_type, arguments))
        self.texts[kernel.py_func.__name__] = compile_ptx(kernel, signature, self.capability)


# -- with a device ----------------------------------------------------------------------------------------------------


def device() -> dict[str, Any]:
    import torch

    found = torch.cuda.get_device_properties(0)
    return {"name": found.name, "capability": [found.major, found.minor], "memory": found.total_memory}


def correctness(name: str, quick: bool) -> dict[str, Any]:
    """Value and gradient against the CPU's float64 kernels, and the device's bits against the interpreter's."""
    import torch

    n = 4099 if quick else 1_000_003
    x = inputs(name, n)
    got = getattr(F, name).cuda(*(torch.from_numpy(v).cuda() for v in x)).cpu().numpy()
    truth = getattr(F, name)(*(v.astype(np.float64) for v in x))
    capability = torch.cuda.get_device_capability()
    real, out = getattr(F, name).cuda, HostArray(np.zeros(n, np.float32))
    DeviceKernel(real._caller, real._module, Simulator(capability))(*map(HostArray, x), out=out)
    with np.errstate(all="ignore"):
        ulp = np.abs(got - truth) / np.spacing(np.abs(truth).astype(np.float32))
    return {
        "largest error in ULP": float(np.nanmax(ulp)),
        "as interpreted": float(np.mean(got.view(np.uint32) == out.memory.view(np.uint32))),
    }


def sweep(name: str, quick: bool) -> dict[str, Any] | None:
    """All float32 inputs of a function of one tensor: the largest error in ULP, by the device's own float64 kernel."""
    import torch

    if quick or len(getattr(F, name).function.operands) != 1:
        return None
    worst, at = 0.0, 0.0
    for start in range(-(2**31), 2**31, SWEEP):
        bits = torch.arange(start, start + SWEEP, dtype=torch.int64, device="cuda").to(torch.int32)
        x = bits.view(torch.float32)
        got, truth = getattr(F, name).cuda(x).double(), getattr(F, name).cuda(x.double())
        size = torch.clamp(truth.abs(), min=2.0**-126)
        ulp = (got - truth).abs() / torch.exp2(torch.floor(torch.log2(size)) - 23)
        ulp = torch.nan_to_num(torch.where(truth.abs() <= torch.finfo(torch.float32).max, ulp, 0.0))
        i = int(ulp.argmax())
        if float(ulp[i]) > worst:
            worst, at = float(ulp[i]), float(x[i])
    return {"largest error in ULP": worst, "at": at}


def seconds(call: Callable[[], Any]) -> float:
    """The median time of a call on the device, by events."""
    import torch

    for _ in range(3):
        call()
    times = []
    for _ in range(REPEATS):
        start, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        start.record()
        call()
        end.record()
        torch.cuda.synchronize()
        times.append(start.elapsed_time(end) / 1e3)
    return float(np.median(times))


def bandwidth(name: str, quick: bool) -> dict[str, Any]:
    """Bytes moved in a second, as a share of a copy on the device in the same run; PyTorch's own beside it."""
    return {str(2**k): _bandwidth(name, 2**k) for k in ((26,) if quick else (20, 22, 24, 26, 28))}


def _bandwidth(name: str, n: int) -> dict[str, float]:
    import torch

    x = [torch.from_numpy(v).cuda() for v in inputs(name, n)]
    out = torch.empty_like(x[0])
    moved = 4 * n * (len(x) + 1)
    copy = 8 * n / seconds(lambda: out.copy_(x[0]))
    calls: dict[str, Callable[[], Any]] = {"symgen": lambda: getattr(F, name).cuda(*x, out=out)}
    theirs = getattr(torch.nn.functional, getattr(F, name).function.torch or "", None)
    if theirs is not None and len(x) == 1:
        compiled = torch.compile(theirs)
        calls |= {"torch": lambda: theirs(x[0]), "torch.compile": lambda: compiled(x[0])}
    return {title: round(moved / seconds(call) / copy, 3) for title, call in calls.items()}


def overhead(name: str, quick: bool) -> dict[str, float]:
    """Microseconds for a call on an array that is too small to matter: what a launch costs."""
    import time

    import torch

    x = torch.zeros(4, device="cuda")
    out = torch.empty_like(x)
    calls = {"symgen": lambda: getattr(F, name).cuda(x, out=out), "torch": lambda: torch.sigmoid(x, out=out)}
    found = {}
    for title, call in calls.items():
        call()
        torch.cuda.synchronize()
        start = time.perf_counter()
        for _ in range(100 if quick else 1000):
            call()
        torch.cuda.synchronize()
        found[title] = (time.perf_counter() - start) / (100 if quick else 1000) * 1e6
    return found


SECTIONS: dict[str, Callable[[str, bool], Any]] = {
    "correctness": correctness,
    "sweep": sweep,
    "bandwidth": bandwidth,
    "overhead": overhead,
}

if __name__ == "__main__":
    sys.exit(main())
