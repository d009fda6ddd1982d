"""Options: what is accepted, which variant it chooses, and what is said of the rest."""

from __future__ import annotations

from contextlib import nullcontext
from decimal import Decimal
from fractions import Fraction
from types import ModuleType
from typing import Any

import ml_dtypes
import numpy as np
import pytest

from symgen.runtime.conditions import UndecidableError, holds, names, number, text
from symgen.runtime.manifest import parse_function
from symgen.runtime.options import choose_variant, default_variant


def test_variants_follow_the_options(kernels: ModuleType) -> None:
    """A choice, None or not, and a condition between options each choose a variant."""
    x = np.array([-1.0, 3.0])
    np.testing.assert_array_equal(kernels.gate(x), [1, 9])
    np.testing.assert_array_equal(kernels.gate(x, form="cube"), [-1, 27])
    np.testing.assert_array_equal(kernels.gate(x, form="cube", scale=2), [-2, 54])
    np.testing.assert_array_equal(kernels.gate(x, form="cube", scale=0), [0, 0])
    np.testing.assert_array_equal(kernels.gate(x, form="cube", scale=-0.0), [0, 0])
    np.testing.assert_allclose(kernels.soft(x), np.log1p(np.exp(x)))
    np.testing.assert_array_equal(kernels.soft(x, 1, 2)[1], 3)
    np.testing.assert_array_equal(kernels.soft(x, threshold=-2.0), x)
    np.testing.assert_allclose(kernels.soft(x, threshold=None), np.log1p(np.exp(x)))


@pytest.mark.parametrize("two", [
    2, 2.0, np.float64(2), np.float32(2), np.int8(2), np.array(2.0), np.array(2), Fraction(2),
    ml_dtypes.bfloat16(2), np.array(2, ml_dtypes.bfloat16),
])
def test_numbers_of_every_kind(kernels: ModuleType, two: Any) -> None:
    """A numeric option may be any real number, NumPy scalar or 0-d array, and does not change the dtype."""
    found = kernels.gate(np.ones(1, np.float32), form="cube", scale=two)
    assert found == 2
    assert found.dtype == np.float32


def test_extended_precision(kernels: ModuleType) -> None:
    """A long double is an option where float64 can hold it, rounded, and is refused where it would become 0 or inf."""
    assert kernels.gate(1.0, form="cube", scale=np.longdouble("0.1")) == 0.1
    assert kernels.clip(5.0, high=np.longdouble("inf")) == 5
    big, tiny = np.finfo(np.longdouble).max, np.finfo(np.longdouble).tiny
    for value, word in ((big, "too large"), (tiny, "too small")):
        exact = float(value) == value  # so it is where a long double is a float64
        with nullcontext() if exact else pytest.raises(ValueError, match=f"soft.*beta.*{word} for float64"):
            kernels.soft(1.0, beta=value)


def test_infinite_options(kernels: ModuleType) -> None:
    """An option is an extended real: it may be infinite."""
    np.testing.assert_array_equal(kernels.clip([-5.0, 5.0], low=-np.inf), [-5, 1])


def test_signed_zero_is_not_cached_as_zero(kernels: ModuleType) -> None:
    """An option of -0.0 stays negative after 0.0 was used, and the other way round."""
    for low in (0.0, -0.0, 0.0):
        assert np.signbit(kernels.clip(-1.0, low)) == np.signbit(low)


def test_many_settings_do_not_pile_up(kernels: ModuleType) -> None:
    """A kernel forgets settings rather than keep them all."""
    for k in range(600):
        assert kernels.clip(2000.0, high=float(k)) == k
    assert len(kernels.clip._caller._plans) <= 256


WRONG: list[tuple[str, dict[str, Any], type[Exception], list[str]]] = [
    ("soft", {"beta": 0}, ValueError, ["soft(): beta must be a number != 0, got 0 (int)"]),
    ("soft", {"beta": True}, TypeError, ["beta must be a number", "True (bool)"]),
    ("soft", {"beta": np.True_}, TypeError, ["beta must be a number"]),
    ("soft", {"beta": "1"}, TypeError, ["beta must be a number", "'1' (str)"]),
    ("soft", {"beta": None}, TypeError, ["beta must be a number", "None"]),
    ("soft", {"beta": 1j}, TypeError, ["complex"]),
    ("soft", {"beta": np.complex128(1)}, TypeError, ["complex"]),
    ("soft", {"beta": Decimal(1)}, TypeError, ["Decimal"]),
    ("soft", {"beta": np.ones(1)}, TypeError, ["an array of shape (1,) and dtype float64"]),
    ("soft", {"beta": [1]}, TypeError, ["[1] (list)"]),
    ("soft", {"beta": float("nan")}, ValueError, ["nan"]),
    ("soft", {"beta": 10**400}, ValueError, ["too large"]),
    ("soft", {"beta": Fraction(10**400)}, ValueError, ["too large for float64"]),
    ("soft", {"beta": Fraction(1, 10**400)}, ValueError, ["beta must be", "too small for float64"]),
    ("gate", {"scale": Fraction(1, 10**400)}, ValueError, ["scale must be", "too small for float64"]),
    ("soft", {"beta": np.ma.array(2.0, mask=True)}, TypeError, ["beta must be", "masked array of shape ()", "lost"]),
    ("soft", {"beta": np.ma.array(2.0)}, TypeError, ["beta must be", "masked array of shape ()"]),
    ("soft", {"threshold": np.ma.masked}, TypeError, ["threshold must be", "masked array"]),
    ("gate", {"form": np.ma.array("cube", mask=True)}, TypeError, ["form must be", "masked array"]),
    ("cut", {"level": 0, "times": 10**400}, ValueError, ["times must be", "too large for float64"]),
    ("cut", {"level": 0, "times": 2**53 + 1}, ValueError, ["times must be", "float64 does not hold it exactly"]),
    ("soft", {"threshold": "none"}, TypeError, ["threshold must be a number or None", "'none'"]),
    ("gate", {"scale": -1}, ValueError, ["scale must be a number >= 0, got -1 (int)"]),
    ("gate", {"form": "qube"}, ValueError, ["form must be 'square' or 'cube'", "did you mean 'cube'?"]),
    ("gate", {"form": 3}, TypeError, ["form must be 'square' or 'cube', got 3 (int)"]),
    ("gate", {"form": None}, TypeError, ["form must be", "None"]),
    ("clip", {"low": 2}, ValueError, ["clip(): requires low <= high, got low=2.0 and high=1.0"]),
    ("cut", {}, TypeError, ["missing 'level'"]),
    ("cut", {"level": 0, "times": 1.5}, TypeError, ["times must be an integer >= 1, got 1.5 (float)"]),
    ("cut", {"level": 0, "times": 0}, ValueError, ["times must be an integer >= 1"]),
    ("cut", {"level": 0, "times": True}, TypeError, ["times must be an integer"]),
]


@pytest.mark.parametrize(("name", "options", "kind", "words"), WRONG, ids=[f"{w[0]}-{w[1]}" for w in WRONG])
def test_wrong_options_are_explained(kernels: ModuleType, name: str, options: dict[str, Any], kind: type[Exception],
                                     words: list[str]) -> None:
    """Each way to call says what the option must be and what it was."""
    kernel = getattr(kernels, name)
    x = np.ones(2)
    calls = [kernel, kernel.grad, kernel.value_and_grad, lambda x, **o: kernel.vjp(x, x, **o)]
    for call in calls:
        with pytest.raises(kind) as caught:
            call(x, **options)
        for word in words:
            assert word.split("(): ")[-1] in str(caught.value)
        assert name in str(caught.value)


def test_conditions() -> None:
    """Prefix conditions are decided, printed and searched for names."""
    nested = ["and", ["or", ["gt", "a", 0], ["eq", "b", "inf"]], ["not", ["lt", "a", "b"]]]
    assert text(nested) == "(a > 0 or b == inf) and not (a < b)"
    assert names(nested) == ["a", "b"]
    assert holds(nested, {"a": 2.0, "b": 1.0})
    assert not holds(nested, {"a": 2.0, "b": 3.0})
    assert not holds(nested, {"a": -1.0, "b": float("inf")})
    assert not holds(nested, {"a": -1.0, "b": -2.0})
    for head, outcomes in {"ge": (True, False), "le": (True, True), "ne": (False, True)}.items():
        assert (holds([head, "a", 1], {"a": 1}), holds([head, "a", 1], {"a": 0})) == outcomes
    assert number("1/3") == 1 / 3
    with pytest.raises(UndecidableError):
        holds(["eq", "a", 0], {"a": None})


def _variants(entries: list[tuple[str, dict[str, Any], list[Any]]], arguments: list[dict[str, Any]]) -> Any:
    variants = [{"suffix": s, "settings": e, "conditions": c, "outputs": ["value"]} for s, e, c in entries]
    return parse_function("f", {
        "module": "m", "kind": "activation", "archetype": "elementwise", "summary": "", "arguments": arguments,
        "variants": variants,
    })


def test_choices_that_look_alike() -> None:
    """A choice called "given", and the choices 1 and True, are not confused."""
    choice = {"name": "c", "role": "choice", "default": {"required": True}, "choices": ["given", 1, True, None]}
    made = _variants([("a", {"c": "given"}, []), ("b", {"c": 1}, []), ("c", {"c": True}, []), ("d", {"c": None}, [])],
                     [choice])
    assert [choose_variant(made, {"c": c}).suffix for c in ("given", 1, True, None)] == ["a", "b", "c", "d"]


def test_default_variant_of_required_options() -> None:
    """Where an option has no default, scalar functions are those of the general formula."""
    option = {"name": "p", "role": "real", "default": {"required": True}}
    made = _variants([("one", {}, [[["eq", "p", 1], True]]), ("general", {}, [[["eq", "p", 1], False]])], [option])
    assert default_variant(made).suffix == "general"
