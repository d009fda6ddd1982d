"""The catalogue's own specs by name, so that a user's spec may write ``from symgen.catalogue import softplus``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from symgen import resources
from symgen.spec.loader import Session, catalogue_index


def folder() -> Path:
    """Where the catalogue's spec files lie."""
    return resources.specs()


def __getattr__(name: str) -> Any:
    """A definition of the catalogue: called with SymPy expressions it gives the formula."""
    index = catalogue_index()
    if name.startswith("_") or name not in index:
        raise AttributeError(f"the catalogue has no '{name}'")
    return Session(folder()).module(index[name]).scope[name]


def __dir__() -> list[str]:
    return sorted([*catalogue_index(), "folder"])
