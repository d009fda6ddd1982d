"""Where specs, templates and the catalogue's kernels lie: beside the package in a checkout, inside it in a wheel.

These are real folders in both cases, because specs report their file and line and Numba's cache needs real files.
"""

from __future__ import annotations

from pathlib import Path

PACKAGE = Path(__file__).resolve().parent
DATA = PACKAGE / "_data"


def checkout() -> Path | None:
    """The root of the source checkout that this package runs from, or None for an installed wheel."""
    return None if DATA.is_dir() else PACKAGE.parent


def specs() -> Path:
    """The folder of the catalogue's specs."""
    return _folder("specs")


def templates() -> Path:
    """The folder of the templates, one subfolder for each backend."""
    return _folder("templates")


def generated() -> Path:
    """The folder of the catalogue's generated kernels, importable as ``symgen.generated``."""
    inside = PACKAGE / "generated"
    return inside if inside.is_dir() else PACKAGE.parent / "generated"


def _folder(name: str) -> Path:
    return (DATA if DATA.is_dir() else PACKAGE.parent) / name
