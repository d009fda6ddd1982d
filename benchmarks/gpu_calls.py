"""What the GPU benchmark calls: every function's operands and settings, on a device, and what PyTorch has for it."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

import symgen.functional as F
from symgen.runtime.manifest import WALKED_ROLES, Argument, Axis, Function

DRAWN = 2**20  # numbers that are drawn; a longer array repeats them
COLUMNS = 1024  # of rows, where only their number is asked for
WORK = 2**34  # entries that a kernel may walk over: where all samples are compared, they are the square of a batch
BETWEEN = 2  # the length of axes of a sample other than its first and its last: the views of a contrastive loss
LABELS = 8  # classes of a sample that has several, at most
SHARED = ("param", "weight")  # by all samples


@dataclass(frozen=True)
class Layout:
    """The lengths of a function's axes; the batch has none where all samples together are one, to be compared."""

    batch: tuple[int, ...]
    axes: Mapping[str, int]

    def shape(self, argument: Argument) -> tuple[int, ...]:
        """Of an operand: what all samples share has no batch."""
        own = tuple(self.axes[_name(x)] for x in argument.axes if _name(x) in self.axes)
        if not self.axes:
            return self.batch if argument.role in WALKED_ROLES else (1,)
        return own if own and argument.role in SHARED else self.batch + own


def layout(function: Function, n: int, columns: int) -> Layout:
    """Axes such that operands have about n elements.

    Args:
        function: as the manifest has it.
        n: elements of an operand with all axes; fewer where kernels would walk over too much.
        columns: the length of the last axis; fewer where there are not as many elements.
    """
    if not function.is_rows:
        return Layout((n,), {})
    whole = max((a.axes for a in function.operands), key=len)
    last, first = whole[-1], _name(whole[0])
    wide = max(min(columns, n) // last.parts, 1) * last.parts if last.name else last.parts
    axes = dict.fromkeys(map(_name, whole), BETWEEN) | {_name(last): wide}
    if not any(0 < x.rank <= len(whole) for x in whole):
        return Layout((max(n // math.prod(axes.values()), 1),), axes)
    axes[first] = max(n // math.prod(axes[_name(x)] for x in whole[1:]), 2)
    while axes[first] > BETWEEN and _work(function, axes) > WORK:
        axes[first] //= 2
    return Layout((), axes)


def _name(axis: Axis) -> str:
    """What walks call an axis: one without a name by its length."""
    return axis.name or str(axis.parts)


def _work(function: Function, axes: Mapping[str, int]) -> int:
    return max(v.work(output, axes) for v in function.variants for output in ("value", "value_and_grad"))


def operands(name: str, n: int, columns: int = COLUMNS) -> dict[str, np.ndarray]:
    """Arrays of about n elements: numbers of both signs where the domain allows, for functions of rows in rows.

    Args:
        name: of the function.
        n: elements of an operand, as in `layout`.
        columns: entries of a row; fewer where there are not as many elements.
    """
    function = getattr(F, name).function
    return drawn(function, layout(function, n, columns))


def drawn(function: Function, lengths: Layout) -> dict[str, np.ndarray]:
    """Every operand that a call cannot do without, valid and at random, the same each time."""
    rng = np.random.default_rng(0)
    wanted = [a for a in function.operands if a.role != "mask" and (a.required or a.role != "weight")]
    classes = lengths.axes[_name(max((a.axes for a in wanted), key=len)[-1])] if lengths.axes else 0
    return {a.name: _draw(rng, a, lengths.shape(a), classes) for a in wanted}


def _draw(rng: np.random.Generator, argument: Argument, shape: tuple[int, ...], classes: int) -> np.ndarray:
    if argument.role in ("index", "either"):
        return rng.integers(0, classes, shape)
    if argument.role == "labels":
        return _lists(rng, shape, classes)
    if argument.role in ("prob", "weight") or argument.limits:
        return rng.uniform(0.05, 0.95, shape).astype(np.float32)
    return (3 * rng.standard_normal(shape)).astype(np.float32)


def _lists(rng: np.random.Generator, shape: tuple[int, ...], classes: int) -> np.ndarray:
    """Lists of classes, none twice, from none to LABELS; what follows a list is -1."""
    most = min(LABELS, classes)
    apart = classes // most  # each comes from a share of the classes of its own
    own = np.argsort(rng.random((*shape[:-1], most)), axis=-1) * apart + rng.integers(0, apart, (*shape[:-1], most))
    found = np.full(shape, -1)
    found[..., :most] = np.where(np.arange(most) < rng.integers(0, most + 1, (*shape[:-1], 1)), own, -1)
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
    """Operands of as many elements on the device, of numbers that were drawn once."""
    import torch

    function = getattr(F, name).function
    whole, found = layout(function, n, columns), {}
    few = replace(whole, batch=tuple(min(m, max(DRAWN // math.prod(whole.axes.values()), 1)) for m in whole.batch))
    for key, value in drawn(function, few).items():
        array = torch.from_numpy(value).cuda()
        array = array.to(getattr(torch, dtype)) if array.dtype == torch.float32 else array
        argument = next(a for a in function.operands if a.name == key)
        alone = whole.shape(argument) == few.shape(argument)
        found[key] = array if alone else array.repeat(whole.batch[0] // few.batch[0], *[1] * (array.ndim - 1))
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
