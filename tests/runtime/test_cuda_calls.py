"""Launches and recorded calls of CUDA kernels without a device: bits of parameters, keys, and what a replay does."""

from __future__ import annotations

import ctypes
import struct
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from symgen.runtime import cuda, cuda_launch, cuda_recorded
from symgen.runtime.cuda_arrays import FORMATS, LIBRARIES, Library, View
from symgen.runtime.cuda_driver import Driver, Emulated
from symgen.runtime.cuda_launch import Compiled, LaunchError, Parameters, compiled, places, words
from symgen.runtime.cuda_recorded import Remembered, read
from symgen.runtime.errors import CudaMissingError

F4 = FORMATS["<f4"]


class Array:
    """An array as libraries show them, at an address that nothing lies at."""

    __module__ = "recorded.arrays"

    def __init__(self, address: int, shape: tuple[int, ...] = (8,), typestr: str = "<f4") -> None:
        self.__cuda_array_interface__ = {"shape": shape, "strides": None, "typestr": typestr, "data": (address, False)}


class Fake(Emulated):
    """A driver that writes down what it was told."""

    def __init__(self) -> None:
        self.told: list[tuple[str, int, list[tuple[int, int]]]] = []

    def launch(self, kernel: Any, blocks: int, stream: int, arguments: Any, room: int = 0) -> None:
        views = [(id(a.owner), a.address) for a in arguments if isinstance(a, View)]
        self.told.append((kernel, stream, views))


@pytest.fixture(autouse=True)
def library(monkeypatch: pytest.MonkeyPatch) -> None:
    made = iter(range(0x10000, 0x90000, 0x1000))
    new = Library(lambda a: Array(next(made)), lambda a: 5, lambda a, shape, dtype: Array(next(made), shape))
    monkeypatch.setitem(LIBRARIES, "recorded", new)


def view(array: Array, start: int = 0, size: int = 8, step: int = 4) -> View:
    address = array.__cuda_array_interface__["data"][0]
    return View(array, address + start, size, step, F4, readonly=False)


class Driven:
    """``cuLaunchKernel`` of a driver: it reads the parameters as a device does."""

    def __init__(self, answers: list[int]) -> None:
        self.answers, self.seen = answers, list[tuple[Any, ...]]()

    def cuLaunchKernel(self, *passed: Any) -> tuple[Any]:
        pointers = (ctypes.c_uint64 * 3).from_address(passed[9])
        self.seen.append((*passed[:9], *[ctypes.c_uint64.from_address(p).value for p in pointers]))
        return (Answer(self.answers.pop(0)),)


class Handed:
    """A kernel, which can be a key."""

    def __init__(self, own: Any) -> None:
        self.py_func, self.compile = own.py_func, own.compile


class Answer(int):
    name = "CUDA_ERROR_INVALID_VALUE"


def test_parameters_are_bits_in_eight_bytes():
    assert words(np.float32(1.5)) == [struct.unpack("<I", struct.pack("<f", 1.5))[0]]
    assert words(np.float64(-0.0)) == [1 << 63]
    assert words(np.uint32(2**32 - 1)) == [2**32 - 1]
    array = Array(0x1000)
    assert words(view(array, 16, 3)) == [0, 0, 3, 4, 0x1010, 3, 4]
    assert words(view(array, 28, 8, -4)) == [0, 0, 8, 4, 0x101C, 8, 2**64 - 4]
    assert words(view(array).all_equal(8)) == [0, 0, 1, 4, 0x1000]
    assert places([np.float32(1), view(array), view(array).all_equal(8), view(array)]) == [(5, 1), (12, 2), (17, 3)]


def test_a_launch_hands_the_driver_pointers_to_its_parameters(monkeypatch):
    driven = Driven([0])
    monkeypatch.setattr(cuda_launch, "driver", lambda: driven)
    Compiled(77, "m.k").launch(3, 9, Parameters([10, 2**63, 12]))
    assert driven.seen == [(77, 3, 1, 1, 256, 1, 1, 0, 9, 10, 2**63, 12)]


def test_blocks_that_keep_something_take_the_room_that_is_asked_for(monkeypatch):
    """Its own memory counts, and one that keeps nothing reads nothing again."""
    driven = Driven([0, 0, 0])
    monkeypatch.setattr(cuda_launch, "driver", lambda: driven)
    for own in (0, 16384, 32768):
        Compiled(77, "m.k", 128, own).launch(3, 9, Parameters([1, 2, 3]), 28672)
    assert [(s[4], s[7]) for s in driven.seen] == [(128, 0), (128, 12288), (128, 0)]


def test_what_a_kernel_keeps_and_its_threads_are_those_of_its_code(monkeypatch):
    """As Numba tells them of what it has loaded: the driver's own question takes another kind of handle."""
    loaded = SimpleNamespace(handle=77, attrs=SimpleNamespace(shared=16384))
    made = SimpleNamespace(bind=lambda: None, _codelibrary=SimpleNamespace(get_cufunc=lambda: loaded))
    written = SimpleNamespace(__module__="m", __name__="k", threads=128)
    kernel = Handed(SimpleNamespace(compile=lambda signature: made, py_func=written))
    monkeypatch.setattr(cuda_launch, "driver", lambda: SimpleNamespace(CUfunction=int, cuLaunchKernel=None))
    found = compiled(kernel, ("a signature of this test",))
    assert (found._handle, found.name, found.threads, found.shared) == (77, "m.k", 128, 16384)


def test_what_the_driver_refuses_is_said(monkeypatch):
    monkeypatch.setattr(cuda_launch, "driver", lambda: Driven([1]))
    with pytest.raises(LaunchError, match=r"m\.k: the CUDA driver refused to run it: CUDA_ERROR_INVALID_VALUE"):
        Compiled(77, "m.k").launch(3, 9, Parameters([1, 2, 3]))


def test_a_thread_that_has_used_no_device_gets_a_context(monkeypatch):
    driven, made = Driven([201, 0]), []
    monkeypatch.setattr(cuda_launch, "driver", lambda: driven)
    monkeypatch.setattr(cuda_launch.importlib, "import_module",
                        lambda name: SimpleNamespace(current_context=lambda: made.append(name)))  # fmt: skip
    Compiled(77, "m.k").launch(3, 9, Parameters([1, 2, 3]))
    assert (len(driven.seen), made) == (2, ["numba.cuda"])


def test_a_prepared_launch_takes_other_addresses(monkeypatch):
    ran: list[tuple[int, int, list[int]]] = []
    monkeypatch.setattr(cuda_launch, "argument_type", type)
    monkeypatch.setattr(cuda_launch, "compiled", lambda kernel, signature: SimpleNamespace(
        launch=lambda blocks, stream, own, room: ran.append((blocks, stream, list(own.words)))))  # fmt: skip
    monkeypatch.setattr(cuda_launch, "stream_of", lambda address: address)
    array = Array(0x1000)
    run = Driver().prepared("k", 2, [view(array, 8), np.uint32(7), view(array).all_equal(8)], [(1, 8), (0, 0)])
    run(4, [None, None], [0x300, 0x500])
    run(6, [None, None], [0x700, 0x900])
    assert ran == [(2, 4, [0, 0, 8, 4, 0x508, 8, 4, 7, 0, 0, 1, 4, 0x300]),
                   (2, 6, [0, 0, 8, 4, 0x908, 8, 4, 7, 0, 0, 1, 4, 0x700])]  # fmt: skip


KEYS = {
    "another method": lambda a: read("f", [a], {}),
    "another shape": lambda a: read("m", [Array(0x1000, (9,))], {}),
    "another dtype": lambda a: read("m", [Array(0x1000, typestr="<f8")], {}),
    "another alignment": lambda a: read("m", [Array(0x1004)], {}),
    "a number": lambda a: read("m", [a], {"alpha": 1}),
    "zero": lambda a: read("m", [a], {"alpha": 0.0}),
    "minus zero": lambda a: read("m", [a], {"alpha": -0.0}),
    "a number of another type": lambda a: read("m", [a], {"alpha": 1.0}),
    "another name": lambda a: read("m", [a], {"beta": 1}),
    "the same array twice": lambda a: read("m", [a, a], {}),
    "two arrays": lambda a: read("m", [a, Array(0x2000)], {}),
    "arrays in a tuple": lambda a: read("m", [], {"out": (a, Array(0x2000))}),
}


def test_what_decides_how_a_call_runs_is_its_key():
    a = Array(0x1000)
    keys = {title: make(a).key for title, make in KEYS.items()}
    assert len(set(keys.values())) == len(KEYS)
    assert read("m", [Array(0x3000)], {}).key == read("m", [a], {}).key


@pytest.mark.parametrize("value", [object(), np.zeros(3), {"a": 1}])
def test_what_is_not_known_is_not_recorded(value):
    assert read("m", [Array(0x1000), value], {}) is None


def run(driver: Driver, method: str, args: Any, kwargs: Any) -> Any:
    """A call with a constant, a scratch array and a result; it launches three times."""
    (x,) = args
    library = driver.library(x)
    constant, out = library.new(x, (1,), "float32"), library.like(x)
    scratch, more = library.new(x, (4,), "float32"), library.new(x, (70,), "float64")
    driver.launch_once("fill", 1, 5, [view(constant), np.float64(2)])
    driver.launch("first", 1, 5, [view(x, 4), view(scratch)])
    driver.launch("second", 1, 5, [view(scratch), view(constant), view(out), view(more, 16)])
    return out, (x,)


def test_a_replay_makes_its_own_arrays_and_keeps_what_never_changes():
    fake = Fake()
    remembered = Remembered(run, fake)
    first, (same,) = remembered("m", [x := Array(0x1000)], {})
    assert same is x
    fill, one, two = fake.told
    assert [fill[0], one[0], two[0]] == ["fill", "first", "second"]
    fake.told.clear()
    again, (same,) = remembered("m", [y := Array(0x2000)], {})
    assert same is y
    assert again is not first
    (name, stream, own), (_, _, last) = fake.told
    assert (name, stream, own[0]) == ("first", 5, (id(y), 0x2004))
    assert own[1] == last[0] != one[2][1]
    assert last[1] == two[2][1] == fill[2][0]
    assert last[2][0] == id(again)
    assert last[3] == (last[0][0], last[0][1] + 256 + 16)  # all scratch memory is one array


def test_a_compiler_that_does_not_go_with_numpy_is_named(monkeypatch):
    def missing(name: str) -> Any:
        raise AttributeError("module 'numpy' has no attribute 'row_stack'")

    monkeypatch.setattr(cuda.importlib, "import_module", missing)
    launcher = cuda.Launcher(SimpleNamespace(function=SimpleNamespace(name="silu")), "kernels.cuda.silu", Fake())
    with pytest.raises(CudaMissingError, match=r"silu\.cuda: numba-cuda does not go with this NumPy .*row_stack"):
        launcher._kernel(["value", "f32"])


def test_a_call_that_fails_is_not_remembered():
    def fails(driver: Driver, *call: Any) -> Any:
        raise ValueError("no")

    remembered = Remembered(fails, Fake())
    for _ in range(2):
        with pytest.raises(ValueError, match="no"):
            remembered("m", [Array(0x1000)], {})


def test_there_is_room_for_so_many_kinds(monkeypatch):
    monkeypatch.setattr(cuda_recorded, "KINDS", 3)
    remembered = Remembered(run, Fake())
    for n in range(1, 9):
        remembered("m", [Array(0x1000, (n,))], {})
    assert len(remembered._known) <= 3
