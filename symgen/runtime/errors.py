"""The wording that errors share: what was wrong, where, and the nearest thing that would have been right."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class GeneratedPackageError(ImportError):
    """The generated package is missing, incomplete, or of another format than this runtime reads."""


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """``; did you mean 'gelu'?`` for the nearest known word, or nothing."""
    folded = {name.casefold(): name for name in known}
    close = difflib.get_close_matches(word.casefold(), list(folded), n=1, cutoff=0.6)
    return f"; did you mean {folded[close[0]]!r}?" if close else ""


def listing(words: Iterable[str], conjunction: str = "or") -> str:
    """``a, b or c``."""
    items = list(words)
    if len(items) < 2:
        return "".join(items)
    return f"{', '.join(items[:-1])} {conjunction} {items[-1]}"


class CudaMissingError(RuntimeError):
    """What CUDA kernels need is not there: the compiler, a driver or a device; the message says which."""
