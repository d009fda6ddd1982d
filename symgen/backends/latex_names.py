"""How names look in print: Greek letters, subscripts, functions; one table for source text and expressions alike."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from fractions import Fraction as Rational

from symgen.backends.latex_notation import Atom, Number

_GREEK = ("alpha", "beta", "gamma", "delta", "zeta", "eta", "theta", "iota", "kappa", "lambda", "mu", "nu", "xi", "pi",
          "rho", "sigma", "tau", "upsilon", "phi", "chi", "psi", "omega")  # fmt: skip
_SYMBOLS: dict[str, str] = {
    **{name: rf"\{name}" for name in _GREEK},
    "eps": r"\varepsilon",
    "epsilon": r"\varepsilon",
    "lambd": r"\lambda",
    "lambda_": r"\lambda",
    "inf": r"\infty",
}
# heads and Python functions whose printed name is not their own name in upright letters
FUNCTIONS: dict[str, str] = {
    "sigmoid": r"\sigma",
    "log": r"\log",
    "sin": r"\sin",
    "cos": r"\cos",
    "tan": r"\tan",
    "atan": r"\arctan",
    "sinh": r"\sinh",
    "cosh": r"\cosh",
    "tanh": r"\tanh",
    "max": r"\max",
    "min": r"\min",
    "first_max": r"\max",
    "first_min": r"\min",
    "maximum": r"\max",
    "minimum": r"\min",
    "sign": r"\operatorname{sgn}",
    "asin": r"\arcsin",
    "acos": r"\arccos",
    "asinh": r"\operatorname{arsinh}",
    "acosh": r"\operatorname{arcosh}",
    "atanh": r"\operatorname{artanh}",
    "digamma": r"\psi",
    "sech2": r"\operatorname{sech}",
    "loggamma": r"\log\Gamma",
    "floor": r"\operatorname{floor}",
    "nearest": r"\operatorname{fl}",
}
_ESCAPES = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "_": r"\_",
    "%": r"\%",
    "#": r"\#",
    "&": r"\&",
    "$": r"\$",
    "^": r"\textasciicircum{}",
    "~": r"\textasciitilde{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "\u2212": r"\ensuremath{-}",
    "\u2264": r"\ensuremath{\le}",
    "\u2265": r"\ensuremath{\ge}",
    "\u221e": r"\ensuremath{\infty}",
    "\u00a0": "~",
    "\u2026": r"\dots{}",
}
_INDEXED = re.compile(r"([A-Za-z]+?)_?(\d+)$")
_SHOWN_DIGITS = 10


def escape(text: str) -> str:
    """Plain text as TeX; a character that the fonts lack becomes a question mark rather than an error."""
    out = "".join(_ESCAPES.get(c, c) for c in text)
    return "".join(c if ord(c) < 0x250 or c in "\u2013\u2014\u2018\u2019\u201c\u201d" else "?" for c in out)


def code(text: str) -> str:
    """A name in typewriter letters that may break after an underscore, a dot or a bracket."""
    escaped = escape(text).replace("'", r"\textquotesingle{}").replace('"', r"\textquotedbl{}")
    return r"\texttt{" + re.sub(r"(\\_|[.,(])", r"\1\\allowbreak{}", escaped) + "}"


def prose(text: str) -> str:
    """Text with ``code`` in backquotes."""
    parts = re.split(r"`+([^`]*)`+", text)
    return "".join(code(p) if i % 2 else escape(p) for i, p in enumerate(parts))


def symbol(name: str, display: Mapping[str, str] | None = None) -> Atom:
    """How an argument or a local name is printed: as the spec says, as a Greek or single letter, else upright."""
    chosen = (display or {}).get(name)
    if chosen is not None:
        return Atom(chosen, 1 if len(chosen) == 1 or chosen.startswith("\\") else len(chosen))
    if name in _SYMBOLS:
        return Atom(_SYMBOLS[name])
    if len(name) == 1:
        return Atom(name)
    indexed = _INDEXED.fullmatch(name)
    if indexed:
        letter = symbol(indexed[1])
        return Atom(f"{letter.tex}_{{{indexed[2]}}}" if len(indexed[2]) > 1 else f"{letter.tex}_{indexed[2]}", 2)
    return Atom(rf"\mathrm{{{escape(name)}}}", len(name))


def function(name: str) -> str:
    """A function's name in a formula."""
    return FUNCTIONS.get(name, rf"\operatorname{{{escape(name)}}}")


def decimal(text: str) -> Number:
    """A decimal as it was written; 1e-5 becomes a power of ten."""
    mantissa, _, exponent = text.lower().replace("_", "").partition("e")
    if not exponent:
        return Number(mantissa)
    power = f"10^{{{int(exponent)}}}"
    return Number(power if mantissa.rstrip("0").rstrip(".") == "1" else rf"{mantissa} \cdot {power}")


def terminating(value: Rational) -> str | None:
    """A positive rational as a decimal if it has a finite one that a person would have written, else None.

    Halves, quarters, fifths and the like stay fractions; a decimal of many digits is cut with dots.
    """
    rest = value.denominator
    for prime in (2, 5):
        while rest % prime == 0:
            rest //= prime
    if rest != 1 or value.denominator <= 16:
        return None
    digits = 0
    while (value * 10**digits).denominator != 1:
        digits += 1
    text = str((value * 10**digits).numerator).rjust(digits + 1, "0")
    whole, fraction = text[:-digits], text[-digits:]
    zeros = len(fraction) - len(fraction.lstrip("0")) if whole == "0" else 0
    if zeros >= 4:
        return _scientific(fraction.lstrip("0"), -zeros - 1)
    if len(fraction) - zeros > _SHOWN_DIGITS + 2:
        return rf"{whole}.{fraction[: zeros + _SHOWN_DIGITS]}\ldots"
    return f"{whole}.{fraction}"


def _scientific(digits: str, exponent: int) -> str:
    power = f"10^{{{exponent}}}"
    if digits == "1":
        return power
    dots = r"\ldots" if len(digits) > _SHOWN_DIGITS + 2 else ""
    shown = digits[:_SHOWN_DIGITS] if dots else digits
    return rf"{shown[0]}.{shown[1:]}{dots} \cdot {power}" if shown[1:] else rf"{shown[0]} \cdot {power}"


def float_number(value: float, digits: int = 5) -> str:
    """A measured or chosen float, in few digits, as TeX for math mode."""
    if math.isnan(value):
        return r"\mathrm{NaN}"
    if value in (float("inf"), float("-inf")):
        return r"\infty" if value > 0 else r"-\infty"
    text = f"{value:.{digits}g}"
    mantissa, _, exponent = text.partition("e")
    if not exponent:
        return text
    return rf"{mantissa} \cdot 10^{{{int(exponent)}}}"
