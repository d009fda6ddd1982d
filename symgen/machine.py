"""LLVM's compiler for a loop written as text: what measuring does over and over is no dozen passes of NumPy's.

LLVM comes with Numba.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

ADDRESS, NUMBER = ctypes.c_void_p, ctypes.c_int64


def compiled(text: str, name: str, takes: Sequence[Any]) -> Callable[..., None]:
    """The function of that name in a module of LLVM's language, which lives as long as the process.

    Args:
        text: the module.
        name: of the function, which returns nothing.
        takes: what its arguments are, of `ADDRESS` and `NUMBER`.

    Example:
        >>> store = "define void @one(ptr %to) { store double 1.0, ptr %to ret void }"
        >>> cell = ctypes.c_double()
        >>> compiled(store, "one", [ADDRESS])(ctypes.addressof(cell))
        >>> cell.value
        1.0
    """
    from llvmlite import binding

    engine = binding.create_mcjit_compiler(binding.parse_assembly(text), _machine())
    engine.finalize_object()
    _living.append(engine)
    return ctypes.CFUNCTYPE(None, *takes)(engine.get_function_address(name))


_living: list[object] = []


def _machine() -> Any:
    from llvmlite import binding

    features = _initialized()
    target = binding.Target.from_default_triple()
    return target.create_target_machine(cpu=binding.get_host_cpu_name(), features=features, opt=1)


@cache
def _initialized() -> str:
    """Make LLVM ready for this processor; what the processor can do."""
    from llvmlite import binding

    binding.initialize_native_target()
    binding.initialize_native_asmprinter()
    return str(binding.get_host_cpu_features().flatten())
