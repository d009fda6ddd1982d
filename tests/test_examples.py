"""Every example in a docstring of the package runs, and prints what it says."""

from __future__ import annotations

import doctest
import importlib
import re
from pathlib import Path

import pytest

import symgen

FOLDER = Path(symgen.__file__).parent
EXAMPLE = re.compile(r"^ *>>> ", re.MULTILINE)
MODULES = sorted(FOLDER.rglob("*.py"))
WITH_EXAMPLES = [p.relative_to(FOLDER.parent) for p in MODULES if EXAMPLE.search(p.read_text("utf-8"))]


@pytest.mark.parametrize("path", WITH_EXAMPLES, ids=str)
def test_examples_in_docstrings(path: Path) -> None:
    """The examples of a module, each by itself."""
    name = ".".join(path.with_suffix("").parts).removesuffix(".__init__")
    result = doctest.testmod(importlib.import_module(name), optionflags=doctest.ELLIPSIS)
    assert result.attempted > 0
    assert result.failed == 0
