"""Instructions compute what the PTX manual says: integers as Python's own do, floats bit for bit."""

from __future__ import annotations

import math
import struct
from fractions import Fraction

import numpy as np
import pytest

from symgen.ptx import PtxError, UnknownPtx
from symgen.ptx.approximate import BOUNDS

RANDOM = np.random.default_rng(11)
EDGES = {
    np.uint32: [0, 1, 2, 31, 32, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF],
    np.int32: [0, 1, -1, 2, 31, 2**31 - 1, -(2**31)],
    np.uint64: [0, 1, 31, 64, 2**63 - 1, 2**63, 2**64 - 1],
    np.int64: [0, 1, -1, 64, 2**63 - 1, -(2**63)],
}


def integers(kind: type, seed: int) -> np.ndarray:
    """Random integers of the whole range, and the ends of it."""
    info = np.iinfo(kind)
    random = np.random.default_rng(seed).integers(info.min, info.max, 200, dtype=kind, endpoint=True)
    edges = np.array([a for a in EDGES[kind] for _ in EDGES[kind]], kind)
    other = np.array([b for _ in EDGES[kind] for b in EDGES[kind]], kind)
    return np.concatenate([random, edges if seed % 2 else other])


def wrap(value: int, kind: type) -> int:
    bits = 8 * np.dtype(kind).itemsize
    value &= (1 << bits) - 1
    return value - (1 << bits) if np.iinfo(kind).min < 0 and value >> (bits - 1) else value


def high(a: int, b: int, kind: type) -> int:
    return (a * b) >> (8 * np.dtype(kind).itemsize)


def quotient(a: int, b: int, kind: type) -> int:
    return abs(a) // abs(b) * (1 if (a < 0) == (b < 0) else -1)


TWO = {
    "add": lambda a, b, k: a + b,
    "sub": lambda a, b, k: a - b,
    "mul.lo": lambda a, b, k: a * b,
    "mul.hi": high,
    "div": quotient,
    "rem": lambda a, b, k: a - b * quotient(a, b, k),
    "min": lambda a, b, k: min(a, b),
    "max": lambda a, b, k: max(a, b),
}
NAMES = {np.uint32: "u32", np.int32: "s32", np.uint64: "u64", np.int64: "s64"}


@pytest.mark.parametrize("kind", NAMES)
@pytest.mark.parametrize("name", TWO)
def test_integer_arithmetic_wraps_as_integers_of_that_size_do(name, kind, calculate):
    a, b = integers(kind, 1), integers(kind, 2)
    if name in {"div", "rem"}:
        b = np.where(b == 0, kind(1), b)
    got = calculate(f"{name}.{NAMES[kind]} {{0}}, {{1}}, {{2}}", kind, a, b)
    want = [wrap(TWO[name](int(x), int(y), kind), kind) for x, y in zip(a, b, strict=True)]
    assert got.tolist() == want


@pytest.mark.parametrize(("narrow", "wide", "name"), [(np.uint32, np.uint64, "u32"), (np.int32, np.int64, "s32")])
def test_a_wide_product_keeps_all_bits(narrow, wide, name, calculate):
    a, b = integers(narrow, 1), integers(narrow, 2)
    got = calculate(f"mul.wide.{name} {{0}}, {{1}}, {{2}}", wide, a, b)
    assert got.tolist() == [int(x) * int(y) for x, y in zip(a, b, strict=True)]


def test_a_carry_goes_from_one_instruction_to_the_next(calculate):
    a, b = integers(np.uint64, 1), integers(np.uint64, 2)
    lines = [
        "mov.b64 {{%r20, %r21}}, {1}", "mov.b64 {{%r22, %r23}}, {2}", "add.cc.u32 %r24, %r20, %r22",
        "addc.u32 %r25, %r21, %r23", "mov.b64 {0}, {{%r24, %r25}}",
    ]  # fmt: skip
    assert np.array_equal(calculate(lines, np.uint64, a, b), a + b)
    lines[2:4] = ["sub.cc.u32 %r24, %r20, %r22", "subc.u32 %r25, %r21, %r23"]
    assert np.array_equal(calculate(lines, np.uint64, a, b), a - b)


def test_a_product_of_64_bits_can_be_built_from_parts_with_carries(calculate):
    a, b = integers(np.uint64, 1), integers(np.uint64, 2)
    lines = [
        "mov.b64 {{%r20, %r21}}, {1}", "mov.b64 {{%r22, %r23}}, {2}", "mul.lo.u32 %r24, %r20, %r22",
        "mul.hi.u32 %r25, %r20, %r22", "mad.lo.cc.u32 %r25, %r20, %r23, %r25", "madc.hi.u32 %r26, %r20, %r23, 0",
        "mad.lo.cc.u32 %r25, %r21, %r22, %r25", "madc.hi.cc.u32 %r26, %r21, %r22, %r26", "addc.u32 %r27, 0, 0",
        "mad.lo.cc.u32 %r26, %r21, %r23, %r26", "madc.hi.u32 %r27, %r21, %r23, %r27", "mov.b64 {0}, {{%r26, %r27}}",
    ]  # fmt: skip
    want = [int(x) * int(y) >> 64 for x, y in zip(a, b, strict=True)]
    assert calculate(lines, np.uint64, a, b).tolist() == want


@pytest.mark.parametrize("count", [0, 1, 5, 31, 32, 33, 200])
def test_shifts_beyond_the_width_give_zeros_or_the_sign(count, calculate):
    u, s = integers(np.uint32, 1), integers(np.int32, 1)
    n = np.uint32(count)
    assert calculate("shl.b32 {0}, {1}, {2}", np.uint32, u, n).tolist() == [wrap(int(x) << count, np.uint32) for x in u]
    assert calculate("shr.u32 {0}, {1}, {2}", np.uint32, u, n).tolist() == [int(x) >> count for x in u]
    assert calculate("shr.s32 {0}, {1}, {2}", np.int32, s, n).tolist() == [int(x) >> count for x in s]


@pytest.mark.parametrize("count", [0, 7, 31, 32, 40])
@pytest.mark.parametrize("mode", ["wrap", "clamp"])
def test_funnel_shifts_take_the_bits_of_two_registers(mode, count, calculate):
    low, top = integers(np.uint32, 1), integers(np.uint32, 2)
    n = count % 32 if mode == "wrap" else min(count, 32)
    both = [(int(h) << 32) | int(v) for v, h in zip(low, top, strict=True)]
    got = calculate(f"shf.l.{mode}.b32 {{0}}, {{1}}, {{2}}, {count}", np.uint32, low, top)
    assert got.tolist() == [((v << n) >> 32) & 0xFFFFFFFF for v in both]
    got = calculate(f"shf.r.{mode}.b32 {{0}}, {{1}}, {{2}}, {count}", np.uint32, low, top)
    assert got.tolist() == [(v >> n) & 0xFFFFFFFF for v in both]


def field(x: int, position: int, length: int, bits: int, signed: bool) -> int:
    """The manual's own definition of ``bfe``."""
    top = min(position + length - 1, bits - 1)
    sign = (x >> top) & 1 if signed and length else 0
    result = 0
    for i in range(bits):
        inside = i < length and position + i < bits
        result |= ((x >> (position + i)) & 1 if inside else sign) << i
    return result


@pytest.mark.parametrize(("position", "length"), [(0, 1), (0, 32), (3, 5), (28, 8), (31, 1), (7, 0), (40, 3)])
def test_bit_fields_are_taken_out_and_put_in(position, length, calculate):
    u, s, other = integers(np.uint32, 1), integers(np.int32, 1), integers(np.uint32, 2)
    got = calculate(f"bfe.u32 {{0}}, {{1}}, {position}, {length}", np.uint32, u)
    assert got.tolist() == [field(int(x), position, length, 32, signed=False) for x in u]
    got = calculate(f"bfe.s32 {{0}}, {{1}}, {position}, {length}", np.int32, s)
    want = [wrap(field(int(x) & 0xFFFFFFFF, position, length, 32, signed=True), np.int32) for x in s]
    if position < 32:
        assert got.tolist() == want
    got = calculate(f"bfi.b32 {{0}}, {{1}}, {{2}}, {position}, {length}", np.uint32, u, other)
    mask = (((1 << length) - 1) << position) & 0xFFFFFFFF
    assert got.tolist() == [int(b) & ~mask | (int(a) << position) & mask for a, b in zip(u, other, strict=True)]


def test_bits_are_counted_reversed_and_permuted(calculate):
    u, other = integers(np.uint32, 1), integers(np.uint32, 2)
    assert calculate("popc.b32 {0}, {1}", np.uint32, u).tolist() == [int(x).bit_count() for x in u]
    assert calculate("clz.b32 {0}, {1}", np.uint32, u).tolist() == [32 - int(x).bit_length() for x in u]
    assert calculate("brev.b32 {0}, {1}", np.uint32, u).tolist() == [int(f"{int(x):032b}"[::-1], 2) for x in u]
    bytes_of = [struct.pack("<II", int(a), int(b)) for a, b in zip(u, other, strict=True)]
    got = calculate("prmt.b32 {0}, {1}, {2}, 0x6420", np.uint32, u, other)
    assert got.tolist() == [struct.unpack("<I", bytes([v[0], v[2], v[4], v[6]]))[0] for v in bytes_of]
    got = calculate("lop3.b32 {0}, {1}, {2}, 0x0F0F0F0F, 0xE8", np.uint32, u, other)
    third = 0x0F0F0F0F
    assert got.tolist() == [int(a) & int(b) | int(a) & third | int(b) & third for a, b in zip(u, other, strict=True)]


ORDERED = {"eq": "==", "ne": "!=", "lt": "<", "le": "<=", "gt": ">", "ge": ">="}


@pytest.mark.parametrize("name", [*ORDERED, *(f"{n}u" for n in ORDERED), "num", "nan"])
def test_comparisons_of_floats_know_nan(name, calculate, wide):
    a, b = wide(np.float32, 400, 1), wide(np.float32, 400, 2)
    b = np.where(np.arange(400) % 3 == 0, a, b)
    got = calculate([f"setp.{name}.f32 %p2, {{1}}, {{2}}", "selp.u32 {0}, 1, 0, %p2"], np.uint32, a, b)
    unordered = np.isnan(a) | np.isnan(b)
    if name in {"num", "nan"}:
        want = unordered if name == "nan" else ~unordered
    else:
        holds = np.array([eval(f"x {ORDERED[name[:2]]} y") for x, y in zip(a, b, strict=True)])
        want = holds | unordered if len(name) == 3 else holds & ~unordered
    assert np.array_equal(got, want)


def test_a_comparison_gives_its_opposite_too_and_joins_a_predicate(calculate):
    a = np.arange(8, dtype=np.uint32)
    lines = ["setp.lt.u32 %p2|%p3, {1}, 3", "setp.ge.and.u32 %p4, {1}, 2, %p3", "selp.u32 {0}, 1, 0, %p4"]
    assert calculate(lines, np.uint32, a).tolist() == [0, 0, 0, 1, 1, 1, 1, 1]


def test_minimum_and_maximum_drop_nan_unless_asked_and_order_zeros(calculate):
    a = np.array([np.nan, 1, -0.0, 0.0, np.nan, -np.inf], np.float32)
    b = np.array([2, np.nan, 0.0, -0.0, np.nan, 3], np.float32)
    expected = {
        "max.f32": "[2.0, 1.0, 0.0, 0.0, nan, 3.0]",
        "min.f32": "[2.0, 1.0, -0.0, -0.0, nan, -inf]",
        "max.NaN.f32": "[nan, nan, 0.0, 0.0, nan, 3.0]",
        "min.NaN.f32": "[nan, nan, -0.0, -0.0, nan, -inf]",
    }
    for name, want in expected.items():
        assert repr(calculate(f"{name} {{0}}, {{1}}, {{2}}", np.float32, a, b).tolist()) == want, name


def test_copysign_takes_the_sign_of_its_first_operand(calculate):
    sign, size = np.array([-1, 1, -0.0], np.float32), np.array([2, -3, 4], np.float32)
    assert calculate("copysign.f32 {0}, {1}, {2}", np.float32, sign, size).tolist() == [-2, 3, -4]


@pytest.mark.parametrize(
    ("mode", "function"), [("rni", round), ("rzi", math.trunc), ("rmi", math.floor), ("rpi", math.ceil)]
)
def test_floats_become_integers_in_every_mode_and_clamp(mode, function, calculate, wide):
    x = np.concatenate([wide(np.float32, 500, 5), np.arange(-3, 3, 0.25, np.float32)])
    got = calculate(f"cvt.{mode}.s32.f32 {{0}}, {{1}}", np.int32, x)
    ends = {np.inf: 2**31 - 1, -np.inf: -(2**31)}
    for value, result in zip(x.tolist(), got.tolist(), strict=True):
        whole = 0 if math.isnan(value) else ends[value] if math.isinf(value) else function(value)
        assert result == min(max(whole, -(2**31)), 2**31 - 1), value


@pytest.mark.parametrize("kind", NAMES)
@pytest.mark.parametrize("mode", ["rn", "rz", "rm", "rp"])
def test_integers_become_the_float32_that_the_mode_asks_for(mode, kind, calculate):
    x = integers(kind, 3)
    if np.dtype(kind).itemsize == 8:  # beside ties of float32, by as little as there is
        x = np.array([*x.tolist(), *((odd << 38) + d for odd in (2**24 + 1, 2**24 + 3) for d in (-1, 0, 1))], kind)
    got = calculate(f"cvt.{mode}.f32.{NAMES[kind]} {{0}}, {{1}}", np.float32, x)
    for value, result in zip(x.tolist(), got.tolist(), strict=True):
        exact = Fraction(result)
        neighbours = [Fraction(float(np.nextafter(np.float32(result), np.float32(e)))) for e in (-np.inf, np.inf)]
        if mode == "rn":
            assert result == float(np.array(value, kind).astype(np.float32))
        elif mode == "rz":
            assert abs(exact) <= abs(value) < max(abs(n) for n in neighbours) or exact == value
        elif mode == "rm":
            assert exact <= value < neighbours[1]
        else:
            assert neighbours[0] < value <= exact


def test_halves_are_rounded_to_nearest_even(calculate, wide):
    x = wide(np.float32, 1000, 8)
    with np.errstate(all="ignore"):
        want = x.astype(np.float16)
    got = calculate(["cvt.rn.f16.f32 %h20, {1}", "mov.b16 {0}, %h20"], np.uint16, x).view(np.float16)
    assert np.array_equal(got, want, equal_nan=True)
    back = calculate(["mov.b16 %h20, {1}", "cvt.f32.f16 {0}, %h20"], np.float32, want.view(np.uint16))
    assert np.array_equal(back, want.astype(np.float32), equal_nan=True)


@pytest.mark.parametrize(("name", "exact"), [("add", np.add), ("sub", np.subtract), ("mul", np.multiply)])
def test_arithmetic_on_halves_is_rounded_once(name, exact, calculate, wide):
    a, b = wide(np.float16, 2000, 1), wide(np.float16, 2000, 2)
    with np.errstate(all="ignore"):
        want = exact(a.astype(np.float64), b.astype(np.float64)).astype(np.float16)  # float64 holds either exactly
    lines = ["mov.b16 %h20, {1}", "mov.b16 %h21, {2}", f"{name}.f16 %h22, %h20, %h21", "mov.b16 {0}, %h22"]
    got = calculate(lines, np.uint16, a.view(np.uint16), b.view(np.uint16)).view(np.float16)
    assert np.array_equal(got, want, equal_nan=True)


def test_bfloat16_is_rounded_to_nearest_even(calculate, wide):
    ml_dtypes = pytest.importorskip("ml_dtypes")
    x = wide(np.float32, 1000, 8)
    got = calculate("cvt.rn.bf16.f32 {0}, {1}", np.uint16, x).view(ml_dtypes.bfloat16)
    with np.errstate(all="ignore"):
        assert np.array_equal(got, x.astype(ml_dtypes.bfloat16), equal_nan=True)


def test_registers_can_be_taken_apart_and_put_together(calculate):
    x = integers(np.uint64, 1)
    got = calculate(["mov.b64 {{%r20, %r21}}, {1}", "mov.b64 {0}, {{%r21, %r20}}"], np.uint64, x)
    assert np.array_equal(got, (x >> np.uint64(32)) | (x << np.uint64(32)))
    got = calculate("mov.b32 {0}, {1}", np.uint32, np.array([1.0, -0.0], np.float32))
    assert got.tolist() == [0x3F800000, 0x80000000]


TRUTH = {"ex2": np.exp2, "lg2": np.log2, "rcp": lambda x: 1 / x, "sqrt": np.sqrt, "rsqrt": lambda x: x**-0.5,
         "sin": np.sin, "cos": np.cos, "tanh": np.tanh}  # fmt: skip


@pytest.mark.parametrize("name", TRUTH)
def test_approximations_round_the_true_value_once_and_err_on_demand_within_their_bound(name, calculate):
    x = RANDOM.uniform(0.01, 3, 2000).astype(np.float32)
    exact = TRUTH[name](x.astype(np.float64))
    best = calculate(f"{name}.approx.f32 {{0}}, {{1}}", np.float32, x)
    assert np.all(np.abs(best - exact) <= np.spacing(np.abs(best)) * 0.5000001)
    worse = calculate(f"{name}.approx.f32 {{0}}, {{1}}", np.float32, x, error=1.0)
    size = np.maximum(np.abs(exact), 1) if name in {"sin", "cos", "lg2"} else np.abs(exact)
    errors = np.abs(worse - exact) / size
    assert errors.max() <= BOUNDS[name] + 2.0**-24
    assert errors.max() > 0.8 * BOUNDS[name]


def test_approximations_keep_specials(calculate):
    x = np.array([0, -0.0, np.inf, -np.inf, np.nan, 1e-40, -1], np.float32)
    shown = {
        "ex2.approx.ftz": "[1.0, 1.0, inf, 0.0, nan, 1.0, 0.5]",
        "lg2.approx.ftz": "[-inf, -inf, inf, nan, nan, -inf, nan]",
        "rcp.approx.ftz": "[inf, -inf, 0.0, -0.0, nan, inf, -1.0]",
    }
    for name, want in shown.items():
        assert repr(calculate(f"{name}.f32 {{0}}, {{1}}", np.float32, x).tolist()) == want, name


def test_dividing_approximately_by_a_huge_number_gives_zero(calculate):
    a, b = np.array([2.0**100, 3], np.float32), np.array([2.0**127, 2], np.float32)
    assert calculate("div.approx.f32 {0}, {1}, {2}", np.float32, a, b).tolist() == [0, 1.5]
    assert calculate("div.full.f32 {0}, {1}, {2}", np.float32, a, b)[1] == 1.5


@pytest.mark.parametrize(
    "name", ["add.rn.f16x2", "add.rna.f32", "fma.rn.relu.f32", "cvt.rn.relu.bf16.f32", "dp4a.u32.u32", "wgmma.fence"]
)
def test_an_unknown_instruction_or_modifier_is_an_error_that_names_it(name, execute):
    with pytest.raises(UnknownPtx, match=rf"unknown instruction '{name}'\n  PTX line \d+: {name} %r2, %r1, %r1"):
        execute(f"{name} %r2, %r1, %r1", np.zeros(1, np.float32))


def test_a_wrong_number_of_operands_is_an_error(execute):
    with pytest.raises(UnknownPtx, match="takes 2 operands here, not 3"):
        execute("add.f32 %f1, %f2, %f3, %f4", np.zeros(1, np.float32))


def test_dividing_an_integer_by_zero_is_an_error_with_its_line(execute):
    with pytest.raises(PtxError, match=r"division by zero.*\n  PTX line \d+: div.u32 %r2, %r1, %r1"):
        execute("div.u32 %r2, %r1, %r1", np.zeros(1, np.float32))
