"""Which formulas of several operands keep what short elementary functions know, by argument and in kernels."""

from __future__ import annotations

import math

import pytest
import sympy as sp
from sympy import Expr, Rational, Symbol

from symgen.catalogue import folder
from symgen.heads import Cases, first_max, weighted
from symgen.kernel import topological
from symgen.pipeline import derive
from symgen.spec import load
from symgen.stabilize.relative import FUNCTIONS, Known, Range, keeps_precision, magnitude
from symgen.vocabulary import expm1, hypot, log1p, log_mixture, mixture_slope, mixture_surprise, sigmoid, softplus

x, y = Symbol("x", real=True), Symbol("y", real=True)
p, t, w = (Symbol(n, real=True) for n in "ptw")
RANGES: dict[Symbol, Range] = {p: (0.0, 1.0), t: (0.0, 1.0), w: (0.0, math.inf)}

KEPT = [
    softplus(-x * y),
    y**2 * sigmoid(x * y) * sigmoid(-x * y),
    -weighted(t, sp.log(p)) - weighted(1 - t, log1p(-p)),  # of one sign, since t and p are between 0 and 1
    w * t * softplus(-x) + (1 - t) * softplus(x),
    sp.asinh((x - y) / 2) ** 2 / (1 + w),
    2 + expm1(-w),  # one at least, and the exponential is known to 2^-35 of one
    log1p(softplus(x)),
    sp.sqrt(sp.exp(x) + sp.exp(y)),
    first_max(sp.exp(x), 1 + sigmoid(y)),
    Cases(x < y, sp.exp(x), 0),
    sp.Abs(expm1(x) * (x - y)),
    sp.sign(expm1(x)),
    sigmoid(x) ** -3,
]
LOST = [
    sp.exp(x) - t,
    (1 - t) * sigmoid(x) - t * sigmoid(-x),
    sp.log(p) + x,
    sp.log(w) + (x - y) ** 2 / w,
    1 - sigmoid(x),
    sp.exp(softplus(x)),  # what is relatively wrong with an exponent is absolutely wrong
    sp.log(softplus(x)),
    sp.exp(w * log_mixture(x, t)),
    sigmoid(x) ** 100,
    sigmoid(x) ** y,
    Cases(x < y, sp.exp(x) - 1, 0),
]


@pytest.mark.parametrize("e", KEPT, ids=str)
def test_products_and_sums_of_one_sign_keep_what_functions_know(e: Expr) -> None:
    """Short functions are enough for these, whatever the operands are."""
    assert keeps_precision(e, RANGES)


@pytest.mark.parametrize("e", LOST, ids=str)
def test_a_difference_that_a_function_enters_may_lose_it(e: Expr) -> None:
    """Operands can be found at which these are small beside what they are made of."""
    assert not keeps_precision(e, RANGES)


def test_what_no_function_enters_is_left_to_probes() -> None:
    """A difference of operands is rounded as in any other arithmetic."""
    assert keeps_precision((x - y) / (x * y - 1), {})


def test_signs_come_from_ranges() -> None:
    """The logarithm of a number that may be on either side of one has either sign."""
    e = sp.log(p) - sp.exp(x)
    assert keeps_precision(e, {p: (0.0, 1.0)})
    assert not keeps_precision(e, {p: (0.0, 2.0)})


@pytest.mark.parametrize("function", FUNCTIONS, ids=lambda f: str(f.__name__))
def test_ranges_and_conditions_hold(function: type) -> None:
    """Values lie in the stated range, and a relative error of an argument grows no more than stated."""
    from symgen.vocabulary import expand_heads

    u, v = Symbol("u", real=True), Symbol("v", real=True)
    mixtures = (log_mixture, mixture_slope, mixture_surprise)
    arguments = (u, v)[: 2 if function in (hypot, *mixtures) else 1]
    of = expand_heads(function(*arguments))
    for low, high in ((Rational(1, 9), Rational(7, 8)), (Rational(-7, 8), Rational(-1, 9)), (2, 9), (-9, -2)):
        known = Known(1.0, float(low), float(high))
        spec = FUNCTIONS[function]
        found = spec.range(*[known] * len(arguments))
        for k in range(9):
            at = {s: low + (high - low) * Rational(k, 8) for s in arguments}
            at |= {v: Rational(k, 8)} if function in mixtures else {}
            value = sp.N(of.subs(at), 30)
            if not value.is_real:
                continue
            assert found[0] - 1e-12 <= value <= found[1] + 1e-12
            for s in arguments:
                growth = abs(sp.N((s * of.diff(s) / of).subs(at), 30))
                assert growth <= spec.condition(known) + 1e-12


def test_a_magnitude_has_the_range_of_absolute_values() -> None:
    """From zero where the number may be zero."""
    assert magnitude((-2.0, 1.0)) == (0.0, 2.0)
    assert magnitude((-3.0, -1.0)) == (1.0, 3.0)


def called(name: str, output: str) -> set[str]:
    """The elementary functions in a float32 core of the catalogue."""
    op = load(folder())[name]
    (variant, *_) = derive(op, only=output).variants
    return {n.value for n in topological(variant.output(output).cores["f32"].results) if n.op == "call"}


@pytest.mark.parametrize(
    ("name", "output"),
    [
        ("log_cosh_loss", "value"),
        ("soft_margin_loss", "grad_target"),
        ("binary_cross_entropy", "value"),
        ("binary_cross_entropy_with_logits", "value"),
        ("msle_loss", "value"),
        ("msle_loss", "grad_input"),
    ],
)
def test_losses_that_cancel_nothing_call_short_functions(name: str, output: str) -> None:
    """So does one in a difference of operands, whose roots do not move with either."""
    assert all(n.endswith("_short") for n in called(name, output))


@pytest.mark.parametrize(
    ("name", "output"), [("kl_div", "value"), ("poisson_nll_loss", "value"), ("student_t_nll_loss", "value")]
)
def test_losses_whose_roots_move_call_none(name: str, output: str) -> None:
    """Two functions of different operands meet in them, and either may be all but equal to the other."""
    assert not any(n.endswith("_short") for n in called(name, output))


def test_a_medium_logarithm_stands_where_a_probe_shows_that_it_is_enough() -> None:
    """A float32 result of several operands needs no elementary function to more than a float64."""
    assert called("binary_cross_entropy", "grad_target") == {"log_medium", "log1p_medium"}
