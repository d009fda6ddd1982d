"""Getting the functions of a generated module: imported and compiled at the first use, once for all kinds of array."""

from __future__ import annotations

import importlib
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

from .errors import GeneratedPackageError
from .execute import Loop
from .manifest import WALKED_ROLES, Function


def import_numba(function: str) -> Any:
    """Numba, which this package needs only once a kernel runs."""
    try:
        return importlib.import_module("numba")
    except ModuleNotFoundError as error:
        raise ImportError(f"{function}() needs Numba to run; install it with `pip install numba`") from error


@dataclass(slots=True)
class Loops:
    """The compiled loops of one function, by name."""

    package: str
    function: Function
    compiled: dict[str, Loop] = field(default_factory=dict)
    totals: dict[tuple[str, tuple[bool, ...]], Loop] = field(default_factory=dict)

    def module(self) -> ModuleType:
        """The generated module of this function."""
        import_numba(self.function.name)
        name = f"{self.package}.{self.function.module}"
        try:
            return importlib.import_module(name)
        except ModuleNotFoundError as error:
            raise GeneratedPackageError(
                f"{self.function.name}: the generated module {name} is missing ({error}); run `symgen build`"
            ) from error

    def attribute(self, name: str) -> Any:
        """One function of the generated module, as Numba's decorator left it."""
        module = self.module()
        try:
            return getattr(module, name)
        except AttributeError:
            raise GeneratedPackageError(
                f"{self.function.name}: {module.__name__} has no {name}; run `symgen build --force`"
            ) from None

    def elementwise(self, output: str, tag: str, suffix: str, arrays: tuple[int, int]) -> Loop:
        """The loop ``output_tag_suffix`` over 1-D arrays, so many in and so many out."""
        name = joined(output, tag, suffix)
        return self.compiled.get(name) or self._compile(name, tag, [1] * arrays[0], arrays[1])

    def total(self, output: str, tag: str, suffix: str, walked: tuple[bool, ...], outputs: int) -> Loop:
        """The loop that sums a loss, with scaled gradients: of each operand whether it is an array or a number."""
        name = joined(output, tag, suffix)
        if (found := self.totals.get((name, walked))) is not None:
            return found
        types = import_numba(self.function.name).types
        scalar = {"f64": types.float64, "f32": types.float32}[tag]
        array = types.Array(scalar, 1, "C", readonly=True)
        signature = [array if each else types.float64 for each in walked]
        signature += [types.float64] * len(self.function.numeric_options) + [types.int64, types.float64]
        signature += [types.Array(scalar, 1, "C")] * outputs
        self.totals[name, walked] = loop = self._made(name, signature)
        return loop

    def reduction(self, argument: str, tag: str, suffix: str) -> Loop:
        """The loop that sums the gradient in a parameter or an option over (outer, channel, inner) arrays."""
        name = joined(f"vjp_{argument}", tag, suffix)
        ranks = [3] + [3 if a.role in WALKED_ROLES else 1 for a in self.function.operands]
        return self.compiled.get(name) or self._compile(name, tag, ranks, 1, "f64")

    def _compile(self, name: str, tag: str, ranks: list[int], outputs: int, out_tag: str | None = None) -> Loop:
        """Compile for read-only inputs; the machine code takes writeable ones just as well.

        The entry point is called directly: Numba's dispatcher would look the types up again at each call, and compile
        once more for each combination of writeable and read-only operands.
        """
        types = import_numba(self.function.name).types
        scalar = {"f64": types.float64, "f32": types.float32}
        signature = [types.Array(scalar[tag], rank, "C", readonly=True) for rank in ranks]
        signature += [types.float64] * len(self.function.numeric_options)
        signature += [types.Array(scalar[out_tag or tag], 1, "C")] * outputs
        return self._made(name, signature)

    def _made(self, name: str, signature: list[Any]) -> Loop:
        dispatcher = self.attribute(name)
        # With NUMBA_DISABLE_JIT=1 a loop is plain Python and has nothing to compile.
        loop: Loop = dispatcher.compile(tuple(signature)) if hasattr(dispatcher, "compile") else dispatcher
        self.compiled[name] = loop
        return loop


def joined(output: str, tag: str, suffix: str) -> str:
    """The name of a loop in its module."""
    return f"{output}_{tag}_{suffix}" if suffix else f"{output}_{tag}"
