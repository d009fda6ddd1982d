"""Expressions of the pipeline as TeX: heads by their names, decimals as decimals, relations as they stand."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import pytest
import sympy as sp
from hypothesis import given
from hypothesis import strategies as st

from symgen import heads, vocabulary
from symgen.backends.latex_abbreviate import abbreviations, substitute
from symgen.backends.latex_expr import latex, notation
from symgen.backends.latex_names import code, decimal, escape, float_number, prose, terminating
from symgen.backends.latex_notation import width
from symgen.backends.latex_typeset import lines, typeset

x = sp.Symbol("x", real=True)
a = sp.Symbol("alpha", extended_real=True)
b = sp.Symbol("beta", extended_real=True)
R = sp.Rational

GOLDEN: list[tuple[Any, str]] = [
    (x * vocabulary.erfc(-x / sp.sqrt(2)) / 2, r"\frac{x}{2} \operatorname{erfc}(-x/\sqrt{2})"),
    (sp.sqrt(2) / 2, r"\frac{1}{\sqrt{2}}"),
    (sp.exp(-(x**2) / 2) / sp.sqrt(2 * sp.pi), r"\frac{e^{-x^2/2}}{\sqrt{2 \pi}}"),
    (2 * sp.exp(-(x**2)) / sp.sqrt(sp.pi), r"\frac{2 e^{-x^2}}{\sqrt{\pi}}"),
    (sp.sqrt(2) * x / sp.sqrt(sp.pi), r"\sqrt{2/\pi}\, x"),
    (R("0.044715") * x**3, r"0.044715\, x^3"),
    (R(1, 10**7) * x, r"10^{-7}\, x"),
    (R("1.7580993408473768599402175208123") * sp.exp(x), r"1.7580993408\ldots\, e^x"),
    (R(1, 3) * x, r"\frac{x}{3}"),
    (vocabulary.sigmoid(x) * vocabulary.sigmoid(-x), r"\sigma(x)\, \sigma(-x)"),
    (vocabulary.softplus(b * x) / b, r"\frac{\operatorname{softplus}(\beta x)}{\beta}"),
    (vocabulary.sech2(x), r"\operatorname{sech}^2(x)"),
    (vocabulary.log_half_erfc(x), r"\log(\operatorname{erfc}(x)/2)"),
    (heads.Cases(x > 0, x, a * x), r"\begin{cases} x & \text{if } x > 0 \\ \alpha x & \text{otherwise} \end{cases}"),
    (
        heads.Cases(sp.Ge(0, x, evaluate=False), 0, 1) / 6,
        r"\begin{dcases} 0 & \text{if } 0 \ge x \\ \frac{1}{6} & \text{otherwise} \end{dcases}",
    ),
    (heads.first_max(0, x), r"\max(0, x)"),
    (heads.minimum(x, 1), r"\min(x, 1)"),
    (heads.weighted(a, x), r"\alpha x"),
    (sp.Ge(b, sp.Abs(x), evaluate=False), r"\beta \ge \lvert x \rvert"),
    (sp.Ne(x, 0), r"x \ne 0"),
    (sp.Or(x > 1, x < -1), r"x > 1 \text{ or } x < -1"),
    (1 / (1 + sp.Abs(x)), r"\frac{1}{1 + \lvert x \rvert}"),
    (-2 * sp.sign(x), r"-2 \operatorname{sgn}(x)"),
    (1 - x**2, "1 - x^2"),
    (x + 3, "x + 3"),
    (x - 1, "x - 1"),
    (x ** R(3, 2), "x^{3/2}"),
    (1 / x**2, r"\frac{1}{x^2}"),
    (x * sp.exp(-x), "x e^{-x}"),
    (sp.oo, r"\infty"),
    (900 * sp.sin(30 * x), r"900 \sin(30 x)"),
]


@pytest.mark.parametrize(("expression", "printed"), GOLDEN, ids=[p for _, p in GOLDEN])
def test_expression_is_printed_as_people_write_it(expression: Any, printed: str) -> None:
    """Each trait of notation has its golden snippet."""
    assert latex(expression) == printed


@pytest.mark.parametrize("head", vocabulary.HEADS, ids=lambda h: str(h.__name__))
def test_every_head_prints(head: Any) -> None:
    """A head of the vocabulary prints by its name, whatever its number of arguments."""
    u = sp.symbols("u v", real=True)[: int(min(head.nargs))]
    assert latex(head(*u)).count("u") >= 1


def test_unknown_class_is_named() -> None:
    """A class without notation is an error that says which."""
    with pytest.raises(TypeError, match="no notation for Integral"):
        latex(sp.Integral(x, x))


def test_display_names_reach_into_functions() -> None:
    """The spec's ``symbols=`` hold in every corner of an expression."""
    assert latex(sp.exp(sp.Symbol("negative_slope")), {"negative_slope": "a"}) == "e^a"


@given(st.integers(-(10**6), 10**6), st.integers(1, 10**6))
def test_rationals_print_their_exact_value_or_say_that_they_do_not(p: int, q: int) -> None:
    """A printed number is the number, unless dots say that digits follow."""
    text = latex(sp.Rational(p, q))
    shown = Fraction(p, q)
    if r"\ldots" in text or "10^" in text:
        return
    sign, bare = (-1, text[1:]) if text.startswith("-") else (1, text)
    if bare.startswith(r"\frac"):
        above, below = bare.removeprefix(r"\frac{").rstrip("}").split("}{")
        assert sign * Fraction(int(above), int(below)) == shown
    else:
        assert sign * Fraction(bare) == shown


def test_decimals_keep_what_was_written() -> None:
    """A literal is not normalised; an exponent becomes a power of ten."""
    assert decimal("0.10").tex == "0.10"
    assert decimal("1_000").tex == "1000"
    assert decimal("1e-5").tex == "10^{-5}"
    assert terminating(Fraction(1, 8)) is None
    assert terminating(Fraction(1, 3)) is None


def test_measured_numbers_are_short() -> None:
    """A measured float has few digits, and infinities and NaN have their signs."""
    assert float_number(1 / 3) == "0.33333"
    assert float_number(-1.5e-30) == r"-1.5 \cdot 10^{-30}"
    assert float_number(float("-inf")) == r"-\infty"
    assert float_number(float("nan")) == r"\mathrm{NaN}"


def test_text_is_escaped() -> None:
    """Nothing that a docstring can hold is a TeX command."""
    assert escape("50% of a_b & {c}") == r"50\% of a\_b \& \{c\}"
    assert prose("see `a_b`") == r"see \texttt{a\_\allowbreak{}b}"
    assert "?" in escape("\u4e2d")
    assert code("'none'") == r"\texttt{\textquotesingle{}none\textquotesingle{}}"


def test_long_sum_is_broken_before_its_terms() -> None:
    """A formula wider than a line continues with the sign of its next term."""
    long = notation(sum(vocabulary.softplus(k * x) for k in range(2, 12)))
    found = lines(long)
    assert len(found) > 1
    assert all(line.startswith("+ ") for line in found[1:])
    assert " ".join(found) == typeset(long)


def test_long_product_continues_with_a_dot() -> None:
    """A broken product shows that it goes on."""
    found = lines(notation(sp.Mul(*(vocabulary.softplus(k * x) for k in range(2, 12)))))
    assert len(found) > 1
    assert all(line.startswith(r"\cdot ") for line in found[1:])


def test_repeated_part_gets_a_name() -> None:
    """What a long formula repeats is named, and putting it back gives the formula again."""
    u = R("0.044715") * x**3 + x
    formulas = [notation(vocabulary.sigmoid(u) * vocabulary.softplus(u) + vocabulary.tanh(u) * vocabulary.erf(u))]
    found = abbreviations(formulas, limit=20)
    assert [typeset(part) for part in found] == [typeset(notation(u))]
    short = substitute(formulas[0], found)
    assert width(short) < width(formulas[0])
    assert substitute(short, {name: part for part, name in found.items()}) == formulas[0]


def test_short_formulas_get_no_names() -> None:
    """Names are for formulas that need them, and never a letter that is in use."""
    wide = notation(vocabulary.softplus(sp.Symbol("u") + 1) ** 2 * vocabulary.softplus(sp.Symbol("u") + 1))
    assert abbreviations([wide], limit=200) == {}
    named = abbreviations([wide, wide, wide], limit=1)
    assert "u" not in [typeset(name) for name in named.values()]
