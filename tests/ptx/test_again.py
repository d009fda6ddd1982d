"""A kernel that is launched again is not read again; everything else is of the launch."""

from __future__ import annotations

import numpy as np
import pytest

from symgen.ptx import Pointer, UnknownPtx, execute, launch, parse
from tests.ptx.conftest import module

INVERSES = """
address %rd2 = p0 + 4 * %rd1
ld.global.f32 %f1, [%rd2]
rcp.approx.ftz.f32 %f2, %f1
st.global.f32 [%rd2], %f2
"""


def test_instructions_are_decoded_at_the_first_launch(monkeypatch):
    """Of most kernels with many phases a launch executes little."""
    decoded: list[str] = []
    once = execute.decode
    monkeypatch.setattr(execute, "decode", lambda i: (decoded.append(i.opcode), once(i))[1])
    kernel = parse(module(INVERSES))
    for _ in range(3):
        launch(kernel, 1, 32, [Pointer(np.ones(32, np.float32))])
    assert decoded.count("rcp.approx.ftz.f32") == 1


def test_errors_of_approximations_are_those_of_each_launch():
    kernel, x = parse(module(INVERSES)), np.linspace(1.1, 1.9, 32, dtype=np.float32)
    found = []
    for error, seed in ((0.0, 0), (1.0, 0), (1.0, 1), (0.0, 0)):
        found.append(x.copy())
        launch(kernel, 1, 32, [Pointer(found[-1])], error=error, seed=seed)
    assert np.array_equal(found[0], found[3])
    assert not np.array_equal(found[0], found[1])
    assert not np.array_equal(found[1], found[2])


def test_an_unknown_instruction_is_an_error_at_every_launch():
    kernel = parse(module("frobnicate.f32 %f1, %f2"))
    for _ in range(2):
        with pytest.raises(UnknownPtx, match="frobnicate"):
            launch(kernel, 1, 32, [Pointer(np.ones(1, np.float32))])
