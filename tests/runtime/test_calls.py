"""Calling a kernel: every shape, stride, dtype and output that NumPy's own functions take, and errors for the rest."""

from __future__ import annotations

from collections import deque
from types import ModuleType
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

BFLOAT16 = np.dtype(ml_dtypes.bfloat16)
X = np.array([1.0, 2.0])
FLOATS = (np.float64, np.float32, np.float16)
PROMOTED = {
    np.bool_: np.float16, np.int8: np.float16, np.uint8: np.float16, np.int16: np.float32, np.uint16: np.float32,
    np.int32: np.float64, np.uint32: np.float64, np.int64: np.float64, np.uint64: np.float64,
}

small = st.floats(-8, 8, width=16)


@st.composite
def arrays(draw: st.DrawFn, shape: tuple[int, ...], dtypes: tuple[Any, ...] = FLOATS) -> Any:
    """An array of this shape with any strides, byte order, alignment and writeability."""
    dtype = np.dtype(draw(st.sampled_from(dtypes)))
    plain = draw(hnp.arrays(dtype, shape, elements=st.integers(-64, 64).map(lambda k: k / 8)))
    kind = draw(st.sampled_from(["plain", "fortran", "reversed", "strided", "swapped", "unaligned", "read-only"]))
    if kind == "fortran":
        return plain.copy(order="F")
    if kind == "reversed":
        return plain[(slice(None, None, -1),) * plain.ndim + (...,)]
    if kind == "strided":
        wide = np.repeat(plain, 2, axis=-1) if plain.ndim else plain
        return wide[..., ::2] if plain.ndim else wide
    if kind == "swapped":
        return plain.astype(dtype.newbyteorder())
    if kind == "unaligned":
        raw = np.zeros(plain.nbytes + 1, np.uint8)[1:].view(dtype)[: plain.size].reshape(shape)
        raw[...] = plain
        return raw
    plain.flags.writeable = kind != "read-only"
    return plain


shapes = hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=5)


@given(data=st.data())
def test_any_layout(kernels: ModuleType, data: st.DataObject) -> None:
    """The value does not depend on shape, strides, byte order, alignment or writeability."""
    x = data.draw(arrays(data.draw(shapes)))
    result = kernels.gate(x)
    native = x.astype(x.dtype.newbyteorder("="))
    assert result.dtype == native.dtype
    np.testing.assert_array_equal(result, (native.astype(np.float64) ** 2).astype(native.dtype), strict=x.ndim > 0)


@given(data=st.data())
def test_broadcasting(kernels: ModuleType, data: st.DataObject) -> None:
    """Operands of different shapes and dtypes broadcast and promote as in NumPy."""
    pair = data.draw(hnp.mutually_broadcastable_shapes(num_shapes=2, max_dims=4, max_side=4, min_side=0))
    a, b = (data.draw(arrays(shape)) for shape in pair.input_shapes)
    expected = np.asarray(a.astype(np.float64) * b + a)
    result = kernels.mix(a, b)
    dtype = np.result_type(a, b)
    assert (result.dtype, result.shape) == (dtype, pair.result_shape)
    np.testing.assert_array_equal(result, expected.astype(dtype))


@given(data=st.data())
def test_out_and_where(kernels: ModuleType, data: st.DataObject) -> None:
    """Results go into an output of any layout and float dtype; where the mask is False it keeps what it had."""
    shape = data.draw(shapes)
    x, out = data.draw(arrays(shape)), data.draw(arrays(shape).filter(lambda a: a.flags.writeable))
    mask = data.draw(hnp.arrays(bool, shape) | st.just(True))
    before = out.copy()
    assert kernels.gate(x, out=out, where=mask) is out
    computed = (x.astype(np.float64) ** 2).astype(np.promote_types(x.dtype, np.float32)).astype(out.dtype)
    np.testing.assert_array_equal(out, np.where(mask, computed, before))


@given(data=st.data(), dtype=st.sampled_from(FLOATS))
def test_overlapping_memory(kernels: ModuleType, data: st.DataObject, dtype: Any) -> None:
    """Writing over an operand, exactly or shifted or reversed, gives what separate memory gives."""
    whole = data.draw(hnp.arrays(dtype, 12, elements=st.integers(-9, 9)))
    cuts = [slice(0, 8), slice(4, 12), slice(0, 12, 2), slice(11, None, -2), slice(1, 7), slice(6, 12)]
    source, target = (data.draw(st.sampled_from(cuts)) for _ in range(2))
    if whole[source].shape != whole[target].shape:
        target = source
    expected = kernels.gate(whole[source].copy())
    kernels.gate(whole[source], out=whole[target])
    np.testing.assert_array_equal(whole[target], expected)


def test_overlap_of_different_dtypes(kernels: ModuleType) -> None:
    """An output may lie over an operand with elements of another size."""
    for first, second in ((slice(0, 8), slice(0, 8)), (slice(2, 10), slice(4, 12)), (slice(8, 16), slice(0, 8))):
        memory = np.arange(16.0)
        expected = memory[first] ** 2
        out = memory.view(np.float32)[second]
        np.testing.assert_array_equal(kernels.gate(memory[first], out=out), expected)


def test_in_place_two_operands(kernels: ModuleType) -> None:
    """An output may be either operand, and a partial overlap with either is no harm."""
    a, b = np.arange(6.0), np.arange(6.0)[::-1].copy()
    expected = a * b + a
    for out in (a.copy(), b.copy()):
        operands = (out, b) if np.array_equal(out, a) else (a, out)
        np.testing.assert_array_equal(kernels.mix(*operands, out=out), expected)
    whole = np.arange(7.0)
    expected = np.arange(6.0) ** 2 + np.arange(6.0)
    np.testing.assert_array_equal(kernels.mix(whole[:-1], whole[:-1], out=whole[1:]), expected)


@pytest.mark.parametrize("size", [0, 1, 16383, 16384, 16385, 50000])
def test_chunk_edges(kernels: ModuleType, size: int) -> None:
    """Buffered chunks join without a seam."""
    x = np.arange(2.0 * size)[::2]
    np.testing.assert_array_equal(kernels.gate(x), x * x)
    halves = np.linspace(-1, 1, size, dtype=np.float32).astype(BFLOAT16)
    np.testing.assert_array_equal(kernels.gate(halves), (halves.astype(np.float32) ** 2).astype(BFLOAT16))


@pytest.mark.parametrize(("given_type", "result"), PROMOTED.items())
def test_integers_promote(kernels: ModuleType, given_type: Any, result: Any) -> None:
    """Integers and booleans become the float that np.exp makes of them."""
    x = np.array([0, 1, 1], given_type)
    found = kernels.gate(x)
    assert found.dtype == np.exp(x).dtype == result
    np.testing.assert_array_equal(found, [0, 1, 1])


@pytest.mark.parametrize(("a", "b", "result"), [
    (np.float32, 2.0, np.float32), (np.float32, 2, np.float32), (np.float16, 2.0, np.float16),
    (BFLOAT16, 2.0, BFLOAT16), (np.int8, 2.0, np.float64), (np.int8, 2, np.float16), (np.bool_, 2, np.float64),
    (np.float32, np.float64(2), np.float64), (np.float32, np.array([2]), np.float64),
    (np.float32, np.ones(1, np.float16), np.float32), (BFLOAT16, np.ones(1, np.float32), np.float32),
])
def test_mixed_operands_promote(kernels: ModuleType, a: Any, b: Any, result: Any) -> None:
    """Arrays promote by np.result_type; Python numbers are weak (NEP 50)."""
    x = np.ones(3, a)
    assert kernels.mix(x, b).dtype == result
    assert kernels.mix(b, x).dtype == result


@pytest.mark.parametrize("x", [2.0, 2, True, np.float32(2), np.int8(2), np.array(2.0), np.array(2.0, BFLOAT16)])
def test_scalars_come_back_as_scalars(kernels: ModuleType, x: Any) -> None:
    """A Python number, NumPy scalar or 0-d array gives a NumPy scalar of the promoted dtype."""
    found = kernels.gate(x)
    assert not isinstance(found, np.ndarray)
    assert float(found) == float(x) ** 2
    if isinstance(x, np.generic | np.ndarray) and x.dtype != BFLOAT16:
        assert found.dtype == np.exp(x).dtype


def test_zero_dimensional_output(kernels: ModuleType) -> None:
    """A 0-d output is returned as it is."""
    out = np.empty(())
    assert kernels.gate(3.0, out=out) is out
    assert out == 9
    assert kernels.gate(np.float64(2), out=(out,)) is out
    assert out == 4


def test_lists_and_array_likes(kernels: ModuleType) -> None:
    """Nested lists, tuples and objects with __array__ are operands."""
    class Like:
        def __array__(self, dtype: Any = None, copy: bool | None = None) -> Any:
            return np.array([1.0, 2.0])

    np.testing.assert_array_equal(kernels.gate([[1, 2], [3, 4]]), [[1, 4], [9, 16]])
    np.testing.assert_array_equal(kernels.gate((1.0, 2.0)), [1, 4])
    np.testing.assert_array_equal(kernels.gate(Like()), [1, 4])
    np.testing.assert_array_equal(kernels.gate([Like(), (3, 4)]), [[1, 4], [9, 16]])
    np.testing.assert_array_equal(kernels.gate(deque([np.ones(2), np.float32(2) * np.ones(2)])), [[1, 1], [4, 4]])
    assert kernels.gate([np.float32(3), np.float32(4)]).dtype == np.float32


def test_memory_order_is_kept(kernels: ModuleType) -> None:
    """A new result lies in memory as its operand does."""
    assert kernels.gate(np.zeros((3, 4), order="F")).flags.f_contiguous
    assert kernels.gate(np.zeros((3, 4))).flags.c_contiguous


def test_output_may_be_larger(kernels: ModuleType) -> None:
    """As in NumPy, operands broadcast to the output and to the mask."""
    out = np.empty((2, 3))
    np.testing.assert_array_equal(kernels.gate(np.arange(3.0), out=out), [[0, 1, 4]] * 2)
    mask = np.ones((2, 3), bool)
    assert kernels.gate(np.arange(3.0), where=mask).shape == (2, 3)


def test_subclasses_and_input_keyword(kernels: ModuleType) -> None:
    """An operand x answers to input as well; an instance of a subclass is read as an array."""
    class Sub(np.ndarray):
        """A subclass."""

    np.testing.assert_array_equal(kernels.gate(input=[2.0]), [4])
    assert type(kernels.gate(np.array([[2.0, 3.0]]).view(Sub))) is np.ndarray
    np.testing.assert_array_equal(kernels.mix(input=[2.0], target=[3.0]), [8])


def test_infinities_and_nan(kernels: ModuleType) -> None:
    """Infinities and NaN pass through every path without a warning."""
    x = np.array([np.inf, -np.inf, np.nan, -0.0, 1e300, 1e-300])
    with np.errstate(all="raise"):
        for dtype in (np.float64, np.float32, np.float16, BFLOAT16):
            with np.errstate(all="ignore"):
                operand = x.astype(dtype)
            found = kernels.gate(np.stack([operand, operand], axis=1)[:, 0]).astype(np.float64)
            assert found[0] == found[1] == found[4] == np.inf
            assert np.isnan(found[2])
            assert found[3] == 0


def test_optional_operand(kernels: ModuleType) -> None:
    """An operand with a neutral default may be left out or None, and then says nothing about the dtype."""
    x = np.array([1.0, np.e], np.float32)
    for found in (kernels.cut(x, 0.0), kernels.cut(x, 0.0, offset=None), kernels.cut(x, level=0.0, offset=0)):
        assert found.dtype == np.float32
        np.testing.assert_allclose(found, [0, 1], rtol=1e-6)
    np.testing.assert_allclose(kernels.cut(x, 0.0, 1, np.array([[1.0], [2.0]])), [[-1, 0], [-2, -1]], atol=1e-6)


def test_parameter_placement(kernels: ModuleType) -> None:
    """A parameter is one value, or one for each channel along axis 1; a 1-D operand has no channels."""
    x = -np.ones((2, 3, 4))
    per_channel = np.array([1.0, 2.0, 3.0])
    np.testing.assert_array_equal(kernels.slope(x, per_channel), x * per_channel[:, None])
    for one in (0.5, np.array(0.5), [0.5], np.float64(0.5)):
        np.testing.assert_array_equal(kernels.slope(x, one), x * 0.5)
    np.testing.assert_array_equal(kernels.slope(-np.ones(3), [2.0]), [-2, -2, -2])
    assert kernels.slope(-1.0, 0.5) == -0.5


class Masked:
    """What NumPy reads as a masked array."""

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Any:
        return np.ma.array([1.0, 2.0], mask=[True, False])


NESTED: list[Any] = []
NESTED.append(NESTED)
HIDDEN = np.ma.array([1.0, 2.0], mask=[True, False])
RAGGED = [[True], [True, False]]

WRONG: list[tuple[Any, type[Exception], list[str]]] = [
    (lambda k: k.gate(np.ones(2, complex)), TypeError, ["gate(): x has dtype complex128", "float64, float32"]),
    (lambda k: k.gate(1j), TypeError, ["x is a complex", "complex128"]),
    (lambda k: k.gate("text"), TypeError, ["x is a str"]),
    (lambda k: k.gate(np.array(["a"])), TypeError, ["x has dtype <U1"]),
    (lambda k: k.gate(None), TypeError, ["x must be an array or a number, got None"]),
    (lambda k: k.gate(np.array([None])), TypeError, ["x has dtype object"]),
    (lambda k: k.gate(np.ones(2, np.longdouble)), TypeError, ["x has dtype", "float64"]),
    (lambda k: k.gate(np.ones(2, "M8[s]")), TypeError, ["datetime64"]),
    (lambda k: k.gate([[1], [1, 2]]), ValueError, ["x is no array", "inhomogeneous"]),
    (lambda k: k.gate(NESTED), ValueError, ["x is no array", "maximum number of dimension"]),
    (lambda k: k.gate([HIDDEN, HIDDEN]), TypeError, ["x[0] is a masked array", "x[0].filled"]),
    (lambda k: k.gate([[1.0, np.ma.masked]]), TypeError, ["x[0][1] is a masked array"]),
    (lambda k: k.gate(deque([(1.0, 2.0), HIDDEN])), TypeError, ["x[1] is a masked array"]),
    (lambda k: k.gate(Masked()), TypeError, ["x is a masked array, whose mask would be lost"]),
    (lambda k: k.gate([Masked()]), TypeError, ["x[0] is a masked array, whose mask"]),
    (lambda k: k.slope(X, HIDDEN), TypeError, ["weight is a masked array"]),
    (lambda k: k.gate(X, out=np.ma.zeros(2)), TypeError, ["out is a masked array", "pass out.data"]),
    (lambda k: k.gate(X, where=np.ma.array([True, True], mask=[True, False])), TypeError, ["where is a masked array"]),
    (lambda k: k.gate(X, where=[np.ma.masked, True]), TypeError, ["where[0] is a masked array"]),
    (lambda k: k.gate(X, where=RAGGED), ValueError, ["gate(): where is no array", "inhomogeneous"]),
    (lambda k: k.cut(X, 0.0, check=np.array([1, 2])), TypeError, ["check must be True or False", "shape (2,)"]),
    (lambda k: k.cut(X, 0.0, check="no"), TypeError, ["check must be True or False, got 'no'"]),
    (lambda k: k.gate(10**400), ValueError, ["too large"]),
    (lambda k: k.gate(np.ma.masked_array([1.0], [True])), TypeError, ["masked"]),
    (lambda k: k.mix(np.ones(3), np.ones(4)), ValueError, ["input has shape (3,), target has shape (4,)"]),
    (lambda k: k.mix(np.ones(1, BFLOAT16), np.ones(1, np.float16)), TypeError, ["bfloat16", "float16", "cast"]),
    (lambda k: k.slope(np.ones((2, 3)), np.ones(2)), ValueError, ["weight has shape (2,)", "(3,)", "(2, 3)"]),
    (lambda k: k.slope(np.ones(3), np.ones(3)), ValueError, ["weight has shape (3,)", "() or (1,)"]),
    (lambda k: k.slope(np.ones((2, 3)), np.ones((3, 1))), ValueError, ["weight has shape (3, 1)"]),
    (lambda k: k.gate(), TypeError, ["missing 'x'"]),
    (lambda k: k.mix(1.0), TypeError, ["missing 'target'"]),
    (lambda k: k.gate(1.0, 2.0), TypeError, ["takes 1 positional", "2 were given"]),
    (lambda k: k.gate(1.0, x=2.0), TypeError, ["multiple values", "'x'"]),
    (lambda k: k.gate(1.0, input=2.0), TypeError, ["for argument 'x', which 'input' is another name of"]),
    (lambda k: k.gate(x=1.0, input=2.0), TypeError, ["another name", "'x'"]),
    (lambda k: k.gate(inpt=1.0), TypeError, ["'inpt'", "did you mean 'input'?"]),
    (lambda k: k.gate(X=1.0), TypeError, ["'X'", "did you mean 'x'?"]),
    (lambda k: k.gate(1.0, zzz=2), TypeError, ["'zzz'", "it takes x, form, scale, input, out and where"]),
    (lambda k: k.gate(1.0, reduce=True), TypeError, ["'reduce'", "it takes x"]),
    (lambda k: k.gate(1.0, "cube", 2.0), TypeError, ["3 were given", "gate(x, *, form, scale, out, where)"]),
    (lambda k: k.cut(1.0, 2.0, 1, 0, 5), TypeError, ["4 positional arguments", "cut(x, level, times, offset, *, out"]),
    (lambda k: k.gate(1.0, fom="cube"), TypeError, ["'fom'", "did you mean 'form'?"]),
    (lambda k: k.gate(1.0, inplace=True), TypeError, ["'inplace'", "out=x"]),
    (lambda k: k.gate(1.0, dtype=np.float32), TypeError, ["'dtype'", "cast"]),
    (lambda k: k.gate(np.ones(3), out=[1, 2, 3]), TypeError, ["out must be a NumPy array, got list"]),
    (lambda k: k.gate(np.ones(3), out=np.ones(3, int)), TypeError, ["out has dtype int64"]),
    (lambda k: k.gate(np.ones(3), out=np.ones(4)), ValueError, ["out has shape (4,)", "(3,)"]),
    (lambda k: k.gate(np.ones((2, 3)), out=np.ones(3)), ValueError, ["out has shape (3,)", "(2, 3)"]),
    (lambda k: k.gate(np.ones(3), out=np.broadcast_to(1.0, 3)), ValueError, ["out is read-only"]),
    (lambda k: k.gate(np.ones(3), out=(np.ones(3), np.ones(3))), TypeError, ["out must be an array, got 2"]),
    (lambda k: k.gate(np.ones(3), where=np.ones(3)), TypeError, ["where has dtype float64; expected bool"]),
    (lambda k: k.gate(np.ones(3), where=np.ones(2, bool)), ValueError, ["where has shape (2,)"]),
    (lambda k: k.cut(np.array([1.0, -1, 0]), 0.0, check=True), ValueError, ["must be > 0", "2 of 3", "index (1,)"]),
]


@pytest.mark.parametrize(("call", "kind", "words"), WRONG, ids=[w[2][0] for w in WRONG])
def test_wrong_calls_are_explained(kernels: ModuleType, call: Any, kind: type[Exception], words: list[str]) -> None:
    """An error names the function, the argument, what it was and what was expected."""
    with pytest.raises(kind) as caught:
        call(kernels)
    for word in words:
        assert word in str(caught.value)
    assert str(caught.value).split("(")[0] in dir(kernels)


def test_domain_check_is_optional(kernels: ModuleType) -> None:
    """Values outside a tensor's domain are computed unless check=True; NaN is never outside."""
    assert np.isnan(kernels.cut(np.array([np.nan]), 0.0, check=True))
    assert np.isnan(kernels.cut(np.array([-1.0]), 0.0))


def test_small_arrays_stay_on_the_quick_path(kernels: ModuleType) -> None:
    """After the first call a plain array of known dtype needs no binding, with or without an output."""
    x = np.arange(8.0)
    kernels.gate(x)
    unused = kernels.gate._caller
    kernels.gate._caller = None
    try:
        np.testing.assert_array_equal(kernels.gate(x), x * x)
        np.testing.assert_array_equal(kernels.gate(x.reshape(2, 4), out=np.empty((2, 4))), (x * x).reshape(2, 4))
        assert kernels.gate(np.array(3.0)) == 9
    finally:
        kernels.gate._caller = unused


def test_quick_path_refuses_what_it_cannot_do(kernels: ModuleType) -> None:
    """Once warm, wrong outputs still raise and overlapping ones still give the right answer."""
    x = np.arange(8.0)
    kernels.gate(x)
    with pytest.raises(ValueError, match="read-only"):
        kernels.gate(x, out=np.broadcast_to(1.0, 8))
    frozen = np.arange(8.0)
    frozen.flags.writeable = False
    with pytest.raises(ValueError, match="read-only"):
        kernels.gate(frozen, out=frozen)
    with pytest.raises(ValueError, match="shape"):
        kernels.gate(x, out=np.empty(4))
    assert kernels.gate(x, out=np.empty(8, np.float32)).dtype == np.float32
    whole = np.arange(9.0)
    np.testing.assert_array_equal(kernels.gate(whole[:8], out=whole[1:]), np.arange(8.0) ** 2)
