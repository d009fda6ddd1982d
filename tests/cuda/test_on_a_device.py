"""The driver by which tests run on a GPU, on a stand-in for one: copies, guards, and what a stray write says."""

from __future__ import annotations

import ctypes
import sys
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from symgen.cuda_code import DeviceArray
from symgen.cuda_device import Device, StrayWriteError
from symgen.runtime import cuda_launch
from symgen.runtime.cuda_arrays import View, face_of, view


class Copy(DeviceArray):
    """An array on the stand-in's device."""

    def copy_to_host(self) -> np.ndarray:
        return self.memory.copy()


class Doubles:
    """Stands for a compiled kernel: ``out = 2 * x``, written so many elements too far."""

    def __init__(self, beyond: int = 0) -> None:
        self.py_func, self.beyond = type(self).twice, beyond

    def twice(self, x: View, out: View) -> None:
        elements(out, self.beyond)[:] = 2 * elements(x)


def elements(some: View, beyond: int = 0) -> np.ndarray:
    """The elements from an address on, moved by as many."""
    address = some.address + 4 * beyond
    return np.ctypeslib.as_array((ctypes.c_float * some.size).from_address(address))


@pytest.fixture
def device(monkeypatch: pytest.MonkeyPatch) -> Device:
    cuda: Any = ModuleType("numba.cuda")
    cuda.to_device, cuda.synchronize = lambda a: Copy(a.copy()), lambda: None
    monkeypatch.setitem(sys.modules, "numba.cuda", cuda)
    monkeypatch.setattr(cuda_launch, "launch", lambda kernel, blocks, stream, views, room: kernel.twice(*views))
    return Device()


def views(*memory: np.ndarray) -> list[View]:
    arrays = [DeviceArray(m) for m in memory]
    return [view("f", "x", a, face_of("f", "x", a), (0,)) for a in arrays]


def test_what_a_kernel_writes_comes_back_and_nothing_else(device):
    x, room = np.arange(5, dtype=np.float32), np.full(9, -1, np.float32)
    before = x.copy()
    device.launch(Doubles(), 1, 0, views(x, room[2:7]))
    assert np.array_equal(room, [-1, -1, 0, 2, 4, 6, 8, -1, -1])
    assert np.array_equal(x, before)
    assert device.launched == (__name__, "twice")


def test_two_views_of_one_array_share_a_copy(device):
    room = np.arange(8, dtype=np.float32)
    device.launch(Doubles(), 1, 0, views(room[:4], room[4:]))
    assert np.array_equal(room, [0, 1, 2, 3, 0, 2, 4, 6])


@pytest.mark.parametrize("beyond", [-5, 1])
def test_a_write_beside_an_array_is_found(device, beyond):
    with pytest.raises(StrayWriteError, match=r"twice wrote \d+ bytes beside an array of 20"):
        device.launch(Doubles(beyond), 1, 0, views(np.ones(5, np.float32), np.zeros(5, np.float32)))
