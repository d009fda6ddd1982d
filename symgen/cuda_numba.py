"""Has Numba compile a kernel up to NVVM in less time: what it would work out again and again is worked out once.

Kernels have thousands of variables, most of Numba's have a dozen. What comes out is the same text; a test holds it to
that. Nothing of it is in use when a program calls a kernel on a GPU.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from types import SimpleNamespace
from typing import Any
from unittest import mock

from symgen import cuda_numba_ir

Modules = tuple[tuple[str, ...], Mapping[str, Any]]


def modules(kernel: Any, signature: tuple[Any, ...], capability: tuple[int, int]) -> Modules:
    """What Numba passes to NVVM for a kernel: texts of LLVM, and options.

    Args:
        kernel: what `numba.cuda.jit` made of a Python function.
        signature: Numba types, one for each argument.
        capability: such as (8, 0); it shows in the options alone.
    """
    from numba import cuda
    from numba.cuda import codegen, dispatcher

    found: list[Modules] = []

    def keep(texts: Sequence[str], **options: Any) -> bytes:
        found.append((tuple(texts), options))
        return b""

    # Numba asks the driver for which device to compile a device function; here there is neither, and it is stated
    device = SimpleNamespace(compute_capability=capability)
    with (
        mock.patch.object(dispatcher, "get_current_device", return_value=device),
        mock.patch.object(codegen.nvvm, "compile_ir", keep),
        quickly(),
    ):
        cuda.compile(kernel.py_func, signature, cc=capability, device=False, abi="numba", output="ptx")
    (made,) = found
    return made


@contextmanager
def quickly() -> Iterator[None]:
    """Numba compiles with less work."""
    from numba.core.types.functions import BaseFunction
    from numba.cuda.typing.context import BaseContext

    with ExitStack() as stack:
        for part in (
            _remembering(BaseContext, "_resolve_user_function_type"),
            _remembering(BaseFunction, "get_call_type"),
            _without_unread_lifetimes(),
            _renaming_where_a_name_is(),
            _without_collecting(),
            *cuda_numba_ir.parts(),
        ):
            stack.enter_context(part)
        yield


_known: dict[Any, Any] = {}


def _remembering(holder: type, name: str) -> Any:
    """Makes a method ask each question once: of thousands of sums of float32 Numba asks each time what that gives."""
    method = getattr(holder, name)

    def remembered(*arguments: Any) -> Any:
        key = (name, *map(_hashable, arguments))
        found = _known.get(key)
        if found is None:
            found = _known[key] = method(*arguments)
        return found

    return mock.patch.object(holder, name, remembered)


def _hashable(argument: Any) -> Any:
    if isinstance(argument, dict):
        return tuple(argument.items())
    return tuple(argument) if isinstance(argument, list) else argument


def _without_unread_lifetimes() -> Any:
    """After each of its passes Numba works out which variables live where, which only generators and the last ask."""
    from numba.cuda.core import postproc, transforms

    whole = postproc.PostProcessor.run

    def run(self: Any, emit_dels: bool = False, extend_lifetimes: bool = False) -> None:
        if self.func_ir.is_generator:
            whole(self, emit_dels, extend_lifetimes)
            return
        self.func_ir.blocks = transforms.canonicalize_cfg(self.func_ir.blocks)
        # it computes when it is read
        self.func_ir.variable_lifetime = postproc.VariableLifetime(self.func_ir.blocks)
        self.func_ir.generator_info = None
        if emit_dels:
            self._insert_var_dels(extend_lifetimes=extend_lifetimes)

    return mock.patch.object(postproc.PostProcessor, "run", run)


def _renaming_where_a_name_is() -> Any:
    """Single assignment goes over all of a function twice for each variable: only blocks that name it can change."""
    from numba.cuda.core import ssa

    whole = ssa._run_block_rewrite
    names: dict[int, tuple[Any, set[str]]] = {}  # by the block, which is kept, so that no other has its number

    def rewrite(blocks: Mapping[int, Any], states: dict[str, Any], handler: Any) -> dict[int, Any]:
        made = {}
        for label, block in blocks.items():
            if id(block) not in names:
                names[id(block)] = block, {v.name for statement in block.body for v in statement.list_vars()}
            named = names[id(block)][1]
            made[label] = block
            if states["varname"] in named:
                made[label] = whole({label: block}, states, handler)[label]
                names[id(made[label])] = made[label], named  # new names are no variables that are still to be renamed
        return made

    return mock.patch.object(ssa, "_run_block_rewrite", rewrite)


@contextmanager
def _without_collecting() -> Iterator[None]:
    """Numba makes millions of objects that all stay until it is done, which the collector would look at many times."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()
