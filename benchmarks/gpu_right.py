"""Whether CUDA kernels are right: their text, the interpreter's results, the device's, and all float32 inputs."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

import symgen.functional as F
from benchmarks.gpu_calls import autograd, operands, peer, settings, value_and_gradient
from symgen.cuda_code import CAPABILITIES, DeviceArray, Simulator, compile_ptx, figures, simulated

SWEEP = 2**24  # float32 inputs at a time in the exhaustive sweep
TITLES = ("value", "gradient", "second derivative")


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
        f = figures(text)
        numbers = {"instructions": f.instructions, "float64": f.double, "local": f.local, "wide": f.loads + f.stores}
        yield title, {**numbers, "sha256": hashlib.sha256(text.encode()).hexdigest()}


class _Recorder(Simulator):
    """Compiles what would be launched, and launches nothing."""

    def __init__(self, capability: tuple[int, int]) -> None:
        super().__init__(capability)
        self.texts: dict[str, str] = {}

    def launch(self, kernel: Any, blocks: int, stream: int, arguments: Sequence[Any], room: int = 0) -> None:  # noqa: ARG002
        from symgen.runtime.cuda_launch import argument_type

        if kernel.py_func.__module__.startswith("symgen.generated"):
            signature = tuple(map(argument_type, arguments))
            self.texts[kernel.py_func.__name__] = compile_ptx(kernel, signature, self.capability)


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
    theirs = peer(function)
    if theirs is not None:
        slope = functools.partial(autograd, theirs)
        found["torch value"] = _swept(theirs, functools.partial(own, **settings(name)))
        found["torch gradient"] = _swept(slope, functools.partial(own.grad, **settings(name)))
    return found


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
        exponent = torch.frexp(torch.clamp(true.abs(), min=smallest)).exponent.long()
        unit = ((exponent - 24 + 1023) << 52).view(torch.float64)  # the float32's last place: two to that power
        ulp = (single.double() - true).abs() / unit
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
