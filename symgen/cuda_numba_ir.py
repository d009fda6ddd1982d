"""What Numba does to each statement of a kernel, done with less work: its variables, contexts of errors, messages.

Kernels have thousands of statements; what Numba does to one it does many times over. Every part gives what Numba's own
gives, which a test holds it to.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import nullcontext
from types import SimpleNamespace
from typing import Any
from unittest import mock
from weakref import WeakKeyDictionary

VARIABLE, STATEMENT, SEQUENCE, TABLE, OTHER = range(5)  # what a value in Numba's representation may hold variables as


def parts() -> Iterator[Any]:
    """What is replaced while Numba compiles, each as a context."""
    from numba.cuda import lowering
    from numba.cuda.core import byteflow, errors, ssa, typed_passes, typeinfer, untyped_passes

    yield from _listing_variables()
    yield from (mock.patch.object(module, "new_error_context", _Context) for module in (lowering, typeinfer))
    yield from (mock.patch.object(module, "_logger", SimpleNamespace(debug=_nothing)) for module in (byteflow, ssa))
    # warnings of each statement are caught, to be shown together: they are shown as they come
    yield mock.patch.object(errors.WarningsFixer, "catch_warnings", return_value=nullcontext())
    # each statement is printed for a message that is never shown
    yield mock.patch.object(lowering, "str", _nothing, create=True)
    # passes for closures, for expressions of arrays and for overloaded functions, of which kernels have none
    for holder in (untyped_passes.InlineClosureLikes, typed_passes.NopythonRewrites, typed_passes.InlineOverloads):
        yield mock.patch.object(holder, "run_pass", _unchanged)
    yield _finding_single_assignments()
    yield _reading_parameters_in_code()
    yield _knowing_sizes()
    yield _printing_modules_once()


def _nothing(*_: Any) -> str:
    return ""


def _unchanged(*_: Any) -> bool:
    """A pass that changes nothing."""
    return False


class _Context:
    """Numba's context of an error, which is entered for each statement and hardly ever has one."""

    __slots__ = ("arguments", "keywords")

    def __init__(self, *arguments: Any, **keywords: Any) -> None:
        self.arguments, self.keywords = arguments, keywords

    def __enter__(self) -> None:
        """Nothing is worked out before there is an error."""

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        from numba.cuda.core import errors

        if isinstance(error, errors.NumbaError):
            text, *rest = self.arguments
            error.add_context(text.format(*rest, **self.keywords))


def _listing_variables() -> Iterator[Any]:
    """Which variables a statement names is asked more often than anything: kinds of values are told by their type."""
    from numba.cuda.core import ir

    holders = {VARIABLE: ir.var_types, STATEMENT: ir.inst_types, SEQUENCE: (list, tuple), TABLE: dict}
    known: dict[type, int] = {}

    def kind_of(type_: type) -> int:
        known[type_] = next((kind for kind, types in holders.items() if issubclass(type_, types)), OTHER)
        return known[type_]

    def collect(values: Iterable[Any], found: list[Any]) -> list[Any]:
        for value in values:
            kind = known.get(type(value))
            if kind is None:
                kind = kind_of(type(value))
            if kind == VARIABLE:
                found.append(value)
            elif kind == STATEMENT:
                found.extend(value.list_vars())
            elif kind != OTHER:
                collect(value if kind == SEQUENCE else value.values(), found)
        return found

    yield mock.patch.object(ir.Inst, "_rec_list_vars", lambda self, value: collect((value,), []))
    yield mock.patch.object(ir.Stmt, "list_vars", lambda self: collect(self.__dict__.values(), []))
    yield mock.patch.object(ir.Expr, "list_vars", lambda self: collect(self._kws.values(), []))


def _finding_single_assignments() -> Any:
    """Which variables are assigned once, in the block that uses them: Numba looks at all of a block for each."""
    from numba.cuda import lowering
    from numba.cuda.core import analysis, ir

    def find(self: Any) -> None:
        blocks: Mapping[int, Any] = self.func_ir.blocks
        uses, stored = analysis.compute_use_defs(blocks), analysis.must_use_alloca(blocks)
        where = Counter(name for names in uses.defmap.values() for name in names)
        beyond = set(stored).union(*uses.usemap.values())
        found = set()
        for label, names in uses.defmap.items():
            counts = Counter(s.target.name for s in blocks[label].find_insts(ir.assign_types))
            found |= {n for n in names if where[n] == 1 and counts[n] == 1 and n not in beyond}
        self._singly_assigned_vars, self._blk_local_varmap = found, {}

    return mock.patch.object(lowering.Lower, "_find_singly_assigned_variable", find)


def _reading_parameters_in_code() -> Any:
    """Whether a function takes ``loc``: of a plain one its code says so, without the signature of it being made."""
    from numba.cuda.core import base

    whole = base._has_loc

    def has_loc(function: Any) -> bool:
        code = getattr(function, "__code__", None)
        if code is None or hasattr(function, "__wrapped__") or hasattr(function, "__signature__"):
            return bool(whole(function))
        return "loc" in code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]

    return mock.patch.object(base, "_has_loc", has_loc)


_sizes: dict[Any, int] = {}


def _knowing_sizes() -> Any:
    """How many bytes a type has: LLVM is asked once, not for each variable."""
    from numba.cuda.core.base import BaseContext

    whole = BaseContext.get_abi_sizeof

    def size(self: Any, kind: Any) -> int:
        if kind not in _sizes:
            _sizes[kind] = whole(self, kind)
        return _sizes[kind]

    return mock.patch.object(BaseContext, "get_abi_sizeof", size)


_printed: WeakKeyDictionary[Any, str] = WeakKeyDictionary()


def _printing_modules_once() -> Any:
    """A function that many kernels call is printed for each of them."""
    from numba.cuda import codegen

    def text(module: Any) -> str:
        found = _printed.get(module)
        if found is None:
            found = _printed[module] = str(module)
        return found

    def texts(self: Any) -> list[str]:
        if self._llvm_strs is None:
            self._llvm_strs = [str(m) if m is self._module else text(m) for m in self.modules]
        found: list[str] = self._llvm_strs
        return found

    return mock.patch.object(codegen.CUDACodeLibrary, "llvm_strs", property(texts))
