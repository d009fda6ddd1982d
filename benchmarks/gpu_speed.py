"""How fast CUDA kernels are: as a share of a copy on the same device, beside PyTorch's, and what a call costs."""

from __future__ import annotations

import functools
import math
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

import symgen.functional as F
from benchmarks.gpu_calls import COLUMNS, on_device, peer, reduction_of, settings

REPEATS = 20
LARGE = 2**26  # elements whose bandwidth is measured, where one size is enough
BYTES = 2**26  # what sets of arrays in turn take at least, that none is found in the device's cache
LENGTHS = (128, 1024, 4096, 16384, 131072)  # of the rows whose bandwidth is measured
COMPILED = ("gelu", "silu", "sigmoid", "softplus", "mish", "softmax", "log_softmax", "layer_norm")


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
    sets = [on_device(name, n, columns, dtype) for _ in range(min(REPEATS, math.ceil(BYTES / (4 * n))))]
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
    theirs = peer(function)
    if theirs is not None:
        calls["value"]["torch"] = [functools.partial(theirs, **s, **reduction_of(function)) for s in sets]
        calls["vjp"]["torch"] = [_backward(theirs, s, whole, reduction_of(function)) for s in sets]
        if function.is_loss:
            calls["mean and gradient"]["torch"] = [_backward(theirs, s, whole, {}, whole_time=True) for s in sets]
        if n == LARGE and columns == COLUMNS and name in COMPILED:  # compiled, it is a kernel in Triton
            made = torch.compile(theirs)
            calls["value"]["torch.compile"] = [functools.partial(made, **s, **reduction_of(function)) for s in sets]
    found: dict[str, Any] = {"copy in GB/s": round(copy / 1e9, 1)}
    for title, each in calls.items():
        found[title] = {who: _share(moved[title], call, copy) for who, call in each.items()}
    return found


def _bytes(array: Any) -> int:
    return int(array.numel() * array.element_size())


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
