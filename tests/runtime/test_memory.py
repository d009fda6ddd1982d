"""Results that share memory: refused where one would overwrite another, right where an operand is written over."""

from __future__ import annotations

from itertools import pairwise
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from symgen.runtime.memory import WORK, overlaps_itself, share, unshared

as_strided: Any = np.lib.stride_tricks.as_strided
X = np.array([1.0, 2.0, 3.0])


def pairs() -> list[tuple[str, Any, Any]]:
    """Two outputs of three elements that have memory in common."""
    whole = np.zeros(8)
    return [
        ("the same", whole[:3], whole[:3]),
        ("shifted", whole[:3], whole[1:4]),
        ("reversed", whole[:3], whole[2::-1]),
        ("strided", whole[:6:2], whole[2:5]),
        ("of another dtype", whole[:3], whole[1:3].view(np.float32)[:3]),
        ("half an element", whole[:3], whole.view(np.float32)[5:8]),
    ]


@pytest.mark.parametrize(("first", "second"), [p[1:] for p in pairs()], ids=[p[0] for p in pairs()])
def test_outputs_must_not_overlap(kernels: ModuleType, first: Any, second: Any) -> None:
    """Every method with several results refuses outputs that share memory, by name, and writes to neither."""
    calls: list[Any] = [
        ("gate.value_and_grad", lambda out: kernels.gate.value_and_grad(X, out=out)),
        ("soft.grad", lambda out: kernels.soft.grad(X, wrt=("x", "beta"), out=out)),
        ("mix.grad", lambda out: kernels.mix.grad(X, X, out=out, where=X > 1)),
        ("mix.vjp", lambda out: kernels.mix.vjp(X, X, X, out=out)),
        ("soft.value_and_grad", lambda out: kernels.soft.value_and_grad(X, wrt="beta", out=out)),
    ]
    for method, call in calls:
        for out in ((first, second), (second, first)):
            with pytest.raises(ValueError, match=r"out\[0\] and out\[1\] share memory.*pass arrays") as caught:
                call(out)
            assert str(caught.value).startswith(f"{method}(): ")
            assert not first.any()
            assert not second.any()


def test_the_pair_is_named(kernels: ModuleType) -> None:
    """Of three outputs the error names the two that overlap; None overlaps with nothing."""
    a, b = np.empty(3), np.empty(3)
    with pytest.raises(ValueError, match=r"out\[0\] and out\[2\]"):
        kernels.mix.value_and_grad(X, X, out=(a, b, a))
    with pytest.raises(ValueError, match=r"mix.vjp\(\): out\[0\] and out\[2\]"):
        kernels.mix.vjp(X, X, X, wrt=("input", "scale", "target"), out=(a, None, a))


def test_outputs_side_by_side(kernels: ModuleType) -> None:
    """Outputs that only lie between each other, or are empty, are no overlap."""
    whole = np.empty(6)
    kernels.gate.value_and_grad(X, out=(whole[::2], whole[1::2]))
    np.testing.assert_array_equal(whole, [1, 2, 4, 4, 9, 6])
    square = np.empty((3, 2))
    kernels.gate.value_and_grad(X, out=(square[:, 0], square[:, 1]))
    np.testing.assert_array_equal(square.ravel(), whole)
    woven = as_strided(np.zeros(11), (3, 3), (16, 24))
    assert kernels.gate(np.full((3, 3), 3.0), out=woven) is woven
    assert (woven == 9).all()
    none = np.empty(0)
    assert kernels.gate.value_and_grad(none, out=(none, none))[0] is none


OVERLAPPING = [
    as_strided(np.zeros(1), (3,), (0,)),
    as_strided(np.zeros(4), (3,), (4,)),
    as_strided(np.zeros(4), (2, 3), (8, 8)),
    as_strided(np.zeros(13), (4, 3), (16, 24)),
]


@pytest.mark.parametrize("out", OVERLAPPING, ids=[f"{a.shape}-{a.strides}" for a in OVERLAPPING])
def test_an_output_must_not_overlap_itself(kernels: ModuleType, out: Any) -> None:
    """An output whose own elements share memory is refused by every method."""
    x = np.ones(out.shape)
    kernels.gate(x)
    calls: list[Any] = [
        lambda: kernels.gate(x, out=out),
        lambda: kernels.gate(x, out=out, where=x > 0),
        lambda: kernels.gate.grad(x, out=out),
        lambda: kernels.gate.vjp(x, x, out=out),
        lambda: kernels.gate.value_and_grad(x, out=(None, out)),
    ]
    for call in calls:
        with pytest.raises(ValueError, match=r"^gate.*\(\): elements of out share memory.*pass an array"):
            call()


@given(data=st.data())
def test_self_overlap_is_exact(data: st.DataObject) -> None:
    """Overlap inside of an array is found exactly when two elements have a byte in common."""
    shape = tuple(data.draw(st.lists(st.integers(0, 4), max_size=3)))
    strides = tuple(data.draw(st.integers(-40, 40)) for _ in shape)
    array = as_strided(np.zeros(200)[100:], shape, strides)
    starts = sorted(sum(i * s for i, s in zip(index, strides, strict=True)) for index in np.ndindex(*shape))
    assert overlaps_itself(array) == any(b - a < 8 for a, b in pairwise(starts))


def test_a_huge_window_is_decided_at_once() -> None:
    """An array with more elements than memory is refused without counting them."""
    assert overlaps_itself(as_strided(np.zeros(8), (1 << 20, 1 << 20), (0, 0)))
    assert overlaps_itself(as_strided(np.zeros(1 << 12), (1 << 11, 1 << 11), (8, 8)))


def test_what_cannot_be_decided_counts_as_shared() -> None:
    """Arrays whose overlap is a hard puzzle are taken to overlap."""
    whole = np.zeros(192163377, np.int8)  # never touched, so that it takes no memory; NumPy's own example
    first = as_strided(whole, (1049, 1049, 1049), (36674, 61119, 85569))
    second = as_strided(whole[64023025:], (1049, 1049, 1), (12223, 12224, 1))
    with pytest.raises(np.exceptions.TooHardError):
        np.shares_memory(first, second, max_work=WORK)  # type: ignore[arg-type]  # the stub knows two values
    assert share(first, second)
    assert not share(whole[:4], whole[4:])
    assert not share(whole[::2], whole[1::2])


def test_operands_under_outputs_of_several_passes(kernels: ModuleType) -> None:
    """An output may lie over an operand, a cotangent or the mask that a later result reads again."""
    x, other = X.copy(), np.empty(3)
    expected = kernels.soft.grad(X, 2.0, wrt=("x", "beta"))
    np.testing.assert_array_equal(kernels.soft.grad(x, 2.0, wrt=("x", "beta"), out=(x, other)), expected)
    x = X.copy()
    value, slopes = kernels.soft.value_and_grad(X, 2.0, wrt=("beta", "x"))
    kernels.soft.value_and_grad(x, 2.0, wrt=("beta", "x"), out=(x, other, None))
    np.testing.assert_array_equal([x, other], [value, slopes[0]])
    weight = np.array([0.5])
    expected = kernels.slope.vjp(X, -X, weight)
    for over in ("x", "g"):
        x, g = -X, X.copy()
        found = kernels.slope.vjp(g, x, weight, out=(x if over == "x" else g, None))
        np.testing.assert_array_equal(found[0], expected[0])
        np.testing.assert_array_equal(found[1], expected[1])
    memory = np.array([1.0, 1.0, 1.0])
    mask = memory.view(bool)[6:24:8]
    expected = np.where(mask, X + 1, memory), np.where(mask, X, 0)
    found = kernels.mix.grad(X, X, where=mask, out=(memory, np.zeros(3)))
    np.testing.assert_array_equal(found, expected)


def test_copies_only_what_is_touched() -> None:
    """An array is copied where an output lies over it, in its own memory order, and else stays itself."""
    square = np.asfortranarray(np.arange(6.0).reshape(2, 3))
    assert unshared(square, [None, np.empty(3)]) is square
    copied = unshared(square, [square[:, 0]])
    assert copied is not square
    assert copied.flags.f_contiguous
    np.testing.assert_array_equal(copied, square)


def test_output_of_a_subclass(kernels: ModuleType) -> None:
    """An output whose ravel() stays two-dimensional, a matrix, is written element by element."""
    with pytest.warns(PendingDeprecationWarning):
        out = np.asmatrix(np.zeros((1, 3)))
    x = X.reshape(1, 3)
    assert kernels.gate(x, out=out) is out
    np.testing.assert_array_equal(np.asarray(out), [[1, 4, 9]])
