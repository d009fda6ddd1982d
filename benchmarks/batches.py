"""What is measured beside elementwise functions: functions of rows, and losses with their gradient, on whole batches.

Operands follow from the roles that a spec declares. A peer's function of the same name takes part where it agrees. The
truth is this project's float64 kernel on the same inputs, which is 29 bits better than what is compared with it.
"""

from __future__ import annotations

import importlib
import importlib.util
import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any

import numpy as np

from benchmarks.libraries import Skip, from_tensor, tensor
from benchmarks.run import Piece, Plan, Row
from benchmarks.timing import measure
from symgen import build, build_keys, config, ulp
from symgen.layers import layer
from symgen.measure import public_module
from symgen.rows.lower import is_row_function
from symgen.spec import Axis, Op, load
from symgen.spec.model import REQUIRED, role_limits

LENGTHS = (128, 1024, 32768)
TOTAL = 1 << 20  # elements of a batch of rows
MODES = {"rows": ("value", "vjp"), "loss": ("value", "value_and_grad")}
# how many times the operand's bytes a mode has to move, in copies of it: a loss reads operand and target
COPIES = {("rows", "value"): 1.0, ("rows", "vjp"): 1.5, ("loss", "value"): 1.0, ("loss", "value_and_grad"): 1.5}
SPREAD = 3.0
AGREE = 1e-3


@dataclass(frozen=True)
class Batch:
    """One function on whole batches.

    Attributes:
        name: of the function.
        kernel: symgen's.
        op: its definition.
    """

    name: str
    kernel: Any
    op: Op

    @property
    def kind(self) -> str:
        """How it is called: "loss", with a gradient in one pass; or "rows"."""
        return "loss" if self.op.kind == "loss" else "rows"

    @cached_property
    def has_rows(self) -> bool:
        """Whether it works along an axis."""
        return is_row_function(self.op)

    def arrays(self, shape: tuple[int, ...], dtype: Any) -> list[Any]:
        """Operands without a default: normal numbers in their domains, classes, probabilities.

        Raises:
            Skip: an operand of a kind or of axes that are not drawn here.
        """
        draw = np.random.default_rng(20)
        found = []
        for argument in self.op.operands:
            if argument.default is not REQUIRED:
                continue
            role = argument.role.kinds[0] if argument.role.kinds else argument.role
            if not all(isinstance(axis, Axis) for axis in role.axes):
                raise Skip(f"{argument.name} has an axis of one length")
            own = shape if role.axes or not self.has_rows else shape[:-1]
            if role.kind == "index":
                found.append(draw.integers(0, shape[-1], own))
            elif role.kind in ("tensor", "prob", "weight") and len(role.axes) <= 1:
                found.append(_drawn(draw, role, own).astype(dtype))
            else:
                raise Skip(f"{argument.name} is not drawn here")
        return found


def _drawn(draw: Any, role: Any, shape: tuple[int, ...]) -> Any:
    """Numbers inside the domain of a role."""
    limits = dict(role_limits(role))
    low = max((float(v) for o, v in limits.items() if o in (">", ">=")), default=-np.inf)
    high = min((float(v) for o, v in limits.items() if o in ("<", "<=")), default=np.inf)
    if np.isfinite(low) and np.isfinite(high):
        return low + (high - low) * (0.01 + 0.98 * draw.random(shape, np.float32))
    x = draw.standard_normal(shape, np.float32) * np.float32(SPREAD)
    return low + np.abs(x) + 0.01 if np.isfinite(low) else high - np.abs(x) if np.isfinite(high) else x


def batches(names: Sequence[str] = ()) -> Iterator[Batch]:
    """Functions of rows and losses, or those named."""
    project = config.load() or config.catalogue()
    targets = build_keys.targets(project)
    functions: Mapping[str, Any] = build.read_manifest(project.out)["functions"]
    face = public_module(project)
    for name in build.resolve(names, targets) or tuple(targets):
        if name in functions:
            job = build.job(project, targets[name])
            op = load(job.file, root=job.specs)[name]
            if layer(op) is None and (op.kind == "loss" or is_row_function(op)):
                yield Batch(name, getattr(face, name), op)


# -- who takes part ------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Work:
    """A call to be prepared: the operands, the cotangent of a vjp, and an array for the result, if one is given."""

    batch: Batch
    mode: str
    arrays: list[Any]
    g: Any
    out: Any = None


def _symgen(work: Work) -> Callable[[], Any]:
    kernel, arrays, g = work.batch.kernel, work.arrays, work.g
    keywords = {} if work.out is None else {"out": work.out}
    if work.mode == "value":
        return lambda: kernel(*arrays, **keywords)
    if work.mode == "vjp":
        return lambda: kernel.vjp(g, *arrays, wrt=work.batch.op.operands[0].name, **keywords)
    return lambda: kernel.value_and_grad(*arrays, wrt=work.batch.op.operands[0].name)


def _copy(work: Work) -> Callable[[], Any]:
    x = work.arrays[0]
    if work.out is None:
        return x.copy
    out = np.empty_like(x)
    return lambda: np.copyto(out, x)


def _takes_lengths(function: Callable[..., Any]) -> bool:
    """Whether it names the lengths of a row, as norms do, where others name an axis."""
    try:
        return "normalized_shape" in inspect.signature(function).parameters
    except ValueError:  # built in, and without a signature
        return False


def _torch_function(batch: Batch) -> Callable[..., Any]:
    """PyTorch's function of this name."""
    import torch

    name = (batch.op.torch or batch.name).removeprefix("special.")
    for place in (torch.nn.functional, torch):
        own = getattr(place, name, None)
        if callable(own):
            if batch.kind != "rows" or not any(a.role.axes for a in batch.op.operands):
                return own  # type: ignore[no-any-return]
            if _takes_lengths(own):
                return lambda x, *others: own(x, x.shape[-1:], *others)
            return partial(own, dim=-1)
    raise Skip("has no function of this name")


def _torch_run(work: Work, function: Callable[..., Any]) -> Callable[[], Any]:
    import torch

    if work.out is not None:
        raise Skip("autograd and torch.nn.functional take no output")
    x, *others = (tensor(a) for a in work.arrays)
    if work.mode == "value":

        def forward() -> Any:
            with torch.no_grad():
                return function(x, *others)

        return forward
    leaf = x.clone().requires_grad_()
    if work.mode == "vjp":
        saved, g = function(leaf, *others), tensor(work.g)
        return lambda: torch.autograd.grad(saved, leaf, g, retain_graph=True)[0]

    def both() -> Any:
        loss = function(leaf, *others)
        return loss, torch.autograd.grad(loss, leaf)[0]

    return both


def _torch(work: Work) -> Callable[[], Any]:
    return _torch_run(work, _torch_function(work.batch))


def _torch_compile(work: Work) -> Callable[[], Any]:
    import torch

    if work.out is not None:
        raise Skip("autograd and torch.nn.functional take no output")
    importlib.import_module("torch._functorch.config").donated_buffer = False  # so that a backward pass can be rerun
    torch.compiler.reset()
    return _torch_run(work, torch.compile(_torch_function(work.batch), dynamic=False))


def _jax(work: Work) -> Callable[[], Any]:
    import jax
    import jax.numpy as jnp

    jax.config.update("jax_enable_x64", True)
    if work.out is not None:
        raise Skip("takes no output")
    own = getattr(jax.nn, work.batch.name, None)
    if own is None or work.batch.kind == "loss":
        raise Skip("has no function of this name")
    x, g = jnp.asarray(work.arrays[0]), jnp.asarray(work.g)

    def value(x: Any) -> Any:
        return own(x, axis=-1)

    if work.mode == "value":
        ready = jax.jit(value)
        return lambda: ready(x).block_until_ready()
    pulled = jax.jit(lambda x, g: jax.vjp(value, x)[1](g)[0])
    return lambda: pulled(x, g).block_until_ready()


@dataclass(frozen=True)
class Peer:
    """A library: its name, what has to be installed, and how a call is prepared."""

    name: str
    module: str
    prepare: Callable[[Work], Callable[[], Any]]
    spins: bool = True


PEERS = (
    Peer("symgen", "numpy", _symgen, spins=False),
    Peer("copy", "numpy", _copy, spins=False),
    Peer("PyTorch", "torch", _torch),
    Peer("torch.compile", "torch", _torch_compile),
    Peer("JAX", "jax", _jax),
)


# -- one run -------------------------------------------------------------------------------------------------------


def run(plan: Plan, chosen: Sequence[Batch], tell: Callable[[str], None]) -> Iterator[Row]:
    """Measure every batch; rows come as they are ready."""
    for piece in pieces(plan, chosen, tell):
        yield from piece()


def pieces(plan: Plan, chosen: Sequence[Batch], tell: Callable[[str], None]) -> Iterator[Piece]:
    """What ``run`` does, a function for each task."""
    wanted = {library.name for library in plan.libraries}
    present = [p for p in PEERS if p.name in wanted and importlib.util.find_spec(p.module) is not None]
    for batch in chosen:
        for dtype in plan.dtypes:
            for mode in MODES[batch.kind]:
                for shape in _shapes(plan, batch):
                    for allocated in plan.allocated if batch.kind == "rows" else (True,):
                        yield partial(_measured, plan, present, batch, mode, dtype, shape, allocated, tell)


def _shapes(plan: Plan, batch: Batch) -> Iterator[tuple[int, ...]]:
    if batch.has_rows:
        total = min(TOTAL, max(plan.sizes))
        yield from ((total // n, n) for n in LENGTHS if n <= total)
    else:
        yield from ((n,) for n in plan.sizes if n >= LENGTHS[0])


def _measured(plan: Plan, present: Sequence[Peer], batch: Batch, mode: str, dtype: str, shape: tuple[int, ...],
              allocated: bool, tell: Callable[[str], None]) -> Iterator[Row]:
    tell(f"{batch.name}, {mode}, {dtype}, {' by '.join(map(str, shape))}")
    form = ulp.format_of(dtype)
    kind = form.dtype
    try:
        arrays = batch.arrays(shape, kind)
    except Skip:
        return
    found = np.asarray(batch.kernel(*arrays))
    g = np.random.default_rng(21).standard_normal(found.shape, np.float32).astype(kind)
    out = None if allocated else np.empty_like(found if mode == "value" else arrays[0])
    truth = _truth(batch, mode, arrays, g) if dtype != "float64" else None
    runs, skipped, errors = {}, {}, {}
    for peer in present:
        try:
            made = peer.prepare(Work(batch, mode, arrays, g, out))
            errors[peer.name] = _compared(made(), truth, form) if peer.name != "copy" else None
            runs[peer.name] = made
        except Skip as why:
            skipped[peer.name] = str(why)
        except Exception as failure:  # a peer that breaks is told of, and the others go on
            if peer.name == "symgen":
                raise
            skipped[peer.name] = f"failed: {type(failure).__name__}: {str(failure).splitlines()[0][:80]}"
    times = measure(runs, plan.repeats, frozenset(p.name for p in present if p.spins))
    size = int(np.prod(shape))
    for peer in present:
        yield Row(batch.name, mode, dtype, size, allocated, peer.name, times.get(peer.name), skipped.get(peer.name),
                  errors.get(peer.name), COPIES[batch.kind, mode], shape[-1] if batch.has_rows else 0, batch.kind)


def _truth(batch: Batch, mode: str, arrays: list[Any], g: Any) -> list[Any]:
    wide = [a.astype(np.float64) if a.dtype.kind == "f" else a for a in arrays]
    found = _symgen(Work(batch, mode, wide, g.astype(np.float64)))()
    return [np.asarray(a) for a in (found if isinstance(found, tuple) else (found,))]


def _compared(found: Any, truth: list[Any] | None, form: ulp.Format) -> float | None:
    """The largest error, in ULP of the largest entry of a row: entries that cancel say nothing of a library.

    Raises:
        Skip: the library computes something else.
    """
    each = found if isinstance(found, tuple | list) else (found,)
    arrays = [np.asarray(from_tensor(a) if hasattr(a, "detach") else a).astype(np.float64) for a in each]
    if truth is None:
        return None
    worst = 0.0
    for got, wanted in zip(arrays, truth, strict=True):
        if got.shape != wanted.shape:
            raise Skip("computes another shape")
        scale = np.abs(wanted).max(axis=-1, keepdims=True) if wanted.ndim else np.abs(wanted)
        agree = max(AGREE, 4 * 2.0**-form.precision)
        if not np.allclose(got, wanted, agree, agree * float(np.max(scale))):
            raise Skip("computes something else")
        worst = max(worst, float(np.nanmax(np.abs(got - wanted) / ulp.ulp(wanted, form.name))))
    return worst

