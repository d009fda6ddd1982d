"""What calls on a GPU need before any kernel runs: how arrays lie in memory, and what is missing, said plainly."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from symgen.runtime.cuda_arrays import on_device, order, split, step


@pytest.mark.parametrize(
    ("array", "want"),
    [
        (np.zeros((3, 4)), 8),
        (np.zeros((3, 4)).T, 8),
        (np.zeros((3, 4, 5)).transpose(2, 0, 1), 8),
        (np.zeros((3, 8))[:, ::2], 16),
        (np.zeros((6, 4))[::2], None),
        (np.zeros((3, 8))[:, :4], None),
        (np.zeros((1, 4, 1)), 8),
        (np.zeros(5)[::-1], -8),
        (np.zeros((2, 1, 3)), 8),
    ],
)
def test_evenly_spaced_elements_are_recognised_in_any_order_of_axes(array, want):
    assert step(array.shape, array.strides, order(array.shape, array.strides)) == want


def test_a_number_is_split_into_two_float32():
    for value in (0.0, 1.0, 1.1, -1e-3, 1e30, np.pi):
        high, low = split(value)
        assert abs(float(high) + float(low) - value) <= abs(value) * 2.0**-47
    assert split(np.inf) == (np.inf, 0)


def test_arrays_in_main_memory_are_not_taken_for_a_gpus():
    assert not on_device((np.zeros(3), [1.0]), {"alpha": 2.0, "out": None})

    class Shown:
        @property
        def __cuda_array_interface__(self):
            return {"shape": (0,)}

    class Exchanged:
        def __dlpack_device__(self):
            return (2, 0)

    assert on_device((Shown(),), {})
    assert on_device((1.0, Exchanged()), {})
    assert on_device((), {"x": Shown()})


def test_without_numba_cuda_the_error_says_what_to_install():
    """In a process of its own: what is imported without numba-cuda must not serve other tests."""
    code = """
import sys
sys.modules["numba_cuda"] = None
import numpy as np
import symgen.functional as F
from symgen.runtime.cuda import Driver
from symgen.runtime.errors import CudaMissingError
for call in (Driver().check, lambda: F.silu.cuda(np.zeros(3))):
    try:
        call()
    except CudaMissingError as error:
        print(error)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.count("pip install 'symgen[cuda]'") == 2, done.stdout + done.stderr
