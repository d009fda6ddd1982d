"""Definitions are set as their author wrote them: same order, same decimals, same relations."""

from __future__ import annotations

import pytest

from symgen.backends.latex_text import Definition, LatexError, Setting, definition
from symgen.backends.latex_typeset import typeset

ARGUMENTS = "x, alpha=1, beta=1, omega_0=30, lambd=0.5, negative_slope=0.01, min_val=-1, b=4, x1=0"

# what a spec returns, and how it is printed
GOLDEN = {
    "1 / (1 + exp(-x))": r"\frac{1}{1 + e^{-x}}",
    "(exp(x) - exp(-x)) / (exp(x) + exp(-x))": r"\frac{e^x - e^{-x}}{e^x + e^{-x}}",
    "log(1 / (1 + exp(-x)))": r"\log\!\left( \frac{1}{1 + e^{-x}} \right)",
    "x * (1 + erf(x / sqrt(2))) / 2": r"\frac{x}{2} (1 + \operatorname{erf}(x/\sqrt{2}))",
    "x + 0.044715 * x**3": r"x + 0.044715\, x^3",
    "log(1 + exp(beta * x)) / beta": r"\frac{\log(1 + e^{\beta x})}{\beta}",
    "sin(omega_0 * x)": r"\sin(\omega_0 x)",
    "x / (1 + abs(x))": r"\frac{x}{1 + \lvert x \rvert}",
    "x if x > 0 else negative_slope * x": r"\begin{cases} x & \text{if } x > 0 \\ "
    r"\mathrm{negative\_slope}\, x & \text{otherwise} \end{cases}",
    "x - lambd if x > lambd else x + lambd if x < -lambd else 0": r"\begin{cases} x - \lambda & \text{if } x > \lambda "
    r"\\ x + \lambda & \text{if } x < -\lambda \\ 0 & \text{otherwise} \end{cases}",
    "min(6, max(0, x + 3)) / 6": r"\frac{1}{6} \min(6, \max(0, x + 3))",
    "x * min(6, max(0, x + 3)) / 6": r"\frac{x}{6} \min(6, \max(0, x + 3))",
    "(x + sqrt(x**2 + b)) / 2": r"\frac{x + \sqrt{x^2 + b}}{2}",
    "x * sigmoid(1.702 * x)": r"x\, \sigma(1.702\, x)",
    "softplus(x) * quick_gelu(x)": r"\operatorname{softplus}(x) \operatorname{quick\_gelu}(x)",
    "1e-5 * x + 2.5e-3": r"10^{-5}\, x + 2.5 \cdot 10^{-3}",
    "1.0507009873554804934193349852946 * x": r"1.0507009873554804934193349852946\, x",
    "x if -1 < x < 1 else 0": r"\begin{cases} x & \text{if } -1 < x < 1 \\ 0 & \text{otherwise} \end{cases}",
    "x if 0 >= x or x != 3 else 0": r"\begin{cases} x & \text{if } 0 \ge x \text{ or } x \ne 3 \\ "
    r"0 & \text{otherwise} \end{cases}",
    "x if not x > 1 and beta > 0 else 0": r"\begin{cases} x & \text{if } \text{not } (x > 1) \text{ and } \beta > 0 "
    r"\\ 0 & \text{otherwise} \end{cases}",
    "x - (alpha - beta)": r"x - (\alpha - \beta)",
    "-(x + 1) * alpha": r"-(x + 1)\, \alpha",
    "alpha - (-x)": r"\alpha + x",
    "x * 2 * alpha": r"x \cdot 2 \alpha",
    "(-x)**2": "(-x)^2",
    "-x**2": "-x^2",
    "tanh(x)**2": r"\tanh^2(x)",
    "exp(-x**2 / 2) / sqrt(2 * pi)": r"\frac{e^{-x^2/2}}{\sqrt{2 \pi}}",
    "x1 + min_val": r"x_1 + \mathrm{min\_val}",
    "alpha * (exp(x / alpha) - 1)": r"\alpha\, (e^{x/\alpha} - 1)",
}


def spec(body: str) -> str:
    return f'def f({ARGUMENTS}):\n    """What it is."""\n{body}'


def value(body: str, setting: Setting | None = None) -> str:
    return typeset(definition(spec(body), setting).value)


@pytest.mark.parametrize(("written", "printed"), GOLDEN.items(), ids=GOLDEN)
def test_formula_is_printed_as_written(written: str, printed: str) -> None:
    """Each trait of notation has its golden snippet."""
    assert value(f"    return {written}") == printed


VARIANTS = """\
    if approximate == "tanh":
        return tanh(x)
    if threshold is not None and beta * x > threshold:
        return x
    return erf(x) if p == 1 else exp(x)
"""


def test_variant_decides_choices_and_presence() -> None:
    """A choice that a variant makes is not printed as a case."""
    assert value(VARIANTS, Setting({"approximate": "tanh"})) == r"\tanh(x)"
    given = value(VARIANTS, Setting({"approximate": "none", "threshold": "given"}))
    assert given.startswith(r"\begin{cases} x & \text{if } \beta x > \mathrm{threshold}")


def test_absent_option_removes_its_condition() -> None:
    """Where an option is None, the branch that asks for it is gone, and options decide the rest."""
    absent = {"approximate": "none", "threshold": None}
    assert value(VARIANTS, Setting(absent, lambda text: True if text == "p == 1" else None)) == r"\operatorname{erf}(x)"
    assert value(VARIANTS, Setting(absent, lambda text: False if text == "p == 1" else None)) == "e^x"


def test_local_name_used_once_is_written_where_it_is_used() -> None:
    """A name that only splits a line does not appear in print."""
    assert value("    inner = 1 + exp(-x)\n    return 1 / inner") == r"\frac{1}{1 + e^{-x}}"


def test_local_name_used_often_is_stated_after_where() -> None:
    """A long local that is used twice keeps its name."""
    found = definition(spec("    e = log(1 + exp(x))\n    return e * e + 1"))
    assert [typeset(w.value) for w in found.where] == [r"\log(1 + e^x)"]
    assert typeset(found.value) == "e e + 1"


def test_names_of_the_spec_win() -> None:
    """What ``symbols=`` says is used for arguments, in place of a default."""
    found = definition(spec("    return negative_slope * x"), None, {"negative_slope": "a"})
    assert typeset(found.value) == "a x"


def test_renamed_import_is_printed_by_its_own_name() -> None:
    """``from symgen.spec import erf as error_function`` prints erf."""
    found = definition(spec("    return error_function(x)"), imported={"error_function": "erf"})
    assert typeset(found.value) == r"\operatorname{erf}(x)"


@pytest.mark.parametrize("body", ["    return [x]", "    x += 1\n    return x", "    return x @ x", "    return x.T"])
def test_construct_without_notation_is_named(body: str) -> None:
    """An unknown construct is an error that quotes it, not a wrong formula."""
    with pytest.raises(LatexError, match="no notation for"):
        definition(spec(body))


def test_missing_function_is_an_error() -> None:
    """A text without the function asked for says so."""
    with pytest.raises(LatexError, match="no definition of g"):
        definition(spec("    return x"), function="g")


def test_definition_is_a_plain_record() -> None:
    """Two readings of the same text are equal."""
    text = spec("    return x + 1")
    assert isinstance(definition(text), Definition)
    assert definition(text) == definition(text)
