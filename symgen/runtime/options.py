"""Options: checked when a function is called, and the variant that their values choose."""

from __future__ import annotations

import math
import numbers
from collections.abc import Mapping
from typing import Any, Final

import numpy as np

from .conditions import SYMBOLS, UndecidableError, holds, names, number, text
from .errors import GeneratedPackageError, did_you_mean, listing
from .manifest import Argument, Function, Variant

TOO_LARGE: Final = "; it is too large for float64"


def expectation(argument: Argument) -> str:
    """What an option accepts, as a phrase: ``a number > 0 or None``."""
    if argument.role == "choice":
        accepted = [repr(choice) for choice in argument.choices if choice is not None]
    else:
        bounds = " and ".join(f"{symbol} {number(value):g}" for symbol, value in argument.limits)
        accepted = [f"{'an integer' if argument.role == 'int' else 'a number'}{' ' if bounds else ''}{bounds}"]
    if argument.optional or None in argument.choices:
        accepted.append("None")
    return listing(accepted)


def describe(value: Any) -> str:
    """A value as an error message shows it: an array by its shape, the rest by itself and its type."""
    if isinstance(value, np.ma.MaskedArray):
        return f"a masked array of shape {value.shape}, whose mask would be lost"
    if isinstance(value, np.ndarray) and (value.ndim or value.dtype.kind in "OV"):
        return f"an array of shape {value.shape} and dtype {value.dtype}"
    shown = repr(value)
    return f"{shown if len(shown) <= 60 else shown[:57] + '...'} ({type(value).__name__})"


def unwrap(value: Any) -> Any:
    """A NumPy scalar or 0-d array as the Python value it holds; what is masked stays as it is."""
    if isinstance(value, np.ndarray | np.generic) and value.ndim == 0 and not isinstance(value, np.ma.MaskedArray):
        return float(value) if value.dtype.name == "bfloat16" else value.item()
    return value


def _numeric(argument: Argument, value: Any) -> float | int:
    """The number that was passed; errors are empty, or a remark to add to the message."""
    wanted: Any = numbers.Integral if argument.role == "int" else numbers.Real
    if isinstance(value, bool) or not isinstance(value, wanted):
        raise TypeError
    try:
        found = int(value) if argument.role == "int" else float(value)
        nearest = float(found)
    except OverflowError:
        raise ValueError(TOO_LARGE) from None
    if found != value and (found == 0 or math.isinf(found)):
        raise ValueError(TOO_LARGE if found else "; it is too small for float64, which would make it 0")
    if argument.role == "int" and nearest != found:
        raise ValueError("; float64 does not hold it exactly")
    if math.isnan(found) or not all(SYMBOLS[symbol](found, number(bound)) for symbol, bound in argument.limits):
        raise ValueError
    return found


def check_option(function: str, argument: Argument, value: Any) -> Any:
    """The validated value of one option: float, int, a choice, or None.

    Raises:
        TypeError: the value is of the wrong type.
        ValueError: the value is outside the stated domain or not among the choices.
    """
    plain = unwrap(value)
    if plain is None and (argument.optional or None in argument.choices):
        return None
    find = _choice if argument.role == "choice" else _numeric
    try:
        return find(argument, plain)
    except (TypeError, ValueError) as error:
        problem = f"{function}(): {argument.name} must be {expectation(argument)}, got {describe(value)}{error}"
        raise type(error)(problem) from None


def _choice(argument: Argument, value: Any) -> Any:
    """The choice that was passed; errors are empty, or a remark to add to the message."""
    for choice in argument.choices:
        if type(choice) is type(value) and choice == value:
            return choice
    if not isinstance(value, tuple({type(choice) for choice in argument.choices})):
        raise TypeError
    words = [choice for choice in argument.choices if isinstance(choice, str)]
    raise ValueError(did_you_mean(value, words) if isinstance(value, str) else "")


def default_value(argument: Argument) -> Any:
    """The default of an option as a Python value; JSON has no infinities and no float that is integral."""
    if argument.default is None or argument.role == "choice" or argument.required:
        return argument.default
    value = number(argument.default)
    return int(value) if argument.role == "int" else value


def check_assertions(method: str, function: Function, values: Mapping[str, Any]) -> None:
    """Check what a spec asserts between options.

    Raises:
        ValueError: an assertion does not hold; the message has the values.
    """
    for assertion in function.assertions:
        try:
            fine = holds(assertion, values)
        except UndecidableError:
            continue
        if not fine:
            got = listing((f"{name}={values[name]!r}" for name in names(assertion) if name in values), "and")
            raise ValueError(f"{method}(): requires {text(assertion)}, got {got}")


def _fits(function: Function, name: str, setting: Any, value: Any) -> bool:
    """Whether an option has the value that a variant was made for; "given" is any number."""
    if setting == "given" and any(a.name == name for a in function.numeric_options):
        return value is not None
    return type(value) is type(setting) and bool(value == setting)


def _matches(function: Function, variant: Variant, values: Mapping[str, Any]) -> bool:
    if not all(_fits(function, name, setting, values[name]) for name, setting in variant.settings.items()):
        return False
    try:
        return all(holds(condition, values) == expected for condition, expected in variant.conditions)
    except UndecidableError:
        return False


def choose_variant(function: Function, values: Mapping[str, Any]) -> Variant:
    """The variant that these option values choose.

    Raises:
        GeneratedPackageError: the manifest has no variant for values that passed every check.
    """
    for variant in function.variants:
        if _matches(function, variant, values):
            return variant
    shown = ", ".join(f"{name}={value!r}" for name, value in values.items())
    raise GeneratedPackageError(f"{function.name}(): no compiled variant for {shown}; run `symgen build --force`")


def default_variant(function: Function) -> Variant:
    """The variant of the default options; with required ones, the most general that they leave open."""
    values = {a.name: default_value(a) for a in function.options if not a.required}
    open_variants = [
        v for v in function.variants
        if all(_fits(function, name, s, values[name]) for name, s in v.settings.items() if name in values)
    ]
    general = [v for v in open_variants if _conditions_agree(v, values)]
    return (general or open_variants or list(function.variants))[0]


def _conditions_agree(variant: Variant, values: Mapping[str, Any]) -> bool:
    """Whether decidable conditions hold as expected, and the others say nothing special: no equation holds."""
    for condition, expected in variant.conditions:
        if all(values.get(name) is not None for name in names(condition)):
            if holds(condition, values) != expected:
                return False
        elif expected != (condition[0] == "ne"):
            return False
    return True
