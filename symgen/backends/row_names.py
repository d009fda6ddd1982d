"""What kernels of rows call the indices and lengths of their axes, on any processor."""

from __future__ import annotations

from symgen.rows.indices import axis_of, size
from symgen.spec.model import LISTED


def index_name(name: str) -> str:
    """What a kernel calls a loop index."""
    return f"i_{identifier(name)}"


def size_name(name: str) -> str:
    """What a kernel calls the length of the axis along which an index runs; of an unpacked axis it is a number."""
    known = size(name)
    return str(known) if known.is_Integer else f"n_{identifier(axis_of(name))}"


def identifier(name: str) -> str:
    """An index or an axis as part of a name in code."""
    return name.replace(".", "").replace(LISTED, "each_")
