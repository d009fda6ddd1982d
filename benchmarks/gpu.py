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
from symgen.cuda_code import CAPABILITIES, DeviceArray, Simulator, compile_ptx, figures, simulated
from symgen.ptx import parse
from symgen.runtime.cuda import DRIVER
from symgen.runtime.errors import CudaMissingError

PACKAGES = ("numba", "numba-cuda", "nvidia-cuda-nvrtc", "nvidia-nvvm", "numpy", "torch", "triton")
REPEATS = 20
SWEEP = 2**26  # float32 inputs at a time in the exhaustive sweep
LARGE = 2**26  # elements whose bandwidth is measured, where one size is enough
COLUMNS = 1024  # of rows, where only their number is asked for
LENGTHS = (128, 1024, 4096, 16384, 131072)  # of the rows whose bandwidth is measured


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
            result[name] = {n: tried(section, n, options.quick) for n in chosen}
    text = json.dumps(result, indent=1, sort_keys=True)
    print(text)
    if options.json:
        Path(options.json).write_text(text + "\n", encoding="utf-8")
    return 1 if missing else 0


def tried(section: Callable[[str, bool], Any], name: str, quick: bool) -> Any:
    """What a section finds of a function; what goes wrong is said, and the others are measured all the same."""
    try:
        return section(name, quick)
    except Exception as error:  # noqa: BLE001 - whatever a device, a driver or another library raises
        print(f"{section.__name__} of {name} failed: {error}", file=sys.stderr)
        return {"failed": f"{type(error).__name__}: {error}"}


def _is_kernel(name: str) -> bool:
    """Whether a name is that of a function with CUDA kernels."""
    function = getattr(getattr(F, name), "function", None) if not name.startswith("_") else None
    return function is not None and bool(function.cuda)


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


def operands(name: str, n: int, columns: int = COLUMNS) -> dict[str, np.ndarray]:
    """Arrays of n elements: numbers of both signs where the domain allows, for functions of rows in rows.

    Args:
        name: of the function.
        n: elements of an operand.
        columns: entries of a row; fewer where there are not as many elements.
    """
    rng, function = np.random.default_rng(0), getattr(F, name).function
    parts = max([x.parts for a in function.operands for x in a.axes if not x.name], default=1)
    wide = min(parts if parts > 1 else columns, n)
    shape = (n // wide, wide) if function.is_rows else (n,)
    found = {}
    for a in (a for a in function.operands if a.role != "mask" and not (a.role == "weight" and not a.required)):
        shared = a.role in ("param", "weight")
        own = shape if not function.is_rows else shape[-1:] if a.axes and shared else shape if a.axes else shape[:-1]
        if a.role in ("index", "either"):
            found[a.name] = rng.integers(0, wide, own)
        elif a.role in ("prob", "weight") or a.limits:
            found[a.name] = rng.uniform(0.05, 0.95, own).astype(np.float32)
        else:
            found[a.name] = (3 * rng.standard_normal(own)).astype(np.float32)
    return found


def settings(name: str) -> dict[str, Any]:
    """Options that have no default, and no reduction: what is compared is each loss."""
    function = getattr(F, name).function
    reduction = {"reduction": "none"} if function.is_loss else {}
    return {a.name: 0.5 for a in function.options if a.required} | reduction


def value_and_gradient(kernel: Any, arrays: dict[str, Any], more: dict[str, Any], wrap: Callable[[Any], Any]) -> Any:
    """Both results of one function, the gradient that in its first tensor."""
    first = kernel._caller.function.tensors[0].name
    value = kernel(**arrays, **more)
    ones = np.ones(value.__cuda_array_interface__["shape"], np.float32)
    return value, kernel.vjp(wrap(ones), **arrays, **more, wrt=(first,))


def interpreted(name: str, n: int = 4096) -> dict[str, Any]:
    """The kernels in the interpreter: hashes of results for each architecture, and what moving memory costs."""
    found = {}
    for capability in CAPABILITIES:
        simulator = Simulator(capability)
        arrays = {k: DeviceArray(v) for k, v in operands(name, n).items()}
        kernel = simulated(getattr(F, name).cuda, simulator)
        value, slope = value_and_gradient(kernel, arrays, settings(name), DeviceArray)
        counts = simulator.runs[-1].counts
        found[f"sm_{capability[0]}{capability[1]}"] = {
            "sha256": [hashlib.sha256(v.memory.tobytes()).hexdigest() for v in (value, slope)],
            "instructions per element of the gradient": round(32 * counts.instructions.total() / n, 1),
            "sectors per request": max(counts.sectors_per_request().values()),
        }
    return found


def static(name: str) -> dict[str, Any]:
    """Figures of the PTX of the value and the gradient kernel, and a hash by which a driver's own can be recognised."""
    return {f"sm_{c[0]}{c[1]}": dict(_static(name, c)) for c in CAPABILITIES}


def _static(name: str, capability: tuple[int, int]) -> Iterator[tuple[str, Any]]:
    recorder = _Recorder(capability)
    arrays = {k: DeviceArray(v) for k, v in operands(name, 4096).items()}
    value_and_gradient(simulated(getattr(F, name).cuda, recorder), arrays, settings(name), DeviceArray)
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

        if kernel.py_func.__module__.startswith("symgen.generated"):
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

    x, more = operands(name, 2**12 if quick else 2**20), settings(name)
    first = getattr(F, name).function.tensors[0].name
    on_device = {k: torch.from_numpy(v).cuda() for k, v in x.items()}
    got = value_and_gradient(getattr(F, name).cuda, on_device, more, lambda v: torch.from_numpy(v).cuda())
    small = {k: DeviceArray(v) for k, v in operands(name, 2**12).items()} if quick else {}
    wide = {k: v.astype(np.float64) if v.dtype == np.float32 else v for k, v in x.items()}
    value = getattr(F, name)(**wide, **more)
    truth = value, getattr(F, name).vjp(np.ones(np.shape(value)), **wide, **more, wrt=(first,))
    found: dict[str, Any] = {}
    for title, one, true in zip(("value", "gradient"), got, truth, strict=True):
        with np.errstate(all="ignore"):
            ulp = np.abs(one.cpu().numpy() - true) / np.spacing(np.abs(true).astype(np.float32))
        found[f"largest error of the {title} in ULP"] = float(np.nanmax(ulp))
    if small:  # the interpreter is too slow for more
        kernel = simulated(getattr(F, name).cuda, Simulator(torch.cuda.get_device_capability()))
        both = zip(got, value_and_gradient(kernel, small, more, DeviceArray), strict=True)
        equal = [np.mean(a.cpu().numpy().view(np.uint32) == b.memory.view(np.uint32)) for a, b in both]
        found["as interpreted"] = float(min(equal))
    return found


def sweep(name: str, quick: bool) -> dict[str, Any] | None:
    """All float32 inputs of a function of one tensor: the largest error in ULP, by the device's own float64 kernel."""
    import torch

    function = getattr(F, name).function
    if quick or len(function.operands) != 1 or function.is_rows:
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
    if getattr(F, name).function.is_rows:
        return {f"rows of {c}": _bandwidth(name, LARGE, c) for c in ((1024,) if quick else LENGTHS)}
    return {str(n): _bandwidth(name, n) for n in ((LARGE,) if quick else (2**20, 2**22, 2**24, LARGE, 2**28))}


def _bandwidth(name: str, n: int, columns: int = COLUMNS) -> dict[str, float]:
    import torch

    x = {k: torch.from_numpy(v).cuda() for k, v in operands(name, n, columns).items()}
    more, first = settings(name), next(iter(x.values()))
    out = torch.empty_like(getattr(F, name).cuda(**x, **more))
    moved = sum(v.numel() * v.element_size() for v in (*x.values(), out))
    other = torch.empty_like(first)
    copy = 2 * first.numel() * first.element_size() / seconds(lambda: other.copy_(first))
    calls: dict[str, Callable[[], Any]] = {"symgen": lambda: getattr(F, name).cuda(**x, **more, out=out)}
    function, tensors = getattr(F, name).function, list(x.values())
    theirs = getattr(torch.nn.functional, function.torch or "", None)
    if theirs is not None:  # compiled, it is a kernel in Triton
        along = {"dim": -1} if function.is_movable and not function.is_loss else {}
        compiled = torch.compile(theirs)
        calls |= {"torch": lambda: theirs(*tensors, **along, **more),
                  "torch.compile": lambda: compiled(*tensors, **along, **more)}  # fmt: skip
    return {title: _share(moved, call, copy) for title, call in calls.items()}


def _share(moved: int, call: Callable[[], Any], copy: float) -> float:
    """What a call moves in a second as a share of a copy; NaN for one that takes other arguments."""
    try:
        return round(moved / seconds(call) / copy, 3)
    except (TypeError, ValueError, RuntimeError) as error:
        print(f"not measured: {error}", file=sys.stderr)
        return float("nan")


def overhead(name: str, quick: bool) -> dict[str, float] | None:
    """Microseconds for a call on an array that is too small to matter: what a launch costs, of one operand."""
    import time

    import torch

    function = getattr(F, name).function
    if len(function.operands) != 1 or function.is_rows or settings(name):
        return None
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
