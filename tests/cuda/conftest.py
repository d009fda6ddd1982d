"""Arrays in main memory that pass for arrays of a GPU, and a driver that runs their kernels in the interpreter.

With SYMGEN_TEST_GPU=1 in the environment the kernels run on the GPU that is there; what asks for the interpreter's
counts or for the text of kernels uses the interpreter all the same.
"""

from __future__ import annotations

import functools
import gc
import os
from importlib import import_module
from operator import attrgetter
from pathlib import Path
from typing import Any

import pytest

import symgen.functional as F
from symgen.catalogue import folder
from symgen.layers import generated
from symgen.spec import load

pytest.importorskip("numba_cuda", reason="CUDA kernels are compiled with numba-cuda: pip install 'symgen[cuda]'")
pytest.importorskip("nvidia", reason="numba-cuda needs NVVM: pip install 'symgen[cuda]'")

from symgen import cuda_code
from symgen.cuda_code import CAPABILITIES, DeviceArray
from symgen.cuda_contract import Inspector
from symgen.cuda_device import Device

ON_GPU = os.environ.get("SYMGEN_TEST_GPU", "") == "1"

KERNELS: dict[Any, Any] = {}
# arguments of tests that are names of functions
FUNCTIONS = ("name", "loss", "row", "row_loss", "rows", "nested", "function")


@pytest.fixture(scope="session")
def device_array() -> type[DeviceArray]:
    return DeviceArray


@functools.cache
def kernel(name: str, capability: tuple[int, int], error: float = 0.0) -> Any:
    """``F.name.cuda``, its launches run by the interpreter; whatever runs keeps its contract on all architectures."""
    return cuda_code.simulated(attrgetter(name)(F).cuda, Inspector(capability, error, kernels=KERNELS))


@functools.cache
def device_kernel(name: str, capability: tuple[int, int]) -> Any:
    """``F.name.cuda``, its launches run by the GPU that is there."""
    return cuda_code.simulated(attrgetter(name)(F).cuda, Device())


@pytest.fixture(scope="session")
def simulated() -> Any:
    """``simulated("gelu", (9, 0))`` is ``F.gelu.cuda`` for a device that is not there."""
    return kernel


@pytest.fixture(scope="session")
def executed() -> Any:
    """The same, run by the GPU that is there where tests are to use it."""
    return device_kernel if ON_GPU else kernel


@pytest.fixture(scope="session")
def ops() -> Any:
    return functools.cache(lambda: {f"{n}.epilogue" * (op is not g) or n: g for n, op in load(folder()).items()
                                    for g in [generated(op)]})


def functions(kind: str = "", archetype: str = "elementwise") -> list[str]:
    """The functions of an archetype that have CUDA kernels, of one kind or all; of a layer, its epilogue."""
    known = (getattr(getattr(F, n), "function", None) for n in dir(F) if not n.startswith("_"))
    found = (f.epilogue or f for f in known if f is not None)
    return sorted({f.name for f in found if f.cuda and kind in ("", f.kind)
                   and archetype in ("", f.archetype)})  # fmt: skip


def takes_a_row(name: str) -> bool:
    """Whether a function takes one row, perhaps with a mask, and nothing else: softmax and its kin."""
    function = getattr(F, name).function
    roles = [a.role for a in function.operands]
    return roles.count("tensor") == 1 and set(roles) <= {"tensor", "mask"} and not function.options


def takes_classes(name: str) -> bool:
    """Whether a loss compares one row with a class, or with a number for each class."""
    roles = [a.role for a in getattr(F, name).function.operands]
    return roles.count("tensor") == 1 and set(roles[1:2]) <= {"index", "prob", "either"} and len(roles) > 1


def is_nested(name: str) -> bool:
    """Whether the kernels of a function run in phases, as those do whose stages run along several axes."""
    return hasattr(import_module(getattr(F, name).cuda._module), "PHASES")


@pytest.fixture(scope="session")
def names() -> list[str]:
    return functions()


def function_of(item: pytest.Item) -> str:
    """The function that a test is about, where it is about one."""
    params = item.callspec.params if hasattr(item, "callspec") else {}
    return next((str(params[a]) for a in FUNCTIONS if a in params), "")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests of one function come one after the other, so that the process that takes them compiles each kernel once."""
    places = [i for i, item in enumerate(items) if Path(__file__).parent in item.path.parents]
    for i, item in zip(places, sorted((items[i] for i in places), key=function_of), strict=True):
        items[i] = item


def pytest_collection_finish() -> None:
    """What is loaded by now stays, and what is compiled, too: the collector is to look at it less often."""
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A test with an argument called ``name`` runs once for each function, ``loss`` for each of those, and so on."""
    if "name" in metafunc.fixturenames:
        metafunc.parametrize("name", functions())
    if "loss" in metafunc.fixturenames:
        metafunc.parametrize("loss", functions("loss"))
    if "row" in metafunc.fixturenames:
        metafunc.parametrize("row", [n for n in functions("activation", "rows") if takes_a_row(n)])
    if "row_loss" in metafunc.fixturenames:
        metafunc.parametrize("row_loss", [n for n in functions("loss", "rows") if takes_classes(n)])
    if "nested" in metafunc.fixturenames:
        metafunc.parametrize("nested", [n for n in functions("loss", "rows") if is_nested(n)])
    if "function" in metafunc.fixturenames and not metafunc.definition.get_closest_marker("parametrize"):
        metafunc.parametrize("function", functions(archetype=""))
    if "rows" in metafunc.fixturenames:
        metafunc.parametrize("rows", functions("activation", "rows") + functions("loss", "rows"))
    if "capability" in metafunc.fixturenames:
        metafunc.parametrize("capability", CAPABILITIES, ids=lambda c: f"sm_{c[0]}{c[1]}")
