"""The libraries that are compared. Each makes, of a subject and arrays, a callable that does one mode's whole work.

A library says in a few words why it does not take part: it is not installed, has no such function, takes no output.
"""

from __future__ import annotations

import importlib
import importlib.util
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache, partial
from typing import Any

import numpy as np

from benchmarks.subjects import Subject
from benchmarks.text import UnprintableError, text

NAMES = ("exp", "log", "sin", "cos", "tan", "sinh", "cosh", "tanh", "arctan", "arcsinh", "abs", "sign", "sqrt")


class Skip(Exception):  # noqa: N818  no error: a library that does not take part
    """Why a library does not take part."""


@dataclass(frozen=True)
class Task:
    """One thing to be done: what, in which mode, on which arrays, and where the results go (None: new arrays)."""

    subject: Subject
    mode: str
    x: Any
    g: Any
    outs: tuple[Any, ...] | None = None


@dataclass(frozen=True)
class Library:
    """A library and how it does a task.

    Attributes:
        name: in tables.
        prepare: the callable of a task, and what turns its result into NumPy arrays.
        module: what has to be installed.
        spins: whether its threads stay busy for a while after a call.
        measured: whether it computes the function, so that its error means something.
    """

    name: str
    prepare: Callable[[Task], Callable[[], Any]]
    arrays: Callable[[Any], Any] = field(default=np.asarray)
    module: str = "numpy"
    spins: bool = False
    measured: bool = True

    def missing(self) -> str | None:
        """Why it cannot take part at all, or None."""
        if importlib.util.find_spec(self.module) is None:
            return f"{self.module} is not installed: pip install '.[bench]'"
        return None


def results(library: Library, task: Task) -> tuple[Any, ...]:
    """What a library computes for a task, as NumPy arrays."""
    found = library.prepare(task)()
    return tuple(library.arrays(a) for a in (found if isinstance(found, tuple | list) else (found,)))


# --- symgen, and the bound --------------------------------------------------------------------------------------------


def _symgen(task: Task) -> Callable[[], Any]:
    s, x, g = task.subject, task.x, task.g
    held = tuple(np.array([v], x.dtype) for v in s.held)
    keywords = dict(s.options)
    if task.outs is not None:
        keywords["out"] = task.outs if len(task.outs) > 1 else task.outs[0]
    if task.mode == "value":
        return lambda: s.kernel(x, *held, **keywords)
    if task.mode == "vjp":
        return lambda: s.kernel.vjp(g, x, *held, wrt=s.case.operand, **keywords) if held else s.kernel.vjp(
            g, x, **keywords
        )
    return lambda: s.kernel.value_and_grad(x, *held, **keywords)


def _copy(task: Task) -> Callable[[], Any]:
    if task.outs is None:
        return task.x.copy
    out = task.outs[0]
    return lambda: np.copyto(out, task.x)


# --- formulas ---------------------------------------------------------------------------------------------------------


def _function(task: Task, names: dict[str, Any]) -> Callable[[Any, Any], Any]:
    """The mode's formulas as one Python function of operand and cotangent, in the names of a library."""
    value, slope = _texts(task.subject)
    body = {"value": value, "vjp": f"g * {slope}", "value_and_grad": f"({value}, {slope})"}[task.mode]
    space = dict(names)
    code = compile(f"lambda {task.subject.case.operand}, g: {body}", f"<{task.subject.name}>", "eval")
    if unknown := set(code.co_consts[0].co_names) - set(space):
        raise Skip(f"has no {min(unknown)}")
    made: Callable[[Any, Any], Any] = eval(code, {"__builtins__": {}, **space})
    return made


def _texts(subject: Subject) -> tuple[str, str]:
    try:
        value, slope = (text(e) for e in subject.formulas)
    except UnprintableError as error:
        raise Skip(f"{error} has no text") from None
    return value, slope


def _numpy_erf() -> dict[str, Any]:
    """SciPy's erf where it is installed; else the standard library's, one number at a time, would be no peer."""
    return {"erf": importlib.import_module("scipy.special").erf} if importlib.util.find_spec("scipy") else {}


@cache
def _numpy_names() -> dict[str, Any]:
    return {name: getattr(np, name) for name in (*NAMES, "maximum", "minimum", "where")} | _numpy_erf()


def _numpy(task: Task) -> Callable[[], Any]:
    if task.outs is not None:
        raise Skip("an expression takes no output")
    made = _function(task, _numpy_names())

    def run() -> Any:
        with np.errstate(all="ignore"):
            return made(task.x, task.g)

    return run


def _numexpr(task: Task) -> Callable[[], Any]:
    import numexpr

    if task.mode == "value_and_grad":
        raise Skip("one result for each expression")
    if task.x.dtype.itemsize == 2:
        raise Skip("no 16-bit types")
    constants: dict[str, Any] = {}

    def number(value: float) -> str:  # a Python number would make everything float64
        name = f"c{len(constants)}" if math.isfinite(value) else "c_inf"
        constants[name] = task.x.dtype.type(value)
        return name

    which = task.subject.formulas[0 if task.mode == "value" else 1]
    try:
        formula = text(which, number)
    except UnprintableError as error:
        raise Skip(f"{error} has no text") from None
    for missing in ("erf(", "maximum(", "minimum(", "sign("):
        if missing in formula:
            raise Skip(f"has no {missing[:-1]}")
    formula = formula if task.mode == "value" else f"g * {formula}"
    space = {**constants, task.subject.case.operand: task.x, "g": task.g}
    out = task.outs[0] if task.outs else None
    return lambda: numexpr.evaluate(formula, space, {}, out=out)


# --- PyTorch ----------------------------------------------------------------------------------------------------------


@cache
def _torch_names() -> dict[str, Any]:
    import torch

    known = {name: getattr(torch, name) for name in (*NAMES, "erf")}

    def scalar_first(function: Any) -> Any:
        def pick(a: Any, b: Any) -> Any:
            dtype = (a if isinstance(a, torch.Tensor) else b).dtype
            return function(*(torch.as_tensor(v, dtype=dtype) for v in (a, b)))

        return pick

    def where(c: Any, a: Any, b: Any) -> Any:
        return torch.where(c, a, b)

    return known | {"maximum": scalar_first(torch.maximum), "minimum": scalar_first(torch.minimum), "where": where}


def tensor(array: Any) -> Any:
    """A NumPy array as PyTorch's, on the same memory."""
    import torch

    if array.dtype.name == "bfloat16":
        return torch.from_numpy(array.view(np.int16)).view(torch.bfloat16)
    return torch.from_numpy(array)


def from_tensor(found: Any) -> Any:
    """PyTorch's array as NumPy's."""
    import torch

    plain = found.detach()
    if plain.dtype == torch.bfloat16:
        import ml_dtypes

        return plain.view(torch.int16).numpy().view(ml_dtypes.bfloat16)
    return plain.numpy()


def _torch_function(subject: Subject) -> Callable[[Any], Any]:
    """PyTorch's own function where it has one that agrees with the definition, else the expression."""
    import torch

    if subject.torch:
        for place in (torch.nn.functional, torch, torch.special):
            own = getattr(place, subject.torch.removeprefix("special."), None)
            if own is not None and _agrees(subject, partial(_call, own, subject)):
                return partial(_call, own, subject)
    made = _function(Task(subject, "value", None, None), _torch_names())
    return lambda x: made(x, None)


def _call(own: Callable[..., Any], subject: Subject, x: Any) -> Any:
    return own(x, *_held(subject, x), **subject.options)


def _held(subject: Subject, x: Any) -> tuple[Any, ...]:
    import torch

    return tuple(torch.full((1,), v, dtype=x.dtype) for v in subject.held)


def _agrees(subject: Subject, function: Callable[[Any], Any]) -> bool:
    """Whether a library's function of this name means the same: to a thousandth, at moderate points."""
    x, _ = subject.inputs(np.float64, 200)
    held = tuple(np.array([v]) for v in subject.held)
    wanted = subject.kernel(x, *held, **subject.options)
    try:
        found = from_tensor(function(tensor(x)))
    except (TypeError, RuntimeError, ValueError):
        return False
    return bool(found.shape == wanted.shape and np.allclose(found, wanted, 1e-3, 1e-6))


def _torch_run(task: Task, function: Callable[[Any], Any]) -> Callable[[], Any]:
    """Forward, backward alone (what the forward pass saved is there already), or both."""
    import torch

    if task.outs is not None:
        raise Skip("autograd and torch.nn.functional take no output")
    x, g = tensor(task.x), tensor(task.g)
    if task.mode == "value":

        def forward() -> Any:
            with torch.no_grad():
                return function(x)

        return forward
    leaf = x.clone().requires_grad_()
    if task.mode == "vjp":
        saved = function(leaf)
        if not saved.requires_grad:
            raise Skip("the result does not depend on the operand")
        return lambda: torch.autograd.grad(saved, leaf, g, retain_graph=True)[0]
    one = torch.ones_like(x)

    def both() -> Any:
        value = function(leaf)
        return value, torch.autograd.grad(value, leaf, one)[0]

    return both


def _torch(task: Task) -> Callable[[], Any]:
    return _torch_run(task, _torch_function(task.subject))


def _torch_compile(task: Task) -> Callable[[], Any]:
    import torch

    if task.outs is not None:
        return _torch_run(task, lambda x: x)  # which says why not
    importlib.import_module("torch._functorch.config").donated_buffer = False  # so that a backward pass can be rerun
    torch.compiler.reset()  # what was compiled for other tasks counts against a limit
    return _torch_run(task, torch.compile(_torch_function(task.subject), dynamic=False))


# --- JAX --------------------------------------------------------------------------------------------------------------


def _jax(task: Task) -> Callable[[], Any]:
    import jax
    import jax.numpy as jnp

    jax.config.update("jax_enable_x64", True)
    if task.outs is not None:
        raise Skip("takes no output")
    names = {n: getattr(jnp, n) for n in _numpy_names() if hasattr(jnp, n)} | {"erf": jax.scipy.special.erf}
    made = _function(Task(task.subject, "value", None, None), names)

    def value(x: Any) -> Any:
        return made(x, None)

    def pulled(x: Any, g: Any) -> Any:
        return jax.vjp(value, x)[1](g)[0]

    def both(x: Any) -> Any:
        result, back = jax.vjp(value, x)
        return result, back(jnp.ones_like(x))[0]

    x, g = jnp.asarray(task.x), jnp.asarray(task.g)
    if task.mode == "vjp":
        ready = jax.jit(pulled)
        return lambda: ready(x, g).block_until_ready()
    ready = jax.jit(value if task.mode == "value" else both)
    return lambda: jax.block_until_ready(ready(x))


LIBRARIES = (
    Library("symgen", _symgen),
    Library("copy", _copy, measured=False),
    Library("NumPy", _numpy),
    Library("PyTorch", _torch, from_tensor, "torch", spins=True),
    Library("torch.compile", _torch_compile, from_tensor, "torch", spins=True),
    Library("JAX", _jax, np.asarray, "jax", spins=True),
    Library("numexpr", _numexpr, np.asarray, "numexpr", spins=True),
)
