"""Elementary functions from specs/elementary: their proved cores, and every form over its whole range against balls."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import pytest
from flint import arb, ctx

from symgen import approx, ulp
from symgen.arithmetic import computing_in
from symgen.backends import numba_elementary
from symgen.elementary import Core, catalogue, constant, evaluate, graph_of
from symgen.kernel import BRANCH_FREE, GENERATED, MEDIUM, OPERATIONS, SINGLE, Operation, var

INF = math.inf
EXACT = {
    "exp": lambda u: u.exp(),
    "expm1": lambda u: u.expm1(),
    "log": lambda u: u.log(),
    "log1p": lambda u: u.log1p(),
    "log1p_unit": lambda u: u.log1p(),
    "erf": lambda u: u.erf(),
    "sinh": lambda u: u.sinh(),
    "cosh": lambda u: u.cosh(),
    "asinh": lambda u: u.asinh(),
    "atan": lambda u: u.atan(),
    "erfcx": lambda u: (u * u).hypgeom_u(arb(1) / 2, arb(1) / 2) / arb.pi().sqrt(),
}
# which arguments each is for, and its values at zero and the infinities
DOMAIN = {
    "exp": (-INF, 1000.0), "expm1": (-INF, 1000.0), "log": (0.0, INF), "log1p": (-1.0, INF), "log1p_unit": (0.0, 1.0),
    "erf": (-INF, INF), "erfcx": (0.0, INF), "sinh": (-1000.0, 1000.0), "cosh": (-1000.0, 1000.0),
    "asinh": (-INF, INF), "atan": (-INF, INF),
}  # fmt: skip
ENDS = {
    "exp": {0.0: 1.0, INF: INF, -INF: 0.0},
    "expm1": {0.0: 0.0, INF: INF, -INF: -1.0},
    "log": {0.0: -INF, INF: INF},
    "log1p": {0.0: 0.0, -1.0: -INF, INF: INF},
    "log1p_unit": {0.0: 0.0},
    "erf": {0.0: 0.0, INF: 1.0, -INF: -1.0},
    "erfcx": {0.0: 1.0, INF: 0.0},
    "sinh": {0.0: 0.0, INF: INF, -INF: -INF},
    "cosh": {0.0: 1.0, INF: INF, -INF: INF},
    "asinh": {0.0: 0.0, INF: INF, -INF: -INF},
    "atan": {0.0: 0.0, INF: math.pi / 2, -INF: -math.pi / 2},
}


for table in (EXACT, DOMAIN, ENDS):  # the same functions, with low parts that know more
    table |= {f"{name}_fine": table[name] for name in ("exp", "log")}  # type: ignore[attr-defined]


@pytest.fixture(autouse=True)
def precise() -> Iterator[None]:
    """The truth of this file is computed with 256 bits."""
    saved = ctx.prec
    ctx.prec = 256
    yield
    ctx.prec = saved


def points(name: str) -> ulp.Floats:
    """Arguments over the whole range, denser where functions bend, and next to one for the logarithm."""
    low, high = DOMAIN[name]
    some = [ulp.log_spaced(1500, "float64", 3), np.linspace(-8, 8, 801), 1 + np.linspace(-1e-6, 1e-6, 101)]
    x = np.unique(np.concatenate([*some, np.linspace(-746, 710, 301)]))
    return x[(x > low) & (x < high)]


def worst(name: str, high: ulp.Floats, low: ulp.Floats, x: ulp.Floats, least: float) -> tuple[float, float]:
    """The largest relative error of high + low where the result is at least `least`, and of high in ULP anywhere."""
    relative = rounded = 0.0
    for at, a, b in zip(x.tolist(), high.tolist(), low.tolist(), strict=True):
        truth = EXACT[name](arb(at))
        size = abs(float(truth))
        if not math.isfinite(size):
            assert math.isinf(a), at
            continue
        rounded = max(rounded, float(abs(arb(a) - truth)) / math.ulp(size))
        if size >= least:
            relative = max(relative, float(abs((arb(a) + arb(b) - truth) / truth)))
    return relative, rounded


OF_ONE = [name for name in GENERATED if len(catalogue()[name].parameters) == 1]


@pytest.mark.parametrize("name", OF_ONE)
def test_the_full_form_is_a_sum_of_more_than_float64(name: str) -> None:
    """The high part is right to 0.7 ULP, subnormal results included, and both together to 2^-54."""
    x = points(name)
    relative, rounded = worst(name, evaluate(name, (x,)), evaluate(f"{name}_low", (x,)), x, 2.0**-960)
    assert relative <= 2.0**-54
    assert rounded <= 0.7


@pytest.mark.parametrize("name", ["exp_fine", "log_fine"])
def test_the_fine_form_is_right_to_69_bits(name: str) -> None:
    """Next to the root of the logarithm too, where all of the sum is small."""
    x = np.concatenate([points(name), 1 + np.outer([-1, 1], 2.0 ** np.arange(-50, -1)).ravel()])
    x = x[(x > 2.0**-1000)] if name == "log_fine" else x
    assert worst(name, evaluate(name, (x,)), evaluate(f"{name}_low", (x,)), x, 2.0**-900)[0] <= 2.0**-69


def test_the_fine_power_is_right_to_62_bits_wherever_it_is_a_float() -> None:
    """Its logarithm is multiplied by up to 700; of small powers of numbers around one it is right to 67 bits."""
    random = np.random.default_rng(3)
    for bases, most, bits in (((-900.0, 900.0), 700.0, 62), ((-3.0, 3.0), 8.0, 67)):
        b = 2.0 ** random.uniform(*bases, 2000)
        x = random.uniform(-1, 1, 2000) * most / np.maximum(abs(np.log(b)), 1)
        high, low = evaluate("pow_fine", (b, x)), evaluate("pow_fine_low", (b, x))
        for at, n, h, r in zip(b.tolist(), x.tolist(), high.tolist(), low.tolist(), strict=True):
            if 2.0**-900 < h < 2.0**900:
                assert abs((arb(h) + arb(r)) / arb(at) ** arb(n) - 1) <= arb(2) ** -bits, (at, n)


@pytest.mark.parametrize("name", OF_ONE)
def test_the_short_form_is_right_to_34_bits(name: str) -> None:
    """Wherever a float32 result is not zero or infinite."""
    x = points(name)
    truth = np.array([abs(float(EXACT[name](arb(v)))) for v in x.tolist()])
    x = x[(truth > 2.0**-160) & (truth < 2.0**130)]
    short = evaluate(f"{name}_short", (x,))
    assert worst(name, short, np.zeros_like(short), x, 0.0)[0] <= 2.0**-34


@pytest.mark.parametrize("name", sorted({n for n in OF_ONE if f"{n}_medium" in MEDIUM}))
def test_the_medium_form_is_a_float64(name: str) -> None:
    """Right to 1.5 ULP, to 1.7 where ln 2 is subtracted twice, wherever a float32 result is not zero or infinite."""
    primitive = f"{name}_medium"
    x = points(name)
    truth = np.array([abs(float(EXACT[name](arb(v)))) for v in x.tolist()])
    x = x[(truth > 2.0**-960) & (truth < 2.0**960)]
    medium = evaluate(primitive, (x,))
    assert worst(name, medium, np.zeros_like(medium), x, 0.0)[1] <= (1.7 if name == "expm1" else 1.5)


@pytest.fixture(params=[-1.0, 0.0, 1.0])
def reciprocals_of_a_gpu(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """They err by up to the bound of the PTX manual, at random and to one side."""
    random = np.random.default_rng(5)

    def inverse(x: np.ndarray) -> np.ndarray:
        least = 0.0 if request.param else -1.0
        noise = random.uniform(least, 1.0, np.shape(x)) * (request.param or 1.0) * 2.0**-23
        return (1 / x.astype(np.float64) * (1 + noise)).astype(np.float32)

    monkeypatch.setitem(OPERATIONS, "inverse", Operation("f", "f", inverse))


@pytest.mark.usefixtures("reciprocals_of_a_gpu")
@pytest.mark.parametrize("primitive", sorted(SINGLE))
def test_the_form_in_float32_is_right_to_one_and_a_half_ulp(primitive: str) -> None:
    """With reciprocals as bad as a GPU may have; next to subnormal numbers two roundings count."""
    name = primitive.removesuffix("_single")
    low, high = (float(np.float32(end)) for end in DOMAIN[name])
    random = np.random.default_rng(6)
    parts = [2.0 ** random.uniform(-40, 127.99, 200_000), 2.0 ** random.uniform(-8, 8, 500_000)]
    u = np.unique(np.concatenate([*parts, [0.0, 1e-45, 3.4028234e38]]).astype(np.float32))
    u = u[(u >= low) & (u <= high)]
    true = evaluate(name, (u.astype(np.float64),))
    with np.errstate(all="ignore"):
        (found,) = graph_of(primitive).evaluate([u], dtype=np.float32)
        unit = np.spacing(np.maximum(true, 2.0**-126).astype(np.float32))
    errors = np.abs(found - true) / unit
    assert float(errors[true >= 2.0**-100].max()) <= 1.4
    assert float(errors.max()) <= 1.6
    (ends,) = graph_of(primitive).evaluate([np.array([*ENDS[name], np.nan], np.float32)], dtype=np.float32)
    assert ends[:-1].tolist() == [*ENDS[name].values()]
    assert math.isnan(ends[-1])


def test_the_medium_power_is_as_right_as_its_logarithm() -> None:
    """The logarithm of the power is rounded to a float64 and is up to 700: ten bits of the power are lost."""
    random = np.random.default_rng(3)
    b = 2.0 ** random.uniform(-900.0, 900.0, 2000)
    x = random.uniform(-1, 1, 2000) * 700.0 / np.maximum(abs(np.log(b)), 1)
    for at, n, got in zip(b.tolist(), x.tolist(), evaluate("pow_medium", (b, x)).tolist(), strict=True):
        if 2.0**-900 < got < 2.0**900:
            assert abs(arb(got) / arb(at) ** arb(n) - 1) <= arb(2) ** -42, (at, n)


@pytest.mark.parametrize(
    ("name", "part"), [(n, p) for n in OF_ONE for p in ("", "_short", "_medium") if n + p in BRANCH_FREE]
)
def test_zero_infinities_and_nan(name: str, part: str) -> None:
    """The ends are the function's, a NaN stays one, and an odd function keeps the sign of zero."""
    x = np.array([*ENDS[name], math.nan])
    got, want = evaluate(name + part, (x,)), [*ENDS[name].values(), math.nan]
    np.testing.assert_allclose(got, want, rtol=2.0**-34 if part else 0.0)
    if name in ("expm1", "log1p", "erf", "sinh", "asinh", "atan"):
        assert math.copysign(1.0, float(evaluate(name + part, (np.array([-0.0]),))[0])) == -1.0


def lengths(low: float, high: float) -> tuple[ulp.Floats, ulp.Floats]:
    """Sides of triangles: of any size and ratio, and next to each other."""
    random = np.random.default_rng(7)
    x = 2.0 ** random.uniform(low, high, 1500)
    return x, x * 2.0 ** np.concatenate([random.uniform(-30, 30, 1000), random.uniform(-1, 1, 500)]).clip(-300, 300)


def off(x: ulp.Floats, y: ulp.Floats, high: ulp.Floats, low: ulp.Floats) -> ulp.Floats:
    """By how much high + low is wrong, relatively."""
    truth = [(arb(a) ** 2 + arb(b) ** 2).sqrt() for a, b in zip(x.tolist(), y.tolist(), strict=True)]
    sums = [arb(a) + arb(b) for a, b in zip(high.tolist(), low.tolist(), strict=True)]
    return np.array([float(abs(a / b - 1)) for a, b in zip(sums, truth, strict=True)])


def test_hypot_is_right_where_squares_are_not_in_range() -> None:
    """The sum is right to 100 bits, the high part is rounded correctly, and the short form to 50 bits in its range."""
    x, y = lengths(-940.0, 990.0)
    high, low = evaluate("hypot", (x, y)), evaluate("hypot_low", (x, y))
    assert off(x, y, high, low).max() <= 2.0**-100
    assert off(x, y, high, 0 * low).max() <= 2.0**-53
    x, y = lengths(-300.0, 300.0)
    assert off(x, y, evaluate("hypot_short", (x, y)), 0 * x).max() <= 2.0**-51


@pytest.mark.parametrize("part", ["", "_short"])
def test_hypot_at_zero_infinity_and_nan(part: str) -> None:
    """An infinite side makes it infinite, a side of zero changes nothing, and a NaN stays one."""
    x = np.array([0.0, -0.0, 3.0, INF, -INF, 1.0, math.nan, 1.0])
    y = np.array([0.0, 5.0, -0.0, 1.0, INF, -INF, 1.0, math.nan])
    np.testing.assert_array_equal(evaluate(f"hypot{part}", (x, y)), [0, 5, 3, INF, INF, INF, math.nan, math.nan])
    if not part:
        assert not np.nan_to_num(evaluate("hypot_low", (x, y))).any()


def powers() -> tuple[ulp.Floats, ulp.Floats]:
    """Bases of any size and next to one, with exponents for results over the whole range."""
    random = np.random.default_rng(5)
    near_one = 1 + 2.0 ** random.uniform(-50, 1, 1500) * random.choice([-0.4, 1], 1500)
    b = np.concatenate([2.0 ** random.uniform(-1074, 1024, 1500), near_one])
    x = random.uniform(-1, 1, b.size) * np.minimum(700 / np.abs(np.log(b)), 1e300)
    return b, x


def test_powers_are_right_to_an_ulp() -> None:
    """To 0.9 ULP even at the ends of the range, where an error of the logarithm counts 700 times; in short to 2^-34."""
    b, x = powers()
    truth = [arb(p) ** arb(q) for p, q in zip(b.tolist(), x.tolist(), strict=True)]

    def error(values: ulp.Floats, rest: ulp.Floats) -> ulp.Floats:
        sums = [arb(p) + arb(q) for p, q in zip(values.tolist(), rest.tolist(), strict=True)]
        return np.array([float(abs(p / q - 1)) for p, q in zip(sums, truth, strict=True)])

    high, low = evaluate("pow", (b, x)), evaluate("pow_low", (b, x))
    size = np.array([float(t) for t in truth])
    rounded = np.array([float(abs(arb(h) - t)) for h, t in zip(high.tolist(), truth, strict=True)]) / np.spacing(size)
    assert rounded.max() <= 0.9
    assert error(high, low)[size > 2.0**-960].max() <= 2.0**-52.5
    assert error(high, low)[(size > 2.0**-32) & (size < 2.0**32)].max() <= 2.0**-57
    single = (size > 2.0**-149) & (size < 2.0**128)
    assert error(evaluate("pow_short", (b, x)), 0 * b)[single].max() <= 2.0**-34


@pytest.mark.parametrize("part", ["", "_short"])
def test_powers_of_special_numbers_are_those_of_ieee(part: str) -> None:
    """Zeros with their sign, infinities, negative bases with whole exponents and others, and no numbers."""
    values = [0.0, -0.0, 1.0, -1.0, 0.5, 2.0, -2.0, -0.5, 3.0, -3.0, 2.5, 1e300, -1e300, INF, -INF, math.nan]
    pairs = [(p, q) for p in values for q in (*values, 5.0, 4.0, 2.0**53, 2.0**53 - 1, -7.0)]
    b, x = np.array(pairs).T
    with np.errstate(all="ignore"):
        want = np.power(b, x)
    got = evaluate(f"pow{part}", (b, x))
    np.testing.assert_allclose(got, want, rtol=2.0**-34 if part else 2.0**-52)
    np.testing.assert_array_equal(np.signbit(got)[~np.isnan(want)], np.signbit(want)[~np.isnan(want)])


CORES = {
    "exponential": Core(lambda r: r.hypgeom_1f1(1, 3) / 2, (-0.34658, 0.34658), bits=31),
    "logarithm": Core(lambda z: 2 * z.hypgeom_2f1(1, arb(3) / 2, arb(5) / 2) / 3, (0.0, 0.02945), bits=40),
}


@pytest.mark.parametrize("core", CORES.values(), ids=list(CORES))
def test_a_proved_bound_holds_everywhere(core: Core) -> None:
    """The bound is below the target, and no point of a fine grid exceeds it."""
    polynomial = core.polynomial(float(core.bits))
    assert polynomial.error < 2.0**-core.bits
    for t in np.linspace(*core.interval, 1001)[1:-1].tolist():
        value = sum((arb(c) * arb(t) ** k for k, c in enumerate(polynomial.coefficients)), arb(0))
        assert abs(value / core.exact(arb(t)) - 1) <= polynomial.error


def test_a_wrong_coefficient_is_found_by_the_proof() -> None:
    """A polynomial with its last coefficient doubled is proved to be no better than it is."""
    core = CORES["exponential"]
    right = core.polynomial(31)
    wrong = approx.Polynomial((*right.coefficients[:-1], 2 * right.coefficients[-1]), right.low, 1, right.error)
    assert approx.prove(right, core.exact, *core.interval) < 2.0**-31 < approx.prove(wrong, core.exact, *core.interval)


def test_a_polynomial_is_the_same_whatever_arithmetic_asks_for_it_first() -> None:
    """Graphs for float32 use the float64 functions: their coefficients are not rounded to float32."""
    within = (0.0, 0.029)  # no other test has this interval, so nobody has asked before
    with computing_in(np.float32):
        first = Core(CORES["logarithm"].exact, within, bits=50).polynomial(50)
    assert first == Core(CORES["logarithm"].exact, within, bits=(30, 50)).polynomial(50)


def test_coefficients_that_are_rounded_in_turn_make_up_for_each_other() -> None:
    """Rounding all of them to float32 at once leaves more than the target, and every one is a float32."""
    with computing_in(np.float32):
        found = approx.fit_in_turn(arb.exp, -1.0, 1.0, 28)
        assert found is not None
        at_once = approx._interpolate(arb.exp, -1.0, 1.0, len(found.coefficients), 1)
    assert at_once is not None
    assert 2.0**-30 < found.error < 2.0**-28 < at_once.error
    assert all(float(np.float32(c)) == c for c in (*found.coefficients, found.low))
    terms = [arb(c) for c in found.coefficients]
    value = sum((c * arb(0.7) ** k for k, c in enumerate(terms)), arb(found.low))
    assert abs(value / arb(0.7).exp() - 1) < 2.0**-28


def test_a_target_that_no_polynomial_reaches_says_what_to_do() -> None:
    """The build stops with the interval, the target, and what can be changed."""
    with pytest.raises(ArithmeticError, match=r"specs/elementary: no polynomial on .* change the reduction"):
        Core(lambda r: r.exp(), (-0.3, 0.3), bits=400).polynomial(400)
    with pytest.raises(ArithmeticError, match=r"specs/elementary: no polynomial on .* change the reduction"):
        Core(lambda r: r.exp(), (-0.3, 0.3), bits=60).single(var("t"))


def test_a_constant_is_a_sum_of_two_floats() -> None:
    """ln 2 to 106 bits; with fewer bits in front, n times that part is exact."""
    ln2 = constant(lambda: arb(2).log(), bits=42)
    assert abs(arb(ln2.high) + arb(ln2.low) - arb(2).log()) < arb(2) ** -94
    assert (ln2.high * 1074).as_integer_ratio() == (int(ln2.high * 2**42) * 1074 / 2**42).as_integer_ratio()


def test_the_printed_module_has_every_primitive_and_what_it_calls() -> None:
    """Asked for one function, it prints that one with its callees, callees first."""
    scope: dict[str, object] = {}
    exec(numba_elementary.emit("symgen.runtime"), scope)
    assert scope.keys() >= BRANCH_FREE
    some = numba_elementary.emit("symgen.runtime", ["erf_short"])
    assert [line.split("(")[0] for line in some.split("\n") if line.startswith("def ")] == [
        "def erfcx_short", "def exp_short", "def erf_short",
    ]  # fmt: skip


def test_every_function_has_a_spec_with_a_summary() -> None:
    """The names that kernels may call are those of specs/elementary."""
    assert set(catalogue()) == set(GENERATED)
    assert all(spec.summary.endswith(".") for spec in catalogue().values())
    assert graph_of("exp_low").parameters == ("x",)
