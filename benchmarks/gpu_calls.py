"""What the GPU benchmark calls: every function's operands and settings, on a device, and what PyTorch has for it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import symgen.functional as F

DRAWN = 2**20  # numbers that are drawn; a longer array repeats them
COLUMNS = 1024  # of rows, where only their number is asked for


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
        if a.role == "param" and not function.is_rows:
            own = (1,)
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


def on_device(name: str, n: int, columns: int, dtype: str) -> dict[str, Any]:
    """Operands of as many elements on the device, of a number that was drawn once."""
    import torch

    function = getattr(F, name).function
    shared = {a.name for a in function.operands if function.is_rows and a.axes and a.role in ("param", "weight")}
    found, drawn = {}, min(n, max(DRAWN, columns))
    for key, value in operands(name, drawn, columns).items():
        array = torch.from_numpy(value).cuda()
        array = array.to(getattr(torch, dtype)) if array.dtype == torch.float32 else array
        alone = key in shared or value.size == 1
        found[key] = array if alone else array.repeat(n // drawn, *[1] * (array.ndim - 1))
    return found


def peer(function: Any) -> Callable[..., Any] | None:
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


def reduction_of(function: Any) -> dict[str, Any]:
    return settings(function.name) if function.is_loss else {}


def autograd(theirs: Callable[[Any], Any], x: Any) -> Any:
    """The elementwise derivative of a function of PyTorch."""
    import torch

    x = x.detach().requires_grad_()
    return torch.autograd.grad(theirs(x), x, torch.ones_like(x))[0]
