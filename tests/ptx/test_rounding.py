"""Arithmetic on floats is IEEE's to the last bit: compared with fractions, in every mode, for all sizes of number."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest

from symgen.ptx import rounding

MODES = ("rn", "rz", "rm", "rp")
DIGITS = {np.float32: (24, -149), np.float64: (53, -1074)}
FUNCTIONS = {
    ("add", np.float32): rounding.add32,
    ("mul", np.float32): rounding.mul32,
    ("fma", np.float32): rounding.fma32,
    ("add", np.float64): rounding.add64,
    ("mul", np.float64): rounding.mul64,
    ("fma", np.float64): rounding.fma64,
}


def rounded(value: Fraction, kind: type, mode: str) -> float:
    """An exact number that is not zero as a float of the kind: by integer arithmetic alone."""
    digits, least = DIGITS[kind]
    size = abs(value)
    exponent = size.numerator.bit_length() - size.denominator.bit_length()
    exponent -= Fraction(2) ** exponent > size
    quantum = Fraction(2) ** max(exponent - digits + 1, least)
    below = size / quantum
    whole = below.numerator // below.denominator
    rest = below - whole
    away = {"rz": False, "rm": value < 0, "rp": value > 0}.get(mode)
    if away is None:
        whole += rest > Fraction(1, 2) or (rest == Fraction(1, 2) and whole % 2 == 1)
    else:
        whole += bool(rest) and away
    result = whole * quantum
    largest = Fraction(float(np.finfo(kind).max))
    if result > largest:
        result = math.inf if mode == "rn" or away else largest
    return float(result) if value > 0 else -float(result)


def expected(operation: str, kind: type, mode: str, a: float, b: float, c: float) -> float:
    if operation == "add":
        b, c = 1.0, b
    elif operation == "mul":
        c = -0.0 if math.copysign(1.0, a) * math.copysign(1.0, b) < 0 else 0.0
    with np.errstate(all="ignore"):
        plain = float(np.float64(a) * np.float64(b) + np.float64(c))
    if not (math.isfinite(a) and math.isfinite(b) and math.isfinite(c)):
        return plain
    exact = Fraction(a) * Fraction(b) + Fraction(c)
    if exact:
        return rounded(exact, kind, mode)
    product_sign = math.copysign(1.0, a) * math.copysign(1.0, b)
    if product_sign == math.copysign(1.0, c) and (a == 0 or b == 0) and c == 0:
        return math.copysign(0.0, c)
    return -0.0 if mode == "rm" else 0.0


def triples(wide, kind: type, seed: int) -> list[np.ndarray]:
    """Operands of all kinds, half of them such that the sum cancels or stands near a tie."""
    a, b, c = (wide(kind, 1500, seed + i) for i in range(3))
    with np.errstate(all="ignore"):
        near = -(a * b) * (1 + np.random.default_rng(seed).integers(-3, 4, a.size) * np.finfo(kind).eps)
        c = np.where(np.arange(a.size) % 2, near.astype(kind), c)
    return [a, b, c]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(("operation", "kind"), FUNCTIONS)
def test_every_operation_is_rounded_as_its_mode_says(operation, kind, mode, wide):
    a, b, c = triples(wide, kind, 7)
    if operation == "add":
        b = c
    with np.errstate(all="ignore"):
        operands = (a, b, c) if operation == "fma" else (a, b)
        got = FUNCTIONS[operation, kind](*operands, mode)
    assert got.dtype == kind
    for x, y, z, result in zip(a.tolist(), b.tolist(), c.tolist(), got.tolist(), strict=True):
        want = expected(operation, kind, mode, x, y, z)
        assert repr(result) == repr(want), (operation, mode, x.hex(), y.hex(), z.hex(), result.hex(), want.hex())


def test_a_product_that_falls_short_of_a_tie_by_its_last_bit_is_not_rounded_to_even():
    a, b, c = np.array([1 + 2.0**-52]), np.array([1 - 2.0**-52]), np.array([2.0**53 + 2])
    assert rounding.fma64(a, b, c, "rn").tolist() == [2.0**53 + 2]
    assert rounding.fma64(a, -b, -c, "rn").tolist() == [-(2.0**53) - 2]
    short = [v.astype(np.float32) for v in (1 + a * 0 + 2.0**-23, 1 - 2.0**-23 + b * 0, c * 0 + 2.0**24 + 2)]
    assert rounding.fma32(*short, "rn").tolist() == [2.0**24 + 2]


def test_flushing_makes_subnormal_numbers_zeros_of_their_sign():
    got = rounding.flush(np.array([1e-40, -1e-40, 1.2e-38, -0.0, np.inf], np.float32))
    assert [repr(v) for v in got.tolist()] == ["0.0", "-0.0", repr(float(np.float32(1.2e-38))), "-0.0", "inf"]


def test_saturation_clamps_to_the_unit_interval_and_makes_nan_zero():
    got = rounding.saturate(np.array([-1, -0.0, 0.25, 2, np.inf, -np.inf, np.nan], np.float32))
    assert [repr(v) for v in got.tolist()] == ["0.0", "0.0", "0.25", "1.0", "1.0", "0.0", "0.0"]


@pytest.mark.parametrize("mode", MODES)
def test_float64_becomes_the_float32_that_the_mode_asks_for(mode, wide):
    x = wide(np.float64, 3000, 3)
    with np.errstate(all="ignore"):
        x = np.where(np.arange(x.size) % 2, wide(np.float32, 3000, 4).astype(np.float64) * (1 + 1e-9), x)
    with np.errstate(all="ignore"):
        got = rounding.narrow(x, mode)
    for value, result in zip(x.tolist(), got.tolist(), strict=True):
        want = rounded(Fraction(value), np.float32, mode) if value and math.isfinite(value) else value
        assert repr(result) == repr(want)
