"""Loading specs: what the language means, what the records hold, and how files find each other."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from pathlib import Path

import pytest
import sympy as sp
from hypothesis import given
from hypothesis import strategies as st

import symgen.spec.description
import symgen.spec.loader
from symgen import catalogue
from symgen.heads import Cases, first_max, first_min, maximum, straight_through, weighted
from symgen.rows.lower import is_row_function
from symgen.spec import LANGUAGE, REQUIRED, Op, describe, load

HEADER = f"from symgen.spec import {', '.join(sorted(LANGUAGE))}\n"
OPS = {name: op for name, op in load(catalogue.folder()).items() if not is_row_function(op)}

x = sp.Symbol("x", real=True)
beta, gamma = sp.Symbol("beta", extended_real=True), sp.Symbol("gamma", extended_real=True)


def spec(signature: str, body: str, decorator: str = "@activation()", name: str = "f") -> str:
    lines = "".join(f"    {line}\n" for line in body.splitlines())
    return f'{decorator}\ndef {name}({signature}):\n    """Something."""\n{lines}\n'


def traced(folder: Path, signature: str, body: str, decorator: str = "@activation()") -> Op:
    path = folder / "f.py"
    path.write_text(HEADER + spec(signature, body, decorator), encoding="utf-8")
    return load(path)["f"]


def value(folder: Path, body: str, signature: str = "x", decorator: str = "@activation()") -> sp.Expr:
    """The value of the only variant."""
    (variant,) = traced(folder, signature, body, decorator).variants
    return variant.value


# The catalogue

NAMES = [
    "step", "linear", "sigmoid", "tanh", "relu", "leaky_relu", "prelu", "softplus", "elu", "celu", "selu",
    "gelu", "relu6", "logsigmoid", "sine", "silu", "mish", "softsign", "tanhshrink", "hardtanh", "hardsigmoid",
    "hardswish", "hardshrink", "softshrink", "threshold", "quick_gelu", "squareplus", "log1mexp", "softcap",
    "exponential", "erf", "erfc", "log_ndtr",
]  # fmt: skip

DEFAULTS = {
    "leaky_relu": {"negative_slope": 0.01}, "softplus": {"beta": 1, "threshold": None}, "elu": {"alpha": 1},
    "celu": {"alpha": 1}, "gelu": {"approximate": "none"}, "hardtanh": {"min_val": -1, "max_val": 1},
    "hardshrink": {"lambd": 0.5}, "softshrink": {"lambd": 0.5}, "threshold": {"threshold": REQUIRED, "value": REQUIRED},
    "sine": {"omega_0": 30}, "squareplus": {"b": 4}, "softcap": {"c": 30}, "linear": {"c": 1},
    "smooth_l1_loss": {"beta": 1}, "huber_loss": {"delta": 1}, "quantile_loss": {"q": 0.5},
    "pseudo_huber_loss": {"delta": 1}, "contrastive_loss": {"margin": 1}, "student_t_nll_loss": {"df": 3},
    "sigmoid_focal_loss": {"alpha": 0.25, "gamma": 2},
    "hinge_embedding_loss": {"margin": 1}, "margin_ranking_loss": {"margin": 0}, "kl_div": {"log_target": False},
    "gaussian_nll_loss": {"full": False, "eps": 1e-6},
    "poisson_nll_loss": {"log_input": True, "full": False, "eps": 1e-8},
}  # fmt: skip


def test_catalogue_is_complete() -> None:
    """Every elementwise activation is there, and nothing else is called an activation in its folder."""
    assert {name for name in load(catalogue.folder() / "activations") if name in OPS} == set(NAMES)
    assert list(OPS) == sorted(OPS)


@pytest.mark.parametrize("name", OPS)
def test_catalogue_record(name: str) -> None:
    """A record names its source and quotes it, has a sentence as summary, and its arguments stand for symbols."""
    op = OPS[name]
    text = (catalogue.folder().parent / op.source.file).read_text(encoding="utf-8")
    assert op.source.text.startswith(f"def {name}(")
    assert text.splitlines()[op.source.line - 1] == op.source.text.splitlines()[0]
    assert op.definition
    assert op.definition.splitlines()[-1].strip() in text
    assert op.summary.endswith(".")
    assert op.arguments == (*op.operands, *op.options)
    named = {op.symbol(a.name) for a in op.arguments if a.role.kind != "choice"}
    assert set().union(*[v.value.free_symbols for v in op.variants]) <= named
    assert set(op.symbols) <= {a.name for a in op.arguments}


@pytest.mark.parametrize("name", OPS)
def test_catalogue_defaults(name: str) -> None:
    """Names and defaults of the options are PyTorch's, as Python values; what comes first is x, or a loss's input."""
    op = OPS[name]
    assert {a.name: a.default for a in op.options} == DEFAULTS.get(name, {})
    assert {type(a.default) for a in op.options} <= {int, float, bool, str, type(None), type(REQUIRED)}
    if op.kind == "loss":
        assert op.arguments[0].name in {"input", "input1"}
    else:
        assert op.arguments[0].name == "x"
        assert [a.name for a in op.arguments if a.keyword_only] == (["approximate"] if name == "gelu" else [])


def test_catalogue_survives_pickling() -> None:
    """Ops go through a process pool unchanged, sentinels and symbols included."""
    copy = pickle.loads(pickle.dumps(OPS))
    assert copy == OPS
    assert copy["threshold"].arguments[1].default is REQUIRED


def test_prelu_is_elementwise() -> None:
    """Operands that all stand at their running index become plain symbols, while the roles keep the axes."""
    (variant,) = OPS["prelu"].variants
    assert variant.value == Cases(x > 0, x, sp.Symbol("weight", real=True) * x)
    assert [a.role.axes[0].at for a in OPS["prelu"].arguments] == [1, 1]


def test_alternatives_are_carried() -> None:
    """The specs of elu and celu carry the slide's form, with where it differs."""
    (other,) = OPS["elu"].alternatives
    alpha = sp.Symbol("alpha", extended_real=True)
    assert other.value == first_max(0, x) + first_min(0, alpha * (sp.exp(x) - 1))
    assert "instead of alpha" in other.note
    assert len(OPS["celu"].alternatives) == 1


# Numbers, relations and kinks


def test_selu_keeps_every_digit() -> None:
    """A decimal literal is the rational number that it writes down."""
    rationals = OPS["selu"].variants[0].value.atoms(sp.Rational)
    assert sp.Rational("1.0507009873554804934193349852946") in rationals
    assert sp.Rational("1.6732632423543772848170429916717") in rationals


@given(st.from_regex(r"[0-9]{1,20}\.[0-9]{0,25}(e[+-]?[0-9]{1,2})?", fullmatch=True))
def test_decimals_are_exact(tmp_path_factory: pytest.TempPathFactory, literal: str) -> None:
    """Whatever decimal is written, its digits are kept."""
    folder = tmp_path_factory.getbasetemp()
    assert value(folder, f"return x + ({literal})") == x + sp.Rational(literal)


FORMULAS = {
    "return 1 / 3 * x": x / 3,
    "return x * 1_000.5": x * sp.Rational(2001, 2),
    "return 2**0.5 * x": sp.sqrt(2) * x,
    "return max(0, x)": first_max(0, x),
    "return max(x, 0)": first_max(x, 0),
    "return max(x, 0, 2 * x)": first_max(first_max(x, 0), 2 * x),
    "return min(6, max(0, x))": first_min(6, first_max(0, x)),
    "return x * max(1, 2) * min(1, 2)": 2 * x,
    "return maximum(x, 0)": maximum(x, 0),
    "return abs(x)": sp.Abs(x),
    "return weighted(x, exp(x))": weighted(x, sp.exp(x)),
    "return straight_through(max(x, 0), x)": straight_through(first_max(x, 0), x),
    "return x if -1 < x < 1 else 0": Cases(sp.And(sp.Lt(-1, x), x < 1), x, 0),
    "return x if x > 1 or x < -1 else 0": Cases(sp.Or(x > 1, x < -1), x, 0),
    "return x if not x > 1 else 0": Cases(x <= 1, x, 0),
    "return x if x != 0 else 1": Cases(sp.Ne(x, 0), x, 1),
    "if x > 0:\n    return x\nreturn -x": Cases(x > 0, x, -x),
    "if x > 0:\n    return x\nelif x < -1:\n    return 1\nelse:\n    return 0": Cases(x > 0, x, Cases(x < -1, 1, 0)),
    "y = x\nif x > 0:\n    y = 2 * y\n    return y\ny = 3 * y\nreturn y": Cases(x > 0, 2 * x, 3 * x),
    "a, b = x, 2 * x\nreturn a * b": 2 * x**2,
    "return x * lgamma(3) + asinh(x)": x * sp.log(2) + sp.asinh(x),
}


@pytest.mark.parametrize("body", FORMULAS)
def test_formula(tmp_path: Path, body: str) -> None:
    """What is written becomes exactly this expression: lazy cases, kinks with their order, relations unevaluated."""
    assert value(tmp_path, body) == FORMULAS[body]


def test_numbers_and_axes_of_the_file(tmp_path: Path) -> None:
    """A constant at the top of the file keeps its digits too."""
    path = tmp_path / "f.py"
    path.write_text(HEADER + "SCALE = 0.1000000000000000055\n" + spec("x", "return SCALE * x"), encoding="utf-8")
    assert load(path)["f"].variants[0].value == sp.Rational("0.1000000000000000055") * x


# Variants


def test_choices_are_variants(tmp_path: Path) -> None:
    """Literal, bool and None each make variants, named readably, in the order in which they are written."""
    op = traced(
        tmp_path,
        'x, mode: Literal["a", "b"] = "a", full: bool = False, gamma: Real | None = None',
        'y = x if mode == "a" else 2 * x\nif full:\n    y = y + 1\nreturn y if gamma is None else y * gamma',
    )
    assert [v.suffix for v in op.variants] == [
        f"{mode}_{full}_gamma_{g}" for mode in "ab" for full in ("no_full", "full") for g in ("none", "given")
    ]
    assert dict(op.variants[3].settings) == {"mode": "a", "full": True, "gamma": "given"}
    assert op.variants[-1].value == gamma * (2 * x + 1)


def test_condition_on_options_chooses_a_variant(tmp_path: Path) -> None:
    """A plain 'if' on options is a variant for each answer, and the formula knows nothing of the other one."""
    op = traced(tmp_path, "x, beta: Real >= 0 = 1", "if beta == 0:\n    return x\nreturn (exp(beta * x) - 1) / beta")
    zero, other = op.variants
    assert (zero.suffix, zero.conditions, zero.value) == ("beta_eq_0", ((sp.Eq(beta, 0), True),), x)
    assert (other.suffix, other.conditions) == ("beta_ne_0", ((sp.Eq(beta, 0), False),))
    assert not other.value.has(Cases)
    assert sp.Ne(beta, 0) in op.assumptions(other)
    assert (beta >= 0) in op.assumptions(other)


def test_infinity_is_an_option(tmp_path: Path) -> None:
    """An option may be infinite, and a variant may be about that."""
    op = traced(tmp_path, "x, beta: Real > 0 = 1", "if beta == inf:\n    return x\nreturn beta * tanh(x / beta)")
    assert [v.suffix for v in op.variants] == ["beta_eq_inf", "beta_ne_inf"]


def test_paths_are_explored_only_where_they_exist(tmp_path: Path) -> None:
    """Nested conditions make a variant for each way through, and none for answers that contradict each other."""
    body = "if beta > 1:\n    return x\nif beta > 0:\n    return 2 * x\nif beta > 2:\n    return 3 * x\nreturn beta * x"
    assert [v.value for v in traced(tmp_path, "x, beta: Real = 1", body).variants] == [x, 2 * x, beta * x]
    declared = traced(tmp_path, "x, beta: 0 < Real < 1 = 0.5", body.replace("2 * x", "x / beta"))
    assert [(v.suffix, v.value) for v in declared.variants] == [("", x / beta)]


def test_same_condition_is_asked_once(tmp_path: Path) -> None:
    """A condition and its negation are one question."""
    body = "y = x if beta > 1 else 2 * x\nreturn y * (beta if not beta > 1 else 3)"
    assert [v.value for v in traced(tmp_path, "x, beta: Real = 1", body).variants] == [3 * x, 2 * beta * x]


def test_mixed_condition(tmp_path: Path) -> None:
    """In 'and' and 'or' options decide first what they can, and data what is left."""
    op = traced(tmp_path, "x, beta: Real = 1", "return x if beta > 0 and x > 0 else beta * x")
    assert [v.value for v in op.variants] == [Cases(x > 0, x, beta * x), beta * x]
    body = "return beta * x if beta is not None and x > beta else x"
    unasked = traced(tmp_path, "x, beta: Real | None = None", body)
    assert [v.value for v in unasked.variants] == [x, Cases(x > beta, beta * x, x)]


def test_assert_relates_options(tmp_path: Path) -> None:
    """Assertions are collected, not branched on."""
    body = "assert 0 <= beta < gamma\nreturn min(gamma, max(beta, x))"
    op = traced(tmp_path, "x, beta: Real = 0, gamma: Real = 1", body)
    assert op.assertions == (sp.And(sp.Le(0, beta), beta < gamma),)
    assert len(op.variants) == 1


# Composition and files


def test_composition_inlines(tmp_path: Path) -> None:
    """A call takes positional and keyword arguments and exact defaults, and its options may be data of the caller."""
    shared = spec("y, beta: Real = 0.1, *, gamma: Real = 2", "return y * beta + gamma", "@function", "g")
    for call, expected in {
        "g(x)": x / 10 + 2,
        "g(exp(x), gamma=3)": sp.exp(x) / 10 + 3,
        "g(gamma=x, y=1, beta=x)": 2 * x,
        "g(x, x)": x**2 + 2,
    }.items():
        path = tmp_path / "f.py"
        path.write_text(HEADER + shared + spec("x", f"return {call}"), encoding="utf-8")
        assert load(path)["f"].variants[0].value == expected
    assert list(load(path)) == ["f"]
    assert list(load(path, functions=True)) == ["f", "g"]


def test_condition_inside_a_called_spec(tmp_path: Path) -> None:
    """A condition of a called spec is decided by what it is called with: an option, a number, or data."""
    shared = spec("y, beta: Real = 1", "if beta == 0:\n    return y\nreturn y / beta", "@function", "g")
    path = tmp_path / "f.py"
    path.write_text(HEADER + shared + spec("x, gamma: Real = 1", "return g(x, gamma) + g(x, 0)"), encoding="utf-8")
    assert [v.value for v in load(path)["f"].variants] == [2 * x, x + x / gamma]


def test_output_does_not_depend_on_hash_seeds() -> None:
    """What is understood of the catalogue prints the same under different hash seeds."""
    code = (
        "from symgen.catalogue import folder; from symgen.spec import describe, load\n"
        "print('\\n'.join(describe(op) for op in load(folder()).values()))"
    )
    root = str(Path(symgen.spec.loader.__file__).parents[2])
    outputs = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": root},
            capture_output=True,
            check=True,
            text=True,
        ).stdout
        for seed in ("0", "1")
    }
    assert len(outputs) == 1
    assert "gelu: Gaussian error linear unit" in outputs.pop()


# Showing


def test_describe_says_what_was_understood() -> None:
    """The text names roles, domains, defaults, relations, every variant with its condition, and other forms."""
    softplus, gelu, hardtanh, elu = (describe(OPS[n]) for n in ("softplus", "gelu", "hardtanh", "elu"))
    assert "  beta       Real != 0    number, default 1\n" in softplus
    assert "variant threshold_given: threshold is given\n  (x if beta*x > threshold else " in softplus
    assert "choice, default 'none', by keyword" in gelu
    assert "return x * (1 + erf(x / sqrt(2))) / 2" in gelu
    assert "checked at call\n  min_val <= max_val\n" in hardtanh
    assert "also written\n  max(0, x) + min(0, alpha * (exp(x) - 1))\n  At 0" in elu


def test_a_spec_file_is_plain_python(tmp_path: Path) -> None:
    """Under plain Python the decorators leave functions as they are, so that a spec runs on numbers."""
    path = tmp_path / "plain.py"
    path.write_text(
        "from symgen.spec import Real, activation\n" + spec("x, a: 0 <= Real <= 1 = 0.5", "return max(0, x) * a"),
        encoding="utf-8",
    )
    names: dict[str, object] = {}
    exec(path.read_text(encoding="utf-8"), names)
    assert names["f"](-1.0) == 0  # type: ignore[operator]
    assert names["f"](4.0) == 2.0  # type: ignore[operator]
