"""The CUDA kernels on a GPU: are they right, are they what the interpreter computed, and how fast are they?

    python benchmarks/gpu.py [FUNCTION ...] [--section NAME ...] [--jobs N] [--json FILE] [--quick]

What needs no GPU is done anywhere: every kernel is compiled, its static figures are taken, and the interpreter runs it.
The rest needs a driver and PyTorch; where one is missing the program says so and ends with exit code 1. It prints one
JSON object, whose keys are those of `SECTIONS`; what is timed never runs beside anything else.
"""

from __future__ import annotations

import argparse
import functools
import hashlib
import importlib
import importlib.metadata
import json
import math
import multiprocessing
import platform
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
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
SWEEP = 2**24  # float32 inputs at a time in the exhaustive sweep
LARGE = 2**26  # elements whose bandwidth is measured, where one size is enough
DRAWN = 2**20  # numbers that are drawn; a longer array repeats them
BYTES = 2**26  # what sets of arrays in turn take at least, that none is found in the device's cache
COLUMNS = 1024  # of rows, where only their number is asked for
LENGTHS = (128, 1024, 4096, 16384, 131072)  # of the rows whose bandwidth is measured


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("functions", nargs="*", help="all if none is named")
    parser.add_argument("--section", action="append", choices=SECTIONS, help="what to find out; all if none is named")
    parser.add_argument("--jobs", type=int, default=1, help="processes for what is not timed")
    parser.add_argument("--json", help="write the result to this file too")
    parser.add_argument("--quick", action="store_true", help="one size, and no exhaustive sweep")
    options = parser.parse_args(arguments)
    chosen = options.functions or sorted({getattr(F, n).__name__ for n in dir(F) if _is_kernel(n)})
    missing = _missing()
    result: dict[str, Any] = {"versions": versions(), "device": None if missing else device()}
    for name, section in SECTIONS.items():
        if name in (options.section or SECTIONS) and not (section.on_device and missing):
            result[name] = dict(zip(chosen, _each(name, chosen, options), strict=True))
            _keep(result, options.json)
    print(_keep(result, options.json))
    if missing:
        print(f"nothing more can be measured here: {missing}", file=sys.stderr)
    return 1 if missing else 0


def _keep(result: Mapping[str, Any], place: str | None) -> str:
    """The text of what is known so far, which is kept in a file where one is named."""
    text = json.dumps(result, indent=1, sort_keys=True)
    if place:
        Path(place).write_text(text + "\n", encoding="utf-8")
    return text


def _each(section: str, names: Sequence[str], options: argparse.Namespace) -> list[Any]:
    """What a section finds of each function: side by side where nothing is timed."""
    work = functools.partial(tried, section, quick=options.quick)
    if options.jobs == 1 or SECTIONS[section].timed:
        return [work(n) for n in names]
    with ProcessPoolExecutor(options.jobs, multiprocessing.get_context("spawn")) as pool:
        return list(pool.map(work, names))


def tried(section: str, name: str, quick: bool) -> Any:
    """What a section finds of a function; what goes wrong is said, and the others are measured all the same."""
    try:
        return SECTIONS[section].run(name, quick)
    except Exception as error:  # noqa: BLE001 - whatever a device, a driver or another library raises
        print(f"{section} of {name} failed: {type(error).__name__}: {error}", file=sys.stderr)
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


def interpreted(name: str, quick: bool, n: int = 4096) -> dict[str, Any]:  # noqa: ARG001 - as all sections
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


def static(name: str, quick: bool) -> dict[str, Any]:  # noqa: ARG001
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
        from symgen.runtime.cuda_launch import argument_type

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

    more = settings(name)
    first = getattr(F, name).function.tensors[0].name
    found: dict[str, Any] = {}
    for n in (2**12,) if quick else (2**12, 2**20):
        x = operands(name, n)
        on_device = {k: torch.from_numpy(v).cuda() for k, v in x.items()}
        got = value_and_gradient(getattr(F, name).cuda, on_device, more, lambda v: torch.from_numpy(v).cuda())
        wide = {k: v.astype(np.float64) if v.dtype == np.float32 else v for k, v in x.items()}
        value = getattr(F, name)(**wide, **more)
        truth = value, getattr(F, name).vjp(np.ones(np.shape(value)), **wide, **more, wrt=(first,))
        for title, one, true in zip(("value", "gradient"), got, truth, strict=True):
            with np.errstate(all="ignore"):
                ulp = np.abs(one.cpu().numpy() - true) / np.spacing(np.abs(true).astype(np.float32))
            found[f"largest error of the {title} in ULP, {n} elements"] = float(np.nanmax(ulp))
        if n == 2**12:  # the interpreter is too slow for more
            small = {k: DeviceArray(v) for k, v in x.items()}
            kernel = simulated(getattr(F, name).cuda, Simulator(torch.cuda.get_device_capability()))
            both = zip(got, value_and_gradient(kernel, small, more, DeviceArray), strict=True)
            equal = [np.mean(a.cpu().numpy().view(np.uint32) == b.memory.view(np.uint32)) for a, b in both]
            found["as interpreted"] = float(min(equal))
    return found


def sweep(name: str, quick: bool) -> dict[str, Any] | None:
    """All float32 inputs of a function of one tensor, each variant: value and derivatives by the device's float64.

    PyTorch's own function is swept beside it, its gradient by autograd, in the main variant.
    """
    function = getattr(F, name).function
    if quick or len(function.operands) != 1 or function.is_rows:
        return None
    found, own = {}, getattr(F, name).cuda
    for variant in function.variants:
        more = settings(name) | dict(variant.settings)
        calls = {order: functools.partial(own.grad, order=order, **more) if order else functools.partial(own, **more)
                 for order in range(3) if not order or function.output(function.tensors[0], order) in variant.outputs}
        for order, call in calls.items():
            found[" ".join(filter(None, (variant.suffix, TITLES[order])))] = _swept(call, call)
    theirs = _peer(function)
    if theirs is not None:
        slope = functools.partial(_autograd, theirs)
        found["torch value"] = _swept(theirs, functools.partial(own, **settings(name)))
        found["torch gradient"] = _swept(slope, functools.partial(own.grad, **settings(name)))
    return found


TITLES = ("value", "gradient", "second derivative")


def _autograd(theirs: Callable[[Any], Any], x: Any) -> Any:
    """The elementwise derivative of a function of PyTorch."""
    import torch

    x = x.detach().requires_grad_()
    return torch.autograd.grad(theirs(x), x, torch.ones_like(x))[0]


def _swept(call: Callable[[Any], Any], truth: Callable[[Any], Any]) -> dict[str, Any]:
    """A function in float32 beside itself or another in float64, for all float32: errors, and results that are lost."""
    import torch

    worst, at, lost, wrong, inexact = 0.0, 0.0, 0, 0, 0
    largest, smallest = torch.finfo(torch.float32).max, torch.finfo(torch.float32).tiny
    for start in range(-(2**31), 2**31, SWEEP):
        bits = torch.arange(start, start + SWEEP, dtype=torch.int64, device="cuda").to(torch.int32)
        x = bits.view(torch.float32)
        single, true = call(x), truth(x.double())
        rounded = true.float()
        size = torch.clamp(true.abs(), min=smallest)
        ulp = (single.double() - true).abs() / torch.exp2(torch.floor(torch.log2(size)) - 23)
        ulp = torch.nan_to_num(torch.where(rounded.abs() <= largest, ulp, 0.0), nan=0.0, posinf=float("inf"))
        numbers = ~rounded.isnan()
        inexact += int(((single != rounded) & numbers).sum())
        lost += int(((single == 0) & (true.abs() >= smallest) & numbers).sum())
        wrong += int((single.isnan() & numbers).sum() + (single.isinf() & (true.abs() < largest)).sum())
        i = int(ulp.argmax())
        if float(ulp[i]) > worst:
            worst, at = float(ulp[i]), float(x[i])
    return {"largest error in ULP": worst, "at": at, "zero for a normal number": lost,
            "not finite for a number": wrong, "not correctly rounded": inexact}  # fmt: skip


def seconds(calls: Sequence[Callable[[], Any]]) -> float:
    """The median time on the device, by events, of one of these calls, which are made in turn.

    The device copies something large before each, so that the next launch waits for it and not it for the launch.
    """
    import torch

    for call in calls[:3]:
        call()
    times, (source, target) = [], (torch.zeros(LARGE, device="cuda") for _ in range(2))
    for i in range(REPEATS):
        start, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        torch.cuda.synchronize()
        target.copy_(source)
        start.record()
        calls[i % len(calls)]()
        end.record()
        torch.cuda.synchronize()
        times.append(start.elapsed_time(end) / 1e3)
    return float(np.median(times))


def bandwidth(name: str, quick: bool) -> dict[str, Any]:
    """Bytes moved in a second, as a share of a copy on the device in the same run; PyTorch's own beside it."""
    dtypes = ("float32",) if quick else ("float32", "bfloat16", "float64")
    if getattr(F, name).function.is_rows:
        found = {f"rows of {c}": _bandwidth(name, LARGE, c) for c in ((COLUMNS,) if quick else LENGTHS)}
    else:
        found = {str(n): _bandwidth(name, n) for n in ((LARGE,) if quick else (2**20, 2**22, 2**24, LARGE))}
    return found | {d: _bandwidth(name, LARGE // 4, dtype=d) for d in dtypes[1:]}


def _bandwidth(name: str, n: int, columns: int = COLUMNS, dtype: str = "float32") -> dict[str, Any]:
    import torch

    function, own, more = getattr(F, name).function, getattr(F, name).cuda, settings(name)
    sets = [_on_device(name, n, columns, dtype) for _ in range(min(REPEATS, math.ceil(BYTES / (4 * n))))]
    x, first = sets[0], function.tensors[0].name
    value = own(**x, **more)
    ones = torch.ones_like(value)
    read = sum(map(_bytes, x.values()))
    tensor = x[first]
    copies = [functools.partial(torch.empty_like(tensor).copy_, s[first]) for s in sets]
    copy = 2 * _bytes(tensor) / seconds(copies)
    whole = [t.name for t in function.tensors]
    outs = {"value": value, "vjp": [torch.empty_like(x[t]) for t in whole]}
    calls: dict[str, dict[str, list[Callable[[], Any]]]] = {"value": {}, "vjp": {}}
    calls["value"]["symgen"] = [functools.partial(own, **s, **more, out=value) for s in sets]
    wrt = tuple(whole)
    out = outs["vjp"][0] if len(whole) == 1 else tuple(outs["vjp"])
    calls["vjp"]["symgen"] = [functools.partial(own.vjp, ones, **s, **more, wrt=wrt, out=out) for s in sets]
    written = sum(map(_bytes, outs["vjp"]))
    moved = {"value": read + _bytes(value), "vjp": read + _bytes(value) + written, "mean and gradient": read + written}
    if function.is_loss:
        numeric = {k: v for k, v in more.items() if k != "reduction"}
        calls["mean and gradient"] = {"symgen": [functools.partial(own.value_and_grad, **s, **numeric) for s in sets]}
    theirs = _peer(function)
    if theirs is not None:
        calls["value"]["torch"] = [functools.partial(theirs, **s, **_reduction(function)) for s in sets]
        calls["vjp"]["torch"] = [_backward(theirs, s, whole, _reduction(function)) for s in sets]
        if function.is_loss:
            calls["mean and gradient"]["torch"] = [_backward(theirs, s, whole, {}, whole_time=True) for s in sets]
        if n == LARGE and columns == COLUMNS and name in COMPILED:  # compiled, it is a kernel in Triton
            made = torch.compile(theirs)
            calls["value"]["torch.compile"] = [functools.partial(made, **s, **_reduction(function)) for s in sets]
    found: dict[str, Any] = {"copy in GB/s": round(copy / 1e9, 1)}
    for title, each in calls.items():
        found[title] = {who: _share(moved[title], call, copy) for who, call in each.items()}
    return found


COMPILED = ("gelu", "silu", "sigmoid", "softplus", "mish", "softmax", "log_softmax", "layer_norm")


def _bytes(array: Any) -> int:
    return int(array.numel() * array.element_size())


def _on_device(name: str, n: int, columns: int, dtype: str) -> dict[str, Any]:
    """Operands of as many elements on the device, of a number that was drawn once."""
    import torch

    function = getattr(F, name).function
    shared = {a.name for a in function.operands if function.is_rows and a.axes and a.role in ("param", "weight")}
    found, drawn = {}, min(n, max(DRAWN, columns))
    for key, value in operands(name, drawn, columns).items():
        array = torch.from_numpy(value).cuda()
        array = array.to(getattr(torch, dtype)) if array.dtype == torch.float32 else array
        found[key] = array if key in shared else array.repeat(n // drawn, *[1] * (array.ndim - 1))
    return found


def _peer(function: Any) -> Callable[..., Any] | None:
    """PyTorch's own function, called by the names of arguments that it shares with this one."""
    import torch

    name = (function.torch or function.name).rpartition(".")[2]
    places = (torch.nn.functional, getattr(torch, "special", None), torch)
    theirs = next((getattr(p, name) for p in places if hasattr(p, name)), None)
    if theirs is None:
        return None

    def called(*args: Any, **kwargs: Any) -> Any:
        names = [a.name for a in function.operands]
        given = dict(zip(names, args, strict=False)) | kwargs
        tensors = [given.pop(t.name) for t in function.tensors]
        if function.name.endswith("_norm") and "weight" in given:
            return theirs(*tensors, tensors[0].shape[-1:], **given)
        along = {"dim": -1} if function.is_movable and not function.is_loss else {}
        return theirs(*tensors, **given, **along)

    return called


def _reduction(function: Any) -> dict[str, Any]:
    return settings(function.name) if function.is_loss else {}


def _backward(theirs: Callable[..., Any], x: Mapping[str, Any], names: Sequence[str], more: Mapping[str, Any],
              whole_time: bool = False) -> Callable[[], Any]:
    """PyTorch's gradients in some operands; the value before them is timed with them, or not."""
    import torch

    held = {k: v.detach().requires_grad_() if k in names else v for k, v in x.items()}
    wanted = [held[k] for k in names]
    if whole_time:
        return lambda: torch.autograd.grad(theirs(**held, **more), wanted)
    try:
        value = theirs(**held, **more)
    except (TypeError, ValueError, RuntimeError) as error:  # it takes other arguments: said when it is called
        return functools.partial(_refuse, str(error))
    ones = torch.ones_like(value)
    return lambda: torch.autograd.grad(value, wanted, ones, retain_graph=True)


def _refuse(said: str) -> None:
    raise RuntimeError(said)


def _share(moved: int, calls: Sequence[Callable[[], Any]], copy: float) -> float | None:
    """What a call moves in a second as a share of a copy; None for one that takes other arguments."""
    try:
        return round(moved / seconds(calls) / copy, 3)
    except (TypeError, ValueError, RuntimeError) as error:
        print(f"not measured: {error}", file=sys.stderr)
        return None


def overhead(name: str, quick: bool) -> dict[str, float] | None:
    """Microseconds for a call on an array that is too small to matter: what a launch costs, of one operand."""
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


@dataclass(frozen=True)
class Section:
    """Something to find out about a function: where, and whether times are what it is about."""

    run: Callable[[str, bool], Any]
    on_device: bool = True
    timed: bool = False


SECTIONS = {
    "static": Section(static, on_device=False),
    "interpreter": Section(interpreted, on_device=False),
    "correctness": Section(correctness),
    "sweep": Section(sweep),
    "bandwidth": Section(bandwidth, timed=True),
    "overhead": Section(overhead, timed=True),
}

if __name__ == "__main__":
    sys.exit(main())
